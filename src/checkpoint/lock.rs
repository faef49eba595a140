//! One daemon per state directory: a lock that is released when its holder dies, and that knows
//! whether the directory is still in place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::disk::{Disk, DiskLock, Displaced, GuardedDisk};

const NAME: &str = "lock";

/// Held while a process works on a state directory.
#[derive(Clone)]
pub struct StateLock {
    lock: Arc<dyn DiskLock>,
    directory: PathBuf,
}

impl StateLock {
    /// Takes the lock of `directory`, creating the directory if necessary.
    ///
    /// # Errors
    /// If another process holds it, or the file cannot be created.
    pub fn acquire(directory: &Path, disk: &dyn Disk) -> Result<Self, CheckpointError> {
        let path = directory.join(NAME);
        disk.create_dir_all(directory).map_err(CheckpointError::io(
            directory,
            "cannot create the directory",
        ))?;
        let lock = match disk.lock(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Only for the message: the lock also holds if its holder has not written its
                // number yet.
                let holder = disk.read(&path).unwrap_or_default();
                let holder = String::from_utf8_lossy(&holder);
                let holder = holder.trim().escape_debug().to_string();
                return Err(CheckpointError::Locked {
                    path: directory.to_owned(),
                    holder,
                });
            }
            Err(error) => return Err(CheckpointError::io(&path, "cannot lock")(error)),
        };
        // The number is for the message alone.
        let _ = lock.note(&std::process::id().to_string());
        Ok(Self {
            lock: lock.into(),
            directory: directory.to_owned(),
        })
    }

    /// Removes a directory that was created only for the lock, so that one moved back later finds
    /// its place free.
    pub fn leave(&self, disk: &dyn Disk) {
        let names = disk.list(&self.directory).unwrap_or_default();
        let is_empty = names.iter().all(|name| name.ends_with(NAME));
        if is_empty && self.displaced().is_none() {
            // One that stays does no harm.
            let _ = disk.remove_dir_all(&self.directory);
        }
    }

    /// Path of the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What happened to the locked directory, if it is no longer in place.
    pub fn displaced(&self) -> Option<Displaced> {
        self.lock.displaced()
    }

    /// `disk`, which refuses writes once the directory is no longer in place.
    pub fn guard(&self, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(GuardedDisk::new(disk, Arc::clone(&self.lock)))
    }
}
