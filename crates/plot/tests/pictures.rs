//! Sheets with everything on them: what is in the files, and that odd data are drawn too.

// A test that cannot get at its data has failed; saying so by a panic is its way.
#![allow(clippy::expect_used, missing_docs)]

use std::fs;
use std::path::PathBuf;

use ojad_plot::{Chart, Figure as _, Heat, Images, Legend, Mark, Sheet, Words, write};

type Points = Vec<(f64, f64)>;

fn curve(n: u32, f: impl Fn(f64) -> f64) -> Points {
    (0..n)
        .map(|i| f64::from(i) / f64::from(n - 1))
        .map(|x| (x, f(x)))
        .collect()
}

fn marks() -> Chart {
    let all = [
        ("Line", Mark::Line),
        ("Dashed", Mark::Dashed),
        ("Dots", Mark::Dots),
        ("Rings", Mark::Rings),
        ("Cross", Mark::Cross),
        ("LineAndDots", Mark::LineAndDots),
    ];
    let shifted = |i: usize| curve(24, move |x| (6.0 * x).sin() - 0.5 * i as f64);
    all.iter()
        .enumerate()
        .fold(
            Chart::new("every mark", "x", "y of any sign"),
            |chart, (i, (name, mark))| chart.add(*name, *mark, shifted(i)),
        )
        .legend(Legend::Right)
}

fn losses() -> Chart {
    let noisy = |x: f64| 1e3 * (-14.0 * x).exp() * (1.0 + 0.3 * (400.0 * x).sin());
    Chart::new(
        "a logarithmic axis, 20 000 points, a gap where the value is not positive",
        "step t",
        "‖W₂W₁ − UUᵀ‖²",
    )
    .log_y()
    .line("σ² − λ", curve(20_000, noisy))
    .theory("theory e⁻²ᵗ", curve(50, |x| 1e3 * (-14.0 * x).exp()))
    .line(
        "gap",
        curve(100, |x| {
            if (0.4..0.6).contains(&x) {
                0.0
            } else {
                1.0 + x
            }
        }),
    )
    .dots("few", vec![(0.2, 3.0), (0.5, 30.0), (0.8, 300.0)])
    .band(vec![(1.0, 9.0), (0.0, 90.0), (200.0, 400.0)])
}

fn ellipse() -> Chart {
    let around = |a: f64, b: f64| {
        let turn = move |x: f64| std::f64::consts::TAU * x;
        (0..=200_u32)
            .map(|i| turn(f64::from(i) / 200.0))
            .map(|t| (a * t.cos() - b * t.sin(), a * t.cos() + b * t.sin()))
            .collect::<Points>()
    };
    let cloud = (0..800_u32).map(|i| {
        let (s, c) = (f64::from(i) * 2.4).sin_cos();
        let r = (f64::from(i) / 800.0).sqrt();
        (2.0 * r * c - 0.5 * r * s, 2.0 * r * c + 0.5 * r * s)
    });
    Chart::new("equal units: an ellipse at 45°", "x₁", "x₂")
        .square()
        .add("rows", Mark::Dots, cloud.collect())
        .color(5)
        .line("2σ", around(2.0, 0.5))
        .color(1)
        .add("1σ", Mark::Dashed, around(1.0, 0.25))
}

fn bars() -> Chart {
    let names = ["SGD", "Adam", "nested dropout", "exact"];
    let ticks = (0..4_u8)
        .map(f64::from)
        .zip(names.map(str::to_owned))
        .collect();
    let heights = |f: f64| {
        (0..4_u8)
            .map(|i| (f64::from(i), f * f64::from(i) - 1.0))
            .collect()
    };
    Chart::new("bars side by side, with errors", "", "angle (°)")
        .x_ticks(ticks)
        .add("λ = 0.1", Mark::Bars, heights(1.0))
        .band(
            (0..4_u8)
                .map(|i| (f64::from(i) - 1.3, f64::from(i) - 0.7))
                .collect(),
        )
        .add("λ = 1", Mark::Bars, heights(1.5))
}

