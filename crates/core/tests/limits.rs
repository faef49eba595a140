//! Fresh rows exceed a limit as often as it says, whatever their law; and the limits are a function of the rows.

#![allow(clippy::expect_used)]

use ojad_core::{
    Estimate, Forgetting, Method, Pca, PcaBuilder, Projection, ReferenceDistribution, Rows,
    ScoreBuffers, Scores,
};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution as _, StandardNormal};

const M: usize = 12;
const K: usize = 3;

fn builder() -> PcaBuilder {
    Pca::builder().components(K)
}

/// Rows of three components of 25, 16 and 9 in a rest that decays by 0.6 from one direction to the next; each row
/// is divided by a common √(χ²/ν), if there is a ν.
fn rows(count: usize, freedom: Option<f64>, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(count * M);
    for _ in 0..count {
        let common = freedom.map_or(1.0, |freedom| {
            let law = ChiSquared::new(freedom).expect("positive");
            (freedom / law.sample(&mut random)).sqrt()
        });
        for j in 0..M {
            let normal: f64 = StandardNormal.sample(&mut random);
            let deviation = match j {
                0..K => 5.0 - j as f64,
                _ => 0.6_f64.powf((j - K) as f64).sqrt(),
            };
            values.push(7.0 + common * deviation * normal);
        }
    }
    values
}

fn learned(values: &[f64]) -> Pca {
    let mut pca = builder().build(M).expect("k <= m");
    pca.update(&Rows::from_f64(values, M)).expect("finite");
    pca
}

fn scored(estimate: &Estimate, values: &[f64]) -> Scores {
    let rows = Rows::from_f64(values, M);
    Projection::of(estimate).score_rows(&rows, &mut ScoreBuffers::default())
}

/// Shares of p-values below 1% and 0.1%.
fn shares(p_values: &[f64]) -> [f64; 2] {
    [0.01, 0.001]
        .map(|limit| p_values.iter().filter(|p| **p < limit).count() as f64 / p_values.len() as f64)
}

#[test]
fn p_values_are_false_alarm_rates_for_a_decaying_rest_and_for_heavy_tails() {
    for freedom in [None, Some(5.0)] {
        let mut found = [[0.0; 2]; 3];
        let mut by_chi_squared = 0.0;
        let sets = 32;
        for seed in 0..sets {
            let estimate = learned(&rows(20_000, freedom, seed))
                .estimate()
                .expect("finite");
            let fresh = rows(40_000, freedom, 1_000 + seed);
            let scores = scored(&estimate, &fresh);
            let all = [
                &scores.p_value,
                &scores.residual_p_value,
                &scores.t2_p_value,
            ];
            for (sum, p_values) in found.iter_mut().zip(all) {
                for (sum, share) in sum.iter_mut().zip(shares(p_values)) {
                    *sum += share / sets as f64;
                }
            }
            let plain = Estimate {
                limits: None,
                ..estimate
            };
            by_chi_squared += shares(&scored(&plain, &fresh).residual_p_value)[0] / sets as f64;
        }
        // What this replaces.
        assert!(by_chi_squared > 0.04, "{by_chi_squared}");
        for [one_percent, per_mille] in found {
            // Some 2,000 rows behind each of 32 limits: standard errors of 3% and 8%.
            assert!(
                (0.008..0.0125).contains(&one_percent),
                "{freedom:?}: {found:?}"
            );
            assert!(
                (0.0007..0.0014).contains(&per_mille),
                "{freedom:?}: {found:?}"
            );
        }
    }
}

