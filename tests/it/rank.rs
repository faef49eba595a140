//! Numbers at the edge: fewer rows, or directions in which they vary, than components; values whose squares or fourth
//! powers leave f64. What is not determined is marked as such in every output, and no number is NaN or infinite.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use ojad::codec::{Decoder, Encoder};
use ojad::learner::{self, Estimate, LearnerParams, Precision, Rule, Step};
use ojad::rows::Minibatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand_distr::StandardNormal;

use crate::feeds::{Place, parquet};
use crate::http::{Daemon, LISTEN};
use crate::program::{ojad, refused, succeeded};
use crate::reference::{Rows, batch, fitted, planted};

fn of(components: usize) -> LearnerParams {
    LearnerParams {
        components,
        ..LearnerParams::default()
    }
}

/// The closed form: all directions held, some held, full precision.
fn closed(components: usize) -> [LearnerParams; 3] {
    let few = LearnerParams {
        oversampling: Some(2),
        ..of(components)
    };
    let full = LearnerParams {
        precision: Precision::F64,
        ..of(components)
    };
    [of(components), few, full]
}

/// The same, and the plain rules.
fn all(components: usize) -> Vec<LearnerParams> {
    let rules = [Rule::Oja(Step::COverT(1.0)), Rule::MatrixStep { c: 1.0 }];
    let plain = rules.map(|rule| LearnerParams {
        rule,
        ..of(components)
    });
    closed(components).into_iter().chain(plain).collect()
}

/// Gaussian rows of m features that vary in the first directions of a random basis, by 9, 4 and 1.
fn of_rank_3(n: usize, m: usize) -> Rows {
    let mut spectrum = vec![0.0; m];
    spectrum[..3].copy_from_slice(&[9.0, 4.0, 1.0]);
    planted(n, &spectrum, 1.0, 3, &StandardNormal).0
}

fn gaussian(n: usize, m: usize) -> Rows {
    planted(n, &vec![1.0; m], 0.0, 5, &StandardNormal).0
}

/// The leading `determined` components have numbers; the others have eigenvalue 0 and nothing else.
fn assert_marked(estimate: &Estimate, determined: usize, what: &str) {
    assert_eq!(estimate.determined, determined, "{what}");
    for i in 0..estimate.components() {
        let length: f64 = estimate.vector(i).iter().map(|v| v * v).sum();
        if i < determined {
            assert!(estimate.eigenvalues[i] > 0.0, "{what}: {i}");
            assert!((length - 1.0).abs() < 1e-6, "{what}: {i}");
            continue;
        }
        assert!(
            estimate.eigenvalues[i] <= 0.0 && length <= 0.0,
            "{what}: {i}"
        );
        assert!(estimate.eigenvalue_stderr[i].is_nan(), "{what}: {i}");
        assert!(estimate.angle_stderr_rad[i].is_nan(), "{what}: {i}");
        assert!(!estimate.active[i], "{what}: {i}");
    }
}

#[test]
fn what_lies_beyond_the_rank_of_the_rows_is_not_determined() {
    for m in [20, 200] {
        let rows = of_rank_3(500, m);
        let (values, _) = batch(&rows, 3, |_| 1.0);
        for params in closed(10) {
            let estimate = fitted(&rows, &params);
            assert_marked(&estimate, 3, &format!("{m} features, {params:?}"));
            for (ours, right) in estimate.eigenvalues.iter().zip(&values) {
                assert!((ours / right - 1.0).abs() < 1e-4, "{ours} {right}");
            }
            // Nothing lies below them that they could be told from, or that noise could be.
            assert_eq!(estimate.components_above_noise, Some(3));
        }
    }
    let estimate = fitted(&of_rank_3(500, 20), &of(10));
    assert!(
        !estimate.above_noise_is_lower_bound,
        "all 20 directions are held"
    );
    for params in all(10) {
        let constant = Rows::new([3.7, -2.0, 0.0].repeat(7 * 100), 21);
        assert_marked(
            &fitted(&constant, &params),
            0,
            &format!("constant, {params:?}"),
        );
    }
}

