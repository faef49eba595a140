//! The closed form's exact step: eigenvectors of the Gram matrix of all factor rows.
//!
//! With H = V diag(e) Vᵀ the rows √e·VᵀU and Ỹ/√N are a factor of A; their (h+b)×(h+b) Gram matrix
//! has A's eigenvalues, and its vectors say how the rows combine into A's. It costs m·b² +
//! O((h+b)³) and is used for the first minibatches and for drifts.

use faer::linalg::matmul::{matmul, triangular};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::learner::block::Block;
use crate::learner::engine::CovarianceTotals;
use crate::learner::low_rank::probes::Found;
use crate::learner::low_rank::scores::{Scores, rows_of, rows_of_mut};
use crate::learner::low_rank::{Buffers, LowRank};
use crate::learner::product_float::ProductFloat;
use crate::linalg::{LinalgError, Spectrum, product};

/// A row that should have unit length but is off by more than this is rounding noise that got past
/// an overestimated eigenvalue.
const UNIT_TOLERANCE: f64 = 0.5;

/// Variance that probes may see in the held directions, relative to that of a direction outside.
/// Directions that turn slowly stay far below this; a sudden one with 10⁸ times the noise is far
/// above.
const LEAK: f64 = 1e3;

/// √e·VᵀU and Ỹ/√N as factors of A: their Gram matrix, (h+b)×(h+b), with H = V diag(e) Vᵀ.
struct Factors {
    /// Eigenvectors of H, V, h×h.
    rotation: Mat<f64>,
    /// Roots of its eigenvalues, √e₊, length h.
    roots: Vec<f64>,
    /// Gram matrix of the factor rows, (h+b)×(h+b).
    gram: Mat<f64>,
}

impl Factors {
    /// Of the history H (`spectrum`), the block's `scores` in U and the block itself.
    fn new<T: ProductFloat>(spectrum: Spectrum, scores: &Scores<T>, block: &Block<T>) -> Self {
        // H = kept·D − σ²I is negative along directions that hold less than the tail.
        let roots: Vec<f64> = spectrum.values.iter().map(|e| e.max(0.0).sqrt()).collect();
        let rotation = spectrum.vectors;
        let (h, b, n) = (roots.len(), block.rows(), block.total());
        // One triangle is enough, at half the cost of the only product of order b²·m.
        let mut rows = vec![T::of(0.0); b * b];
        let mut rows = MatMut::from_column_major_slice_mut(&mut rows, b, b);
        let y = block.as_mat();
        // b×b
        triangular::matmul(
            rows.as_mut(),
            triangular::BlockStructure::TriangularLower,
            Accum::Replace,
            y,
            triangular::BlockStructure::Rectangular,
            y.transpose(),
            triangular::BlockStructure::Rectangular,
            T::of(1.0),
            Par::Seq,
        );
        // yᵢ·ȳ is the mean of row i; ȳ·ȳ the mean of those.
        let mut with_mean = vec![0.0_f64; b];
        if block.mean_shrinkage > 0.0 {
            for j in 0..b {
                for i in j..b {
                    let v = rows[(i, j)].wide() / b as f64;
                    with_mean[i] += v;
                    if i != j {
                        with_mean[j] += v;
                    }
                }
            }
        }
        let mean_square = with_mean.iter().sum::<f64>() / b as f64;
        let c = block.mean_shrinkage;
        let p = scores.leading(h);
        // ỸUᵀ = P + (e − c)p̄.
        let back = block.removed_share() - block.mean_shrinkage;
        let p = Mat::<f64>::from_fn(b, h, |i, j| {
            (p[(i, j)].wide() + back * scores.means[j]) / n.sqrt()
        });
        let cross = product(&p, &rotation); // b×h
        let mut gram = Mat::zeros(h + b, h + b);
        for j in 0..h {
            gram[(j, j)] = roots[j] * roots[j];
            for i in 0..b {
                let v = cross[(i, j)] * roots[j];
                gram[(h + i, j)] = v;
                gram[(j, h + i)] = v;
            }
        }
        for j in 0..b {
            for i in j..b {
                let v =
                    rows[(i, j)].wide() - c * (with_mean[i] + with_mean[j]) + c * c * mean_square;
                gram[(h + i, h + j)] = v / n;
                gram[(h + j, h + i)] = v / n;
            }
        }
        Self {
            rotation,
            roots,
            gram,
        }
    }
}

