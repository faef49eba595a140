//! The lab's commands: what they refuse, and what they leave.

use std::fs;

use crate::program::{FASHION, refused, run, succeeded};

#[test]
fn what_does_not_fit_is_refused_with_its_remedy() {
    for (args, code, parts) in [
        (
            &["train", "svd", "no-such.parquet"][..],
            1,
            &["no-such.parquet", "check the name"][..],
        ),
        (
            &["train", "tied-gradient", "-k", "11"],
            2,
            &["--components 11", "1 to 10"],
        ),
        (
            &["train", "tied-gradient", "-k", "0"],
            2,
            &["--components 0"],
        ),
        (
            &["train", "tied-gradient", "--step", "-1"],
            2,
            &["--step -1", "positive"],
        ),
        (
            &["train", "tied-gradient", "--lambda", "nan"],
            2,
            &["lambda = NaN", "at least 0"],
        ),
        (
            &[
                "train",
                "untied-gradient",
                "--loss",
                "non-uniform",
                "--lambdas",
                "3,2",
            ],
            2,
            &["ascending"],
        ),
        (
            &["train", "svd", "--variances", "0.5"],
            2,
            &["--variances", "at least 1"],
        ),
        (
            &["train", "svd", FASHION, "--id", "nothing"],
            1,
            &["nothing", "label"],
        ),
        (
            &["train", "svd", "--output", "x.txt"],
            2,
            &["x.txt", ".parquet"],
        ),
        (&["compare", "--normalized"], 2, &["--normalized"]),
        (
            &["figures", "--output", "x", "--only", "5"],
            2,
            &["--only 5", "shrinkage"],
        ),
        (
            &["figures", "--output", "x", "--only", "images"],
            2,
            &["--images"],
        ),
        (&["--listen", "0.0.0.0:0"], 2, &["loopback"]),
    ] {
        refused(&run(&[&["lab"], args].concat()), code, parts);
    }
}

#[test]
fn a_start_that_is_no_table_of_weights_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("iterates.parquet");
    let path = path.to_str().expect("text");
    succeeded(&run(&[
        "lab",
        "train",
        "untied-exact",
        "-k",
        "3",
        "--output",
        path,
    ]));
    succeeded(&run(&[
        "lab",
        "train",
        "tied-gradient",
        "-k",
        "3",
        "--start",
        path,
    ]));
    let refusals = [
        ("2", "no entry"),
        ("4", "entries of iteration 0 are missing"),
    ];
    for (k, part) in refusals {
        let output = run(&["lab", "train", "svd", "-k", k, "--start", path]);
        refused(&output, 1, &["iterates.parquet", part]);
    }
    refused(
        &run(&["lab", "train", "svd", "--start", FASHION]),
        1,
        &["matrix"],
    );
}

#[test]
fn a_run_that_diverges_says_so() {
    let output = run(&["lab", "train", "tied-gradient", "--step", "1"]);
    succeeded(&output);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("diverged after"));
}

#[test]
fn every_experiment_agrees_with_its_theory_on_images_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("text");
    let images = ["--images", FASHION, "--label", "label", "--no-pixels", "id"];
    let output = run(&[&["lab", "figures", "--json", "--output", path][..], &images].concat());
    succeeded(&output);
    let verdicts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let verdicts = verdicts.as_array().expect("a list");
    assert_eq!(verdicts.len(), 7);
    for verdict in verdicts {
        assert_eq!(verdict["holds"], true, "{verdict}");
        let name = verdict["experiment"].as_str().expect("a name");
        for extension in ["svg", "png", "parquet"] {
            let file = directory.path().join(format!("{name}.{extension}"));
            assert!(
                fs::metadata(&file).is_ok_and(|file| file.len() > 500),
                "{name}"
            );
        }
        let svg = fs::read_to_string(directory.path().join(format!("{name}.svg"))).expect("text");
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{name}"
        );
    }
}

#[test]
fn the_comparison_ranks_algorithms_as_the_papers_do() {
    let output = run(&["lab", "compare", "--json"]);
    succeeded(&output);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |name: &str, what: &str| {
        let all = told["algorithms"].as_array().expect("a list");
        let one = all.iter().find(|one| one["algorithm"] == name);
        one.and_then(|one| one[what].as_f64())
            .unwrap_or_else(|| panic!("{name} {what}"))
    };
    // Exact steps need fewer iterations than gradient steps; rotations fewer than a non-uniform penalty.
    assert!(10.0 * of("untied exact", "iterations") < of("untied gradient", "iterations"));
    assert!(of("rotation-augmented", "column_error") < 1e-9);
    assert!(
        4.0 * of("rotation-augmented", "iterations") < of("untied, non-uniform sum", "iterations")
    );
    // Without the penalty the span is there and the directions are not.
    assert!(of("tied, no penalty (Oja)", "subspace_error") < 1e-9);
    assert!(of("tied, no penalty (Oja)", "axis_error") > 0.01);
    assert!(of("streaming (ojad fit)", "axis_error") < 1e-9);
}
