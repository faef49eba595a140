//! Error bars hold the truth as often as they say, on rows that follow each other too.
//!
//! 200 data sets of a law whose eigenvalues are known: a share that is right at 95% has a standard error of
//! √(0.95·0.05/200) = 0.015, and is allowed three of them.

#![allow(clippy::expect_used, missing_docs)]

use ojad_core::{Estimate, Forgetting, Missing, Pca, PcaBuilder, Penalty, Rows};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal, StudentT};

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

/// `n` rows of `m` independent features, of which the first have the variances `spikes` and the others 1.
fn spiked(
    n: usize,
    m: usize,
    spikes: &[f64],
    law: impl Fn(&mut ChaCha8Rng) -> f64,
    seed: u64,
) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let variance = |j: usize| spikes.get(j).copied().unwrap_or(1.0);
    (0..n * m)
        .map(|at| variance(at % m).sqrt() * law(&mut random))
        .collect()
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// In how many of `runs` data sets the intervals hold the truth, and the bounds the angle to the span of the features
/// from the first to the last that a component mixes with.
fn held(runs: u64, truth: &[f64], estimate: impl Fn(u64) -> Estimate) -> Vec<[f64; 2]> {
    let mut held = vec![[0.0; 2]; truth.len()];
    for seed in 0..runs {
        let estimate = estimate(seed);
        for (i, held) in held.iter_mut().enumerate() {
            let certainty = &estimate.certainty[i];
            let [low, high] = certainty.interval.expect("it stands above noise");
            held[0] += f64::from(u8::from((low..=high).contains(&truth[i]))) / runs as f64;
            let bound = certainty.angle_bound_rad.expect("known");
            let span = certainty.mixes.0..=certainty.mixes.1;
            let inside: f64 = span.map(|j| estimate.vector(i)[j].powi(2)).sum();
            let angle = (1.0 - inside).max(0.0).sqrt().asin();
            held[1] += f64::from(u8::from(angle <= bound)) / runs as f64;
        }
    }
    held
}

#[test]
fn few_rows_of_many_features_bias_no_interval() {
    // γ = 200/400: eigenvalues of 12 and 6 show as 12.5 and 6.6, two and three standard errors away.
    let truth = [12.0, 6.0];
    let found = held(100, &truth, |seed| {
        let values = spiked(400, 200, &truth, normal, seed);
        let mut pca = Pca::builder()
            .components(2)
            .oversampling(40)
            .build(200)
            .expect("k <= m");
        pca.update(&Rows::from_f64(&values, 200)).expect("finite");
        pca.estimate().expect("finite")
    });
    for [interval, angle] in &found {
        // √(0.95·0.05/100) = 0.022, three times; the bound may be wide, and one pass a little off.
        assert!(*interval >= 0.88 && *angle >= 0.80, "{found:?}");
    }
}

#[test]
fn missing_values_bias_no_interval() {
    let truth = [12.0, 6.0, 3.0];
    let m = 12;
    let found = held(200, &truth, |seed| {
        let mut values = spiked(2_000, m, &truth, normal, seed);
        let mut random = ChaCha8Rng::seed_from_u64(10_000 + seed);
        for v in &mut values {
            let uniform: f64 = rand::RngExt::random(&mut random);
            if uniform < 0.1 {
                *v = f64::NAN;
            }
        }
        let builder = Pca::builder().components(3).missing(Missing::Mean);
        let mut pca = builder.build(m).expect("k <= m");
        pca.update(&Rows::from_f64(&values, m)).expect("finite");
        pca.estimate().expect("finite")
    });
    for [interval, angle] in &found {
        assert!(*interval >= 0.90 && *angle >= 0.90, "{found:?}");
    }
}

#[test]
fn a_pair_that_cannot_be_told_apart_is_said_to_mix() {
    let truth = [10.0, 9.8, 3.0];
    let mixed = std::cell::Cell::new(0);
    let found = held(200, &truth, |seed| {
        let values = spiked(2_000, 12, &truth, normal, seed);
        let mut pca = Pca::builder().components(3).build(12).expect("k <= m");
        pca.update(&Rows::from_f64(&values, 12)).expect("finite");
        let estimate = pca.estimate().expect("finite");
        let mixes = [0, 1, 2].map(|i| estimate.certainty[i].mixes);
        mixed.set(mixed.get() + usize::from(mixes == [(0, 1), (0, 1), (2, 2)]));
        estimate
    });
    assert!(mixed.get() >= 180, "{}", mixed.get());
    for [_, angle] in &found {
        assert!((0.90..=0.995).contains(angle), "{found:?}");
    }
}

