//! The scree: eigenvalues with their error bars and the penalty, and the cumulative ratio.

use crate::plot::DrawingBackend;

use crate::learner::Estimate;
use crate::plot::axis::{Axis, label};
use crate::plot::canvas::{Anchor, BLUE, Canvas, Frame, GREY, GRID, INK, SKY, VERMILION};

/// Standard errors to either side that hold 95% of a normal distribution.
const TWO_SIDED_95: f64 = 1.96;

/// Labels of components along the axis at most.
const LABELS_MAX: usize = 14;

/// Eigenvalues ± 1.96 standard errors; rings are inactive, the dashed line is the penalty.
pub(super) fn eigenvalues<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    estimate: &Estimate,
) -> Result<(), String> {
    let plot = frame.inside(84, 40, 16, 56);
    let k = estimate.components();
    let interval = |i: usize| {
        let (value, reach) = (
            estimate.eigenvalues[i],
            TWO_SIDED_95 * estimate.eigenvalue_stderr[i],
        );
        (value - reach, value + reach)
    };
    let mut values = estimate.eigenvalues.clone();
    values.extend((0..k).map(|i| interval(i).1));
    let axis = Axis::of(&values, plot.bottom, plot.top);
    grid(canvas, plot, &axis, label)?;
    numbers(canvas, plot, k)?;
    let scale = if axis.is_logarithmic() {
        ", logarithmic"
    } else {
        ""
    };
    let heading = format!("eigenvalue ± 1.96 standard errors (variance{scale})");
    canvas.text(&heading, (plot.left, plot.top - 14), Anchor::Above, INK)?;
    // A penalty off the axis would be drawn where it is not.
    let is_on_axis = estimate.penalty > 0.0
        && values.iter().any(|v| *v >= estimate.penalty)
        && (!axis.is_logarithmic() || values.iter().any(|v| *v <= estimate.penalty));
    if let (true, Some(y)) = (is_on_axis, axis.at(estimate.penalty)) {
        canvas.dashes(plot.left, plot.right, y, VERMILION)?;
        // Beside the heading: beside the line it would lie on the last points.
        let text = format!("dashed: penalty {}", short(estimate.penalty));
        let at = (plot.right, plot.top - 14);
        canvas.text(&text, at, Anchor::AboveRight, VERMILION)?;
    }
    for i in 0..k {
        let x = middle(plot, k, i);
        let (low, high) = interval(i);
        let low = if axis.is_logarithmic() {
            low.max(f64::MIN_POSITIVE)
        } else {
            low
        };
        if let (Some(low), Some(high)) = (axis.at(low), axis.at(high)) {
            let cap = (slot(plot, k) / 4).clamp(1, 6);
            canvas.line(vec![(x, low), (x, high)], BLUE, 2)?;
            canvas.line(vec![(x - cap, low), (x + cap, low)], BLUE, 2)?;
            canvas.line(vec![(x - cap, high), (x + cap, high)], BLUE, 2)?;
        }
        if let Some(y) = axis.at(estimate.eigenvalues[i]) {
            canvas.point((x, y), BLUE, estimate.active[i])?;
        }
    }
    Ok(())
}

/// Explained variance ratio of each component, and their running sum.
pub(super) fn cumulative<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    estimate: &Estimate,
) -> Result<(), String> {
    let plot = frame.inside(64, 40, 24, 56);
    let k = estimate.components();
    let ratios: Vec<f64> = (0..k)
        .map(|i| estimate.explained_variance_ratio(i))
        .collect();
    let axis = Axis::linear(1.0, plot.bottom, plot.top);
    grid(canvas, plot, &axis, |tick| {
        format!("{}%", label(100.0 * tick))
    })?;
    numbers(canvas, plot, k)?;
    let heading = "explained variance ratio: each, cumulative";
    canvas.text(heading, (plot.left, plot.top - 14), Anchor::Above, INK)?;
    let mut sum = 0.0;
    let mut line = Vec::with_capacity(k);
    for (i, ratio) in ratios.iter().enumerate() {
        let x = middle(plot, k, i);
        let half = (slot(plot, k) * 3 / 10).max(1);
        if let Some(y) = axis.at(*ratio) {
            canvas.bar((x - half, plot.bottom), (x + half, y), SKY)?;
        }
        sum += ratio;
        line.extend(axis.at(sum).map(|y| (x, y)));
    }
    canvas.line(line.clone(), BLUE, 2)?;
    if k <= 2 * LABELS_MAX {
        for at in line {
            canvas.point(at, BLUE, true)?;
        }
    }
    Ok(())
}

/// Horizontal grid lines with their numbers.
fn grid<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: Frame,
    axis: &Axis,
    label: impl Fn(f64) -> String,
) -> Result<(), String> {
    for tick in axis.ticks() {
        if let Some(y) = axis.at(tick) {
            canvas.line(vec![(plot.left, y), (plot.right, y)], GRID, 1)?;
            canvas.text(&label(tick), (plot.left - 8, y), Anchor::Right, GREY)?;
        }
    }
    let (left, right, bottom) = (plot.left, plot.right, plot.bottom);
    canvas.line(vec![(left, bottom), (right, bottom)], GREY, 1)
}

/// Numbers of the components below the plot.
fn numbers<B: DrawingBackend>(canvas: &Canvas<'_, B>, plot: Frame, k: usize) -> Result<(), String> {
    // 1, 6, 11, … rather than every one where they would touch.
    let every = if k <= LABELS_MAX {
        1
    } else {
        5 * k.div_ceil(5 * LABELS_MAX)
    };
    for i in (0..k).step_by(every) {
        let at = (middle(plot, k, i), plot.bottom + 8);
        canvas.text(&(i + 1).to_string(), at, Anchor::Below, GREY)?;
    }
    let at = (i32::midpoint(plot.left, plot.right), plot.bottom + 28);
    canvas.text("component", at, Anchor::Below, INK)
}

/// Pixels that a component has.
fn slot(plot: Frame, k: usize) -> i32 {
    (plot.right - plot.left) / i32::try_from(k.max(1)).unwrap_or(i32::MAX)
}

/// The middle of component `i` of `k`.
fn middle(plot: Frame, k: usize, i: usize) -> i32 {
    let width = f64::from(plot.right - plot.left);
    plot.left + (width * (i as f64 + 0.5) / k.max(1) as f64) as i32
}

/// Four digits.
pub(super) fn short(value: f64) -> String {
    if (1e-3..1e5).contains(&value.abs()) {
        let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6);
        format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
    } else {
        format!("{value:.3e}")
    }
}
