//! The closed form on r held directions, in f32 products and O(m·r) memory.
//!
//! State: U (h×m, orthonormal rows), the h×h core D with C ≈ Uᵀ(D − σ²I)U + σ²I, h ≤ r. The
//! isotropic tail σ² stands for everything outside U. With H = (n₀/N)·D − σ²I and the block's rows
//! Ỹ, the regularized rule's fixed point on [history; minibatch] is the best rank-r part of
//!
//!   A = UᵀHU + ỸᵀỸ/N
//!
//! and D = that + σ²I: λ = σ² is subtracted and added back, never left off. Two ways lead there:
//!
//! * **Matrix step.** Z = A·Uᵀ costs one pass over Ỹ, and the Nyström form ZᵀK⁻¹Z, K = UZ,
//!   is the preconditioned Oja step W ← CW(WᵀCW)⁻¹ with its eigenvalues. It agrees with the best
//!   rank-r part to first order in the block's share of all rows, so it is what runs for ever.
//! * **Exact.** Where the step gains so much that its second order matters (the first minibatches,
//!   a drift, rows sorted by class), the Gram matrix of the h + b factor rows gives the answer
//!   itself. The step's own gain decides, so the choice is a function of the rows.
//!
//! Sources: Kunin et al. 2019 (the fixed point); Gittens and Mahoney 2016 (Nyström); Mitliagkas,
//! Caramanis, Jain 2013 (the block power method of the probes).

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::learner::block::Block;
use crate::learner::engine::{Directions, Engine, Outlook};
use crate::learner::probes::Probes;
use crate::linalg::{LinalgError, Scratch, Spectrum};

/// A matrix step whose gain in the k leading directions is above this share of the block's energy
/// is thrown away for the exact answer. At 1e-3 all data sets of the accuracy bench stay within
/// 10% of always-exact; at 1e-2 rows sorted by class are three times worse.
const STEP_GAIN: f64 = 1e-3;

/// Earlier rows must weigh this many blocks before a matrix step is tried at all.
const STEP_MINIBATCHES: f64 = 8.0;

/// Steps between two rotations of U to the core's eigenvectors; only round-off asks for them.
const STEPS_BETWEEN_ROTATIONS: u32 = 16;

/// A block whose energy outside U is below this share of its own lies in U, as far as f32 can say.
const IN_SPAN: f64 = 1e-6;

/// The closed form's state and its buffers.
#[derive(Clone)]
pub struct Subspace {
    pub(super) features: usize,
    pub(super) limit: usize,
    components: usize,
    pub(super) held: usize,
    /// U, then the probes: (r + c)×m, row-major.
    pub(super) weights: Vec<f32>,
    pub(super) next: Vec<f32>,
    pub(super) core: Mat<f64>,
    pub(super) probes: Probes,
    pub(super) steps_since_rotation: u32,
    pub(super) work: Work,
}

/// Buffers whose content does not outlive an update.
#[derive(Clone, Default)]
pub(super) struct Work {
    pub(super) scores: Vec<f32>,
    pub(super) gram: Vec<f32>,
    pub(super) small: Vec<f32>,
    pub(super) history: Mat64,
    pub(super) k: Mat64,
    pub(super) moment: Mat64,
    pub(super) stacked: Mat64,
    pub(super) rotation: Vec<f32>,
    pub(super) column: Vec<f64>,
    pub(super) spectrum: Spectrum,
    pub(super) scratch: Scratch,
}

/// A Mat<f64> with a default.
#[derive(Clone)]
pub(super) struct Mat64(pub(super) Mat<f64>);

impl Default for Mat64 {
    fn default() -> Self {
        Self(Mat::new())
    }
}

impl Mat64 {
    pub(super) fn sized(&mut self, rows: usize, cols: usize) -> MatMut<'_, f64> {
        self.0.resize_with(rows, cols, |_, _| 0.0);
        self.0.as_mut()
    }
}

impl Engine for Subspace {
    type Float = f32;

    fn update(&mut self, block: &mut Block<f32>, outlook: Outlook) -> Result<(), LinalgError> {
        self.learn(block, outlook)
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        self.follow_units(ratios)
    }

