//! The closed form's matrix step: one product with the rows and back, used from then on.
//!
//! Z = A·Uᵀ, K = UZ, and the Nyström form ZᵀK⁻¹Z is the preconditioned Oja step W ← CW(WᵀCW)⁻¹ with
//! its eigenvalues. The gain of the k leading directions tells how far U was from the answer: if it
//! is small, one step suffices; if larger, a second step does; if large, the exact answer is
//! computed ([`super::exact`]).

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, MatMut, MatRef, Par};

use crate::learner::block::Block;
use crate::learner::low_rank::LowRank;
use crate::learner::low_rank::scores::{
    History, Mat64, Remembered, Rounded, Scores, rows_of, rows_of_mut, squared_length,
};
use crate::learner::product_float::ProductFloat;
use crate::linalg::{LinalgError, Scratch};

/// A matrix step whose gain in the k leading directions exceeds this share of the block's squared
/// norm has not gone far enough. At 2e-4 all data sets of the accuracy bench stay within a few
/// percent of always-exact; at 1e-3 one component of a thousand features is 17% worse, a drift 30%.
const STEP_GAIN: f64 = 2e-4;

/// Cap on the squared norm that [`STEP_GAIN`] refers to, as a multiple of what the block would have
/// if each of the k leading directions held no more than the smallest of them: one that dwarfs the
/// others must not make their gains look small.
const MOST_SQUARED_NORM: f64 = 4.0;

/// Multiple of the smallest of the k leading variances above which another one dwarfs it: what f32
/// loses of that one's sum of squares, 1e-7 of it or more, would show in the gain.
const DWARFS: f64 = 16.0;

/// Up to this multiple of the allowed gain a second step catches what the first one missed; beyond
/// it the exact answer is computed at once.
const SECOND_STEP: f64 = 16.0;

/// Share of what the k leading directions hold that a gain must exceed to be significant: it is a
/// difference of sums that come from f32 products, and a late block's squared norm is as small as
/// their rounding.
const ROUNDING: f64 = 1e-7;

/// f64 products are used when one direction dwarfs the others, whose gain is then a small share of
/// any squared norm, so here the gain is relative to what the direction itself holds. A gain above
/// this share, per wanted direction and per block's share of all rows, has not gone far enough;
/// [`STEP_GAIN`] amounts to about the same where noise holds most of the squared norm.
const RELATIVE_STEP_GAIN: f64 = 1e-3;

/// The earlier rows must weigh as much as this many blocks before a matrix step is tried.
const STEP_MINIBATCHES: f64 = 8.0;

/// Progress of a solved step: what the k leading directions held before it, and gained by it. In
/// f64 the logarithms of the volumes (determinants) replace the sums.
struct Progress {
    before: f64,
    gain: f64,
    /// The block's squared norm that the gain is compared with.
    squared_norm: f64,
}

impl Progress {
    /// True if the step gained so much that `steps` further ones would not suffice.
    fn is_far<T: ProductFloat>(&self, block: &Block<T>, wanted: usize, steps: f64) -> bool {
        if T::GAIN_IS_RELATIVE {
            let most = steps * RELATIVE_STEP_GAIN * wanted as f64 * block.weight;
            (self.gain - T::PRECISION) * block.total() > most
        } else {
            let missed = self.gain - ROUNDING * self.before;
            missed * block.total() > steps * STEP_GAIN * self.squared_norm
        }
    }
}

/// The factors of a step, in storage that the next step reuses: K = LLᵀ and ZZᵀ = SSᵀ, h×h.
#[derive(Clone, Default)]
pub(super) struct StepFactors<T> {
    /// Factor L of K.
    k: Mat64,
    /// Factor S of ZZᵀ.
    moment: Mat64,
    /// L⁻¹S, whose columns hold what each direction gains.
    quotient: Mat64,
    /// The new basis expressed in the old one, U⁺Uᵀ = S⁻¹K.
    turned: Mat64,
    /// PᵀP/N, then ZZᵀ, in the width of the products.
    narrow: Vec<T>,
    /// Room for one more h×h matrix.
    square: Mat64,
    rounded: Rounded<T>,
    scratch: Scratch,
}

