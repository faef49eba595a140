//! Flags that override configuration keys.

use std::path::PathBuf;

use crate::config::{AutoOr, Config, ForgettingKey, Plan, PrecisionKey, RuleKey, ScaleKey, load};
use crate::source::{BadValue, BinaryDtype};

use super::{CliError, environment};

/// Keys of the configuration, as flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Configuration file; flags override its keys.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Columns to take, as a glob; may be repeated. Default: every numeric one.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Columns to leave, as a glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Column that identifies a row: never a feature; may be repeated.
    #[arg(long = "id", value_name = "COLUMN")]
    ids: Vec<String>,
    /// How fixed-size binary columns are read: f16, f32 or f64.
    #[arg(long, value_name = "TYPE", value_parser = dtype)]
    dtype: Option<BinaryDtype>,
    /// What a null does: error, skip or mean.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_null: Option<BadValue>,
    /// What a NaN does: error, skip or mean.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_nan: Option<BadValue>,
    /// What an infinity does: error, skip or mean.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_inf: Option<BadValue>,
    /// Rows a minibatch. Default: chosen from the number of features and components.
    #[arg(long, value_name = "ROWS")]
    minibatch: Option<usize>,
    /// Directions held beside the components. Default: max(10, components).
    #[arg(long, value_name = "P")]
    oversampling: Option<usize>,
    /// The learning rule.
    #[arg(long, value_enum, value_name = "RULE")]
    rule: Option<RuleKey>,
    /// Width of the large products.
    #[arg(long, value_enum, value_name = "WIDTH")]
    precision: Option<PrecisionKey>,
    /// Units of the features.
    #[arg(long, value_enum, value_name = "UNITS")]
    scale: Option<ScaleKey>,
    /// Do not take the mean off.
    #[arg(long)]
    no_center: bool,
    /// Components with an eigenvalue below this are inactive. Default: the noise edge.
    #[arg(long, value_name = "LAMBDA")]
    penalty: Option<f64>,
    /// Rows after which a row's weight has halved. Default: never.
    #[arg(long, value_name = "ROWS")]
    half_life_rows: Option<f64>,
    /// 1: read and learn in turn; 2: read ahead on a thread of its own.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

fn policy(text: &str) -> Result<BadValue, String> {
    match text {
        "error" => Ok(BadValue::Error),
        "skip" => Ok(BadValue::Skip),
        "mean" => Ok(BadValue::Mean),
        _ => Err("use error, skip or mean".into()),
    }
}

fn dtype(text: &str) -> Result<BinaryDtype, String> {
    match text {
        "f16" => Ok(BinaryDtype::F16),
        "f32" => Ok(BinaryDtype::F32),
        "f64" => Ok(BinaryDtype::F64),
        _ => Err("use f16, f32 or f64".into()),
    }
}

impl Overrides {
    /// The plan of the configuration file, if one is named, with these flags and `components`
    /// over it.
    ///
    /// # Errors
    /// If the file or a value does not fit.
    pub(super) fn plan(&self, components: Option<usize>) -> Result<Plan, CliError> {
        let refused = |error: crate::config::ConfigError| CliError::BadConfig(error.to_string());
        let loaded = load(self.config.as_deref(), environment()).map_err(refused)?;
        let mut config = loaded.config;
        self.apply(&mut config);
        if let Some(components) = components {
            config.learner.components = components;
        }
        Plan::try_from(&config).map_err(refused)
    }

    fn apply(&self, config: &mut Config) {
        config.features.include.extend(self.include.iter().cloned());
        config.features.exclude.extend(self.exclude.iter().cloned());
        config.features.ids.extend(self.ids.iter().cloned());
        config.features.dtype = self.dtype.or(config.features.dtype);
        let source = &mut config.source;
        source.on_null = self.on_null.unwrap_or(source.on_null);
        source.on_nan = self.on_nan.unwrap_or(source.on_nan);
        source.on_inf = self.on_inf.unwrap_or(source.on_inf);
        let learner = &mut config.learner;
        learner.rule = self.rule.unwrap_or(learner.rule);
        learner.precision = self.precision.unwrap_or(learner.precision);
        learner.scale = self.scale.unwrap_or(learner.scale);
        learner.center &= !self.no_center;
        learner.minibatch = self.minibatch.map_or(learner.minibatch, AutoOr::Is);
        learner.oversampling = self.oversampling.map_or(learner.oversampling, AutoOr::Is);
        learner.penalty = self.penalty.map_or(learner.penalty, AutoOr::Is);
        if let Some(half_life_rows) = self.half_life_rows {
            learner.forgetting = ForgettingKey::HalfLife { half_life_rows };
        }
        config.run.threads = self.threads.unwrap_or(config.run.threads);
    }
}
