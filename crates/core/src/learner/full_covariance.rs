//! The closed form with all m directions held: nothing is truncated, so nothing is lost.
//!
//! With r = m the rule's fixed point keeps C itself, λ = σ² = 0, and the eigenvectors are needed
//! only for a read-out. Where m is at most a few times r, this costs less than r held directions
//! would (m² against 4mr flops per row, with no small algebra at all), takes the same O(m·r)
//! memory, and is exact to f64 round-off.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::engine::{CovarianceTotals, Directions, Engine};
use crate::learner::product_float::HELD_SHARE;
use crate::learner::saved::{EngineTag, expect, finite, restore_mat, save_mat};
use crate::linalg::{LinalgError, Scratch, Spectrum};

/// Features per held direction up to which all directions are held.
const FEATURES_PER_DIRECTION: usize = 8;

/// Factor by which the weight grows, relative to what is left of it, between two updates of the eigenvectors for the
/// error bars.
const REFRESH_GROWTH: f64 = 1.5;

/// The covariance, lower triangle.
#[derive(Clone)]
pub struct FullCovariance {
    covariance: Mat<f64>,
    basis: Mat<f64>,
    max_rank: usize,
    weight_at_refresh: f64,
    scratch: Scratch,
    spectrum: Spectrum,
}

impl FullCovariance {
    /// True if holding all `features` directions costs less than holding `max_rank` of them.
    pub fn pays(features: usize, max_rank: usize) -> bool {
        features <= FEATURES_PER_DIRECTION * max_rank
    }

    /// An empty state; the error bars use `max_rank` directions.
    pub fn new(features: usize, max_rank: usize) -> Self {
        Self {
            covariance: Mat::zeros(features, features),
            basis: Mat::zeros(0, features),
            max_rank,
            weight_at_refresh: 0.0,
            scratch: Scratch::default(),
            spectrum: Spectrum::default(),
        }
    }

    fn refresh_basis(&mut self) -> Result<(), LinalgError> {
        let (m, max_rank) = (self.covariance.nrows(), self.max_rank);
        self.scratch
            .eigen(self.covariance.as_ref(), &mut self.spectrum)?;
        self.basis.resize_with(max_rank, m, |_, _| 0.0);
        for i in 0..max_rank {
            let (new, old) = (self.spectrum.vectors.col(i), self.basis.row(i));
            let dot: f64 = new.iter().zip(old.iter()).map(|(a, b)| a * b).sum();
            // Products of two scores go on over it: no direction changes its sign for nothing.
            let sign = if dot < 0.0 { -1.0 } else { 1.0 };
            let values = self.basis.row_mut(i).iter_mut().zip(new.iter());
            values.for_each(|(to, from)| *to = sign * from);
        }
        Ok(())
    }
}

impl Engine for FullCovariance {
    type Float = f64;

    fn update(
        &mut self,
        block: &mut Block<f64>,
        _totals: CovarianceTotals,
    ) -> Result<(), LinalgError> {
        let n = block.total();
        let kept = block.prior_weight / n;
        let m = self.covariance.nrows();
        // (1/N)·Σỹỹᵀ = (1/N)·Σyyᵀ − (s/N)²·ȳȳᵀ where the running mean was taken off.
        let share = if block.mean_shrinkage > 0.0 {
            block.weight / n
        } else {
            0.0
        };
        for j in 0..m {
            let mean = share * share * block.mean[j];
            let column = self.covariance.col_mut(j).subrows_mut(j, m - j);
            for (v, other) in column.iter_mut().zip(&block.mean[j..]) {
                *v = kept * *v - mean * other;
            }
        }
        let y = block.as_mat();
        // m×m
        matmul(
            self.covariance.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            y.transpose(),
            BlockStructure::Rectangular,
            y,
            BlockStructure::Rectangular,
            1.0 / n,
            Par::Seq,
        );
        self.weight_at_refresh *= block.decay;
        if n >= REFRESH_GROWTH * self.weight_at_refresh {
            self.weight_at_refresh = n;
            self.refresh_basis()?;
        }
        Ok(())
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        let m = self.covariance.nrows();
        for j in 0..m {
            for i in j..m {
                self.covariance[(i, j)] *= ratios[i] * ratios[j];
            }
        }
        Ok(())
    }

    fn basis(&self) -> MatRef<'_, f64> {
        self.basis.as_ref()
    }

    fn save(&self, to: &mut Encoder) {
        to.u8(EngineTag::FullCovariance as u8);
        to.f64(self.weight_at_refresh);
        save_mat(&self.covariance, to);
        to.usize(self.basis.nrows());
        save_mat(&self.basis, to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>, _version: u8) -> Result<(), CodecError> {
        expect(from, EngineTag::FullCovariance)?;
        let m = self.covariance.nrows();
        self.weight_at_refresh = finite(from)?;
        self.covariance = restore_mat(from, m, m)?;
        let rank = from.usize()?;
        if rank != 0 && rank != self.max_rank {
            return Err(from.refuse(format!("{rank} directions looked at")));
        }
        self.basis = restore_mat(from, rank, m)?;
        Ok(())
    }

    fn directions(&self, _totals: CovarianceTotals) -> Result<Directions, LinalgError> {
        let m = self.covariance.nrows();
        let mut spectrum = Spectrum::default();
        self.scratch
            .clone()
            .eigen(self.covariance.as_ref(), &mut spectrum)?;
        let top = spectrum.values.first().copied().unwrap_or(0.0);
        // Round-off of the products leaves this much in a direction that holds nothing.
        let floor = top * HELD_SHARE.max(f64::EPSILON * m as f64);
        let rank = spectrum.values.iter().filter(|v| **v > floor).count();
        Ok(Directions {
            vectors: Mat::from_fn(rank, m, |i, j| spectrum.vectors[(j, i)]),
            eigenvalues: spectrum.values[..rank].to_vec(),
            noise: 0.0,
            max_rank: m,
        })
    }
}
