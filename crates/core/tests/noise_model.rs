//! The likelihood follows the noise: equal where it is equal, a variance for each feature where it is not.

#![allow(clippy::expect_used, clippy::print_stdout)]

use faer::Mat;
use faer::linalg::solvers::Solve as _;
use ojad_core::{Estimate, NoiseModel, Pca, Projection, Rows, ScoreBuffers};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

const M: usize = 20;
const K: usize = 2;

/// Two components of variance 25 and 12 that all features share, in noise of these variances.
struct Law {
    loadings: [[f64; M]; K],
    noise: [f64; M],
}

impl Law {
    /// Noise of variance 1 to `ratio`, in geometric progression.
    fn new(ratio: f64) -> Self {
        let share = 1.0 / (M as f64).sqrt();
        let mut loadings = [[0.0; M]; K];
        let mut noise = [1.0; M];
        for j in 0..M {
            loadings[0][j] = 5.0 * share;
            loadings[1][j] = 12.0_f64.sqrt() * share * if j % 2 == 0 { 1.0 } else { -1.0 };
            noise[j] = ratio.powf(j as f64 / (M - 1) as f64);
        }
        Self { loadings, noise }
    }

    fn rows(&self, count: usize, seed: u64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = move || -> f64 { StandardNormal.sample(&mut random) };
        let mut values = Vec::with_capacity(count * M);
        for _ in 0..count {
            let z = [normal(), normal()];
            for j in 0..M {
                let common = z[0] * self.loadings[0][j] + z[1] * self.loadings[1][j];
                values.push(3.0 + common + self.noise[j].sqrt() * normal());
            }
        }
        values
    }

    fn covariance(&self) -> Mat<f64> {
        Mat::from_fn(M, M, |a, b| {
            let common: f64 = (0..K)
                .map(|i| self.loadings[i][a] * self.loadings[i][b])
                .sum();
            common + if a == b { self.noise[a] } else { 0.0 }
        })
    }
}

fn estimate(values: &[f64]) -> Estimate {
    let mut pca = Pca::builder().components(K).build(M).expect("k < m");
    pca.update(&Rows::from_f64(values, M)).expect("finite");
    pca.estimate().expect("finite")
}

fn log_likelihood(estimate: &Estimate, values: &[f64]) -> Vec<f64> {
    let projection = Projection::of(estimate);
    let scores = projection.score_rows(&Rows::from_f64(values, M), &mut ScoreBuffers::default());
    scores.log_likelihood
}

/// ln N(x; mean, covariance) of each row, by dense algebra.
fn dense(covariance: &Mat<f64>, mean: &[f64], values: &[f64]) -> Vec<f64> {
    let factor = covariance.llt(faer::Side::Lower).expect("positive");
    let determinant: f64 = (0..M).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    let norm = M as f64 * (2.0 * std::f64::consts::PI).ln() + determinant;
    let rows = values.chunks_exact(M);
    rows.map(|row| {
        let z = Mat::from_fn(M, 1, |j, _| row[j] - mean[j]);
        let distance = (z.transpose() * factor.solve(&z))[(0, 0)];
        -0.5 * (norm + distance)
    })
    .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn equal_noise_is_seen_as_equal_and_unequal_noise_as_unequal() {
    for seed in 0..20 {
        let equal = estimate(&Law::new(1.0).rows(1_000, seed));
        assert_eq!(equal.noise_model(), NoiseModel::Equal, "{seed}");
        let unequal = estimate(&Law::new(3.0).rows(1_000, seed));
        assert_eq!(unequal.noise_model(), NoiseModel::Unequal, "{seed}");
    }
}

#[test]
fn fresh_rows_are_as_likely_as_under_the_law_itself() {
    let law = Law::new(10.0);
    let estimate = estimate(&law.rows(20_000, 1));
    let fresh = law.rows(5_000, 2);
    let ours = mean(&log_likelihood(&estimate, &fresh));
    let best = mean(&dense(&law.covariance(), &[3.0; M], &fresh));
    // Probabilistic PCA with the same two components.
    let variance =
        (estimate.total_variance - estimate.eigenvalues.iter().sum::<f64>()) / (M - K) as f64;
    let equal = Mat::from_fn(M, M, |a, b| {
        let common: f64 = (0..K)
            .map(|i| {
                (estimate.eigenvalues[i] - variance) * estimate.vector(i)[a] * estimate.vector(i)[b]
            })
            .sum();
        common + if a == b { variance } else { 0.0 }
    });
    let equal = mean(&dense(&equal, &estimate.mean, &fresh));
    println!("per row: law {best:.3}, ours {ours:.3}, equal noise {equal:.3}");
    assert!(best - ours < 0.15 * (best - equal), "{best} {ours} {equal}");
}

#[test]
fn it_is_the_density_of_a_covariance_with_the_features_own_variances() {
    let law = Law::new(10.0);
    let estimate = estimate(&law.rows(3_000, 3));
    let variance =
        (estimate.total_variance - estimate.eigenvalues.iter().sum::<f64>()) / (M - K) as f64;
    let covariance = Mat::from_fn(M, M, |a, b| {
        let common: f64 = (0..K)
            .map(|i| {
                (estimate.eigenvalues[i] - variance) * estimate.vector(i)[a] * estimate.vector(i)[b]
            })
            .sum();
        if a == b { estimate.variance[a] } else { common }
    });
    let fresh = law.rows(50, 4);
    let ours = log_likelihood(&estimate, &fresh);
    let theirs = dense(&covariance, &estimate.mean, &fresh);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(
            (ours - theirs).abs() < 1e-9 * theirs.abs(),
            "{ours} {theirs}"
        );
    }
}

#[test]
fn a_constant_feature_counts_when_it_moves() {
    let law = Law::new(10.0);
    let mut values = law.rows(3_000, 5);
    values.chunks_exact_mut(M).for_each(|row| row[4] = 1.5);
    let estimate = estimate(&values);
    assert_eq!(estimate.noise_model(), NoiseModel::Unequal);
    let mut fresh = values[..M].to_vec();
    let still = log_likelihood(&estimate, &fresh)[0];
    fresh[4] = 11.5;
    let moved = log_likelihood(&estimate, &fresh)[0];
    assert!(still.is_finite() && moved < still - 5.0, "{still} {moved}");
}
