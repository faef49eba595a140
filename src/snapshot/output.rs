//! Locks a directory of snapshots: it belongs to one daemon at a time, and `latest` to one run.
//!
//! The lock is a hidden file, which readers of snapshots ignore. `fit` and `merge` are refused
//! while a daemon holds it; otherwise they share it only while they write, so that they do not keep
//! a daemon from starting for long.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskLock, Displaced, FileLock};
use crate::rows::RunId;
use crate::snapshot::SnapshotError;
use crate::snapshot::disk::writing;
use crate::snapshot::read::Brief;

const NAME: &str = ".lock";

/// The snapshot that `latest` of a directory points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The name of the snapshot.
    pub id: PathBuf,
    /// Number of rows learned.
    pub rows: u64,
    /// The run it belongs to, if recorded.
    pub run_id: Option<RunId>,
}

/// The snapshot that `latest` in `directory` points to; `None` if none can be read.
pub fn latest(directory: &Path, disk: &dyn Disk) -> Option<Latest> {
    let id = disk.read_link(&directory.join("latest")).ok()?;
    let brief = Brief::of(&directory.join(&id), disk)?;
    Some(Latest {
        id,
        rows: brief.rows,
        run_id: brief.run_id,
    })
}

/// The directory that a daemon publishes into.
pub struct Output {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    holder: String,
    lock: Option<Box<dyn DiskLock>>,
}

impl Output {
    /// `directory`, not claimed yet; `holder` describes this process in the message to others.
    pub fn new(directory: &Path, disk: Arc<dyn Disk>, holder: String) -> Self {
        Self {
            directory: directory.to_owned(),
            disk,
            holder,
            lock: None,
        }
    }

    /// Path of the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Switches to another directory, if it differs, and releases the former one.
    pub fn go_to(&mut self, directory: &Path) {
        if self.directory != directory {
            directory.clone_into(&mut self.directory);
            self.lock = None;
        }
    }

    /// Claims the directory exclusively for this process, creating it if necessary; returns what
    /// happened to the former one.
    ///
    /// # Errors
    /// [`SnapshotError::Held`] if another daemon holds it; otherwise any error of the system.
    pub fn claim(&mut self) -> Result<Option<Displaced>, SnapshotError> {
        let displaced = match &self.lock {
            None => None,
            Some(lock) => match lock.displaced() {
                None => return Ok(None),
                displaced => displaced,
            },
        };
        self.lock = None;
        let path = self.directory.join(NAME);
        self.disk
            .create_dir_all(&self.directory)
            .map_err(writing(&self.directory, "cannot create the directory"))?;
        let lock = match self.disk.lock(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(held(&self.directory));
            }
            Err(error) => return Err(writing(&path, "cannot lock")(error)),
        };
        // It is for the message alone.
        let _ = lock.note(&self.holder);
        self.lock = Some(lock);
        Ok(displaced)
    }
}

/// Keeps daemons out of `directory` while the returned guard lives; others may share it. If no
/// daemon ever published there, there is nothing to lock.
///
/// # Errors
/// [`SnapshotError::Held`] if a daemon publishes there; otherwise any error of the system.
pub fn share(directory: &Path) -> Result<Option<FileLock>, SnapshotError> {
    let path = directory.join(NAME);
    match FileLock::share(&path) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(held(directory)),
        Err(error) => Err(writing(&path, "cannot lock")(error)),
    }
}

fn held(directory: &Path) -> SnapshotError {
    let holder = std::fs::read_to_string(directory.join(NAME)).unwrap_or_default();
    SnapshotError::Held {
        path: directory.to_owned(),
        holder: holder.trim().escape_debug().to_string(),
    }
}
