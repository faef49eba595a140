//! Status of a run, in one object.

use serde::Serialize;

use super::convergence::Convergence;
use crate::learner::drift::DriftReport;

/// Status of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, as clients read it"
)]
pub struct Status {
    /// Version of the program.
    pub version: &'static str,
    /// Seconds since 1970 when it started.
    pub started_unix_s: u64,
    /// Seconds since 1970 when this status was made.
    pub now_unix_s: u64,
    /// The state as a word.
    pub state: RunState,
    /// Seconds since 1970 when that state began.
    pub since_unix_s: u64,
    /// The state as a sentence.
    pub headline: String,
    /// True if all required files can be written and rows are being learned.
    pub is_ready: bool,
    /// Reasons why it is not ready.
    pub reasons: Vec<String>,
    /// Features; 0 before the first file.
    pub features: usize,
    /// Components.
    pub components: usize,
    /// Number of rows learned.
    pub rows: u64,
    /// Rows read, accepted or not.
    pub rows_read: u64,
    /// Rows left out by a policy.
    pub rows_rejected: u64,
    /// Of these, rows with a null, else with a NaN, else with an infinity.
    pub rejected_by: [u64; 3],
    /// Rows waiting for a full minibatch.
    pub rows_waiting: u64,
    /// Rows learned per second, over the last ten seconds.
    pub rows_per_s: f64,
    /// Number of remembered files.
    pub files: usize,
    /// Files refused so far.
    pub quarantined: u64,
    /// Files seen but not learned yet.
    pub lag_files: u64,
    /// Total bytes of these.
    pub lag_bytes: u64,
    /// The file being read.
    pub reading: Option<String>,
    /// Seconds since 1970 of the last checkpoint of this run.
    pub checkpoint_unix_s: Option<u64>,
    /// Seconds since 1970 of the last snapshot of this run.
    pub snapshot_unix_s: Option<u64>,
    /// Name of the last snapshot of this run.
    pub snapshot: Option<String>,
    /// Number of drifts so far.
    pub drifts: u64,
    /// True if drift is watched.
    pub is_drift_watched: bool,
    /// Seconds since 1970 of the last drift of this run.
    pub drifted_unix_s: Option<u64>,
    /// How far the latest rows are from the earlier ones, if drift is watched.
    pub drift: Option<DriftReport>,
    /// How far the components are from the chosen accuracy; `None` before they are known.
    pub convergence: Option<Convergence>,
    /// Column that determines the colour of rows.
    pub label: Option<String>,
    /// Height and width of the image that the features form, if they do.
    pub feature_shape: Option<[usize; 2]>,
    /// True if rows can be pushed.
    pub can_push: bool,
    /// True if clients can request snapshots and reloads.
    pub can_control: bool,
}

/// The activity of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Rows arrive and are learned.
    Learning,
    /// Nothing is left to learn.
    #[default]
    Waiting,
    /// The feed has changed, and a short half-life of rows has not yet passed since.
    Drifted,
    /// Something cannot be read or written.
    Degraded,
}

impl Status {
    /// Describes the status in words.
    pub fn sentence(&self) -> String {
        if !self.reasons.is_empty() {
            return format!("Degraded: {}", self.reasons.join("; "));
        }
        let files = match self.lag_files {
            0 => String::new(),
            1 => ", one file to go".to_owned(),
            n => format!(", {n} files to go"),
        };
        match (self.state, self.rows) {
            (RunState::Drifted, _) => {
                format!("Drifted: the last rows differ from those before; learning goes on{files}")
            }
            (RunState::Waiting, 0) => "Waiting for the first rows".to_owned(),
            (RunState::Waiting, _) => "Idle: every available row has been learned".to_owned(),
            _ if self.rows_per_s > 0.0 => {
                format!("Learning {:.0} rows/s{files}", self.rows_per_s)
            }
            _ => format!("Learning{files}"),
        }
    }

    /// Rows left out, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["null", "nan", "infinity"]
            .into_iter()
            .zip(self.rejected_by)
    }
}
