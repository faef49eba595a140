//! A chart on a canvas: ranges and axes, the series on them, and the legend.

use plotters::backend::DrawingBackend;

use super::plot::Plot;
use super::{Chart, Legend, Mark, Scale, Series, legend, series};
use crate::axis::Axis;
use crate::canvas::{Canvas, Frame};
use crate::error::DrawError;
use crate::plane::{self, Margins, Side, Tick};

/// Draws all of it into the frame.
pub(crate) fn chart<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    chart: &Chart,
) -> Result<(), DrawError> {
    let frame = canvas.heading(frame, &chart.title)?;
    let (mut x, mut y) = ranges(chart);
    // Labels do not depend on pixels, but for their number.
    let sides = |x, y, frame: Frame| {
        let most = |pixels: i32, each: i32| u8::try_from((pixels / each).clamp(2, 8)).unwrap_or(8);
        (
            side(
                &chart.x,
                Axis::between(x, chart.x.is_logarithmic),
                most(frame.width(), 56),
            ),
            side(
                &chart.y,
                Axis::between(y, chart.y.is_logarithmic),
                most(frame.height(), 40),
            ),
        )
    };
    let (below, beside) = sides(x, y, frame);
    let mut margins = Margins::of(&below, &beside, frame);
    if chart.legend == Legend::Right {
        margins.right = legend::width(canvas.pen(), chart, frame.width()) + legend::AIR;
    }
    let inside = margins.within(frame);
    if chart.is_square && !chart.x.is_logarithmic && !chart.y.is_logarithmic {
        (x, y) = squared(x, y, inside);
    }
    let plot = Plot {
        frame: inside,
        x: Axis::between(x, chart.x.is_logarithmic),
        y: Axis::between(y, chart.y.is_logarithmic),
    };
    // Again, for what is left inside the margins: fewer pixels may mean fewer ticks.
    let (below, beside) = sides(x, y, inside);
    let mut context = plane::open(canvas, frame, margins, (&below, &beside), true)?;
    series::all(canvas.pen(), &mut context, &plot, chart)?;
    legend::draw(canvas, frame, &plot, chart)
}

/// The ranges of both axes.
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
        Axis::between((f64::NAN, f64::NAN), scale.is_logarithmic)
    } else {
        Axis::between((low, high), scale.is_logarithmic)
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

/// An axis with the ticks that are on it.
fn side(scale: &Scale, axis: Axis, most: u8) -> Side {
    let (low, high) = axis.range();
    let mut named: Vec<(f64, String)> = if scale.ticks.is_empty() {
        let ticks = axis.ticks_up_to(most);
        let labels = axis.labels(&ticks);
        ticks.into_iter().zip(labels).collect()
    } else {
        let on_axis = scale
            .ticks
            .iter()
            .filter(|tick| tick.0 >= low && tick.0 <= high);
        on_axis.cloned().collect()
    };
    if scale.is_logarithmic {
        // A power of ten keeps its label where there is no room for all.
        let is_power = |tick: f64| (tick.log10() - tick.log10().round()).abs() < 1e-9;
        named.sort_by_key(|(tick, _)| !is_power(*tick));
    }
    let placed = named
        .into_iter()
        .filter_map(|(tick, label)| Some((axis.place(tick)?, label)));
    Side {
        ticks: placed.collect::<Vec<Tick>>(),
        name: scale.label.clone(),
    }
}
