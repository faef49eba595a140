//! The series of a chart in their marks.

use plotters::backend::DrawingBackend;
use plotters::element::{
    Circle, Cross, DynElement, IntoDynElement as _, PathElement, Polygon, Rectangle,
};
use plotters::series::DashedLineSeries;
use plotters::style::{Color as _, RGBColor};

use super::plot::Plot;
use super::{Chart, Mark, Series};
use crate::canvas::{Pen, WHITE, color, darker};
use crate::error::DrawError;
use crate::lines::{self, INSIDE};
use crate::plane::{Context, Place};
use crate::stroke::Stroke;

/// Pixels of a line's width, and of a whisker's.
pub(super) const STROKE: f64 = 2.0;
const THIN: f64 = 1.5;

/// Pixels of a dash and of the gap behind it.
pub(super) const DASH: (f64, f64) = (8.0, 5.0);

/// Pixels of a mark's radius in a legend, and half of a whisker's cap.
pub(super) const RADIUS: f64 = 4.0;

/// The opacity of a band.
pub(super) const PALE: f64 = 0.18;

/// Columns of a pixel that a thinned line tells apart.
const COLUMNS: f64 = 2.0;

/// All series: bands below everything, then the marks in their order, each with its sample for the legend.
pub(super) fn all<'c, B: DrawingBackend + 'c>(
    pen: Pen,
    context: &mut Context<'c, B>,
    plot: &Plot,
    chart: &Chart,
) -> Result<(), DrawError> {
    for one in chart.series.iter().filter(|one| is_line(one.mark)) {
        draw(context, band(plot, one))?;
    }
    let is_bars = |one: &&Series| one.mark == Mark::Bars;
    let groups = chart.series.iter().filter(is_bars).count();
    let radius = radius(chart);
    let mut group = 0;
    for one in &chart.series {
        let paint = color(one.color);
        match one.mark {
            Mark::Bars => {
                bars(pen, context, plot, one, (group, groups))?;
                group += 1;
            }
            Mark::Line | Mark::Dashed => line(pen, context, plot, one)?,
            Mark::LineAndDots => {
                line(pen, context, plot, one)?;
                draw(context, marks(pen, plot, one, radius))?;
            }
            Mark::Dots | Mark::Rings | Mark::Cross => {
                draw(context, whiskers(pen, plot, one, (paint, &|x| x)))?;
                draw(context, marks(pen, plot, one, radius))?;
            }
        }
    }
    Ok(())
}

fn draw<'c, B: DrawingBackend + 'c>(
    context: &mut Context<'c, B>,
    elements: Vec<DynElement<'static, B, Place>>,
) -> Result<(), DrawError> {
    context.draw_series(elements)?;
    Ok(())
}

pub(super) fn is_line(mark: Mark) -> bool {
    matches!(mark, Mark::Line | Mark::Dashed | Mark::LineAndDots)
}

/// The colour of a series' line or marks.
pub(super) fn stroke_color(series: &Series) -> RGBColor {
    match series.mark {
        Mark::Dashed => darker(series.color),
        _ => color(series.color),
    }
}

/// One size for the marks of all series: where there are many points, they are small.
fn radius(chart: &Chart) -> f64 {
    let alone = chart.series.iter();
    let alone = alone.filter(|one| !is_line(one.mark) && one.mark != Mark::Bars);
    match alone.map(|one| one.points.len()).sum::<usize>() {
        0..=200 => RADIUS,
        201..=600 => 3.0,
        601..=2000 => 2.0,
        _ => 1.25,
    }
}

/// The parts of a series' line that are seen.
pub(super) fn visible(plot: &Plot, series: &Series) -> Vec<Vec<Place>> {
    let columns = COLUMNS * f64::from(plot.frame.width());
    let places = series.points.iter().map(|point| plot.place(*point));
    let runs = lines::runs(places).into_iter();
    let thinned = runs.map(|run| lines::thin(run, columns));
    thinned.flat_map(|run| lines::clip(&run, INSIDE)).collect()
}

