//! The framing of Arrow IPC streams into messages, shared by files, pipes and bodies.
//!
//! In: the bytes at the start of a message, and the kinds of the messages in their order. Out: the
//! length of a header, and whether a message is allowed at its position. A stream is a schema,
//! dictionaries and record batches, and an end marker, which a writer may omit. Since Arrow 0.15
//! the length of a header is preceded by four bytes of 0xFF; before that it stood alone. Other
//! streams with the same columns may follow: that is what `cat` makes of two files. Anything else
//! after the end is refused, because rows would be lost silently.

mod decoder;
mod messages;

use arrow::ipc::{Message, MessageHeader, root_as_message};

use super::preflight::{METADATA_BYTES_MAX, brief};
use super::stream_error::StreamError;

pub(super) use decoder::{BatchDecoder, read_schema};
pub(super) use messages::{Messages, resize};

/// Precedes the length of a header since Arrow 0.15.
const MARK: [u8; 4] = [0xFF; 4];
/// Most bytes needed for the length of a header.
pub(super) const PREFIX: usize = 8;
/// Largest offset of the root table of a header: only its own table of offsets precedes it.
const ROOT_MAX: u32 = 1024;

/// Start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// This many bytes are needed to decide.
    More(usize),
    /// A header of `len` bytes, preceded by `before` others.
    Header {
        /// Bytes of the mark and the length.
        before: usize,
        /// Bytes of the header.
        len: usize,
    },
    /// The end marker, of this many bytes.
    End(usize),
}

impl Prefix {
    /// Reads the prefix at the start of `bytes`; a header above the supported length is an error.
    fn of(bytes: &[u8]) -> Result<Self, StreamError> {
        let Some(first) = bytes.first_chunk::<4>() else {
            return Ok(Self::More(4));
        };
        let (len, before) = if *first != MARK {
            (u32::from_le_bytes(*first), 4)
        } else if let Some(second) = bytes[4..].first_chunk::<4>() {
            (u32::from_le_bytes(*second), 8)
        } else {
            return Ok(Self::More(8));
        };
        let len = len as usize;
        if len > METADATA_BYTES_MAX {
            return Err(StreamError::Corrupt(format!(
                "a message header of {len} bytes, above the limit of {METADATA_BYTES_MAX}"
            )));
        }
        Ok(match len {
            0 => Self::End(before),
            len => Self::Header { before, len },
        })
    }
}

/// True if a stream may begin with these bytes; `None` while they are too few to decide.
///
/// A stream from before Arrow 0.15 has no magic number. Its first four bytes are the length of the
/// schema, padded so that it ends at a multiple of eight; the next four are the offset of the root
/// table, which is near the beginning of the header.
pub(super) fn begins(bytes: &[u8]) -> Option<bool> {
    let number = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    if bytes.iter().zip(MARK).all(|(byte, mark)| *byte == mark) {
        return number(0).map(|_| true);
    }
    let len = number(0)?;
    // The four bytes of length and the header together end at a multiple of eight.
    if len as usize > METADATA_BYTES_MAX || len % 8 != 4 {
        return Some(false);
    }
    let root = number(4)?;
    Some(root >= 4 && root.is_multiple_of(4) && root < len.min(ROOT_MAX))
}

/// True if these bytes are the whole header of a schema from before Arrow 0.15, or the beginning of
/// one.
pub(super) fn is_old_schema(bytes: &[u8]) -> bool {
    let Ok(Prefix::Header { before, len }) = Prefix::of(bytes) else {
        return false;
    };
    match bytes.get(before..before + len) {
        Some(header) => {
            message(header).is_ok_and(|(message, _)| message.header_type() == MessageHeader::Schema)
        }
        None => begins(bytes) == Some(true),
    }
}

