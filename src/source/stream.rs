//! Arrow IPC streams, in a file or on standard input, → chunks.
//!
//! Refused on standard input: anything else, by its first bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;

use super::SourceError;
use super::batches::{Cutter, FileDecoder, Task};
use super::column::Chunk;
use super::error::unreadable;
use super::format::{Format, magic};
use super::frames::Frames;
use super::framing::{BatchDecoder, Messages};
use super::positioned::Witness;
use super::stream_error::StreamError;

/// Bytes requested from the system at once.
const BUFFER: usize = 1 << 18;
/// Most record batches examined for the length of a list.
const AHEAD_MAX: usize = 64;

/// An Arrow IPC stream whose schema has been read, and the streams that may follow it.
pub(super) struct Stream {
    path: PathBuf,
    messages: Messages<Box<dyn Read + Send>>,
    decoder: BatchDecoder,
    schema: SchemaRef,
    /// The body of the previous batch.
    spare: Option<Buffer>,
    ahead: VecDeque<RecordBatch>,
    bytes: Arc<AtomicU64>,
}

impl Stream {
    /// All messages of a file.
    pub fn open(path: &Path, file: &Arc<File>) -> Result<Self, SourceError> {
        Self::new(path, Box::new(Arc::clone(file)))
    }

    /// The messages from byte `start` to byte `end` of a growing file.
    pub fn open_part(
        path: &Path,
        file: &Arc<File>,
        (start, end): (u64, u64),
        witness: &Witness,
    ) -> Result<Self, SourceError> {
        let ranges = Frames::part(path, file, start, end)?;
        let watched = Watched {
            from: ranges,
            witness: witness.clone(),
        };
        Self::new(path, Box::new(watched))
    }

    /// The stream on standard input.
    pub fn stdin() -> Result<Self, SourceError> {
        let path = Path::new("-");
        let mut head = Vec::new();
        let read = io::stdin().take(8).read_to_end(&mut head);
        read.map_err(|source| unreadable(path, source))?;
        match magic(&head) {
            Some(Format::IpcStream) => {}
            _ if head.is_empty() => {
                return Err(SourceError::NotAStream {
                    found: "nothing".to_owned(),
                });
            }
            Some(Format::Parquet) => {
                return Err(SourceError::NotAStream {
                    found: "a Parquet file".to_owned(),
                });
            }
            Some(_) => {
                return Err(SourceError::NotAStream {
                    found: "an Arrow IPC file".to_owned(),
                });
            }
            None => {
                return Err(SourceError::NotAStream {
                    found: format!("\"{}\"", head.escape_ascii()),
                });
            }
        }
        Self::new(path, Box::new(Cursor::new(head).chain(io::stdin())))
    }

    fn new(path: &Path, from: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            from,
            bytes: bytes.clone(),
        };
        let from: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(BUFFER, counted));
        let mut messages = Messages::new(from);
        let mut decoder = BatchDecoder::default();
        let schema = schema(&mut messages, &mut decoder).map_err(|error| error.at(path))?;
        Ok(Self {
            path: path.to_owned(),
            messages,
            decoder,
            schema,
            spare: None,
            ahead: VecDeque::new(),
            bytes,
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Reads one batch ahead, which will still be delivered; `None` at the end or when many have
    /// been examined.
    pub fn look_ahead(&mut self) -> Result<Option<&RecordBatch>, SourceError> {
        if self.ahead.len() >= AHEAD_MAX {
            return Ok(None);
        }
        let Some(batch) = self.next()? else {
            return Ok(None);
        };
        self.ahead.push_back(batch);
        Ok(self.ahead.back())
    }

    /// The next record batch; preceding dictionaries are recorded.
    fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        self.decode().map_err(|error| error.at(&self.path))
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>, StreamError> {
        while let Some(framed) = self.messages.next(self.spare.take())? {
            let (message, stored, body) = (framed.message, framed.stored, framed.body);
            // What a file declares is bounded by its checks alone.
            let mut free = |_: arrow::ipc::RecordBatch<'_>, _| Ok::<(), StreamError>(());
            let batch = self.decoder.take(message, stored, &body, &mut free)?;
            if batch.is_some() {
                self.spare = Some(body);
                return Ok(batch);
            }
        }
        Ok(None)
    }

    /// Decodes the stream to its end as `task` specifies.
    pub fn into_decoder(self, task: Task) -> StreamDecoder {
        StreamDecoder {
            stream: self,
            cutter: Cutter::new(task),
        }
    }
}

/// The schema that a stream begins with.
fn schema(
    messages: &mut Messages<Box<dyn Read + Send>>,
    decoder: &mut BatchDecoder,
) -> Result<SchemaRef, StreamError> {
    const NONE: &str = "a stream that does not begin with a schema";
    let first = messages.next(None)?.ok_or(NONE)?;
    let mut free = |_: arrow::ipc::RecordBatch<'_>, _| Ok::<(), StreamError>(());
    decoder.take(first.message, first.stored, &first.body, &mut free)?;
    Ok(decoder.schema().cloned().ok_or(NONE)?)
}

/// Reads one stream, record batch after record batch.
pub(super) struct StreamDecoder {
    stream: Stream,
    cutter: Cutter,
}

impl FileDecoder for StreamDecoder {
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        while !self.cutter.cut(chunk)? {
            // The last users of the buffer let go of it.
            for column in &mut chunk.columns {
                column.clear::<f32>();
            }
            chunk.ids = None;
            let next = match self.stream.ahead.pop_front() {
                Some(batch) => Some(batch),
                None => self.stream.next()?,
            };
            match next {
                None => return Ok(false),
                Some(batch) => self.cutter.put(batch),
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.stream.bytes.load(Ordering::Relaxed)
    }
}

/// A reader that records system errors.
struct Watched<R> {
    from: R,
    witness: Witness,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to);
        read.map_err(|error| self.witness.saw(error))
    }
}

/// A reader that counts bytes.
struct Counted {
    from: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
