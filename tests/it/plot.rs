//! `show --plot`: a picture of every shape of snapshot, or a message that says why not.

use std::fs;
use std::path::Path;

use ojad::learner::{Certainty, Estimate};
use ojad::rows::Features;
use ojad::snapshot::draw;

use crate::program::{fashion_model, ojad, refused, succeeded};

/// k components of m features with these eigenvalues, and errors that `stderr` makes of them.
fn estimate(m: usize, eigenvalues: &[f64], stderr: impl Fn(f64) -> f64) -> Estimate {
    let k = eigenvalues.len();
    let mut vectors = vec![0.0; k * m];
    for i in 0..k {
        vectors[i * m + i % m] = if i % 2 == 0 { 1.0 } else { -1.0 };
    }
    Estimate {
        features: m,
        rows: 100,
        effective_rows: 100.0,
        mean: vec![0.0; m],
        scale: vec![1.0; m],
        variance: vec![1.0; m],
        observed: vec![100.0; m],
        constant: vec![false; m],
        vectors,
        eigenvalues: eigenvalues.to_vec(),
        eigenvalue_stderr: eigenvalues.iter().map(|v| stderr(*v)).collect(),
        angle_stderr_rad: vec![0.1; k],
        certainty: vec![Certainty::default(); k],
        weight_singular_values: vec![0.5; k],
        active: eigenvalues.iter().map(|v| *v > 0.5).collect(),
        penalty: 0.5,
        noise_variance: 0.1,
        total_variance: eigenvalues.iter().sum::<f64>(),
        components_above_noise: Some(k),
        above_noise_is_lower_bound: false,
        above_noise_rule: None,
        determined: k,
        unresolved: None,
        is_widened: false,
        limits: None,
    }
}

fn names(m: usize) -> Features {
    let name = |j: usize| match j {
        0 => "température_é_日本_a_very_long_name_of_a_sensor".to_owned(),
        1 => "<&\"'>".to_owned(),
        _ => format!("x{j}"),
    };
    Features::new((0..m).map(name).collect())
}

#[test]
fn an_svg_names_the_features_and_has_a_point_per_component() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let picture = place.path().join("scree.svg");
    let mut show = ojad();
    show.arg("show").arg(&model).arg("--plot").arg(&picture);
    let output = show.output().expect("the program starts");
    succeeded(&output);
    // The table is printed all the same.
    assert!(String::from_utf8_lossy(&output.stdout).contains("eigenvalue"));
    let svg = fs::read_to_string(&picture).expect("text");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    // Ten eigenvalues and ten cumulative ratios, all active.
    assert_eq!(svg.matches("<circle").count(), 20);
    for part in [
        "pixels.",
        "component 1:",
        "component 6:",
        "penalty",
        "3000 rows",
    ] {
        assert!(svg.contains(part), "{part}");
    }
}

#[test]
fn a_png_has_its_magic_and_size() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("scree.PNG");
    draw(
        &estimate(5, &[3.0, 2.0, 1.0], |v| 0.1 * v),
        &names(5),
        &path,
    )
    .expect("drawn");
    let png = fs::read(&path).expect("a file");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[16..20], 1200_u32.to_be_bytes());
    // Title, scree, one row of panels.
    assert_eq!(png[20..24], (48_u32 + 380 + 220).to_be_bytes());
    let left: Vec<_> = fs::read_dir(place.path()).expect("entries").collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn odd_estimates_are_drawn_too() {
    let place = tempfile::tempdir().expect("a directory");
    let wide: Vec<f64> = (0..50).map(|i| 10_f64.powi(8 - i)).collect();
    let cases: [(usize, &[f64], f64); 7] = [
        (1, &[2.0], 0.1),
        (3, &[2.0, 1.0, 0.0], f64::NAN),
        (4, &[0.0, 0.0], 0.0),
        (60, &wide, 0.1),
        (60, &wide, 3.0),
        (2, &[f64::MAX / 4.0, 1e-300], 0.5),
        (2, &[f64::MIN_POSITIVE], f64::INFINITY),
    ];
    for (i, (m, eigenvalues, share)) in cases.into_iter().enumerate() {
        for extension in ["svg", "png"] {
            let path = place.path().join(format!("{i}.{extension}"));
            let estimate = estimate(m, eigenvalues, |v| share * v);
            draw(&estimate, &names(m), &path).unwrap_or_else(|error| panic!("{i}: {error}"));
            assert!(path.metadata().expect("a file").len() > 500);
        }
    }
}

#[test]
fn names_are_escaped() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("x.svg");
    draw(&estimate(3, &[2.0, 1.0], |v| 0.1 * v), &names(3), &path).expect("drawn");
    let svg = fs::read_to_string(&path).expect("text");
    assert!(svg.contains("&lt;&amp;") && !svg.contains("<&"), "{svg}");
}

#[test]
fn another_name_or_no_place_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let model = fashion_model(place.path(), &[]);
    let plot = |file: &Path| {
        let mut show = ojad();
        show.arg("show").arg(&model).arg("--plot").arg(file);
        show.output().expect("the program starts")
    };
    refused(
        &plot(Path::new("scree.pdf")),
        2,
        &["scree.pdf", ".svg or .png"],
    );
    refused(&plot(Path::new("scree")), 2, &[".svg or .png"]);
    let nowhere = place.path().join("missing/scree.svg");
    refused(&plot(&nowhere), 1, &["missing/scree.svg", "directory"]);
}