/// The message of a header, and the bytes of its body.
///
/// # Errors
/// If it is not a message.
pub(super) fn message(header: &[u8]) -> Result<(Message<'_>, usize), StreamError> {
    let message = root_as_message(header).map_err(brief)?;
    let len = message.bodyLength();
    let len = usize::try_from(len).map_err(|_| format!("a message body of {len} bytes"))?;
    Ok((message, len))
}

/// Next item of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At least this many bytes are needed to decide.
    More(usize),
    /// The end marker, of this many bytes.
    End(usize),
    /// A message.
    Message(Cut),
}

/// Position of the parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The kind of the message.
    pub kind: MessageHeader,
    /// Bytes before its header.
    pub before: usize,
    /// Bytes of its header.
    pub stored: usize,
    /// Bytes of its body.
    pub body: usize,
    /// Rows that a record batch declares; 0 for other messages.
    pub rows: i64,
}

impl Cut {
    /// Bytes of the whole message, unless the sum overflows.
    pub fn bytes(&self) -> Option<usize> {
        (self.before + self.stored).checked_add(self.body)
    }
}

/// Progress of a stream, message by message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Before its schema.
    #[default]
    Start,
    /// After its schema.
    Inside,
    /// After its end marker.
    Behind,
}

impl Place {
    /// Reads the next item: `bytes` are the first bytes after the previous message, as many as are
    /// available or as were requested. A complete header or an end marker is consumed.
    ///
    /// # Errors
    /// If it violates the format or is not allowed here.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Next, StreamError> {
        let place = *self;
        place.check(bytes)?;
        let next = Prefix::of(bytes).map_err(|error| place.fault(error))?;
        let (before, stored) = match next {
            Prefix::More(need) => return Ok(Next::More(need)),
            Prefix::End(bytes) => {
                self.mark()?;
                return Ok(Next::End(bytes));
            }
            Prefix::Header { before, len } => (before, len),
        };
        let Some(header) = bytes.get(before..before + stored) else {
            return Ok(Next::More(before + stored));
        };
        let (message, body) = message(header).map_err(|error| place.fault(error))?;
        let kind = message.header_type();
        self.message(kind)?;
        let batch = message.header_as_record_batch();
        Ok(Next::Message(Cut {
            kind,
            before,
            stored,
            body,
            rows: batch.map_or(0, |batch| batch.length()),
        }))
    }

    /// The error for a stream that ends after these bytes of an incomplete message.
    pub fn cut_short(self, held: &[u8]) -> StreamError {
        match self {
            Self::Behind if held.len() < PREFIX => behind(held),
            _ => self.fault("the stream ends inside a message".into()),
        }
    }

    /// Checks whether the next message, as far as its bytes are known, is allowed here.
    fn check(self, bytes: &[u8]) -> Result<(), StreamError> {
        // Inside a stream the bytes of a message may look like anything.
        let is_odd = self != Self::Inside && begins(bytes) == Some(false);
        match self {
            Self::Start if is_odd && Prefix::of(bytes).is_ok_and(is_end) => {
                Err("the stream ends before its schema".into())
            }
            Self::Start if is_odd => {
                let head = &bytes[..bytes.len().min(PREFIX)];
                Err(StreamError::Corrupt(format!(
                    "it begins with \"{}\", which does not begin an Arrow IPC stream",
                    head.escape_ascii()
                )))
            }
            Self::Behind if is_odd || Prefix::of(bytes).is_ok_and(is_end) => {
                Err(behind(&bytes[..bytes.len().min(PREFIX)]))
            }
            _ => Ok(()),
        }
    }

    /// Records a message of this kind, if it is allowed here.
    fn message(&mut self, kind: MessageHeader) -> Result<(), StreamError> {
        match (*self, kind) {
            // A stream whose writer left out the mark of the end may be followed by another too.
            (_, MessageHeader::Schema) => {
                *self = Self::Inside;
                Ok(())
            }
            (Self::Inside, MessageHeader::DictionaryBatch | MessageHeader::RecordBatch) => Ok(()),
            (Self::Start, _) => Err("the stream does not begin with a schema".into()),
            (Self::Behind, _) => Err(StreamError::Behind(format!(
                "a message of type {kind:?} follows the end of the stream"
            ))),
            (Self::Inside, _) => Err(StreamError::Corrupt(format!(
                "a message of an unexpected type, {kind:?}, in the stream"
            ))),
        }
    }

    /// Records the end marker, if it is allowed here.
    fn mark(&mut self) -> Result<(), StreamError> {
        match self {
            Self::Start => Err("the stream ends before its schema".into()),
            Self::Behind => Err(behind(&[0; 4])),
            Self::Inside => {
                *self = Self::Behind;
                Ok(())
            }
        }
    }

    /// The error for a message that violates the format; after the end it is not considered a
    /// message.
    pub fn fault(self, error: StreamError) -> StreamError {
        match (self, error) {
            (Self::Behind, StreamError::Corrupt(reason)) => StreamError::Behind(format!(
                "bytes that are not another stream follow the end of the stream ({reason})"
            )),
            (_, error) => error,
        }
    }
}

