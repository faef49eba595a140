//! Arrow IPC streams, in a file or on standard input, → chunks.
//!
//! Refused on standard input: anything else, by its first bytes.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};

use super::SourceError;
use super::batches::{Cutter, Feed, Task};
use super::column::Chunk;
use super::discover::{self, Format, unreadable};
use super::frames;
use super::positioned::Witness;
use super::preflight::{Batch, Frames, check_dictionary, check_schema};

/// Bytes asked of the system at once.
const BUFFER: usize = 1 << 18;
/// Record batches looked at for the length of a list.
const AHEAD_MAX: usize = 64;

/// An Arrow IPC stream of which the schema has been read.
pub(super) struct Stream {
    path: PathBuf,
    frames: Frames<Box<dyn Read + Send>>,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// The body of the batch before.
    spare: Option<Buffer>,
    ahead: VecDeque<RecordBatch>,
    bytes: Arc<AtomicU64>,
}

impl Stream {
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        Self::new(path, Box::new(file))
    }

    /// The messages from byte `start` to byte `end` of a growing file.
    pub fn open_part(
        path: &Path,
        file: &Arc<File>,
        (start, end): (u64, u64),
        witness: &Witness,
    ) -> Result<Self, SourceError> {
        let ranges = frames::Frames::part(path, file, start, end)?;
        let watched = Watched {
            from: ranges,
            witness: witness.clone(),
        };
        Self::new(path, Box::new(watched))
    }

    /// The stream on standard input.
    pub fn stdin() -> Result<Self, SourceError> {
        let path = Path::new("-");
        let mut stdin = io::stdin();
        let mut head = [0; 8];
        let filled =
            discover::fill(&mut stdin, &mut head).map_err(|source| unreadable(path, source))?;
        let head = head[..filled].to_vec();
        // Before 2019 a stream began with the length of its schema alone: no format has a magic
        // number that reads as a small length.
        let old = head.len() == 8 && head[2..4] == [0, 0];
        match discover::magic(&head) {
            Some(Format::IpcStream) => {}
            None if old => {}
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
        Self::new(path, Box::new(Cursor::new(head).chain(stdin)))
    }

    fn new(path: &Path, from: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            from,
            bytes: bytes.clone(),
        };
        let from: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(BUFFER, counted));
        let mut frames = Frames::new(from);
        let schema = schema(&mut frames).map_err(|reason| SourceError::Corrupt {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            path: path.to_owned(),
            frames,
            schema: Arc::new(schema),
            dictionaries: HashMap::new(),
            spare: None,
            ahead: VecDeque::new(),
            bytes,
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Reads one batch ahead, which the feed still gives; `None` at the end or when many have
    /// been looked at.
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

    /// The next record batch; dictionaries before it are taken note of.
    fn next(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        self.decode().map_err(|reason| SourceError::Corrupt {
            path: self.path.clone(),
            reason,
        })
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            let Some(frame) = self.frames.next(self.spare.take())? else {
                return Ok(None);
            };
            let (message, body) = (frame.message, frame.body);
            let version = message.version();
            if let Some(header) = message.header_as_record_batch() {
                let batch = Batch {
                    header,
                    body: &body,
                    version,
                };
                batch.check(&self.schema)?;
                let (schema, words) = (self.schema.clone(), &self.dictionaries);
                let batch = read_record_batch(&body, header, schema, words, None, &version);
                self.spare = Some(body);
                return batch.map(Some).map_err(|error| error.to_string());
            }
            let Some(words) = message.header_as_dictionary_batch() else {
                let found = message.header_type();
                return Err(format!("a message of type {found:?} in the stream"));
            };
            check_dictionary(words, &body)?;
            let all = &mut self.dictionaries;
            read_dictionary(&body, words, &self.schema, all, &version)
                .map_err(|error| error.to_string())?;
        }
    }

    /// Reads the stream to its end as `task` says.
    pub fn into_feed(self, task: Task) -> StreamFeed {
        StreamFeed {
            stream: self,
            cutter: Cutter::new(task),
        }
    }
}

/// The schema that a stream begins with.
fn schema(frames: &mut Frames<Box<dyn Read + Send>>) -> Result<Schema, String> {
    const NONE: &str = "a stream that does not begin with a schema";
    let frame = frames.next(None)?.ok_or(NONE)?;
    let schema = frame.message.header_as_schema().ok_or(NONE)?;
    check_schema(schema, frame.stored)?;
    try_fb_to_schema(schema).map_err(|error| error.to_string())
}

/// Reads one stream, record batch after record batch.
pub(super) struct StreamFeed {
    stream: Stream,
    cutter: Cutter,
}

impl Feed for StreamFeed {
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        while !self.cutter.cut(chunk)? {
            // The last users of the buffer let go of it.
            for column in &mut chunk.columns {
                column.f32s();
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

/// Has somebody see what the system refuses.
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

/// Counts what passes.
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
