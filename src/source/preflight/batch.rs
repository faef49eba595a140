//! Checks the header of an Arrow record batch against its schema and its body.
//!
//! The decoder takes each buffer from the position in the body that the header gives, and panics if
//! that is outside; it allocates the length that a compressed buffer declares. Both are checked
//! here, as is that the columns are as long as the batch.

use arrow::datatypes::{DataType, Schema, UnionMode};
use arrow::ipc::{
    Buffer, DictionaryBatch, FieldNode, Message, MessageHeader, MetadataVersion, RecordBatch,
    root_as_message,
};

use super::schema::block_header;
use super::{brief, uncompressed_max};

/// Multiple of its values that a compressed buffer may hold: a writer that slices an array may
/// write its whole buffers.
const WHOLE_BUFFERS: u64 = 16;
/// Bytes that it may always hold.
const BUFFER_SLACK: u64 = 1 << 20;

/// A batch and the data that its header is checked against.
pub(in crate::source) struct Batch<'a> {
    pub header: RecordBatch<'a>,
    pub body: &'a [u8],
    pub version: MetadataVersion,
}

/// Checks a block of an IPC file: the header's `meta` bytes, then the body.
pub(in crate::source) fn check_block(
    bytes: &[u8],
    meta: usize,
    schema: &Schema,
) -> Result<(), String> {
    let (message, body) = parts(bytes, meta)?;
    match message.header_type() {
        MessageHeader::RecordBatch => {
            let batch = Batch {
                header: message
                    .header_as_record_batch()
                    .ok_or("a record batch is empty")?,
                body,
                version: message.version(),
            };
            batch.check(schema)
        }
        MessageHeader::DictionaryBatch => {
            let batch = message.header_as_dictionary_batch();
            check_dictionary(batch.ok_or("a dictionary is empty")?, body)
        }
        MessageHeader::NONE => Ok(()),
        other => Err(format!(
            "a block of type {other:?} where a record batch should be"
        )),
    }
}

/// Takes a block apart as the decoder does.
fn parts(bytes: &[u8], meta: usize) -> Result<(Message<'_>, &[u8]), String> {
    let body = bytes.get(meta..).unwrap_or_default();
    let head = block_header(bytes).filter(|_| meta >= 8);
    let head = head.ok_or("a record batch without a header")?;
    let message = root_as_message(head).map_err(brief)?;
    Ok((message, body))
}

/// Checks a dictionary, whose type is not in its header.
pub(in crate::source) fn check_dictionary(
    batch: DictionaryBatch<'_>,
    body: &[u8],
) -> Result<(), String> {
    let data = batch.data().ok_or("a dictionary without data")?;
    let mut check = Check::new(data, body)?;
    // Without the type, only the bounds of nodes and buffers can be checked.
    while check.nodes.len() > 0 {
        check.node(None)?;
    }
    while check.buffers.len() > 0 {
        check.buffer(None)?;
    }
    Ok(())
}

impl Batch<'_> {
    /// Checks the batch against its schema.
    pub fn check(&self, schema: &Schema) -> Result<(), String> {
        let rows = u64::try_from(self.header.length());
        let rows = rows.map_err(|_| "a record batch has a negative length")?;
        let mut check = Check::new(self.header, self.body)?;
        // Unions had a validity buffer before version 5 of the format.
        check.has_union_nulls = self.version < MetadataVersion::V5;
        for field in schema.fields() {
            let column = check.column(field.data_type(), Some(rows));
            column.map_err(|reason| format!("column `{}`: {reason}", field.name()))?;
        }
        Ok(())
    }
}

/// The remaining nodes and buffers of a batch.
struct Check<'a> {
    nodes: Box<dyn ExactSizeIterator<Item = &'a FieldNode> + 'a>,
    buffers: Box<dyn ExactSizeIterator<Item = &'a Buffer> + 'a>,
    variadic: Box<dyn Iterator<Item = i64> + 'a>,
    body: &'a [u8],
    is_compressed: bool,
    has_union_nulls: bool,
    /// Bytes that compressed buffers declare.
    uncompressed: u64,
    uncompressed_max: u64,
}

impl<'a> Check<'a> {
    fn new(batch: RecordBatch<'a>, body: &'a [u8]) -> Result<Self, String> {
        Ok(Self {
            nodes: Box::new(
                batch
                    .nodes()
                    .ok_or("a record batch without columns")?
                    .iter(),
            ),
            buffers: Box::new(
                batch
                    .buffers()
                    .ok_or("a record batch without buffers")?
                    .iter(),
            ),
            variadic: Box::new(batch.variadicBufferCounts().into_iter().flatten()),
            body,
            is_compressed: batch.compression().is_some(),
            has_union_nulls: false,
            uncompressed: 0,
            uncompressed_max: uncompressed_max(body.len() as u64),
        })
    }

