//! TOML → a checked [`Plan`].
//!
//! [`Config`] is what a file or the command line says, unchecked; only a [`Plan`] runs. Every key
//! stands in `config/ojad.toml` with its default, unit and reason; a test holds the two together.

mod keys;
mod load;
mod plan;

pub use keys::{
    AutoOr, Config, FeaturesKeys, ForgettingKey, LearnerKeys, OutputKeys, PenaltyKey, PrecisionKey,
    RuleKey, RunKeys, ScaleKey, SourceKeys, StepKey,
};
pub use load::load;
pub use plan::{Plan, RunParams};

use std::path::PathBuf;

/// Why a configuration does not fit; exit code 78.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot read the configuration: {source}; check `--config`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML of these keys.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, key and nearest known key.
        reason: String,
    },
    /// A value is out of range.
    #[error("`{key}` = {value}: {remedy}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        remedy: &'static str,
    },
}
