//! Messages → record batches: the checks before the decoder, the schema, the dictionaries.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{self, Message};

use crate::source::preflight::{Batch, check_dictionary, check_later_schema, check_schema};
use crate::source::stream_error::StreamError;

/// Decodes the messages of one stream, or of several with the same columns.
#[derive(Debug, Default)]
pub(in crate::source) struct BatchDecoder {
    /// The schema of the first stream.
    first: Option<SchemaRef>,
    /// The schema of the current stream.
    schema: Option<SchemaRef>,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl BatchDecoder {
    /// The schema of the first stream, once it has arrived.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.first.as_ref()
    }

    /// Records a schema or a dictionary, or decodes a record batch. The order of messages has
    /// already been checked. `pay` must approve the rows and bytes that a header declares before
    /// anything is allocated.
    pub fn take<E: From<StreamError>>(
        &mut self,
        message: Message<'_>,
        stored: usize,
        body: &Buffer,
        pay: &mut dyn FnMut(ipc::RecordBatch<'_>, u64) -> Result<(), E>,
    ) -> Result<Option<RecordBatch>, E> {
        let corrupt = |reason: String| StreamError::Corrupt(reason);
        let version = message.version();
        if let Some(schema) = message.header_as_schema() {
            self.begin(schema, stored)?;
            return Ok(None);
        }
        let Some(schema) = self.schema.clone() else {
            return Err(StreamError::from("the stream does not begin with a schema").into());
        };
        if let Some(header) = message.header_as_record_batch() {
            let batch = Batch {
                header,
                body,
                version,
            };
            batch.check(&schema).map_err(corrupt)?;
            pay(header, u64::try_from(header.length()).unwrap_or(0))?;
            let words = &self.dictionaries;
            let batch = read_record_batch(body, header, schema, words, None, &version);
            return Ok(Some(batch.map_err(|error| corrupt(error.to_string()))?));
        }
        let Some(words) = message.header_as_dictionary_batch() else {
            let found = message.header_type();
            return Err(corrupt(format!(
                "a message of an unexpected type, {found:?}, in the stream"
            ))
            .into());
        };
        check_dictionary(words, body).map_err(corrupt)?;
        if let Some(data) = words.data() {
            pay(data, 0)?;
        }
        let all = &mut self.dictionaries;
        read_dictionary(body, words, &schema, all, &version)
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(None)
    }

    /// Begins a stream.
    fn begin(&mut self, schema: ipc::Schema<'_>, stored: usize) -> Result<(), StreamError> {
        let Some(first) = &self.first else {
            let schema = read_schema(schema, stored)?;
            self.first = Some(Arc::clone(&schema));
            self.schema = Some(schema);
            return Ok(());
        };
        check_later_schema(schema, stored)?;
        let schema = try_fb_to_schema(schema).map_err(|error| error.to_string())?;
        if let Some(difference) = difference(first.fields(), schema.fields()) {
            return Err(StreamError::Behind(format!(
                "a stream with other columns follows the end of the stream ({difference})"
            )));
        }
        self.schema = Some(Arc::new(schema));
        // Dictionary ids belong to one stream; the next stream may reuse them for other words.
        self.dictionaries.clear();
        Ok(())
    }
}

/// The schema of a header of `stored` bytes.
pub(in crate::source) fn read_schema(
    schema: ipc::Schema<'_>,
    stored: usize,
) -> Result<SchemaRef, StreamError> {
    check_schema(schema, stored)?;
    let schema: Schema = try_fb_to_schema(schema).map_err(|error| error.to_string())?;
    Ok(Arc::new(schema))
}

/// How the columns of a later stream differ from those of the first, if they do. Metadata may
/// differ: it describes a stream, such as the number of its rows, rather than the columns.
fn difference(first: &Fields, later: &Fields) -> Option<String> {
    if first.len() != later.len() {
        return Some(format!("{} columns, not {}", later.len(), first.len()));
    }
    first.iter().zip(later).find_map(|(a, b)| {
        let (name, was) = (b.name(), a.name());
        let (is, before) = (b.data_type(), a.data_type());
        if name != was {
            return Some(format!("`{name}`, not `{was}`"));
        }
        if let (DataType::Struct(before), DataType::Struct(is)) = (before, is)
            && let Some(inner) = difference(before, is)
        {
            return Some(format!("in `{name}`: {inner}"));
        }
        if !is.equals_datatype(before) {
            return Some(format!("`{name}` is {is}, not {before}"));
        }
        (a.is_nullable() != b.is_nullable()).then(|| {
            let may = if b.is_nullable() { "may" } else { "may not" };
            format!("`{name}` {may} be null")
        })
    })
}
