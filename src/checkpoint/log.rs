//! Entries by number that checkpoints refer to instead of containing: what is known about each
//! file.
//!
//! ```text
//! offset  bytes  content
//! 0       8      "OJADFILE"
//! 8       4      format version, 1
//! per batch:
//! 0       4      n, bytes of the entries
//! 4       n      entries: number (8), bytes (4), payload; bytes 2³²−1 and no payload: it is forgotten
//! 4+n     32     SHA-256 of the checksum of the batch before (none before the first) and of 4+n bytes
//! ```
//!
//! A checkpoint appends the changes since the previous one, and records the file, its length and
//! the last checksum: a [`Mark`]. An older generation is a shorter prefix of the same file. So the
//! cost of a checkpoint depends on what changed, not on all that is known. When much of a file is
//! out of date, a new one is started; the old one stays while a generation refers to it.
//!
//! After a failed write or fsync, or if a file is longer than the mark (the process died between
//! the append and the checkpoint), nothing more is appended to it: the next save starts a new file.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::checkpoint::CheckpointError;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::disk::{Disk, DiskFile};

const MAGIC: &[u8; 8] = b"OJADFILE";
const VERSION: u32 = 1;
const HEADER: u64 = 12;
const PREFIX: &str = "files-";
/// Version of the section that holds a mark.
const MARK_VERSION: u8 = 1;
/// Bytes of a batch above which another one is begun.
const BATCH_BYTES: usize = 1 << 20;
/// Most bytes of a valid batch: more means damage. One entry holds a path and its identity.
const BATCH_BYTES_MAX: u32 = 1 << 24;
/// Stored instead of a payload's length: the entry is forgotten.
const FORGOTTEN: u32 = u32::MAX;
/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Outdated entries that are tolerated, in addition to as many as there are live ones.
const STALE_LEAST: u64 = 4096;

/// Change of an entry: its payload, or `None` if it is forgotten.
pub type Change = (u64, Option<Vec<u8>>);

/// The part of a file that a checkpoint refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of the file.
    pub number: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Entries in them, including outdated ones.
    pub entries: u64,
    /// Entries that count.
    pub live: u64,
    /// The checksum that they end with.
    pub checksum: [u8; 32],
}

impl Mark {
    /// The section of a checkpoint.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(MARK_VERSION);
        to.u64(self.number);
        to.u64(self.bytes);
        to.u64(self.entries);
        to.u64(self.live);
        to.raw(&self.checksum);
        to.into_bytes()
    }

    /// The mark in a section; `None` in an empty one.
    ///
    /// # Errors
    /// If its content is not what was written.
    pub fn decode(section: &[u8]) -> Result<Option<Self>, CodecError> {
        if section.is_empty() {
            return Ok(None);
        }
        let mut from = Decoder::new("files", section);
        let version = from.u8()?;
        if version != MARK_VERSION {
            let known = format!("version {version}; this program reads version {MARK_VERSION}");
            return Err(from.refuse(known));
        }
        let mark = Self {
            number: from.u64()?,
            bytes: from.u64()?,
            entries: from.u64()?,
            live: from.u64()?,
            checksum: from.array()?,
        };
        from.finish()?;
        Ok(Some(mark))
    }
}

/// The files of entries in a state directory.
pub struct EntryLog {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    next: u64,
    /// The part that is certainly on disk.
    mark: Option<Mark>,
    /// Open while the file ends where the mark does.
    file: Option<Box<dyn DiskFile>>,
    /// Changes that are not yet on disk.
    owed: BTreeMap<u64, Option<Vec<u8>>>,
}

