//! Shards learned apart and merged stand where one pass stands.

use ojad::learner::{Estimate, LearnerParams, Summary, merge, merge_all};
use rand_distr::StandardNormal;

use crate::reference::{Rows, batch, distance, fitted, learned, planted, spikes};

fn shards(rows: &Rows, count: usize, params: &LearnerParams) -> Vec<Summary> {
    let each = rows.n().div_ceil(count);
    (0..count)
        .map(|i| rows.range(i * each, ((i + 1) * each).min(rows.n())))
        .map(|shard| learned(&shard, params).summary().expect("finite"))
        .collect()
}

fn fold(states: &[Summary]) -> Summary {
    merge_all(&states.iter().collect::<Vec<_>>()).expect("same features")
}

fn read(state: &Summary, params: &LearnerParams) -> Estimate {
    state.estimate(params.components, params.penalty)
}

/// sin² of merged shards ÷ that of one pass.
fn cost_of_sharding(spectrum: &[f64], count: usize) -> f64 {
    let (rows, _) = planted(16_000, spectrum, 1.0, 1, &StandardNormal);
    let params = LearnerParams {
        minibatch: Some(64),
        ..LearnerParams::default()
    };
    let (values, truth) = batch(&rows, 10, |_| 1.0);
    let one = distance(&fitted(&rows, &params), &truth);
    let merged = read(&fold(&shards(&rows, count, &params)), &params);
    assert_eq!(merged.rows, 16_000);
    for (ours, batch) in merged.eigenvalues.iter().zip(&values) {
        assert!((ours / batch - 1.0).abs() < 0.05, "{count}: {ours} {batch}");
    }
    distance(&merged, &truth) / one
}

#[test]
fn shards_of_a_power_law_merge_to_one_pass() {
    let power: Vec<f64> = (1..=200).map(|j| 1.0 / f64::from(j)).collect();
    for (count, most) in [(2, 3.0), (3, 3.0), (8, 3.0), (64, 12.0)] {
        let cost = cost_of_sharding(&power, count);
        assert!(cost <= most, "{count} shards: {cost} times one pass");
    }
}

#[test]
fn shards_of_a_flat_noise_floor_cost_what_they_cannot_remember() {
    // Each shard forgets how its noise leans towards the components, once a shard instead of once
    // a row that is new: the loss grows with the number of shards.
    for (count, most) in [(2, 3.0), (8, 8.0), (64, 64.0)] {
        let cost = cost_of_sharding(&spikes(200, 10, 20.0, 4.0), count);
        assert!(cost <= most, "{count} shards: {cost} times one pass");
    }
}

#[test]
fn moments_add_exactly_whatever_the_shards() {
    let (rows, _) = planted(4_000, &spikes(50, 3, 9.0, 4.0), 1e3, 2, &StandardNormal);
    let params = LearnerParams {
        components: 3,
        ..LearnerParams::default()
    };
    let one = fitted(&rows, &params);
    for count in [2, 3, 8, 64] {
        let merged = read(&fold(&shards(&rows, count, &params)), &params);
        for (a, b) in one.mean.iter().zip(&merged.mean) {
            assert!((a / b - 1.0).abs() < 1e-13);
        }
        for (a, b) in one.variance.iter().zip(&merged.variance) {
            assert!((a / b - 1.0).abs() < 1e-10);
        }
        assert!((one.total_variance / merged.total_variance - 1.0).abs() < 1e-10);
        // All directions are held, so nothing is truncated and the merge is exact.
        for (a, b) in one.eigenvalues.iter().zip(&merged.eigenvalues) {
            assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        }
    }
}

#[test]
fn merging_is_associative_up_to_what_is_cut() {
    let (rows, _) = planted(9_000, &spikes(200, 10, 20.0, 4.0), 0.0, 3, &StandardNormal);
    let params = LearnerParams::default();
    let states = shards(&rows, 3, &params);
    let left = merge(&merge(&states[0], &states[1]).expect("same"), &states[2]).expect("same");
    let right = merge(&states[0], &merge(&states[1], &states[2]).expect("same")).expect("same");
    // Weyl: two orders differ by at most the largest eigenvalue that either cut, after σ² was
    // taken off: the largest noise eigenvalue of a shard, (1 + √(m/n))² − 1, at a third of weight.
    let n = 3_000.0_f64;
    let cut = (1.0 + (200.0 / n).sqrt()).powi(2) - 1.0;
    for (a, b) in left.eigenvalues.iter().zip(&right.eigenvalues).take(10) {
        assert!((a - b).abs() <= cut / 3.0, "{a} {b}");
    }
    assert!((left.total / right.total - 1.0).abs() < 1e-13);
}

#[test]
fn states_of_other_features_do_not_merge() {
    let params = LearnerParams {
        components: 2,
        ..LearnerParams::default()
    };
    let state = |m| {
        learned(&Rows::new(vec![1.0; 3 * m], m), &params)
            .summary()
            .expect("finite")
    };
    let error = merge(&state(4), &state(5))
        .expect_err("refused")
        .to_string();
    assert!(error.contains('4') && error.contains('5'), "{error}");
}
