//! The series of a chart in their marks.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::draw::Plot;
use super::{Mark, Series};
use crate::canvas::{Canvas, Point, WHITE, color, darker};
use crate::lines;

/// Pixels of a line's width.
pub(super) const STROKE: f64 = 2.0;

/// Pixels of a dash and of the gap behind it.
pub(super) const DASH: (f64, f64) = (8.0, 5.0);

/// How much of what is below a band covers.
const PALE: f64 = 0.18;

/// All series: bands below everything, then the marks in their order.
pub(super) fn all<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &[Series],
) -> Result<(), String> {
    for one in series.iter().filter(|one| is_line(one.mark)) {
        band(canvas, plot, one)?;
    }
    let groups = series.iter().filter(|one| one.mark == Mark::Bars).count();
    // One size for all series: where there are many points, they are small.
    let alone = series
        .iter()
        .filter(|one| !is_line(one.mark) && one.mark != Mark::Bars);
    let radius = match alone.map(|one| one.points.len()).sum::<usize>() {
        0..=200 => 4.0,
        201..=600 => 3.0,
        601..=2000 => 2.0,
        _ => 1.25,
    };
    let mut group = 0;
    for one in series {
        let paint = color(one.color);
        match one.mark {
            Mark::Bars => {
                bars(canvas, plot, one, (group, groups))?;
                group += 1;
            }
            Mark::Line | Mark::Dashed => line(canvas, plot, one)?,
            Mark::LineAndDots => {
                line(canvas, plot, one)?;
                points(canvas, plot, one, (radius, paint))?;
            }
            Mark::Dots | Mark::Rings | Mark::Cross => {
                whiskers(canvas, plot, one, &|x| x)?;
                points(canvas, plot, one, (radius, paint))?;
            }
        }
    }
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

/// The parts of a series' line that are seen.
pub(super) fn visible(plot: &Plot, series: &Series) -> Vec<Vec<Point>> {
    let places = series.points.iter().map(|point| plot.place(*point));
    let runs = lines::runs(places).into_iter().map(lines::thin);
    runs.flat_map(|run| lines::clip(&run, plot.frame)).collect()
}

fn line<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &Series,
) -> Result<(), String> {
    let paint = stroke_color(series);
    for part in visible(plot, series) {
        if series.mark == Mark::Dashed {
            for dash in lines::dashes(&part, DASH.0, DASH.1) {
                canvas.curve(&dash, paint, STROKE)?;
            }
        } else {
            canvas.curve(&part, paint, STROKE)?;
        }
    }
    // A point between two gaps has no line: it would not be seen.
    let places = series.points.iter().map(|point| plot.place(*point));
    for run in lines::runs(places) {
        if run.len() == 1 && lines::holds(plot.frame, run[0]) {
            canvas.disc(run[0], STROKE, paint)?;
        }
    }
    Ok(())
}

/// The pale band around a line.
fn band<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &Series,
) -> Result<(), String> {
    let Some(band) = &series.band else {
        return Ok(());
    };
    let floor = plot.y.range().0;
    let both = series.points.iter().zip(band).map(|(point, (low, high))| {
        // A band that reaches down to zero reaches the bottom of a logarithmic axis.
        let low = if plot.y.is_logarithmic() && *low <= 0.0 {
            floor
        } else {
            *low
        };
        Some((plot.place((point.0, low))?, plot.place((point.0, *high))?))
    });
    let both: Vec<_> = both.collect();
    let run = |pick: fn(&(Point, Point)) -> Point| {
        lines::runs(both.iter().map(|two| two.as_ref().map(pick)))
    };
    for (low, high) in run(|two| two.0).into_iter().zip(run(|two| two.1)) {
        let mut corners = lines::thin(low);
        corners.extend(lines::thin(high).into_iter().rev());
        let corners = lines::crop(corners, plot.frame);
        if corners.len() > 2 {
            canvas.surface(&corners, color(series.color), PALE)?;
        }
    }
    Ok(())
}

