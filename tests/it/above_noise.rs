//! The number of components above noise is right where features differ, depend on each other or have heavy tails and
//! where rows follow each other, and every output names the rule that told it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use ojad::codec::{Decoder, Encoder};
use ojad::learner::{self, Estimate, LearnerParams, NoiseRule};
use ojad::rows::Minibatch;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::feeds::parquet;
use crate::program::{ojad, succeeded};
use crate::reference::{Rows, fitted, learned};

/// Data sets of each kind.
const SETS: u64 = 10;

/// Noise of every kind in m features, and `truth` components of 20, 14 and 10 times its mean variance.
struct Kind {
    /// Ratio of the largest deviation of a feature to the smallest.
    levels: f64,
    /// Correlation of neighbouring features.
    among: f64,
    /// Correlation of neighbouring rows, of components too.
    in_time: f64,
}

const EQUAL: Kind = Kind {
    levels: 1.0,
    among: 0.0,
    in_time: 0.0,
};

fn draw(kind: &Kind, (m, n): (usize, usize), truth: usize, seed: u64) -> Rows {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let level = |j: usize| kind.levels.powf(j as f64 / (m - 1) as f64);
    let square = (0..m).map(|j| level(j).powi(2)).sum::<f64>() / m as f64;
    // Random signs over all features, which are orthogonal to within 1/√m.
    let signs: Vec<f64> = (0..m * truth).map(|_| normal().signum()).collect();
    let mut last: Vec<f64> = (0..m + truth).map(|_| normal()).collect();
    let new = |rho: f64| (1.0 - rho * rho).sqrt();
    let mut values = Vec::with_capacity(n * m);
    for _ in 0..n {
        for v in &mut last {
            *v = kind.in_time * *v + new(kind.in_time) * normal();
        }
        let mut before = last[0];
        for j in 0..m {
            before = match j {
                0 => before,
                _ => kind.among * before + new(kind.among) * last[j],
            };
            let components = (0..truth).map(|i| {
                let size = ([20.0, 14.0, 10.0][i] * square / m as f64).sqrt();
                size * signs[i * m + j] * last[m + i]
            });
            values.push(level(j) * before + components.sum::<f64>());
        }
    }
    Rows::new(values, m)
}

fn estimate(rows: &Rows) -> Estimate {
    fitted(rows, &LearnerParams::default())
}

/// In how many data sets the number is right, and by which rules.
fn right(kind: &Kind, shape: (usize, usize), truth: usize) -> (usize, Vec<NoiseRule>) {
    let all = (0..SETS).map(|seed| estimate(&draw(kind, shape, truth, seed)));
    let told: Vec<NoiseRule> = all
        .filter(|one| one.components_above_noise == Some(truth))
        .filter_map(|one| one.above_noise_rule)
        .collect();
    (told.len(), told)
}

/// Whole covariances, and directions held.
const SHAPES: [(usize, usize); 3] = [(20, 4_000), (100, 500), (320, 400)];

#[test]
fn features_with_noise_of_their_own_size_are_no_components() {
    for levels in [1.0, 3.0, 10.0] {
        for shape in SHAPES {
            for truth in [0, 3] {
                let (count, _) = right(&Kind { levels, ..EQUAL }, shape, truth);
                assert!(
                    count >= 9,
                    "{levels}, {shape:?}, {truth}: {count} of {SETS}"
                );
            }
        }
    }
}

#[test]
fn noise_that_is_correlated_among_features_is_told_by_its_gap() {
    for shape in SHAPES {
        for truth in [0, 3] {
            let kind = Kind {
                among: 0.5,
                ..EQUAL
            };
            let (count, rules) = right(&kind, shape, truth);
            assert!(count >= 9, "{shape:?}, {truth}: {count} of {SETS}");
            let by_gap = rules.iter().filter(|rule| **rule == NoiseRule::Gap);
            assert!(by_gap.count() >= 8, "{rules:?}");
        }
    }
}

