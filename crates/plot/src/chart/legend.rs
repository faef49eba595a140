//! The names of a chart's series, where they cover least.

use plotters::backend::DrawingBackend;

use super::draw::Plot;
use super::series::{DASH, STROKE, is_line, mark, stroke_color, visible};
use super::{Chart, Legend, Mark, Series};
use crate::canvas::{Anchor, Canvas, Frame, GRID, INK, Point, TICK, WHITE};
use crate::{lines, text};

/// Pixels of a line of it, of a sample, and around it.
const LINE: i32 = 21;
const SAMPLE: i32 = 30;
const AIR: i32 = 8;

/// Pixels between two places at which a line is looked at.
const STEP: f64 = 5.0;

fn named(chart: &Chart) -> impl Iterator<Item = &Series> {
    chart.series.iter().filter(|series| !series.name.is_empty())
}

/// Pixels across, at most half of the `room` for chart and legend.
pub(super) fn width(chart: &Chart, room: i32) -> i32 {
    let names = named(chart).map(|series| text::width(&series.name, TICK));
    let width = names.max().map_or(0, |widest| widest + SAMPLE + 3 * AIR);
    width.min(room / 2)
}

fn height(chart: &Chart) -> i32 {
    LINE * i32::try_from(named(chart).count()).unwrap_or(0) + AIR
}

/// Draws it where the chart wants it.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: &Plot,
    chart: &Chart,
    room: i32,
) -> Result<(), String> {
    if chart.legend == Legend::None || named(chart).next().is_none() {
        return Ok(());
    }
    let frame = place(plot, chart, room);
    if chart.legend != Legend::Right {
        let corner = |x: i32, y: i32| (f64::from(x), f64::from(y));
        let (a, b) = (
            corner(frame.left, frame.top),
            corner(frame.right, frame.bottom),
        );
        canvas.block(a, b, WHITE, 0.88)?;
        canvas.outline(frame, GRID)?;
    }
    for (i, series) in named(chart).enumerate() {
        let row = i32::try_from(i).unwrap_or(0);
        let y = frame.top + AIR / 2 + LINE * row + LINE / 2;
        let left = frame.left + AIR;
        sample(canvas, series, left, y)?;
        let at = (left + SAMPLE + AIR, y);
        let name = text::cut(&series.name, TICK, frame.right - AIR - at.0);
        canvas.words(&name, at, Anchor::Left, INK, TICK)?;
    }
    Ok(())
}

/// What the marks of a series look like.
fn sample<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    series: &Series,
    left: i32,
    y: i32,
) -> Result<(), String> {
    let paint = stroke_color(series);
    let (from, to) = (f64::from(left), f64::from(left + SAMPLE));
    let y = f64::from(y);
    let line = [(from, y), (to, y)];
    let middle = (f64::midpoint(from, to), y);
    if is_line(series.mark) && series.band.is_some() {
        canvas.block((from, y - 6.0), (to, y + 6.0), paint, 0.18)?;
    }
    match series.mark {
        Mark::Line => canvas.curve(&line, paint, STROKE),
        Mark::LineAndDots => {
            canvas.curve(&line, paint, STROKE)?;
            mark(canvas, middle, series.mark, 4.0, paint)
        }
        Mark::Dashed => {
            for dash in lines::dashes(&line, DASH.0, DASH.1) {
                canvas.curve(&dash, paint, STROKE)?;
            }
            Ok(())
        }
        Mark::Bars => canvas.block(
            (middle.0 - 8.0, y - 6.0),
            (middle.0 + 8.0, y + 6.0),
            paint,
            1.0,
        ),
        Mark::Dots | Mark::Rings | Mark::Cross => mark(canvas, middle, series.mark, 4.0, paint),
    }
}

/// Its frame: beside the chart, in the corner that was asked for, or in the emptiest.
fn place(plot: &Plot, chart: &Chart, room: i32) -> Frame {
    let room = match chart.legend {
        Legend::Right => room,
        // Inside it may be almost as wide as the chart.
        _ => 2 * (plot.frame.width() - 2 * AIR),
    };
    let (width, height) = (width(chart, room), height(chart));
    let frame = plot.frame;
    let (left, top) = (frame.left + AIR, frame.top + AIR);
    let (right, bottom) = (frame.right - AIR - width, frame.bottom - AIR - height);
    let at = |x: i32, y: i32| Frame::new(x, y, x + width, y + height);
    match chart.legend {
        Legend::Right => at(frame.right + AIR, frame.top),
        Legend::TopLeft => at(left, top),
        Legend::TopRight => at(right, top),
        Legend::BottomLeft => at(left, bottom),
        Legend::BottomRight => at(right, bottom),
        Legend::Best | Legend::None => {
            let ink = ink(plot, chart);
            let covered = |frame: &Frame| ink.iter().filter(|p| lines::holds(*frame, **p)).count();
            let corners = [
                at(right, top),
                at(left, top),
                at(right, bottom),
                at(left, bottom),
            ];
            let [first, ..] = corners;
            corners.into_iter().min_by_key(covered).unwrap_or(first)
        }
    }
}

/// Places that something is drawn at.
fn ink(plot: &Plot, chart: &Chart) -> Vec<Point> {
    let mut ink = Vec::new();
    for series in &chart.series {
        let places = series.points.iter().filter_map(|point| plot.place(*point));
        match series.mark {
            Mark::Bars => {
                for (x, y) in places.filter(|at| lines::holds(plot.frame, *at)) {
                    let steps = ((f64::from(plot.frame.bottom) - y) / STEP).max(0.0) as u32;
                    ink.extend((0..=steps).map(|i| (x, y + STEP * f64::from(i))));
                }
            }
            mark if is_line(mark) => {
                for part in visible(plot, series) {
                    let pieces = lines::dashes(&part, STEP, 1e-3);
                    ink.extend(
                        pieces
                            .into_iter()
                            .filter_map(|piece| piece.first().copied()),
                    );
                }
            }
            _ => ink.extend(places),
        }
    }
    ink
}