impl<T: ProductFloat> LowRank<T> {
    /// Makes the best rank-r part of UᵀHU + ỸᵀỸ/N the state, from the block's scores in U and H (h×h).
    pub(super) fn exact(
        &mut self,
        scores: &Scores<T>,
        history: MatRef<'_, f64>,
        block: &Block<T>,
    ) -> Result<(), LinalgError> {
        let (h, b, n) = (self.rank, block.rows(), block.total());
        let scratch = &mut self.buffers.scratch;
        let mut of_history = Spectrum::default();
        if h > 0 {
            scratch.eigen(history, &mut of_history)?;
        }
        let factors = Factors::new(of_history, scores, block);
        let mut spectrum = Spectrum::default();
        scratch.leading(factors.gram.as_ref(), h, self.max_rank, &mut spectrum)?;
        let Spectrum { values, vectors } = spectrum;
        let top = values.first().copied().unwrap_or(0.0);
        let found = values
            .iter()
            .take(self.max_rank)
            .take_while(|value| **value > T::PRECISION * top && **value > 0.0)
            .count();
        // T (found × (h+b)): the combination of U's rows and of Y's.
        let scaled = Mat::<f64>::from_fn(h, found, |j, i| {
            vectors[(j, i)] * factors.roots[j] / values[i].sqrt()
        });
        let of_history = product(&factors.rotation, &scaled); // h×found
        let of_rows = Mat::<T>::from_fn(b, found, |j, i| {
            T::of(vectors[(h + j, i)] / (n * values[i]).sqrt())
        });
        self.combine_rows(block, of_history.as_ref(), &of_rows);
        self.become_next(&values[..found])
    }

    /// next ← TₕᵀU + Tᵦᵀ(Y − c·1ȳᵀ), found×m, for Tₕ (h×found) and Tᵦ (b×found).
    fn combine_rows(&mut self, block: &Block<T>, of_history: MatRef<'_, f64>, of_rows: &Mat<T>) {
        let (h, m, found) = (self.rank, self.features, of_rows.ncols());
        matmul(
            rows_of_mut(&mut self.next, found, m),
            Accum::Replace,
            of_rows.transpose(),
            block.as_mat(),
            T::of(1.0),
            Par::Seq,
        );
        if h > 0 {
            matmul(
                rows_of_mut(&mut self.next, found, m),
                Accum::Add,
                self.buffers.rounded.of(of_history).transpose(),
                rows_of(&self.weights, h, m),
                T::of(1.0),
                Par::Seq,
            );
        }
        if block.mean_shrinkage > 0.0 {
            for (i, row) in self.next[..found * m].chunks_exact_mut(m).enumerate() {
                let sum: f64 = of_rows.col(i).iter().map(|v| v.wide()).sum();
                let share = T::of(block.mean_shrinkage * sum);
                for (v, y) in row.iter_mut().zip(&block.mean) {
                    *v = *v - share * T::of(*y);
                }
            }
        }
    }

    /// Orthonormalizes the rows in `next` and makes them the held directions, with the covariance
    /// nextᵀ·diag(`values`)·next; one for each value, except those that are rounding noise.
    fn become_next(&mut self, values: &[f64]) -> Result<(), LinalgError> {
        let m = self.features;
        let next = rows_of(&self.next, values.len(), m);
        let gram = product(next, next.transpose());
        let sound = (0..values.len())
            .take_while(|&i| (gram[(i, i)].wide() - 1.0).abs() < UNIT_TOLERANCE)
            .count();
        self.rank = sound;
        self.steps_since_rotation = 0;
        let mut factor = Mat::<f64>::from_fn(sound, sound, |i, j| gram[(i, j)].wide());
        self.buffers.scratch.cholesky(factor.as_mut())?;
        // U⁺ = S⁻¹·next; the core Sᵀ diag(e) S keeps the covariance that `next` stood for.
        let scaled = Mat::<f64>::from_fn(sound, sound, |i, j| factor[(i, j)] * values[i].sqrt());
        let core = product(scaled.transpose(), &scaled);
        self.core
            .as_mut()
            .submatrix_mut(0, 0, sound, sound)
            .copy_from(&core);
        let mut inverse = Mat::<f64>::identity(sound, sound);
        solve_lower_triangular_in_place(factor.as_ref(), inverse.as_mut(), Par::Seq);
        matmul(
            rows_of_mut(&mut self.weights, sound, m),
            Accum::Replace,
            self.buffers.rounded.of(inverse.as_ref()),
            rows_of(&self.next, sound, m),
            T::of(1.0),
            Par::Seq,
        );
        Ok(())
    }

    /// True if the probes, which were orthogonal to the held directions when their epoch began, now
    /// see so much variance in the held directions that leakage from these would pass for a
    /// discovery: a direction that outweighs all others has appeared.
    pub(super) fn probes_leak(&self, noise: f64) -> bool {
        let (h, m, c) = (self.rank, self.features, self.probes.count());
        let (basis, rest) = self.weights.split_at(h * m);
        let inside = product(
            rows_of(&rest[..c * m], c, m),
            rows_of(basis, h, m).transpose(),
        );
        let inside = inside.as_ref();
        let seen = |i: usize| (0..h).map(move |j| (j, inside[(i, j)].wide()));
        (0..c).any(|i| {
            let variance: f64 = seen(i).map(|(j, v)| v * v * self.core[(j, j)]).sum();
            variance > LEAK * noise
        })
    }