    fn basis(&self) -> MatRef<'_, f32> {
        rows_of(&self.weights, self.held, self.features)
    }

    fn directions(&self, outlook: Outlook) -> Result<Directions, LinalgError> {
        let mut copy = self.clone();
        copy.absorb(outlook)?;
        copy.rotate()?;
        let (h, sum) = (copy.held, trace(copy.core()));
        let outside = (outlook.total - sum).max(0.0);
        let noise = if copy.is_full() && outlook.active > h {
            outside / (outlook.active - h) as f64
        } else {
            0.0
        };
        let (vectors, eigenvalues) = copy.in_f64()?;
        Ok(Directions {
            vectors,
            eigenvalues,
            noise,
            limit: self.limit,
        })
    }
}

impl Subspace {
    /// An empty state that reports `components` and holds up to `limit` directions.
    pub fn new(features: usize, components: usize, limit: usize, seed: u64) -> Self {
        let probes = Probes::new(features, limit, seed);
        let rows = limit + probes.count();
        Self {
            features,
            limit,
            components,
            held: 0,
            weights: vec![0.0; rows * features],
            next: vec![0.0; rows * features],
            core: Mat::zeros(limit, limit),
            probes,
            steps_since_rotation: 0,
            work: Work::default(),
        }
    }

    /// D, h×h.
    fn core(&self) -> MatRef<'_, f64> {
        self.core.as_ref().submatrix(0, 0, self.held, self.held)
    }

    fn learn(&mut self, block: &Block<f32>, outlook: Outlook) -> Result<(), LinalgError> {
        let Outlook { total, active, .. } = outlook;
        let n = block.total();
        let kept = block.earlier / n;
        let met = self.held;
        self.probes.advance(block);
        self.project(block);
        let tail = (total - block.energy / n - kept * trace(self.core())).max(0.0);
        let noise = if self.is_full() && active > self.held {
            tail / (active - self.held) as f64
        } else {
            0.0
        };
        self.set_history(kept, noise);
        let may_step = self.may_step(block);
        if may_step || self.probes.are_looking() {
            self.accumulate_products(block);
        }
        if self.probes.are_looking() {
            let m = self.features;
            self.probes
                .add(&self.next[met * m..(met + self.probes.count()) * m], block);
        }
        if !(may_step && self.matrix_step(block)?) {
            self.exact(block)?;
        }
        for i in 0..self.held {
            self.core[(i, i)] += noise;
        }
        if self.steps_since_rotation >= STEPS_BETWEEN_ROTATIONS {
            self.rotate()?;
        }
        if self.is_full() {
            self.tend_probes(outlook)?;
        } else {
            self.probes.stop();
        }
        Ok(())
    }

    /// UᵀDU in f64 with orthonormal rows: f32 rows are so to 1e-7 only. U = LQ by Cholesky of its
    /// Gram matrix, and LᵀDL is diagonalized.
    fn in_f64(&mut self) -> Result<(Mat<f64>, Vec<f64>), LinalgError> {
        let (h, m) = (self.held, self.features);
        if h == 0 {
            return Ok((Mat::zeros(0, m), Vec::new()));
        }
        let u = rows_of(&self.weights, h, m);
        let mut rows = Mat::<f64>::from_fn(h, m, |i, j| f64::from(u[(i, j)]));
        let mut factor = &rows * rows.transpose();
        let work = &mut self.work;
        work.scratch.cholesky(factor.as_mut())?;
        solve_lower_triangular_in_place(factor.as_ref(), rows.as_mut(), Par::Seq);
        let core = self.core.as_ref().submatrix(0, 0, h, h);
        let core = factor.transpose() * core * &factor;
        work.scratch.eigen(core.as_ref(), &mut work.spectrum)?;
        let vectors = work.spectrum.vectors.transpose() * rows;
        Ok((vectors, work.spectrum.values.clone()))
    }

    fn is_full(&self) -> bool {
        self.held == self.limit
    }

    /// Rows of weights in use: U and, where they look at this block, the probes.
    fn rows_in_use(&self) -> usize {
        self.held
            + if self.probes.are_looking() {
                self.probes.count()
            } else {
                0
            }
    }

    /// P = YWᵀ − e·p̄ in `scores` (b×(h+c), column-major) and p̄, the means of YWᵀ, in `column`.
    ///
    /// With this shift, PᵀY = ỸWᵀ's product with Ỹ: no m×(h+c) correction is left to do.
    fn project(&mut self, block: &Block<f32>) {
        let (b, q) = (block.rows(), self.rows_in_use());
        self.work
            .scores
            .resize(b * (self.limit + self.probes.count()), 0.0);
        let mut p = MatMut::from_column_major_slice_mut(&mut self.work.scores[..b * q], b, q);
        let w = rows_of(&self.weights, q, self.features);
        // b×q
        matmul(
            p.as_mut(),
            Accum::Replace,
            block.as_mat(),
            w.transpose(),
            1.0,
            Par::Seq,
        );
        self.work.column.clear();
        for j in 0..q {
            let col = &mut self.work.scores[j * b..(j + 1) * b];
            let mean = col.iter().map(|v| f64::from(*v)).sum::<f64>() / b as f64;
            self.work.column.push(mean);
            if block.shrink > 0.0 {
                let shift = (block.taken() * mean) as f32;
                col.iter_mut().for_each(|v| *v -= shift);
            }
        }
    }

    /// ỸWᵀ's second moment is PᵀP and this times p̄p̄ᵀ: (e − e²)·b.
    fn lacking(block: &Block<f32>) -> f64 {
        let e = block.taken();
        (e - e * e) * block.rows() as f64
    }

    /// H = kept·D − noise·I.
    fn set_history(&mut self, kept: f64, noise: f64) {
        let h = self.held;
        let core = self.core.as_ref();
        let mut history = self.work.history.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                history[(i, j)] = kept * core[(i, j)] - if i == j { noise } else { 0.0 };
            }
        }
    }

    /// Whether enough went before, and whether U could hold what the block brings.
    fn may_step(&self, block: &Block<f32>) -> bool {
        if self.held == 0 || block.earlier < STEP_MINIBATCHES * block.weight {
            return false;
        }
        if self.is_full() {
            return true;
        }
        let b = block.rows();
        let inside: f64 = self.work.scores[..b * self.held]
            .iter()
            .map(|v| f64::from(*v) * f64::from(*v))
            .sum();
        let means = self.work.column[..self.held].iter();
        let lacking = Self::lacking(block) * means.map(|v| v * v).sum::<f64>();
        block.energy - inside - lacking <= IN_SPAN * block.energy
    }

    /// One matrix step. False, and nothing has changed, if the exact answer is called for.
    fn matrix_step(&mut self, block: &Block<f32>) -> Result<bool, LinalgError> {
        let (h, b, n) = (self.held, block.rows(), block.total());
        // K = H + PᵀP/N + what the shift took, h×h.
        let lacking = Self::lacking(block) / n;
        let work = &mut self.work;
        let p = MatRef::from_column_major_slice(&work.scores[..b * h], b, h);
        work.small.resize(h * h, 0.0);
        let mut small = MatMut::from_column_major_slice_mut(&mut work.small, h, h);
        matmul(
            small.as_mut(),
            Accum::Replace,
            p.transpose(),
            p,
            (1.0 / n) as f32,
            Par::Seq,
        );
        let mut k = work.k.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                let shifted = lacking * work.column[i] * work.column[j];
                k[(i, j)] = work.history.0[(i, j)] + f64::from(small[(i, j)]) + shifted;
            }
        }
        let top = self.components.min(h);
        let before: f64 = (0..top).map(|i| k[(i, i)]).sum();
        // M = ZZᵀ, h×h.
        let z = rows_of(&self.next, h, self.features);
        matmul(
            small.as_mut(),
            Accum::Replace,
            z,
            z.transpose(),
            1.0,
            Par::Seq,
        );
        let mut moment = work.moment.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                moment[(i, j)] = f64::from(small[(i, j)]);
            }
        }
        let (k, moment) = (work.k.0.as_mut(), work.moment.0.as_mut());
        if work.scratch.cholesky(k).is_err() || work.scratch.cholesky(moment).is_err() {
            return Ok(false);
        }
        // K = LLᵀ, M = SSᵀ: U⁺ = S⁻¹Z and U⁺(ZᵀK⁻¹Z)U⁺ᵀ = (L⁻¹S)ᵀ(L⁻¹S).
        let mut quotient = work.stacked.sized(h, h);
        quotient.copy_from(work.moment.0.as_ref());
        solve_lower_triangular_in_place(work.k.0.as_ref(), quotient.as_mut(), Par::Seq);
        let quotient = quotient.as_ref();
        let after: f64 = (0..top)
            .map(|i| quotient.col(i).iter().map(|v| v * v).sum::<f64>())
            .sum();
        if !(after - before).is_finite() {
            return Err(LinalgError::NoConvergence);
        }
        if (after - before) * n > STEP_GAIN * block.energy {
            return Ok(false);
        }
        let mut core = self.core.as_mut().submatrix_mut(0, 0, h, h);
        matmul(
            core.as_mut(),
            Accum::Replace,
            quotient.transpose(),
            quotient,
            1.0,
            Par::Seq,
        );
        self.orthonormalize_next();
        self.steps_since_rotation += 1;
        Ok(true)
    }

    /// Z = HU + PᵀY/N for the held rows and PᵀY/N for the probes, in `next`.
    fn accumulate_products(&mut self, block: &Block<f32>) {
        let (h, q, m) = (self.held, self.rows_in_use(), self.features);
        let (b, n) = (block.rows(), block.total());
        let work = &mut self.work;
        let p = MatRef::from_column_major_slice(&work.scores[..b * q], b, q);
        let mut z = MatMut::from_row_major_slice_mut(&mut self.next[..q * m], q, m);
        // q×m
        matmul(
            z.as_mut(),
            Accum::Replace,
            p.transpose(),
            block.as_mat(),
            (1.0 / n) as f32,
            Par::Seq,
        );
        work.rotation.resize(h * h, 0.0);
        to_f32(work.history.0.as_ref(), &mut work.rotation);
        let history = MatRef::from_column_major_slice(&work.rotation[..h * h], h, h);
        let mut z = MatMut::from_row_major_slice_mut(&mut self.next[..h * m], h, m);
        let u = rows_of(&self.weights, h, m);
        matmul(z.as_mut(), Accum::Add, history, u, 1.0, Par::Seq);
    }

    /// U ← S⁻¹Z with S in `work.moment`.
    fn orthonormalize_next(&mut self) {
        let (h, m) = (self.held, self.features);
        let work = &mut self.work;
        let mut inverse = work.stacked.sized(h, h);
        inverse.fill(0.0);
        inverse.as_mut().diagonal_mut().fill(1.0);
        solve_lower_triangular_in_place(work.moment.0.as_ref(), inverse.as_mut(), Par::Seq);
        work.rotation.resize(h * h, 0.0);
        to_f32(work.stacked.0.as_ref(), &mut work.rotation);
        let inverse = MatRef::from_column_major_slice(&work.rotation[..h * h], h, h);
        let z = rows_of(&self.next, h, m);
        let mut u = MatMut::from_row_major_slice_mut(&mut self.weights[..h * m], h, m);
        matmul(u.as_mut(), Accum::Replace, inverse, z, 1.0, Par::Seq);
    }

    /// Rotates U to the eigenvectors of the core, descending.
    pub(super) fn rotate(&mut self) -> Result<(), LinalgError> {
        let (h, m) = (self.held, self.features);
        self.steps_since_rotation = 0;
        if h == 0 {
            return Ok(());
        }
        let core = self.core.as_ref().submatrix(0, 0, h, h);
        let work = &mut self.work;
        work.scratch.eigen(core, &mut work.spectrum)?;
        self.core.as_mut().submatrix_mut(0, 0, h, h).fill(0.0);
        for (i, value) in work.spectrum.values.iter().enumerate() {
            self.core[(i, i)] = *value;
        }
        work.rotation.resize(h * h, 0.0);
        to_f32(work.spectrum.vectors.as_ref(), &mut work.rotation);
        let q = MatRef::from_column_major_slice(&work.rotation[..h * h], h, h);
        let u = rows_of(&self.weights, h, m);
        let mut rotated = MatMut::from_row_major_slice_mut(&mut self.next[..h * m], h, m);
        matmul(
            rotated.as_mut(),
            Accum::Replace,
            q.transpose(),
            u,
            1.0,
            Par::Seq,
        );
        self.weights[..h * m].copy_from_slice(&self.next[..h * m]);
        Ok(())
    }
}

/// `rows`×m view of row-major storage.
pub(super) fn rows_of(values: &[f32], rows: usize, features: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(&values[..rows * features], rows, features)
}

/// Column-major copy.
pub(super) fn to_f32(from: MatRef<'_, f64>, into: &mut [f32]) {
    let n = from.nrows();
    for (j, col) in into
        .chunks_exact_mut(n.max(1))
        .take(from.ncols())
        .enumerate()
    {
        for (i, v) in col.iter_mut().enumerate() {
            *v = from[(i, j)] as f32;
        }
    }
}

fn trace(a: MatRef<'_, f64>) -> f64 {
    (0..a.nrows()).map(|i| a[(i, i)]).sum()
}