#[test]
fn tails_without_fourth_moments_have_no_error_bars() {
    let heavy = |freedom: f64, n: usize| {
        let law = StudentT::new(freedom).expect("a valid law");
        let heavy = |seed: u64| {
            let values = spiked(n, 6, &[12.0, 6.0], |random| law.sample(random), seed);
            let mut pca = Pca::builder().components(2).build(6).expect("k <= m");
            pca.update(&Rows::from_f64(&values, 6)).expect("finite");
            let estimate = pca.estimate().expect("finite");
            let certainty = &estimate.certainty[0];
            assert_eq!(
                certainty.is_heavy_tailed,
                estimate.eigenvalue_stderr[0].is_nan()
            );
            assert_eq!(certainty.is_heavy_tailed, certainty.interval.is_none());
            certainty.is_heavy_tailed
        };
        (0..40).filter(|seed| heavy(*seed)).count()
    };
    let (three, five) = (heavy(3.0, 8_000), heavy(5.0, 8_000));
    assert!(three >= 36 && five <= 4, "{three} {five}");
    assert_eq!(heavy(1e6, 8_000), 0);
}

/// The state of rows of m features, missing values at the mean.
fn learned(builder: PcaBuilder, m: usize, values: &[f64]) -> Pca {
    let mut pca = builder.missing(Missing::Mean).build(m).expect("k <= m");
    pca.update(&Rows::from_f64(values, m)).expect("finite");
    pca
}

#[test]
fn what_missing_values_leave_unknown_is_not_told() {
    for seed in 0..20 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = |n: usize, row: &dyn Fn(f64, f64) -> [f64; 2]| -> Vec<f64> {
            let mut values = Vec::with_capacity(2 * n);
            for _ in 0..n {
                let (a, b) = (normal(&mut random), normal(&mut random));
                for value in row(a, b) {
                    let uniform: f64 = rand::RngExt::random(&mut random);
                    values.push(if uniform < 0.2 { f64::NAN } else { value });
                }
            }
            values
        };
        // Two columns that are one: the second variance is 0, which no correction makes negative.
        let twins = learned(Pca::builder().components(2), 2, &rows(500, &|a, _| [a, a]));
        for one in &twins.estimate().expect("finite").certainty {
            let population = one.population_eigenvalue;
            assert!(population.is_none_or(|value| value >= 0.0), "{one:?}");
        }
        // About 0, mean² is part of the eigenvalue, and missing values at the mean take nothing from it.
        let builder = Pca::builder().components(1).center(false);
        let far = learned(builder, 2, &rows(1_000, &|a, b| [10.0 + a, 10.0 + b]));
        let estimate = far.estimate().expect("finite");
        assert_eq!(estimate.certainty[0].population_eigenvalue, None);
    }
}

#[test]
fn a_minibatch_of_a_thousand_half_lives_leaves_a_state_that_can_be_read() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f64> = (0..4 * 6_000).map(|_| normal(&mut random)).collect();
    let builder = Pca::builder()
        .components(2)
        .minibatch(3_000)
        .forgetting(Forgetting::HalfLifeRows(1.0));
    let pca = learned(builder, 4, &values);
    let again = Pca::from_bytes(&pca.to_bytes()).expect("what was written");
    assert_eq!(again.rows(), 6_000);
    assert!(again.estimate().expect("finite").eigenvalues[0].is_finite());
}

#[test]
fn a_span_of_all_that_varies_is_known() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows = (0..400).flat_map(|_| {
        let (a, b) = (normal(&mut random), normal(&mut random));
        [a, b, a, b, a, b]
    });
    let values: Vec<f64> = rows.collect();
    let estimate = learned(Pca::builder().components(2), 6, &values).estimate();
    for one in estimate.expect("finite").certainty {
        assert_eq!(one.mixes, (0, 1));
        let bound = one.angle_bound_rad.expect("nothing else varies");
        assert!(bound < 1e-3, "{bound}");
    }
}
