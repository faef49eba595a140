//! The interface shared by all rules, so that moments, scale and error bars are implemented once.

use faer::{Mat, MatRef};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::linalg::{LinalgError, Real, Scratch, Spectrum, ThinSvd, product, thin_svd};

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

impl Directions {
    /// The same in other units, each value of feature j times `ratios[j]`; `own` is the variance of each feature there.
    ///
    /// What lies outside is σ² in all directions of the old units only. In the new ones it is what each feature lacks of
    /// its own variance, and the directions are those of largest variance in the span of the ones held.
    ///
    /// # Errors
    /// If a value is not finite.
    pub fn in_units(
        &self,
        ratios: &[f64],
        own: &[f64],
        totals: CovarianceTotals,
    ) -> Result<Self, LinalgError> {
        let (h, m) = self.vectors.shape();
        let rows = Mat::<f64>::from_fn(h, m, |i, j| {
            let above = (self.eigenvalues[i] - self.noise).max(0.0);
            above.sqrt() * self.vectors[(i, j)] * ratios[j]
        });
        let ThinSvd { u, s } = thin_svd(rows.transpose())?;
        let outside: Vec<f64> = (0..m)
            .map(|j| {
                let held = s.iter().enumerate().map(|(i, s)| (s * u[(j, i)]).powi(2));
                (own[j] - held.sum::<f64>()).max(0.0)
            })
            .collect();
        let weighted = Mat::<f64>::from_fn(m, s.len(), |j, i| outside[j] * u[(j, i)]);
        let mut core = product(u.transpose(), &weighted);
        for (i, s) in s.iter().enumerate() {
            core[(i, i)] += s * s;
        }
        let mut spectrum = Spectrum::default();
        Scratch::default().eigen(core.as_ref(), &mut spectrum)?;
        let sum: f64 = spectrum.values.iter().sum();
        let left = totals.active.saturating_sub(h).max(1) as f64;
        Ok(Self {
            vectors: product(spectrum.vectors.transpose(), u.transpose()),
            eigenvalues: spectrum.values,
            noise: (totals.total - sum).max(0.0) / left,
            max_rank: self.max_rank,
        })
    }
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
