//! A reader of bytes → the messages of the streams in it, each with its body.
//!
//! Memory for a declared length is allocated in steps, as the bytes arrive.

use std::io::Read;

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::ipc::Message;

use super::{Cut, Next, Place, message};
use crate::source::stream_error::StreamError;

/// Bytes allocated before any have arrived; after that, as many again as have arrived.
const STEP: usize = 64 << 20;

/// The messages of one stream, or of several in succession.
pub(in crate::source) struct Messages<R> {
    from: R,
    place: Place,
    /// The last message read, without its body.
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
        let Some(cut) = self.next_header()? else {
            return Ok(None);
        };
        let body = body(&mut self.from, cut.body, spare)?;
        // Read once more, because what the first look borrowed is needed to read the body.
        let (message, _) = message(&self.header[cut.before..])?;
        Ok(Some(Framed {
            message,
            stored: cut.stored,
            body,
        }))
    }

    /// Reads the next header; `None` at the end of the bytes, with or without an end marker.
    fn next_header(&mut self) -> Result<Option<Cut>, StreamError> {
        self.header.clear();
        loop {
            match self.place.step(&self.header)? {
                Next::Message(cut) => return Ok(Some(cut)),
                Next::End(_) => self.header.clear(),
                Next::More(need) => {
                    let lacks = (need - self.header.len()) as u64;
                    let read = (&mut self.from).take(lacks).read_to_end(&mut self.header)?;
                    if (read as u64) < lacks {
                        return match self.header.as_slice() {
                            [] => Ok(None),
                            held => Err(self.place.cut_short(held)),
                        };
                    }
                }
            }
        }
    }
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

/// Resizes `bytes` to `len`; fails if there is not enough memory.
pub(in crate::source) fn resize(bytes: &mut MutableBuffer, len: usize) -> Result<(), String> {
    let resized = bytes.try_resize(len, 0);
    resized.map_err(|_| format!("no memory for a record batch of {len} bytes"))
}
