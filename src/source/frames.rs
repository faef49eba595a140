//! Messages of an Arrow IPC stream file, found by their lengths alone: nothing is decoded.
//!
//! In: a file that somebody may be appending to. Out: where its complete messages end, and which
//! of them later ones need (the schema, the dictionaries).

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use arrow::ipc::MessageHeader;

use super::SourceError;
use super::discover::unreadable;
use super::framing::{PREFIX, Place, Prefix, StreamError, message};
use super::identity::{Identity, Stamp, open_quietly};

/// Growing files whose messages are remembered.
const WALKS_MAX: usize = 64;

/// How far the complete messages of a stream file go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Byte behind the last complete message.
    pub end: u64,
    /// Whether it says that nothing follows; another stream may follow all the same.
    pub is_ended: bool,
    /// Whether the schema is complete.
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
    /// Whether a stream begins with it.
    is_schema: bool,
}

/// What follows at an offset.
enum Next {
    /// A message of so many bytes.
    Message { bytes: u64, kind: MessageHeader },
    /// The end of a stream, of so many bytes.
    End { bytes: u64 },
    /// Not all of a message yet.
    Incomplete,
}

impl Frames {
    /// The complete messages of the file at `path`; those of earlier calls are not read again.
    ///
    /// # Errors
    /// If it cannot be read, or a length or header makes no sense.
    pub fn of(path: &Path) -> Result<Self, SourceError> {
        let file = open_quietly(path).map_err(|source| unreadable(path, source))?;
        Self::of_file(path, &file)
    }

    fn of_file(path: &Path, file: &File) -> Result<Self, SourceError> {
        let stamp = file.metadata().map(|meta| Stamp::of(&meta));
        let stamp = stamp.map_err(|source| unreadable(path, source))?;
        let before = WALKS.with_borrow_mut(|walks| {
            let is_it = |(of, _): &(Identity, Self)| of.stamp.is_same_inode(&stamp);
            let at = walks.iter().position(is_it);
            at.map(|at| walks.remove(at))
        });
        // One that was emptied in its place may have grown past what was walked.
        let is_known = |of: &Identity| {
            of.bytes <= stamp.bytes && of.is_prefix_of(file).is_ok_and(|is_known| is_known)
        };
        let known = before.filter(|(of, _)| is_known(of));
        let mut frames = known.map_or_else(Self::default, |(_, frames)| frames);
        frames.walk(file, path, stamp.bytes)?;
        let identity = Identity::of(file, frames.end);
        let identity = identity.map_err(|source| unreadable(path, source))?;
        WALKS.with_borrow_mut(|walks| {
            if walks.len() == WALKS_MAX {
                walks.remove(0);
            }
            walks.push((identity, frames.clone()));
        });
        Ok(frames)
    }

    /// What another process found.
    pub(super) fn known(end: u64, is_ended: bool, has_schema: bool) -> Self {
        Self {
            end,
            is_ended,
            has_schema,
            ..Self::default()
        }
    }

    fn walk(&mut self, file: &File, path: &Path, until: u64) -> Result<(), SourceError> {
        loop {
            let place = self.place;
            let wrong = |error: StreamError| at(place.fault(error), path, self.end);
            let bytes = match next(file, place, self.end, until).map_err(wrong)? {
                Next::Incomplete => return Ok(()),
                Next::End { bytes } => {
                    self.place.mark().map_err(wrong)?;
                    bytes
                }
                Next::Message { bytes, kind } => {
                    self.place.message(kind).map_err(wrong)?;
                    let is_schema = kind == MessageHeader::Schema;
                    if is_schema || kind == MessageHeader::DictionaryBatch {
                        self.needed.push(Needed {
                            offset: self.end,
                            bytes,
                            is_schema,
                        });
                    }
                    self.has_schema = true;
                    bytes
                }
            };
            self.end += bytes;
            self.is_ended = self.place == Place::Behind;
        }
    }

    /// The messages before `start` that those behind it need: the schema of the stream that stands
    /// there, or has just ended, and its dictionaries.
    fn needed_before(&self, start: u64) -> impl Iterator<Item = (u64, u64)> {
        let before = self.needed.partition_point(|needed| needed.offset < start);
        let before = &self.needed[..before];
        let stream = before.iter().rposition(|needed| needed.is_schema);
        let needed = before[stream.unwrap_or(0)..].iter();
        needed.map(|needed| (needed.offset, needed.bytes))
    }

    /// The bytes of the messages from `start` to `end`, after those that they need.
    ///
    /// # Errors
    /// If the file cannot be read, or is shorter.
    pub(super) fn part(
        path: &Path,
        file: &Arc<File>,
        start: u64,
        end: u64,
    ) -> Result<Ranges, SourceError> {
        let frames = Self::of_file(path, file)?;
        if frames.end < end {
            return Err(SourceError::ChangedWhileRead {
                path: path.to_owned(),
            });
        }
        let file = Arc::clone(file);
        let mut parts: Vec<(u64, u64)> = frames.needed_before(start).collect();
        parts.push((start, end - start));
        Ok(Ranges { file, parts, at: 0 })
    }
}

thread_local! {
    /// Walks of this thread, the newest last.
    static WALKS: RefCell<Vec<(Identity, Frames)>> = const { RefCell::new(Vec::new()) };
}

/// The error for what stands at byte `at` of a file.
fn at(error: StreamError, path: &Path, at: u64) -> SourceError {
    match error {
        StreamError::Corrupt(reason) => {
            StreamError::Corrupt(format!("the message at byte {at}: {reason}")).at(path)
        }
        other => other.at(path),
    }
}

fn next(file: &File, place: Place, at: u64, until: u64) -> Result<Next, StreamError> {
    let left = until.saturating_sub(at);
    let mut prefix = [0; PREFIX];
    let held = prefix.len().min(usize::try_from(left).unwrap_or(PREFIX));
    file.read_exact_at(&mut prefix[..held], at)?;
    place.check(&prefix[..held])?;
    let (before, len) = match Prefix::of(&prefix[..held])? {
        Prefix::More(_) => return Ok(Next::Incomplete),
        Prefix::End(bytes) => {
            return Ok(Next::End {
                bytes: bytes as u64,
            });
        }
        Prefix::Header { before, len } => (before as u64, len as u64),
    };
    if left < before + len {
        return Ok(Next::Incomplete);
    }
    let mut header = vec![0; len as usize];
    file.read_exact_at(&mut header, at + before)?;
    let (message, body) = message(&header)?;
    let bytes = (before + len)
        .checked_add(body as u64)
        .ok_or_else(|| format!("a message body of {body} bytes"))?;
    if left < bytes {
        return Ok(Next::Incomplete);
    }
    Ok(Next::Message {
        bytes,
        kind: message.header_type(),
    })
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
