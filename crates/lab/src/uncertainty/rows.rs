//! Laws of rows: what the four tables draw their data sets from.
//!
//! In: a law and a generator of random numbers. Out: scores of variance 1, row by row, and what turns them into
//! features: a reflection, random directions, missing values. All of it depends on the seed alone.

use ojad_core::{Estimate, Pca, PcaBuilder, Penalty, Rows};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution as _, StandardNormal};

use crate::LabError;

/// Rows drawn and learned at a time.
const PIECE: usize = 1_000;

/// The law of a row's scores: independent of each other and of other rows unless said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Law {
    Gaussian,
    /// Each value is Student's t of so many degrees of freedom.
    Values(f64),
    /// Whole rows are: a Gaussian row divided by a common √χ².
    WholeRows(f64),
    /// A Gaussian row times e^(σg).
    LogNormalMixture(f64),
    /// Each score follows its last value by ρ.
    Autoregressive(f64),
    /// Each score follows that of the feature before it by ρ.
    Correlated(f64),
    /// All scores have a variance that follows its last value and the last row, by α and β.
    Garch(f64, f64),
    /// A sine of this period, in rows, on the first score.
    Season(f64),
}

/// A standard normal number.
pub(super) fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// Scores of a law, one row after the other.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    law: Law,
    /// The last row; zero for scores beyond the number that was announced.
    last: Vec<f64>,
    /// χ² of the degrees of freedom, for Student's laws.
    square: Option<ChiSquared<f64>>,
    variance: f64,
    row: f64,
}

impl Scores {
    /// Scores of which `count` start from random values.
    pub(super) fn new(law: Law, count: usize, random: &mut ChaCha8Rng) -> Result<Self, LabError> {
        let square = match law {
            Law::Values(freedom) | Law::WholeRows(freedom) if freedom > 2.0 => {
                Some(ChiSquared::new(freedom).map_err(|_| LabError::Law { freedom })?)
            }
            Law::Values(freedom) | Law::WholeRows(freedom) => {
                return Err(LabError::Law { freedom });
            }
            _ => None,
        };
        Ok(Self {
            law,
            last: (0..count).map(|_| normal(random)).collect(),
            square,
            variance: 1.0,
            row: 0.0,
        })
    }

    /// √((ν − 2)/χ²_ν): what makes a standard normal value Student's t of variance 1.
    fn divisor(&self, freedom: f64, random: &mut ChaCha8Rng) -> f64 {
        let square = self
            .square
            .as_ref()
            .map_or(freedom, |law| law.sample(random));
        ((freedom - 2.0) / square).sqrt()
    }

    /// Draws the next row.
    pub(super) fn next(&mut self, random: &mut ChaCha8Rng, into: &mut [f64]) {
        self.last.resize(into.len(), 0.0);
        let common = match self.law {
            Law::WholeRows(freedom) => self.divisor(freedom, random),
            // Divided by the root of its mean square, e^(2σ²).
            Law::LogNormalMixture(spread) => (spread * normal(random) - spread * spread).exp(),
            Law::Garch(..) => self.variance.sqrt(),
            _ => 1.0,
        };
        let mut neighbour = match self.law {
            Law::Correlated(_) => normal(random),
            _ => 0.0,
        };
        for (i, score) in into.iter_mut().enumerate() {
            let g = normal(random);
            *score = match self.law {
                Law::Values(freedom) => g * self.divisor(freedom, random),
                Law::Autoregressive(rho) => {
                    self.last[i] = rho * self.last[i] + (1.0 - rho * rho).sqrt() * g;
                    self.last[i]
                }
                Law::Correlated(rho) => {
                    neighbour = rho * neighbour + (1.0 - rho * rho).sqrt() * g;
                    neighbour
                }
                Law::Season(period) if i == 0 => {
                    let phase = std::f64::consts::TAU * self.row / period;
                    1.6_f64.sqrt() * phase.sin() + 0.2_f64.sqrt() * g
                }
                _ => common * g,
            };
        }
        if let (Law::Garch(alpha, beta), Some(first)) = (self.law, into.first()) {
            self.variance = 1.0 - alpha - beta + alpha * first * first + beta * self.variance;
        }
        self.row += 1.0;
    }
}

/// The reflection H = I − 2vvᵀ in a random direction, which makes sparse components dense.
#[derive(Clone, Debug)]
pub(super) struct Mirror(Vec<f64>);

impl Mirror {
    /// Of `m` features.
    pub(super) fn new(m: usize, random: &mut ChaCha8Rng) -> Self {
        let axis: Vec<f64> = (0..m).map(|_| normal(random)).collect();
        let length = axis.iter().map(|v| v * v).sum::<f64>().sqrt();
        Self(axis.iter().map(|v| v / length).collect())
    }

