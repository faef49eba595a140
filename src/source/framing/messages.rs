//! A reader of bytes → the messages of the streams in it, each with its body.
//!
//! A length is allocated in steps, as the bytes that it promises arrive.

use std::io::{self, ErrorKind, Read};

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::ipc::Message;

use super::{PREFIX, Place, Prefix, StreamError, message};
use crate::source::discover;

/// Bytes allocated before any has arrived; then as many again as have.
const STEP: usize = 64 << 20;

/// The messages of one stream, or of several behind each other.
pub(in crate::source) struct Messages<R> {
    from: R,
    place: Place,
    /// The header of the message that was read last.
    header: Vec<u8>,
}

/// A message with its body.
pub(in crate::source) struct Framed<'a> {
    pub message: Message<'a>,
    /// Bytes of the header.
    pub stored: usize,
    pub body: Buffer,
}

impl<R: Read> Messages<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            place: Place::default(),
            header: Vec::new(),
        }
    }

    /// Reads the next message, its body into `spare`'s memory when nothing else uses it any more;
    /// `None` at the end of the bytes.
    pub fn next(&mut self, spare: Option<Buffer>) -> Result<Option<Framed<'_>>, StreamError> {
        let place = self.place;
        let Some(stored) = self.header_len()? else {
            return Ok(None);
        };
        let body_len = self.read_header(stored).map_err(|e| place.fault(e))?;
        let body = body(&mut self.from, body_len, spare)?;
        // Looked at once more, because what the first look borrowed is needed to read the body.
        let (message, _) = message(&self.header)?;
        Ok(Some(Framed {
            message,
            stored,
            body,
        }))
    }

    /// Reads a header and takes note of its message; the bytes of the body.
    fn read_header(&mut self, stored: usize) -> Result<usize, StreamError> {
        self.header.clear();
        let mut from = (&mut self.from).take(stored as u64);
        if from.read_to_end(&mut self.header)? < stored {
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        let (message, len) = message(&self.header)?;
        self.place.message(message.header_type())?;
        Ok(len)
    }

    /// Bytes of the next header; `None` where the bytes end, with or without a mark before.
    fn header_len(&mut self) -> Result<Option<usize>, StreamError> {
        let mut bytes = [0; PREFIX];
        let mut held = 0;
        loop {
            match Prefix::of(&bytes[..held]).map_err(|e| self.place.fault(e))? {
                Prefix::More(need) => {
                    let read = fill(&mut self.from, &mut bytes[held..need])?;
                    if held + read < need {
                        return match (held + read, self.place) {
                            (0, _) => Ok(None),
                            (held, Place::Behind) => Err(super::behind(&bytes[..held])),
                            _ => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                        };
                    }
                    held = need;
                    self.place.check(&bytes[..held])?;
                }
                Prefix::Header { len, .. } => return Ok(Some(len)),
                Prefix::End(_) => {
                    self.place.mark()?;
                    held = 0;
                }
            }
        }
    }
}

/// Reads until `to` is full or the bytes end.
fn fill(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    discover::fill(from, to)
}

/// The next `len` bytes.
fn body(from: &mut impl Read, len: usize, spare: Option<Buffer>) -> Result<Buffer, StreamError> {
    let mut bytes = spare
        .and_then(|buffer| buffer.into_mutable().ok())
        .unwrap_or_default();
    // What is there already has been zeroed and need not be again.
    bytes.truncate(len);
    let mut read = 0;
    while read < len {
        let step = read.saturating_mul(2).clamp(STEP, len.max(STEP)).min(len);
        if bytes.len() < step {
            resize(&mut bytes, step)?;
        }
        from.read_exact(&mut bytes.as_slice_mut()[read..step])?;
        read = step;
    }
    Ok(bytes.into())
}

/// Cuts or lengthens `bytes` to `len`, or says that there is no memory for it.
pub(in crate::source) fn resize(bytes: &mut MutableBuffer, len: usize) -> Result<(), String> {
    let resized = bytes.try_resize(len, 0);
    resized.map_err(|_| format!("no memory for a record batch of {len} bytes"))
}
