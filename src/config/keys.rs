//! The keys and their defaults.

use serde::{Deserialize, Serialize};

use crate::config::auto::AutoOr;
use crate::config::drift::DriftKeys;
use crate::config::follow::{LogKeys, OutputKeys, RunKeys, SourceKeys, StateKeys};
use crate::config::http::HttpKeys;
use crate::learner::{Precision, Scale};
use crate::source::BinaryDtype;

/// All keys, by table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[features]`
    pub features: FeaturesKeys,
    /// `[source]`
    pub source: SourceKeys,
    /// `[learner]`
    pub learner: LearnerKeys,
    /// `[run]`
    pub run: RunKeys,
    /// `[output]`
    pub output: OutputKeys,
    /// `[state]`
    pub state: StateKeys,
    /// `[drift]`
    pub drift: DriftKeys,
    /// `[http]`
    pub http: HttpKeys,
    /// `[log]`
    pub log: LogKeys,
}

/// Choice of features.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesKeys {
    /// Globs of columns to take; empty: every numeric one.
    pub include: Vec<String>,
    /// Globs of columns to leave.
    pub exclude: Vec<String>,
    /// Columns that identify a row.
    pub ids: Vec<String>,
    /// How fixed-size binary rows are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<BinaryDtype>,
}

/// λ: `"auto"` or a number.
pub type PenaltyKey = AutoOr<f64>;

/// Name of the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKey {
    /// The closed form: nothing to tune.
    #[default]
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

impl Default for ForgettingKey {
    fn default() -> Self {
        Self::None(NoForgetting::None)
    }
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

impl Default for StepKey {
    fn default() -> Self {
        Self::Named(NamedStep::AdaOja)
    }
}

/// How to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnerKeys {
    /// Number of components k.
    pub components: usize,
    /// p: `"auto"` is max(10, k).
    pub oversampling: AutoOr<usize>,
    /// The rule.
    pub rule: RuleKey,
    /// Step size of `oja`; `matrix-step` takes `c_over_t`.
    pub step: StepKey,
    /// Width of the large products.
    pub precision: Precision,
    /// b: `"auto"` is chosen from m and r.
    pub minibatch: AutoOr<usize>,
    /// True if the running mean is taken off.
    pub center: bool,
    /// Units of the features.
    pub scale: Scale,
    /// λ of the read-out.
    pub penalty: PenaltyKey,
    /// How fast earlier rows lose weight.
    pub forgetting: ForgettingKey,
    /// Seed of random starts.
    pub seed: u64,
}

impl Default for LearnerKeys {
    fn default() -> Self {
        Self {
            components: 10,
            oversampling: AutoOr::default(),
            rule: RuleKey::default(),
            step: StepKey::default(),
            precision: Precision::default(),
            minibatch: AutoOr::default(),
            center: true,
            scale: Scale::default(),
            penalty: PenaltyKey::default(),
            forgetting: ForgettingKey::default(),
            seed: 0,
        }
    }
}
