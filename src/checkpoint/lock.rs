//! One daemon a state directory: a lock that dies with its holder.

use std::fs::{self, File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::Path;

use crate::checkpoint::CheckpointError;

/// Held while a process works on a state directory.
#[derive(Debug)]
pub struct StateLock {
    /// Closing it, or the end of the process, gives the lock back.
    _file: File,
}

impl StateLock {
    /// Takes the lock of `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// If another process holds it, or the file cannot be made.
    pub fn acquire(directory: &Path) -> Result<Self, CheckpointError> {
        let path = directory.join("lock");
        let failed = |action| CheckpointError::io(&path, action);
        fs::create_dir_all(directory).map_err(CheckpointError::io(
            directory,
            "cannot create the directory",
        ))?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("cannot open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim().escape_debug().to_string();
                return Err(CheckpointError::Locked {
                    path: directory.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("cannot lock")(error)),
        }
        // The number is for the message alone.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}
