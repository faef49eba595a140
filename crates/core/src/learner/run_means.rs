//! Products of two scores, averaged over runs of consecutive rows, in sizes that double: what rows that follow
//! each other leave of their number.
//!
//! The mean of n dependent values of long-run variance V has variance V/n, and means of runs of B rows, B
//! long beside the dependence, have variance V/B. So V is B times half the mean squared difference of
//! neighbouring runs. Neighbours, and not the distance from a common mean: where the rows' own law moves
//! slowly, its moves are no error of what is estimated.
//!
//! In: scores of consecutive rows. Out: V of every pair of directions, for runs of 16, 32, 64 … rows, in
//! O(h²) memory a size.
//!
//! Source: batch means, Flyvbjerg and Petersen 1989; the choice of size, Lee and others 2011, equation (14).

use std::ops::Range;

use crate::learner::ramp::Ramp;

/// Rows of the shortest runs.
pub(super) const SHORTEST: usize = 16;

/// Sizes at most: runs of half a million rows.
pub(super) const SIZES_AT_MOST: usize = 16;

/// Degrees of freedom that a size must have to be looked at.
const FREEDOM_AT_LEAST: f64 = 4.0;

/// Factor of n(V_B/V₁)² in the size that is enough.
const ENOUGH: f64 = 8.0;

/// Runs of all sizes over h directions.
#[derive(Clone, Debug, Default)]
pub struct RunMeans {
    directions: usize,
    /// Σ zᵢzⱼ over the rows of the shortest run under way, j ≤ i.
    pub(super) open: Vec<f64>,
    pub(super) open_rows: usize,
    pub(super) sizes: Vec<Runs>,
    carried: Vec<f64>,
}

/// Runs of one size.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// Means of the run before, of the products zᵢzⱼ, j ≤ i; empty where none was.
    pub(super) before: Vec<f64>,
    /// True if the run before is the first half of one of twice the size.
    pub(super) is_half: bool,
    /// Of the differences looked at.
    pub(super) ramp: Ramp,
    /// Long-run variances by runs of this size.
    pub(super) variance: Vec<f64>,
}

impl Runs {
    /// Degrees of freedom of the variances: neighbouring differences share a run, and n of them tell as much as
    /// (2n + 1)/3 that share none.
    fn freedom(&self) -> f64 {
        (2.0 * self.ramp.effective() + 1.0) / 3.0
    }
}

