//! Fourth moments of the scores: what the error bars rest on instead of a Gaussian assumption.
//!
//! In: scores of the rows in the directions held when they came. Out: averages of zᵢ², zᵢ²zⱼ², ρ² and
//! zᵢ²ρ² (z the scores, ρ² the squared length outside), as of rows that do not know of each other, and the
//! long-run variances of [`RunMeans`], as rows follow each other. The weights of the first minibatches grow in
//! proportion to the rows that went before, so that early, poor directions fade. With a scale, the variances are
//! those of a correlation matrix ([`Standardized`]).
//!
//! All rows are looked at in the beginning; later one window of 2,048 rows in so many, so that the looking costs
//! a few percent of an update.

use std::ops::Range;

use faer::linalg::matmul::dot::inner_prod;
use faer::linalg::matmul::matmul;
use faer::{Accum, Conj, Mat, MatRef, Par, RowRef};

use crate::learner::block::Block;
use crate::learner::engine::Engine;
use crate::learner::long_run::LongRun;
use crate::learner::ramp::Ramp;
use crate::learner::row_noise::{LAGS, NoiseRows, RowNoise};
use crate::learner::run_means::RunMeans;
use crate::learner::standardized::{Standardized, Weighted};
use crate::learner::tails::Tails;
use crate::linalg::Real;

/// Consecutive rows that are looked at together.
const WINDOW: u64 = 2048;

/// Weight of all rows for each step of the distance between windows.
const ROWS_A_STEP: f64 = 8192.0;

/// One window of so many is looked at, at least.
const WINDOWS_APART: u64 = 24;

/// One row in so many tells the length outside: it costs all features of the row.
const OUTSIDE_EVERY: usize = 4;

/// One row in so many is multiplied by later ones: at first, and once there are enough pairs.
const PAIRS_EVERY: [usize; 2] = [4, 64];

/// Pairs that tell the mean of squares to 2%.
const PAIRS_ENOUGH: f64 = 5_000.0;

/// A squared length outside that is a smaller share of that inside is rounding.
const ROUNDING: f64 = 1e-6;

/// Weight of all earlier rows, in blocks, up to which the weights of later ones grow.
const EARLY_BLOCKS: f64 = 2.0;

/// The same in rows a direction, where blocks are small.
const EARLY_ROWS: f64 = 16.0;

/// Scores whose fourth powers neither overflow nor lose digits, with room for sums and their squares: 10⁻⁶⁰ to 10⁶⁰.
const RANGE: std::ops::RangeInclusive<f64> = 6e-61..=1.7e60;

/// Running averages over h directions.
#[derive(Clone, Debug)]
pub struct FourthMoments {
    /// Scores are multiplied by this power of two, which is exact: 1 unless their fourth powers would leave f64. Only
    /// ratios of the averages are read out.
    pub(super) unit: f64,
    /// Averages E zᵢ², length h.
    pub square: Vec<f64>,
    /// Averages E zᵢ²zⱼ², h×h.
    pub quartic: Mat<f64>,
    /// Average of the squared length outside, E ρ².
    pub outside: f64,
    /// Averages E zᵢ²ρ², length h.
    pub with_outside: Vec<f64>,
    pub(super) tails: Tails,
    pub(super) ramp: Ramp,
    /// The row behind the last one that was looked at.
    pub(super) next_row: u64,
    pub(super) runs: RunMeans,
    pub(super) noise: RowNoise,
    pub(super) standardized: Standardized,
    /// True if the block under way is one of the first.
    is_early: bool,
    buffers: Buffers,
}

/// Storage of an update.
#[derive(Clone, Debug)]
struct Buffers {
    /// Scores, rows×h, column by column.
    scores: Vec<f64>,
    squares: Mat<f64>,
    /// 1 ÷ the roots of the rows' weights.
    roots: Vec<f64>,
    quartic: Mat<f64>,
    /// Squared lengths outside of the rows that tell it.
    outside: Vec<f64>,
}

impl Default for FourthMoments {
    fn default() -> Self {
        Self {
            unit: 1.0,
            square: Vec::new(),
            quartic: Mat::new(),
            outside: 0.0,
            with_outside: Vec::new(),
            tails: Tails::default(),
            ramp: Ramp::default(),
            next_row: 0,
            runs: RunMeans::default(),
            noise: RowNoise::default(),
            standardized: Standardized::default(),
            is_early: true,
            buffers: Buffers {
                scores: Vec::new(),
                squares: Mat::new(),
                roots: Vec::new(),
                quartic: Mat::new(),
                outside: Vec::new(),
            },
        }
    }
}

