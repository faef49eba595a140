//! The schema of Arrow IPC bytes, as a footer, a stream or a Parquet footer holds it.
//!
//! The format's verifier has already accepted it: 64 levels, a million tables. But tables and
//! strings may be shared, so that a few kilobytes represent millions of fields or gigabytes of
//! metadata, which the decoder copies one by one.

use arrow::ipc::{Endianness, Field, KeyValue, Schema, root_as_message};

use super::{DEPTH_MAX, FIELDS_MAX};
use crate::source::stream_error::StreamError;

/// Bytes of names and metadata beyond the stored size of the schema.
const SHARED_BYTES_MAX: usize = 64 << 20;

/// Checks the schema of Arrow IPC data that is stored in `stored` bytes.
pub(in crate::source) fn check_schema(
    schema: Schema<'_>,
    stored: usize,
) -> Result<(), StreamError> {
    if schema.endianness() != Endianness::Little {
        return Err(StreamError::BigEndian);
    }
    let most = (stored.saturating_add(SHARED_BYTES_MAX), FIELDS_MAX);
    Ok(check_fields(schema, most)?)
}

/// The same for the schema of a further stream: a body may hold thousands, so none may represent
/// more than its own bytes.
pub(in crate::source) fn check_later_schema(
    schema: Schema<'_>,
    stored: usize,
) -> Result<(), StreamError> {
    if schema.endianness() != Endianness::Little {
        return Err(StreamError::BigEndian);
    }
    Ok(check_fields(schema, (stored, FIELDS_MAX.min(stored)))?)
}

/// Checks the limits on the bytes of names and metadata, and on the number of columns.
fn check_fields(schema: Schema<'_>, (max, fields_max): (usize, usize)) -> Result<(), String> {
    let mut bytes = metadata(schema.custom_metadata().into_iter().flatten());
    let mut fields = 0;
    let mut open: Vec<(Field<'_>, usize)> = Vec::new();
    open.extend(
        schema
            .fields()
            .into_iter()
            .flatten()
            .map(|field| (field, 1)),
    );
    while let Some((field, depth)) = open.pop() {
        fields += 1;
        bytes += field.name().unwrap_or_default().len();
        bytes += metadata(field.custom_metadata().into_iter().flatten());
        if bytes > max {
            return Err(format!(
                "the names and metadata of its schema take more than {max} bytes"
            ));
        }
        let children = field.children().into_iter().flatten();
        let before = open.len();
        open.extend(children.map(|child| (child, depth + 1)));
        if depth == DEPTH_MAX && open.len() > before {
            return Err(format!(
                "its schema nests deeper than the limit of {DEPTH_MAX} levels"
            ));
        }
        if fields + open.len() > fields_max {
            return Err(format!(
                "a schema with more columns than the limit of {fields_max}"
            ));
        }
    }
    Ok(())
}

fn metadata<'a>(pairs: impl Iterator<Item = KeyValue<'a>>) -> usize {
    let len = |text: Option<&str>| text.unwrap_or_default().len();
    pairs.map(|pair| len(pair.key()) + len(pair.value())).sum()
}

/// Checks the schema that Arrow's writers leave in the metadata of a Parquet footer, base64.
pub(super) fn check_encoded(text: &[u8]) -> Result<(), String> {
    // What cannot be decoded or verified here cannot be by the decoder, which says so.
    let Some(bytes) = base64(text) else {
        return Ok(());
    };
    // Some writers leave out the length, and others its mark.
    let is_marked = bytes.starts_with(&[0xFF; 4]);
    let message = block_header(&bytes).filter(|_| is_marked);
    let message = root_as_message(message.unwrap_or(&bytes)).ok();
    // The values of a Parquet file are little-endian whatever wrote them.
    match message.and_then(|message| message.header_as_schema()) {
        Some(schema) => check_fields(schema, (bytes.len() + SHARED_BYTES_MAX, FIELDS_MAX)),
        None => Ok(()),
    }
}

/// The bytes that base64 text stands for.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&c| c != b'=').map_or(0, |at| at + 1);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0);
    for &c in &text[..end] {
        let code = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(code);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    Some(bytes)
}

/// The header of a block of an IPC file, without its prefix.
pub(in crate::source) fn block_header(block: &[u8]) -> Option<&[u8]> {
    match block.first_chunk::<4>()? {
        &[0xFF, 0xFF, 0xFF, 0xFF] => block.get(8..),
        _ => block.get(4..),
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, bytes) in [
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9vYmE=", "fooba"),
            ("", ""),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(
            base64(b"////+w").as_deref(),
            Some(&[0xFF, 0xFF, 0xFF, 0xFB][..])
        );
        assert_eq!(base64(b"a b"), None);
    }
}
