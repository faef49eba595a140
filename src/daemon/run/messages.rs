//! Messages between the threads, and the outcome of a run.

use std::path::PathBuf;
use std::time::Instant;

use crate::checkpoint::CheckpointError;
use crate::learner::LearnError;
use crate::rows::{Minibatch, RowIds, RunId};
use crate::snapshot::SnapshotError;
use crate::source::follow::{Event, SpoolError};

/// From the ingest thread to the trainer.
pub(super) enum IngestMessage {
    /// A minibatch, and the events up to its end.
    Batch {
        batch: Minibatch,
        /// Ids of its rows, if wanted for display.
        row_ids: Option<RowIds>,
        events: Vec<Event>,
        /// When the first of its rows became available.
        since: Instant,
    },
    /// Nothing more for now: the rows waiting for a full minibatch, and the events up to them.
    Pause {
        waiting: Option<Minibatch>,
        events: Vec<Event>,
    },
    /// Nothing more at all.
    Ended(Option<RunError>),
}

/// From outside to the trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Learn what was read, write everything, and stop.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Write a snapshot now.
    Snapshot,
}

/// Outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Rows learned, over all runs of this state.
    pub rows: u64,
    /// Rows waiting for a full minibatch, in the checkpoint; the snapshot has learned them.
    pub rows_waiting: u64,
    /// True if the last checkpoint contains everything learned.
    pub is_durable: bool,
}

/// Why a run ended on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An observer, such as a server, cannot start.
    #[error(transparent)]
    Begun(Box<dyn std::error::Error + Send + Sync>),
    /// The state could not be read, or belongs to another process.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint was made with different keys.
    #[error(
        "{}: the state was learned with another configuration ({changes}); restore the keys, \
         choose a new `state.dir`, or start over with `--reset-state`", path.display()
    )]
    OtherConfig {
        /// Path of the state directory.
        path: PathBuf,
        /// Keys, old and new values.
        changes: String,
    },
    /// The content of a checkpoint is inconsistent.
    #[error("{}: {reason}; start over with `--reset-state`, or use the version of ojad that wrote it", path.display())]
    State {
        /// Path of the state directory.
        path: PathBuf,
        /// The reason, in words.
        reason: String,
    },
    /// A minibatch could not be learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The consumed part of a file changed.
    #[error(
        "{}: {reason}; reading has stopped (`source.on_changed` = \"stop\"): restore the file, or \
         set the key to \"quarantine\" to continue without it", path.display()
    )]
    Changed {
        /// Path of the file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// A stream could not be stored.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The last checkpoint could not be written.
    #[error(
        "the last checkpoint could not be written: {reason}; the one before it is intact, and the \
          next run reads the rows after it again"
    )]
    NotDurable {
        /// The error of the disk.
        reason: String,
    },
    /// The state directory was moved, replaced or removed.
    #[error(
        "{}: the state directory {how} during the run, so the run stopped without writing more; \
         {remedy}: the last checkpoint has {rows} rows, and the rows after it are read again",
        path.display()
    )]
    Displaced {
        /// Its former path.
        path: PathBuf,
        /// The event, in words.
        how: String,
        /// The remedy.
        remedy: &'static str,
        /// Rows learned in the last checkpoint.
        rows: u64,
    },
    /// The directory of snapshots cannot be used.
    #[error(transparent)]
    Output(#[from] SnapshotError),
    /// There is a model without the state it came from.
    #[error(
        "{}: no state here, but the latest snapshot in {} has {rows} rows{run}: the state was \
         lost, or this is the wrong directory; restore the state, correct `state.dir`, choose \
         another `output.dir`, or start over with `--reset-state`, which replaces that snapshot",
        state.display(), output.display()
    )]
    LostState {
        /// Path of the state directory.
        state: PathBuf,
        /// The directory of snapshots.
        output: PathBuf,
        /// Rows of the latest snapshot.
        rows: u64,
        /// Its run, in words.
        run: String,
    },
    /// The model belongs to another run.
    #[error(
        "{}: the latest snapshot ({rows} rows) belongs to run {found}, but the state in {} \
         belongs to run {run}; use a `state.dir` and an `output.dir` of the same run, or move the \
         snapshots away",
        output.display(), state.display()
    )]
    OtherOutput {
        /// The directory of snapshots.
        output: PathBuf,
        /// Id of its run.
        found: RunId,
        /// Rows of the latest snapshot.
        rows: u64,
        /// Path of the state directory.
        state: PathBuf,
        /// Id of its run.
        run: RunId,
    },
    /// The spool belongs to another run.
    #[error(
        "{}: the spooled rows belong to run {found}, but the state belongs to run {run}; restore \
         the state of that run, or move the spool away; `--reset-state` starts over and learns \
         the spooled rows", path.display()
    )]
    OtherSpool {
        /// The spool.
        path: PathBuf,
        /// Id of its run.
        found: RunId,
        /// The run of the state.
        run: RunId,
    },
    /// A thread could not be started, or died.
    #[error("the {thread} thread {cause}")]
    Thread {
        /// Name of the thread.
        thread: &'static str,
        /// The error of the system.
        cause: String,
    },
}