#[test]
fn rows_that_follow_each_other_are_told_or_said_to_be_too_few() {
    let kind = Kind {
        in_time: 0.9,
        ..EQUAL
    };
    for shape in [(20, 4_000), (100, 500)] {
        for truth in [0, 3] {
            let (count, _) = right(&kind, shape, truth);
            assert!(count >= 9, "{shape:?}, {truth}: {count} of {SETS}");
        }
    }
    // 400 rows that are worth 42 independent ones: no rule tells three of 320 directions from none.
    for truth in [0, 3] {
        let estimate = estimate(&draw(&kind, (320, 400), truth, 1));
        assert_eq!(estimate.components_above_noise, None);
        assert_eq!(estimate.above_noise_rule, None);
    }
}

#[test]
fn the_number_survives_saving_and_merging() {
    let (kind, params) = (
        Kind {
            levels: 10.0,
            ..EQUAL
        },
        LearnerParams::default(),
    );
    for shape in [(100, 2_000), (320, 2_000)] {
        let rows = draw(&kind, shape, 3, 4);
        let one = learned(&rows, &params);
        let mut bytes = Encoder::new();
        one.save(&mut bytes);
        let bytes = bytes.into_bytes();
        let mut other = learner::new(&params, shape.0).expect("k <= m");
        let restored = other.restore(&mut Decoder::new("learner", &bytes));
        restored.expect("what was written is read");
        let more = Minibatch::from_rows(&rows.range(0, 256).values, shape.0);
        let mut one = one;
        one.update(more.clone()).expect("finite");
        other.update(more).expect("finite");
        let [one, other] = [one, other].map(|learner| learner.estimate().expect("finite"));
        assert_eq!(one, other);
        let halves = [rows.range(0, 1_000), rows.range(1_000, 2_000)];
        let [a, b] = halves.map(|half| learned(&half, &params).summary().expect("finite"));
        let merged = learner::merge(&a, &b)
            .expect("alike")
            .estimate(10, params.penalty);
        for estimate in [one, merged] {
            assert_eq!(estimate.components_above_noise, Some(3), "{shape:?}");
            assert_eq!(estimate.above_noise_rule, Some(NoiseRule::EdgeAndGap));
        }
    }
}

#[test]
fn every_output_names_the_rule() {
    let place = tempfile::tempdir().expect("a directory");
    let (input, model) = (
        place.path().join("rows.parquet"),
        place.path().join("model"),
    );
    let rows = draw(
        &Kind {
            among: 0.5,
            ..EQUAL
        },
        (100, 500),
        3,
        2,
    );
    let columns = (0..rows.m).map(|j| {
        let values = (0..rows.n()).map(|i| rows.values[i * rows.m + j]);
        let column: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        (format!("x{j}"), column)
    });
    let table = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("columns");
    parquet(&input, &table);
    let text = |args: &[&str], path: &std::path::Path, output: Option<&std::path::Path>| {
        let mut command = ojad();
        command.args(args).arg(path);
        if let Some(output) = output {
            command.arg("--output").arg(output);
        }
        let output = command.output().expect("it starts");
        succeeded(&output);
        String::from_utf8(output.stdout).expect("text")
    };
    let line = "3 components stand above noise (rule: gap)";
    assert!(text(&["fit"], &input, Some(&model)).contains(line));
    assert!(text(&["show"], &model, None).contains(line));
    let shown: serde_json::Value =
        serde_json::from_str(&text(&["show", "--json"], &model, None)).expect("JSON");
    assert_eq!(shown["components_above_noise"], 3);
    assert_eq!(shown["components_above_noise_rule"], "gap");
    let snapshot = std::fs::read_to_string(model.join("latest/snapshot.json")).expect("a file");
    let snapshot: serde_json::Value = serde_json::from_str(&snapshot).expect("JSON");
    assert_eq!(snapshot["components_above_noise_rule"], "gap");
}
