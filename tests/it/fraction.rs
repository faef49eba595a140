//! `ojad fit --components 0.95`: as few components as explain that fraction of the variance.

use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand_distr::StandardNormal;
use serde_json::Value;

use crate::feeds::{Place, parquet};
use crate::program::{FASHION, ojad, refused, run, stderr, succeeded};
use crate::reference::{Rows, batch, planted};

/// The rows as a file of features x0, x1, …
fn file(directory: &Path, rows: &Rows) -> PathBuf {
    let columns = (0..rows.m).map(|j| {
        let column = rows.values.iter().skip(j).step_by(rows.m).copied();
        let array: ArrayRef = Arc::new(Float64Array::from_iter_values(column));
        (format!("x{j}"), array)
    });
    let path = directory.join("rows.parquet");
    let table = RecordBatch::try_from_iter(columns).expect("columns");
    parquet(&path, &table);
    path
}

fn fit(input: &Path, components: &str, extra: &[&str]) -> Output {
    let mut command = ojad();
    command.arg("fit").arg(input).args(["--json", "-k"]);
    let command = command.arg(components).args(extra);
    command.output().expect("the program starts")
}

fn json(output: &Output) -> Value {
    succeeded(output);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn components(json: &Value) -> &Vec<Value> {
    json["components"].as_array().expect("components")
}

fn cumulative(json: &Value) -> f64 {
    let last = components(json).last().expect("a component");
    last["cumulative_ratio"].as_f64().expect("a number")
}

/// What batch PCA in f64 says: the fewest components that explain `fraction`.
fn right(rows: &Rows, fraction: f64) -> usize {
    let (values, _) = batch(rows, rows.m, |_| 1.0);
    let total: f64 = values.iter().sum();
    let explains = |k: &usize| values[..*k].iter().sum::<f64>() >= fraction * total;
    (1..rows.m).find(explains).unwrap_or(rows.m)
}

/// Each feature about its mean, in units of its standard deviation.
fn standardized(rows: &Rows) -> Rows {
    let (n, m) = (rows.n(), rows.m);
    let mut values = rows.values.clone();
    for j in 0..m {
        let column = || rows.values.iter().skip(j).step_by(m);
        let mean = column().sum::<f64>() / n as f64;
        let square: f64 = column().map(|v| (v - mean).powi(2)).sum();
        let deviation = (square / n as f64).sqrt();
        for v in values.iter_mut().skip(j).step_by(m) {
            *v = (*v - mean) / deviation;
        }
    }
    Rows::new(values, m)
}

/// Eigenvalues that fall by a tenth from one to the next, features of different sizes.
fn falling(n: usize, m: usize) -> Rows {
    let spectrum: Vec<f64> = (0..m).map(|j| 0.9_f64.powf(j as f64)).collect();
    let (mut rows, _) = planted(n, &spectrum, 2.0, 8, &StandardNormal);
    for (at, v) in rows.values.iter_mut().enumerate() {
        *v *= 1.0 + (at % m) as f64 / 10.0;
    }
    rows
}

#[test]
fn as_few_components_as_batch_pca_needs_explain_the_fraction() {
    let place = tempfile::tempdir().expect("a directory");
    let rows = falling(600, 30);
    let input = file(place.path(), &rows);
    let scaled = standardized(&rows);
    for fraction in ["0.001", "0.3", ".5", "0.8", "0.95", "0.999"] {
        let wanted: f64 = fraction.parse().expect("a number");
        for (extra, of) in [
            (vec![], &rows),
            (vec!["--precision", "f64"], &rows),
            (vec!["--scale", "standard"], &scaled),
        ] {
            let found = json(&fit(&input, fraction, &extra));
            let k = right(of, wanted);
            assert_eq!(components(&found).len(), k, "{fraction} {extra:?}");
            assert!(cumulative(&found) >= wanted, "{fraction} {extra:?}");
            assert_eq!(found["variance_asked"], wanted);
        }
    }
    // The sum of all ratios may round to less than this.
    let all = json(&fit(&input, "0.9999999999999999", &[]));
    assert_eq!(components(&all).len(), 30);
    // A number is a number.
    let one = json(&fit(&input, "1", &[]));
    assert_eq!(components(&one).len(), 1);
    assert_eq!(one["variance_asked"], Value::Null);
}

/// scikit-learn 1.9.1: `PCA(n_components=f).fit(pixels).n_components_`.
#[test]
fn real_images_need_as_many_components_as_scikit_learn_says() {
    for (fraction, k) in [("0.5", 3), ("0.9", 77), ("0.95", 167), ("0.99", 409)] {
        let extra = ["--id", "id", "--id", "label"];
        let output = fit(Path::new(FASHION), fraction, &extra);
        assert_eq!(components(&json(&output)).len(), k, "{fraction}");
        assert!(!stderr(&output).contains("explain"), "{}", stderr(&output));
    }
}

#[test]
fn a_fraction_beyond_the_components_learned_is_warned_about_with_what_they_explain() {
    let place = tempfile::tempdir().expect("a directory");
    let (rows, _) = planted(600, &[1.0; 220], 0.0, 4, &StandardNormal);
    let input = file(place.path(), &rows);
    let model = place.path().join("model");
    let to = model.to_str().expect("UTF-8");
    // Of 220 directions, 200 are held.
    let few = ["--precision", "f64", "--output", to];
    let output = fit(&input, "0.95", &few);
    let found = json(&output);
    assert_eq!(components(&found).len(), 100);
    let percent = format!("{:.3}%", 100.0 * cumulative(&found));
    for text in [
        stderr(&output),
        String::from_utf8_lossy(&run(&["show", to]).stdout).into_owned(),
    ] {
        for part in [
            "warning: the 100 components learned explain",
            percent.as_str(),
            "(0.95)",
            "--components 200",
        ] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    }
    // The same rows with the whole covariance, which has them all.
    let output = fit(&input, "0.95", &[]);
    assert!(!stderr(&output).contains("explain"), "{}", stderr(&output));
    let k = right(&rows, 0.95);
    assert!(k > 100, "{k}");
    assert_eq!(components(&json(&output)).len(), k);
}

#[test]
fn what_follows_a_fit_sees_these_components_and_no_others() {
    let place = tempfile::tempdir().expect("a directory");
    let rows = falling(600, 30);
    let input = file(place.path(), &rows);
    let model = place.path().join("model");
    let path = model.to_str().expect("UTF-8");
    let k = components(&json(&fit(&input, "0.8", &["--output", path]))).len();
    assert_eq!(k, right(&rows, 0.8));
    let shown = json(&run(&["show", path, "--json"]));
    assert_eq!(components(&shown).len(), k);
    assert_eq!(shown["variance_asked"], 0.8);
    let text = fs::read_to_string(model.join("latest/snapshot.json")).expect("text");
    let snapshot: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(snapshot["components"], k);
    let scores = place.path().join("scores.parquet");
    let to = scores.to_str().expect("UTF-8");
    let from = input.to_str().expect("UTF-8");
    succeeded(&run(&["transform", from, "--model", path, "--output", to]));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&scores).expect("a file"));
    let schema = Arc::clone(reader.expect("Parquet").schema());
    let columns = schema.fields().iter().map(|field| field.name());
    assert_eq!(columns.filter(|name| name.starts_with("pc")).count(), k);
    // Of twice these rows nobody asked it.
    let both = place.path().join("both");
    let both = both.to_str().expect("UTF-8");
    succeeded(&run(&["merge", path, path, "--output", both]));
    let merged = json(&run(&["show", both, "--json"]));
    assert_eq!(components(&merged).len(), k);
    assert_eq!(merged["variance_asked"], Value::Null);
}