/// Σab of at most sixteen numbers, in four sums side by side.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (chunks, rest) = a.as_chunks::<4>();
    let (others, other_rest) = b.as_chunks::<4>();
    for (a, b) in chunks.iter().zip(others) {
        for l in 0..4 {
            sums[l] += a[l] * b[l];
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Pairs j ≤ i of `h` directions.
fn pairs(h: usize) -> usize {
    h * (h + 1) / 2
}

impl RunMeans {
    /// Number of directions, h.
    pub(super) fn directions(&self) -> usize {
        self.directions
    }

    /// Begins anew for `directions` directions.
    pub(super) fn begin(&mut self, directions: usize) {
        self.directions = directions;
        self.open.clear();
        self.open.resize(pairs(directions), 0.0);
        self.carried.resize(pairs(directions), 0.0);
        self.open_rows = 0;
        self.sizes.clear();
    }

    /// The next row does not follow the last one.
    pub(super) fn interrupt(&mut self) {
        self.open_rows = 0;
        self.open.fill(0.0);
        for runs in &mut self.sizes {
            runs.before.clear();
            runs.is_half = false;
        }
    }

    /// Goes over to products of scores in a unit in which each is `factor` times as large.
    pub(super) fn multiply(&mut self, factor: f64) {
        self.open.iter_mut().for_each(|v| *v *= factor);
        for runs in &mut self.sizes {
            runs.before.iter_mut().for_each(|v| *v *= factor);
            let square = factor * factor;
            runs.variance.iter_mut().for_each(|v| *v *= square);
        }
    }

    /// Lets what is known lose weight.
    pub(super) fn decay(&mut self, factor: f64) {
        for runs in &mut self.sizes {
            runs.ramp.decay(factor);
        }
    }

    /// Takes scores of `rows` consecutive rows, `rows`×h, column by column; `correct` is given some of these rows and
    /// the sums of their products.
    pub(super) fn add(
        &mut self,
        scores: &[f64],
        rows: usize,
        is_early: bool,
        mut correct: impl FnMut(Range<usize>, &mut [f64]),
    ) {
        let mut at = 0;
        while at < rows {
            let count = (SHORTEST - self.open_rows).min(rows - at);
            let part = |i: usize| &scores[i * rows + at..][..count];
            let mut open = self.open.iter_mut();
            for i in 0..self.directions {
                let left = part(i);
                for (j, sum) in (0..=i).zip(&mut open) {
                    *sum += dot(left, part(j));
                }
            }
            correct(at..at + count, &mut self.open);
            self.open_rows += count;
            at += count;
            if self.open_rows == SHORTEST {
                self.close(is_early);
            }
        }
    }

    /// Ends the shortest run, and every longer one that ends with it.
    fn close(&mut self, is_early: bool) {
        let each = 1.0 / SHORTEST as f64;
        for (mean, sum) in self.carried.iter_mut().zip(&mut self.open) {
            *mean = *sum * each;
            *sum = 0.0;
        }
        self.open_rows = 0;
        let mut length = SHORTEST as f64;
        for size in 0..SIZES_AT_MOST {
            if self.sizes.len() == size {
                self.sizes.push(Runs::default());
            }
            let runs = &mut self.sizes[size];
            let has_before = !runs.before.is_empty();
            if has_before {
                let share = runs.ramp.advance(1.0, is_early);
                runs.variance.resize(self.carried.len(), 0.0);
                let means = self.carried.iter().zip(&runs.before);
                for (variance, (mean, before)) in runs.variance.iter_mut().zip(means) {
                    let apart = mean - before;
                    *variance += share * (0.5 * length * apart * apart - *variance);
                }
            }
            let is_whole = has_before && runs.is_half;
            runs.is_half = !is_whole;
            if !is_whole {
                runs.before.clone_from(&self.carried);
                return;
            }
            for (mean, before) in self.carried.iter_mut().zip(&mut runs.before) {
                let both = 0.5 * (*mean + *before);
                *before = *mean;
                *mean = both;
            }
            length *= 2.0;
        }
    }

    /// The size from which on the long-run variance of direction `i`'s square stands still, if any is known well
    /// enough, and its degrees of freedom. `alone` is the variance that single rows have.
    ///
    /// B rows are enough where B³ > 2n(V_B/V₁)²: shorter runs miss dependence by more than longer ones lack in
    /// number (Lee and others 2011); four times that, because what is missed narrows the bars, and a small number
    /// only makes Student's factor larger.
    pub(super) fn settled(&self, i: usize, alone: f64) -> Option<(usize, f64)> {
        let seen = self.sizes.first()?.ramp.weight * SHORTEST as f64;
        let mut found = None;
        for (size, runs) in self.sizes.iter().enumerate() {
            let freedom = runs.freedom();
            if runs.variance.is_empty() || freedom < FREEDOM_AT_LEAST {
                break;
            }
            found = Some((size, freedom));
            let length = (SHORTEST << size) as f64;
            let ratio = runs.variance[pairs(i) + i] / alone;
            if length.powi(3) >= ENOUGH * seen * ratio * ratio {
                break;
            }
        }
        found
    }

    /// Long-run variance of zᵢzⱼ by runs of size number `size`.
    pub(super) fn variance(&self, size: usize, i: usize, j: usize) -> f64 {
        let (low, high) = (i.min(j), i.max(j));
        let runs = self.sizes.get(size).map(|runs| &runs.variance);
        let variance = runs.and_then(|variance| variance.get(pairs(high) + low));
        variance.copied().unwrap_or(f64::NAN)
    }
}
