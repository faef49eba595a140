//! How rows are related beside the leading directions: how long each remembers the last, whether some are larger than
//! others, and whether features are correlated there.
//!
//! In: products yₜ·yₜ₊ₗ of some rows with later ones, and scores. Out: for every number c of leading directions that
//! are left out, the mean of the products and of their squares. The mean at distance L is Σ r(L)λ, and the mean square of
//! independent rows is tr Σ². All of it is of whole rows without the first c scores: directions are chosen for what
//! these very rows did, so that what lies outside all of them would look calmer than noise is.

use crate::learner::ramp::Ramp;

/// Distances in rows at which products are averaged.
pub(super) const LAGS: [usize; 5] = [1, 2, 4, 8, 16];

/// Of Σ r² over the distances 1 to 16, what stands for each of these: by trapezoids.
const WEIGHTS: [f64; 5] = [1.0, 1.5, 3.0, 6.0, 4.5];

/// An autocorrelation below this is not followed beyond the last distance.
const FOLLOWED: f64 = 0.1;

/// Σ r² up to which rows count as independent: chance alone leaves a few hundredths.
const INDEPENDENT: f64 = 1.05;

/// E ρ⁴/(E ρ²)² up to which rows count as alike.
const ALIKE: f64 = 1.05;

/// How the rows of noise are related.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseRows {
    /// E ρ⁴/(E ρ²)² of the squared lengths, without what it would be for rows that are alike: above 1 where some rows are
    /// larger than others in all directions.
    pub sizes: f64,
    /// Σ r(t)² over all lags t, r the autocorrelation: (1 + ρ²)/(1 − ρ²) where each row follows the last by ρ, 1 where
    /// rows are independent.
    pub dependence: f64,
    /// tr Σ²/(tr Σ)²: Σd²/(Σd)² for features that are not correlated.
    pub squares: f64,
    /// The standard error of `squares`, as a share of it.
    pub squares_error: f64,
}

/// Running averages over pairs of rows, for 0 to h leading directions left out.
#[derive(Clone, Debug, Default)]
pub(super) struct RowNoise {
    /// Of the rows whose length outside was looked at.
    pub(super) ramp: Ramp,
    /// E ρ⁴ outside all directions.
    pub(super) square: f64,
    /// Of the pairs at each distance.
    pub(super) lag_ramps: [Ramp; LAGS.len()],
    /// Of all pairs.
    pub(super) pair_ramp: Ramp,
    /// Mean products, h + 1 for each distance.
    pub(super) lagged: Vec<f64>,
    /// Mean squared products, length h + 1.
    pub(super) paired: Vec<f64>,
    /// Sums of a block: the same, one after the other.
    sums: Vec<f64>,
    pairs: usize,
}

impl RowNoise {
    /// Begins anew for `directions` directions where there were others.
    pub(super) fn resize(&mut self, directions: usize) {
        let count = directions + 1;
        if self.paired.len() != count {
            *self = Self {
                lagged: vec![0.0; LAGS.len() * count],
                paired: vec![0.0; count],
                sums: vec![0.0; count],
                ..Self::default()
            };
        }
    }

    /// Goes over to a unit in which each squared length is `factor` times as large.
    pub(super) fn multiply(&mut self, factor: f64) {
        let square = factor * factor;
        self.square *= square;
        self.lagged.iter_mut().for_each(|v| *v *= factor);
        self.paired.iter_mut().for_each(|v| *v *= square);
    }

    /// Lets what is known lose weight.
    pub(super) fn decay(&mut self, factor: f64) {
        self.ramp.decay(factor);
        self.pair_ramp.decay(factor);
        self.lag_ramps
            .iter_mut()
            .for_each(|ramp| ramp.decay(factor));
    }

    /// Takes the squared lengths of some rows outside in.
    pub(super) fn add_lengths(&mut self, lengths: &[f64], is_early: bool) {
        if lengths.is_empty() {
            return;
        }
        let count = lengths.len() as f64;
        let share = self.ramp.advance(count, is_early);
        let square = lengths.iter().map(|v| v * v).sum::<f64>() / count;
        self.square += share * (square - self.square);
    }

