//! The baselines of the learning algorithms: two decompositions and ojad's own learner.
//!
//! Each puts the minimum of the loss on the directions that it found into the weights, W₂ = U·diag(s)
//! with s = √(1 − λ/σ²)₊ for the sum losses, √(σ²/(σ² + λ)) for the product and 1 for none
//! ([`crate::theory`]), so that all are read in the same way.

use faer::{Mat, MatRef};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::{Algorithm, Coupling};
use crate::LabError;
use crate::loss::{Loss, by_columns};
use crate::problem::{Batch, spectrum_of};
use crate::theory::shrunk;
use crate::weights::Weights;
use ojad_core::learner::{self, Learner, LearnerParams};
use ojad_core::rows::Minibatch;

/// Directions drawn beside the wanted ones (Halko, Martinsson and Tropp 2011, section 4.2).
const OVERSAMPLING: usize = 10;

/// Power iterations of the randomized decomposition: twice what scikit-learn takes by default for a
/// small k.
const POWER_ITERATIONS: usize = 8;

/// Weights at the minimum of `loss` for these directions (m×k) and eigenvalues σ² of C.
fn weights_of(loss: &Loss, directions: MatRef<'_, f64>, eigenvalues: &[f64]) -> Weights {
    let lengths: Vec<f64> = (0..directions.ncols())
        .map(|i| shrunk(loss, i, eigenvalues[i]))
        .collect();
    Weights::tied(by_columns(directions, &lengths))
}

/// Singular value decomposition of all rows: the truth, in one step.
pub struct Svd {
    loss: Loss,
}

impl Svd {
    /// Nothing is decomposed yet.
    pub fn new(loss: Loss) -> Self {
        Self { loss }
    }
}

impl Algorithm for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Tied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let k = weights.components();
        // Of the rows themselves, not of C: squaring would cost half of the digits.
        let svd = batch.all().thin_svd().map_err(|_| LabError::NotFinite)?;
        let values = svd.S().column_vector().iter().map(|s| s * s);
        let mut values: Vec<f64> = values.take(k).collect();
        // Fewer rows than components: the rest have no variance.
        values.resize(k, 0.0);
        let directions = Mat::from_fn(weights.features(), k, |i, j| {
            if j < svd.V().ncols() {
                svd.V()[(i, j)]
            } else {
                0.0
            }
        });
        *weights = weights_of(&self.loss, directions.as_ref(), &values);
        Ok(false)
    }
}

/// Randomized decomposition; the first step is the plain one, each further adds a power iteration.
///
/// Source: Halko, Martinsson and Tropp 2011, algorithms 4.3 and 5.1, orthonormalised each time.
pub struct Randomized {
    loss: Loss,
    seed: u64,
    /// m×(k + p), orthonormal: a basis of (XᵀX)^(q+1)Ω.
    basis: Option<Mat<f64>>,
    taken: usize,
}

impl Randomized {
    /// Starts from a random matrix of this seed.
    pub fn new(loss: Loss, seed: u64) -> Self {
        Self {
            loss,
            seed,
            basis: None,
            taken: 0,
        }
    }
}

impl Algorithm for Randomized {
    fn name(&self) -> &'static str {
        "randomized-svd"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Tied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let (m, k) = (weights.features(), weights.components());
        let rows = batch.all();
        let width = (k + OVERSAMPLING).min(m).min(rows.nrows());
        let before = self.basis.take().unwrap_or_else(|| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            Mat::from_fn(m, width, |_, _| StandardNormal.sample(&mut random))
        });
        let image = rows.transpose() * (rows * before); // m×width
        let basis = image.qr().compute_thin_Q();
        let codes = rows * &basis; // n×width
        // Rayleigh and Ritz within the basis.
        let inside = spectrum_of((codes.transpose() * &codes).as_ref())?;
        let k = k.min(width);
        let directions = &basis * inside.vectors.subcols(0, k);
        *weights = weights_of(&self.loss, directions.as_ref(), &inside.values);
        self.basis = Some(basis);
        self.taken += 1;
        Ok(self.taken < POWER_ITERATIONS)
    }
}

/// The learner of `ojad fit` on its own minibatches, one pass.
pub struct Streaming {
    loss: Loss,
    learner: Option<Box<dyn Learner>>,
    next_row: usize,
}

impl Streaming {
    /// Nothing is learned yet.
    pub fn new(loss: Loss) -> Self {
        Self {
            loss,
            learner: None,
            next_row: 0,
        }
    }
}

impl Algorithm for Streaming {
    fn name(&self) -> &'static str {
        "streaming"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Tied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let (m, k) = (weights.features(), weights.components());
        let rows = batch.all();
        let learner = match &mut self.learner {
            Some(learner) => learner,
            none => {
                let params = LearnerParams {
                    components: k,
                    // The rows are centred on the mean of all of them.
                    center: false,
                    ..LearnerParams::default()
                };
                none.insert(learner::new(&params, m)?)
            }
        };
        let size = learner.params().minibatch_rows(m);
        let count = size.min(rows.nrows() - self.next_row);
        let taken = rows.subrows(self.next_row, count);
        let mut values = Vec::with_capacity(count * m);
        for i in 0..count {
            values.extend(taken.row(i).iter());
        }
        let mut minibatch = Minibatch::from_rows(&values, m);
        minibatch.set_first_row(self.next_row as u64);
        learner.update(minibatch)?;
        self.next_row += count;
        let estimate = learner.estimate()?;
        let directions = Mat::from_fn(m, k, |i, j| estimate.vector(j)[i]);
        let values: Vec<f64> = estimate
            .eigenvalues
            .iter()
            // The lab counts in units of XᵀX, the learner in those of the covariance.
            .map(|variance| variance * rows.nrows() as f64)
            .collect();
        *weights = weights_of(&self.loss, directions.as_ref(), &values);
        Ok(self.next_row < rows.nrows())
    }
}