fn line<'c, B: DrawingBackend + 'c>(
    pen: Pen,
    context: &mut Context<'c, B>,
    plot: &Plot,
    series: &Series,
) -> Result<(), DrawError> {
    let paint = stroke_color(series);
    let style = pen.stroke(paint, STROKE);
    let mut elements = Vec::new();
    for points in visible(plot, series) {
        if series.mark == Mark::Dashed {
            let (on, off) = (pen.length(DASH.0), pen.length(DASH.1));
            context.draw_series(DashedLineSeries::new(points, on, off, style))?;
        } else {
            let in_parts = pen.is_bitmap;
            elements.push(
                Stroke {
                    points,
                    style,
                    in_parts,
                }
                .into_dyn(),
            );
        }
    }
    // A point between two gaps has no line: it would not be seen.
    let places = series.points.iter().map(|point| plot.place(*point));
    for run in lines::runs(places) {
        if run.len() == 1 && INSIDE.hold(run[0]) {
            elements.push(Circle::new(run[0], pen.length(STROKE), paint.filled()).into_dyn());
        }
    }
    draw(context, elements)
}

/// The pale band around a line. The `AreaSeries` of plotters has a level foot; this one has two borders.
fn band<B: DrawingBackend>(plot: &Plot, series: &Series) -> Vec<DynElement<'static, B, Place>> {
    let columns = COLUMNS * f64::from(plot.frame.width());
    let both = series.points.iter().zip(series.band.iter().flatten());
    let both: Vec<Option<(Place, Place)>> = both
        .map(|(point, (low, high))| {
            let low = foot_of(plot, *low);
            Some((plot.place((point.0, low))?, plot.place((point.0, *high))?))
        })
        .collect();
    let run = |pick: fn(&(Place, Place)) -> Place| {
        lines::runs(both.iter().map(|two| two.as_ref().map(pick)))
    };
    let mut elements = Vec::new();
    for (low, high) in run(|two| two.0).into_iter().zip(run(|two| two.1)) {
        let mut corners = lines::thin(low, columns);
        corners.extend(lines::thin(high, columns).into_iter().rev());
        let corners = lines::crop(corners, INSIDE);
        if corners.len() > 2 {
            elements.push(Polygon::new(corners, color(series.color).mix(PALE)).into_dyn());
        }
    }
    elements
}

/// The low end of a band: one that reaches down to zero reaches the bottom of a logarithmic axis.
fn foot_of(plot: &Plot, low: f64) -> f64 {
    if plot.y.is_logarithmic() && low <= 0.0 {
        plot.y.range().0
    } else {
        low
    }
}

/// Vertical lines from low to high, with caps; `shift` moves them along the axis. The `ErrorBar` of plotters
/// has a disc in its middle, whatever the mark, and is not cut at the border.
fn whiskers<B: DrawingBackend>(
    pen: Pen,
    plot: &Plot,
    series: &Series,
    (paint, shift): (RGBColor, &dyn Fn(f64) -> f64),
) -> Vec<DynElement<'static, B, Place>> {
    let style = pen.stroke(paint, THIN);
    let cap = cap(plot, series);
    let mut elements = Vec::new();
    for (point, (low, high)) in series.points.iter().zip(series.band.iter().flatten()) {
        let ends = (
            plot.place((point.0, foot_of(plot, *low))),
            plot.place((point.0, *high)),
        );
        let (Some(low), Some(high)) = ends else {
            continue;
        };
        let x = shift(low.0);
        let whisker = [(x, low.1), (x, high.1)];
        for part in lines::clip(&whisker, INSIDE) {
            elements.push(PathElement::new(part, style).into_dyn());
        }
        for end in whisker.into_iter().filter(|end| INSIDE.hold(*end)) {
            let across = vec![(end.0 - cap, end.1), (end.0 + cap, end.1)];
            elements.push(PathElement::new(across, style).into_dyn());
        }
    }
    elements
}

