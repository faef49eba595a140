//! A disk that refuses writes once a directory has been moved or replaced.
//!
//! A write by name goes wherever the name leads. As long as the lock is in place, that is this
//! process's directory, so every operation that writes checks the lock first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, DiskLock};

/// A disk behind a lock.
pub struct GuardedDisk {
    disk: Arc<dyn Disk>,
    lock: Arc<dyn DiskLock>,
}

struct GuardedFile {
    file: Box<dyn DiskFile>,
    lock: Arc<dyn DiskLock>,
}

fn check(lock: &dyn DiskLock) -> io::Result<()> {
    match lock.displaced() {
        None => Ok(()),
        Some(displaced) => Err(io::Error::other(format!("the state directory {displaced}"))),
    }
}

impl GuardedDisk {
    /// `disk`, usable as long as the directory of `lock` stays in place.
    pub fn new(disk: Arc<dyn Disk>, lock: Arc<dyn DiskLock>) -> Self {
        Self { disk, lock }
    }

    fn check(&self) -> io::Result<()> {
        check(self.lock.as_ref())
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GuardedFile {
            file,
            lock: Arc::clone(&self.lock),
        })
    }
}

impl DiskFile for GuardedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        check(self.lock.as_ref())?;
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        // What is durable in a directory that is gone helps nobody.
        check(self.lock.as_ref())
    }
}

impl Disk for GuardedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check()?;
        self.disk.create(path).map(|file| self.file(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check()?;
        self.disk.append(path).map(|file| self.file(file))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.check()?;
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
        self.check()?;
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.disk.remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        self.disk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)?;
        self.check()
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.check()?;
        self.disk.symlink(target, link)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        self.disk.read_link(link)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.check()?;
        self.disk.lock(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::RealDisk;

    type Deed = fn(&dyn Disk, &mut dyn DiskFile, &Path) -> io::Result<()>;

    /// All writing operations, each on an existing file `a`.
    fn deeds() -> [Deed; 12] {
        [
            |disk, _, to| disk.create(&to.join("new")).map(drop),
            |disk, _, to| disk.append(&to.join("a")).map(drop),
            |disk, _, to| disk.sync_file(&to.join("a")),
            |disk, _, to| disk.rename(&to.join("a"), &to.join("new")),
            |disk, _, to| disk.remove_file(&to.join("a")),
            |disk, _, to| disk.remove_dir_all(&to.join("below")),
            |disk, _, to| disk.create_dir_all(&to.join("new")),
            |disk, _, to| disk.sync_dir(to),
            |disk, _, to| disk.symlink(Path::new("a"), &to.join("new")),
            |disk, _, to| disk.lock(&to.join("new")).map(drop),
            |_, file, _| file.write(b"x"),
            |_, file, _| file.sync(),
        ]
    }

    fn names(directory: &Path) -> Vec<PathBuf> {
        RealDisk.list(directory).unwrap()
    }

    #[test]
    fn nothing_is_written_where_another_directory_is_by_now() {
        for (number, deed) in deeds().into_iter().enumerate() {
            for is_displaced in [false, true] {
                let place = tempfile::tempdir().unwrap();
                let directory = place.path().join("state");
                let fill = || {
                    fs::create_dir_all(directory.join("below")).unwrap();
                    fs::write(directory.join("a"), "content").unwrap();
                };
                fill();
                let real: Arc<dyn Disk> = Arc::new(RealDisk);
                let lock = real.lock(&directory.join("lock")).unwrap();
                let disk = GuardedDisk::new(real, lock.into());
                let mut file = disk.append(&directory.join("a")).unwrap();
                if is_displaced {
                    fs::rename(&directory, place.path().join("away")).unwrap();
                    fill();
                }
                let before = names(&directory);
                let done = deed(&disk, file.as_mut(), &directory);
                assert_eq!(done.is_err(), is_displaced, "operation {number}: {done:?}");
                if is_displaced {
                    assert_eq!(names(&directory), before, "operation {number}");
                    let said = done.unwrap_err().to_string();
                    assert!(said.contains("state directory was renamed"), "{said}");
                    let content = fs::read_to_string(place.path().join("away/a")).unwrap();
                    assert_eq!(content, "content", "operation {number}");
                }
            }
        }
    }
}
