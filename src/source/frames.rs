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

use arrow::ipc::{MessageHeader, root_as_message};

use super::SourceError;
use super::discover::unreadable;
use super::identity::{Identity, Stamp, open_quietly};

/// Bytes that the header of one message may take: a schema of a hundred thousand columns takes
/// some 20 MB.
const HEADER_MAX: u64 = 256 << 20;
/// Marks the length of a message.
const MARK: [u8; 4] = [0xFF; 4];
/// Growing files whose messages are remembered.
const WALKS_MAX: usize = 64;

/// How far the complete messages of a stream file go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Byte behind the last complete message.
    pub end: u64,
    /// Whether it says that nothing follows.
    pub is_ended: bool,
    /// Whether the schema is complete.
    pub has_schema: bool,
    /// Offsets and lengths of the schema and of the dictionaries, in order.
    needed: Vec<(u64, u64)>,
}

/// What follows at an offset.
enum Next {
    /// A message of so many bytes, and whether later ones need it.
    Message { bytes: u64, is_needed: bool },
    /// The end of the stream, of so many bytes.
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
            needed: Vec::new(),
        }
    }

    fn walk(&mut self, file: &File, path: &Path, until: u64) -> Result<(), SourceError> {
        while !self.is_ended {
            match next(file, path, self.end, until)? {
                Next::Incomplete => break,
                Next::End { bytes } => {
                    self.end += bytes;
                    self.is_ended = true;
                }
                Next::Message { bytes, is_needed } => {
                    if is_needed {
                        self.needed.push((self.end, bytes));
                    }
                    self.has_schema |= self.end == 0;
                    self.end += bytes;
                }
            }
        }
        Ok(())
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
        let needed = frames.needed.iter().filter(|(offset, _)| *offset < start);
        let mut parts: Vec<(u64, u64)> = needed.copied().collect();
        parts.push((start, end - start));
        Ok(Ranges { file, parts, at: 0 })
    }
}

thread_local! {
    /// Walks of this thread, the newest last.
    static WALKS: RefCell<Vec<(Identity, Frames)>> = const { RefCell::new(Vec::new()) };
}

fn next(file: &File, path: &Path, at: u64, until: u64) -> Result<Next, SourceError> {
    let corrupt = |reason: String| SourceError::Corrupt {
        path: path.to_owned(),
        reason: format!("the message at byte {at}: {reason}"),
    };
    let left = until.saturating_sub(at);
    let mut prefix = [0; 8];
    if left < 8 {
        return Ok(Next::Incomplete);
    }
    let read = |to: &mut [u8], at: u64| {
        file.read_exact_at(to, at)
            .map_err(|source| unreadable(path, source))
    };
    read(&mut prefix, at)?;
    let [mark, len] = [&prefix[..4], &prefix[4..]];
    // Before 2019 the length stood alone.
    let (len, before) = if mark == MARK {
        ([len[0], len[1], len[2], len[3]], 8)
    } else {
        ([mark[0], mark[1], mark[2], mark[3]], 4)
    };
    let header = u64::from(u32::from_le_bytes(len));
    if header == 0 {
        return Ok(Next::End { bytes: before });
    }
    if header > HEADER_MAX {
        return Err(corrupt(format!("a header of {header} bytes")));
    }
    if left < before + header {
        return Ok(Next::Incomplete);
    }
    let mut bytes = vec![0; header as usize];
    read(&mut bytes, at + before)?;
    let message = root_as_message(&bytes).map_err(|error| corrupt(error.to_string()))?;
    let body = u64::try_from(message.bodyLength())
        .map_err(|_| corrupt("a body of negative length".to_owned()))?;
    let bytes = before
        .checked_add(header)
        .and_then(|bytes| bytes.checked_add(body))
        .ok_or_else(|| corrupt(format!("a body of {body} bytes")))?;
    if left < bytes {
        return Ok(Next::Incomplete);
    }
    let kind = message.header_type();
    Ok(Next::Message {
        bytes,
        is_needed: kind == MessageHeader::Schema || kind == MessageHeader::DictionaryBatch,
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
