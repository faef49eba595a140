//! Error bars hold the truth as often as they say, on rows that follow each other too.
//!
//! 200 data sets of a law whose eigenvalues are known: a share that is right at 95% has a standard error of
//! √(0.95·0.05/200) = 0.015, and is allowed three of them.

#![allow(clippy::expect_used, missing_docs)]

use ojad_core::{Estimate, Pca, PcaBuilder, Penalty, Rows};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// Variances of the features, which are the components.
const VARIANCES: [f64; 6] = [12.0, 6.0, 3.0, 1.0, 1.0, 1.0];

/// `n` rows of independent features that follow their last values by `rho`.
fn autoregressive(n: usize, rho: f64, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let mut last = VARIANCES.map(|_| normal());
    let mut values = Vec::with_capacity(n * last.len());
    for _ in 0..n {
        for (v, variance) in last.iter_mut().zip(VARIANCES) {
            *v = rho * *v + (1.0 - rho * rho).sqrt() * normal();
            values.push(variance.sqrt() * *v);
        }
    }
    values
}

fn fitted(builder: &PcaBuilder, values: &[f64]) -> Pca {
    let m = VARIANCES.len();
    let mut pca = builder.clone().build(m).expect("k <= m");
    pca.update(&Rows::from_f64(values, m)).expect("finite");
    pca
}

/// Shares of 200 data sets in which λᵢ ± 1.96 stderr holds the truth, for three components.
fn coverage(estimate: impl Fn(u64) -> Estimate) -> [f64; 3] {
    let mut held = [0.0; 3];
    for seed in 0..200 {
        let estimate = estimate(seed);
        for (i, held) in held.iter_mut().enumerate() {
            let off = (estimate.eigenvalues[i] - VARIANCES[i]).abs();
            *held += f64::from(u8::from(off <= 1.96 * estimate.eigenvalue_stderr[i])) / 200.0;
        }
    }
    held
}

fn assert_right(held: [f64; 3], of: &str) {
    assert!(
        held.iter().all(|share| (0.90..=0.99).contains(share)),
        "{of}: {held:?}"
    );
}

#[test]
fn bars_cover_on_rows_that_follow_each_other() {
    for (rho, n) in [(0.0, 1_500), (0.5, 1_500), (0.9, 4_000)] {
        let builder = Pca::builder().components(3);
        let found = coverage(|seed| {
            let pca = fitted(&builder, &autoregressive(n, rho, seed));
            pca.estimate().expect("finite")
        });
        assert_right(found, &format!("rho = {rho}"));
    }
}

#[test]
fn bars_do_not_hang_on_the_minibatch() {
    for rows in [1, 7, 100, 4_000] {
        let builder = Pca::builder().components(3).minibatch(rows);
        let mut ratio = [0.0; 3];
        for seed in 0..20 {
            let pca = fitted(&builder, &autoregressive(4_000, 0.9, seed));
            let bars = pca.estimate().expect("finite").eigenvalue_stderr;
            for (i, ratio) in ratio.iter_mut().enumerate() {
                // One row in 9.5 tells something new: (1 + ρ²)/(1 − ρ²).
                let right = VARIANCES[i] * (2.0 * 9.53 / 4_000.0_f64).sqrt();
                *ratio += bars[i] / right / 20.0;
            }
        }
        // A bar of some ten runs is off by 1 in √(2·10), and wider by Student's factor for them, up to 1.15.
        assert!(
            ratio.iter().all(|r| (0.85..1.3).contains(r)),
            "{rows}: {ratio:?}"
        );
    }
}

#[test]
fn merged_bars_are_those_of_one_pass() {
    // Four parts, each on another scale: what the mean of their covariances is off by is what each is off
    // by, and not how they differ.
    let m = VARIANCES.len();
    let scales = [0.5, 1.0, 1.5, 2.0];
    let builder = Pca::builder().components(3);
    let (mut ratio, mut covered) = ([0.0; 3], [0.0; 3]);
    for seed in 0..200 {
        let mut values = autoregressive(4_000, 0.0, seed);
        for (part, scale) in values.chunks_mut(1_000 * m).zip(scales) {
            part.iter_mut().for_each(|v| *v *= scale);
        }
        let one = fitted(&builder, &values).estimate().expect("finite");
        let parts: Vec<Pca> = values
            .chunks(1_000 * m)
            .map(|part| fitted(&builder, part))
            .collect();
        let merged = Pca::merge(&parts).expect("same features");
        let merged = merged.estimate(3, Penalty::Auto);
        let mean_square = scales.iter().map(|s| s * s).sum::<f64>() / 4.0;
        for i in 0..3 {
            ratio[i] += merged.eigenvalue_stderr[i] / one.eigenvalue_stderr[i] / 200.0;
            let off = (merged.eigenvalues[i] - mean_square * VARIANCES[i]).abs();
            let holds = off <= 1.96 * merged.eigenvalue_stderr[i];
            covered[i] += f64::from(u8::from(holds)) / 200.0;
        }
    }
    assert!(ratio.iter().all(|r| (0.9..=1.1).contains(r)), "{ratio:?}");
    assert_right(covered, "merged");
}
