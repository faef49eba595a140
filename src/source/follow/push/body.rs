//! A pushed body, looked at before it is kept: its messages, one behind the other, and its schema.
//!
//! Values are not decoded here: that is done where a crash is survivable. Refused: what is no whole
//! Arrow IPC stream, and columns that do not agree with the features, or, while those are not fixed,
//! that could fix none.

use std::path::{Path, PathBuf};

use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::{MessageHeader, root_as_message};

use crate::source::discover::{Format, magic};
use crate::source::preflight::{brief, check_schema};
use crate::source::{Agreement, SourceError, SourceParams, fix, guard, select};

/// Marks the length of a message.
const MARK: [u8; 4] = [0xFF; 4];
/// What errors call it.
const NAME: &str = "body";

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is no whole Arrow IPC stream.
    NoStream(String),
    /// Its columns are not those of the rows before.
    Disagrees(String),
}

/// What the columns must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// Those of the rows before.
    Agreed(&'a Agreement),
    /// Such as can fix the features: no row was taken yet.
    Any(&'a SourceParams),
}

/// Checks a body; the rows that its record batches declare.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(body: &[u8], expected: Expected<'_>) -> Result<u64, Flaw> {
    let what = match magic(body.get(..8).unwrap_or(body)) {
        Some(Format::IpcStream) => None,
        _ if body.is_empty() => Some("the body is empty".to_owned()),
        Some(Format::Parquet) => Some("the body is a Parquet file".to_owned()),
        Some(_) => Some("the body is an Arrow IPC file".to_owned()),
        None => Some("the body begins as none does".to_owned()),
    };
    if let Some(what) = what {
        let how = "an Arrow IPC stream is needed, as pyarrow.ipc.new_stream writes it";
        return Err(Flaw::NoStream(format!("{what}; {how}")));
    }
    let mut at = 0;
    let mut rows: u64 = 0;
    loop {
        let message = next(body, at).map_err(|reason| {
            Flaw::NoStream(format!("{reason}, in the message at byte {at} of the body"))
        })?;
        let Some((header, end)) = message else {
            // Behind the mark of the end, of eight bytes.
            let left = body.len() - at - 8;
            if left > 0 {
                let why = format!("{left} bytes follow the end of the stream; push it alone");
                return Err(Flaw::NoStream(why));
            }
            return if at == 0 {
                let why = "the stream has no schema; write it with one".to_owned();
                Err(Flaw::NoStream(why))
            } else {
                Ok(rows)
            };
        };
        match guard::catch(Path::new(NAME), || judge(header, at == 0, expected)) {
            Ok(more) => rows = rows.saturating_add(more),
            Err(SourceError::Corrupt { reason, .. }) => return Err(Flaw::NoStream(reason)),
            Err(error) => return Err(Flaw::Disagrees(disagreement(&error))),
        }
        at = end;
    }
}

/// Why a body does not fit; where the first rows lie is no business of a client.
fn disagreement(error: &SourceError) -> String {
    match error {
        SourceError::Missing { column, .. } => {
            format!("the feature `{column}` of the rows before is missing; add it")
        }
        SourceError::Extra { column, .. } => format!(
            "the rows before had no column `{column}`; leave it out, or exclude it with \
             `features.exclude`"
        ),
        SourceError::TooFewFeatures {
            components,
            features,
            ..
        } => format!(
            "components = {components}, but there are only {features} features; push rows with \
             {components} numeric values at least"
        ),
        other => other.to_string(),
    }
}

/// Checks the header of a message; its rows.
fn judge(header: &[u8], is_first: bool, expected: Expected<'_>) -> Result<u64, SourceError> {
    let wrong = |reason: String| SourceError::Corrupt {
        path: PathBuf::from(NAME),
        reason,
    };
    let message = root_as_message(header).map_err(|error| wrong(brief(error)))?;
    match (message.header_type(), is_first) {
        (MessageHeader::Schema, true) => {
            let schema = message.header_as_schema();
            let schema = schema.ok_or_else(|| wrong("its schema is empty".to_owned()))?;
            check_schema(schema, header.len()).map_err(wrong)?;
            let schema = try_fb_to_schema(schema).map_err(|error| wrong(error.to_string()))?;
            let name = Path::new(NAME);
            match expected {
                Expected::Agreed(agreement) => drop(select::agree(name, &schema, &agreement.plan)?),
                Expected::Any(params) => fix::foresee(name, &schema, params)?,
            }
            Ok(0)
        }
        (_, true) => Err(wrong("the stream does not begin with a schema".to_owned())),
        (MessageHeader::RecordBatch, false) => {
            let batch = message.header_as_record_batch();
            let rows = batch.map_or(0, |batch| batch.length());
            u64::try_from(rows).map_err(|_| wrong(format!("a record batch of {rows} rows")))
        }
        (MessageHeader::DictionaryBatch, false) => Ok(0),
        (other, false) => Err(wrong(format!(
            "a message of type {other:?} where a record batch should be"
        ))),
    }
}

/// The header of the message at an offset and the offset behind its body; nothing at the mark of the
/// end.
fn next(body: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, String> {
    let cut =
        || "the stream ends too soon (it must end with its mark: close the writer)".to_owned();
    let prefix = body.get(at..at + 8).ok_or_else(cut)?;
    if prefix[..4] != MARK {
        return Err("no mark of a message; write the stream with Arrow 0.15 or newer".to_owned());
    }
    let len = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
    if len == 0 {
        return Ok(None);
    }
    let behind = (at + 8).checked_add(len);
    let header = behind.and_then(|behind| body.get(at + 8..behind));
    let header = header.ok_or_else(cut)?;
    let message = root_as_message(header).map_err(brief)?;
    let len = message.bodyLength();
    let len = usize::try_from(len).map_err(|_| format!("a body of {len} bytes"))?;
    let end = behind.and_then(|behind| behind.checked_add(len));
    let end = end.filter(|end| *end <= body.len()).ok_or_else(cut)?;
    Ok(Some((header, end)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, RecordBatch};
    use arrow::ipc::writer::StreamWriter;

    use super::{Expected, Flaw, check};
    use crate::source::SourceParams;

    fn stream() -> Vec<u8> {
        let values: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]));
        let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn rows_are_counted_and_every_cut_is_refused() {
        let params = SourceParams::default();
        let check = |body: &[u8]| check(body, Expected::Any(&params));
        let whole = stream();
        assert_eq!(check(&whole), Ok(6));
        for len in 0..whole.len() {
            let cut = check(&whole[..len]);
            assert!(matches!(cut, Err(Flaw::NoStream(_))), "{len}: {cut:?}");
        }
        let mut more = whole.clone();
        more.push(0);
        assert!(matches!(check(&more), Err(Flaw::NoStream(_))));
    }

    #[test]
    fn a_body_that_can_fix_no_features_is_refused_before_any_is_fixed() {
        let params = SourceParams {
            features_least: 2,
            ..SourceParams::default()
        };
        let Err(Flaw::Disagrees(why)) = check(&stream(), Expected::Any(&params)) else {
            panic!("one feature, two components");
        };
        assert!(
            why.contains("components = 2, but there are only 1 features"),
            "{why}"
        );
        let params = SourceParams {
            exclude: vec!["x".to_owned()],
            ..SourceParams::default()
        };
        let left = check(&stream(), Expected::Any(&params));
        assert!(matches!(left, Err(Flaw::Disagrees(_))), "{left:?}");
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let params = SourceParams::default();
        let whole = stream();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = check(&changed, Expected::Any(&params));
            }
        }
    }
}
