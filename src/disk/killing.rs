//! A disk that kills the process at a chosen step, for crash tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Disk, DiskFile, DiskLock, RealDisk};

/// The file system of the machine, with the process killed at one step.
#[derive(Debug)]
pub struct KillingDisk {
    disk: RealDisk,
    left: Arc<AtomicU64>,
}

struct KillingFile {
    file: Box<dyn DiskFile>,
    left: Arc<AtomicU64>,
}

impl KillingDisk {
    /// Kills the process by SIGKILL at step `at`, counted from 1: there is one step before and one
    /// after every operation that writes, and one within every write.
    pub fn new(at: u64) -> Self {
        Self {
            disk: RealDisk,
            left: Arc::new(AtomicU64::new(at)),
        }
    }

    fn around<T>(&self, operation: impl FnOnce(&RealDisk) -> T) -> T {
        step(&self.left);
        let result = operation(&self.disk);
        step(&self.left);
        result
    }
}

fn step(left: &AtomicU64) {
    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
        let own = rustix::process::getpid();
        // It cannot fail for a process of one's own, and nothing comes after it.
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        // The signal may arrive a moment later: nothing more must happen until then.
        loop {
            std::thread::park();
        }
    }
}

impl DiskFile for KillingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        step(&self.left);
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        self.file.write(first)?;
        step(&self.left);
        self.file.write(rest)?;
        step(&self.left);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        step(&self.left);
        self.file.sync()?;
        step(&self.left);
        Ok(())
    }
}

impl Disk for KillingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.around(|disk| disk.create(path))?;
        let left = Arc::clone(&self.left);
        Ok(Box::new(KillingFile { file, left }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.around(|disk| disk.append(path))?;
        let left = Arc::clone(&self.left);
        Ok(Box::new(KillingFile { file, left }))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.sync_file(path))
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
        self.around(|disk| disk.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.remove_dir_all(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.create_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.around(|disk| disk.sync_dir(path))
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.around(|disk| disk.symlink(target, link))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        self.disk.read_link(link)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.around(|disk| disk.lock(path))
    }
}