#[test]
fn limits_follow_the_rows_under_forgetting() {
    let mut pca = builder()
        .forgetting(Forgetting::HalfLifeRows(4_000.0))
        .build(M)
        .expect("k <= m");
    let before = rows(40_000, None, 1);
    let mut after = rows(40_000, None, 2);
    after.iter_mut().for_each(|v| *v *= 3.0);
    pca.update(&Rows::from_f64(&before, M)).expect("finite");
    let old = pca.estimate().expect("finite").limits_in_force();
    pca.update(&Rows::from_f64(&after, M)).expect("finite");
    let estimate = pca.estimate().expect("finite");
    let (old, new) = (old.residual.expect("a rest"), estimate.limits_in_force());
    let new = new.residual.expect("a rest");
    // Nine times the squares; each limit is one of some thousands of rows.
    let ratio = new.limit(0.01) / old.limit(0.01);
    assert!((8.0..10.1).contains(&ratio), "{ratio}");
    let mut fresh = rows(40_000, None, 3);
    fresh.iter_mut().for_each(|v| *v *= 3.0);
    let [one_percent, _] = shares(&scored(&estimate, &fresh).residual_p_value);
    assert!((0.007..0.014).contains(&one_percent), "{one_percent}");
}

#[test]
fn limits_are_those_of_the_rows_after_a_change() {
    // A level jumps, or two features come in other units: what was scored right after it has residuals of another size.
    let jump: fn(&mut [f64]) = |row| row[M - 1] += 300.0;
    let units: fn(&mut [f64]) = |row| row[M - 4..M - 2].iter_mut().for_each(|v| *v *= 100.0);
    for change in [jump, units] {
        let mut shares_of_one_percent = 0.0;
        for seed in 0..8 {
            let mut values = rows(8_500, None, seed);
            values.chunks_exact_mut(M).skip(6_000).for_each(change);
            let estimate = learned(&values).estimate().expect("finite");
            let mut fresh = rows(20_000, None, 100 + seed);
            fresh.chunks_exact_mut(M).for_each(change);
            shares_of_one_percent += shares(&scored(&estimate, &fresh).residual_p_value)[0] / 8.0;
        }
        assert!(
            (0.004..0.03).contains(&shares_of_one_percent),
            "{shares_of_one_percent}"
        );
    }
}

#[test]
fn tails_without_a_mean_keep_their_limits() {
    // Of Cauchy rows a single one may have most of all squares; whether it is among those scored changes no quantile.
    for seed in 0..24 {
        let estimate = learned(&rows(20_000, Some(1.0), seed))
            .estimate()
            .expect("finite");
        let residual = estimate.limits_in_force().residual.expect("a rest");
        assert_eq!(residual.method(), Method::Empirical, "{seed}");
        let fresh = rows(20_000, Some(1.0), 100 + seed);
        let [one_percent, _] = shares(&scored(&estimate, &fresh).residual_p_value);
        assert!(
            (0.003..0.03).contains(&one_percent),
            "{seed}: {one_percent}"
        );
    }
}

#[test]
fn limits_do_not_depend_on_how_the_rows_come_or_on_saving() {
    let values = rows(9_000, None, 4);
    let expected = learned(&values).estimate().expect("finite");
    assert!(expected.limits.is_some());
    let mut pca = builder().build(M).expect("k <= m");
    for (i, piece) in values.chunks(777 * M).enumerate() {
        pca.update(&Rows::from_f64(piece, M)).expect("finite");
        // Looking at it changes nothing either.
        pca.estimate().expect("finite");
        if i % 3 == 0 {
            pca = Pca::from_bytes(&pca.to_bytes()).expect("just written");
        }
    }
    assert_eq!(pca.estimate().expect("finite"), expected);
}

#[test]
fn the_method_is_told_and_depends_on_the_rows() {
    let method = |count: usize| {
        let limits = learned(&rows(count, None, 5)).estimate().expect("finite");
        limits.limits_in_force().residual.expect("a rest").method()
    };
    // A minibatch has 512 rows, of which none is scored before it is learned.
    assert_eq!(method(500), Method::ChiSquared);
    assert_eq!(method(800), Method::Box);
    assert_eq!(method(3_000), Method::Empirical);
    let words = learned(&rows(3_000, None, 5)).estimate().expect("finite");
    let words = words.limits_in_force().in_words();
    assert!(
        words.contains("residual_p_value: empirical, of "),
        "{words}"
    );
}

