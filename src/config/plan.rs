//! [`Config`] → [`Plan`]: the one place where values are checked.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::follow::{QuarantineKey, RunKeys};
use crate::config::keys::{Config, ForgettingKey, PrecisionKey, RuleKey, ScaleKey, StepKey};
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};
use crate::source::{Decoders, Limit, SourceParams};

/// Largest k: the r×r algebra of more would dwarf the products.
const MOST_COMPONENTS: usize = 10_000;

/// Largest minibatch: 2²⁰ rows are more than any cache.
const LARGEST_MINIBATCH: usize = 1 << 20;

/// Most minibatches that may wait: beyond it reading ahead gains nothing and memory grows.
const LONGEST_CHANNEL: usize = 1_024;

/// Longest time that a key may name, seconds: ten years.
const LONGEST_S: u64 = 10 * 366 * 86_400;

/// Threads and room, checked.
pub type RunParams = RunKeys;

/// A configuration that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How to learn.
    pub learner: LearnerParams,
    /// How to read.
    pub source: SourceParams,
    /// Threads and room.
    pub run: RunParams,
    /// Directory of snapshots.
    pub output: Option<PathBuf>,
}

fn refuse(key: &'static str, value: impl std::fmt::Display, remedy: &'static str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_string(),
        remedy,
    }
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
        ranges(config)?;
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

/// Numbers that must lie within bounds.
fn ranges(config: &Config) -> Result<(), ConfigError> {
    let (source, output, drift) = (&config.source, &config.output, &config.drift);
    let within = |key, value: u64, least: u64, most: u64, remedy| {
        if (least..=most).contains(&value) {
            Ok(())
        } else {
            Err(refuse(key, value, remedy))
        }
    };
    let hour = "use 1 to 3600000 ms";
    within(
        "source.rescan_ms",
        source.rescan_ms,
        10,
        3_600_000,
        "use 10 to 3600000 ms",
    )?;
    within(
        "source.latency_max_ms",
        source.latency_max_ms.unwrap_or(1),
        1,
        3_600_000,
        hour,
    )?;
    let seconds = "use 1 s to ten years";
    within(
        "source.incomplete_age_s",
        source.incomplete_age_s,
        1,
        LONGEST_S,
        seconds,
    )?;
    within(
        "source.decode_deadline_s",
        source.decode_deadline_s,
        1,
        86_400,
        "use 1 to 86400 s",
    )?;
    let memory = "use 256 MiB to 1 TiB";
    within(
        "source.worker_memory_mib",
        source.worker_memory_mib,
        256,
        1 << 20,
        memory,
    )?;
    within(
        "source.spool_mib",
        source.spool_mib,
        1,
        1 << 30,
        "use 1 MiB up",
    )?;
    within(
        "state.checkpoint_s",
        config.state.checkpoint_s,
        1,
        LONGEST_S,
        seconds,
    )?;
    let rows = "use \"auto\" or 1 row up";
    let checkpoint_rows = config.state.checkpoint_rows.value().unwrap_or(1);
    within("state.checkpoint_rows", checkpoint_rows, 1, u64::MAX, rows)?;
    within("output.every_s", output.every_s, 1, LONGEST_S, seconds)?;
    let every_rows = output.every_rows.value().unwrap_or(1);
    within("output.every_rows", every_rows, 1, u64::MAX, rows)?;
    within(
        "output.keep",
        output.keep as u64,
        1,
        1_000_000,
        "use 1 to 1000000",
    )?;
    within(
        "output.keep_daily",
        output.keep_daily as u64,
        0,
        36_600,
        "use 0 to 36600 days",
    )?;
    within(
        "run.drain_s",
        config.run.drain_s,
        1,
        3600,
        "use 1 to 3600 s",
    )?;
    let positive = |key, value: f64, remedy| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(refuse(key, value, remedy))
        }
    };
    let short = drift.short_half_life_rows.unwrap_or(1.0);
    positive(
        "drift.short_half_life_rows",
        short,
        "use a number of rows above 0",
    )?;
    let alarms = drift.false_alarms_per_million_rows;
    positive(
        "drift.false_alarms_per_million_rows",
        alarms,
        "use a number above 0",
    )?;
    if let Some(long) = drift.long_half_life_rows.value()
        && !(long.is_finite() && long > short)
    {
        let remedy = "use \"auto\" or more rows than the short half-life";
        return Err(refuse("drift.long_half_life_rows", long, remedy));
    }
    let moves = source.quarantine != QuarantineKey::Record;
    if moves && source.quarantine_dir.is_none() {
        return Err(ConfigError::Missing {
            key: "source.quarantine_dir",
            remedy: "name the directory that `source.quarantine` is to fill",
        });
    }
    Ok(())
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
                "use \"auto\" or a number from 0 up",
            ));
        }
    };
    Ok(LearnerParams {
        components: keys.components,
        oversampling,
        rule: rule(config)?,
        precision: match keys.precision {
            PrecisionKey::F32 => Precision::F32,
            PrecisionKey::F64 => Precision::F64,
        },
        minibatch,
        center: keys.center,
        scale: match keys.scale {
            ScaleKey::None => Scale::None,
            ScaleKey::Standard => Scale::Standard,
        },
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