#[test]
fn rows_that_hardly_vary_have_all_of_their_variance_explained() {
    let place = tempfile::tempdir().expect("a directory");
    let five = planted(5, &[1.0; 20], 0.0, 5, &StandardNormal).0;
    let output = fit(&file(place.path(), &five), "0.999999", &[]);
    assert_eq!(components(&json(&output)).len(), 4);
    // The three ratios add up to 1 but for rounding, which is no component that is missing.
    let mut spectrum = [0.0; 20];
    spectrum[..3].copy_from_slice(&[9.0, 4.0, 1.0]);
    for seed in 0..8 {
        let three = planted(500, &spectrum, 0.0, seed, &StandardNormal).0;
        let output = fit(&file(place.path(), &three), "0.9999999999999999", &[]);
        assert_eq!(components(&json(&output)).len(), 3, "seed {seed}");
    }
    let constant = Rows::new([3.7, -2.0, 0.0].repeat(100), 3);
    let output = fit(&file(place.path(), &constant), "0.95", &[]);
    let found = json(&output);
    assert_eq!(components(&found).len(), 1);
    assert_eq!(components(&found)[0]["determined"], false);
    assert!(!stderr(&output).contains("explain"), "{}", stderr(&output));
}

#[test]
fn what_is_neither_a_number_nor_a_fraction_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let input = file(place.path(), &falling(40, 5));
    for value in ["0.0", "1.0", "1.5", "-1", "-0.5", "nan", "inf", "95%", "x"] {
        let said = format!("'{value}' for '--components <K>'");
        let remedy = "a fraction of the variance between 0 and 1";
        refused(&fit(&input, value, &[]), 2, &[&said, remedy]);
    }
    refused(&fit(&input, "0", &[]), 78, &["`learner.components` = 0"]);
    refused(&fit(&input, "6", &[]), 2, &["at most 5"]);
}

#[test]
fn a_configuration_may_say_it_to_fit_but_not_to_run() {
    let place = Place::new("");
    let input = place.path("here");
    fs::create_dir(&input).expect("a directory");
    let rows = falling(600, 30);
    let input = file(&input, &rows);
    let text = fs::read_to_string(place.config()).expect("text");
    let of = |value: &str| {
        let new = format!("components = {value}");
        fs::write(place.config(), text.replace("components = 3", &new)).expect("a file");
    };
    let path = place.config();
    let path = path.to_str().expect("UTF-8");
    let from = input.to_str().expect("UTF-8");
    let fit = || run(&["fit", from, "--json", "--config", path]);
    of("0.8");
    assert_eq!(components(&json(&fit())).len(), right(&rows, 0.8));
    let key = "`learner.components` = 0.8: use a whole number";
    refused(&place.learn(), 78, &[key, "`ojad fit`"]);
    let check = run(&["check", "--config", path]);
    succeeded(&check);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(said.contains("components = 0.8 # "), "{said}");
    assert!(said.contains("would not start: `learner.components`"));
    // A flag wins.
    let flag = run(&["fit", from, "--json", "--config", path, "-k", "2"]);
    assert_eq!(components(&json(&flag)).len(), 2);
    for value in ["0.0", "1.0", "2.0", "-1", "-0.5", "nan", "inf"] {
        of(value);
        refused(&fit(), 78, &["`learner.components` = ", "between 0 and 1"]);
    }
    of("\"most\"");
    refused(&fit(), 78, &["line ", "or a fraction of the variance"]);
}
