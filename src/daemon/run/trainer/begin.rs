//! Startup: locks the state directory and the output for this process, and checks that they belong
//! together.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::warn;

use crate::checkpoint::StateLock;
use crate::daemon::run::belonging;
use crate::daemon::run::ingest::Shared;
use crate::daemon::run::messages::RunError;
use crate::daemon::run::params::{Begin, RunParams};
use crate::daemon::run::publisher::Publisher;
use crate::daemon::run::restore::{self, Found};
use crate::disk::{Disk, Displaced};
use crate::snapshot::{Output, SnapshotError};

/// Time allowed for a directory to be moved or removed completely before the event is reported.
pub(super) const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// Parts of a starting run besides the state.
pub(super) struct Begun {
    pub(super) lock: StateLock,
    /// The disk, usable as long as the state directory stays where it is.
    pub(super) disk: Arc<dyn Disk>,
    pub(super) publisher: Publisher,
}

/// Locks state and output, and finds the state of the previous run or starts a new one.
pub(super) fn begin(
    params: &RunParams,
    disk: &Arc<dyn Disk>,
    shared: &Arc<Shared>,
) -> Result<(Begun, Found), RunError> {
    let was_there = disk.list(&params.state_dir).is_ok();
    let lock = StateLock::acquire(&params.state_dir, disk.as_ref())?;
    let begun = begin_locked(params, &lock, disk, shared);
    if begun.is_err() && !was_there {
        // A run that was refused leaves no empty directory, which would stand in the way of one
        // that is restored.
        lock.leave(disk.as_ref());
    }
    begun
}

fn begin_locked(
    params: &RunParams,
    lock: &StateLock,
    disk: &Arc<dyn Disk>,
    shared: &Arc<Shared>,
) -> Result<(Begun, Found), RunError> {
    let disk = lock.guard(Arc::clone(disk));
    let holder = format!(
        "process {}, state {}",
        std::process::id(),
        params.state_dir.display()
    );
    let mut output = Output::new(&params.output_dir, Arc::clone(&disk), holder);
    match output.claim() {
        Ok(_) => {}
        Err(held @ SnapshotError::Held { .. }) => return Err(held.into()),
        // A disk that is full or out of reach stops no run: the first snapshot tries again.
        Err(error) => warn!(%error, "the output directory is not available yet"),
    }
    if params.begin == Begin::Anew {
        belonging::begin_anew(params, disk.as_ref())?;
    }
    let (found, store) = restore::find(params, Arc::clone(&disk))?;
    let learned = found.learned.rows();
    shared.checkpoint_rows.store(learned, Ordering::Relaxed);
    let publisher = Publisher {
        store,
        spool: params.state_dir.join("spool"),
        output,
        belonging: found.belonging,
        disk: Arc::clone(&disk),
        shared: Arc::clone(shared),
    };
    let begun = Begun {
        lock: lock.clone(),
        disk,
        publisher,
    };
    Ok((begun, found))
}

/// The error for a run whose state directory was moved or removed; `rows` are those of its last
/// checkpoint.
pub(super) fn displaced(directory: &Path, displaced: &Displaced, rows: u64) -> RunError {
    let remedy = match displaced {
        Displaced::Renamed(_) => "rename it back and start again",
        Displaced::Replaced(Some(_)) => {
            "move it back in place of the other one, or point `state.dir` to it, and start again"
        }
        Displaced::Removed | Displaced::Replaced(None) => {
            "restore it from a backup and start again, or start over with `--reset-state`"
        }
        Displaced::Unlocked => {
            "make sure that no other ojad uses it, leave its lock file alone, and start again"
        }
    };
    RunError::Displaced {
        path: directory.to_owned(),
        how: displaced.to_string(),
        remedy,
        rows,
    }
}
