//! `precision = "f64"`: the closed form by orthogonal factorization of its rows.
//!
//! The rows √dₛ·U and Ỹ/√N are never squared into a Gram matrix, so an eigenvalue of 1e-18 of the
//! largest (a singular value of 1e-9) keeps digits. The tail is kept as the sum of what was cut,
//! never as total − Σd, which would lose it to cancellation. Costs (r+b)²·m flops per minibatch.

use faer::{Mat, MatRef};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::engine::{CovarianceTotals, Directions, Engine};
use crate::learner::saved::{EngineTag, expect, finite, finites, restore_mat, save_mat};
use crate::linalg::{LinalgError, ThinSvd, thin_svd};

/// Singular values below this share of the largest are round-off of f64.
const PRECISION: f64 = 1e-14;

/// U (h×m), d (h) and the squared norm outside.
#[derive(Clone)]
pub struct QrF64 {
    max_rank: usize,
    vectors: Mat<f64>,
    eigenvalues: Vec<f64>,
    tail: f64,
}

impl QrF64 {
    /// An empty state that holds up to `max_rank` directions.
    pub fn new(features: usize, max_rank: usize) -> Self {
        Self {
            max_rank,
            vectors: Mat::zeros(0, features),
            eigenvalues: Vec::new(),
            tail: 0.0,
        }
    }

    fn noise(&self, active: usize) -> f64 {
        let rank = self.eigenvalues.len();
        if rank == self.max_rank && active > rank {
            self.tail / (active - rank) as f64
        } else {
            0.0
        }
    }

    /// Replaces the state by the best rank-r part of `rows`ᵀ`rows`; what is cut is added to the
    /// tail.
    fn compress(&mut self, rows: &Mat<f64>) -> Result<(), LinalgError> {
        let ThinSvd { u, s } = thin_svd(rows.transpose())?;
        let top = s.iter().copied().fold(0.0, f64::max);
        if !top.is_finite() {
            return Err(LinalgError::NoConvergence);
        }
        let found = s
            .iter()
            .take(self.max_rank)
            .take_while(|v| **v > PRECISION * top && **v > 0.0)
            .count();
        self.tail += s.iter().skip(found).map(|v| v * v).sum::<f64>();
        self.eigenvalues = s.iter().take(found).map(|v| v * v).collect();
        let mut vectors = u.subcols(0, found).transpose().to_owned();
        for i in 0..found.min(self.vectors.nrows()) {
            let (new, old) = (vectors.row(i), self.vectors.row(i));
            let dot: f64 = new.iter().zip(old.iter()).map(|(a, b)| a * b).sum();
            // Products of two scores go on over it: no direction changes its sign for nothing.
            if dot < 0.0 {
                vectors.row_mut(i).iter_mut().for_each(|v| *v = -*v);
            }
        }
        self.vectors = vectors;
        Ok(())
    }
}

impl Engine for QrF64 {
    type Float = f64;

    fn update(
        &mut self,
        block: &mut Block<f64>,
        totals: CovarianceTotals,
    ) -> Result<(), LinalgError> {
        block.apply_mean_shrinkage();
        let n = block.total();
        let kept = block.prior_weight / n;
        self.tail *= kept;
        let noise = self.noise(totals.active);
        let (h, b, m) = (self.eigenvalues.len(), block.rows(), self.vectors.ncols());
        let mut roots = vec![0.0; h];
        for (root, d) in roots.iter_mut().zip(&self.eigenvalues) {
            // Clipped at zero, the direction takes what it lacks out of the tail.
            let left = kept * d - noise;
            self.tail = (self.tail + left.min(0.0)).max(0.0);
            *root = left.max(0.0).sqrt();
        }
        let y = block.as_mat();
        let root_n = n.sqrt();
        let rows = Mat::<f64>::from_fn(h + b, m, |i, j| {
            if i < h {
                roots[i] * self.vectors[(i, j)]
            } else {
                y[(i - h, j)] / root_n
            }
        });
        self.compress(&rows)?;
        self.eigenvalues.iter_mut().for_each(|d| *d += noise);
        Ok(())
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        let h = self.eigenvalues.len();
        let active = ratios.len();
        if h == 0 {
            return Ok(());
        }
        // An isotropic tail stays one: its trace follows the mean square of the ratios.
        let square = ratios.iter().map(|r| r * r).sum::<f64>() / active as f64;
        self.tail *= square;
        let rows = Mat::<f64>::from_fn(h, active, |i, j| {
            self.eigenvalues[i].sqrt() * self.vectors[(i, j)] * ratios[j]
        });
        self.compress(&rows)
    }

    fn basis(&self) -> MatRef<'_, f64> {
        self.vectors.as_ref()
    }

    fn save(&self, to: &mut Encoder) {
        to.u8(EngineTag::QrF64 as u8);
        to.f64(self.tail);
        to.f64s(&self.eigenvalues);
        save_mat(&self.vectors, to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>, _version: u8) -> Result<(), CodecError> {
        expect(from, EngineTag::QrF64)?;
        self.tail = finite(from)?;
        let rank = from.clone().usize()?;
        if rank > self.max_rank {
            return Err(from.refuse(format!("{rank} directions held")));
        }
        self.eigenvalues = finites(from, rank)?;
        self.vectors = restore_mat(from, rank, self.vectors.ncols())?;
        Ok(())
    }

    fn directions(&self, totals: CovarianceTotals) -> Result<Directions, LinalgError> {
        Ok(Directions {
            vectors: self.vectors.clone(),
            eigenvalues: self.eigenvalues.clone(),
            noise: self.noise(totals.active),
            max_rank: self.max_rank,
        })
    }
}
