//! The table for people: the results and their uncertainty.

use std::fmt::Write as _;

use crate::learner::Estimate;
use crate::rows::Features;

/// Cells of the bar column.
const BAR_CELLS: usize = 24;

/// Most constant features named; the rest are only counted.
const NAMED_AT_MOST: usize = 3;

/// Component, eigenvalue ± standard error, explained variance ratio, cumulative ratio and a bar,
/// then the totals. `is_unicode` chooses `±` and `█` over ASCII.
pub fn table(estimate: &Estimate, features: &Features, is_unicode: bool) -> String {
    let (plus_minus, full) = if is_unicode {
        ("±", '█')
    } else {
        ("+/-", '#')
    };
    let mut text = format!(
        "{:>9}  {:>12} {:<13} {:>9}  {:>10}  {:>9}\n",
        "component",
        "eigenvalue",
        format!("{plus_minus} stderr"),
        "ratio",
        "cumulative",
        "angle"
    );
    let top = estimate.explained_variance_ratio_or_zero(0);
    let mut cumulative = 0.0;
    for i in 0..estimate.components() {
        let ratio = estimate.explained_variance_ratio(i);
        cumulative += ratio;
        let cells = if top > 0.0 {
            (ratio / top * BAR_CELLS as f64).round() as usize
        } else {
            0
        };
        let bar: String = std::iter::repeat_n(full, cells).collect();
        let stderr = shown(estimate.eigenvalue_stderr[i], |v| {
            format!("{plus_minus} {}", short(v))
        });
        let angle = shown(estimate.angle_stderr_rad[i], |v| {
            format!("{:.2}°", v.to_degrees())
        });
        let angle = if is_unicode {
            angle
        } else {
            angle.replace('°', "d")
        };
        let off = if i >= estimate.determined {
            match estimate.unresolved {
                Some(_) => " (not determined: mean variance of the remainder)",
                None => " (not determined)",
            }
        } else if estimate.active[i] {
            ""
        } else {
            " (inactive: below the penalty)"
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>9}  {:>12} {stderr:<13} {:>8.3}%  {:>9.3}%  {angle:>9}  {bar}{off}",
            i + 1,
            short(estimate.eigenvalues[i]),
            100.0 * ratio,
            100.0 * cumulative,
        );
    }
    text.push_str(&footer(estimate, features));
    text
}

fn footer(estimate: &Estimate, features: &Features) -> String {
    let noise = match estimate.known_noise_variance() {
        Some(noise) => short(noise),
        None => "unknown".into(),
    };
    let above = match estimate.components_above_noise {
        Some(count) if estimate.above_noise_is_lower_bound => {
            format!("at least {count} components stand above noise")
        }
        Some(count) => format!("{count} components stand above noise"),
        None => "the number of components above noise cannot be determined: nothing among the directions held \
                 looks like the same noise, or the rules contradict each other"
            .into(),
    };
    let above = match estimate.above_noise_rule {
        Some(rule) => format!("{above} (rule: {})", rule.name()),
        None => above,
    };
    let mut text = format!(
        "\n{} rows × {} features; total variance {}, noise variance {noise}, penalty {}\n{above}\n",
        estimate.rows,
        estimate.features,
        short(estimate.total_variance),
        short(estimate.penalty),
    );
    text.push_str(&rank(estimate));
    text.push_str(&population(estimate));
    let names: Vec<&str> = features
        .names()
        .iter()
        .zip(&estimate.constant)
        .filter(|(_, constant)| **constant)
        .map(|(name, _)| name.as_str())
        .collect();
    if !names.is_empty() {
        let more = if names.len() > NAMED_AT_MOST {
            ", …"
        } else {
            ""
        };
        let first = names
            .iter()
            .take(NAMED_AT_MOST)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let _ = writeln!(text, "{} constant features: {first}{more}", names.len());
    }
    text
}

/// A line about components beyond the rank of the rows, if there are any. Of those that rounding hides, a warning says
/// more.
fn rank(estimate: &Estimate) -> String {
    let (told, k) = (estimate.determined, estimate.components());
    if told == k || estimate.unresolved.is_some() {
        return String::new();
    }
    let varies = match told {
        0 => "the rows vary in no direction".to_owned(),
        1 => "the rows vary in one direction only".to_owned(),
        _ => format!("the rows vary in {told} directions only"),
    };
    format!("{told} of the {k} components are determined: {varies}\n")
}

/// Lines about the population behind the rows, where it differs from the table: heavy tails, mixing components, bias.
fn population(estimate: &Estimate) -> String {
    let mut text = String::new();
    let certainty = || estimate.certainty.iter().enumerate();
    let heavy: Vec<String> = certainty()
        .filter(|(_, one)| one.is_heavy_tailed)
        .map(|(i, _)| (i + 1).to_string())
        .collect();
    if !heavy.is_empty() {
        let _ = writeln!(
            text,
            "no error bars for components {}: the tails of their scores are so heavy that fourth moments do not seem to exist",
            heavy.join(", ")
        );
    }
    for (i, one) in certainty() {
        if one.mixes.0 == i && one.mixes.1 > i && estimate.active[i] {
            let span = one.angle_bound_rad.map_or(String::new(), |angle| {
                format!(
                    "; their span is known within {:.2} degrees",
                    angle.to_degrees()
                )
            });
            let (first, last) = (i + 1, one.mixes.1 + 1);
            let _ = writeln!(
                text,
                "components {first} to {last} cannot be told apart{span}"
            );
        }
    }
    let moved: Vec<String> = certainty()
        .filter_map(|(i, one)| {
            let (value, [low, high]) = (one.population_eigenvalue?, one.interval?);
            let is_moved = (value - estimate.eigenvalues[i]).abs() > estimate.eigenvalue_stderr[i];
            is_moved.then(|| format!("{}: {} to {}", i + 1, short(low), short(high)))
        })
        .collect();
    if !moved.is_empty() {
        let _ = writeln!(
            text,
            "few rows or missing values bias the eigenvalues; without the bias, at 95%: {}",
            moved.join("; ")
        );
    }
    text
}

/// A dash for an unknown number.
fn shown(value: f64, format: impl Fn(f64) -> String) -> String {
    if value.is_nan() {
        "-".into()
    } else {
        format(value)
    }
}

/// Five significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e6).contains(&size) {
        let decimals = if size == 0.0 {
            0
        } else {
            (4 - size.log10().floor() as i32).clamp(0, 8)
        };
        format!("{value:.*}", decimals as usize)
    } else {
        format!("{value:.4e}")
    }
}
