//! The section `waiting`: rows that wait for a full minibatch.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::Minibatch;
use crate::source::FeatureSchema;

/// Version of the section.
const WAITING_VERSION: u8 = 1;

/// The rows one after another, each value in the minibatch's float width.
pub(super) fn encode_waiting(batch: &Minibatch) -> Vec<u8> {
    let mut to = Encoder::new();
    to.u8(WAITING_VERSION);
    batch.save(&mut to);
    to.into_bytes()
}

/// Number of waiting rows.
pub(super) fn waiting_rows(bytes: &[u8]) -> Result<usize, CodecError> {
    let mut from = Decoder::new("waiting", bytes);
    from.u8()?;
    from.usize()
}

/// The stored rows, in a minibatch of the given size.
pub(super) fn decode_waiting(
    bytes: &[u8],
    feature_schema: &FeatureSchema,
    minibatch_rows: usize,
) -> Result<Minibatch, CodecError> {
    let mut from = Decoder::new("waiting", bytes);
    let version = from.u8()?;
    if version != WAITING_VERSION {
        return Err(from.refuse(format!("version {version}")));
    }
    let mut batch = feature_schema.new_minibatch(minibatch_rows);
    batch.restore(&mut from)?;
    from.finish()?;
    Ok(batch)
}
