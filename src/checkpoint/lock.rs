//! One daemon a state directory: a lock that dies with its holder.

use std::fs::{self, File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::checkpoint::CheckpointError;

/// Held while a process works on a state directory.
#[derive(Debug)]
pub struct StateLock {
    /// Closing it, or the end of the process, gives the lock back.
    _file: File,
}

/// How long a lock that is held is looked at again: a daemon that is killed while it starts a worker
/// leaves a copy of its files open until the worker's program begins.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
        let until = Instant::now() + PATIENCE;
        let mut locked = file.try_lock();
        while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < until {
            thread::sleep(LOOK_EVERY);
            locked = file.try_lock();
        }
        match locked {
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
