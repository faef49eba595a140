//! The keys of drift detection, their defaults, and what a run makes of them.

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::config::keys::{AutoOr, Config};
use crate::config::plan::refuse;
use crate::learner::drift::DriftParams;

/// Long half-lives of a short one, where nobody says.
const LONG: u64 = 20;
/// Components watched, where nobody says.
const COMPONENTS: usize = 10;
/// Rows of a short half-life: below the least, means of a block are not normal.
const ROWS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000_000;

/// Whether the last rows still come from what the rows before came from.
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
    /// What a drift does.
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

/// What a drift does, beside a line in the log and a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEventKey {
    /// Nothing.
    #[default]
    Report,
    /// A snapshot.
    Snapshot,
}

impl DriftKeys {
    /// What is to be watched, if anything is.
    ///
    /// # Errors
    /// If a value is out of its bounds.
    pub fn params(&self, config: &Config) -> Result<Option<DriftParams>, ConfigError> {
        let rate = self.false_alarms_per_million_rows;
        if !(0.0..=1000.0).contains(&rate) {
            return Err(refuse(
                "drift.false_alarms_per_million_rows",
                rate,
                "use 0 (no alarm, only reports) to 1000",
            ));
        }
        let components = self.components.value();
        if components == Some(0) {
            let remedy = "use \"auto\" or 1 up";
            return Err(refuse("drift.components", 0, remedy));
        }
        let Some(short) = self.short_half_life_rows else {
            return Ok(None);
        };
        if !ROWS.contains(&short) {
            let remedy = "use 1000 to 10^12 rows, or leave it out";
            return Err(refuse("drift.short_half_life_rows", short, remedy));
        }
        let long = self.long_half_life_rows.value().unwrap_or(LONG * short);
        if long < 4 * short || long > 1000 * short {
            let remedy = "use \"auto\", or 4 to 1000 times `drift.short_half_life_rows`";
            return Err(refuse("drift.long_half_life_rows", long, remedy));
        }
        let most = config.learner.components;
        Ok(Some(DriftParams {
            short_half_life_rows: short,
            long_half_life_rows: long,
            components: components.unwrap_or(COMPONENTS).min(most),
            false_alarms_per_row: rate * 1e-6,
            seed: config.learner.seed,
        }))
    }
}
