//! The view that requests read and the trainer renews.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::learner::drift::DriftReport;
use crate::snapshot::Snapshot;

/// What a run is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: &'static str,
    /// Seconds since 1970 when it started.
    pub started_unix_s: u64,
    /// Whether everything that must be written is written, and rows are learned.
    pub is_ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// Features; 0 before the first file.
    pub features: usize,
    /// Rows learned.
    pub rows: u64,
    /// Rows read, accepted or not.
    pub rows_read: u64,
    /// Rows left out by a policy.
    pub rows_rejected: u64,
    /// Rows that wait for a full minibatch.
    pub rows_waiting: u64,
    /// Files remembered.
    pub files: usize,
    /// Files refused so far.
    pub quarantined: u64,
    /// The file being read.
    pub reading: Option<String>,
    /// Seconds since 1970 of the last checkpoint of this run.
    pub checkpoint_unix_s: Option<u64>,
    /// Seconds since 1970 of the last snapshot of this run.
    pub snapshot_unix_s: Option<u64>,
    /// Drifts so far.
    pub drifts: u64,
    /// How far the last rows are from those before, where that is watched.
    pub drift: Option<DriftReport>,
}

/// Shared by the trainer and the server.
#[derive(Debug, Default)]
pub struct Live {
    status: RwLock<Arc<Status>>,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
}

impl Live {
    /// The status now.
    pub fn status(&self) -> Arc<Status> {
        let status = self.status.read();
        Arc::clone(&status.unwrap_or_else(PoisonError::into_inner))
    }

    /// The components and all that is known of them; nothing before the first row.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.read();
        snapshot
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Arc::clone)
    }

    /// Sets the status.
    pub fn set_status(&self, status: Status) {
        let status = Arc::new(status);
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Sets the components.
    pub fn set_snapshot(&self, snapshot: Snapshot) {
        let snapshot = Some(Arc::new(snapshot));
        *self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}
