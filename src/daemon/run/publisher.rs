//! The publisher thread: copies of the state → checkpoints and snapshots on disk.
//!
//! At most one of each is in progress; while the disk is slow the trainer keeps learning, and the
//! next write is of newer state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};
use tracing::{info, warn};

use crate::checkpoint::{Change, Checkpoint, Store};
use crate::daemon::run::belonging::Belonging;
use crate::daemon::run::history;
use crate::daemon::run::ingest::{Shared, shown};
use crate::disk::Disk;
use crate::snapshot::{Output, Retention, Snapshot, retain, write_on};

/// Tasks of the publisher.
pub(super) enum Job {
    Checkpoint {
        checkpoint: Checkpoint,
        /// Changes to the remembered files, and their total number.
        changes: Vec<Change>,
        files: u64,
        rows: u64,
        steps: u64,
    },
    Snapshot {
        snapshot: Box<Snapshot>,
        directory: PathBuf,
        retention: Retention,
    },
    /// The history, for people: nothing waits for it, and a run without it learns the same.
    History { bytes: Vec<u8>, directory: PathBuf },
}

/// Result of a job.
pub(super) enum Done {
    Checkpoint {
        result: Result<(), String>,
        steps: u64,
        /// Number of the last decision contained in all generations.
        contained: u64,
    },
    Snapshot(Result<PathBuf, String>),
}

/// State of the publisher's thread.
pub(super) struct Publisher {
    pub(super) store: Store,
    /// The directory of the spool.
    pub(super) spool: PathBuf,
    pub(super) output: Output,
    pub(super) belonging: Belonging,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) shared: Arc<Shared>,
}

impl Publisher {
    /// Starts the thread; it ends when the channel of jobs does.
    pub(super) fn spawn(
        mut self,
        jobs: Receiver<Job>,
        done: Sender<Done>,
    ) -> io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("ojad-publisher".into())
            .spawn(move || {
                for job in jobs {
                    // The trainer may have given up waiting: nobody is left to tell.
                    if self
                        .act(job)
                        .is_some_and(|answer| done.send(answer).is_err())
                    {
                        return;
                    }
                }
            })
    }

    fn act(&mut self, job: Job) -> Option<Done> {
        match job {
            Job::Checkpoint {
                checkpoint,
                changes,
                files,
                rows,
                steps,
            } => {
                // Recorded before the save, so that if it fails the next checkpoint writes them.
                self.store.owe(changes);
                let result = self.save(checkpoint, files);
                if let Ok(path) = &result {
                    self.shared.checkpoint_rows.store(rows, Ordering::Relaxed);
                    info!(rows, file = %shown(path), "checkpoint written");
                }
                Some(Done::Checkpoint {
                    result: result.map(drop),
                    steps,
                    contained: self.store.contained(),
                })
            }
            Job::Snapshot {
                snapshot,
                directory,
                retention,
            } => {
                let result = self.publish(&snapshot, &directory, retention);
                if let Ok(path) = &result {
                    let rows = snapshot.estimate.rows;
                    info!(rows, file = %shown(path), "snapshot published");
                }
                Some(Done::Snapshot(result))
            }
            Job::History { bytes, directory } => {
                if let Err(error) = history::keep(&bytes, &directory, self.disk.as_ref()) {
                    warn!(%error, "the history of the HTTP server could not be written");
                }
                None
            }
        }
    }

    fn save(&mut self, checkpoint: Checkpoint, files: u64) -> Result<PathBuf, String> {
        let spool = &self.spool;
        sync_spool(spool).map_err(|error| {
            format!(
                "{}: {error}; free up disk space, or make it writable",
                spool.display()
            )
        })?;
        let saved = self.store.save(checkpoint, files);
        saved.map_err(|error| error.to_string())
    }

    fn publish(
        &mut self,
        snapshot: &Snapshot,
        directory: &Path,
        retention: Retention,
    ) -> Result<PathBuf, String> {
        let disk = self.disk.as_ref();
        self.output.go_to(directory);
        renew(&mut self.output)?;
        // Checked each time, because somebody may have put another run's directory there since the
        // last snapshot.
        self.belonging.check_output(directory, disk)?;
        let path = write_on(snapshot, directory, disk).map_err(|error| error.to_string())?;
        // The new snapshot is already published; failing to remove old ones must not count as its
        // failure.
        if let Err(error) = retain(directory, retention, disk) {
            warn!(%error, "old snapshots could not be removed");
        }
        Ok(path)
    }
}

/// Syncs streams before a checkpoint says that rows were taken from them: if a power failure lost
/// these rows, the file would look as if someone had changed it.
fn sync_spool(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        match File::open(entry?.path()) {
            Ok(file) => file.sync_all()?,
            // It was renamed or released meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    File::open(directory)?.sync_all()
}

/// Claims `output` for this run before it publishes, and logs it if the directory is a different
/// one.
fn renew(output: &mut Output) -> Result<(), String> {
    match output.claim() {
        Ok(None) => Ok(()),
        Ok(Some(displaced)) => {
            let directory = shown(output.directory());
            warn!(%directory, "the output directory {displaced}; it will be created again for further snapshots");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}