    /// The next column, which must have `rows` values when they are known.
    ///
    /// Recurses into nested types, which [`super::check_schema`] has bounded.
    fn column(&mut self, data_type: &DataType, rows: Option<u64>) -> Result<(), String> {
        use DataType as D;
        let n = self.node(rows)?;
        match data_type {
            D::Null => {}
            // Both children have an entry per run, and not one per row.
            D::RunEndEncoded(ends, values) => {
                self.column(ends.data_type(), None)?;
                self.column(values.data_type(), None)?;
            }
            D::Union(fields, mode) => {
                if self.has_union_nulls {
                    self.bits(n, 1)?;
                }
                self.bits(n, 8)?;
                if *mode == UnionMode::Dense {
                    self.bits(n, 32)?;
                }
                for (_, field) in fields.iter() {
                    self.column(field.data_type(), None)?;
                }
            }
            D::Struct(fields) => {
                self.bits(n, 1)?;
                for field in fields {
                    self.column(field.data_type(), None)?;
                }
            }
            D::FixedSizeList(item, _) => {
                self.bits(n, 1)?;
                self.column(item.data_type(), None)?;
            }
            D::List(item) | D::Map(item, _) | D::LargeList(item) => {
                self.bits(n, 1)?;
                self.bits(n.saturating_add(1), 64)?;
                self.column(item.data_type(), None)?;
            }
            D::ListView(item) | D::LargeListView(item) => {
                self.bits(n, 1)?;
                self.bits(n, 64)?;
                self.bits(n, 64)?;
                self.column(item.data_type(), None)?;
            }
            D::Utf8 | D::Binary | D::LargeUtf8 | D::LargeBinary => {
                self.bits(n, 1)?;
                self.bits(n.saturating_add(1), 64)?;
                self.buffer(None)?;
            }
            D::Utf8View | D::BinaryView => {
                let count = self.variadic.next().and_then(|n| usize::try_from(n).ok());
                let count = count.filter(|&n| n <= self.buffers.len());
                self.bits(n, 1)?;
                self.bits(n, 128)?;
                for _ in 0..count.ok_or("a view without its number of buffers")? {
                    self.buffer(None)?;
                }
            }
            D::Dictionary(..) => {
                self.bits(n, 1)?;
                self.bits(n, 64)?;
            }
            D::FixedSizeBinary(bytes) => {
                self.bits(n, 1)?;
                self.bits(n, 8 * u64::try_from(*bytes).unwrap_or(0))?;
            }
            // Numbers, times and booleans, none wider than a decimal of 256 bits.
            _ => {
                self.bits(n, 1)?;
                let width = data_type.primitive_width().unwrap_or(1);
                self.bits(n, 8 * width as u64)?;
            }
        }
        Ok(())
    }

    /// The next node's length.
    fn node(&mut self, rows: Option<u64>) -> Result<u64, String> {
        const FEWER: &str = "a record batch has fewer columns than its schema";
        let node = self.nodes.next().ok_or(FEWER)?;
        let (len, nulls) = (node.length(), node.null_count());
        if nulls < 0 || nulls > len {
            return Err(format!("{nulls} nulls in {len} values"));
        }
        let len = u64::try_from(len).map_err(|_| format!("{len} values"))?;
        match rows {
            Some(rows) if len != rows => Err(format!("{len} values in a batch of {rows} rows")),
            _ => Ok(len),
        }
    }

    /// The next buffer, of `values` times `width` bits.
    fn bits(&mut self, values: u64, width: u64) -> Result<(), String> {
        self.buffer(Some(values.saturating_mul(width).div_ceil(8)))
    }

    /// The next buffer, of about `need` bytes when they are known.
    fn buffer(&mut self, need: Option<u64>) -> Result<(), String> {
        const FEWER: &str = "a record batch has fewer buffers than its schema needs";
        const OUTSIDE: &str = "a buffer lies outside its record batch";
        let buffer = self.buffers.next().ok_or(FEWER)?;
        let place = usize::try_from(buffer.offset()).ok();
        let place = place.zip(usize::try_from(buffer.length()).ok());
        let bytes = place.and_then(|(at, len)| self.body.get(at..)?.get(..len));
        let bytes = bytes.ok_or(OUTSIDE)?;
        if !self.is_compressed || bytes.is_empty() {
            return Ok(());
        }
        let declared = bytes
            .first_chunk::<8>()
            .map(|head| i64::from_le_bytes(*head));
        let declared = declared.ok_or("a compressed buffer without its length")?;
        // -1 says that the buffer is stored as it is.
        let Ok(declared) = u64::try_from(declared) else {
            return if declared == -1 {
                Ok(())
            } else {
                Err(format!("a compressed buffer of {declared} bytes"))
            };
        };
        let most = need.map_or(u64::MAX, |need| {
            need.saturating_mul(WHOLE_BUFFERS)
                .saturating_add(BUFFER_SLACK)
        });
        self.uncompressed = self.uncompressed.saturating_add(declared);
        if declared > most || self.uncompressed > self.uncompressed_max {
            return Err(format!(
                "a buffer declares {declared} bytes uncompressed, more than its values need or \
                 its record batch may take ({})",
                self.uncompressed_max
            ));
        }
        Ok(())
    }
}
