//! [`Config`] → [`Plan`]: the one place where values are checked.

use std::path::PathBuf;

use crate::config::follow::RunKeys;
use crate::config::keys::{Config, ForgettingKey, RuleKey, StepKey};
use crate::config::{ConfigError, ranges, refuse};
use crate::learner::drift::DriftParams;
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Step};
use crate::source::{Decoders, Limit, SourceParams};

/// Largest k: the r×r algebra of more would dwarf the products.
const MOST_COMPONENTS: usize = 10_000;

/// Largest minibatch: 2²⁰ rows are more than any cache.
const LARGEST_MINIBATCH: usize = 1 << 20;

/// Most minibatches that may wait: beyond it reading ahead gains nothing and memory grows.
const LONGEST_CHANNEL: usize = 1_024;

/// Long half-lives of a short one, where nobody says.
const DRIFT_LONG: u64 = 20;
/// Components watched, where nobody says.
const DRIFT_COMPONENTS: usize = 10;
/// Rows of a short half-life: below the least, means of a block are not normal.
const DRIFT_ROWS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000_000;

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Parameters of the learner.
    pub learner: LearnerParams,
    /// How to read.
    pub source: SourceParams,
    /// Threads and room.
    pub run: RunKeys,
    /// Directory that snapshots go to.
    pub output: Option<PathBuf>,
}

impl TryFrom<&Config> for Plan {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        let learner = learner(config)?;
        let run = config.run.clone();
        if !(1..=2).contains(&run.threads) {
            return Err(refuse("run.threads", run.threads, "use 1 or 2"));
        }
        if let Some(count) = run.channel_minibatches.value()
            && !(1..=LONGEST_CHANNEL).contains(&count)
        {
            let remedy = "use \"auto\" or 1 to 1024";
            return Err(refuse("run.channel_minibatches", count, remedy));
        }
        ranges::check(config)?;
        drift_params(config)?;
        let (features, source) = (&config.features, &config.source);
        Ok(Self {
            source: SourceParams {
                include: features.include.clone(),
                exclude: features.exclude.clone(),
                ids: features.ids.clone(),
                dtype: features.dtype,
                extra: source.extra,
                on_null: source.on_null,
                on_nan: source.on_nan,
                on_inf: source.on_inf,
                limit: match learner.precision {
                    Precision::F32 => Limit::F32,
                    Precision::F64 => Limit::F64,
                },
                features_least: learner.components,
                decoders: if run.threads > 1 {
                    Decoders::Two
                } else {
                    Decoders::One
                },
            },
            learner,
            run,
            output: config.output.dir.clone(),
        })
    }
}

fn learner(config: &Config) -> Result<LearnerParams, ConfigError> {
    let keys = &config.learner;
    if !(1..=MOST_COMPONENTS).contains(&keys.components) {
        return Err(refuse(
            "learner.components",
            keys.components,
            "use 1 to 10000",
        ));
    }
    let oversampling = keys.oversampling.value();
    if let Some(p) = oversampling.filter(|p| *p > MOST_COMPONENTS) {
        return Err(refuse(
            "learner.oversampling",
            p,
            "use \"auto\" or 0 to 10000",
        ));
    }
    let minibatch = keys.minibatch.value();
    if let Some(b) = minibatch.filter(|b| !(1..=LARGEST_MINIBATCH).contains(b)) {
        return Err(refuse(
            "learner.minibatch",
            b,
            "use \"auto\" or 1 to 1048576 rows",
        ));
    }
    let penalty = match keys.penalty.value() {
        None => Penalty::Auto,
        Some(value) if value.is_finite() && value >= 0.0 => Penalty::Fixed(value),
        Some(value) => {
            return Err(refuse(
                "learner.penalty",
                value,
                "use \"auto\" or a number of at least 0",
            ));
        }
    };
    Ok(LearnerParams {
        components: keys.components,
        oversampling,
        rule: rule(config)?,
        precision: keys.precision,
        minibatch,
        center: keys.center,
        scale: keys.scale,
        penalty,
        forgetting: forgetting(keys.forgetting)?,
        seed: keys.seed,
    })
}

fn forgetting(key: ForgettingKey) -> Result<Forgetting, ConfigError> {
    match key {
        ForgettingKey::None(_) => Ok(Forgetting::None),
        ForgettingKey::Factor(factor) if factor > 0.0 && factor < 1.0 => {
            Ok(Forgetting::PerRow(factor))
        }
        ForgettingKey::HalfLife { half_life_rows }
            if half_life_rows.is_finite() && half_life_rows >= 1.0 =>
        {
            Ok(Forgetting::HalfLifeRows(half_life_rows))
        }
        ForgettingKey::Factor(value)
        | ForgettingKey::HalfLife {
            half_life_rows: value,
        } => Err(refuse(
            "learner.forgetting",
            value,
            "use \"none\", a factor per row between 0 and 1, or { half_life_rows = N } with \
                 N >= 1",
        )),
    }
}

fn rule(config: &Config) -> Result<Rule, ConfigError> {
    let step = match config.learner.step {
        StepKey::Named(_) => Step::AdaOja,
        StepKey::Constant { constant } => Step::Constant(constant),
        StepKey::COverT { c_over_t } => Step::COverT(c_over_t),
    };
    if let Step::Constant(value) | Step::COverT(value) = step
        && !(value.is_finite() && value > 0.0)
    {
        return Err(refuse("learner.step", value, "use a number above 0"));
    }
    Ok(match config.learner.rule {
        RuleKey::ClosedForm => Rule::ClosedForm,
        RuleKey::Oja => Rule::Oja(step),
        RuleKey::MatrixStep => match step {
            Step::COverT(c) => Rule::MatrixStep { c },
            // The default of `step` belongs to `oja`; 2 forgets the start as 1/t².
            Step::AdaOja => Rule::MatrixStep { c: 2.0 },
            Step::Constant(value) => {
                return Err(refuse(
                    "learner.step",
                    value,
                    "rule = \"matrix-step\" takes { c_over_t = c }",
                ));
            }
        },
    })
}

/// Parameters of drift detection, where it is on.
///
/// # Errors
/// If a value is out of its bounds.
pub fn drift_params(config: &Config) -> Result<Option<DriftParams>, ConfigError> {
    let keys = &config.drift;
    let rate = keys.false_alarms_per_million_rows;
    if !(0.0..=1000.0).contains(&rate) {
        return Err(refuse(
            "drift.false_alarms_per_million_rows",
            rate,
            "use 0 (no alarm, only reports) to 1000",
        ));
    }
    let components = keys.components.value();
    if components == Some(0) {
        let remedy = "use \"auto\" or a number of at least 1";
        return Err(refuse("drift.components", 0, remedy));
    }
    let Some(short) = keys.short_half_life_rows else {
        return Ok(None);
    };
    if !DRIFT_ROWS.contains(&short) {
        let remedy = "use 1000 to 10^12 rows, or leave it out";
        return Err(refuse("drift.short_half_life_rows", short, remedy));
    }
    let long = keys
        .long_half_life_rows
        .value()
        .unwrap_or(DRIFT_LONG * short);
    if long < 4 * short || long > 1000 * short {
        let remedy = "use \"auto\", or 4 to 1000 times `drift.short_half_life_rows`";
        return Err(refuse("drift.long_half_life_rows", long, remedy));
    }
    let most = config.learner.components;
    Ok(Some(DriftParams {
        short_half_life_rows: short,
        long_half_life_rows: long,
        components: components.unwrap_or(DRIFT_COMPONENTS).min(most),
        false_alarms_per_row: rate * 1e-6,
        seed: config.learner.seed,
    }))
}