#[test]
fn few_rows_determine_one_component_less_than_there_are_rows() {
    for (n, center, determined) in [(1, true, 0), (2, true, 1), (5, true, 4), (5, false, 5)] {
        let rows = gaussian(n, 20);
        for params in all(10) {
            let params = LearnerParams { center, ..params };
            let what = format!("{n} rows, {params:?}");
            let estimate = fitted(&rows, &params);
            assert!(estimate.determined <= determined, "{what}");
            if params.rule == Rule::ClosedForm {
                assert_marked(&estimate, determined, &what);
                let (values, _) = batch(&rows, determined, |_| 1.0);
                let both = estimate.eigenvalues.iter().zip(&values);
                for (ours, right) in both.take(if center { determined } else { 0 }) {
                    assert!((ours / right - 1.0).abs() < 1e-5, "{what}: {ours} {right}");
                }
            }
            // So few rows say nothing of the other directions, so the distance of these to the truth is unknown.
            let certainty = estimate.certainty.iter();
            let bounds =
                certainty.filter_map(|one| one.angle_bound_rad.or(one.population_eigenvalue));
            assert_eq!(bounds.count(), 0, "{what}");
            if params.rule == Rule::ClosedForm {
                let angles = estimate.angle_stderr_rad.iter();
                assert!(angles.clone().all(|angle| angle.is_nan()), "{what}");
            }
            // Plain noise: nothing of it may be told from noise.
            let count = estimate.components_above_noise;
            assert!(count.is_none_or(|count| count == 0), "{what}: {count:?}");
        }
    }
    // Both rows are as far from their mean: the spread of the squares is not known, and not 0.
    for params in closed(3) {
        let estimate = fitted(&gaussian(2, 20), &params);
        assert!(estimate.eigenvalue_stderr[0].is_nan());
        assert!(estimate.angle_stderr_rad[0].is_nan());
    }
}

fn times(rows: &Rows, factor: f64) -> Rows {
    Rows::new(rows.values.iter().map(|v| v * factor).collect(), rows.m)
}

#[test]
fn error_bars_do_not_depend_on_the_size_of_the_unit() {
    let spectrum: Vec<f64> = (0..40).map(|j| 20.0 * 0.8_f64.powi(j)).collect();
    let (rows, _) = planted(2_000, &spectrum, 0.0, 8, &StandardNormal);
    for params in closed(3) {
        let one = fitted(&rows, &params);
        // 10^−138, 10^−99, 10^90, 10^141: variances are within f64, their squares are not.
        for exponent in [-460.0, -330.0, 300.0, 470.0_f64] {
            let unit = exponent.exp2();
            let other = fitted(&times(&rows, unit), &params);
            for i in 0..3 {
                let what = format!("2^{exponent}, component {i}, {params:?}");
                let relative = |estimate: &Estimate| {
                    let certainty = &estimate.certainty[i];
                    let [low, high] = certainty.interval.expect("an interval");
                    let value = estimate.eigenvalues[i];
                    let bound = certainty.angle_bound_rad.expect("a bound");
                    let bars = [estimate.eigenvalue_stderr[i], low, high].map(|v| v / value);
                    let angle = estimate.angle_stderr_rad[i];
                    [bars[0], bars[1], bars[2], angle, bound]
                };
                for (a, b) in relative(&one).iter().zip(relative(&other)) {
                    assert!(*a > 0.0 && (a / b - 1.0).abs() < 1e-2, "{what}: {a} {b}");
                }
                let ratio = other.eigenvalues[i] / unit / unit / one.eigenvalues[i];
                assert!((ratio - 1.0).abs() < 1e-4, "{what}: {ratio}");
            }
        }
    }
}