impl EntryLog {
    /// The files in `directory`, none of them in use yet.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub(super) fn open(directory: &Path, disk: Arc<dyn Disk>) -> Result<Self, CheckpointError> {
        let mut log = Self {
            directory: directory.to_owned(),
            disk,
            next: 1,
            mark: None,
            file: None,
            owed: BTreeMap::new(),
        };
        log.next = log.numbers()?.into_iter().max().map_or(1, |last| last + 1);
        Ok(log)
    }

    fn numbers(&self) -> Result<Vec<u64>, CheckpointError> {
        let names = self.disk.list(&self.directory);
        let names = names.map_err(CheckpointError::io(&self.directory, "cannot list"))?;
        let numbers = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok());
        Ok(numbers.collect())
    }

    /// Continues after the mark of the restored checkpoint.
    pub(super) fn resume(&mut self, mark: Option<Mark>) {
        self.owed.clear();
        self.file = mark.as_ref().and_then(|mark| {
            let path = path_of(&self.directory, mark.number);
            let is_exact = ends_at(self.disk.as_ref(), &path, mark.bytes).unwrap_or(false);
            // What cannot be appended to is followed by a new file.
            is_exact.then(|| self.disk.append(&path).ok()).flatten()
        });
        self.mark = mark;
    }

    /// Notes changes: the next save writes them.
    pub(super) fn owe(&mut self, changes: Vec<Change>) {
        self.owed.extend(changes);
    }

    /// Writes pending changes and waits until they are on disk; returns the mark for a checkpoint.
    /// `live` is the number of entries that then count.
    ///
    /// # Errors
    /// If an operation fails: the changes stay pending.
    pub(super) fn save(&mut self, live: u64) -> Result<Option<Mark>, CheckpointError> {
        // As the file would be after the append: its entries, less those that count.
        let stale = self.mark.as_ref().map_or(0, |mark| {
            let entries = mark.entries + self.owed.len() as u64;
            entries.saturating_sub(live)
        });
        let is_crowded = stale > live + STALE_LEAST;
        if self.owed.is_empty() && !is_crowded {
            return Ok(self.mark.clone());
        }
        // Taken out, so that after a failure the file stays unset and the next save begins a new
        // one.
        let mut mark = match self.file.take().filter(|_| !is_crowded) {
            Some(file) => self.extend(file)?,
            None => self.rewrite()?,
        };
        mark.live = live;
        self.owed.clear();
        self.mark = Some(mark);
        Ok(self.mark.clone())
    }

    fn extend(&mut self, file: Box<dyn DiskFile>) -> Result<Mark, CheckpointError> {
        let Some(mark) = self.mark.clone() else {
            return self.rewrite();
        };
        let path = path_of(&self.directory, mark.number);
        let mut writer = Writer::new(file, path, mark);
        for (number, payload) in &self.owed {
            writer.put(*number, payload.as_deref())?;
        }
        let (file, mark) = writer.finish()?;
        self.file = Some(file);
        Ok(mark)
    }

    /// Writes everything that counts to a new file.
    fn rewrite(&mut self) -> Result<Mark, CheckpointError> {
        // A number is never used twice: a file that could not be written may still be there.
        let number = self.next;
        self.next += 1;
        let path = path_of(&self.directory, number);
        let written = self.write_anew(&path, number);
        if written.is_err() {
            // What is left of it goes when two checkpoints are whole otherwise.
            let _ = self.disk.remove_file(&path);
        }
        let (file, mark) = written?;
        self.file = Some(file);
        Ok(mark)
    }

    fn write_anew(
        &self,
        path: &Path,
        number: u64,
    ) -> Result<(Box<dyn DiskFile>, Mark), CheckpointError> {
        let failed = |action| CheckpointError::io(path, action);
        let mut file = self.disk.create(path).map_err(failed("cannot create"))?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        file.write(&header).map_err(failed("cannot write"))?;
        let mark = Mark {
            number,
            bytes: HEADER,
            entries: 0,
            live: 0,
            checksum: [0; 32],
        };
        let mut writer = Writer::new(file, path.to_owned(), mark);
        if let Some(old) = &self.mark {
            let disk = self.disk.as_ref();
            // Two passes over the old file: the first notes which entry of a number is the last,
            // so that the entries themselves need no memory.
            let mut last: HashMap<u64, u64> = HashMap::new();
            let mut at = 0;
            read(disk, &self.directory, old, |number, payload| {
                at += 1;
                match payload {
                    Some(_) => last.insert(number, at),
                    None => last.remove(&number),
                };
                Ok(())
            })?;
            at = 0;
            read(disk, &self.directory, old, |number, payload| {
                at += 1;
                let counts = last.get(&number) == Some(&at) && !self.owed.contains_key(&number);
                match payload.filter(|_| counts) {
                    Some(payload) => writer.put(number, Some(payload)),
                    None => Ok(()),
                }
            })?;
        }
        for (number, payload) in &self.owed {
            if let Some(payload) = payload {
                writer.put(*number, Some(payload))?;
            }
        }
        let finished = writer.finish()?;
        // The name must be there before a checkpoint says it.
        let synced = self.disk.sync_dir(&self.directory);
        synced.map_err(CheckpointError::io(&self.directory, "cannot fsync"))?;
        Ok(finished)
    }

    /// Removes files that no generation refers to.
    pub(super) fn remove_others(&self, named: &[u64]) {
        let own = self.mark.as_ref().map(|mark| mark.number);
        for number in self.numbers().unwrap_or_default() {
            if !named.contains(&number) && own != Some(number) {
                // It is tried again after the next checkpoint.
                let _ = self.disk.remove_file(&path_of(&self.directory, number));
            }
        }
    }
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:012}"))
}

/// True if a file ends there.
fn ends_at(disk: &dyn Disk, path: &Path, bytes: u64) -> io::Result<bool> {
    Ok(disk.bytes(path)? == bytes)
}