    /// Takes one pair in: the product of the rows, and those of their scores in each direction.
    pub(super) fn add_pair(&mut self, product: f64, scores: impl Iterator<Item = f64>) {
        let (lagged, paired) = self.sums.split_at_mut(self.paired.len());
        let mut rest = product;
        lagged[0] += rest;
        paired[0] += rest * rest;
        for (i, inside) in scores.enumerate() {
            rest -= inside;
            lagged[i + 1] += rest;
            paired[i + 1] += rest * rest;
        }
        self.pairs += 1;
    }

    /// Begins the pairs of a block at one distance.
    pub(super) fn begin_pairs(&mut self) {
        self.sums.clear();
        self.sums.resize(2 * self.paired.len(), 0.0);
        self.pairs = 0;
    }

    /// Ends the pairs of a block at distance number `lag`.
    pub(super) fn end_pairs(&mut self, lag: usize, is_early: bool) {
        if self.pairs == 0 {
            return;
        }
        let (weight, count) = (self.pairs as f64, self.paired.len());
        let share = self.lag_ramps[lag].advance(weight, is_early);
        let of_all = self.pair_ramp.advance(weight, is_early);
        let (lagged, paired) = self.sums.split_at(count);
        for (mean, sum) in self.lagged[lag * count..].iter_mut().zip(lagged) {
            *mean += share * (sum / weight - *mean);
        }
        for (mean, sum) in self.paired.iter_mut().zip(paired) {
            *mean += of_all * (sum / weight - *mean);
        }
    }

    /// What is known where `left_out` directions are, of rows of the mean squared length `length` beside them.
    pub(super) fn of(&self, left_out: usize, length: f64, sizes: f64) -> NoiseRows {
        let count = self.paired.len();
        let lagged = self.lagged.chunks_exact(count);
        let mut r = [0.0; LAGS.len()];
        for (r, lagged) in r.iter_mut().zip(lagged) {
            *r = lagged[left_out] / length;
        }
        NoiseRows {
            sizes: if sizes > ALIKE { sizes } else { 1.0 },
            dependence: dependence(r),
            squares: self.paired[left_out] / (length * length),
            // Squares of what is nearly Gaussian.
            squares_error: (2.0 / self.pair_ramp.effective_parts()).sqrt(),
        }
    }

    /// True if rows and pairs were looked at.
    pub(super) fn is_known(&self) -> bool {
        self.ramp.weight > 0.0 && self.lag_ramps.iter().all(|ramp| ramp.weight > 0.0)
    }
}

/// Σ r² over all distances, those before and those after.
fn dependence(r: [f64; LAGS.len()]) -> f64 {
    let mut sum: f64 = r
        .iter()
        .zip(WEIGHTS)
        .map(|(r, weight)| weight * r * r)
        .sum();
    let [.., before, last] = r;
    if last > FOLLOWED && last < before {
        // As it fell over the last eight rows.
        let each = (last / before).powf(2.0 / 8.0);
        sum += last * last * each / (1.0 - each);
    }
    match 1.0 + 2.0 * sum {
        found if found > INDEPENDENT => found,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_follow_the_last_one_are_told_from_independent_ones() {
        for rho in [0.0, 0.5, 0.9, 0.99_f64] {
            let mut noise = RowNoise::default();
            noise.resize(1);
            for (lag, distance) in LAGS.iter().enumerate() {
                noise.begin_pairs();
                for _ in 0..50 {
                    let r = rho.powi(i32::try_from(*distance).unwrap());
                    // Beside the noise, a component that does not depend on anything.
                    noise.add_pair(3.0 + 2.0 * r, std::iter::once(3.0));
                }
                noise.end_pairs(lag, false);
            }
            let square = rho * rho;
            let right = (1.0 + square) / (1.0 - square);
            let found = noise.of(1, 2.0, 1.0);
            // By trapezoids, a sum of five values.
            assert!(
                (found.dependence / right - 1.0).abs() < 0.05,
                "{found:?} {right}"
            );
        }
    }
}
