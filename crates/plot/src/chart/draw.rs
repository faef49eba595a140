//! A chart on a canvas: ranges, margins, grid, and then the series.

use plotters::backend::DrawingBackend;

use super::{Chart, Legend, Mark, Scale, Series, legend, series};
use crate::axis::Axis;
use crate::canvas::{Anchor, LABEL, TICK};
use crate::canvas::{Canvas, Frame, GREY, GRID, INK};
use crate::sheet::heading;
use crate::text;

/// Pixels from an axis to the labels of its ticks.
const GAP: i32 = 7;

/// Pixels of a line of labels.
const LINE: i32 = 22;

/// The place of a chart's points.
#[derive(Clone, Copy)]
pub(super) struct Plot {
    pub frame: Frame,
    pub x: Axis,
    pub y: Axis,
}

impl Plot {
    /// The pixel of a point, outside too; nothing where it has none.
    pub fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x.place(x)?, self.y.place(y)?))
    }
}

/// Ticks with their labels.
type Ticks = Vec<(f64, String)>;

/// Draws all of it into the frame.
pub(crate) fn chart<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    chart: &Chart,
) -> Result<(), String> {
    let frame = heading(canvas, frame, &chart.title)?;
    let plot = layout(chart, frame);
    let most = |pixels: i32, each: i32| u8::try_from((pixels / each).clamp(2, 8)).unwrap_or(8);
    let x_ticks = ticks(&chart.x, &plot.x, most(plot.frame.width(), 56));
    let y_ticks = ticks(&chart.y, &plot.y, most(plot.frame.height(), 40));
    grid(canvas, &plot, &x_ticks, &y_ticks)?;
    labels(canvas, frame, &plot, chart, &y_ticks)?;
    series::all(canvas, &plot, &chart.series)?;
    let Frame {
        left,
        top,
        right,
        bottom,
    } = plot.frame;
    canvas.line(vec![(left, top), (left, bottom), (right, bottom)], GREY, 1)?;
    legend::draw(canvas, &plot, chart, frame.width())
}

/// The axes, and the frame between the margins that their labels need.
fn layout(chart: &Chart, frame: Frame) -> Plot {
    let (mut x, mut y) = ranges(chart);
    // Labels do not depend on pixels, but for their number.
    let axis = Axis::between(y, chart.y.is_logarithmic, 0, 1);
    let widest = |ticks: &Ticks| ticks.iter().map(|tick| text::width(&tick.1, TICK)).max();
    let labels = widest(&ticks(&chart.y, &axis, 8)).unwrap_or(0);
    let labels = labels.min(frame.width() / 3);
    let line = |label: &str| if label.is_empty() { 0 } else { LINE + 2 };
    let right = match chart.legend {
        Legend::Right => legend::width(chart, frame.width()) + 14,
        _ => 20,
    };
    let inside = frame.inside(
        6 + line(&chart.y.label) + labels + GAP,
        10,
        right,
        GAP + LINE + line(&chart.x.label),
    );
    if chart.is_square && !chart.x.is_logarithmic && !chart.y.is_logarithmic {
        (x, y) = squared(x, y, inside);
    }
    Plot {
        frame: inside,
        x: Axis::between(x, chart.x.is_logarithmic, inside.left, inside.right),
        y: Axis::between(y, chart.y.is_logarithmic, inside.bottom, inside.top),
    }
}

/// What the axes reach from and to.
fn ranges(chart: &Chart) -> ((f64, f64), (f64, f64)) {
    let is_bars = |series: &&Series| series.mark == Mark::Bars;
    let bars: Vec<&Series> = chart.series.iter().filter(is_bars).collect();
    let xs = chart
        .series
        .iter()
        .flat_map(|s| s.points.iter().map(|p| p.0));
    let reach = bars.iter().map(|series| series::spacing(series) / 2.0);
    let reach = reach.fold(0.0, f64::max);
    let on_bars = bars.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let xs = xs.chain(on_bars.flat_map(|x| [x - reach, x + reach]));
    let is_line = |series: &Series| matches!(series.mark, Mark::Line | Mark::Dashed);
    // Lines may touch the border; what has a size of its own may not.
    let air = if bars.is_empty() && !chart.series.iter().all(is_line) {
        0.04
    } else {
        0.0
    };
    let x = chart.x.range.unwrap_or_else(|| around(xs, &chart.x, air));
    let ys = chart.series.iter().flat_map(|series| {
        let band = series.band.iter().flatten().flat_map(|b| [b.0, b.1]);
        series.points.iter().map(|p| p.1).chain(band)
    });
    let zero = (!bars.is_empty() && !chart.y.is_logarithmic).then_some(0.0);
    let y = chart.y.range.unwrap_or_else(|| {
        let (low, high) = around(ys.chain(zero), &chart.y, 0.0);
        if chart.y.is_logarithmic {
            let air = (high / low).powf(0.05);
            return (low / air, high * air);
        }
        let air = 0.05 * (high - low);
        // Zero is worth seeing where it is near, and then the axis ends there.
        if low >= 0.0 && low <= 0.3 * high && !chart.is_square {
            (0.0, high + air)
        } else if high <= 0.0 && high >= 0.3 * low && zero.is_some() {
            (low - air, 0.0)
        } else {
            (low - air, high + air)
        }
    });
    (x, y)
}

