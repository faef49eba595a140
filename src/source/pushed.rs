//! An Arrow IPC stream that arrives piece by piece from a possibly hostile client → record batches.
//!
//! In: bytes in pieces of any length. Out: record batches, each decoded when it is whole. The
//! checks are those for files (see `preflight`), but stricter: the declared uncompressed size of
//! the stream, dictionaries included, and its declared rows are checked against limits of the
//! caller before anything is allocated. A panic of the decoder becomes an error. The caller must
//! bound the number of bytes pushed but not yet taken.

use std::collections::VecDeque;
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::{Buffer as Bytes, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc;

use super::SourceError;
use super::catch_panic;
use super::column::{Buf, Column, Float, either};
use super::framing::{BatchDecoder, Cut, Next, PREFIX, Place, message};
use super::stream_error::StreamError;
use super::values::{self, Misfit};

/// Why a stream cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum PushedError {
    /// It is not what it should be.
    #[error("{0}")]
    Corrupt(String),
    /// More bytes, or more when uncompressed, than the limit.
    #[error("more than {limit} bytes when uncompressed")]
    Bytes {
        /// The limit.
        limit: u64,
    },
    /// More rows than the limit.
    #[error("more than {limit} rows")]
    Rows {
        /// The limit.
        limit: u64,
    },
}

impl From<StreamError> for PushedError {
    fn from(error: StreamError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Parses a stream as it arrives, and streams with the same columns after it.
#[derive(Debug)]
pub struct Pushed<P> {
    pieces: VecDeque<P>,
    /// Bytes of the first piece that have been taken.
    taken: usize,
    /// Bytes not yet taken.
    held: usize,
    /// The current message without its body, once that much has arrived.
    header: Option<(Vec<u8>, Cut)>,
    place: Place,
    decoder: BatchDecoder,
    /// Bytes, uncompressed, and rows that may still come.
    bytes_left: u64,
    rows_left: u64,
    limits: (u64, u64),
}

impl<P: AsRef<[u8]>> Pushed<P> {
    /// A stream with limits on uncompressed bytes and rows.
    pub fn new(bytes_max: u64, rows_max: u64) -> Self {
        Self {
            pieces: VecDeque::new(),
            taken: 0,
            held: 0,
            header: None,
            place: Place::default(),
            decoder: BatchDecoder::default(),
            bytes_left: bytes_max,
            rows_left: rows_max,
            limits: (bytes_max, rows_max),
        }
    }

    /// The next bytes.
    pub fn push(&mut self, piece: P) {
        let len = piece.as_ref().len();
        if len > 0 {
            self.held += len;
            self.pieces.push_back(piece);
        }
    }

    /// The schema, once it has arrived.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.decoder.schema()
    }

    /// The next record batch, if it has arrived.
    ///
    /// # Errors
    /// If the stream breaks the format or a limit.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, PushedError> {
        let mut limit = None;
        let decoded = catch_panic::catch(Path::new("the body"), || match self.decode() {
            Ok(batch) => Ok(batch),
            Err(PushedError::Corrupt(reason)) => Err(SourceError::Corrupt {
                path: Path::new("the body").to_owned(),
                reason,
            }),
            Err(other) => {
                limit = Some(other);
                Ok(None)
            }
        });
        match (limit, decoded) {
            (Some(limit), _) => Err(limit),
            (None, Ok(batch)) => Ok(batch),
            (None, Err(SourceError::Corrupt { reason, .. })) => Err(PushedError::Corrupt(reason)),
            (None, Err(other)) => Err(PushedError::Corrupt(other.to_string())),
        }
    }