/// Passes every entry of the part given by `mark` to `visit`, in the order of writing: the last one
/// of a number counts.
///
/// # Errors
/// If it cannot be read, is damaged, or `visit` fails.
pub fn read(
    disk: &dyn Disk,
    directory: &Path,
    mark: &Mark,
    mut visit: impl FnMut(u64, Option<&[u8]>) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let path = path_of(directory, mark.number);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(&path, "it is shorter than the checkpoint says"),
        _ => CheckpointError::io(&path, "cannot read")(error),
    };
    let opened = disk.reader(&path).map_err(failed)?;
    let mut from = BufReader::with_capacity(BUFFER_BYTES, opened);
    let mut header = [0; HEADER as usize];
    from.read_exact(&mut header).map_err(failed)?;
    if !header.starts_with(MAGIC) {
        return Err(damaged(
            &path,
            "it does not start with the file-list signature",
        ));
    }
    let version = u32::from_le_bytes(array(&header[8..]));
    if version != VERSION {
        return Err(CheckpointError::Version {
            path,
            found: version,
            known: VERSION,
        });
    }
    // Each checksum covers the one before, so that a batch left over from another file cannot
    // pass.
    let (mut at, mut checksum) = (HEADER, [0; 32]);
    let mut batch = Vec::new();
    while at < mark.bytes {
        let mut len = [0; 4];
        from.read_exact(&mut len).map_err(failed)?;
        let len = u32::from_le_bytes(len);
        if len > BATCH_BYTES_MAX {
            return Err(damaged(&path, "a batch is too large"));
        }
        batch.resize(len as usize, 0);
        from.read_exact(&mut batch).map_err(failed)?;
        let mut stored = [0; 32];
        from.read_exact(&mut stored).map_err(failed)?;
        checksum = chained(&checksum, &batch);
        if checksum != stored {
            return Err(damaged(&path, "a checksum does not match its content"));
        }
        at += 4 + u64::from(len) + 32;
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let Some((number, payload, after)) = take(rest) else {
                return Err(damaged(&path, "an entry is incomplete"));
            };
            visit(number, payload)?;
            rest = after;
        }
    }
    if at != mark.bytes || checksum != mark.checksum {
        return Err(damaged(
            &path,
            "it is not the file that the checkpoint refers to",
        ));
    }
    Ok(())
}

fn damaged(path: &Path, reason: &str) -> CheckpointError {
    CheckpointError::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn chained(before: &[u8; 32], batch: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update((batch.len() as u32).to_le_bytes());
    hasher.update(batch);
    hasher.finalize().into()
}

/// The first entry of a batch: its number, its payload unless it is forgotten, what follows.
type Taken<'a> = (u64, Option<&'a [u8]>, &'a [u8]);

fn take(bytes: &[u8]) -> Option<Taken<'_>> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let number = u64::from_le_bytes(*number);
    match u32::from_le_bytes(*len) {
        FORGOTTEN => Some((number, None, rest)),
        len => {
            let (payload, rest) = rest.split_at_checked(len as usize)?;
            Some((number, Some(payload), rest))
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

/// Entries on their way to a file, batch by batch.
struct Writer {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    mark: Mark,
    batch: Vec<u8>,
}

impl Writer {
    fn new(file: Box<dyn DiskFile>, path: PathBuf, mark: Mark) -> Self {
        Self {
            file,
            path,
            mark,
            batch: Vec::new(),
        }
    }

    fn put(&mut self, number: u64, payload: Option<&[u8]>) -> Result<(), CheckpointError> {
        self.batch.extend_from_slice(&number.to_le_bytes());
        let len = payload.map_or(FORGOTTEN, |payload| payload.len() as u32);
        self.batch.extend_from_slice(&len.to_le_bytes());
        self.batch.extend_from_slice(payload.unwrap_or_default());
        self.mark.entries += 1;
        if self.batch.len() >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), CheckpointError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let checksum = chained(&self.mark.checksum, &self.batch);
        let mut bytes = Vec::with_capacity(self.batch.len() + 36);
        bytes.extend_from_slice(&(self.batch.len() as u32).to_le_bytes());
        bytes.append(&mut self.batch);
        bytes.extend_from_slice(&checksum);
        let failed = CheckpointError::io(&self.path, "cannot write");
        self.file.write(&bytes).map_err(failed)?;
        self.mark.bytes += bytes.len() as u64;
        self.mark.checksum = checksum;
        Ok(())
    }

    /// Waits until everything is on disk.
    fn finish(mut self) -> Result<(Box<dyn DiskFile>, Mark), CheckpointError> {
        self.write_batch()?;
        let failed = CheckpointError::io(&self.path, "cannot fsync");
        self.file.sync().map_err(failed)?;
        Ok((self.file, self.mark))
    }
}
