//! The publisher thread: copies of the state → checkpoints and snapshots on the disk.
//!
//! At most one of each is on its way; while the disk is slow the trainer learns on, and what is
//! written next is newer.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};
use tracing::{info, warn};

use crate::checkpoint::{Change, Checkpoint, Store};
use crate::daemon::run::feeder::shown;
use crate::daemon::run::history;
use crate::disk::Disk;
use crate::snapshot::{Retention, Snapshot, retain, write_on};

/// What is to be written.
pub(super) enum Job {
    Checkpoint {
        checkpoint: Checkpoint,
        /// What changed of the files that are remembered, and how many there are.
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
    /// The history, for people: nobody waits for it, and a run without it learns the same.
    History { bytes: Vec<u8>, directory: PathBuf },
}

/// What became of it.
pub(super) enum Done {
    Checkpoint {
        result: Result<(), String>,
        steps: u64,
        /// Number of the last decision that all generations contain.
        contained: u64,
    },
    Snapshot(Result<PathBuf, String>),
}

/// Starts the thread; it ends when the channel of jobs does.
pub(super) fn spawn(
    mut store: Store,
    spool: PathBuf,
    disk: Arc<dyn Disk>,
    jobs: Receiver<Job>,
    done: Sender<Done>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("ojad-publisher".into())
        .spawn(move || {
            for job in jobs {
                let answer = match job {
                    Job::Checkpoint {
                        checkpoint,
                        changes,
                        files,
                        rows,
                        steps,
                    } => {
                        let synced = sync_spool(&spool).map_err(|error| {
                            format!(
                                "{}: {error}; free space, or make it writable",
                                spool.display()
                            )
                        });
                        store.owe(changes);
                        let saved = synced.and_then(|()| {
                            store.save(checkpoint, files).map_err(|e| e.to_string())
                        });
                        if let Ok(path) = &saved {
                            info!(rows, file = %shown(path), "checkpoint written");
                        }
                        Done::Checkpoint {
                            result: saved.map(drop),
                            steps,
                            contained: store.contained(),
                        }
                    }
                    Job::Snapshot {
                        snapshot,
                        directory,
                        retention,
                    } => {
                        let written = write_on(&snapshot, &directory, disk.as_ref());
                        if written.is_ok()
                            && let Err(error) = retain(&directory, retention, disk.as_ref())
                        {
                            warn!(%error, "old snapshots could not be removed");
                        }
                        if let Ok(path) = &written {
                            let rows = snapshot.estimate.rows;
                            info!(rows, file = %shown(path), "snapshot published");
                        }
                        Done::Snapshot(written.map_err(|error| error.to_string()))
                    }
                    Job::History { bytes, directory } => {
                        if let Err(error) = history::keep(&bytes, &directory, disk.as_ref()) {
                            warn!(%error, "the history of the HTTP server could not be written");
                        }
                        continue;
                    }
                };
                // The trainer may have given up waiting: nobody is left to tell.
                if done.send(answer).is_err() {
                    return;
                }
            }
        })
}

/// Streams of which the checkpoint will say that rows were taken must not lose them to a power cut:
/// they could not be told from a file that somebody changed.
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
