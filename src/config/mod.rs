//! TOML → a checked [`Plan`].
//!
//! [`Config`] is what a file or the command line says, unchecked; only a [`Plan`] runs. Every key
//! stands in `config/ojad.toml` with its default, unit and reason; a test holds the two together.

mod auto;
mod drift;
mod follow;
mod http;
mod keys;
mod load;
mod plan;
mod ranges;
mod state;

pub use auto::AutoOr;
pub use drift::{DriftKeys, OnEventKey};
pub use follow::{
    IsolationKey, LogFormat, LogKeys, LogLevel, OnChanged, OutputKeys, QuarantineKey, RunKeys,
    SourceKeys, StateKeys,
};
pub use http::{ControlKey, HttpKeys, TOKEN_VARIABLE, TokenError};
pub use keys::{Config, FeaturesKeys, ForgettingKey, LearnerKeys, PenaltyKey, RuleKey, StepKey};
pub use load::{Loaded, Origin, UNSET, load};
pub use plan::{Plan, drift_params};
pub use state::{describe_state_changes, state_text};

use std::path::PathBuf;

/// Why a configuration does not fit; exit code 78.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot read the configuration: {source}; check `--config`", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is no TOML of these keys.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Line, key and nearest known key.
        reason: String,
    },
    /// A variable of the environment that is no key.
    #[error(
        "{name}: not a configuration key; did you mean {nearest}? Unset it, or correct its name"
    )]
    UnknownVariable {
        /// Name of the variable.
        name: String,
        /// The nearest that is one.
        nearest: String,
    },
    /// A variable of the environment whose value does not fit.
    #[error("{name} = {value}: {reason}; correct the variable or unset it")]
    Variable {
        /// Name of the variable.
        name: String,
        /// Its value.
        value: String,
        /// The reason, in words.
        reason: String,
    },
    /// A key that this command cannot do without.
    #[error("`{key}` is unset: {remedy}")]
    Missing {
        /// Name of the key.
        key: &'static str,
        /// Values that would do.
        remedy: &'static str,
    },
    /// A value is out of range.
    #[error("`{key}` = {value}: {remedy}")]
    Value {
        /// Name of the key.
        key: &'static str,
        /// Its value.
        value: String,
        /// Values that would do.
        remedy: &'static str,
    },
}

fn refuse(key: &'static str, value: impl std::fmt::Display, remedy: &'static str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_string(),
        remedy,
    }
}
