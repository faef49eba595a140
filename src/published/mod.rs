//! Cells with the values that a run publishes.
//!
//! The trainer replaces values as a whole and waits for nobody; the HTTP server, and with it the page and
//! `ojad top`, reads immutable copies, so that no request can stall learning. Neither knows the other: both
//! know this.

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

/// The lowest priority of a thread (nice): a learner that is busy leaves a seventieth of its processor to
/// what is done for whoever looks on.
pub const NICE: i32 = 19;

/// Requests of clients that may wait; more is refused.
const REQUESTS_MAX: usize = 64;

/// Parameters that are published beside the run's own values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishParams {
    /// Id column by which rows are coloured.
    pub label: Option<String>,
    /// Height and width of the image that the features are.
    pub feature_shape: Option<[usize; 2]>,
    /// Standard error of directions at which a run counts as converged, radians.
    pub target_angle_rad: f64,
    /// True if snapshots and reloads can be asked for.
    pub can_control: bool,
}

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

/// A request of a client to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRequest {
    /// Write a snapshot now.
    Snapshot,
    /// Read the configuration again.
    Reload,
    /// Write a checkpoint now: somebody waits for it.
    Checkpoint,
}

/// The cells, shared by the run and whoever looks on.
#[derive(Debug)]
pub struct Published {
    /// Status of the run.
    pub status: Latest<Status>,
    /// The components and all that is known of them; `None` before the first row.
    pub snapshot: Latest<Option<Arc<Snapshot>>>,
    /// History of the run.
    pub history: Latest<History>,
    /// Parameters of drift detection, where it is on.
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
    /// Counts changes of pushed bodies: whoever waits for one of them looks again.
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

    /// Parameters that are published beside the run's own values.
    pub fn params(&self) -> &PublishParams {
        &self.params
    }

    /// Sets the status and tells whoever waits for it.
    pub fn set_status(&self, status: Status) {
        self.status.set(status);
        self.renewed.send_modify(|count| *count += 1);
    }

    /// Who takes pushed rows, if anybody does.
    pub fn push(&self) -> Option<&Arc<Push>> {
        self.push.get()
    }

    /// Pushed rows go there from now on; the first who says so is heard.
    pub fn set_push(&self, push: Arc<Push>) {
        let settled = self.settled.clone();
        push.on_change(move || settled.send_modify(|count| *count += 1));
        let _ = self.push.set(push);
    }

    /// Asks the run for something; false if too much was asked for already.
    pub fn request(&self, what: ControlRequest) -> bool {
        self.requests.0.try_send(what).is_ok()
    }

    /// Receiver of the requests of clients; never ends.
    pub fn requested(&self) -> Receiver<ControlRequest> {
        self.requests.1.clone()
    }
}
