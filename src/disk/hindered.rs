//! A disk that is slow, or full in one directory, for tests of delays and retries.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Disk, DiskFile, DiskLock, RealDisk};

/// Faults of the simulated disk.
#[derive(Clone, Debug, Default)]
pub struct Hindrance {
    /// Duration of every write and fsync.
    pub delay: Duration,
    /// A directory below which nothing can be written while a file `DIRECTORY.full` exists.
    pub full_below: Option<PathBuf>,
}

/// The file system of the machine, hindered.
#[derive(Debug)]
pub struct HinderedDisk {
    disk: RealDisk,
    hindrance: Hindrance,
}

struct HinderedFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    hindrance: Hindrance,
}

impl Hindrance {
    fn meet(&self, path: &Path) -> io::Result<()> {
        thread::sleep(self.delay);
        let Some(below) = &self.full_below else {
            return Ok(());
        };
        // A marker beside the directory, so that a test can fill and empty the disk while the
        // daemon runs.
        if path.starts_with(below) && below.with_extension("full").exists() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl HinderedDisk {
    /// A disk with these faults.
    pub fn new(hindrance: Hindrance) -> Self {
        Self {
            disk: RealDisk,
            hindrance,
        }
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(HinderedFile {
            file,
            path: path.to_owned(),
            hindrance: self.hindrance.clone(),
        })
    }
}

impl DiskFile for HinderedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hindrance.meet(&self.path)?;
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.hindrance.meet(&self.path)?;
        self.file.sync()
    }
}

impl Disk for HinderedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, self.disk.create(path)?))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, self.disk.append(path)?))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.hindrance.meet(path)?;
        self.disk.sync_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        self.disk.reader(path)
    }

    fn bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.disk.symlink(target, link)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        self.disk.read_link(link)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }
}
