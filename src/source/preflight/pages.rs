//! The pages of one column chunk: each header is checked when the decoder reads it, and each page
//! before the decoder gets it.
//!
//! The decoder allocates what a header declares: up to 2 GB for a page, 16 bytes times up to two
//! billion words for a dictionary. So the bytes of a header pass through [`Header`], which walks
//! them first. A page of numbers takes no more bytes than its values can; the largest pages of all
//! columns of a row group, which are held at the same time, no more than a [`Budget`].

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::fault::{Fault, wrong};
use super::inflate::Codec;
use super::levels::{self, Excess};
use super::packed;
use super::shapes::{Name, PAGE};
use super::thrift::{self, Visit};
use super::{PAGE_BYTES_MAX, uncompressed_max};
use crate::source::positioned::Positioned;

/// A page header takes some tens of bytes, a few hundred with statistics.
const HEADER_BUFFER: usize = 1024;
/// Bytes of a header whose statistics are long strings.
const HEADER_BYTES_MAX: usize = 16 << 20;
/// Bytes that a page may take in addition to its values: blocks and groups are padded.
const PAGE_SLACK: u64 = 1 << 20;
/// Bytes of the levels of a value and its run header, if each run holds one value.
const RUN_BYTES: u64 = 16;

/// Bytes of pages that the columns of a row group hold at the same time.
pub(super) struct Budget {
    max: u64,
    held: AtomicU64,
}

impl Budget {
    /// For columns that take `stored` bytes of the file.
    pub fn new(stored: u64) -> Arc<Self> {
        Arc::new(Self {
            max: uncompressed_max(stored),
            held: AtomicU64::new(0),
        })
    }
}

/// A column chunk as the decoder sees it.
struct Chunk {
    file: Positioned,
    /// Bits of a value, `None` when values differ in length.
    width: Option<u64>,
    /// Values of the chunk, including nulls.
    values: u64,
    /// Bytes of its largest page so far.
    largest: AtomicU64,
    budget: Arc<Budget>,
    /// Sizes of the pages to be uncompressed here whose headers have been read.
    sizes: Mutex<VecDeque<usize>>,
}

/// The pages of a column chunk.
pub(super) struct Pages {
    inner: SerializedPageReader<Shared>,
    chunk: Arc<Chunk>,
    /// Codec of pages that are uncompressed here.
    codec: Option<Codec>,
    column: ColumnChunkMetaData,
    excess: Option<Excess>,
    /// Values decoded at once, if they are byte arrays.
    words: Option<u64>,
    /// Values that pages may still hold.
    left: u64,
}

/// Opens the pages of a column chunk in a row group of `rows` rows, of which `at_once` are decoded
/// at once, each with `len` values at the most.
pub(super) fn open(
    file: &Positioned,
    column: &ColumnChunkMetaData,
    rows: usize,
    at_once: usize,
    len: usize,
    budget: &Arc<Budget>,
) -> Result<Pages> {
    let desc = column.column_descr();
    let values = u64::try_from(column.num_values()).unwrap_or(0);
    let is_flat = desc.max_rep_level() == 0;
    // A flat column has one value per row; a list has at least one entry per row, even if it is
    // null or empty.
    if is_flat && values != rows as u64 || values < rows as u64 {
        return refuse(format!(
            "column `{}` declares {values} values in a row group of {rows} rows",
            desc.path().string()
        ));
    }
    let chunk = Chunk {
        file: file.clone(),
        width: match desc.physical_type() {
            Type::BOOLEAN => Some(1),
            Type::INT32 | Type::FLOAT => Some(32),
            Type::INT64 | Type::DOUBLE => Some(64),
            Type::INT96 => Some(96),
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(desc.type_length()).ok().map(|n| 8 * n),
            Type::BYTE_ARRAY => None,
        },
        values,
        largest: AtomicU64::new(0),
        budget: budget.clone(),
        sizes: Mutex::default(),
    };
    let chunk = Arc::new(chunk);
    let shared = Arc::new(Shared(chunk.clone()));
    let codec = Codec::of(column.compression());
    let inner = if codec.is_some() {
        let plain = column.clone().into_builder();
        // Told that pages are uncompressed, the decoder hands them on as stored. They are inflated
        // here, to the declared size and no further.
        let plain = plain.set_compression(Compression::UNCOMPRESSED).build()?;
        SerializedPageReader::new(shared, &plain, rows, None)?
    } else {
        SerializedPageReader::new(shared, column, rows, None)?
    };
    Ok(Pages {
        inner,
        chunk,
        codec,
        excess: (!is_flat).then(|| Excess::new(len)),
        words: (desc.physical_type() == Type::BYTE_ARRAY).then(|| {
            let len = if is_flat { 1 } else { len };
            values.min(at_once.saturating_mul(len) as u64)
        }),
        column: column.clone(),
        left: values,
    })
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(ParquetError::General(reason))
}

