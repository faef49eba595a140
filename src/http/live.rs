//! The views that requests read and the run renews: immutable copies, so that no request can stall
//! learning.

use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::Sender;
use tokio::sync::watch;

use super::history::History;
use super::log::LogTail;
use super::metrics::Updates;
use super::recent::Recent;
use super::status::Status;
use super::views::{Quarantine, Sources};
use crate::learner::drift::DriftParams;
use crate::snapshot::Snapshot;
use crate::source::follow::Push;

/// A value that is replaced as a whole.
#[derive(Debug, Default)]
pub struct Latest<T>(RwLock<Arc<T>>);

impl<T> Latest<T> {
    /// The value now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it.
    pub fn set(&self, value: T) {
        let value = Arc::new(value);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// What a client may ask of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Write a snapshot now.
    Snapshot,
    /// Read the configuration again.
    Reload,
    /// Write a checkpoint now: somebody waits for it.
    Checkpoint,
}

/// Shared by the run and the server.
#[derive(Debug)]
pub struct Live {
    /// What the run is doing.
    pub status: Latest<Status>,
    /// The components and all that is known of them; nothing before the first row.
    pub snapshot: Latest<Option<Arc<Snapshot>>>,
    /// What happened over time.
    pub history: Latest<History>,
    /// What drift is, where it is watched.
    pub drift_params: Latest<Option<DriftParams>>,
    /// Files.
    pub sources: Latest<Sources>,
    /// Refused files.
    pub quarantine: Latest<Quarantine>,
    /// Rows of late.
    pub recent: Recent,
    /// The last lines of the log.
    pub log: LogTail,
    /// Seconds that updates took.
    pub updates: Updates,
    /// Counts renewals of the status: whoever streams events waits for the next one.
    pub renewed: watch::Sender<u64>,
    /// Who takes pushed rows, if anybody does.
    pub push: Option<Arc<Push>>,
    asks: Sender<Ask>,
}

impl Live {
    /// Nothing to show yet; what clients ask goes to `asks`.
    pub fn new(asks: Sender<Ask>, log: LogTail) -> Self {
        Self {
            status: Latest::default(),
            snapshot: Latest::default(),
            history: Latest::default(),
            drift_params: Latest::default(),
            sources: Latest::default(),
            quarantine: Latest::default(),
            recent: Recent::default(),
            log,
            updates: Updates::default(),
            renewed: watch::Sender::default(),
            push: None,
            asks,
        }
    }

    /// Pushed rows go there.
    #[must_use]
    pub fn with_push(mut self, push: Option<Arc<Push>>) -> Self {
        self.push = push;
        self
    }

    /// Sets the status and tells whoever waits for it.
    pub fn set_status(&self, status: Status) {
        self.status.set(status);
        self.renewed.send_modify(|count| *count += 1);
    }

    /// Asks the run for something; whether it will hear of it.
    pub fn ask(&self, what: Ask) -> bool {
        self.asks.try_send(what).is_ok()
    }
}
