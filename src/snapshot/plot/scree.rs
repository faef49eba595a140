//! The scree: eigenvalues with their error bars and the penalty, and the cumulative ratio.

use crate::learner::Estimate;
use crate::plot::{Chart, Mark, Series};

/// Standard errors to either side that hold 95% of a normal distribution.
const TWO_SIDED_95: f64 = 1.96;

/// Labels of components along the axis at most.
const LABELS_MAX: usize = 14;

/// Orders of magnitude from which the axis of eigenvalues is logarithmic.
const LOGARITHMIC_FROM: f64 = 100.0;

/// Colours of the palette: values, the penalty, bars behind a line.
const VALUES: usize = 0;
const PENALTY: usize = 1;
const BEHIND: usize = 5;

/// Eigenvalues ± 1.96 standard errors; rings are inactive, the dashed line is the penalty.
pub(super) fn eigenvalues(estimate: &Estimate) -> Chart {
    let k = estimate.components();
    let interval = |i: usize| {
        let reach = TWO_SIDED_95 * estimate.eigenvalue_stderr[i];
        (
            estimate.eigenvalues[i] - reach,
            estimate.eigenvalues[i] + reach,
        )
    };
    let mut values = estimate.eigenvalues.clone();
    values.extend((0..k).map(|i| interval(i).1));
    let (range, is_logarithmic) = axis(&values);
    let scale = if is_logarithmic { ", logarithmic" } else { "" };
    let heading = format!("eigenvalue ± 1.96 standard errors (variance{scale})");
    let mut chart = over_components(Chart::new(heading, "component", ""), k);
    chart.y.is_logarithmic = is_logarithmic;
    chart.y.range = Some(range);
    // A penalty off the axis would be drawn where it is not.
    let is_on_axis = estimate.penalty > 0.0
        && values.iter().any(|v| *v >= estimate.penalty)
        && (!is_logarithmic || values.iter().any(|v| *v <= estimate.penalty));
    if is_on_axis {
        let ends = [0.5, k as f64 + 0.5].map(|x| (x, estimate.penalty));
        let name = format!("penalty {}", short(estimate.penalty));
        chart = chart.add(name, Mark::Dashed, ends.to_vec()).color(PENALTY);
    }
    for (is_active, mark) in [(true, Mark::Dots), (false, Mark::Rings)] {
        let those = || (0..k).filter(|i| estimate.active[*i] == is_active);
        let points = those().map(|i| (number(i), estimate.eigenvalues[i]));
        chart = chart.with(Series {
            name: String::new(),
            points: points.collect(),
            mark,
            color: VALUES,
            band: Some(those().map(interval).collect()),
        });
    }
    chart
}

/// Logarithmic where `values` are positive and span two orders of magnitude, else linear from zero;
/// with room above and below.
fn axis(values: &[f64]) -> ((f64, f64), bool) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let high = finite.clone().fold(0.0, f64::max);
    let low = finite.fold(f64::INFINITY, f64::min);
    if low > 0.0 && low.is_finite() && high / low >= LOGARITHMIC_FROM {
        ((low / 1.6, high * 1.6), true)
    } else if high > 0.0 {
        ((0.0, high * 1.08), false)
    } else {
        ((0.0, 1.0), false)
    }
}

/// Explained variance ratio of each component, and their running sum.
pub(super) fn cumulative(estimate: &Estimate) -> Chart {
    let k = estimate.components();
    let ratio = |i: usize| 100.0 * estimate.explained_variance_ratio(i);
    let each: Vec<_> = (0..k).map(|i| (number(i), ratio(i))).collect();
    let sums = each.iter().scan(0.0, |sum, (x, ratio)| {
        *sum += ratio;
        Some((*x, *sum))
    });
    let mark = if k <= 2 * LABELS_MAX {
        Mark::LineAndDots
    } else {
        Mark::Line
    };
    let heading = "explained variance ratio: each, cumulative";
    let percent = |tick: i32| (f64::from(tick), format!("{tick}%"));
    over_components(Chart::new(heading, "component", ""), k)
        .y_ticks((0..=100).step_by(20).map(percent).collect())
        .y_range(0.0, 104.0)
        .add("", Mark::Bars, each.clone())
        .color(BEHIND)
        .add("", mark, sums.collect())
        .color(VALUES)
}

/// The chart with the numbers of components from left to right: 1, 6, 11, … rather than every one where
/// they would touch.
fn over_components(chart: Chart, k: usize) -> Chart {
    let every = if k <= LABELS_MAX {
        1
    } else {
        5 * k.div_ceil(5 * LABELS_MAX)
    };
    let ticks = (0..k).step_by(every);
    chart
        .x_ticks(ticks.map(|i| (number(i), (i + 1).to_string())).collect())
        .x_range(0.5, k.max(1) as f64 + 0.5)
}

/// The number of component `i`, counted from one.
fn number(i: usize) -> f64 {
    (i + 1) as f64
}

/// A number in four digits.
pub(super) fn short(value: f64) -> String {
    if (1e-3..1e5).contains(&value.abs()) {
        let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6);
        format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
    } else {
        format!("{value:.3e}")
    }
}
