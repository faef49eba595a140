//! What the rules have in common, so that moments, scale and error bars are written once.

use faer::{Mat, MatRef};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::linalg::{LinalgError, Real};

/// Totals of the covariance of all rows, for the moment when a block is learned or a state is read.
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
    /// σ², the mean variance of the directions outside that the rule itself reckons with.
    pub noise: f64,
    /// r, the directions that could be held.
    pub max_rank: usize,
}

/// A rule that learns from centred, scaled blocks.
pub trait Engine: Send {
    /// The float that the block is stored in.
    type Float: Real;

    /// Takes a block in; may change it.
    ///
    /// # Errors
    /// If the block holds a value that is no finite number.
    fn update(
        &mut self,
        block: &mut Block<Self::Float>,
        totals: CovarianceTotals,
    ) -> Result<(), LinalgError>;

    /// Follows a change of units: with D = diag(`ratios`), the covariance becomes DCD.
    ///
    /// # Errors
    /// If the state holds a value that is no finite number.
    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError>;

    /// Orthonormal rows (h×m) that the error bars take scores in, roughly in order.
    fn basis(&self) -> MatRef<'_, Self::Float>;

    /// Scores of the block learned last in directions that were all but the basis, at least as many rows as were read
    /// by h, where the rule has them anyway.
    fn scores(&self) -> Option<MatRef<'_, Self::Float>> {
        None
    }

    /// Writes all that later updates depend on.
    fn save(&self, to: &mut Encoder);

    /// Reads what an engine of the same parameters and features wrote.
    ///
    /// # Errors
    /// If the bytes are not what was written.
    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError>;

    /// The state as directions and eigenvalues.
    ///
    /// # Errors
    /// If the state holds a value that is no finite number.
    fn directions(&self, totals: CovarianceTotals) -> Result<Directions, LinalgError>;
}
