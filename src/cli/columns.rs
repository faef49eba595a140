//! Flags for the choice of features and the policies for bad values, shared by all commands that
//! read rows.

use serde::de::{DeserializeOwned, IntoDeserializer as _};

use crate::config::Config;
use crate::source::{BadValue, BinaryDtype};
#[cfg(feature = "lab")]
use crate::source::{Limit, SourceParams};

/// The keys of `[features]`, and what is done with bad values.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Columns {
    /// Columns to use, by name or glob; may be repeated. Default: every numeric column.
    #[arg(long, value_name = "NAME")]
    include: Vec<String>,
    /// Columns to leave out, by name or glob; may be repeated.
    #[arg(long, value_name = "NAME")]
    exclude: Vec<String>,
    /// Column that identifies a row: never a feature; may be repeated.
    #[arg(long = "id", value_name = "COLUMN")]
    ids: Vec<String>,
    /// Type of the values in fixed-size binary columns: f16, f32 or f64.
    #[arg(long, value_name = "TYPE", value_parser = dtype)]
    dtype: Option<BinaryDtype>,
    /// What to do with a null: error, skip (leave the row out) or mean. With mean, a feature contributes
    /// nothing until its first value.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_null: Option<BadValue>,
    /// What to do with a NaN: error, skip or mean.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_nan: Option<BadValue>,
    /// What to do with an infinity: error, skip or mean.
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    on_inf: Option<BadValue>,
}

/// What a word means in the configuration.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, serde::de::value::Error> {
    T::deserialize(text.into_deserializer())
}

fn policy(text: &str) -> Result<BadValue, &'static str> {
    word(text).map_err(|_| "use error, skip or mean")
}

fn dtype(text: &str) -> Result<BinaryDtype, &'static str> {
    word(text).map_err(|_| "use f16, f32 or f64")
}

impl Columns {
    /// Sets the keys that a flag names.
    pub(super) fn apply(&self, config: &mut Config) {
        config.features.include.extend(self.include.iter().cloned());
        config.features.exclude.extend(self.exclude.iter().cloned());
        config.features.ids.extend(self.ids.iter().cloned());
        config.features.dtype = self.dtype.or(config.features.dtype);
        let source = &mut config.source;
        source.on_null = self.on_null.unwrap_or(source.on_null);
        source.on_nan = self.on_nan.unwrap_or(source.on_nan);
        source.on_inf = self.on_inf.unwrap_or(source.on_inf);
    }

    /// Parameters for a command without a configuration that reads rows into f64; `label` is a
    /// column that it needs, before the ids.
    #[cfg(feature = "lab")]
    pub(super) fn params(&self, label: Option<&str>) -> SourceParams {
        let label = label.map(str::to_owned);
        SourceParams {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            ids: label.into_iter().chain(self.ids.iter().cloned()).collect(),
            dtype: self.dtype,
            on_null: self.on_null.unwrap_or_default(),
            on_nan: self.on_nan.unwrap_or_default(),
            on_inf: self.on_inf.unwrap_or_default(),
            limit: Limit::F64,
            ..SourceParams::default()
        }
    }
}
