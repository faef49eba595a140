//! The closed form's matrix step: one product with the rows and back, for ever.
//!
//! Z = A·Uᵀ, K = UZ, and the Nyström form ZᵀK⁻¹Z is the preconditioned Oja step
//! W ← CW(WᵀCW)⁻¹ with its eigenvalues. What the k leading directions gain by it tells how far U
//! was from the answer: a little, and the step has arrived; more, and a second one from there
//! arrives; much, and the exact answer is asked for ([`super::exact`]).

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, MatMut, MatRef, Par};

use crate::learner::block::Block;
use crate::learner::subspace::{Subspace, Work, project, round, rows_of, squared_length};
use crate::learner::width::Width;
use crate::linalg::LinalgError;

/// A matrix step whose gain in the k leading directions is above this share of the block's energy
/// has not come far enough. At 2e-4 all data sets of the accuracy bench stay within a few percent
/// of always-exact; at 1e-3 one component of a thousand features is 17% worse, a drift 30%.
const STEP_GAIN: f64 = 2e-4;

/// The energy that [`STEP_GAIN`] is a share of is at most so many times what the block would have if it
/// had no more in each of the k leading directions than in the least of them: one that dwarfs the others
/// must not make their gains look small.
const MOST_ENERGY: f64 = 4.0;

/// Times the least of the k leading variances from which on one is large beside it: what f32 loses of the
/// sum of its row's squares, 1e-7 of it and more, would be seen in the gain.
const DWARFS: f64 = 16.0;

/// A gain up to so many times that leaves to a second step what the first one missed; beyond it the
/// exact answer is looked for at once.
const SECOND_STEP: f64 = 16.0;

/// Share of what the k leading directions hold that a gain must exceed to be one: the sums that it
/// is the difference of come from f32 products, and a late block's energy is as small as their
/// rounding.
const ROUNDING: f64 = 1e-7;

/// f64 products are there because one direction dwarfs the others, whose gain is then a small share
/// of any energy: it counts as a share of what the direction itself holds. So much of it, a wanted
/// direction and a block's share of all rows, has not come far enough; [`STEP_GAIN`] is about that
/// where noise holds most of the energy.
const RELATIVE_STEP_GAIN: f64 = 1e-3;

/// What a solved step tells: what the k leading directions held before it, and gained by it. In f64
/// the logarithms of the volumes (determinants) stand for the sums.
struct Solved {
    before: f64,
    gain: f64,
    /// The block's energy that the gain is measured by.
    energy: f64,
}

/// Earlier rows must weigh this many blocks before a matrix step is tried at all.
const STEP_MINIBATCHES: f64 = 8.0;

impl<T: Width> Subspace<T> {
    /// ỸWᵀ's second moment is PᵀP and this times p̄p̄ᵀ: (e − e²)·b.
    fn lacking(block: &Block<T>) -> f64 {
        let e = block.taken();
        (e - e * e) * block.rows() as f64
    }

