//! A disk in memory that can fail and lose power.
//!
//! What a file holds is certain up to its last successful fsync; which names a directory holds, as of
//! its last. A power loss keeps what is certain, and of the rest whatever the seed says: names in the
//! order in which they changed, contents whole, torn or empty.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ojad::disk::{Disk, DiskFile, DiskLock, Displaced};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO, and nothing was done.
    Io,
    /// ENOSPC, and nothing was done.
    Full,
    /// Half of a write was done, then ENOSPC; other operations fail as with EIO.
    Short,
    /// It was done, and EIO says that it was not: a network file system that lost the answer.
    Late,
    /// This operation and all that follow fail: the power is out.
    Power,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    File(usize),
    Link(PathBuf),
    Lock,
}

#[derive(Debug, Default)]
struct Inner {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, Name>,
    /// Names that are certain.
    synced: BTreeMap<PathBuf, Name>,
    /// Changes of names since, in order: by directory, what a path became.
    pending: Vec<(PathBuf, Option<Name>)>,
    /// Bytes of files on the machine's own disk that somebody waited for.
    outside: BTreeMap<PathBuf, u64>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    is_dead: bool,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

struct SimFile {
    disk: SimDisk,
    content: usize,
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

/// No other process has a disk in memory; its directories may be renamed and removed.
impl DiskLock for SimLock {
    fn displaced(&self) -> Option<Displaced> {
        let is_there = self.disk.inner().names.get(&self.path) == Some(&Name::Lock);
        (!is_there).then_some(Displaced::Removed)
    }

    fn note(&self, _holder: &str) -> io::Result<()> {
        Ok(())
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Io | Fault::Late | Fault::Power => io::Error::from_raw_os_error(5),
        Fault::Full | Fault::Short => io::Error::from_raw_os_error(28),
    }
}

impl SimDisk {
    /// An empty disk of which operation `at` (from 1) fails.
    pub fn failing(&self, at: u64, fault: Fault) {
        let mut inner = self.inner();
        inner.operations = 0;
        inner.fault = Some((at, fault));
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Bytes of a file on the machine's own disk that outlive a power loss.
    pub fn outside(&self, path: &Path) -> u64 {
        self.inner().outside.get(path).copied().unwrap_or(0)
    }

    pub fn is_dead(&self) -> bool {
        self.inner().is_dead
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics within")
    }

    /// The disk as it is found when the power is back.
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let inner = self.inner();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut names = inner.synced.clone();
        // A journaling file system keeps the order of changes of names: some first ones are there.
        let kept = random.random_range(0..=inner.pending.len());
        for (path, name) in &inner.pending[..kept] {
            change(&mut names, path, name.clone());
        }
        let contents = inner
            .contents
            .iter()
            .map(|content| {
                let lost = content.now.len().saturating_sub(content.synced.len());
                let mut now = content.synced.clone();
                if content.now.starts_with(&content.synced) && random.random_bool(0.5) {
                    let more = random.random_range(0..=lost);
                    now.extend_from_slice(&content.now[now.len()..][..more]);
                }
                Content {
                    synced: now.clone(),
                    now,
                }
            })
            .collect();
        Self(Arc::new(Mutex::new(Inner {
            contents,
            synced: names.clone(),
            names,
            ..Inner::default()
        })))
    }

    /// Counts an operation; whether it is to fail.
    fn step(inner: &mut Inner) -> Option<Fault> {
        if inner.is_dead {
            return Some(Fault::Power);
        }
        inner.operations += 1;
        let (at, fault) = inner.fault?;
        if inner.operations != at {
            return None;
        }
        inner.is_dead = fault == Fault::Power;
        Some(fault)
    }

    fn act<T>(&self, action: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.inner();
        match Self::step(&mut inner) {
            Some(Fault::Late) => action(&mut inner).and(Err(error(Fault::Late))),
            Some(fault) => Err(error(fault)),
            None => action(&mut inner),
        }
    }

    fn open(&self, path: &Path, is_new: bool) -> io::Result<Box<dyn DiskFile>> {
        let content = self.act(|inner| {
            if let (Some(Name::File(content)), false) = (inner.names.get(path), is_new) {
                return Ok(*content);
            }
            inner.contents.push(Content::default());
            let content = inner.contents.len() - 1;
            inner.put(path, Some(Name::File(content)));
            Ok(content)
        })?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            content,
        }))
    }
}

