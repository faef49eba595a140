//! Cells with the values that a run publishes.
//!
//! The trainer replaces values as a whole and never waits; the HTTP server, and with it the page
//! and `ojad top`, reads immutable copies, so that no request can stall learning. Neither depends
//! on the other; both depend on this module.

mod convergence;
mod history;
mod kept;
mod log;
mod recent;
mod status;
mod updates;
mod views;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::watch;

pub use self::convergence::Convergence;
pub use self::history::{Drifted, History, Point};
pub use self::kept::{Kept, Row, TOP_MAX};
pub use self::log::{LogLine, LogTail};
pub use self::recent::{Columns, Recent, Sampler, sample};
pub use self::status::{RunState, Status};
pub use self::updates::Updates;
pub use self::views::{
    FILES_MAX, Page, QUARANTINE_MAX, Quarantine, QuarantinePage, Refused, SourceFile, Sources,
};

use crate::learner::drift::DriftParams;
use crate::snapshot::Snapshot;
use crate::source::follow::Push;

/// The lowest priority of a thread (nice): a busy learner leaves about a seventieth of its
/// processor to work done for observers.
pub const NICE: i32 = 19;

/// Most waiting requests of clients; more are refused.
const REQUESTS_MAX: usize = 64;

/// Parameters that are published along with the run's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishParams {
    /// Id column that determines the colour of rows.
    pub label: Option<String>,
    /// Height and width of the image that the features form.
    pub feature_shape: Option<[usize; 2]>,
    /// Standard error of directions at which a run counts as converged, radians.
    pub target_angle_rad: f64,
    /// True if clients can request snapshots and reloads.
    pub can_control: bool,
}

/// A value that is replaced as a whole.
#[derive(Debug, Default)]
pub struct Latest<T>(RwLock<Arc<T>>);

impl<T> Latest<T> {
    /// The current value.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it.
    pub fn set(&self, value: T) {
        let value = Arc::new(value);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// A request of a client to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRequest {
    /// Write a snapshot now.
    Snapshot,
    /// Read the configuration again.
    Reload,
    /// Write a checkpoint now: a client is waiting for it.
    Checkpoint,
}

/// The cells, shared by the run and its observers.
#[derive(Debug)]
pub struct Published {
    /// Status of the run.
    pub status: Latest<Status>,
    /// The components and everything known about them; `None` before the first row.
    pub snapshot: Latest<Option<Arc<Snapshot>>>,
    /// History of the run.
    pub history: Latest<History>,
    /// Parameters of drift detection, where it is on.
    pub drift_params: Latest<Option<DriftParams>>,
    /// Files.
    pub sources: Latest<Sources>,
    /// Refused files.
    pub quarantine: Latest<Quarantine>,
    /// Recent rows.
    pub recent: Recent,
    /// The last lines of the log.
    pub log: LogTail,
    /// Durations of updates in seconds.
    pub updates: Updates,
    /// Counts updates of the status: event streams wait for the next one.
    pub renewed: watch::Sender<u64>,
    /// Counts changes of pushed bodies: requests waiting for one of them check again.
    pub settled: watch::Sender<u64>,
    params: PublishParams,
    push: OnceLock<Arc<Push>>,
    requests: (Sender<ControlRequest>, Receiver<ControlRequest>),
}

impl Published {
    /// Nothing is known yet.
    pub fn new(params: PublishParams, log: LogTail) -> Self {
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
            settled: watch::Sender::default(),
            params,
            push: OnceLock::new(),
            requests: bounded(REQUESTS_MAX),
        }
    }

    /// Parameters that are published along with the run's values.
    pub fn params(&self) -> &PublishParams {
        &self.params
    }

    /// Sets the status and notifies those waiting for it.
    pub fn set_status(&self, status: Status) {
        self.status.set(status);
        self.renewed.send_modify(|count| *count += 1);
    }

    /// The receiver of pushed rows, if there is one.
    pub fn push(&self) -> Option<&Arc<Push>> {
        self.push.get()
    }

    /// Sets the receiver of pushed rows; only the first call has an effect.
    pub fn set_push(&self, push: Arc<Push>) {
        let settled = self.settled.clone();
        push.on_change(move || settled.send_modify(|count| *count += 1));
        let _ = self.push.set(push);
    }

    /// Sends a request to the run; false if too many are waiting.
    pub fn request(&self, what: ControlRequest) -> bool {
        self.requests.0.try_send(what).is_ok()
    }

    /// Receiver of the requests of clients; never ends.
    pub fn requested(&self) -> Receiver<ControlRequest> {
        self.requests.1.clone()
    }
}