    /// H = kept·D − noise·I, and with G = UUᵀ, of which only the diagonal is not quite 1, what a
    /// step makes of the history: K = GHG and the coefficients GH of U in Z.
    pub(super) fn set_history(&mut self, kept: f64, noise: f64) {
        let (h, g) = (self.held, &self.lengths);
        let (core, work) = (self.core.as_ref(), &mut self.work);
        let mut history = work.history.sized(h, h);
        let mut coefficients = work.coefficients.sized(h, h);
        let mut k = work.k.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                let v = kept * core[(i, j)] - if i == j { noise } else { 0.0 };
                history[(i, j)] = v;
                coefficients[(i, j)] = g[i] * v;
                k[(i, j)] = g[i] * v * g[j];
            }
        }
    }

    /// Whether enough went before, and whether U could hold what the block brings.
    pub(super) fn may_step(&self, block: &Block<T>) -> bool {
        if self.held == 0 || block.earlier < STEP_MINIBATCHES * block.weight {
            return false;
        }
        if self.is_full() {
            return true;
        }
        let b = block.rows();
        let inside: f64 = self.work.scores[..b * self.held]
            .iter()
            .map(|v| v.wide() * v.wide())
            .sum();
        let means = self.work.column[..self.held].iter();
        let lacking = Self::lacking(block) * means.map(|v| v * v).sum::<f64>();
        block.energy - inside - lacking <= T::IN_SPAN * block.energy
    }

    /// One matrix step, or two. False, and U and D have not changed, if the exact answer is called
    /// for; `scores` are then U's again.
    pub(super) fn matrix_step(&mut self, block: &Block<T>) -> Result<bool, LinalgError> {
        let h = self.held;
        let wanted = self.components.min(h) as f64;
        let far = |solved: &Solved, steps: f64| {
            if T::GAIN_IS_RELATIVE {
                let most = steps * RELATIVE_STEP_GAIN * wanted * block.weight;
                (solved.gain - T::PRECISION) * block.total() > most
            } else {
                let missed = solved.gain - ROUNDING * solved.before;
                missed * block.total() > steps * STEP_GAIN * solved.energy
            }
        };
        let Some(solved) = self.solve_step(block)? else {
            return Ok(false);
        };
        if far(&solved, 1.0) {
            if far(&solved, SECOND_STEP) {
                return Ok(false);
            }
            self.step_again(block);
            match self.solve_step(block)? {
                Some(solved) if !far(&solved, 1.0) => {}
                _ => {
                    self.project(block);
                    return Ok(false);
                }
            }
        }
        let quotient = self.work.quotient.0.as_ref();
        let mut core = self.core.as_mut().submatrix_mut(0, 0, h, h);
        matmul(
            core.as_mut(),
            Accum::Replace,
            quotient.transpose(),
            quotient,
            1.0,
            Par::Seq,
        );
        orthonormalize(&self.next, &mut self.weights, self.features, &mut self.work);
        self.measure();
        self.steps_since_rotation += 1;
        Ok(true)
    }

    /// With Z in `next`, its basis's history in `work.k` and its scores in `work.scores`: factors
    /// K = LLᵀ and ZZᵀ = SSᵀ, L⁻¹S in `work.quotient`. Returns what the k leading directions gain
    /// by the step; nothing where K is not positive definite.
    fn solve_step(&mut self, block: &Block<T>) -> Result<Option<Solved>, LinalgError> {
        let (h, b, n) = (self.held, block.rows(), block.total());
        // K = H + PᵀP/N + what the shift took, h×h.
        let lacking = Self::lacking(block) / n;
        let work = &mut self.work;
        let p = MatRef::from_column_major_slice(&work.scores[..b * h], b, h);
        work.small.resize(h * h, T::of(0.0));
        let mut small = MatMut::from_column_major_slice_mut(&mut work.small, h, h);
        matmul(
            small.as_mut(),
            Accum::Replace,
            p.transpose(),
            p,
            T::of(1.0 / n),
            Par::Seq,
        );
        let top = self.components.min(h);
        let shifted = |i: usize, j: usize| lacking * work.column[i] * work.column[j];
        let inside = |i: usize| small[(i, i)].wide() + shifted(i, i);
        let least = (0..top).map(inside).fold(f64::MAX, f64::min);
        let excess: f64 = (0..top).map(|i| inside(i) - least).sum();
        let energy = (MOST_ENERGY * (block.energy - n * excess)).clamp(0.0, block.energy);
        let k = &mut work.k.0;
        for j in 0..h {
            for i in 0..h {
                k[(i, j)] += small[(i, j)].wide() + shifted(i, j);
            }
        }
        let before: f64 = (0..top).map(|i| k[(i, i)]).sum();
        // M = ZZᵀ, h×h.
        let z = rows_of(&self.next, h, self.features);
        matmul(
            small.as_mut(),
            Accum::Replace,
            z,
            z.transpose(),
            T::of(1.0),
            Par::Seq,
        );
        let mut moment = work.moment.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                moment[(i, j)] = small[(i, j)].wide();
            }
        }
        // In f32 the squares of a row's small entries drown in that of one large entry.
        let least = (0..top).map(|i| work.k.0[(i, i)]).fold(f64::MAX, f64::min);
        let dwarfs = (0..top).filter(|&i| work.k.0[(i, i)] > DWARFS * least);
        for i in dwarfs.filter(|_| !T::GAIN_IS_RELATIVE) {
            let row = &self.next[i * self.features..(i + 1) * self.features];
            moment[(i, i)] = pulp::Arch::new().dispatch(|| squared_length(row));
        }
        let (k, moment) = (work.k.0.as_mut(), work.moment.0.as_mut());
        if work.scratch.cholesky(k).is_err() || work.scratch.cholesky(moment).is_err() {
            return Ok(None);
        }
        // U⁺ = S⁻¹Z and U⁺(ZᵀK⁻¹Z)U⁺ᵀ = (L⁻¹S)ᵀ(L⁻¹S).
        let mut quotient = work.quotient.sized(h, h);
        quotient.copy_from(work.moment.0.as_ref());
        solve_lower_triangular_in_place(work.k.0.as_ref(), quotient.as_mut(), Par::Seq);
        let (before, after) = if T::GAIN_IS_RELATIVE {
            let before = log_volume(work.k.0.as_ref(), top);
            let leading = work.quotient.0.as_ref().subcols(0, top);
            let mut volume = work.stacked.sized(top, top);
            matmul(
                volume.as_mut(),
                Accum::Replace,
                leading.transpose(),
                leading,
                1.0,
                Par::Seq,
            );
            if work.scratch.cholesky(volume).is_err() {
                return Ok(None);
            }
            (before, log_volume(work.stacked.0.as_ref(), top))
        } else {
            let columns = (0..top).map(|i| quotient.as_ref().col(i));
            let after = columns.map(|col| col.iter().map(|v| v * v).sum::<f64>());
            (before, after.sum())
        };
        let gain = after - before;
        if gain.is_finite() {
            Ok(Some(Solved {
                before,
                gain,
                energy,
            }))
        } else {
            Err(LinalgError::NoConvergence)
        }
    }

    /// After a solved step: `next`, `work.k` and the scores, as the same step from U⁺ needs them.
    ///
    /// U⁺ = S⁻¹Z and U⁺Uᵀ = S⁻¹K, so that the history costs nothing of order m but one product:
    /// Z⁺ = (S⁻¹K·H)U + P⁺ᵀY/N, K⁺ = S⁻¹K·H·(S⁻¹K)ᵀ + P⁺ᵀP⁺/N.
    fn step_again(&mut self, block: &Block<T>) {
        let (h, m) = (self.held, self.features);
        let replace = |to: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>| {
            matmul(to, Accum::Replace, a, b, 1.0, Par::Seq);
        };
        let work = &mut self.work;
        // S⁻¹K = (S⁻¹L)Lᵀ.
        let factor = work.k.0.as_ref();
        let mut left = work.stacked.sized(h, h);
        left.copy_from(factor);
        solve_lower_triangular_in_place(work.moment.0.as_ref(), left.as_mut(), Par::Seq);
        replace(work.turned.sized(h, h), left.as_ref(), factor.transpose());
        let turned = work.turned.0.as_ref();
        let coefficients = work.coefficients.sized(h, h);
        replace(coefficients, turned, work.history.0.as_ref());
        let coefficients = work.coefficients.0.as_ref();
        replace(work.k.0.as_mut(), coefficients, turned.transpose());
        orthonormalize(&self.next, &mut self.between, m, work);
        project(rows_of(&self.between, h, m), block, work);
        self.accumulate(block, h);
    }

    /// Z = PᵀY/N for `rows` rows of P, and for the held ones `work.coefficients`·U beside it, in
    /// `next`.
    pub(super) fn accumulate(&mut self, block: &Block<T>, rows: usize) {
        let (h, q, m) = (self.held, rows, self.features);
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
            T::of(1.0 / n),
            Par::Seq,
        );
        work.rotation.resize(h * h, T::of(0.0));
        round(work.coefficients.0.as_ref(), &mut work.rotation);
        let coefficients = MatRef::from_column_major_slice(&work.rotation[..h * h], h, h);
        let mut z = MatMut::from_row_major_slice_mut(&mut self.next[..h * m], h, m);
        let u = rows_of(&self.weights, h, m);
        matmul(
            z.as_mut(),
            Accum::Add,
            coefficients,
            u,
            T::of(1.0),
            Par::Seq,
        );
    }
}

/// ln det of the leading `n`×`n` part of LLᵀ.
fn log_volume(factor: MatRef<'_, f64>, n: usize) -> f64 {
    (0..n).map(|i| 2.0 * factor[(i, i)].ln()).sum()
}

/// `into` ← S⁻¹Z with S in `work.moment`.
fn orthonormalize<T: Width>(z: &[T], into: &mut [T], m: usize, work: &mut Work<T>) {
    let h = work.moment.0.nrows();
    let mut inverse = work.stacked.sized(h, h);
    inverse.fill(0.0);
    inverse.as_mut().diagonal_mut().fill(1.0);
    solve_lower_triangular_in_place(work.moment.0.as_ref(), inverse.as_mut(), Par::Seq);
    work.rotation.resize(h * h, T::of(0.0));
    round(work.stacked.0.as_ref(), &mut work.rotation);
    let inverse = MatRef::from_column_major_slice(&work.rotation[..h * h], h, h);
    let mut u = MatMut::from_row_major_slice_mut(&mut into[..h * m], h, m);
    matmul(
        u.as_mut(),
        Accum::Replace,
        inverse,
        rows_of(z, h, m),
        T::of(1.0),
        Par::Seq,
    );
}