impl<T: ProductFloat> StepFactors<T> {
    /// Factors the step that leads to `z`, Z (h×m, row-major), from the block's `scores` in the basis that it
    /// began from and the `history`'s part of K.
    ///
    /// Returns the progress of the `top` leading directions; `None` where K is not positive
    /// definite.
    fn solve(
        &mut self,
        z: &[T],
        scores: &Scores<T>,
        history: MatRef<'_, f64>,
        block: &Block<T>,
        top: usize,
    ) -> Result<Option<Progress>, LinalgError> {
        let (h, n) = (history.nrows(), block.total());
        let m = z.len() / h;
        // K = H + PᵀP/N + what the shift took, h×h.
        let shortfall = Scores::shortfall(block) / n;
        let p = scores.leading(h);
        self.narrow.resize(h * h, T::of(0.0));
        let mut small = MatMut::from_column_major_slice_mut(&mut self.narrow, h, h);
        matmul(
            small.as_mut(),
            Accum::Replace,
            p.transpose(),
            p,
            T::of(1.0 / n),
            Par::Seq,
        );
        let shifted = |i: usize, j: usize| shortfall * scores.means[i] * scores.means[j];
        let inside = |i: usize| small[(i, i)].wide() + shifted(i, i);
        let least = (0..top).map(inside).fold(f64::MAX, f64::min);
        let excess: f64 = (0..top).map(|i| inside(i) - least).sum();
        let squared_norm =
            (MOST_SQUARED_NORM * (block.squared_norm - n * excess)).clamp(0.0, block.squared_norm);
        let mut k = self.k.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                k[(i, j)] = history[(i, j)] + (small[(i, j)].wide() + shifted(i, j));
            }
        }
        let before: f64 = (0..top).map(|i| k[(i, i)]).sum();
        // M = ZZᵀ, h×h.
        let rows = rows_of(z, h, m);
        matmul(
            small.as_mut(),
            Accum::Replace,
            rows,
            rows.transpose(),
            T::of(1.0),
            Par::Seq,
        );
        let mut moment = self.moment.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                moment[(i, j)] = small[(i, j)].wide();
            }
        }
        // In f32 the squares of a row's small entries drown in that of one large entry.
        let least = (0..top).map(|i| k[(i, i)]).fold(f64::MAX, f64::min);
        let dwarfs = (0..top).filter(|&i| k[(i, i)] > DWARFS * least);
        for i in dwarfs.filter(|_| !T::GAIN_IS_RELATIVE) {
            let row = &z[i * m..(i + 1) * m];
            moment[(i, i)] = pulp::Arch::new().dispatch(|| squared_length(row));
        }
        // Directions that depend on each other have no inverse; the exact step needs none.
        if self.scratch.cholesky(k).is_err() || self.scratch.cholesky(moment).is_err() {
            return Ok(None);
        }
        // U⁺ = S⁻¹Z and U⁺(ZᵀK⁻¹Z)U⁺ᵀ = (L⁻¹S)ᵀ(L⁻¹S).
        let mut quotient = self.quotient.sized(h, h);
        quotient.copy_from(self.moment.as_ref());
        solve_lower_triangular_in_place(self.k.as_ref(), quotient.as_mut(), Par::Seq);
        let Some((before, after)) = self.leading_sums(top, before) else {
            return Ok(None);
        };
        let gain = after - before;
        if gain.is_finite() {
            Ok(Some(Progress {
                before,
                gain,
                squared_norm,
            }))
        } else {
            Err(LinalgError::NoConvergence)
        }
    }

    /// Sums of the `top` leading directions before the step, where it is `trace`, and after it: as
    /// sums of variances or as logarithms of volumes. Nothing where a volume is not positive.
    fn leading_sums(&mut self, top: usize, trace: f64) -> Option<(f64, f64)> {
        if !T::GAIN_IS_RELATIVE {
            let columns = (0..top).map(|i| self.quotient.col(i));
            let after = columns.map(|col| col.iter().map(|v| v * v).sum::<f64>());
            return Some((trace, after.sum()));
        }
        let before = log_volume(self.k.as_ref(), top);
        let leading = self.quotient.as_ref().subcols(0, top);
        let mut volume = self.square.sized(top, top);
        matmul(
            volume.as_mut(),
            Accum::Replace,
            leading.transpose(),
            leading,
            1.0,
            Par::Seq,
        );
        self.scratch.cholesky(volume).ok()?;
        Some((before, log_volume(self.square.as_ref(), top)))
    }

    /// Writes the history in the form that the step from U⁺ needs to `next`.
    ///
    /// U⁺ = S⁻¹Z and U⁺Uᵀ = S⁻¹K, so that the history costs only one product of order m: Z⁺ =
    /// (S⁻¹K·H)U + P⁺ᵀY/N, K⁺ = S⁻¹K·H·(S⁻¹K)ᵀ + P⁺ᵀP⁺/N.
    fn follow(&mut self, history: MatRef<'_, f64>, next: &mut History) {
        let h = history.nrows();
        let replace = |to: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>| {
            matmul(to, Accum::Replace, a, b, 1.0, Par::Seq);
        };
        // S⁻¹K = (S⁻¹L)Lᵀ.
        let factor = self.k.as_ref();
        let mut left = self.square.sized(h, h);
        left.copy_from(factor);
        solve_lower_triangular_in_place(self.moment.as_ref(), left.as_mut(), Par::Seq);
        replace(self.turned.sized(h, h), left.as_ref(), factor.transpose());
        let turned = self.turned.as_ref();
        replace(next.coefficients.sized(h, h), turned, history);
        replace(
            next.k.sized(h, h),
            next.coefficients.as_ref(),
            turned.transpose(),
        );
    }

    /// `into` ← S⁻¹Z, h×m: orthonormal rows.
    fn orthonormalize(&mut self, z: MatRef<'_, T>, into: &mut [T]) {
        let (h, m) = z.shape();
        let mut inverse = self.square.sized(h, h);
        inverse.fill(0.0);
        inverse.as_mut().diagonal_mut().fill(1.0);
        solve_lower_triangular_in_place(self.moment.as_ref(), inverse.as_mut(), Par::Seq);
        matmul(
            rows_of_mut(into, h, m),
            Accum::Replace,
            self.rounded.of(self.square.as_ref()),
            z,
            T::of(1.0),
            Par::Seq,
        );
    }
}

