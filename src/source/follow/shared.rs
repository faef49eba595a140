//! State shared by all threads that bring rows into the spool: its directory, and how much is
//! waiting in it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes read at once.
const BUFFER: usize = 1 << 18;
/// How often a paused reader checks again.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// State that the readers share.
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) bytes_max: u64,
    /// Bytes in spool files.
    pub(super) held: AtomicU64,
    /// Number of the next file.
    pub(super) next: AtomicU64,
    /// Number of inputs that may still deliver something.
    pub(super) live: AtomicUsize,
    pub(super) stop: AtomicBool,
    pub(super) failures: Mutex<Vec<String>>,
    /// Silent connections that were closed because others waited.
    pub(super) made_way: AtomicU64,
    /// Files whose connections are open.
    pub(super) open: Mutex<HashSet<PathBuf>>,
    pub(super) is_ours: Box<dyn Fn() -> bool + Send + Sync>,
    pub(super) wake: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.live.fetch_sub(1, Ordering::AcqRel);
        (self.wake)();
    }

    /// True if the limit of waiting bytes is reached.
    pub(super) fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// True if half of the limit is reached.
    pub(super) fn is_half_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.bytes_max / 2
    }

    /// Releases bytes counted as waiting.
    pub(super) fn unhold(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Refuses to create a file if the directory may meanwhile belong to another run, which would
    /// get the rows.
    pub(super) fn check_ours(&self) -> io::Result<()> {
        let gone = || io::Error::other("the state directory no longer belongs to this run");
        if (self.is_ours)() {
            Ok(())
        } else {
            Err(gone())
        }
    }

    /// Signals that something arrived.
    pub(super) fn wake(&self) {
        (self.wake)();
    }

    /// Waits a moment.
    pub(super) fn wait(&self) {
        if !self.is_stopped() {
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The number of the next file.
    pub(super) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::AcqRel)
    }

    /// Counts more bytes as waiting.
    pub(super) fn hold(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        (self.wake)();
    }

    pub(super) fn fail(&self, message: String) {
        if let Ok(mut failures) = self.failures.lock() {
            failures.push(message);
        }
        (self.wake)();
    }

    /// Stores one stream to its end.
    pub(super) fn session(&self, name: &str, from: &mut dyn Read) {
        if let Err(error) = self.check_ours() {
            return self.fail(error.to_string());
        }
        let mut open = self.open();
        // Under the lock: see `Spool::connections`.
        let number = self.take_number();
        let path = self.directory.join(format!("{name}-{number:012}.arrows"));
        open.insert(path.clone());
        drop(open);
        // The session ends as after the last byte: what came before the error is kept.
        if let Err(error) = self.copy(from, &path) {
            self.fail(format!("{}: {error}", path.display()));
        }
        if fs::metadata(&path).is_ok_and(|meta| meta.len() == 0)
            && let Err(error) = fs::remove_file(&path)
        {
            self.fail(format!("{}: {error}", path.display()));
        }
        // Behind its last byte: see `Connections::has_ended`.
        self.open().remove(&path);
        (self.wake)();
    }

    pub(super) fn open(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn copy(&self, from: &mut dyn Read, path: &Path) -> io::Result<()> {
        let mut to = File::create(path)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            while self.is_full() {
                if self.is_stopped() {
                    return Ok(());
                }
                self.wait();
            }
            let n = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                // A signal arrived; no byte is lost.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // A full disk makes the producer wait, as every other lack of room does.
            let mut done = 0;
            while done < n {
                match to.write(&buffer[done..n]) {
                    Ok(written) => done += written,
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                        self.fail(format!("{}: {error}; free up disk space", path.display()));
                        thread::sleep(50 * LOOK_EVERY);
                        if self.is_stopped() {
                            return Ok(());
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            self.hold(n as u64);
        }
    }
}
