//! A key that is `"auto"` or a value.

use serde::{Deserialize, Serialize};

/// `"auto"` or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"auto\" or a non-negative number")]
pub enum AutoOr<T> {
    /// Chosen by the program.
    Auto(Auto),
    /// This.
    Is(T),
}

/// The word `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// Chosen by the program.
    Auto,
}

impl<T> AutoOr<T> {
    /// `"auto"`
    pub const AUTO: Self = Self::Auto(Auto::Auto);

    /// The value, unless it is `"auto"`.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Auto(_) => None,
            Self::Is(value) => Some(value),
        }
    }
}