/// Where a block's rows stand: the first `count` of the block, the first of them number `first` of all.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Rows learned before them.
    pub first: u64,
    /// Rows as they were read: a block may have one more.
    pub count: usize,
}

impl FourthMoments {
    /// Those of no rows; of a correlation matrix, if each feature is divided by its deviation.
    pub fn new(is_standardized: bool) -> Self {
        let mut empty = Self::default();
        empty.standardized.is_on = is_standardized;
        empty
    }

    /// Looks at those of the block's rows that lie in a window, through the engine's directions; γ undoes the
    /// rows' weights.
    pub fn update<E: Engine>(
        &mut self,
        engine: &E,
        block: &Block<E::Float>,
        place: Place,
        gamma: f64,
        scores: &mut Mat<E::Float>,
    ) {
        let basis = engine.basis();
        let h = basis.nrows();
        if h == 0 || place.count == 0 {
            return;
        }
        self.resize(h);
        if block.decay < 1.0 {
            self.ramp.decay(block.decay);
            self.runs.decay(block.decay);
            self.noise.decay(block.decay);
        }
        self.is_early =
            block.prior_weight < (EARLY_BLOCKS * block.weight).max(EARLY_ROWS * h as f64);
        let apart = windows_apart(block.total());
        let end = place.first + place.count as u64;
        let mut at = place.first;
        while at < end {
            let window = at / WINDOW;
            let stop = end.min((window + 1) * WINDOW);
            if window.is_multiple_of(apart) {
                let (from, count) = ((at - place.first) as usize, (stop - at) as usize);
                let y = block.sub_rows(from, count);
                let seen = if let Some(seen) = engine.scores() {
                    seen.subrows(from, count)
                } else {
                    scores.resize_with(count, h, |_, _| E::Float::of(0.0));
                    let (one, all) = (E::Float::of(1.0), basis.transpose());
                    // count×h
                    matmul(scores.as_mut(), Accum::Replace, y, all, one, Par::Seq);
                    scores.as_ref()
                };
                let weight = |i: usize| match gamma {
                    1.0 => 1.0,
                    _ => gamma.powf((place.count - 1 - from - i) as f64),
                };
                if at != self.next_row {
                    self.runs.interrupt();
                }
                self.next_row = stop;
                self.look(seen, y, basis, weight);
            }
            at = stop;
        }
    }

    fn resize(&mut self, h: usize) {
        if self.runs.directions() != h {
            self.runs.begin(h);
        }
        self.noise.resize(h);
        self.standardized.resize(h);
        self.square.resize(h, 0.0);
        self.with_outside.resize(h, 0.0);
        self.quartic.resize_with(h, h, |_, _| 0.0);
        self.buffers.quartic.resize_with(h, h, |_, _| 0.0);
    }

    /// Takes the scores of consecutive rows y in, whose squares have these weights.
    fn look<T: Real>(
        &mut self,
        scores: MatRef<'_, T>,
        y: MatRef<'_, T>,
        basis: MatRef<'_, T>,
        weight: impl Fn(usize) -> f64,
    ) {
        let (count, h) = scores.shape();
        let Buffers {
            scores: z,
            squares,
            roots,
            ..
        } = &mut self.buffers;
        z.resize(count * h, 0.0);
        squares.resize_with(count, h, |_, _| 0.0);
        roots.clear();
        // Of a row whose weight has underflowed nothing is left that could be divided by it.
        roots.extend((0..count).map(|i| match weight(i) {
            weight if weight > 0.0 => 1.0 / weight.sqrt(),
            _ => 0.0,
        }));
        for j in 0..h {
            let (z, squares) = (&mut z[j * count..][..count], squares.col_mut(j));
            let to = z.iter_mut().zip(squares.iter_mut());
            for ((z, square), (score, root)) in to.zip(scores.col(j).iter().zip(&*roots)) {
                *z = score.wide() * root * self.unit;
                *square = *z * *z;
            }
        }
        self.fit_unit();
        let share = self.ramp.advance(count as f64, self.is_early);
        self.average(share);
        let Buffers {
            scores,
            squares,
            roots,
            ..
        } = &self.buffers;
        let (rows, standardized) = (Weighted { y, roots }, &mut self.standardized);
        standardized.look(rows, basis, squares.as_ref(), &self.square, share);
        let correct = |which: Range<usize>, sums: &mut [f64]| {
            standardized.correct(rows, which, sums);
        };
        self.runs.add(scores, count, self.is_early, correct);
        self.tails
            .update(self.buffers.squares.as_ref(), &self.square, share);
        self.look_outside(y, share);
    }