impl Pages {
    fn check(&mut self, page: &Page) -> Result<(), String> {
        let desc = self.column.column_descr();
        if let (Page::DictionaryPage { buf, .. }, Some(values)) = (page, self.words) {
            packed::check_words(buf, values)?;
        }
        // The levels of flat numbers, and their values, are as many as are asked for.
        let is_packed = matches!(
            page.encoding(),
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY
        );
        if page.is_data_page() {
            let left = self.left.checked_sub(u64::from(page.num_values()));
            self.left = left.ok_or("pages hold more values than their column chunk declares")?;
        }
        if !is_packed && self.excess.is_none() {
            return Ok(());
        }
        let Some(sections) = levels::sections(page, desc)? else {
            return Ok(());
        };
        if let Some(excess) = &mut self.excess {
            let column = || desc.path().string();
            let added = excess.add(sections.rep);
            added.map_err(|reason| format!("column `{}`: {reason}", column()))?;
        }
        packed::check_lengths(sections.values, sections.encoding, sections.len)
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.inner.get_next_page()? else {
            return Ok(None);
        };
        let sizes = &self.chunk.sizes;
        let size = sizes.lock().ok().and_then(|mut sizes| sizes.pop_front());
        if let (Some(codec), Some(size)) = (self.codec, size) {
            let inflated = codec.inflate(&mut page, size);
            inflated.map_err(ParquetError::General)?;
        }
        self.check(&page).map_err(ParquetError::General)?;
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

struct Shared(Arc<Chunk>);

impl Length for Shared {
    fn len(&self) -> u64 {
        self.0.file.bytes()
    }
}

impl ChunkReader for Shared {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header {
            chunk: self.0.clone(),
            start,
            bytes: Vec::new(),
            at: 0,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.file.get_bytes(start, length)
    }
}

/// The bytes of a page header, read and checked when the first of them is asked for: the decoder
/// opens this for every page but does not always read.
struct Header {
    chunk: Arc<Chunk>,
    start: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Header {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.fill()?;
        }
        let rest = &self.bytes[self.at..];
        let len = to.len().min(rest.len());
        to[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

impl Header {
    fn fill(&mut self) -> io::Result<()> {
        let mut len = HEADER_BUFFER;
        loop {
            self.bytes.resize(len, 0);
            let read = self.chunk.file.read_up_to(&mut self.bytes, self.start)?;
            self.bytes.truncate(read);
            let mut fields = Fields::default();
            match thrift::walk(&self.bytes, &PAGE, &mut fields) {
                Ok(used) => {
                    self.bytes.truncate(used);
                    return self.chunk.check(&fields).map_err(io::Error::other);
                }
                // It is short only because not enough was read; at the end of the file more
                // reading would not help.
                Err(Fault::Short) if read == len && len < HEADER_BYTES_MAX => len *= 4,
                Err(Fault::Short) => {
                    return Err(io::Error::other("a page header ends before it is complete"));
                }
                Err(Fault::Wrong(reason)) => {
                    return Err(io::Error::other(format!("a page header: {reason}")));
                }
            }
        }
    }
}

/// Content of a page header.
#[derive(Default)]
struct Fields {
    kind: i64,
    uncompressed: i64,
    compressed: i64,
    data: Option<i64>,
    /// True if that is a page of the second version.
    is_new: bool,
    words: Option<i64>,
    levels: [i64; 2],
}

impl Visit for Fields {
    fn number(&mut self, of: Name, field: usize, value: i64) -> Result<(), Fault> {
        match (of, field) {
            (Name::Page, 1) => self.kind = value,
            (Name::Page, 2) => self.uncompressed = value,
            (Name::Page, 3) => self.compressed = value,
            (Name::DataPage | Name::DataPageV2, 1) => {
                if self.data.is_some() {
                    return wrong("it describes two pages");
                }
                self.data = Some(value);
                self.is_new = of == Name::DataPageV2;
            }
            (Name::DictionaryPage, 1) => self.words = Some(value),
            (Name::DataPageV2, 5) => self.levels[0] = value,
            (Name::DataPageV2, 6) => self.levels[1] = value,
            _ => return Ok(()),
        }
        if value < 0 {
            return wrong(format!("field {field} of {of:?} is {value}"));
        }
        Ok(())
    }

    fn end(&mut self, _: Name, _: u32) -> Result<(), Fault> {
        Ok(())
    }
}

impl Chunk {
    /// Checks a page's size against what is in it.
    fn check(&self, page: &Fields) -> Result<(), String> {
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let size = count(page.uncompressed);
        let bad = |why: String| Err(format!("a page declares {size} bytes uncompressed, {why}"));
        if size > PAGE_BYTES_MAX {
            return bad(format!("above the limit of {PAGE_BYTES_MAX}"));
        }
        if count(page.levels[0]) + count(page.levels[1]) > size {
            return bad("less than its levels need".to_owned());
        }
        let is_described = match page.kind {
            0 | 3 if page.is_new != (page.kind == 3) => false,
            0 | 3 => page.data.is_some() && page.words.is_none(),
            2 => page.words.is_some() && page.data.is_none(),
            _ => page.data.is_none() && page.words.is_none(),
        };
        if !is_described {
            return bad(format!("but is not of its declared type {}", page.kind));
        }
        let values = count(page.data.unwrap_or(0));
        if values > self.values {
            let all = self.values;
            return bad(format!("with {values} values in a column chunk of {all}"));
        }
        let words = count(page.words.unwrap_or(0));
        // A word of bytes begins with four bytes of length.
        if words.saturating_mul(self.width.unwrap_or(32)) > size.saturating_mul(8) {
            return bad(format!("less than {words} words need"));
        }
        if let (Some(width), Some(_)) = (self.width, page.data) {
            let each = width.div_ceil(8).saturating_add(RUN_BYTES);
            if size > values.saturating_mul(each).saturating_add(PAGE_SLACK) {
                return bad(format!("more than {values} values need"));
            }
        }
        // An index is passed over, not handed on.
        if page.kind != 1
            && let Ok(mut sizes) = self.sizes.lock()
        {
            sizes.push_back(usize::try_from(size).unwrap_or(0));
        }
        // Only the growth beyond the largest page so far counts: a column holds one page at a
        // time.
        let before = self.largest.fetch_max(size, Ordering::Relaxed);
        let more = size.saturating_sub(before);
        let held = self.budget.held.fetch_add(more, Ordering::Relaxed);
        if held.saturating_add(more) > self.budget.max {
            let max = self.budget.max;
            return bad(format!("which with the pages beside it exceeds {max}"));
        }
        Ok(())
    }
}
