//! Plain numbers and matrices ↔ bytes, as all engines write them.

use faer::Mat;

use crate::codec::{CodecError, Decoder, Encoder};

/// The tags of the engines in the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EngineTag {
    /// The closed form on held directions.
    LowRank = 1,
    /// The closed form on all directions.
    FullCovariance = 2,
    /// The closed form in full precision.
    QrF64 = 3,
    /// Oja's rule, regularized or not.
    Oja = 4,
    /// The preconditioned rule (matrix step).
    MatrixStep = 5,
    /// The closed form on held directions, in f64 products.
    WideLowRank = 6,
}

/// Reads the tag of an engine, which must be `tag`.
pub(super) fn expect(from: &mut Decoder<'_>, tag: EngineTag) -> Result<(), CodecError> {
    let found = from.u8()?;
    if found == tag as u8 {
        Ok(())
    } else {
        Err(from.refuse(format!("engine {found} where {} is expected", tag as u8)))
    }
}

/// Rows, columns, then the entries column by column.
pub(super) fn save_mat(mat: &Mat<f64>, to: &mut Encoder) {
    to.usize(mat.nrows());
    to.usize(mat.ncols());
    for j in 0..mat.ncols() {
        for i in 0..mat.nrows() {
            to.f64(mat[(i, j)]);
        }
    }
}

/// A matrix of exactly this shape with finite entries.
pub(super) fn restore_mat(
    from: &mut Decoder<'_>,
    rows: usize,
    cols: usize,
) -> Result<Mat<f64>, CodecError> {
    let found = (from.usize()?, from.usize()?);
    if found != (rows, cols) {
        return Err(from.refuse(format!(
            "a matrix of {}×{} where {rows}×{cols} is expected",
            found.0, found.1
        )));
    }
    let mut mat = Mat::zeros(rows, cols);
    for j in 0..cols {
        for i in 0..rows {
            mat[(i, j)] = finite(from)?;
        }
    }
    Ok(mat)
}

/// A finite number.
pub(super) fn finite(from: &mut Decoder<'_>) -> Result<f64, CodecError> {
    let value = from.f64()?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(from.refuse(format!("{value} is not a finite number")))
    }
}

/// Reads `len` finite numbers.
pub(super) fn finites(from: &mut Decoder<'_>, len: usize) -> Result<Vec<f64>, CodecError> {
    let values = from.f64s_of(len)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(from.refuse("a value is not a finite number"))
    }
}

/// `len` finite single-precision numbers.
pub(super) fn finites_f32(from: &mut Decoder<'_>, len: usize) -> Result<Vec<f32>, CodecError> {
    let values = from.f32s_of(len)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(from.refuse("a value is not a finite number"))
    }
}
