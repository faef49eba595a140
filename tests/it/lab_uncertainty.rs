//! `ojad lab uncertainty`: what is measured is right, what is not claimed is said, and a reader can ask for one line.

use crate::program::{refused, run, succeeded};

fn told(args: &[&str]) -> serde_json::Value {
    let output = run(&[&["lab", "uncertainty", "--json"], args].concat());
    succeeded(&output);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The measured numbers of a column of the first line.
fn measured(told: &serde_json::Value, column: &str) -> Vec<f64> {
    let cell = &told["tables"][0]["lines"][0]["columns"][column];
    let numbers = cell
        .as_array()
        .unwrap_or_else(|| panic!("{column}: {cell}"));
    let values = numbers.iter().map(|number| number["measured"].as_f64());
    values.map(|value| value.expect("a number")).collect()
}

#[test]
fn error_bars_of_gaussian_rows_hold_as_often_as_they_say() {
    let told = told(&["coverage", "--only", "pair", "--sets", "100", "--seed", "5"]);
    for column in [
        "eigenvalue ± 1.96 stderr",
        "interval of the law",
        "angle below the bound",
    ] {
        let shares = measured(&told, column);
        assert_eq!(shares.len(), 5);
        for share in &shares {
            // 95% of 100 has a standard error of 2.2%: three and a half of them. ± 1.4 standard errors would hold in
            // 84%, and their mean falls below the next bound.
            assert!((0.872..=1.0).contains(share), "{column}: {shares:?}");
        }
        // 500 statements, a standard error of 1%, of which bars that are off by 1% each take half of one.
        let mean = shares.iter().sum::<f64>() / 5.0;
        assert!((0.915..0.985).contains(&mean), "{column}: {mean}");
    }
    let bound = &told["tables"][0]["lines"][0]["columns"]["interval of the law"][0];
    // binom.ppf(0.01/15, 100, 0.92) and 100 - binom.ppf(0.01/15, 100, 0.02), by scipy.stats.
    assert_eq!(bound["by_chance"], serde_json::json!([0.82, 1.0]));
    assert_eq!(bound["right"], serde_json::json!([0.92, 0.98]));
}

#[test]
fn an_easy_number_of_components_is_right_by_every_rule() {
    let told = told(&[
        "ranks",
        "--only",
        "Gaussian, 20",
        "--sets",
        "6",
        "--seed",
        "5",
    ]);
    let line = &told["tables"][0]["lines"][0];
    assert_eq!(line["agrees"], true);
    for column in ["none", "3"] {
        // Right, cannot be told, wrong.
        assert_eq!(measured(&told, column), [1.0, 0.0, 0.0], "{column}");
    }
    for rule in ["Gavish–Donoho", "Onatski", "FlipPA", "BEMA"] {
        let shares = measured(&told, rule);
        // BEMA takes one in ten sets of noise for a component, Onatski's rule fewer: in six, four of them or more with
        // a probability of 1e-3.
        assert!(
            shares.iter().all(|share| *share >= 0.5),
            "{rule}: {shares:?}"
        );
    }
}

#[test]
fn limits_and_drift_come_with_what_is_right() {
    let limits = told(&["limits", "--only", "small rest", "--sets", "4"]);
    let shares = measured(&limits, "Q");
    // 1% within what four data sets of 2,000 rows tell: fifty rows beyond each limit, of 14%/√4.
    assert!((0.006..0.015).contains(&shares[0]), "{shares:?}");
    let chi_squared = measured(&limits, "Q, χ²");
    // Exact for this law: 80,000 fresh rows, a standard error of 0.04%.
    assert!(
        (0.0083..0.0117).contains(&chi_squared[0]),
        "{chi_squared:?}"
    );
    let drift = told(&["drift", "--only", "mean of a feature + 1 sd", "--sets", "1"]);
    assert_eq!(
        drift["tables"][0]["lines"].as_array().map(Vec::len),
        Some(2)
    );
    // A mean over n rows is off by its threshold of about six standard errors once n > 36.
    let found = measured(&drift, "window of one half-life")[0];
    assert!((100.0..3_000.0).contains(&found), "{found}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let args = [
        "lab",
        "uncertainty",
        "coverage",
        "--only",
        "pair",
        "--sets",
        "6",
        "--threads",
    ];
    let of = |threads: &str| {
        let output = run(&[&args[..], &[threads]].concat());
        succeeded(&output);
        String::from_utf8(output.stdout).expect("text")
    };
    let one = of("1");
    assert!(one.contains("1 of 1 lines agree with their claim"), "{one}");
    assert_eq!(one, of("3"));
    let markdown = run(&[&args[..], &["2", "--markdown"]].concat());
    succeeded(&markdown);
    let markdown = String::from_utf8(markdown.stdout).expect("text");
    assert!(
        markdown.contains("| rows | n | eigenvalue ± 1.96 stderr |"),
        "{markdown}"
    );
    assert!(
        markdown.contains("| pair 10 and 9.8 | 4,000 | "),
        "{markdown}"
    );
}

#[test]
fn a_line_that_does_not_exist_is_refused_by_name() {
    let output = run(&["lab", "uncertainty", "coverage", "--only", "no such law"]);
    refused(
        &output,
        2,
        &["--only no such law", "t(5)", "pair 10 and 9.8"],
    );
}
