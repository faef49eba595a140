//! The keys of drift detection and their defaults.

use serde::{Deserialize, Serialize};

use crate::config::auto::AutoOr;

/// The comparison of the last rows with those before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftKeys {
    /// Rows after which a row counts half in the short-term state; unset: nothing is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_half_life_rows: Option<u64>,
    /// The same of the long-term state.
    pub long_half_life_rows: AutoOr<u64>,
    /// Components watched.
    pub components: AutoOr<usize>,
    /// False alarms on a feed that stays the same.
    pub false_alarms_per_million_rows: f64,
    /// Effect of a drift.
    pub on_event: OnEventKey,
}

impl Default for DriftKeys {
    fn default() -> Self {
        Self {
            short_half_life_rows: None,
            long_half_life_rows: AutoOr::default(),
            components: AutoOr::default(),
            false_alarms_per_million_rows: 0.1,
            on_event: OnEventKey::default(),
        }
    }
}

/// Effect of a drift, beside a line in the log and a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEventKey {
    /// Nothing.
    #[default]
    Report,
    /// A snapshot.
    Snapshot,
}
