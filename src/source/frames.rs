//! Messages of an Arrow IPC stream file, found by their lengths alone: nothing is decoded.
//!
//! In: a file that may be growing. Out: where its complete messages end, and which of them later
//! ones need (the schema, the dictionaries).

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use arrow::ipc::MessageHeader;

use super::SourceError;
use super::error::unreadable;
use super::fingerprint::{FileMeta, Fingerprint, open_quietly};
use super::framing::{Next, PREFIX, Place};
use super::stream_error::StreamError;

/// Number of growing files whose messages are remembered.
const WALKS_MAX: usize = 64;

/// How far the complete messages of a stream file go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Offset of the end of the last complete message.
    pub end: u64,
    /// True if the end marker was read; another stream may still follow.
    pub is_ended: bool,
    /// True if the schema is complete.
    pub has_schema: bool,
    place: Place,
    /// Schemas and dictionaries, in order.
    needed: Vec<Needed>,
}

/// A message that later ones need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needed {
    offset: u64,
    bytes: u64,
    /// True if a stream begins with it.
    is_schema: bool,
}

impl Frames {
    /// The complete messages of the file at `path`; messages found by earlier calls are not read
    /// again.
    ///
    /// # Errors
    /// If it cannot be read, or a length or header makes no sense.
    pub fn of(path: &Path) -> Result<Self, SourceError> {
        let file = open_quietly(path).map_err(|source| unreadable(path, source))?;
        Self::of_file(path, &file)
    }

    fn of_file(path: &Path, file: &File) -> Result<Self, SourceError> {
        let meta = file.metadata().map(|meta| FileMeta::of(&meta));
        let meta = meta.map_err(|source| unreadable(path, source))?;
        let before = WALKS.with_borrow_mut(|walks| {
            let is_it = |(of, _): &(Fingerprint, Self)| of.meta.is_same_inode(&meta);
            let at = walks.iter().position(is_it);
            at.map(|at| walks.remove(at))
        });
        // One that was emptied in its place may have grown past what was walked.
        let is_known = |of: &Fingerprint| {
            of.bytes <= meta.bytes && of.is_prefix_of(file).is_ok_and(|is_known| is_known)
        };
        let known = before.filter(|(of, _)| is_known(of));
        let mut frames = known.map_or_else(Self::default, |(_, frames)| frames);
        frames.walk(file, path, meta.bytes)?;
        let fingerprint = Fingerprint::of(file, frames.end);
        let fingerprint = fingerprint.map_err(|source| unreadable(path, source))?;
        WALKS.with_borrow_mut(|walks| {
            if walks.len() == WALKS_MAX {
                walks.remove(0);
            }
            walks.push((fingerprint, frames.clone()));
        });
        Ok(frames)
    }

    /// A result that another process found.
    pub(super) fn known(end: u64, is_ended: bool, has_schema: bool) -> Self {
        Self {
            end,
            is_ended,
            has_schema,
            ..Self::default()
        }
    }

    fn walk(&mut self, file: &File, path: &Path, until: u64) -> Result<(), SourceError> {
        let mut place = self.place;
        loop {
            let next = next(file, &mut place, self.end, until);
            let next = next.map_err(|error| at(self.place.fault(error), path, self.end))?;
            let Some((bytes, kind)) = next else {
                return Ok(());
            };
            if let Some(kind @ (MessageHeader::Schema | MessageHeader::DictionaryBatch)) = kind {
                self.needed.push(Needed {
                    offset: self.end,
                    bytes,
                    is_schema: kind == MessageHeader::Schema,
                });
            }
            self.has_schema = true;
            self.place = place;
            self.end += bytes;
            self.is_ended = place == Place::Behind;
        }
    }

    /// The messages before `start` that later ones need: the schema of the stream that is current
    /// there, or has just ended, and its dictionaries.
    fn needed_before(&self, start: u64) -> impl Iterator<Item = (u64, u64)> {
        let before = self.needed.partition_point(|needed| needed.offset < start);
        let before = &self.needed[..before];
        let stream = before.iter().rposition(|needed| needed.is_schema);
        let needed = before[stream.unwrap_or(0)..].iter();
        needed.map(|needed| (needed.offset, needed.bytes))
    }

    /// The bytes of the messages from `start` to `end`, preceded by those they need.
    ///
    /// # Errors
    /// If the file cannot be read, or is shorter.
    pub(super) fn part(
        path: &Path,
        file: &Arc<File>,
        start: u64,
        end: u64,
    ) -> Result<Ranges, SourceError> {
        let mut parts = Vec::new();
        // The first messages need none before them, so nothing has to be found.
        if start > 0 {
            let frames = Self::of_file(path, file)?;
            if frames.end < end {
                return Err(SourceError::ChangedWhileRead {
                    path: path.to_owned(),
                });
            }
            parts.extend(frames.needed_before(start));
        }
        parts.push((start, end - start));
        let file = Arc::clone(file);
        Ok(Ranges { file, parts, at: 0 })
    }
}

thread_local! {
    /// Walks of this thread, newest last.
    static WALKS: RefCell<Vec<(Fingerprint, Frames)>> = const { RefCell::new(Vec::new()) };
}

/// The error for the data at byte `at` of a file.
fn at(error: StreamError, path: &Path, at: u64) -> SourceError {
    match error {
        StreamError::Corrupt(reason) => {
            StreamError::Corrupt(format!("the message at byte {at}: {reason}")).at(path)
        }
        other => other.at(path),
    }
}

/// Size and kind of the item at byte `at`; no kind for an end marker, `None` while it is
/// incomplete.
fn next(
    file: &File,
    place: &mut Place,
    at: u64,
    until: u64,
) -> Result<Option<(u64, Option<MessageHeader>)>, StreamError> {
    let left = usize::try_from(until.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut need = PREFIX.min(left);
    loop {
        let held = bytes.len();
        bytes.resize(need, 0);
        file.read_exact_at(&mut bytes[held..], at + held as u64)?;
        match place.step(&bytes)? {
            Next::More(more) if more > left => return Ok(None),
            Next::More(more) => need = more,
            Next::End(bytes) => return Ok(Some((bytes as u64, None))),
            Next::Message(cut) => {
                let whole = cut.bytes();
                let whole = whole.ok_or_else(|| format!("a message body of {} bytes", cut.body))?;
                return Ok((whole <= left).then_some((whole as u64, Some(cut.kind))));
            }
        }
    }
}

/// Parts of a file, one after the other.
pub(super) struct Ranges {
    file: Arc<File>,
    parts: Vec<(u64, u64)>,
    at: usize,
}

impl Read for Ranges {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while let Some((offset, len)) = self.parts.get_mut(self.at) {
            if *len == 0 {
                self.at += 1;
                continue;
            }
            let most = usize::try_from(*len).unwrap_or(usize::MAX).min(to.len());
            let n = self.file.read_at(&mut to[..most], *offset)?;
            if n == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *offset += n as u64;
            *len -= n as u64;
            return Ok(n);
        }
        Ok(0)
    }
}
