//! Feeds that do not change, and those that do at one row.

use ojad_core::rows::Minibatch;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

use crate::LabError;
use crate::uncertainty::rows::{Law, Scores};

/// Rows of a minibatch.
pub(super) const MINIBATCH: usize = 100;

/// Variances of the components of a feed.
pub(super) const SPIKES: [f64; 3] = [9.0, 4.0, 2.0];

/// The feature that changes alone.
const ONE: usize = 5;

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    None,
    /// The first component turns out of the subspace by degrees.
    Turn(f64),
    /// The first component turns into the second by degrees.
    Mix(f64),
    /// The variance of a component changes by a factor.
    Component(usize, f64),
    /// The variance of the noise changes by a factor.
    Noise(f64),
    /// A feature moves by so many of its standard deviations.
    Mean(f64),
    /// The variance of a feature changes by a factor.
    Feature(f64),
    /// Two features outside the components become correlated.
    Correlation(f64),
}

/// Rows of components in noise, one after the other.
pub(super) struct Feed {
    random: ChaCha8Rng,
    scores: Scores,
    features: usize,
    /// Scores of the components, then the noise of each feature.
    row: Vec<f64>,
    pub(super) change: Change,
}

impl Feed {
    pub(super) fn new(law: Law, features: usize, seed: u64) -> Result<Self, LabError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self {
            scores: Scores::new(law, features, &mut random)?,
            random,
            features,
            row: vec![0.0; SPIKES.len() + features],
            change: Change::None,
        })
    }

    /// Appends a row.
    pub(super) fn push(&mut self, rows: &mut Vec<f64>) {
        let m = self.features;
        let k = SPIKES.len();
        self.scores.next(&mut self.random, &mut self.row);
        // Those that depend on their last values go on from them, whatever changes.
        let mut scores = self.row.clone();
        // Component a weighs on the features from a·m/k on: the last quarter has noise alone.
        let block = 3 * m / 4 / k;
        match self.change {
            Change::Component(a, factor) => scores[a] *= factor.sqrt(),
            Change::Noise(factor) => scores[k..].iter_mut().for_each(|s| *s *= factor.sqrt()),
            Change::Correlation(rho) => {
                let (a, b) = (k + m - 1, k + m - 2);
                scores[a] = rho * scores[b] + (1.0 - rho * rho).sqrt() * scores[a];
            }
            _ => {}
        }
        let first = rows.len();
        rows.extend_from_slice(&scores[k..]);
        let row = &mut rows[first..];
        for (a, spike) in SPIKES.iter().enumerate() {
            // The noise has variance 1 along the component too.
            let score = (spike - 1.0).sqrt() * scores[a];
            let (turned, to) = match self.change {
                Change::Turn(degrees) if a == 0 => (degrees, k * block..k * block + m / 4),
                Change::Mix(degrees) if a == 0 => (degrees, block..2 * block),
                _ => (0.0, 0..0),
            };
            let (sin, cos) = turned.to_radians().sin_cos();
            for (range, part) in [(a * block..(a + 1) * block, cos), (to, sin)] {
                let load = part / (range.len().max(1) as f64).sqrt();
                row[range].iter_mut().for_each(|x| *x += load * score);
            }
        }
        let sd = (1.0 + (SPIKES[ONE / block] - 1.0) / block as f64).sqrt();
        match self.change {
            Change::Mean(shift) => row[ONE] += shift * sd,
            Change::Feature(factor) => row[ONE] *= factor.sqrt(),
            _ => {}
        }
    }

    /// The next rows, in `rows` too.
    pub(super) fn minibatch(&mut self, rows: &mut Vec<f64>) -> Minibatch {
        rows.clear();
        for _ in 0..MINIBATCH {
            self.push(rows);
        }
        Minibatch::from_rows(rows, self.features)
    }
}
