//! Flags that override configuration keys.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

use crate::config::{AutoOr, ComponentsKey, Config, ForgettingKey, Plan, RuleKey, load};
use crate::learner::{Precision, Scale};

use super::columns::{Columns, word};
use super::{CliError, environment};

/// Keys of the configuration, as flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Configuration file; flags override its keys.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    /// Rows per minibatch. Default: chosen from the numbers of features and components.
    #[arg(long, value_name = "ROWS")]
    minibatch: Option<usize>,
    /// Directions held in addition to the components. Default: max(10, components).
    #[arg(long, value_name = "P")]
    oversampling: Option<usize>,
    /// The learning rule.
    #[arg(long, value_enum, value_name = "RULE")]
    rule: Option<RuleKey>,
    /// Width of the large products.
    #[arg(long, value_parser = one_of::<Precision>(PRECISION), value_name = "WIDTH")]
    precision: Option<Precision>,
    /// Units of the features.
    #[arg(long, value_parser = one_of::<Scale>(SCALE), value_name = "UNITS")]
    scale: Option<Scale>,
    /// Do not subtract the mean.
    #[arg(long)]
    no_center: bool,
    /// Components with an eigenvalue below this are inactive. Default: the noise edge.
    #[arg(long, value_name = "LAMBDA")]
    penalty: Option<f64>,
    /// Rows after which a row's weight has halved. Default: never.
    #[arg(long, value_name = "ROWS")]
    half_life_rows: Option<f64>,
    /// 1: read and learn in turn; 2: read ahead on a second thread.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Words of `learner.precision`, with their help.
const PRECISION: [(&str, &str); 2] = [
    ("f32", "f32 products"),
    ("f64", "f64 and orthogonal factorizations"),
];

/// Words of `learner.scale`, with their help.
const SCALE: [(&str, &str); 2] = [
    ("none", "As they are read"),
    ("standard", "Divided by the running standard deviation"),
];

/// Takes one of these words as the configuration does.
fn one_of<T>(words: [(&'static str, &'static str); 2]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let words = words.map(|(word, help)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(words).try_map(|text| word(&text))
}

impl Overrides {
    /// The plan of the configuration file, if one is named, with these flags and `components`
    /// over it.
    ///
    /// # Errors
    /// If the file or a value does not fit.
    pub(super) fn plan(&self, components: Option<ComponentsKey>) -> Result<Plan, CliError> {
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
        self.columns.apply(config);
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
