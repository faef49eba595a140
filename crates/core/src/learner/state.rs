//! Learner ↔ bytes: the section `learner` of a checkpoint.
//!
//! Only what later updates depend on is written, every bit of it; buffers are not. A restored
//! learner goes on with the bits of the one that was saved. `docs/checkpoint.md` has the layout.

use faer::Mat;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::fourth_moments::FourthMoments;
use crate::learner::moments::Moments;
use crate::learner::typical::TypicalVariance;

/// Version of the section. Version 1 has nothing of ordinary rows.
pub(super) const VERSION: u8 = 2;

/// The numbers of engines in the section.
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

/// Reads the number of an engine, which must be `tag`.
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

/// A matrix of just this shape and of finite entries.
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

/// A number that is no infinity and no NaN.
pub(super) fn finite(from: &mut Decoder<'_>) -> Result<f64, CodecError> {
    let value = from.f64()?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(from.refuse(format!("{value} is no finite number")))
    }
}

/// Reads `len` finite numbers.
pub(super) fn finites(from: &mut Decoder<'_>, len: usize) -> Result<Vec<f64>, CodecError> {
    let values = from.f64s_of(len)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(from.refuse("a value is no finite number"))
    }
}

/// `len` finite numbers of single precision.
pub(super) fn finites_f32(from: &mut Decoder<'_>, len: usize) -> Result<Vec<f32>, CodecError> {
    let values = from.f32s_of(len)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(from.refuse("a value is no finite number"))
    }
}

impl Moments {
    /// Writes what later minibatches depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.rows);
        to.f64(self.weight);
        to.f64(self.squared_weight);
        to.f64s(&self.mean);
        to.f64s(&self.variance);
        to.f64s(&self.scale);
        to.f64s(&self.observed);
        to.f64(self.typical_variance.log);
        to.f64(self.typical_variance.blocks);
    }

    /// Reads what was written with its version before it, for as many features.
    pub(super) fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let version = from.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(from.refuse(format!("version {version}")));
        }
        let m = self.features();
        self.rows = from.u64()?;
        self.weight = finite(from)?;
        self.squared_weight = finite(from)?;
        self.mean = finites(from, m)?;
        self.variance = finites(from, m)?;
        self.scale = finites(from, m)?;
        self.observed = from.f64s()?;
        if !self.observed.is_empty() && self.observed.len() != m {
            return Err(from.refuse(format!("{} observed weights", self.observed.len())));
        }
        self.typical_variance = TypicalVariance::default();
        if version > 1 {
            self.typical_variance.log = finite(from)?;
            self.typical_variance.blocks = finite(from)?;
        }
        let is_fine = self.weight >= 0.0 && self.scale.iter().all(|scale| *scale > 0.0);
        if !is_fine {
            return Err(from.refuse("a weight or scale is not positive"));
        }
        Ok(())
    }
}

impl FourthMoments {
    /// Writes what later minibatches depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.usize(self.blocks);
        to.f64(self.outside);
        to.f64s(&self.square);
        to.f64s(&self.with_outside);
        save_mat(&self.quartic, to);
    }

    /// Reads what was written; at most `most` directions.
    pub(super) fn restore(
        &mut self,
        from: &mut Decoder<'_>,
        most: usize,
    ) -> Result<(), CodecError> {
        self.blocks = from.usize()?;
        self.outside = finite(from)?;
        self.square = from.f64s()?;
        let h = self.square.len();
        if h > most {
            return Err(from.refuse(format!("{h} directions where {most} can be held")));
        }
        self.with_outside = finites(from, h)?;
        self.quartic = restore_mat(from, h, h)?;
        Ok(())
    }
}
