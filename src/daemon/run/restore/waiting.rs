//! The section `waiting`: rows that wait for a full minibatch.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::rows::{Minibatch, Values};
use crate::source::Agreement;

/// Version of the section.
const WAITING_VERSION: u8 = 1;

/// Rows one after the other, each value in the minibatch's width.
pub(super) fn encode_waiting(batch: &Minibatch) -> Vec<u8> {
    let mut to = Encoder::new();
    to.u8(WAITING_VERSION);
    to.usize(batch.rows());
    to.bool(batch.has_missing());
    let (m, row, col) = (batch.features(), batch.row_stride(), batch.col_stride());
    let places = (0..batch.rows()).flat_map(|i| (0..m).map(move |j| i * row + j * col));
    match batch.values() {
        Values::F32(values) => {
            to.bool(false);
            to.f32s(&places.map(|at| values[at]).collect::<Vec<_>>());
        }
        Values::F64(values) => {
            to.bool(true);
            to.f64s(&places.map(|at| values[at]).collect::<Vec<_>>());
        }
    }
    to.into_bytes()
}

/// How many they are.
pub(super) fn waiting_rows(bytes: &[u8]) -> Result<usize, CodecError> {
    let mut from = Decoder::new("waiting", bytes);
    from.u8()?;
    from.usize()
}

/// The rows that were written, in a minibatch of so many.
pub(super) fn decode_waiting(
    bytes: &[u8],
    agreement: &Agreement,
    minibatch_rows: usize,
) -> Result<Minibatch, CodecError> {
    let mut from = Decoder::new("waiting", bytes);
    let version = from.u8()?;
    if version != WAITING_VERSION {
        return Err(from.refuse(format!("version {version}")));
    }
    let (rows, has_missing, is_wide) = (from.usize()?, from.bool()?, from.bool()?);
    let mut batch = agreement.new_minibatch(minibatch_rows);
    if rows > minibatch_rows {
        return Err(from.refuse(format!(
            "{rows} rows wait for a minibatch of {minibatch_rows}"
        )));
    }
    let (m, row, col) = (batch.features(), batch.row_stride(), batch.col_stride());
    let places = (0..rows).flat_map(|i| (0..m).map(move |j| i * row + j * col));
    match (batch.values_mut(), is_wide) {
        (Values::F32(to), false) => {
            let values = from.f32s_of(rows * m)?;
            places.zip(values).for_each(|(at, value)| to[at] = value);
        }
        (Values::F64(to), true) => {
            let values = from.f64s_of(rows * m)?;
            places.zip(values).for_each(|(at, value)| to[at] = value);
        }
        _ => return Err(from.refuse("values of another width")),
    }
    from.finish()?;
    batch.set_rows(rows);
    batch.set_has_missing(has_missing);
    Ok(batch)
}