/// A name that goes takes everything below it along; one that comes to be is put.
fn change(names: &mut BTreeMap<PathBuf, Name>, path: &Path, name: Option<Name>) {
    match name {
        Some(name) => {
            names.insert(path.to_owned(), name);
        }
        None => names.retain(|there, _| !there.starts_with(path)),
    }
}

impl Inner {
    fn put(&mut self, path: &Path, name: Option<Name>) {
        change(&mut self.names, path, name.clone());
        self.pending.push((path.to_owned(), name));
    }

    fn is_there(&self, path: &Path) -> bool {
        self.names.keys().any(|there| there.starts_with(path))
    }
}

impl DiskFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.inner();
        let fault = SimDisk::step(&mut inner);
        let now = &mut inner.contents[self.content].now;
        match fault {
            None => now.extend_from_slice(bytes),
            Some(Fault::Short) => now.extend_from_slice(&bytes[..bytes.len() / 2]),
            Some(_) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.act(|inner| {
            let content = &mut inner.contents[self.content];
            content.synced.clone_from(&content.now);
            Ok(())
        })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path, true)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path, false)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.act(|inner| {
            if let Some(Name::File(content)) = inner.names.get(path) {
                let content = &mut inner.contents[*content];
                content.synced.clone_from(&content.now);
            } else {
                let bytes = std::fs::metadata(path)?.len();
                inner.outside.insert(path.to_owned(), bytes);
            }
            Ok(())
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inner = self.inner();
        match inner.names.get(path) {
            Some(Name::File(content)) => Ok(inner.contents[*content].now.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(io::Cursor::new(self.read(path)?)))
    }

    fn bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path)?.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(|inner| {
            if !inner.is_there(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let moved: Vec<(PathBuf, Name)> = inner
                .names
                .iter()
                .filter(|(path, _)| path.starts_with(from))
                .map(|(path, name)| (path.clone(), name.clone()))
                .collect();
            inner.put(from, None);
            for (path, name) in moved {
                let rest = path.strip_prefix(from).expect("below it").to_owned();
                let path = if rest.as_os_str().is_empty() {
                    to.to_owned()
                } else {
                    to.join(rest)
                };
                inner.put(&path, Some(name));
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.act(|inner| {
            if !inner.names.contains_key(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inner.put(path, None);
            Ok(())
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.act(|inner| {
            if !inner.is_there(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inner.put(path, None);
            Ok(())
        })
    }

    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        self.act(|_| Ok(()))
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        // Every change before is in the journal of the file system then.
        self.act(|inner| {
            inner.synced = inner.names.clone();
            inner.pending.clear();
            Ok(())
        })
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.act(|inner| {
            inner.put(link, Some(Name::Link(target.to_owned())));
            Ok(())
        })
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        match self.inner().names.get(link) {
            Some(Name::Link(target)) => Ok(target.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.act(|inner| {
            inner.put(path, Some(Name::Lock));
            Ok(())
        })?;
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let inner = self.inner();
        let below = inner.names.keys().filter_map(|there| {
            let first = there.strip_prefix(path).ok()?.components().next()?;
            Some(PathBuf::from(first.as_os_str()))
        });
        let mut names: Vec<PathBuf> = below.collect();
        names.dedup();
        Ok(names)
    }
}

impl SimDisk {
    /// Whether `latest` in `directory` leads to a whole snapshot, or nowhere because there is none.
    pub fn has_whole_latest(&self, directory: &Path) -> bool {
        let target = match self.inner().names.get(&directory.join("latest")) {
            Some(Name::Link(target)) => directory.join(target),
            Some(_) => return false,
            None => return true,
        };
        let read = |name: &str| self.read(&target.join(name));
        let json: Option<serde_json::Value> = read("snapshot.json")
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        ["components", "features"].iter().all(|name| {
            let bytes = read(&format!("{name}.parquet")).unwrap_or_default();
            let found = ojad::rows::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
            json.as_ref()
                .is_some_and(|json| json[format!("{name}_sha256")] == found.as_str())
        })
    }
}