/// Variance and mean of the residual say what g·χ²_h says: θ₂/θ₁ and θ₁²/θ₂ of the rest's eigenvalues θ.
#[test]
fn boxs_law_has_the_traces_of_the_rest() {
    let estimate = learned(&rows(200_000, None, 6)).estimate().expect("finite");
    let law = estimate.limits_in_force().residual.expect("a rest");
    let eigenvalues = || (0..M - K).map(|i| 0.6_f64.powf(i as f64));
    let (theta1, theta2): (f64, f64) = (eigenvalues().sum(), eigenvalues().map(|v| v * v).sum());
    let (g, h) = (
        law.variance / (2.0 * law.mean),
        2.0 * law.mean.powi(2) / law.variance,
    );
    // Ten thousand rows: mean within 1%, variance within 5% (three standard errors).
    assert!(
        (law.mean / theta1 - 1.0).abs() < 0.03,
        "{} {theta1}",
        law.mean
    );
    assert!((g / (theta2 / theta1) - 1.0).abs() < 0.08, "{g}");
    assert!((h / (theta1 * theta1 / theta2) - 1.0).abs() < 0.08, "{h}");
}

#[test]
fn merged_parts_keep_the_limits_if_they_are_alike_and_else_say_chi_squared() {
    let parts: Vec<Pca> = (0..4)
        .map(|seed| learned(&rows(8_000, Some(5.0), seed)))
        .collect();
    let penalty = parts[0].params().penalty;
    let merged = Pca::merge(&parts).expect("alike").estimate(K, penalty);
    let limits = merged.limits_in_force();
    assert_eq!(
        limits.distance.map(|law| law.method()),
        Some(Method::Empirical)
    );
    let fresh = rows(40_000, Some(5.0), 100);
    let [one_percent, per_mille] = shares(&scored(&merged, &fresh).residual_p_value);
    assert!((0.008..0.0125).contains(&one_percent), "{one_percent}");
    assert!((0.0005..0.0018).contains(&per_mille), "{per_mille}");
    // Other components are left than those by which its rows were scored.
    let mut turned = rows(8_000, Some(5.0), 9);
    turned.chunks_exact_mut(M).for_each(<[f64]>::reverse);
    let merged = Pca::merge([&parts[0], &learned(&turned)]).expect("as many features");
    let limits = merged.estimate(K, penalty).limits_in_force();
    assert_eq!(
        limits.residual.map(|law| law.method()),
        Some(Method::ChiSquared)
    );
    assert_eq!(
        limits.distance.map(|law| law.method()),
        Some(Method::ChiSquared)
    );
}

#[test]
fn a_limit_is_the_inverse_of_its_p_value() {
    let estimate = learned(&rows(20_000, Some(5.0), 7))
        .estimate()
        .expect("finite");
    let laws = estimate.limits_in_force();
    let all = [laws.residual, laws.t2, laws.distance].map(|law| law.expect("measured"));
    let empty = ReferenceDistribution::default();
    for law in all.into_iter().chain([ReferenceDistribution {
        rows: 200.0,
        mean: 3.0,
        variance: 5.0,
        ..empty
    }]) {
        let mut last = 0.0;
        for probability in [0.9, 0.5, 0.1, 0.05, 0.01, 1e-3, 1e-6, 1e-12] {
            let limit = law.limit(probability);
            assert!(limit > last, "{limit} {last}");
            assert!(
                (law.p_value(limit) / probability - 1.0).abs() < 1e-9,
                "{law:?}"
            );
            last = limit;
        }
        assert_eq!(law.p_value(0.0).to_bits(), 1.0_f64.to_bits());
        assert!(law.p_value(f64::NAN).is_nan());
    }
}