/// Half of a whisker's cap, as a share of the axis: less where the points lie close.
fn cap(plot: &Plot, series: &Series) -> f64 {
    let pixel = 1.0 / f64::from(plot.frame.width().max(1));
    (0.25 * gap(plot, series)).clamp(pixel, RADIUS * pixel)
}

/// The marks at the points of a series.
fn marks<B: DrawingBackend>(
    pen: Pen,
    plot: &Plot,
    series: &Series,
    radius: f64,
) -> Vec<DynElement<'static, B, Place>> {
    let places = series.points.iter().filter_map(|point| plot.place(*point));
    let seen = places.filter(|at| INSIDE.hold(*at));
    let look = (series.mark, color(series.color));
    seen.flat_map(|at| mark(pen, at, look, radius)).collect()
}

/// Makes the mark of one point.
pub(super) fn mark<B: DrawingBackend, C: Clone + 'static>(
    pen: Pen,
    at: C,
    (mark, paint): (Mark, RGBColor),
    radius: f64,
) -> Vec<DynElement<'static, B, C>> {
    let disc = |radius: f64, paint: RGBColor| {
        Circle::new(at.clone(), pen.length(radius), paint.filled()).into_dyn()
    };
    match mark {
        Mark::Rings => vec![disc(radius + 0.75, paint), disc(radius - 1.0, WHITE)],
        Mark::Cross => {
            let style = pen.stroke(paint, STROKE);
            vec![Cross::new(at, pen.length(radius), style).into_dyn()]
        }
        _ => vec![disc(radius, paint)],
    }
}

/// The least distance between the places of two points, in the units of the axis.
pub(super) fn spacing(series: &Series) -> f64 {
    least(series.points.iter().map(|point| point.0)).unwrap_or(1.0)
}

/// The same as a share of the axis; where there is one point, what a unit has.
fn gap(plot: &Plot, series: &Series) -> f64 {
    let places = series
        .points
        .iter()
        .filter_map(|point| plot.x.place(point.0));
    let unit = plot.x.place(1.0).zip(plot.x.place(0.0));
    let unit = unit.map_or(1.0, |(one, zero)| one - zero);
    least(places).unwrap_or(unit).min(1.0)
}

/// The least difference between two numbers.
fn least(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|x| x.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let gaps = values.windows(2).map(|two| two[1] - two[0]);
    gaps.filter(|gap| *gap > 0.0).reduce(f64::min)
}

/// Bars of the series `group.0` of `group.1` that stand side by side. The `Histogram` of plotters has one
/// series, on an axis of classes.
fn bars<'c, B: DrawingBackend + 'c>(
    pen: Pen,
    context: &mut Context<'c, B>,
    plot: &Plot,
    series: &Series,
    group: (usize, usize),
) -> Result<(), DrawError> {
    let (low, high) = plot.y.range();
    let foot = if plot.y.is_logarithmic() {
        low
    } else {
        0.0_f64.clamp(low, high)
    };
    let pixel = 1.0 / f64::from(plot.frame.width().max(1));
    let each = (0.8 * gap(plot, series) / group.1.max(1) as f64).max(pixel);
    let shift = |x: f64| x + each * (group.0 as f64 - (group.1 as f64 - 1.0) / 2.0);
    let within = |share: f64| share.clamp(0.0, 1.0);
    let mut elements = Vec::new();
    for (x, y) in &series.points {
        let (Some(top), Some(bottom)) = (plot.place((*x, *y)), plot.place((*x, foot))) else {
            continue;
        };
        let middle = shift(top.0);
        let left = within(middle - 0.48 * each);
        let right = within(middle + 0.48 * each);
        if right > left {
            let corners = [(left, within(bottom.1)), (right, within(top.1))];
            elements.push(Rectangle::new(corners, color(series.color).filled()).into_dyn());
        }
    }
    draw(context, elements)?;
    // Seen on the bar and above it.
    let dark = RGBColor(60, 60, 60);
    draw(context, whiskers(pen, plot, series, (dark, &shift)))
}