fn cut_off() -> Chart {
    Chart::new("a fixed range cuts lines and bands", "λ", "loss")
        .x_range(0.1, 0.9)
        .y_range(-0.5, 0.5)
        .line("mean", curve(300, |x| (12.0 * x).sin()))
        .band(
            curve(300, |x| (12.0 * x).sin())
                .iter()
                .map(|p| (p.1 - 0.3, p.1 + 0.3))
                .collect(),
        )
        .add(
            "hole in it",
            Mark::LineAndDots,
            curve(12, |x| {
                if x > 0.5 && x < 0.6 {
                    f64::NAN
                } else {
                    x - 0.6
                }
            }),
        )
}

fn digits() -> Images {
    let blob = |k: f64| {
        (0..28 * 28_u32)
            .map(|i| (f64::from(i % 28) - 13.5, f64::from(i / 28) - 13.5))
            .map(|(x, y)| (-(x * x + y * y) / 60.0).exp() * (k * x.atan2(y)).cos())
            .collect::<Vec<_>>()
    };
    (1..=10_u8).fold(Images::new("weights").diverging(), |images, k| {
        images.image(format!("w{k}: σ² = {k}"), 28, 28, blob(f64::from(k)))
    })
}

fn matrix(n: usize, has_numbers: bool) -> Heat {
    let value = |i: usize| ((i / n) as f64 - (i % n) as f64) / n as f64;
    let names: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
    let heat = Heat::new("W₂ᵀW₂ − W₁W₁ᵀ", n, n, (0..n * n).map(value).collect())
        .diverging()
        .labels("row", "column")
        .names(names.clone(), names);
    if has_numbers { heat.numbers() } else { heat }
}

fn gallery() -> Sheet {
    Sheet::new("Everything that a sheet can hold: λ, σ², ‖·‖, ᵀ, ₁, ≤, ×, →", 3)
        .note("A line below the heading that says where the numbers come from, and is so long that it has to be broken in two at the width of the page, which is three panels wide: that is a lot of text for one line.")
        .note("seed 7, 60 000 rows")
        .panel(marks())
        .panel(losses())
        .panel(ellipse())
        .panel(bars())
        .panel(cut_off())
        .panel(digits())
        .panel(matrix(6, true))
        .panel(matrix(40, false))
        .panel(Words {
            title: "what it says".to_owned(),
            lines: vec!["One line that is long enough to be broken into two of them at this width.".to_owned(), String::new(), "Another.".to_owned()],
        })
}

/// Where the pictures go: to be looked at, where the variable says so.
fn place() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("a directory");
    let place = std::env::var_os("OJAD_TEST_PICTURES").map(PathBuf::from);
    let path = place.unwrap_or_else(|| temporary.path().to_owned());
    (temporary, path)
}

#[test]
fn an_svg_has_the_words_and_a_page_of_its_size() {
    let (_temporary, place) = place();
    let path = place.join("gallery.svg");
    let sheet = gallery();
    write(&sheet, &path).expect("drawn");
    let svg = fs::read_to_string(&path).expect("text");
    let (width, height) = sheet.size();
    assert!(svg.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\"")));
    let parts = [
        "every mark",
        "LineAndDots",
        "‖W₂W₁ − UUᵀ‖²",
        "10⁻³",
        "nested dropout",
        "−0.5",
        "σ² − λ",
        "w10: σ² = 10",
        "−0.83",
        "Another.",
        "seed 7",
    ];
    for part in parts {
        assert!(svg.contains(part), "{part}");
    }
    // 20 000 points are no 20 000 points of a picture.
    assert!(svg.len() < 1_500_000, "{}", svg.len());
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn a_png_has_its_magic_and_size() {
    let (_temporary, place) = place();
    let path = place.join("gallery.png");
    let sheet = gallery();
    write(&sheet, &path).expect("drawn");
    let png = fs::read(&path).expect("a file");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[16..20], sheet.size().0.to_be_bytes());
    assert_eq!(png[20..24], sheet.size().1.to_be_bytes());
}

