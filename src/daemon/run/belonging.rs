//! Identity of the run, and proof that state, spool and output are all its own.
//!
//! Each of them says which run it is of: the checkpoint in its section `meta`, the state directory in the
//! file `run`, the journal in its head, the spool in `_run`, a snapshot in `snapshot.json`. What is of
//! another run is not learned, written over or removed: the run is refused. What is of before runs had
//! ids says nothing, and is taken up. A state that is not there, while the output has a model, was lost:
//! only `--reset-state` begins over it.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::checkpoint::{CheckpointError, Over, RunFile};
use crate::daemon::run::feeder::shown;
use crate::daemon::run::messages::RunError;
use crate::daemon::run::params::RunParams;
use crate::disk::Disk;
use crate::rows::{RunId, unix_s};
use crate::snapshot::{Latest, latest};
use crate::source::follow::Spool;

/// The run, and whose snapshots it may go on over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belonging {
    pub(super) run_id: RunId,
    over: Option<Over>,
}

/// Run ids that the parts of a state directory name.
pub(super) struct Parts {
    pub(super) checkpoint: Option<RunId>,
    pub(super) journal: Option<RunId>,
    /// Rows that the checkpoint has; nothing where there is neither a checkpoint nor a decision.
    pub(super) rows: Option<u64>,
}

impl Belonging {
    /// Finds out which run goes on with these parts, or begins one, and writes that down.
    ///
    /// # Errors
    /// If parts are of different runs, if the output is of another run, or if the state was lost.
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

    /// Looks at what the output has.
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

    /// True if somebody said that this run may go on over that snapshot.
    fn is_agreed(&self, latest: &Latest) -> bool {
        self.over.is_some_and(|over| over.run_id == latest.run_id)
    }

    /// Refuses to publish where the latest snapshot is that of another run by now.
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

    /// Makes the spool in `directory` that of this run.
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

/// Begins anew: what there is of a state is moved aside, what is in the spool is taken up, and the output
/// may be gone on over, whoever made it.
///
/// # Errors
/// If the disk refuses it.
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

/// Moves what makes a state to a directory of its own.
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
