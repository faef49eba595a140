//! An Arrow IPC stream → its messages, each with its body.
//!
//! A length is allocated in steps, as the bytes that it promises arrive.

use std::io::{self, ErrorKind, Read};

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::ipc::{Message, root_as_message};

use super::{METADATA_BYTES_MAX, brief};

/// Bytes allocated before any has arrived; then as many again as have.
const STEP: usize = 64 << 20;
/// Newer streams mark the length of a header by these bytes before it.
const MARK: [u8; 4] = [0xFF; 4];

/// The messages of a stream.
pub(in crate::source) struct Frames<R> {
    from: R,
    /// The header of the message that was read last.
    header: Vec<u8>,
}

/// A message with its body.
pub(in crate::source) struct Frame<'a> {
    pub message: Message<'a>,
    /// Bytes of the message.
    pub stored: usize,
    pub body: Buffer,
}

impl<R: Read> Frames<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            header: Vec::new(),
        }
    }

    /// Reads the next message, its body into `spare`'s memory when nothing else uses it any more;
    /// `None` at the end.
    pub fn next(&mut self, spare: Option<Buffer>) -> Result<Option<Frame<'_>>, String> {
        let Some(stored) = self.header_len().map_err(|error| said(&error))? else {
            return Ok(None);
        };
        let stored = stored as usize;
        if stored > METADATA_BYTES_MAX {
            return Err(format!(
                "a message header of {stored} bytes, more than the {METADATA_BYTES_MAX} that are read"
            ));
        }
        self.header.clear();
        let header = (&mut self.from).take(stored as u64);
        let read = { header }
            .read_to_end(&mut self.header)
            .map_err(|error| said(&error))?;
        if read < stored {
            return Err(said(&ErrorKind::UnexpectedEof.into()));
        }
        let message = root_as_message(&self.header).map_err(brief)?;
        let len = message.bodyLength();
        let len = usize::try_from(len).map_err(|_| format!("a message body of {len} bytes"))?;
        let body = body(&mut self.from, len, spare)?;
        Ok(Some(Frame {
            message,
            stored,
            body,
        }))
    }

    /// Bytes of the next header; `None` where the stream ends, with or without saying so.
    fn header_len(&mut self) -> io::Result<Option<u32>> {
        let mut len = [0; 4];
        match self.from.read_exact(&mut len) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        if len == MARK {
            self.from.read_exact(&mut len)?;
        }
        let len = u32::from_le_bytes(len);
        Ok((len > 0).then_some(len))
    }
}

fn said(error: &io::Error) -> String {
    if error.kind() == ErrorKind::UnexpectedEof {
        "the stream ends inside a message".to_owned()
    } else {
        error.to_string()
    }
}

/// The next `len` bytes.
fn body(from: &mut impl Read, len: usize, spare: Option<Buffer>) -> Result<Buffer, String> {
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
        from.read_exact(&mut bytes.as_slice_mut()[read..step])
            .map_err(|error| said(&error))?;
        read = step;
    }
    Ok(bytes.into())
}

/// Cuts or lengthens `bytes` to `len`, or says that there is no memory for it.
pub(in crate::source) fn resize(bytes: &mut MutableBuffer, len: usize) -> Result<(), String> {
    let resized = bytes.try_resize(len, 0);
    resized.map_err(|_| format!("no memory for a record batch of {len} bytes"))
}