#[test]
fn narrow_panels_keep_their_words_inside() {
    let (_temporary, place) = place();
    let long = "a name of a series that is far wider than the panel that it is in, by a lot";
    let decades = |f: f64| {
        (0..60_i32)
            .map(|i| (10_f64.powi(i - 30), f * 10_f64.powi(i / 4)))
            .collect()
    };
    let chart = Chart::new("both axes logarithmic over sixty decades", long, long)
        .log_x()
        .log_y()
        .line(long, decades(1.0))
        .theory("short", decades(1.0))
        .add("bars", Mark::Bars, decades(100.0));
    let grey = (0..3).fold(Images::new("greys"), |images, i| {
        let value = |at: i32| f64::from((at % 12 - 6 * i).pow(2) + (at / 12));
        images.image(long, 12, 8, (0..96).map(value).collect())
    });
    let heat = Heat::new(
        "much is dark",
        3,
        4,
        (0..12).map(|i| 1e4 * f64::from(i)).collect(),
    )
    .numbers()
    .names(vec![long.to_owned(); 3], vec!["c".to_owned(); 4]);
    let sheet = Sheet::new("narrow", 3)
        .panel_size(300, 260)
        .panel(chart.clone())
        .panel(chart.clone().legend(Legend::Right))
        .panel(
            chart
                .legend(Legend::None)
                .x_range(1e-3, 1.0)
                .y_range(0.5, 3.0),
        )
        .panel(grey.columns(2))
        .panel(heat.numbers())
        .panel(cut_off().legend(Legend::BottomLeft));
    write(&sheet, &place.join("narrow.png")).expect("drawn");
    let path = place.join("narrow.svg");
    write(&sheet, &path).expect("drawn");
    let svg = fs::read_to_string(&path).expect("text");
    assert!(!svg.contains(long) && svg.contains('…'));
}

#[test]
fn odd_data_are_drawn_too() {
    let temporary = tempfile::tempdir().expect("a directory");
    let far = [
        f64::NAN,
        f64::INFINITY,
        -1.0,
        0.0,
        1e-300,
        1.0,
        f64::MAX,
        -f64::MAX,
    ];
    let all: Points = far.iter().flat_map(|x| far.map(|y| (*x, y))).collect();
    let all_marks = [
        Mark::Line,
        Mark::Dashed,
        Mark::Dots,
        Mark::Rings,
        Mark::Cross,
        Mark::Bars,
        Mark::LineAndDots,
    ];
    for points in [vec![], vec![(1.0, 1.0)], vec![(f64::NAN, 1.0)], all] {
        let chart = all_marks
            .iter()
            .fold(Chart::new("", "", ""), |chart, mark| {
                chart.add("x", *mark, points.clone()).band(points.clone())
            });
        let sheet = Sheet::new("", 2)
            .panel_size(200, 160)
            .panel(chart.clone())
            .panel(chart.clone().log_x().log_y())
            .panel(chart.clone().square())
            .panel(chart.x_range(2.0, 1.0).y_range(f64::NAN, 0.0))
            .panel(Heat::new("", 0, 3, vec![]))
            .panel(Heat::new("", 2, 2, far.to_vec()).numbers())
            .panel(
                Images::new("")
                    .image("", 0, 0, vec![])
                    .image("é", 3, 300, far.to_vec()),
            )
            .panel(Images::new("").columns(5));
        for name in ["odd.svg", "odd.png"] {
            write(&sheet, &temporary.path().join(name)).expect("drawn");
        }
        let svg = fs::read_to_string(temporary.path().join("odd.svg")).expect("text");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