    /// Reflects a row.
    pub(super) fn reflect(&self, row: &mut [f64]) {
        let along: f64 = row.iter().zip(&self.0).map(|(a, b)| a * b).sum();
        for (v, axis) in row.iter_mut().zip(&self.0) {
            *v -= 2.0 * along * axis;
        }
    }
}

/// Random orthonormal vectors of `m` entries.
pub(super) fn directions(m: usize, count: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut vectors: Vec<Vec<f64>> = Vec::new();
    for _ in 0..count {
        let mut vector: Vec<f64> = (0..m).map(|_| normal(random)).collect();
        for other in &vectors {
            let along: f64 = other.iter().zip(&vector).map(|(a, b)| a * b).sum();
            vector
                .iter_mut()
                .zip(other)
                .for_each(|(v, o)| *v -= along * o);
        }
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v /= length);
        vectors.push(vector);
    }
    vectors
}

/// Makes each value missing with probability `share`.
pub(super) fn leave_out(row: &mut [f64], share: f64, random: &mut ChaCha8Rng) {
    if share > 0.0 {
        for v in row {
            if random.random::<f64>() < share {
                *v = f64::NAN;
            }
        }
    }
}

/// Learns rows in one pass, or in equal shards that are merged.
///
/// `draw` fills a row of the shard whose number it is given.
pub(super) fn learn(
    builder: &PcaBuilder,
    (rows, features): (usize, usize),
    shards: usize,
    mut draw: impl FnMut(usize, &mut [f64]),
) -> Result<Estimate, LabError> {
    let mut parts = Vec::with_capacity(shards);
    let mut values = vec![0.0; PIECE * features];
    for shard in 0..shards {
        let mut pca = builder.clone().build(features)?;
        let mut left = rows / shards;
        while left > 0 {
            let count = left.min(PIECE);
            let piece = &mut values[..count * features];
            piece
                .chunks_exact_mut(features)
                .for_each(|row| draw(shard, row));
            pca.update(&Rows::from_f64(piece, features))?;
            left -= count;
        }
        parts.push(pca);
    }
    match parts.as_slice() {
        [one] => Ok(one.estimate()?),
        [first, ..] => Ok(Pca::merge(&parts)?.estimate(first.params().components, Penalty::Auto)),
        [] => Err(LabError::NotFinite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    /// Mean square of all scores, correlation of each with its last value, and of each with its neighbour.
    fn moments(law: Law) -> [f64; 3] {
        const M: usize = 4;
        const N: usize = 200_000;
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut scores = Scores::new(law, M, &mut random).unwrap();
        let (mut last, mut row) = ([0.0; M], [0.0; M]);
        let mut sums = [0.0; 3];
        for _ in 0..N {
            scores.next(&mut random, &mut row);
            for i in 0..M {
                sums[0] += row[i] * row[i];
                sums[1] += row[i] * last[i];
                sums[2] += row[i] * row[(i + 1) % M];
            }
            last = row;
        }
        sums.map(|sum| sum / (N * M) as f64)
    }

    #[test]
    fn laws_have_variance_one_and_the_dependence_that_they_name() {
        // Correlated: the last of four with the first is ρ³, the other three are ρ.
        let neighbours = (3.0 * 0.5 + 0.125) / 4.0;
        for (law, right) in [
            (Law::Gaussian, [1.0, 0.0, 0.0]),
            (Law::Values(5.0), [1.0, 0.0, 0.0]),
            (Law::WholeRows(6.0), [1.0, 0.0, 0.0]),
            (Law::LogNormalMixture(0.4), [1.0, 0.0, 0.0]),
            (Law::Autoregressive(0.5), [1.0, 0.5, 0.0]),
            (Law::Correlated(0.5), [1.0, 0.0, neighbours]),
            (Law::Garch(0.1, 0.8), [1.0, 0.0, 0.0]),
            // The sine has variance 0.8 on one score of four, and hardly moves between rows.
            (Law::Season(1_000.0), [1.0, 0.2, 0.0]),
        ] {
            let found = moments(law);
            for (found, right) in found.iter().zip(right) {
                // Standard errors of 800,000 values: 0.002, with heavy tails or AR up to 0.006.
                assert!((found - right).abs() < 0.02, "{law:?}: {found} {right}");
            }
        }
    }

    #[test]
    fn a_law_without_variance_is_refused() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let found = Scores::new(Law::Values(2.0), 1, &mut random);
        assert!(found.unwrap_err().to_string().contains("more than 2"));
    }
}