/// Z = PᵀY/N for the first `rows` directions of P, `rows`×m, and with `coefficients`·U (h×m) added to the
/// first h of them.
pub(super) fn accumulate<T: ProductFloat>(
    z: &mut [T],
    rows: usize,
    scores: &Scores<T>,
    block: &Block<T>,
    coefficients: MatRef<'_, T>,
    u: MatRef<'_, T>,
) {
    let (h, m) = u.shape();
    // rows×m
    matmul(
        rows_of_mut(z, rows, m),
        Accum::Replace,
        scores.leading(rows).transpose(),
        block.as_mat(),
        T::of(1.0 / block.total()),
        Par::Seq,
    );
    matmul(
        rows_of_mut(z, h, m),
        Accum::Add,
        coefficients,
        u,
        T::of(1.0),
        Par::Seq,
    );
}

impl<T: ProductFloat> LowRank<T> {
    /// True if there were enough earlier rows, and U can hold what the block adds.
    pub(super) fn may_step(&self, scores: &Scores<T>, block: &Block<T>) -> bool {
        if self.rank == 0 || block.prior_weight < STEP_MINIBATCHES * block.weight {
            return false;
        }
        if self.is_full() {
            return true;
        }
        let outside = block.squared_norm - self.inside(scores, block);
        outside <= T::IN_SPAN * block.squared_norm
    }

    /// Squared norm of the block's rows within U.
    pub(super) fn inside(&self, scores: &Scores<T>, block: &Block<T>) -> f64 {
        let means = scores.means[..self.rank].iter();
        let missing = Scores::shortfall(block) * means.map(|v| v * v).sum::<f64>();
        scores.squared_norm(self.rank) + missing
    }

    /// One matrix step, or two, from the block's scores in U and from Z in `next`. Returns false,
    /// with U, D and `scores` unchanged, if the exact answer is needed.
    pub(super) fn matrix_step(
        &mut self,
        scores: &mut Scores<T>,
        history: &Remembered,
        block: &Block<T>,
    ) -> Result<bool, LinalgError> {
        let (h, m) = (self.rank, self.features);
        let wanted = self.components.min(h);
        let (weights, next) = (&mut self.weights, &mut self.next);
        let (factors, second) = (&mut self.buffers.factors, &mut self.buffers.second);
        let k = history.from_held.k.as_ref();
        let Some(progress) = factors.solve(&next[..h * m], scores, k, block, wanted)? else {
            return Ok(false);
        };
        if progress.is_far(block, wanted, 1.0) {
            if progress.is_far(block, wanted, SECOND_STEP) {
                return Ok(false);
            }
            factors.follow(history.matrix.as_ref(), second);
            // Not written into U, because the exact step starts from U if the second step does not
            // converge either.
            factors.orthonormalize(rows_of(next, h, m), &mut self.between);
            scores.project(rows_of(&self.between, h, m), block);
            let coefficients = self.buffers.rounded.of(second.coefficients.as_ref());
            accumulate(next, h, scores, block, coefficients, rows_of(weights, h, m));
            let k = second.k.as_ref();
            match factors.solve(&next[..h * m], scores, k, block, wanted)? {
                Some(progress) if !progress.is_far(block, wanted, 1.0) => {}
                _ => {
                    // The second step has overwritten the scores in U, which the exact step needs.
                    self.project(scores, block);
                    return Ok(false);
                }
            }
        }
        let quotient = factors.quotient.as_ref();
        matmul(
            self.core.as_mut().submatrix_mut(0, 0, h, h),
            Accum::Replace,
            quotient.transpose(),
            quotient,
            1.0,
            Par::Seq,
        );
        factors.orthonormalize(rows_of(next, h, m), weights);
        self.measure();
        self.steps_since_rotation += 1;
        Ok(true)
    }
}

/// ln det of the leading `n`×`n` part of LLᵀ.
fn log_volume(factor: MatRef<'_, f64>, n: usize) -> f64 {
    (0..n).map(|i| 2.0 * factor[(i, i)].ln()).sum()
}