#[test]
fn a_state_of_very_large_or_small_values_is_read_again_and_goes_on() {
    let params = LearnerParams {
        precision: Precision::F64,
        ..of(3)
    };
    let rows = gaussian(400, 8);
    for factor in [1e-140, 1e100, 1e140] {
        let batch = |from: usize| {
            Minibatch::from_rows(&times(&rows.range(from, from + 200), factor).values, 8)
        };
        let mut learner = learner::new(&params, 8).expect("k <= m");
        learner.update(batch(0)).expect("finite");
        let mut saved = Encoder::new();
        learner.save(&mut saved);
        let mut other = learner::new(&params, 8).expect("k <= m");
        other
            .restore(&mut Decoder::new("learner", &saved.into_bytes()))
            .expect("what was written is read");
        for learner in [&mut learner, &mut other] {
            learner.update(batch(200)).expect("finite");
        }
        let [one, other] = [learner, other].map(|learner| learner.estimate().expect("finite"));
        assert_eq!(one.eigenvalue_stderr, other.eigenvalue_stderr);
        assert_eq!(one.angle_stderr_rad, other.angle_stderr_rad);
    }
    // Rows that outgrow all before them by more than a unit: as if they were alone.
    let mut learner = learner::new(&params, 8).expect("k <= m");
    for (count, factor) in [(100, 1e-100), (6_000, 1e100)] {
        let rows = times(&gaussian(count, 8), factor);
        for piece in rows.values.chunks(100 * 8) {
            let piece = Minibatch::from_rows(piece, 8);
            learner.update(piece).expect("finite");
        }
    }
    let estimate = learner.estimate().expect("finite");
    for (bar, value) in estimate.eigenvalue_stderr.iter().zip(&estimate.eigenvalues) {
        // Of Gaussian rows, √(2/n).
        let ratio = bar / value / (2.0_f64 / 6_000.0).sqrt();
        assert!((0.7..1.4).contains(&ratio), "{ratio}");
    }
}