    /// Changes the unit where the scores just taken in, times it, would leave the range of fourth powers: where they
    /// are too large for all that was before, or the first that are not zero and too small.
    fn fit_unit(&mut self) {
        let scores = &mut self.buffers.scores;
        let largest = scores.iter().fold(0.0_f64, |most, z| most.max(z.abs()));
        let is_first = self.square.iter().all(|square| *square == 0.0);
        let is_small = is_first && largest > 0.0 && largest < *RANGE.start();
        let is_large = largest > *RANGE.end() && largest.is_finite();
        if !is_small && !is_large {
            return;
        }
        let ratio = (-largest.log2().round()).exp2();
        self.unit *= ratio;
        scores.iter_mut().for_each(|z| *z *= ratio);
        let rows = self.buffers.squares.nrows();
        for (j, z) in scores.chunks_exact(rows).enumerate() {
            let squares = self.buffers.squares.col_mut(j).iter_mut();
            squares.zip(z).for_each(|(square, z)| *square = z * z);
        }
        if is_first {
            return;
        }
        // What was before is at most 10⁻⁶⁰ of this: what underflows of it is no loss.
        let (two, four) = (ratio * ratio, (ratio * ratio) * (ratio * ratio));
        self.outside *= two;
        self.square.iter_mut().for_each(|v| *v *= two);
        self.with_outside.iter_mut().for_each(|v| *v *= four);
        for column in self.quartic.col_iter_mut() {
            column.iter_mut().for_each(|v| *v *= four);
        }
        self.runs.multiply(two);
        self.standardized.multiply(four);
        self.noise.multiply(two);
    }

    fn look_outside<T: Real>(&mut self, y: MatRef<'_, T>, share: f64) {
        self.buffers.outside.clear();
        let squares = &self.buffers.squares;
        let h = squares.ncols();
        let each = 1.0 / y.nrows().div_ceil(OUTSIDE_EVERY) as f64;
        self.outside *= 1.0 - share;
        self.with_outside.iter_mut().for_each(|v| *v *= 1.0 - share);
        for i in (0..y.nrows()).step_by(OUTSIDE_EVERY) {
            let inside: f64 = (0..h).map(|j| squares[(i, j)]).sum();
            let root = self.buffers.roots[i];
            let length = self.squared_length(y.row(i)) * root * root;
            let outside = (length - inside).max(0.0);
            self.buffers.outside.push(outside);
            let outside = outside * each * share;
            self.outside += outside;
            for (j, v) in self.with_outside.iter_mut().enumerate() {
                *v += squares[(i, j)] * outside;
            }
        }
        self.noise.add_lengths(&self.buffers.outside, self.is_early);
        self.look_at_later_rows(y);
    }

    /// Products of some rows with later ones.
    fn look_at_later_rows<T: Real>(&mut self, y: MatRef<'_, T>) {
        let (count, h) = (y.nrows(), self.square.len());
        let Buffers { scores, roots, .. } = &self.buffers;
        let every = PAIRS_EVERY[usize::from(self.noise.pair_ramp.weight >= PAIRS_ENOUGH)];
        for (number, lag) in LAGS.iter().enumerate() {
            self.noise.begin_pairs();
            for i in (0..count.saturating_sub(*lag)).step_by(every) {
                let l = i + lag;
                let whole = inner_prod(y.row(i), Conj::No, y.row(l).transpose(), Conj::No).wide();
                let product = whole * (self.unit * roots[i]) * (self.unit * roots[l]);
                let inside = (0..h).map(|j| scores[j * count + i] * scores[j * count + l]);
                self.noise.add_pair(product, inside);
            }
            self.noise.end_pairs(number, self.is_early);
        }
    }

    /// Squared length of a row in the unit of the scores.
    #[allow(clippy::float_cmp)] // It is 1 or another power of two.
    fn squared_length<T: Real>(&self, row: RowRef<'_, T>) -> f64 {
        if self.unit == 1.0 {
            return row.squared_norm_l2().wide();
        }
        row.iter().map(|v| (v.wide() * self.unit).powi(2)).sum()
    }