/// The least and the largest of the values that the axis takes, with some air around.
fn around(values: impl Iterator<Item = f64>, scale: &Scale, air: f64) -> (f64, f64) {
    let fit = |v: &f64| v.is_finite() && v.abs() < 1e300 && (!scale.is_logarithmic || *v > 0.0);
    let (low, high) = values
        .filter(fit)
        .chain(scale.ticks.iter().map(|tick| tick.0).filter(fit))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    let axis = if low > high {
        Axis::between((f64::NAN, f64::NAN), scale.is_logarithmic, 0, 1)
    } else {
        Axis::between((low, high), scale.is_logarithmic, 0, 1)
    };
    let (low, high) = axis.range();
    if scale.is_logarithmic {
        let air = (high / low).powf(air);
        (low / air, high * air)
    } else {
        let air = air * (high - low);
        (low - air, high + air)
    }
}

/// The narrower of the two ranges widened until a unit is as long on both axes.
fn squared(x: (f64, f64), y: (f64, f64), frame: Frame) -> ((f64, f64), (f64, f64)) {
    let (width, height) = (
        f64::from(frame.width().max(1)),
        f64::from(frame.height().max(1)),
    );
    let unit = ((x.1 - x.0) / width).max((y.1 - y.0) / height);
    let widened = |range: (f64, f64), pixels: f64| {
        let middle = f64::midpoint(range.0, range.1);
        (middle - unit * pixels / 2.0, middle + unit * pixels / 2.0)
    };
    (widened(x, width), widened(y, height))
}

/// The ticks that are on the axis, with their labels.
fn ticks(scale: &Scale, axis: &Axis, most: u8) -> Ticks {
    let (low, high) = axis.range();
    if !scale.ticks.is_empty() {
        let named = scale.ticks.iter().cloned();
        return named
            .filter(|tick| tick.0 >= low && tick.0 <= high)
            .collect();
    }
    let ticks = axis.ticks_up_to(most);
    let labels = axis.labels(&ticks);
    ticks.into_iter().zip(labels).collect()
}

/// The grid, and the labels of its lines that do not touch one another.
fn grid<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    x_ticks: &Ticks,
    y_ticks: &Ticks,
) -> Result<(), String> {
    let frame = plot.frame;
    let mut free = i32::MIN;
    for (tick, label) in x_ticks {
        let Some(x) = plot.x.at(*tick) else { continue };
        canvas.line(vec![(x, frame.top), (x, frame.bottom)], GRID, 1)?;
        let half = text::width(label, TICK) / 2;
        if x - half >= free {
            let at = (x, frame.bottom + GAP);
            canvas.words(label, at, Anchor::Below, INK, TICK)?;
            free = x + half + 10;
        }
    }
    let mut free = i32::MAX;
    let room = frame.left;
    for (tick, label) in y_ticks {
        let Some(y) = plot.y.at(*tick) else { continue };
        canvas.line(vec![(frame.left, y), (frame.right, y)], GRID, 1)?;
        if y + TICK / 2 <= free {
            let label = text::cut(label, TICK, room);
            let at = (frame.left - GAP, y);
            canvas.words(&label, at, Anchor::Right, INK, TICK)?;
            free = y - TICK / 2;
        }
    }
    Ok(())
}

/// What is on the axes.
fn labels<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    plot: &Plot,
    chart: &Chart,
    y_ticks: &Ticks,
) -> Result<(), String> {
    let inside = plot.frame;
    let label = text::cut(&chart.x.label, LABEL, frame.width());
    // A label wider than its axis may use the room beside it.
    let half = text::width(&label, LABEL) / 2;
    let middle = i32::midpoint(inside.left, inside.right).min(frame.right - half);
    let at = (middle.max(frame.left + half), inside.bottom + GAP + LINE);
    canvas.words(&label, at, Anchor::Below, INK, LABEL)?;
    let widest = y_ticks.iter().map(|tick| text::width(&tick.1, TICK)).max();
    let widest = widest.unwrap_or(0).min(frame.width() / 3);
    let label = text::cut(&chart.y.label, LABEL, frame.height());
    let left = inside.left - GAP - widest - LINE / 2 - 4;
    let half = text::width(&label, LABEL) / 2;
    let middle = i32::midpoint(inside.top, inside.bottom);
    // A label longer than its axis may use the room below it.
    let middle = middle.max(frame.top + half);
    canvas.upwards(&label, (left, middle), INK, LABEL)
}
