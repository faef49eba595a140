//! [`Config`] → [`Plan`]: checked keys in the terms of the layers below.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::keys::{Config, LearnerKeys, RunKeys, SourceKeys};
use crate::config::values::{ComponentsKey, ForgettingKey, RuleKey, StepKey};
use crate::learner::drift::DriftParams;
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Step};
use crate::source::{Decoders, Limit, SourceParams};

/// Long half-lives of a short one, where nobody says.
const DRIFT_LONG: u64 = 20;
/// Components watched, where nobody says.
const DRIFT_COMPONENTS: usize = 10;

/// Components learned where a fraction of the variance says how many are reported: reading them out at the end of the
/// one pass needs all that could be wanted. Where all directions are held anyway, more can be reported.
const CAPACITY: usize = 100;

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Parameters of the learner. If `variance` is set, its components are the most that it learns, and may be more
    /// than there are features.
    pub learner: LearnerParams,
    /// The fraction of the total variance that the components reported are to explain, if that is what was asked for.
    pub variance: Option<f64>,
    /// Parameters of drift detection, if it is on.
    pub drift: Option<DriftParams>,
    /// How to read.
    pub source: SourceParams,
    /// Keys of the worker process that decodes, among others.
    pub source_keys: SourceKeys,
    /// Threads and room.
    pub run: RunKeys,
    /// Directory that snapshots go to.
    pub output: Option<PathBuf>,
}

impl TryFrom<&Config> for Plan {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let learner = learner(config);
        let variance = config.learner.components.variance();
        let run = config.run.clone();
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
                features_least: variance.map_or(learner.components, |_| 1),
                decoders: if run.threads > 1 {
                    Decoders::Two
                } else {
                    Decoders::One
                },
            },
            source_keys: source.clone(),
            drift: drift(config, learner.components),
            learner,
            variance,
            run,
            output: config.output.dir.clone(),
        })
    }
}

fn learner(config: &Config) -> LearnerParams {
    let keys = &config.learner;
    LearnerParams {
        components: match keys.components {
            ComponentsKey::Count(count) => count,
            ComponentsKey::Variance(_) => CAPACITY,
        },
        oversampling: keys.oversampling.value(),
        rule: rule(keys),
        precision: keys.precision,
        minibatch: keys.minibatch.value(),
        center: keys.center,
        scale: keys.scale,
        penalty: keys.penalty.value().map_or(Penalty::Auto, Penalty::Fixed),
        forgetting: match keys.forgetting {
            ForgettingKey::None(_) => Forgetting::None,
            ForgettingKey::Factor(factor) => Forgetting::PerRow(factor),
            ForgettingKey::HalfLife { half_life_rows } => Forgetting::HalfLifeRows(half_life_rows),
        },
        seed: keys.seed,
    }
}

fn rule(keys: &LearnerKeys) -> Rule {
    let step = match keys.step {
        StepKey::Named(_) => Step::AdaOja,
        StepKey::Constant { constant } => Step::Constant(constant),
        StepKey::COverT { c_over_t } => Step::COverT(c_over_t),
    };
    match (keys.rule, step) {
        (RuleKey::ClosedForm, _) => Rule::ClosedForm,
        (RuleKey::Oja, step) => Rule::Oja(step),
        (RuleKey::MatrixStep, Step::COverT(c)) => Rule::MatrixStep { c },
        // The default of `step` belongs to `oja` (a constant was refused); 2 forgets the start as 1/t².
        (RuleKey::MatrixStep, _) => Rule::MatrixStep { c: 2.0 },
    }
}

fn drift(config: &Config, learned: usize) -> Option<DriftParams> {
    let keys = &config.drift;
    let short = keys.short_half_life_rows?;
    let long = keys.long_half_life_rows.value();
    let components = keys.components.value().unwrap_or(DRIFT_COMPONENTS);
    Some(DriftParams {
        short_half_life_rows: short,
        long_half_life_rows: long.unwrap_or(DRIFT_LONG * short),
        components: components.min(learned),
        false_alarms_per_row: keys.false_alarms_per_million_rows * 1e-6,
        seed: config.learner.seed,
    })
}