    /// Bytes that must arrive before there can be another batch: the rest of a body, or a header's
    /// length.
    pub fn wanted(&self) -> usize {
        let header = self.header.as_ref();
        header.map_or(1, |(_, cut)| cut.body.saturating_sub(self.held).max(1))
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// If there was no schema, or a message is cut short.
    pub fn end(&self) -> Result<(), PushedError> {
        if self.schema().is_none() {
            return Err(PushedError::Corrupt("it ends before its schema".to_owned()));
        }
        if self.held == 0 && self.header.is_none() {
            return Ok(());
        }
        let mut head = [0; PREFIX];
        let held = self
            .header
            .as_ref()
            .map_or(self.peek(&mut head), |_| PREFIX);
        Err(self.place.cut_short(&head[..held]).into())
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>, PushedError> {
        loop {
            if self.header.is_none() {
                self.header = self.take_header()?;
            }
            let Some((header, cut)) = self.header.take() else {
                return Ok(None);
            };
            // Before the body has come, so that nobody waits for what would be refused.
            self.afford(cut.body as u64, u64::try_from(cut.rows).unwrap_or(0))?;
            if self.held < cut.body {
                self.header = Some((header, cut));
                return Ok(None);
            }
            let body = self.body(cut.body);
            let (message, _) = message(&header[cut.before..])?;
            if let Some(batch) = self.message(message, cut.stored, &body)? {
                return Ok(Some(batch));
            }
        }
    }

    /// Records a schema or dictionary, or decodes a record batch.
    fn message(
        &mut self,
        message: ipc::Message<'_>,
        stored: usize,
        body: &Bytes,
    ) -> Result<Option<RecordBatch>, PushedError> {
        let mut decoder = std::mem::take(&mut self.decoder);
        let taken = decoder.take(message, stored, body, &mut |header, rows| {
            self.pay(becomes(header, body), rows)
        });
        self.decoder = decoder;
        taken
    }

    fn afford(&self, bytes: u64, rows: u64) -> Result<(), PushedError> {
        let (bytes_max, rows_max) = self.limits;
        if bytes > self.bytes_left {
            return Err(PushedError::Bytes { limit: bytes_max });
        }
        if rows > self.rows_left {
            return Err(PushedError::Rows { limit: rows_max });
        }
        Ok(())
    }

    fn pay(&mut self, bytes: u64, rows: u64) -> Result<(), PushedError> {
        self.afford(bytes, rows)?;
        self.bytes_left -= bytes;
        self.rows_left -= rows;
        Ok(())
    }

    /// The next message up to its body, if that much has arrived.
    fn take_header(&mut self) -> Result<Option<(Vec<u8>, Cut)>, PushedError> {
        let mut bytes = vec![0; PREFIX];
        loop {
            let seen = self.peek(&mut bytes);
            match self.place.step(&bytes[..seen])? {
                Next::More(need) if need as u64 > self.limits.0 => {
                    let long = format!("a message header of {need} bytes");
                    return Err(PushedError::Corrupt(long));
                }
                Next::More(need) if need > self.held => return Ok(None),
                Next::More(need) => bytes.resize(need, 0),
                Next::End(len) => self.take(&mut bytes[..len]),
                Next::Message(cut) => {
                    bytes.truncate(cut.before + cut.stored);
                    self.take(&mut bytes);
                    return Ok(Some((bytes, cut)));
                }
            }
        }
    }

    /// The first bytes that are held, as many as there are room for; how many.
    fn peek(&self, to: &mut [u8]) -> usize {
        let mut filled = 0;
        let mut skip = self.taken;
        for piece in &self.pieces {
            let piece = &piece.as_ref()[skip..];
            skip = 0;
            let n = piece.len().min(to.len() - filled);
            to[filled..filled + n].copy_from_slice(&piece[..n]);
            filled += n;
            if filled == to.len() {
                break;
            }
        }
        filled
    }

    /// Takes the next bytes to fill `to`; they must be available.
    fn take(&mut self, to: &mut [u8]) {
        let mut filled = 0;
        while let Some(piece) = self.pieces.front() {
            let piece = &piece.as_ref()[self.taken..];
            let n = piece.len().min(to.len() - filled);
            to[filled..filled + n].copy_from_slice(&piece[..n]);
            filled += n;
            if n < piece.len() {
                self.taken += n;
                break;
            }
            self.taken = 0;
            self.pieces.pop_front();
        }
        self.held -= filled;
    }

    /// The next `len` bytes, which must be available, aligned for the decoder: one copy.
    fn body(&mut self, len: usize) -> Bytes {
        let mut body = MutableBuffer::with_capacity(len);
        let mut left = len;
        while left > 0 {
            let Some(piece) = self.pieces.front() else {
                break;
            };
            let piece = &piece.as_ref()[self.taken..];
            let n = piece.len().min(left);
            body.extend_from_slice(&piece[..n]);
            left -= n;
            if n < piece.len() {
                self.taken += n;
            } else {
                self.taken = 0;
                self.pieces.pop_front();
            }
        }
        self.held -= len - left;
        body.into()
    }
}

/// Bytes of a batch when it is uncompressed; its header has been checked.
fn becomes(header: ipc::RecordBatch<'_>, body: &[u8]) -> u64 {
    if header.compression().is_none() {
        return body.len() as u64;
    }
    let declared = |buffer: &ipc::Buffer| {
        let at = usize::try_from(buffer.offset()).ok()?;
        let head = body.get(at..)?.first_chunk::<8>()?;
        // −1 says that it is stored as it is.
        u64::try_from(i64::from_le_bytes(*head)).ok()
    };
    let buffers = header.buffers().into_iter().flatten();
    let sum = buffers.filter_map(declared).fold(0, u64::saturating_add);
    sum.max(body.len() as u64)
}

/// Shape of a numeric column's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A value.
    Values,
    /// Nothing: a column of type null.
    Nulls,
    /// A list of this length.
    Lists(usize),
    /// A list whose length depends on its rows.
    AnyLists,
}

/// Values of a numeric column, `len` a row: NaN where they are null.
pub struct Numbers(Column);

impl Numbers {
    /// Shape of a column of this type; `None` for what is neither numeric nor a list of numbers.
    pub fn shape(data_type: &DataType) -> Option<Shape> {
        let of = |item: &DataType| super::select::width(item).is_some();
        match data_type {
            DataType::Null => Some(Shape::Nulls),
            DataType::FixedSizeList(item, len) if of(item.data_type()) => {
                usize::try_from(*len).ok().map(Shape::Lists)
            }
            DataType::List(item) | DataType::LargeList(item) => {
                of(item.data_type()).then_some(Shape::AnyLists)
            }
            other => of(other).then_some(Shape::Values),
        }
    }