    /// Starts the probes, and at the end of an epoch absorbs what they found.
    pub(super) fn update_probes(&mut self, totals: CovarianceTotals) -> Result<(), LinalgError> {
        if self.probes.are_active() && !self.probes.have_finished() || self.probes.count() == 0 {
            return Ok(());
        }
        if self.probes.are_active() {
            self.absorb(totals)?;
        }
        let (h, m, c) = (self.rank, self.features, self.probes.count());
        let (basis, rest) = self.weights.split_at_mut(h * m);
        self.probes
            .start(rows_of(basis, h, m), &mut rest[..c * m], totals.weight);
        Ok(())
    }

    /// Replaces the weakest held directions by what the probes gathered, if that outweighs them.
    pub(super) fn absorb(&mut self, totals: CovarianceTotals) -> Result<(), LinalgError> {
        let (h, m, c) = (self.rank, self.features, self.probes.count());
        if !self.probes.are_active() || h == 0 {
            return Ok(());
        }
        // Sorted first, so that the weakest directions are the last.
        self.rotate()?;
        let (basis, rest) = self.weights.split_at_mut(h * m);
        let found = self.probes.extract(rows_of(basis, h, m), &rest[..c * m])?;
        self.replace_weakest(&found, totals);
        Ok(())
    }

    /// Replaces the weakest held directions, sorted, by those found that outweigh them; true if any was.
    pub(super) fn replace_weakest(&mut self, found: &Found<T>, totals: CovarianceTotals) -> bool {
        let (h, m) = (self.rank, self.features);
        let sum: f64 = (0..h).map(|i| self.core[(i, i)]).sum();
        let outside = totals.active.saturating_sub(h).max(1) as f64;
        let noise = (totals.total - sum).max(0.0) / outside;
        let share = found.weight / totals.weight;
        let mut has_replaced = false;
        // Weakest last: the i-th found replaces the i-th weakest while it outweighs it.
        for (i, variance) in found.variances.iter().enumerate().take(h) {
            let at = h - 1 - i;
            let gained = (variance - noise) * share * found.shares[i];
            if gained <= self.core[(at, at)] - noise {
                break;
            }
            self.core[(at, at)] = gained + noise;
            self.weights[at * m..(at + 1) * m].copy_from_slice(&found.vectors[i * m..(i + 1) * m]);
            has_replaced = true;
        }
        self.measure();
        has_replaced
    }

    /// Replaces the weakest held directions by what is new in recent rows.
    pub(super) fn absorb_recent(&mut self, totals: CovarianceTotals) -> Result<bool, LinalgError> {
        self.rotate()?;
        let basis = rows_of(&self.weights, self.rank, self.features);
        let found = self.recent.found(basis)?;
        Ok(found.is_some_and(|found| self.replace_weakest(&found, totals)))
    }

    /// Follows a change of units: with D = diag(`ratios`), the covariance becomes DCD.
    ///
    /// U·D is orthonormalized again and the core absorbs the rest, so nothing is lost.
    pub(super) fn rescale_state(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        let (h, m) = (self.rank, self.features);
        self.recent.rescale(ratios)?;
        for row in self.weights[..h * m].chunks_exact_mut(m) {
            for (v, ratio) in row.iter_mut().zip(ratios) {
                *v = T::of(v.wide() * ratio);
            }
        }
        if self.probes.are_active() {
            let c = self.probes.count();
            self.probes
                .rescale(&mut self.weights[h * m..(h + c) * m], ratios);
        }
        if h == 0 {
            return Ok(());
        }
        let u = rows_of(&self.weights, h, m);
        let gram = product(u, u.transpose());
        let gram = Mat::<f64>::from_fn(h, h, |i, j| gram[(i, j)].wide());
        let Buffers {
            scratch,
            spectrum,
            rounded,
            ..
        } = &mut self.buffers;
        scratch.eigen(gram.as_ref(), spectrum)?;
        // Gram = QΛQᵀ: U⁺ = Λ^(−1/2)QᵀUD and core⁺ = Λ^(1/2)Qᵀ·core·QΛ^(1/2).
        let (q, values) = (&spectrum.vectors, &spectrum.values);
        // A direction that the new units make shorter than this has lost its digits; without the
        // floor, its noise would be blown up to unit length.
        let floor = 1e-12 * values[0];
        let root = |i: usize| values[i].max(floor).sqrt();
        let forward = Mat::<f64>::from_fn(h, h, |i, j| q[(i, j)] * root(j));
        let core = self.core.as_ref().submatrix(0, 0, h, h);
        let core = product(product(forward.transpose(), core), &forward);
        let back = Mat::<f64>::from_fn(h, h, |i, j| q[(i, j)] / root(j));
        self.core
            .as_mut()
            .submatrix_mut(0, 0, h, h)
            .copy_from(&core);
        matmul(
            rows_of_mut(&mut self.next, h, m),
            Accum::Replace,
            rounded.of(back.as_ref()).transpose(),
            u,
            T::of(1.0),
            Par::Seq,
        );
        self.weights[..h * m].copy_from_slice(&self.next[..h * m]);
        // Sorted again, for the step's leading sums; round-off of f32 goes with it.
        self.rotate()
    }
}