/// Vertical lines from low to high, with caps; `shift` moves them in pixels.
fn whiskers<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &Series,
    shift: &dyn Fn(f64) -> f64,
) -> Result<(), String> {
    let paint = match series.mark {
        Mark::Bars => RGBColor(60, 60, 60),
        _ => color(series.color),
    };
    for (point, (low, high)) in series.points.iter().zip(series.band.iter().flatten()) {
        let low = if plot.y.is_logarithmic() && *low <= 0.0 {
            plot.y.range().0
        } else {
            *low
        };
        let ends = (plot.place((point.0, low)), plot.place((point.0, *high)));
        let (Some(low), Some(high)) = ends else {
            continue;
        };
        let x = shift(low.0);
        let whisker = [(x, low.1), (x, high.1)];
        for part in lines::clip(&whisker, plot.frame) {
            canvas.curve(&part, paint, 1.5)?;
        }
        for end in whisker {
            if lines::holds(plot.frame, end) {
                canvas.curve(&[(x - 4.0, end.1), (x + 4.0, end.1)], paint, 1.5)?;
            }
        }
    }
    Ok(())
}

/// The marks at the points of a series.
fn points<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &Series,
    (radius, paint): (f64, RGBColor),
) -> Result<(), String> {
    for at in series.points.iter().filter_map(|point| plot.place(*point)) {
        if lines::holds(plot.frame, at) {
            mark(canvas, at, series.mark, radius, paint)?;
        }
    }
    Ok(())
}

/// One mark.
pub(super) fn mark<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    at: Point,
    mark: Mark,
    radius: f64,
    paint: RGBColor,
) -> Result<(), String> {
    match mark {
        Mark::Rings => {
            canvas.disc(at, radius + 0.75, paint)?;
            canvas.disc(at, radius - 1.0, WHITE)
        }
        Mark::Cross => {
            let (x, y) = at;
            let r = radius;
            canvas.curve(&[(x - r, y - r), (x + r, y + r)], paint, STROKE)?;
            canvas.curve(&[(x - r, y + r), (x + r, y - r)], paint, STROKE)
        }
        _ => canvas.disc(at, radius, paint),
    }
}

/// The least distance between the places of two bars, in the units of the axis.
pub(super) fn spacing(series: &Series) -> f64 {
    let finite = series.points.iter().map(|point| point.0);
    let mut places: Vec<f64> = finite.filter(|x| x.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).map(|two| two[1] - two[0]);
    let least = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}

/// Bars of the series `group.0` of `group.1` that stand side by side.
fn bars<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    series: &Series,
    group: (usize, usize),
) -> Result<(), String> {
    let (low, high) = plot.y.range();
    let foot = if plot.y.is_logarithmic() {
        low
    } else {
        0.0_f64.clamp(low, high)
    };
    let frame = plot.frame;
    let mut places: Vec<f64> = series
        .points
        .iter()
        .filter_map(|point| plot.x.place(point.0))
        .collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).map(|two| two[1] - two[0]);
    let alone = plot.x.place(1.0).zip(plot.x.place(0.0));
    let alone = alone.map_or(f64::from(frame.width()), |(one, zero)| one - zero);
    let gap = gaps.filter(|gap| *gap > 0.0).reduce(f64::min);
    let width = gap.unwrap_or(alone).min(f64::from(frame.width()));
    let each = (0.8 * width / group.1.max(1) as f64).max(1.0);
    let offset = |x: f64| x + each * (group.0 as f64 - (group.1 as f64 - 1.0) / 2.0);
    for (x, y) in &series.points {
        let (Some(top), Some(bottom)) = (plot.place((*x, *y)), plot.place((*x, foot))) else {
            continue;
        };
        let middle = offset(top.0);
        let within = |v: f64| v.clamp(f64::from(frame.top), f64::from(frame.bottom));
        let beside = |v: f64| v.clamp(f64::from(frame.left), f64::from(frame.right));
        let (left, right) = (beside(middle - 0.48 * each), beside(middle + 0.48 * each));
        if right > left {
            let corners = ((left, within(bottom.1)), (right, within(top.1)));
            canvas.block(corners.0, corners.1, color(series.color), 1.0)?;
        }
    }
    whiskers(canvas, plot, series, &offset)
}
