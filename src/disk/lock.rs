//! A file that a process locks to own a directory, and a check that the directory is still the one
//! at its path.
//!
//! A lock belongs to a file, not to a name: the directory may be renamed or removed while the lock
//! is held, and another one may be created in its place. Writes by name would go there.

use std::fmt;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A file lock that is held until this is dropped or the process ends.
pub trait DiskLock: Send + Sync {
    /// What happened to the directory of the file if it is no longer the one at its path; `None`
    /// while it still is, or if the system does not allow a check.
    fn displaced(&self) -> Option<Displaced>;

    /// Writes the holder into the file, for the message to other processes.
    ///
    /// # Errors
    /// Any error of the system.
    fn note(&self, holder: &str) -> io::Result<()>;
}

/// What happened to a directory whose lock is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Displaced {
    /// The directory, or one above it, was renamed; to what, if the system tells.
    Renamed(Option<PathBuf>),
    /// The directory was removed.
    Removed,
    /// Another directory is in its place; the new path of the former one, if it still exists.
    Replaced(Option<PathBuf>),
    /// The directory is in place, but its lock file was removed or replaced.
    Unlocked,
}

impl fmt::Display for Displaced {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |path: &Path| path.to_string_lossy().escape_debug().to_string();
        match self {
            Self::Renamed(Some(path)) => write!(to, "was renamed (to {})", at(path)),
            Self::Renamed(None) => write!(to, "was renamed"),
            Self::Removed => write!(to, "was removed"),
            Self::Replaced(Some(path)) => {
                write!(
                    to,
                    "was renamed (to {}), and another one is in its place",
                    at(path)
                )
            }
            Self::Replaced(None) => write!(to, "was removed, and another one is in its place"),
            Self::Unlocked => write!(to, "is in place, but its lock file was removed"),
        }
    }
}

/// A lock on the file system of the machine.
#[derive(Debug)]
pub struct FileLock {
    /// Closing it, or the end of the process, releases the lock.
    file: File,
    directory: File,
    path: PathBuf,
}

/// How long a held lock is retried: a daemon killed while starting a worker leaves copies of its
/// file descriptors open until the worker's program starts.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// ESTALE: the file on a network file system was removed by another machine.
const STALE: i32 = 116;

impl FileLock {
    /// Locks the file at `path` exclusively for this process, creating it if necessary.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it; otherwise any error of the
    /// system.
    pub fn take(path: &Path) -> io::Result<Self> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path)?;
            match file.try_lock() {
                Ok(()) => {
                    let lock = Self::of(file, path)?;
                    // One that was removed before it was locked keeps nobody out.
                    if lock.displaced().is_none() {
                        return Ok(lock);
                    }
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if Instant::now() >= until {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Takes a shared lock on an existing file; `None` if there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if a process holds it exclusively; otherwise any error of the
    /// system.
    pub fn share(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Self::of(file, path).map(Some),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn of(file: File, path: &Path) -> io::Result<Self> {
        let directory = File::open(directory_of(path))?;
        Ok(Self {
            file,
            directory,
            path: path.to_owned(),
        })
    }

    /// Why the lock is not at its path.
    fn how(&self) -> Displaced {
        let held = self.directory.metadata().ok();
        let is_held = |now: &Metadata| held.as_ref().is_some_and(|held| is_same(held, now));
        let now = fs::metadata(directory_of(&self.path)).ok();
        if now.as_ref().is_some_and(is_held) {
            return Displaced::Unlocked;
        }
        // The system adds a remark to the name of what was removed: nothing is there.
        let link = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        let elsewhere = fs::read_link(link).ok();
        let elsewhere = elsewhere.filter(|path| fs::metadata(path).as_ref().is_ok_and(is_held));
        // Where nobody tells names, a file that is linked is somewhere.
        let is_linked = self.file.metadata().is_ok_and(|meta| meta.nlink() > 0);
        match now {
            Some(_) => Displaced::Replaced(elsewhere),
            None if elsewhere.is_some() || is_linked => Displaced::Renamed(elsewhere),
            None => Displaced::Removed,
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

impl DiskLock for FileLock {
    fn displaced(&self) -> Option<Displaced> {
        // By the open file, not by its name: the name may lead elsewhere by now.
        let held = match self.file.metadata() {
            Ok(held) => held,
            Err(error) if error.raw_os_error() == Some(STALE) => return Some(self.how()),
            Err(_) => return None,
        };
        match fs::metadata(&self.path) {
            Ok(now) if held.nlink() > 0 && is_same(&held, &now) => None,
            Ok(_) => Some(self.how()),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some(self.how()),
                _ => None,
            },
        }
    }

    fn note(&self, holder: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Deed = fn(&Path);

    fn locked(root: &Path) -> FileLock {
        fs::create_dir_all(root.join("a/b")).unwrap();
        FileLock::take(&root.join("a/b/lock")).unwrap()
    }

    #[test]
    fn a_lock_says_what_became_of_its_directory() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let move_it: Deed = |root| fs::rename(root.join("a/b"), root.join("c")).unwrap();
        let move_above: Deed = |root| fs::rename(root.join("a"), root.join("c")).unwrap();
        let remove: Deed = |root| fs::remove_dir_all(root.join("a")).unwrap();
        let unlock: Deed = |root| fs::remove_file(root.join("a/b/lock")).unwrap();
        let nothing: Deed = |_| {};
        let again: Deed = |root| {
            fs::create_dir_all(root.join("a/b")).unwrap();
            fs::write(root.join("a/b/lock"), "").unwrap();
        };
        let cases = [
            (nothing, nothing, None),
            (move_it, nothing, Some(Displaced::Renamed(Some("c".into())))),
            (
                move_above,
                nothing,
                Some(Displaced::Renamed(Some("c/b".into()))),
            ),
            (move_it, again, Some(Displaced::Replaced(Some("c".into())))),
            (
                move_above,
                again,
                Some(Displaced::Replaced(Some("c/b".into()))),
            ),
            (remove, nothing, Some(Displaced::Removed)),
            (remove, again, Some(Displaced::Replaced(None))),
            (unlock, nothing, Some(Displaced::Unlocked)),
            (unlock, again, Some(Displaced::Unlocked)),
        ];
        for (number, (first, then, expected)) in cases.into_iter().enumerate() {
            let root = root.join(number.to_string());
            let lock = locked(&root);
            first(&root);
            then(&root);
            let expected = expected.map(|displaced| match displaced {
                Displaced::Renamed(Some(path)) => Displaced::Renamed(Some(root.join(path))),
                Displaced::Replaced(Some(path)) => Displaced::Replaced(Some(root.join(path))),
                other => other,
            });
            assert_eq!(lock.displaced(), expected, "case {number}");
        }
    }

    #[test]
    fn one_holds_it_alone_or_some_share_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        assert!(FileLock::share(&path).unwrap().is_none());
        let alone = FileLock::take(&path).unwrap();
        alone.note("first, with a long name").unwrap();
        alone.note("second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        let busy = |tried: io::Result<()>| tried.unwrap_err().kind() == io::ErrorKind::WouldBlock;
        assert!(busy(FileLock::take(&path).map(drop)));
        assert!(busy(FileLock::share(&path).map(drop)));
        drop(alone);
        let _one = FileLock::share(&path).unwrap();
        let _two = FileLock::share(&path).unwrap();
        assert!(busy(FileLock::take(&path).map(drop)));
    }
}
