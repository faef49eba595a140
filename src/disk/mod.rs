//! File operations on whose order and durability the guarantees depend, as a trait: tests simulate
//! faults, full disks and power failures with it.
//!
//! It covers the files that ojad writes for itself, but not the reading of data files.

mod guarded;
#[cfg(debug_assertions)]
pub mod hindered;
#[cfg(debug_assertions)]
pub mod killing;
mod lock;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

pub use guarded::GuardedDisk;
pub use lock::{DiskLock, Displaced, FileLock};

/// An open file that is being written.
pub trait DiskFile: Send {
    /// Appends all of `bytes`, or fails with some of them written.
    ///
    /// # Errors
    /// Any error of the system.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until the content is on disk.
    ///
    /// # Errors
    /// Any error of the system. Earlier writes may then be lost even if a later call succeeds, so
    /// the file must be abandoned.
    fn sync(&mut self) -> io::Result<()>;
}

/// A place for files.
pub trait Disk: Send + Sync {
    /// Creates an empty file, or truncates an existing one.
    ///
    /// # Errors
    /// Any error of the system.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for appending, creating it if necessary.
    ///
    /// # Errors
    /// Any error of the system.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Waits until the content of an existing file is on disk, whoever wrote it.
    ///
    /// # Errors
    /// Any error of the system.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// The content of a file.
    ///
    /// # Errors
    /// Any error of the system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The content of a file from its beginning, piece by piece.
    ///
    /// # Errors
    /// Any error of the system.
    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read>>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// Any error of the system.
    fn bytes(&self, path: &Path) -> io::Result<u64>;

    /// Renames a file or directory, replacing an existing target.
    ///
    /// # Errors
    /// Any error of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file or symbolic link.
    ///
    /// # Errors
    /// Any error of the system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and its contents.
    ///
    /// # Errors
    /// Any error of the system.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its parents; it may already exist.
    ///
    /// # Errors
    /// Any error of the system.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Waits until the entries of a directory are on disk.
    ///
    /// # Errors
    /// Any error of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a symbolic link at `link` to `target`.
    ///
    /// # Errors
    /// Any error of the system; also if `link` exists.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;

    /// Target of a symbolic link, as stored.
    ///
    /// # Errors
    /// Any error of the system; also if it is not a link.
    fn read_link(&self, link: &Path) -> io::Result<PathBuf>;

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// Any error of the system.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Locks a file, creating it if necessary, until the returned value is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it; otherwise any error of the
    /// system.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile(File);

impl DiskFile for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::create(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        // fsync flushes the file whoever wrote it, so a descriptor for reading is enough.
        File::open(path)?.sync_all()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }

    fn bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        fs::read_link(link)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        // The system lists in any order; two runs must see the same one.
        names.sort();
        Ok(names)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        Ok(Box::new(FileLock::take(path)?))
    }
}
