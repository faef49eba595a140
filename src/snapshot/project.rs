//! Rows → scores, residual and T², by the components of a snapshot.

use faer::Mat;

use crate::learner::Estimate;
use crate::rows::Minibatch;

/// Components ready to score minibatches whose columns may stand in another order.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Column of the minibatch for each feature, length m.
    order: Vec<usize>,
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Vᵀ, m×k.
    vectors: Mat<f64>,
    eigenvalues: Vec<f64>,
}

/// Scores of b rows.
#[derive(Clone, Debug)]
pub struct Scores {
    /// k columns of b scores.
    pub components: Vec<Vec<f64>>,
    /// ‖z − VᵀVz‖² of the centred, scaled row z, length b; squared scaled units.
    pub residual: Vec<f64>,
    /// Σ scoreᵢ²/eigenvalueᵢ over the components with a positive eigenvalue, length b.
    ///
    /// Source: Hotelling 1931; Jackson 1991, chapter 2.
    pub t2: Vec<f64>,
}

impl Projection {
    /// Components of `estimate`; `order[j]` is the column of feature j in a minibatch.
    pub fn new(estimate: &Estimate, order: &[usize]) -> Self {
        let (k, m) = (estimate.components(), estimate.features);
        Self {
            order: order.to_vec(),
            mean: estimate.mean.clone(),
            scale: estimate.scale.clone(),
            vectors: Mat::from_fn(m, k, |j, i| estimate.vector(i)[j]),
            eigenvalues: estimate.eigenvalues.clone(),
        }
    }

    /// Scores every row, in f64; a missing value (NaN) counts as the mean.
    pub fn score(&self, batch: &Minibatch) -> Scores {
        let (b, m, k) = (batch.rows(), self.order.len(), self.eigenvalues.len());
        let z = Mat::<f64>::from_fn(b, m, |i, j| {
            let value = batch.value(i, self.order[j]);
            if value.is_nan() {
                0.0
            } else {
                (value - self.mean[j]) / self.scale[j]
            }
        });
        let scores = &z * &self.vectors; // b×k
        // The residual row itself, not ‖z‖² − ‖score‖²: that would lose a small one to rounding.
        let outside = &z - &scores * self.vectors.transpose(); // b×m
        let t2 = (0..b)
            .map(|i| {
                (0..k)
                    .filter(|&l| self.eigenvalues[l] > 0.0)
                    .map(|l| scores[(i, l)] * scores[(i, l)] / self.eigenvalues[l])
                    .sum()
            })
            .collect();
        Scores {
            components: (0..k)
                .map(|l| scores.col(l).iter().copied().collect())
                .collect(),
            residual: (0..b).map(|i| outside.row(i).squared_norm_l2()).collect(),
            t2,
        }
    }
}