    /// The values of `array`.
    ///
    /// # Errors
    /// If a list is of another length, or the type is not numeric.
    pub fn of(array: &ArrayRef, len: usize) -> Result<Self, String> {
        let mut column = Column::new(len);
        if *array.data_type() == DataType::Null {
            column.clear::<f32>().resize(array.len() * len, f32::NAN);
            return Ok(Self(column));
        }
        let is_list = matches!(
            array.data_type(),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
        );
        let loaded = values::load_array(array, is_list, &mut column);
        loaded.map_err(|misfit| match misfit {
            Misfit::Length { row, found } => {
                format!("row {row} is a list of {found} values where {len} are expected")
            }
            Misfit::Other(reason) => reason,
        })?;
        let nulls = &column.nulls;
        if nulls.iter().any(|null| *null) {
            either!(&mut column.values, v => fill(v.to_mut(), nulls));
        }
        Ok(Self(column))
    }

    /// The values, if they are of single precision.
    pub fn f32s(&self) -> Option<&[f32]> {
        match &self.0.values {
            Buf::F32(values) => Some(values),
            Buf::F64(_) => None,
        }
    }

    /// The values, if they are of double precision.
    pub fn f64s(&self) -> Option<&[f64]> {
        match &self.0.values {
            Buf::F64(values) => Some(values),
            Buf::F32(_) => None,
        }
    }
}

/// Marks the values that are null.
fn fill<T: Float>(values: &mut [T], nulls: &[bool]) {
    for (value, null) in values.iter_mut().zip(nulls) {
        if *null {
            *value = T::of(f64::NAN);
        }
    }
}