fn table(rows: &Rows) -> RecordBatch {
    let columns = (0..rows.m).map(|j| {
        let values = (0..rows.n()).map(|i| rows.values[i * rows.m + j]);
        let column: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        (format!("x{j}"), column)
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("columns")
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file"));
    let reader = reader.expect("Parquet").build().expect("Parquet");
    let batches: Vec<_> = reader.map(|batch| batch.expect("rows")).collect();
    concat_batches(&batches[0].schema(), &batches).expect("one schema")
}

/// No value of a number column is NaN or infinite.
fn assert_finite(table: &RecordBatch) {
    for (column, field) in table.columns().iter().zip(table.schema().fields()) {
        let list = column
            .as_fixed_size_list_opt()
            .map(|list| list.values().clone());
        let column = list.as_ref().unwrap_or(column);
        let Some(numbers) = column.as_primitive_opt::<Float64Type>() else {
            continue;
        };
        assert!(
            numbers.iter().flatten().all(f64::is_finite),
            "{}",
            field.name()
        );
    }
}

fn text(args: &[&str], path: &Path) -> String {
    let output = ojad().args(args).arg(path).output().expect("it starts");
    succeeded(&output);
    String::from_utf8(output.stdout).expect("text")
}

/// The components as `show --json` and the API show them.
fn assert_shown(shown: &serde_json::Value, determined: usize) {
    assert_eq!(shown["components_determined"], determined);
    let components = shown["components"].as_array().expect("a list");
    for (i, component) in components.iter().enumerate() {
        let is_told = i < determined;
        assert_eq!(component["determined"], is_told, "{component}");
        let value = component["eigenvalue"].as_f64().expect("a number");
        assert_eq!(value > 0.0, is_told, "{component}");
        if !is_told {
            assert!(component["eigenvalue_stderr"].is_null(), "{component}");
            assert!(component["angle_stderr_rad"].is_null(), "{component}");
        }
    }
}

#[test]
fn every_output_marks_what_is_not_determined() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    for (name, rows, determined, why) in [
        ("rank", of_rank_3(500, 20), 3, "vary in 3 directions only"),
        ("five", gaussian(5, 20), 4, "vary in 4 directions only"),
        ("one", gaussian(1, 20), 0, "vary in no direction"),
    ] {
        let input = path(&format!("{name}.parquet"));
        parquet(&input, &table(&rows));
        for precision in ["f32", "f64"] {
            let model = path(&format!("{name}-{precision}"));
            let mut fit = ojad();
            fit.arg("fit")
                .arg(&input)
                .args(["-k", "10", "--precision", precision]);
            let output = fit.arg("--output").arg(&model).output().expect("it starts");
            succeeded(&output);
            let fitted = String::from_utf8(output.stdout).expect("text");
            let merged = path(&format!("{name}-{precision}-merged"));
            let mut merge = ojad();
            merge
                .arg("merge")
                .args([&model, &model])
                .arg("--output")
                .arg(&merged);
            let output = merge.output().expect("it starts");
            succeeded(&output);
            let both = String::from_utf8(output.stdout).expect("text");
            for shown in [fitted, both, text(&["show"], &model)] {
                assert!(shown.contains(why), "{shown}");
                assert_eq!(shown.matches("(not determined)").count(), 10 - determined);
                assert!(!shown.contains("NaN") && !shown.contains("inf "), "{shown}");
            }
            for model in [&model, &merged] {
                let shown = text(&["show", "--json", "--vectors"], model);
                assert_shown(&serde_json::from_str(&shown).expect("JSON"), determined);
                let components = read(&model.join("latest/components.parquet"));
                assert_finite(&components);
                assert_finite(&read(&model.join("latest/features.parquet")));
                let flags = components.column_by_name("determined").expect("a column");
                let told = flags.as_boolean().true_count();
                assert_eq!((told, flags.null_count()), (determined, 0));
            }
            // There is no density where nothing is left for noise: null, and not NaN.
            let scores = path("scores.parquet");
            let mut transform = ojad();
            transform
                .arg("transform")
                .arg(&input)
                .arg("--model")
                .arg(&model);
            let output = transform
                .arg("--output")
                .arg(&scores)
                .output()
                .expect("it starts");
            succeeded(&output);
            let scores = read(&scores);
            assert_finite(&scores);
            for (column, nulls) in [("pc10", 0), ("t2", 0), ("residual", 0)] {
                assert_eq!(
                    scores.column_by_name(column).expect(column).null_count(),
                    nulls
                );
            }
            for column in ["log_likelihood", "p_value"] {
                let column = scores.column_by_name(column).expect(column);
                assert_eq!(column.null_count(), rows.n());
            }
        }
    }
}

#[test]
fn a_run_answers_with_what_is_determined() {
    let place = Place::new(LISTEN);
    parquet(&place.feed().join("a.parquet"), &table(&of_rank_3(300, 12)));
    let config = std::fs::read_to_string(place.config()).expect("a file");
    let config = config.replace("learner.components = 3", "learner.components = 6");
    std::fs::write(place.config(), config).expect("a file");
    let daemon = Daemon::start(&place);
    daemon.wait_for(300);
    let until = std::time::Instant::now() + crate::http::PATIENCE;
    let shown = loop {
        let answer = daemon.get("/api/v1/components", "");
        if answer.status == 200 && answer.json()["rows"] == 300 {
            break answer.json();
        }
        assert!(std::time::Instant::now() < until, "{}", answer.body);
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(shown["components"].as_array().map(Vec::len), Some(6));
    assert_shown(&shown, 3);
    let four = daemon.get("/api/v1/components/4", "").json();
    assert_eq!(four["determined"], false);
    drop(daemon);
    place.learned();
}

#[test]
fn more_components_than_features_and_values_too_small_are_refused_with_the_remedy() {
    let place = tempfile::tempdir().expect("a directory");
    let input = place.path().join("rows.parquet");
    parquet(&input, &table(&gaussian(5, 20)));
    let fit = |k: &str| {
        let output = ojad().arg("fit").arg(&input).args(["-k", k]).output();
        output.expect("it starts")
    };
    refused(&fit("21"), 2, &["only 20 features", "at most 20"]);
    parquet(&input, &table(&times(&gaussian(50, 20), 1e-150)));
    refused(&fit("3"), 1, &["`x0`", "power of ten", "--exclude"]);
}
