//! Checks a pushed body before it is stored: its messages, one after another, and its schema.
//!
//! Values are not decoded here, but where a crash is survivable. Refused: anything but a complete
//! Arrow IPC stream, and columns that disagree with the features or, while those are not fixed,
//! could not fix any.

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::ipc::MessageHeader;

use crate::source::format::{Format, magic};
use crate::source::framing::{BatchDecoder, Cut, Next, Place, message};
use crate::source::stream_error::StreamError;
use crate::source::{FeatureSchema, SourceError, SourceParams, catch_panic, fix, later};

/// Name in errors.
const NAME: &str = "body";

/// Fault of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not a complete Arrow IPC stream.
    NoStream(String),
    /// Its columns differ from those of earlier rows.
    Disagrees(String),
}

/// Requirements on the columns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// The columns of earlier rows.
    Fixed(&'a FeatureSchema),
    /// Any columns that can fix the features: no row was taken yet.
    Any(&'a SourceParams),
}

/// Checks a body of one stream, or of several with the same columns; returns the rows that its
/// record batches declare.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(body: &[u8], expected: Expected<'_>) -> Result<u64, Flaw> {
    let what = match magic(body.get(..8).unwrap_or(body)) {
        Some(Format::IpcStream) => None,
        _ if body.is_empty() => Some("the body is empty".to_owned()),
        Some(Format::Parquet) => Some("the body is a Parquet file".to_owned()),
        Some(_) => Some("the body is an Arrow IPC file".to_owned()),
        None => Some("the body is not an Arrow IPC stream".to_owned()),
    };
    if let Some(what) = what {
        let how = "an Arrow IPC stream is needed, as pyarrow.ipc.new_stream writes it";
        return Err(Flaw::NoStream(format!("{what}; {how}")));
    }
    let mut walk = Walk {
        body,
        at: 0,
        place: Place::default(),
        decoder: BatchDecoder::default(),
        expected,
    };
    let mut rows: u64 = 0;
    loop {
        // Verifying a header may panic where decoding does.
        match catch_panic::catch(Path::new(NAME), || walk.step()) {
            Ok(Some(more)) => rows = rows.saturating_add(more),
            Ok(None) => return Ok(rows),
            Err(SourceError::Corrupt { reason, .. }) => {
                let at = walk.at;
                let why = format!("{reason}, in the message at byte {at} of the body");
                return Err(Flaw::NoStream(why));
            }
            Err(SourceError::Behind { what, .. }) => {
                let why = format!(
                    "{what}; after the end of a stream, only streams with the same columns may follow"
                );
                return Err(Flaw::NoStream(why));
            }
            Err(SourceError::BigEndian { .. }) => {
                return Err(Flaw::NoStream(StreamError::BigEndian.to_string()));
            }
            Err(error) => return Err(Flaw::Disagrees(disagreement(&error))),
        }
    }
}

/// Why a body does not fit, without the location of the first rows, which is none of a client's
/// business.
fn disagreement(error: &SourceError) -> String {
    match error {
        SourceError::Missing { column, .. } => {
            format!("the feature `{column}` of earlier rows is missing; add it")
        }
        SourceError::Extra { column, .. } => format!(
            "earlier rows had no column `{column}`; leave it out, or exclude it with \
             `features.exclude`"
        ),
        SourceError::TooFewFeatures {
            components,
            features,
            ..
        } => format!(
            "components = {components}, but there are only {features} features; push rows with at \
             least {components} numeric values"
        ),
        other => other.to_string(),
    }
}

/// How far a body has been looked at.
struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    place: Place,
    decoder: BatchDecoder,
    expected: Expected<'a>,
}

impl Walk<'_> {
    /// Skips the next message; returns its rows, or `None` at the end of the body.
    fn step(&mut self) -> Result<Option<u64>, SourceError> {
        let name = Path::new(NAME);
        let place = self.place;
        let wrong = |error: StreamError| place.fault(error).at(name);
        let left = &self.body[self.at..];
        if left.is_empty() && place == Place::Behind {
            return Ok(None);
        }
        let cut = match self.place.step(left).map_err(wrong)? {
            Next::More(_) => return Err(wrong(cut_short())),
            Next::End(bytes) => {
                self.at += bytes;
                return Ok(Some(0));
            }
            Next::Message(cut) => cut,
        };
        let rows = self.judge(cut, &left[cut.before..][..cut.stored])?;
        let end = cut.bytes().filter(|end| *end <= left.len());
        self.at += end.ok_or_else(cut_short).map_err(wrong)?;
        Ok(Some(rows))
    }

    /// Checks the header of a message; its rows.
    fn judge(&mut self, cut: Cut, header: &[u8]) -> Result<u64, SourceError> {
        let name = Path::new(NAME);
        if cut.kind == MessageHeader::Schema {
            let nothing = arrow::buffer::Buffer::default();
            let mut free = |_: arrow::ipc::RecordBatch<'_>, _| Ok(());
            let taken = message(header).and_then(|(message, _)| {
                self.decoder.take(message, cut.stored, &nothing, &mut free)
            });
            taken.map_err(|error| error.at(name))?;
            let schema: Option<&SchemaRef> = self.decoder.schema();
            match (self.expected, schema) {
                (_, None) => {}
                (Expected::Fixed(feature_schema), Some(schema)) => {
                    later::columns(name, schema, &feature_schema.plan)?;
                }
                (Expected::Any(params), Some(schema)) => fix::foresee(name, schema, params)?,
            }
            return Ok(0);
        }
        u64::try_from(cut.rows).map_err(|_| SourceError::Corrupt {
            path: PathBuf::from(NAME),
            reason: format!("a record batch of {} rows", cut.rows),
        })
    }
}

fn cut_short() -> StreamError {
    "the stream ends too soon: it has no end marker (close the writer)".into()
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
