//! What keys are that are neither numbers nor texts: words and small tables.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of components, or the fraction of the variance that they are to explain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of components, or a fraction of the variance in (0, 1)"
)]
pub enum ComponentsKey {
    /// k.
    Count(usize),
    /// As few as explain this fraction of the total variance.
    Variance(f64),
}

impl ComponentsKey {
    /// True unless it is a fraction that is not one.
    pub(super) fn is_sound(self) -> bool {
        match self {
            Self::Count(_) => true,
            Self::Variance(fraction) => fraction > 0.0 && fraction < 1.0,
        }
    }

    /// The fraction, if it is one.
    pub fn variance(self) -> Option<f64> {
        match self {
            Self::Count(_) => None,
            Self::Variance(fraction) => Some(fraction),
        }
    }
}

impl FromStr for ComponentsKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse() {
            return Ok(Self::Count(count));
        }
        let fraction = text.parse().ok().map(Self::Variance);
        fraction.filter(|key| key.is_sound()).ok_or_else(|| {
            "use a whole number of components (1 to 10000), or a fraction of the variance between 0 and 1, such as 0.95"
                .to_owned()
        })
    }
}

/// Name of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKey {
    /// The closed form: nothing to tune.
    ClosedForm,
    /// Regularized Oja's rule.
    Oja,
    /// The preconditioned rule.
    MatrixStep,
}

/// `"none"`, a factor per row, or `{ half_life_rows = N }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"none\", a factor per row in (0, 1), or { half_life_rows = N }"
)]
pub enum ForgettingKey {
    /// `"none"`
    None(NoForgetting),
    /// γ a row.
    Factor(f64),
    /// Rows after which a weight has halved.
    HalfLife {
        /// The rows.
        half_life_rows: f64,
    },
}

/// The word `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoForgetting {
    /// Every row counts for ever.
    None,
}

/// `"ada-oja"`, `{ constant = α }` or `{ c_over_t = c }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"ada-oja\", { constant = α } or { c_over_t = c }"
)]
pub enum StepKey {
    /// `"ada-oja"`
    Named(NamedStep),
    /// The same step always.
    Constant {
        /// α.
        constant: f64,
    },
    /// c/t.
    COverT {
        /// c.
        c_over_t: f64,
    },
}

/// The word `"ada-oja"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedStep {
    /// Column-wise adaptive.
    AdaOja,
}

/// Policy for a consumed file that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChanged {
    /// Refuses the file and goes on.
    Quarantine,
    /// Ends the run.
    Stop,
}

/// The process that decodes files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationKey {
    /// In a process of their own by `run`, in the program itself by `fit`.
    Auto,
    /// In a process of their own.
    Process,
    /// In the program itself.
    None,
}

impl IsolationKey {
    /// True if `run` decodes in a process of its own.
    pub fn is_isolated(self) -> bool {
        self != Self::None
    }
}

/// Policy for refused files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuarantineKey {
    /// It is written down.
    Record,
    /// A copy goes to `quarantine_dir`.
    Copy,
    /// It goes to `quarantine_dir`.
    Move,
}

/// Effect of a drift, beside a line in the log and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEventKey {
    /// Nothing.
    Report,
    /// A snapshot.
    Snapshot,
}

/// Whether clients may tell a run what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlKey {
    /// Nobody may.
    Off,
    /// Whoever has the token.
    Token,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Events that end a run or lose something.
    Error,
    /// Events that need a person.
    Warn,
    /// Every file, checkpoint, snapshot and change of state.
    Info,
    /// The reasons.
    Debug,
    /// Every minibatch.
    Trace,
}
