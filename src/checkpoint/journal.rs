//! Decisions since the checkpoints, entry by entry.
//!
//! ```text
//! offset  bytes  content
//! 0       8      "OJADJRNL"
//! 8       4      format version, 2
//! 12      16     the run; not in version 1
//! per entry:
//! 0       4      n, bytes of the payload
//! 4       8      sequence, one more than the entry's before
//! 12      n      payload
//! 12+n    8      the first 8 bytes of the SHA-256 of all of it
//! ```
//!
//! An append is one write and one fsync. A torn tail (the process or the machine died during the
//! write) was never acknowledged; it is cut off at the next start by rewriting the file. After a
//! failed write or fsync the state of the file is unknown, so the next append rewrites it too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::checkpoint::CheckpointError;
use crate::disk::{Disk, DiskFile};
use crate::rows::RunId;

const MAGIC: &[u8; 8] = b"OJADJRNL";
const VERSION: u32 = 2;
/// The version without a run id.
const WITHOUT_RUN: u32 = 1;
const HEADER: usize = 12;
const ENTRY_HEADER: usize = 12;
const CHECKSUM: usize = 8;
const NAME: &str = "journal";
const TEMPORARY: &str = "journal.new";
/// Bytes of obsolete entries above which the file is rewritten.
const COMPACT_BYTES: usize = 1 << 20;

/// A recorded decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub sequence: u64,
    /// The decision.
    pub bytes: Vec<u8>,
}

/// Content of a journal.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The run it belongs to; `None` if there is no journal, or in the version without a run id.
    pub run: Option<RunId>,
    /// Entries, in order.
    pub entries: Vec<Entry>,
}

impl Recorded {
    /// Reads the journal in `directory`.
    ///
    /// # Errors
    /// If it cannot be read, or another version wrote it.
    pub fn read(directory: &Path, disk: &dyn Disk) -> Result<Self, CheckpointError> {
        let path = directory.join(NAME);
        match disk.read(&path) {
            Ok(bytes) => parse(&bytes, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CheckpointError::io(&path, "cannot read")(error)),
        }
    }
}

/// A file of entries.
pub struct Journal {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    run: RunId,
    /// Entries that a checkpoint may still need.
    live: Vec<Entry>,
    /// Bytes of entries in the file that are not live.
    dead_bytes: usize,
    last: u64,
    /// Open while everything in the file is known to be intact.
    file: Option<Box<dyn DiskFile>>,
}

impl Journal {
    /// Continues the journal in `directory` for `run`; new numbers are greater than `after`. The
    /// first append rewrites the whole file.
    pub fn resume(
        directory: &Path,
        disk: Arc<dyn Disk>,
        run: RunId,
        recorded: Recorded,
        after: u64,
    ) -> Self {
        let live = recorded.entries;
        let last = live.last().map_or(0, |entry| entry.sequence).max(after);
        Self {
            directory: directory.to_owned(),
            disk,
            run,
            live,
            dead_bytes: 0,
            last,
            file: None,
        }
    }

    /// Writes entries and waits until they are on disk; returns the number of the last one.
    ///
    /// # Errors
    /// If an operation fails: then none of the entries count.
    pub fn append(&mut self, payloads: &[Vec<u8>]) -> Result<u64, CheckpointError> {
        let first = self.last + 1;
        let entries: Vec<Entry> = (first..)
            .zip(payloads)
            .map(|(sequence, bytes)| Entry {
                sequence,
                bytes: bytes.clone(),
            })
            .collect();
        let before = self.live.len();
        self.live.extend(entries);
        // Taken out, so that after a failed write the file stays unset and the next append writes
        // a new one.
        let written = match self.file.take() {
            Some(file) => self.extend(file, before),
            None => self.rewrite(),
        };
        if let Err(error) = written {
            self.live.truncate(before);
            return Err(error);
        }
        self.last += payloads.len() as u64;
        Ok(self.last)
    }

