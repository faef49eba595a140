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
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;

use super::SourceError;
use super::batches::{Cutter, Feed, Task};
use super::column::Chunk;
use super::discover::{self, Format, unreadable};
use super::frames::Frames;

/// Bytes asked of the system at once.
const BUFFER: usize = 1 << 18;
/// Record batches looked at for the length of a list.
const AHEAD_MAX: usize = 64;

/// An Arrow IPC stream of which the schema has been read.
pub(super) struct Stream {
    path: PathBuf,
    reader: StreamReader<Box<dyn Read + Send>>,
    ahead: VecDeque<RecordBatch>,
    bytes: Arc<AtomicU64>,
}

impl Stream {
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        Self::new(path, Box::new(file))
    }

    /// The messages from byte `start` to byte `end` of a growing file.
    pub fn open_part(path: &Path, start: u64, end: u64) -> Result<Self, SourceError> {
        Self::new(path, Box::new(Frames::part(path, start, end)?))
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
        let reader = StreamReader::try_new(from, None).map_err(|error| SourceError::Corrupt {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            ahead: VecDeque::new(),
            bytes,
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// Reads one batch ahead, which the feed still gives; `None` at the end or when many have
    /// been looked at.
    pub fn look_ahead(&mut self) -> Result<Option<&RecordBatch>, SourceError> {
        if self.ahead.len() >= AHEAD_MAX {
            return Ok(None);
        }
        match self.reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => {
                self.ahead.push_back(batch);
                Ok(self.ahead.back())
            }
            Some(Err(error)) => Err(SourceError::Corrupt {
                path: self.path.clone(),
                reason: error.to_string(),
            }),
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

/// Reads one stream, record batch after record batch.
pub(super) struct StreamFeed {
    stream: Stream,
    cutter: Cutter,
}

impl Feed for StreamFeed {
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        while !self.cutter.cut(chunk)? {
            let next = match self.stream.ahead.pop_front() {
                Some(batch) => Some(Ok(batch)),
                None => self.stream.reader.next(),
            };
            match next {
                None => return Ok(false),
                Some(batch) => {
                    let batch = batch.map_err(|error| self.cutter.task.corrupt(error))?;
                    self.cutter.put(batch);
                }
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.stream.bytes.load(Ordering::Relaxed)
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
