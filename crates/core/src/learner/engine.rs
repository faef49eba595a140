//! The interface shared by all rules, so that moments, scale and error bars are implemented once.

use faer::{Mat, MatRef};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::linalg::{LinalgError, Real};

/// Totals of the covariance of all rows at the moment a block is learned or a state is read.
#[derive(Clone, Copy, Debug)]
pub struct CovarianceTotals {
    /// Trace of the covariance of all rows, the block's included, in block units.
    pub total: f64,
    /// Features that carry variance.
    pub active: usize,
    /// N, the weight of all rows.
    pub weight: f64,
}

/// Directions that a rule holds, in f64: h rows of m entries.
#[derive(Clone, Debug)]
pub struct Directions {
    /// h×m, orthonormal rows, in the order of `eigenvalues`.
    pub vectors: Mat<f64>,
    /// Length h, descending; the noise variance is part of each.
    pub eigenvalues: Vec<f64>,
    /// σ², the mean variance of the remaining directions that the rule itself assumes.
    pub noise: f64,
    /// r, the maximum number of directions held.
    pub max_rank: usize,
}

/// A rule that learns from centred, scaled blocks.
pub trait Engine: Send {
    /// The float that the block is stored in.
    type Float: Real;

    /// Learns from a block; may modify it.
    ///
    /// # Errors
    /// If the block holds a non-finite value.
    fn update(
        &mut self,
        block: &mut Block<Self::Float>,
        totals: CovarianceTotals,
    ) -> Result<(), LinalgError>;

    /// Follows a change of units: with D = diag(`ratios`), the covariance becomes DCD.
    ///
    /// # Errors
    /// If the state holds a non-finite value.
    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError>;

    /// Orthonormal rows (h×m) in which the error bars compute scores, roughly in order.
    fn basis(&self) -> MatRef<'_, Self::Float>;

    /// Scores of the block learned last, at least as many rows as were read by h, in directions that were nearly the
    /// basis, if the rule computes them anyway.
    fn scores(&self) -> Option<MatRef<'_, Self::Float>> {
        None
    }

    /// Writes everything that later updates depend on.
    fn save(&self, to: &mut Encoder);

    /// Reads what an engine with the same parameters and features wrote, in this `version` of the section.
    ///
    /// # Errors
    /// If the bytes are not what was written.
    fn restore(&mut self, from: &mut Decoder<'_>, version: u8) -> Result<(), CodecError>;

    /// The state as directions and eigenvalues.
    ///
    /// # Errors
    /// If the state holds a non-finite value.
    fn directions(&self, totals: CovarianceTotals) -> Result<Directions, LinalgError>;
}
