//! Identity of the run, and checks that state, spool and output all belong to it.
//!
//! Each of them records which run it belongs to: the checkpoint in its section `meta`, the state
//! directory in the file `run`, the journal in its head, the spool in `_run`, a snapshot in
//! `snapshot.json`. Data of another run is never learned, overwritten or removed: instead the run
//! is refused. Data from before runs had ids names no run and is adopted. If there is no state but
//! the output has a model, the state was lost, and only `--reset-state` starts over.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::checkpoint::{CheckpointError, Over, RunFile};
use crate::daemon::run::ingest::shown;
use crate::daemon::run::messages::RunError;
use crate::daemon::run::params::RunParams;
use crate::disk::Disk;
use crate::rows::{RunId, unix_s};
use crate::snapshot::{Latest, latest};
use crate::source::follow::Spool;

/// The run, and the run whose snapshots it may continue after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belonging {
    pub(super) run_id: RunId,
    over: Option<Over>,
}

/// The run ids recorded in the parts of a state directory.
pub(super) struct Parts {
    pub(super) checkpoint: Option<RunId>,
    pub(super) journal: Option<RunId>,
    /// Rows in the checkpoint; `None` where there is neither a checkpoint nor a decision.
    pub(super) rows: Option<u64>,
}

impl Belonging {
    /// Determines which run continues with these parts, or starts a new one, and records it.
    ///
    /// # Errors
    /// If the parts belong to different runs, the output belongs to another run, or the state was
    /// lost.
    pub(super) fn settle(
        params: &RunParams,
        parts: &Parts,
        disk: &dyn Disk,
    ) -> Result<Self, RunError> {
        let directory = params.state_dir.as_path();
        let file = RunFile::read(directory, disk)?;
        let said = file.map(|file| file.run_id);
        let known = parts.checkpoint.or(said).or(parts.journal);
        for (part, of) in [("run", said), ("journal", parts.journal)] {
            if let (Some(found), Some(run)) = (of, known)
                && found != run
            {
                let path = directory.join(part);
                return Err(CheckpointError::OtherRun { path, found, run }.into());
            }
        }
        let belonging = Self {
            run_id: match known {
                Some(run) => run,
                None => draw(directory)?,
            },
            over: file.and_then(|file| file.over),
        };
        belonging.meet(params, parts.rows, disk)?;
        if said.is_none() {
            let file = RunFile {
                run_id: belonging.run_id,
                over: None,
            };
            file.write(directory, disk)?;
        }
        Ok(belonging)
    }

    /// Checks what the output holds.
    fn meet(&self, params: &RunParams, rows: Option<u64>, disk: &dyn Disk) -> Result<(), RunError> {
        let Some(latest) = latest(&params.output_dir, disk) else {
            return Ok(());
        };
        if self.is_agreed(&latest) {
            return Ok(());
        }
        let (state, output) = (params.state_dir.clone(), params.output_dir.clone());
        let (latest_rows, found) = (latest.rows, latest.run_id);
        let Some(rows) = rows else {
            return Err(RunError::LostState {
                state,
                output,
                rows: latest_rows,
                run: found.map_or_else(String::new, |run| format!(" from run {run}")),
            });
        };
        if let Some(found) = found.filter(|found| *found != self.run_id) {
            return Err(RunError::OtherOutput {
                output,
                found,
                rows: latest_rows,
                state,
                run: self.run_id,
            });
        }
        // Only a warning: the rows between are read again, and a later snapshot has them.
        if latest_rows > rows {
            warn!(
                snapshot_rows = latest_rows, checkpoint_rows = rows, output = %shown(&output),
                "the latest snapshot is ahead of the state: the previous run ended without a \
                 checkpoint, or an older state was restored; the rows between are read again, \
                 those of pipes and pushes as far as the spool still has them"
            );
        }
        Ok(())
    }

    /// True if the user agreed that this run may replace that snapshot.
    fn is_agreed(&self, latest: &Latest) -> bool {
        self.over.is_some_and(|over| over.run_id == latest.run_id)
    }

    /// Refuses to publish if the latest snapshot now belongs to another run.
    pub(super) fn check_output(&self, directory: &Path, disk: &dyn Disk) -> Result<(), String> {
        let Some(latest) = latest(directory, disk) else {
            return Ok(());
        };
        match latest.run_id {
            Some(found) if found != self.run_id && !self.is_agreed(&latest) => Err(format!(
                "{}: its latest snapshot belongs to run {found}, but this is run {}; move it \
                 away, or choose another `output.dir`",
                shown(directory),
                self.run_id
            )),
            _ => Ok(()),
        }
    }

    /// Claims the spool in `directory` for this run.
    pub(super) fn claim_spool(&self, directory: &Path, disk: &dyn Disk) -> Result<(), RunError> {
        let failed = CheckpointError::io(directory, "cannot keep streams here");
        match Spool::claim(directory, self.run_id, disk).map_err(failed)? {
            None => Ok(()),
            Some(found) => Err(RunError::OtherSpool {
                path: directory.to_owned(),
                found,
                run: self.run_id,
            }),
        }
    }
}

fn draw(directory: &Path) -> Result<RunId, CheckpointError> {
    RunId::draw().map_err(CheckpointError::io(directory, "cannot name the run"))
}

/// Starts over: existing state is moved aside, the contents of the spool are adopted, and the
/// output may be replaced, whoever made it.
///
/// # Errors
/// If the disk reports an error.
pub(super) fn begin_anew(params: &RunParams, disk: &dyn Disk) -> Result<(), CheckpointError> {
    let directory = params.state_dir.as_path();
    let failed = CheckpointError::io(directory, "cannot move the state aside");
    let aside = set_aside(directory, disk).map_err(failed)?;
    match aside {
        None => info!("no state found; starting a new run"),
        Some(aside) => info!(to = %shown(&aside), "the state was moved aside; starting a new run"),
    }
    let over = latest(&params.output_dir, disk).map(|latest| Over {
        run_id: latest.run_id,
    });
    let run_id = draw(directory)?;
    RunFile { run_id, over }.write(directory, disk)
}

/// Moves the files of a state to a separate directory.
fn set_aside(directory: &Path, disk: &dyn Disk) -> io::Result<Option<PathBuf>> {
    // First of all: a spool that says whose it is must not outlive the state that says the same.
    Spool::release_claim(&directory.join("spool"), disk)?;
    let names = disk.list(directory)?.into_iter().filter(|name| {
        let text = name.to_string_lossy();
        ["checkpoint", "journal", "files-"]
            .iter()
            .any(|start| text.starts_with(start))
            || text == "opening"
            || text == "run"
    });
    let names: Vec<PathBuf> = names.collect();
    if names.is_empty() {
        return Ok(None);
    }
    let aside = directory.join(format!("discarded-{}", unix_s()));
    disk.create_dir_all(&aside)?;
    for name in names {
        disk.rename(&directory.join(&name), &aside.join(&name))?;
    }
    // The new names are synced first, so that a power cut in between may leave a file under both
    // names but never lose it.
    disk.sync_dir(&aside)?;
    disk.sync_dir(directory)?;
    Ok(Some(aside))
}
