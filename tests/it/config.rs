//! Every key is documented, checked, and refused with line and remedy where it does not fit.

use std::fs;
use std::path::Path;

use ojad::config::{Config, KEYS, Plan, load};

use crate::program::{refused, run, succeeded};

fn documented() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/ojad.toml"))
}

#[test]
fn every_key_is_documented_and_equal_to_its_default() {
    assert_eq!(
        load(Some(documented()), std::iter::empty())
            .expect("valid")
            .config,
        Config::default()
    );
    let text = fs::read_to_string(documented()).expect("text");
    let in_file: toml::Table = text.parse().expect("TOML");
    let in_code = toml::Table::try_from(Config::default()).expect("serializes");
    for (table, keys) in &in_code {
        for (key, value) in keys.as_table().expect("a table") {
            assert_eq!(in_file[table].get(key), Some(value), "[{table}] {key}");
        }
    }
    // Keys without a default stand there as comments, below their tables.
    for (table, key) in KEYS {
        if in_code[*table].get(key).is_none() {
            let below = text
                .split_once(&format!("\n[{table}]\n"))
                .expect("a table")
                .1;
            let below = below.split("\n[").next().expect("its lines");
            assert!(below.contains(&format!("\n# {key} = ")), "[{table}] {key}");
        }
    }
}

#[test]
fn values_out_of_range_are_refused_with_the_key() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    for (text, key) in [
        ("[learner]\ncomponents = 0", "learner.components"),
        ("[learner]\nminibatch = 0", "learner.minibatch"),
        ("[learner]\npenalty = -1.0", "learner.penalty"),
        ("[learner]\nforgetting = 1.5", "learner.forgetting"),
        (
            "[learner]\nforgetting = { half_life_rows = 0.0 }",
            "learner.forgetting",
        ),
        (
            "[learner]\nrule = \"oja\"\nstep = { constant = -1.0 }",
            "learner.step",
        ),
        ("[run]\nthreads = 9", "run.threads"),
        ("[run]\ndrain_s = 0", "run.drain_s"),
        ("[source]\nrescan_ms = 1", "source.rescan_ms"),
        ("[source]\nlatency_max_ms = 0", "source.latency_max_ms"),
        (
            "[source]\nworker_memory_mib = 1",
            "source.worker_memory_mib",
        ),
        ("[source]\nquarantine = \"move\"", "source.quarantine_dir"),
        ("[state]\ncheckpoint_rows = 0", "state.checkpoint_rows"),
        ("[output]\nkeep = 0", "output.keep"),
    ] {
        fs::write(&path, text).expect("a file");
        let output = run(&["check", "--config", path.to_str().expect("UTF-8")]);
        refused(&output, 78, &[key]);
    }
}

#[test]
fn an_unknown_key_gets_its_line_and_the_nearest_known_one() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    fs::write(&path, "[learner]\nseed = 1\ncomponets = 3\n").expect("a file");
    let output = run(&["check", "--config", path.to_str().expect("UTF-8")]);
    refused(
        &output,
        78,
        &["c.toml", "line 3", "componets", "did you mean `components`"],
    );
}

#[test]
fn a_value_of_another_type_gets_its_line_and_what_was_expected() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    for (text, expected) in [
        ("penalty = \"atuo\"", "\"auto\" or a non-negative number"),
        ("oversampling = -3", "\"auto\" or a non-negative number"),
        ("minibatch = true", "\"auto\" or a non-negative number"),
        ("forgetting = \"nome\"", "half_life_rows"),
        ("step = { constnt = 1.0 }", "{ constant = α }"),
        ("rule = \"ojo\"", "closed-form"),
    ] {
        fs::write(&path, format!("[learner]\n{text}\n")).expect("a file");
        let output = run(&["check", "--config", path.to_str().expect("UTF-8")]);
        refused(&output, 78, &["line 2", text, expected]);
    }
}

#[test]
fn check_prints_what_would_run_and_where_it_comes_from() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    fs::write(&path, "[learner]\ncomponents = 3\n").expect("a file");
    let output = run(&["check", "--config", path.to_str().expect("UTF-8")]);
    succeeded(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("components = 3 # "), "{text}");
    assert!(text.contains("c.toml:2"), "{text}");
    assert!(text.contains("`ojad run` would not start"), "{text}");
    assert!(text.contains("seed = 0 # default"), "{text}");
    let again: Config = toml::from_str(&text).expect("what it prints is a configuration");
    assert_eq!(Plan::try_from(&again).expect("valid").learner.components, 3);
}

#[test]
fn the_environment_wins_over_the_file_and_unknown_names_get_the_nearest() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    fs::write(&path, "[learner]\ncomponents = 3\n").expect("a file");
    let check = |name: &str, value: &str| {
        crate::program::ojad()
            .args(["check", "--config", path.to_str().expect("UTF-8")])
            .env(name, value)
            .output()
            .expect("the program starts")
    };
    let output = check("OJAD_LEARNER_COMPONENTS", "7");
    succeeded(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = "components = 7 # environment OJAD_LEARNER_COMPONENTS";
    assert!(text.contains(line), "{text}");
    succeeded(&check("OJAD_STATE_DIR", "/var/lib/x"));
    let nearest = ["OJAD_LEARNER_COMPONETS", "OJAD_LEARNER_COMPONENTS"];
    refused(&check("OJAD_LEARNER_COMPONETS", "7"), 78, &nearest);
    refused(
        &check("OJAD_LEARNER_SCALE", "big"),
        78,
        &["OJAD_LEARNER_SCALE", "standard"],
    );
}

#[test]
fn run_needs_inputs_a_state_and_an_output() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("c.toml");
    for (text, key) in [
        ("state.dir = \"s\"\noutput.dir = \"o\"", "source.inputs"),
        ("source.inputs = [\"f\"]\noutput.dir = \"o\"", "state.dir"),
        ("source.inputs = [\"f\"]\nstate.dir = \"s\"", "output.dir"),
    ] {
        fs::write(&path, text).expect("a file");
        let path = path.to_str().expect("UTF-8");
        refused(&run(&["check", "--run", "--config", path]), 78, &[key]);
        refused(&run(&["run", "--config", path]), 78, &[key]);
    }
}

#[test]
fn the_examples_can_run() {
    for name in ["sensors.toml", "genomics.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(name);
        let path = path.to_str().expect("UTF-8");
        succeeded(&run(&["check", "--run", "--config", path]));
    }
}
