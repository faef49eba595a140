//! [`Config`] → [`Plan`]: checked keys in the terms of the layers below.

use std::path::PathBuf;

use crate::config::keys::{Config, RunKeys};
use crate::config::values::{ForgettingKey, RuleKey, StepKey};
use crate::config::{ConfigError, refuse};
use crate::learner::drift::DriftParams;
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Step};
use crate::source::{Decoders, Limit, SourceParams};

/// Long half-lives of a short one, where nobody says.
const DRIFT_LONG: u64 = 20;
/// Components watched, where nobody says.
const DRIFT_COMPONENTS: usize = 10;

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Parameters of the learner.
    pub learner: LearnerParams,
    /// Parameters of drift detection, if it is on.
    pub drift: Option<DriftParams>,
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
        config.check()?;
        let learner = learner(config)?;
        let run = config.run.clone();
        let drift = drift(config)?;
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
            drift,
            run,
            output: config.output.dir.clone(),
        })
    }
}

fn learner(config: &Config) -> Result<LearnerParams, ConfigError> {
    let keys = &config.learner;
    Ok(LearnerParams {
        components: keys.components,
        oversampling: keys.oversampling.value(),
        rule: rule(config)?,
        precision: keys.precision,
        minibatch: keys.minibatch.value(),
        center: keys.center,
        scale: keys.scale,
        penalty: keys.penalty.value().map_or(Penalty::Auto, Penalty::Fixed),
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

fn drift(config: &Config) -> Result<Option<DriftParams>, ConfigError> {
    let keys = &config.drift;
    let Some(short) = keys.short_half_life_rows else {
        return Ok(None);
    };
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
        components: keys
            .components
            .value()
            .unwrap_or(DRIFT_COMPONENTS)
            .min(most),
        false_alarms_per_row: keys.false_alarms_per_million_rows * 1e-6,
        seed: config.learner.seed,
    }))
}