fn is_end(prefix: Prefix) -> bool {
    matches!(prefix, Prefix::End(_))
}

fn behind(head: &[u8]) -> StreamError {
    StreamError::Behind(format!(
        "bytes that are not another stream follow the end of the stream (\"{}\")",
        head.escape_ascii()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read_with_and_without_its_mark() {
        let of = |bytes: &[u8]| Prefix::of(bytes).unwrap();
        assert_eq!(of(&[]), Prefix::More(4));
        assert_eq!(of(&[0xFF; 7]), Prefix::More(8));
        let header = |before, len| Prefix::Header { before, len };
        assert_eq!(of(&[0xFF, 0xFF, 0xFF, 0xFF, 16, 1, 0, 0]), header(8, 272));
        assert_eq!(of(&[16, 1, 0, 0]), header(4, 272));
        assert_eq!(of(&[0, 0, 0, 0]), Prefix::End(4));
        assert_eq!(of(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]), Prefix::End(8));
        assert!(Prefix::of(b"text").is_err());
    }

    #[test]
    fn only_streams_begin_as_streams_do() {
        assert_eq!(begins(&[]), None);
        assert_eq!(begins(&[0xFF; 3]), None);
        assert_eq!(begins(&[0xFF; 4]), Some(true));
        assert_eq!(begins(&[0x94, 0, 0, 0]), None);
        // The first bytes of the stream of decimals that Arrow 0.14.1 wrote for its own tests.
        assert_eq!(begins(&[0x94, 0, 0, 0, 0x10, 0, 0, 0]), Some(true));
        for no in [
            &b"a,b\n1,2\n"[..],
            b"PAR1\x15\0\x15\0",
            &[0; 8],
            &[0x93, 0, 0, 0],
        ] {
            assert_eq!(begins(no), Some(false), "{no:?}");
        }
    }

    #[test]
    fn behind_the_end_only_a_schema_may_come() {
        let mut place = Place::default();
        assert!(place.mark().is_err());
        assert!(place.message(MessageHeader::RecordBatch).is_err());
        place.message(MessageHeader::Schema).unwrap();
        place.message(MessageHeader::RecordBatch).unwrap();
        place.mark().unwrap();
        for no in [&b"junk"[..], &[0; 4], &[0; 8], b"\xFF\xFF\xFF\xFF\0\0\0\0"] {
            assert!(
                matches!(place.check(no), Err(StreamError::Behind(_))),
                "{no:?}"
            );
        }
        let mut wrong = place;
        let refused = wrong.message(MessageHeader::RecordBatch);
        assert!(matches!(refused, Err(StreamError::Behind(_))));
        place.check(&[0xFF; 4]).unwrap();
        place.message(MessageHeader::Schema).unwrap();
        assert_eq!(place, Place::Inside);
    }
}
