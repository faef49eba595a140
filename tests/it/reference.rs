//! Batch PCA in f64, IncrementalPCA by its published equations, and rows with a planted spectrum.

use faer::{Mat, MatRef};
use ojad::learner::{self, Estimate, Learner, LearnerParams};
use ojad::rows::Minibatch;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// n×m rows in memory.
pub struct Rows {
    pub values: Vec<f64>,
    pub m: usize,
}

impl Rows {
    pub fn new(values: Vec<f64>, m: usize) -> Self {
        Self { values, m }
    }

    pub fn n(&self) -> usize {
        self.values.len() / self.m
    }

    pub fn as_mat(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.n(), self.m)
    }

    pub fn range(&self, from: usize, to: usize) -> Rows {
        Rows::new(self.values[from * self.m..to * self.m].to_vec(), self.m)
    }
}

/// Rows √spectrumⱼ·zⱼ in a random orthonormal basis, z from `law`, plus `mean`.
pub fn planted(
    n: usize,
    spectrum: &[f64],
    mean: f64,
    seed: u64,
    law: &impl Distribution<f64>,
) -> (Rows, Mat<f64>) {
    let m = spectrum.len();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let basis = Mat::<f64>::from_fn(m, m, |_, _| StandardNormal.sample(&mut random));
    let basis = basis.qr().compute_thin_Q();
    let z = Mat::<f64>::from_fn(n, m, |_, j| spectrum[j].sqrt() * law.sample(&mut random));
    let x = z * basis.transpose();
    let values = (0..n)
        .flat_map(|i| (0..m).map(move |j| (i, j)))
        .map(|at| x[at] + mean)
        .collect();
    (Rows::new(values, m), basis.transpose().to_owned())
}

/// Eigenvalues (divisor Σw) and components (k×m) of weighted rows, in f64.
pub fn batch(rows: &Rows, k: usize, weight: impl Fn(usize) -> f64) -> (Vec<f64>, Mat<f64>) {
    let (n, m, x) = (rows.n(), rows.m, rows.as_mat());
    let total: f64 = (0..n).map(&weight).sum();
    let mean: Vec<f64> = (0..m)
        .map(|j| (0..n).map(|i| weight(i) * x[(i, j)]).sum::<f64>() / total)
        .collect();
    let y = Mat::<f64>::from_fn(n, m, |i, j| {
        (weight(i) / total).sqrt() * (x[(i, j)] - mean[j])
    });
    let c = y.transpose() * &y;
    let eigen = c
        .self_adjoint_eigen(faer::Side::Lower)
        .expect("finite rows");
    let values = (0..k)
        .map(|i| eigen.S().column_vector()[m - 1 - i])
        .collect();
    (values, Mat::from_fn(k, m, |i, j| eigen.U()[(j, m - 1 - i)]))
}

/// IncrementalPCA with `r` components over minibatches of `b` rows (Ross, Lim, Lin, Yang 2008,
/// the algorithm that scikit-learn implements); eigenvalues have divisor n.
pub fn incremental(rows: &Rows, r: usize, b: usize) -> (Vec<f64>, Mat<f64>) {
    let (m, x) = (rows.m, rows.as_mat());
    let (mut s, mut u, mut mean) = (Vec::<f64>::new(), Mat::<f64>::zeros(0, m), vec![0.0; m]);
    let mut seen = 0;
    while seen < rows.n() {
        let b = b.min(rows.n() - seen);
        let block: Vec<f64> = (0..m)
            .map(|j| (seen..seen + b).map(|i| x[(i, j)]).sum::<f64>() / b as f64)
            .collect();
        let between = ((seen * b) as f64 / (seen + b) as f64).sqrt();
        let h = s.len();
        let stack = Mat::<f64>::from_fn(h + b + 1, m, |i, j| {
            if i < h {
                s[i] * u[(i, j)]
            } else if i < h + b {
                x[(seen + i - h, j)] - block[j]
            } else {
                between * (mean[j] - block[j])
            }
        });
        let svd = stack.transpose().thin_svd().expect("finite rows");
        let found = r.min(svd.S().column_vector().nrows());
        s = (0..found).map(|i| svd.S().column_vector()[i]).collect();
        u = svd.U().subcols(0, found).transpose().to_owned();
        for j in 0..m {
            mean[j] += b as f64 / (seen + b) as f64 * (block[j] - mean[j]);
        }
        seen += b;
    }
    (s.iter().map(|v| v * v / seen as f64).collect(), u)
}

/// One pass of a learner over `rows` in minibatches of `params.minibatch_rows`.
pub fn learned(rows: &Rows, params: &LearnerParams) -> Box<dyn Learner> {
    let mut learner = learner::new(params, rows.m).expect("k <= m");
    let b = params.minibatch_rows(rows.m);
    for (i, chunk) in rows.values.chunks(b * rows.m).enumerate() {
        let mut batch = Minibatch::from_rows(chunk, rows.m);
        batch.set_first_row((i * b) as u64);
        learner.update(batch).expect("finite rows");
    }
    learner
}

/// What that learner says.
pub fn fitted(rows: &Rows, params: &LearnerParams) -> Estimate {
    learned(rows, params).estimate().expect("finite state")
}

/// The components of an estimate, k×m.
pub fn vectors(estimate: &Estimate) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(&estimate.vectors, estimate.components(), estimate.features)
}

/// Mean sin² of the principal angles between the estimate and `truth`.
pub fn distance(estimate: &Estimate, truth: &Mat<f64>) -> f64 {
    ojad::linalg::mean_sin2(vectors(estimate), truth.as_ref())
}

/// k leading eigenvalues from `top` down to `last`, then ones.
pub fn spikes(m: usize, k: usize, top: f64, last: f64) -> Vec<f64> {
    (0..m)
        .map(|j| {
            if j < k {
                top + (last - top) * j as f64 / (k - 1).max(1) as f64
            } else {
                1.0
            }
        })
        .collect()
}
