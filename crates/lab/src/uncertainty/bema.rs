//! Bulk eigenvalue matching analysis: noise whose variances are of a gamma law, fitted to the middle eigenvalues.
//!
//! In: eigenvalues of a sample covariance matrix. Out: how many exceed what such noise shows once in ten data sets. The
//! law of noise eigenvalues is simulated, as the authors' program does (ten matrices a shape parameter for the bulk),
//! but for a grid of shape parameters, once for all data sets of one size.
//!
//! Source: Ke, Ma and Lin 2021, algorithm 2 (α = 0.2, β = 0.1).

use std::sync::OnceLock;

use faer::Mat;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, Gamma};

use super::rows::normal;
use super::spectrum::eigenvalues;
use crate::LabError;

/// Share of eigenvalues left out of the fit at either end.
const ALPHA: f64 = 0.2;

/// Probability that the largest eigenvalue of noise lies above the threshold.
const BETA: f64 = 0.1;

/// Shape parameters θ, evenly on a logarithmic scale between these: variances from very unequal to nearly equal.
const SHAPES: usize = 24;
const SHAPE_LEAST: f64 = 0.1;
const SHAPE_MOST: f64 = 50.0;

/// Matrices whose eigenvalues are averaged for the bulk.
const BULKS: u64 = 10;

/// Matrices whose largest eigenvalues give the threshold.
const EDGES: u64 = 100;

/// Eigenvalues of noise in data sets of one size.
#[derive(Debug)]
pub(super) struct Null {
    features: usize,
    rows: usize,
    bulks: OnceLock<Option<Vec<Vec<f64>>>>,
    edges: [OnceLock<Option<f64>>; SHAPES],
}

fn shape(index: usize) -> f64 {
    SHAPE_LEAST * (SHAPE_MOST / SHAPE_LEAST).powf(index as f64 / (SHAPES - 1) as f64)
}

impl Null {
    /// Nothing is simulated yet.
    pub(super) fn new((features, rows): (usize, usize)) -> Self {
        Self {
            features,
            rows,
            bulks: OnceLock::new(),
            edges: [const { OnceLock::new() }; SHAPES],
        }
    }

    /// Eigenvalues of simulated noise, descending.
    fn draw(&self, index: usize, number: u64) -> Option<Vec<f64>> {
        let mut random = ChaCha8Rng::seed_from_u64(1_000 * index as u64 + number);
        let gamma = Gamma::new(shape(index), 1.0).ok()?;
        let variances = (0..self.features).map(|_| gamma.sample(&mut random));
        let deviations: Vec<f64> = variances.map(f64::sqrt).collect();
        let rows = Mat::from_fn(self.rows, self.features, |_, j| {
            deviations[j] * normal(&mut random)
        });
        eigenvalues(rows.as_ref()).ok()
    }

    /// Mean eigenvalues of each shape parameter.
    fn bulks(&self) -> Option<&Vec<Vec<f64>>> {
        let mean = |index: usize| {
            let mut sum = vec![0.0; self.features.min(self.rows)];
            for number in 0..BULKS {
                let values = self.draw(index, number)?;
                sum.iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += value / BULKS as f64);
            }
            Some(sum)
        };
        let all = || (0..SHAPES).map(mean).collect();
        self.bulks.get_or_init(all).as_ref()
    }

    /// The largest eigenvalue that is exceeded with probability β.
    fn edge(&self, index: usize) -> Option<f64> {
        let quantile = || {
            let largest = (0..EDGES).map(|i| Some(*self.draw(index, BULKS + i)?.first()?));
            let mut largest: Vec<f64> = largest.collect::<Option<_>>()?;
            largest.sort_by(f64::total_cmp);
            largest.get(((1.0 - BETA) * EDGES as f64) as usize).copied()
        };
        *self.edges[index].get_or_init(quantile)
    }

    /// How many of `values` (descending, min(n, m) of them, divisor n) lie above noise.
    pub(super) fn above(&self, values: &[f64]) -> Result<usize, LabError> {
        let bulks = self.bulks().ok_or(LabError::NotFinite)?;
        let count = values.len() as f64;
        let middle = (ALPHA * count) as usize..((1.0 - ALPHA) * count) as usize;
        let mut best = (f64::INFINITY, 0, 0.0);
        for (index, bulk) in bulks.iter().enumerate() {
            let (bulk, values) = (&bulk[middle.clone()], &values[middle.clone()]);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let scale = dot(bulk, values) / dot(bulk, bulk);
            let away = bulk
                .iter()
                .zip(values)
                .map(|(b, v)| (scale * b - v).powi(2));
            let away: f64 = away.sum();
            if away < best.0 {
                best = (away, index, scale);
            }
        }
        let (_, index, scale) = best;
        let edge = scale * self.edge(index).ok_or(LabError::NotFinite)?;
        Ok(values.iter().filter(|value| **value > edge).count())
    }
}
