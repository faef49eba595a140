//! TOML → a checked [`Plan`].
//!
//! [`Config`] is what a file or the command line says, unchecked; only a [`Plan`] runs. Every key is declared
//! in `keys.rs` with its type, default and range, and stands in `config/ojad.toml` with its default, unit and
//! reason; a test holds the two together.

mod auto;
mod declare;
mod http;
mod keys;
mod load;
mod plan;
mod rules;
mod state;
#[cfg(test)]
mod tests;
mod values;

pub use auto::AutoOr;
pub use http::{TOKEN_VARIABLE, TokenError};
pub use keys::{
    Config, DriftKeys, FeaturesKeys, HttpKeys, KEYS, LearnerKeys, LogKeys, OutputKeys, RunKeys,
    SourceKeys, StateKeys,
};
pub use load::{Loaded, Origin, load};
pub use plan::Plan;
pub use state::{describe_state_changes, state_text};
pub use values::{
    ComponentsKey, ControlKey, ForgettingKey, IsolationKey, LogFormat, LogLevel, OnChanged,
    OnEventKey, QuarantineKey, RuleKey, StepKey,
};

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