    fn extend(&mut self, mut file: Box<dyn DiskFile>, from: usize) -> Result<(), CheckpointError> {
        let path = self.directory.join(NAME);
        let mut bytes = Vec::new();
        self.live[from..]
            .iter()
            .for_each(|entry| put(entry, &mut bytes));
        let failed = |action| CheckpointError::io(&path, action);
        file.write(&bytes).map_err(failed("cannot write"))?;
        file.sync().map_err(failed("cannot fsync"))?;
        self.file = Some(file);
        Ok(())
    }

    /// Writes all live entries to a new file that replaces the old one.
    fn rewrite(&mut self) -> Result<(), CheckpointError> {
        let (path, temporary) = (self.directory.join(NAME), self.directory.join(TEMPORARY));
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(self.run.bytes());
        self.live.iter().for_each(|entry| put(entry, &mut bytes));
        let failed = |action| CheckpointError::io(&temporary, action);
        let disk = &self.disk;
        let mut file = disk.create(&temporary).map_err(failed("cannot create"))?;
        file.write(&bytes).map_err(failed("cannot write"))?;
        file.sync().map_err(failed("cannot fsync"))?;
        drop(file);
        disk.rename(&temporary, &path)
            .map_err(CheckpointError::io(&path, "cannot rename to"))?;
        disk.sync_dir(&self.directory)
            .map_err(CheckpointError::io(&self.directory, "cannot fsync"))?;
        self.dead_bytes = 0;
        let file = disk.append(&path);
        self.file = Some(file.map_err(CheckpointError::io(&path, "cannot open"))?);
        Ok(())
    }

    /// Forgets the entries up to `contained`, which every checkpoint contains. The file is
    /// rewritten if much of it is obsolete.
    pub fn compact(&mut self, contained: u64) {
        let dead = self
            .live
            .iter()
            .take_while(|entry| entry.sequence <= contained);
        let (count, bytes) = dead.fold((0, 0), |(count, bytes), entry| {
            (
                count + 1,
                bytes + entry.bytes.len() + ENTRY_HEADER + CHECKSUM,
            )
        });
        self.live.drain(..count);
        self.dead_bytes += bytes;
        if self.dead_bytes > COMPACT_BYTES {
            // The next append does it.
            self.file = None;
        }
    }
}

fn put(entry: &Entry, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(&(entry.bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(&entry.sequence.to_le_bytes());
    to.extend_from_slice(&entry.bytes);
    let checksum = Sha256::digest(&to[start..]);
    to.extend_from_slice(&checksum[..CHECKSUM]);
}

/// Entries up to the first incomplete one.
fn parse(bytes: &[u8], path: &Path) -> Result<Recorded, CheckpointError> {
    // The file was torn while it was being created, so nothing in it was ever acknowledged.
    if bytes.len() < HEADER {
        return Ok(Recorded::default());
    }
    if !bytes.starts_with(MAGIC) {
        return Err(CheckpointError::Damaged {
            path: path.to_owned(),
            reason: "it does not start with the journal signature; start over with `--reset-state`"
                .to_owned(),
        });
    }
    let (version, mut rest) = (&bytes[8..HEADER], &bytes[HEADER..]);
    let version = version
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u32::from(*byte));
    let mut recorded = Recorded::default();
    match version {
        WITHOUT_RUN => {}
        VERSION => {
            let Some((run, behind)) = rest.split_first_chunk() else {
                return Ok(recorded);
            };
            (recorded.run, rest) = (Some(RunId::of(*run)), behind);
        }
        found => {
            return Err(CheckpointError::Version {
                path: path.to_owned(),
                found,
                known: VERSION,
            });
        }
    }
    let entries = &mut recorded.entries;
    while let Some((entry, after)) = take(rest) {
        if entries
            .last()
            .is_some_and(|last: &Entry| last.sequence + 1 != entry.sequence)
        {
            break;
        }
        entries.push(entry);
        rest = after;
    }
    Ok(recorded)
}

fn take(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let payload = rest.get(..len)?;
    let checksum = rest.get(len..len + CHECKSUM)?;
    let whole = &bytes[..ENTRY_HEADER + len];
    if Sha256::digest(whole)[..CHECKSUM] != *checksum {
        return None;
    }
    let entry = Entry {
        sequence: u64::from_le_bytes(*sequence),
        bytes: payload.to_vec(),
    };
    Some((entry, &rest[len + CHECKSUM..]))
}
