//! What double precision cannot tell is said wherever the components are: by `fit`, in the snapshot, by
//! `show`, `merge`, the log of a run and the API. So is that f32 does not do.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{Place, parquet};
use crate::http::{Daemon, LISTEN, PATIENCE};
use crate::program::{ojad, stderr, succeeded};

const ROWS: usize = 600;

/// Uniform noise in `m` columns, and in the column `level` a wave of this size beside it.
fn beside(size: f64, m: usize, seed: u64) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let columns = (0..m).map(|j| {
        let wave = |i: usize| if j == 3 { size * (i as f64).sin() } else { 0.0 };
        let values = (0..ROWS).map(|i| wave(i) + random.random::<f64>());
        let column: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let name = if j == 3 {
            "level".to_owned()
        } else {
            format!("x{j}")
        };
        (name, column)
    });
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("columns")
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn is_said(text: &str) -> bool {
    ["`level`", "1 of the 3 components", "--exclude"]
        .iter()
        .all(|part| text.contains(part))
}

/// The one warning of components in a list of them.
fn assert_told(warnings: &serde_json::Value) {
    let warnings = warnings.as_array().expect("a list");
    let of_components = |one: &&serde_json::Value| one["components_told"] == 1;
    let found: Vec<_> = warnings.iter().filter(of_components).collect();
    assert_eq!(found.len(), 1, "{warnings:?}");
    assert_eq!(found[0]["feature"], "level");
    assert!(is_said(found[0]["text"].as_str().expect("a text")));
}

#[test]
fn components_that_rounding_hides_are_told_of_wherever_components_are_shown() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    for shard in ["1", "2"] {
        let file = path(&format!("{shard}.parquet"));
        // 10³⁰ ÷ 2 beside 1 ÷ 12.
        parquet(&file, &beside(1e14, 12, 7));
        let mut fit = ojad();
        fit.arg("fit").arg(&file).args(["-k", "3", "--output"]);
        let output = fit.arg(path(shard)).output().expect("it starts");
        succeeded(&output);
        let said = stderr(&output);
        let lines = said.lines().filter(|line| line.contains("warning:"));
        assert_eq!(lines.filter(|line| is_said(line)).count(), 1, "{said}");
        let written = json(&path(shard).join("latest/snapshot.json"));
        assert_told(&written["learner"]["warnings"]);
        assert_eq!(written["unresolved"]["held"], 1);
    }
    let mut merge = ojad();
    merge
        .arg("merge")
        .args([path("1"), path("2")])
        .arg("--output");
    let output = merge.arg(path("both")).output().expect("it starts");
    succeeded(&output);
    assert!(is_said(&stderr(&output)), "{}", stderr(&output));
    for model in ["1", "both"] {
        let show = |flags: &[&str]| {
            let output = ojad().arg("show").arg(path(model)).args(flags).output();
            String::from_utf8(output.expect("it starts").stdout).expect("text")
        };
        let text = show(&[]);
        assert!(is_said(&text) && text.contains("not determined"), "{text}");
        let shown: serde_json::Value = serde_json::from_str(&show(&["--json"])).expect("JSON");
        assert_told(&shown["warnings"]);
        for component in shown["components"].as_array().expect("a list") {
            // Never 0: of noise in 11 columns, 1 ÷ 12 each.
            let value = component["eigenvalue"].as_f64().expect("a number");
            let is_right = component["component"] == 1 || (value * 12.0 - 1.0).abs() < 0.1;
            assert!(is_right, "{model}: {component}");
        }
    }
}

#[test]
fn a_run_tells_of_them_in_its_log_once_in_its_snapshots_and_by_its_api() {
    let place = Place::new(LISTEN);
    let config = fs::read_to_string(place.config()).expect("a file");
    let config = config.replace("output.every_rows = 2000", "output.every_rows = 256");
    fs::write(place.config(), config).expect("a file");
    for (i, name) in ["a.parquet", "b.parquet"].iter().enumerate() {
        parquet(&place.feed().join(name), &beside(1e14, 12, i as u64));
    }
    let output = place.learn();
    succeeded(&output);
    let log = stderr(&output);
    let written = log
        .lines()
        .filter(|line| line.contains("snapshot published"));
    assert!(written.count() > 1, "several snapshots: {log}");
    assert_eq!(log.lines().filter(|line| is_said(line)).count(), 1, "{log}");
    let written = json(&place.path("model/latest/snapshot.json"));
    assert_told(&written["learner"]["warnings"]);
    let daemon = Daemon::start(&place);
    let until = Instant::now() + PATIENCE;
    let components = loop {
        let answer = daemon.get("/api/v1/components", "");
        if answer.status == 200 {
            break answer.json();
        }
        assert!(Instant::now() < until, "{}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_told(&components["warnings"]);
    assert_eq!(components["widened_to_f64"], false);
}

#[test]
fn a_state_that_went_on_in_f64_says_so() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &beside(1e6, 200, 3));
    let output = place.learn();
    succeeded(&output);
    let log = stderr(&output);
    let told = log.lines().filter(|line| line.contains("f64 products"));
    assert_eq!(told.count(), 1, "{log}");
    let written = json(&place.path("model/latest/snapshot.json"));
    assert_eq!(written["widened_to_f64"], true);
    let show = ojad().arg("show").arg(place.path("model")).output();
    let text = String::from_utf8(show.expect("it starts").stdout).expect("text");
    assert!(text.contains("learned with f64 products"), "{text}");
    // Nothing is hidden: 10¹² ÷ 2 beside 1 ÷ 12 can be told.
    assert!(!text.contains("not determined"), "{text}");
    let plain = Place::new("");
    parquet(&plain.feed().join("a.parquet"), &beside(1.0, 200, 3));
    succeeded(&plain.learn());
    let written = json(&plain.path("model/latest/snapshot.json"));
    assert_eq!(written["widened_to_f64"], false);
}
