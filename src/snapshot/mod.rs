//! Estimate → components, eigenvalues, files.
//!
//! A snapshot is a directory that appears atomically: [`write()`] builds it under a temporary name
//! and renames it, [`read()`] checks every checksum. [`table()`] formats it for people.

mod disk;
mod error;
mod limits;
mod output;
#[cfg(feature = "plot")]
mod plot;
mod read;
mod retain;
mod state;
mod table;
mod warnings;
mod write;

use serde::{Deserialize, Serialize};

pub use error::SnapshotError;
pub use limits::{LawView, LimitsView, limits_table};
pub use ojad_core::score::{Cells, Lane, Projection, Rows, ScoreBuffers, Scores};
pub use output::{Latest, Output, latest, share};
#[cfg(feature = "plot")]
pub use plot::draw;
pub use read::read;
pub use retain::{Listed, Retention, list, retain};
pub use state::summary_of;
pub use table::table;
pub use warnings::{Warning, warnings};
pub use write::{components_table, features_table, parquet_of, write, write_on};

use crate::learner::drift::DriftReport;
use crate::learner::{Estimate, LearnerParams};
use crate::rows::{Features, RowCounts, RunId, Watermark};

/// Version of the layout; a reader refuses a newer one.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that a snapshot holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Components and moments.
    pub estimate: Estimate,
    /// Names of the m features.
    pub features: Features,
    /// Rows and values counted.
    pub counts: RowCounts,
    /// The position after the last row learned.
    pub watermark: Watermark,
    /// How it was learned.
    pub provenance: Provenance,
}

/// How the components were learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The run that learned them, if any; `snapshot.json` stores it next to this, not in it.
    #[serde(skip)]
    pub run_id: Option<RunId>,
    /// The rule and its parameters, as text.
    pub learner: String,
    /// Rows of a full minibatch.
    pub minibatch_rows: usize,
    /// True if the mean was subtracted.
    pub center: bool,
    /// True if features were divided by their standard deviation.
    pub standard_scale: bool,
    /// Sum of the squared row weights: `effective_rows²` ÷ it is the effective sample size.
    pub squared_weight: f64,
    /// The fraction of the total variance that the components were to explain, if that is what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance_asked: Option<f64>,
    /// True if a signal interrupted the pass.
    pub interrupted: bool,
    /// Rows that were read but are not in the components because they wait for a full minibatch;
    /// only in snapshots of the first version.
    #[serde(default)]
    pub rows_waiting: u64,
    /// How far the latest rows are from the earlier ones, if the run watches drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftReport>,
    /// Warnings about features that should not be features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Provenance {
    /// Provenance of a pass with these parameters over m features.
    pub fn new(params: &LearnerParams, features: usize, squared_weight: f64) -> Self {
        Self {
            run_id: None,
            learner: format!(
                "{:?}, {:?}, {:?}",
                params.rule, params.precision, params.forgetting
            ),
            minibatch_rows: params.minibatch_rows(features),
            center: params.center,
            standard_scale: params.scale == crate::learner::Scale::Standard,
            squared_weight,
            variance_asked: None,
            interrupted: false,
            rows_waiting: 0,
            drift: None,
            warnings: Vec::new(),
        }
    }
}