    fn average(&mut self, share: f64) {
        let Buffers {
            squares, quartic, ..
        } = &mut self.buffers;
        let s = squares.as_ref();
        let each = 1.0 / s.nrows() as f64;
        matmul(
            quartic.as_mut(),
            Accum::Replace,
            s.transpose(),
            s,
            each,
            Par::Seq,
        );
        let mix = |old: &mut f64, new: f64| *old += share * (new - *old);
        for j in 0..s.ncols() {
            mix(&mut self.square[j], s.col(j).iter().sum::<f64>() * each);
            for i in 0..s.ncols() {
                mix(&mut self.quartic[(i, j)], quartic[(i, j)]);
            }
        }
    }

    /// Variances of the products of scores, relative to the product of their variances.
    pub fn long_run(&self) -> LongRun {
        let h = self.square.len();
        let alone: Vec<f64> = (0..h)
            .map(|i| match self.alone(i) {
                known if known >= 0.0 => known,
                // Unlike a NaN, what is negative is rounding.
                unknown if unknown.is_nan() => unknown,
                _ => 0.0,
            })
            .collect();
        let settled: Vec<Option<(usize, f64)>> = (0..h)
            .map(|i| self.runs.settled(i, alone[i] * self.square[i].powi(2)))
            .collect();
        // A product forgets no later than the one of its factors that remembers longest.
        let size = |i: usize, j: usize| Some(settled[i]?.0.max(settled[j]?.0));
        let pair = |i: usize, j: usize| match size(i, j) {
            Some(size) => self.runs.variance(size, i, j) / (self.square[i] * self.square[j]),
            None if i == j => alone[i],
            None => self.relative(i, j),
        };
        let pairs = Mat::from_fn(h, h, pair);
        // Directions held beside the leading half stand for those outside.
        let outside = (0..h).map(|i| {
            let rest = || (h / 2..h).filter(move |j| *j != i);
            let alone: f64 = rest().map(|j| self.relative(i, j)).sum();
            let ratio = rest().map(|j| pairs[(i, j)]).sum::<f64>() / alone;
            self.relative_outside(i) * if ratio.is_finite() { ratio } else { 1.0 }
        });
        LongRun {
            outside: outside.collect(),
            freedom: settled
                .iter()
                .map(|found| found.map_or(f64::INFINITY, |(_, freedom)| freedom))
                .collect(),
            heavy: self.tails.are_too_heavy(self.ramp.weight),
            noise: self.noise_rows(),
            alone,
            pairs,
        }
    }

    /// How rows are related beside the leading directions, for every number of these from none to all; empty where it
    /// is not known.
    fn noise_rows(&self) -> Vec<NoiseRows> {
        let h = self.square.len();
        if !self.noise.is_known() {
            return Vec::new();
        }
        // E ρ², E ρ⁴ and Σλ² of what lies beside them, from the last direction to the first.
        let (mut length, mut square) = (self.outside, self.noise.square);
        let mut squares = 0.0;
        let mut rows = vec![self.noise.of(h, length, square / (length * length))];
        for i in (0..h).rev() {
            let others: f64 = (i + 1..h).map(|j| self.quartic[(i, j)]).sum();
            square += self.quartic[(i, i)] + 2.0 * (self.with_outside[i] + others);
            length += self.square[i];
            squares += self.square[i] * self.square[i];
            // The length of a Gaussian row varies by 2Σλ², where all rows are alike.
            let alike = 2.0 * squares / (length * length);
            rows.push(self.noise.of(i, length, square / (length * length) - alike));
        }
        rows.reverse();
        rows
    }

    /// Variance that the eigenvalue's estimate would have by single rows, relative to its square.
    fn alone(&self, i: usize) -> f64 {
        match self.standardized.alone.get(i) {
            Some(alone) => alone / (self.square[i] * self.square[i]),
            None => self.relative(i, i) - 1.0,
        }
    }

    /// E zᵢ²zⱼ² ÷ (E zᵢ²·E zⱼ²): 3 on the diagonal and 1 off it for Gaussian rows.
    pub(super) fn relative(&self, i: usize, j: usize) -> f64 {
        self.quartic[(i, j)] / (self.square[i] * self.square[j])
    }

    /// E zᵢ²ρ² ÷ (E zᵢ²·E ρ²): 1 for Gaussian rows, and where nothing lies outside.
    pub(super) fn relative_outside(&self, i: usize) -> f64 {
        let inside: f64 = self.square.iter().sum();
        if self.outside > ROUNDING * inside {
            self.with_outside[i] / (self.square[i] * self.outside)
        } else {
            1.0
        }
    }
}

/// One window of so many is looked at where all rows weigh `weight`.
fn windows_apart(weight: f64) -> u64 {
    ((weight / ROWS_A_STEP) as u64).clamp(1, WINDOWS_APART)
}
