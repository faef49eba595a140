//! The names of a chart's series, as plotters lists them, where they cover least.

use plotters::backend::DrawingBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::element::{
    Circle, DashedPathElement, Drawable, MultiLineText, PointCollection, Rectangle,
};
use plotters::style::{Color as _, RGBColor};
use plotters_backend::{BackendCoord, DrawingErrorKind};

use super::plot::Plot;
use super::series::{DASH, PALE, RADIUS, STROKE, is_line, mark, stroke_color, visible};
use super::{Chart, Legend, Mark, Series};
use crate::canvas::{Canvas, Frame, GRID, INK, Pen, TICK, WHITE};
use crate::error::DrawError;
use crate::lines::{Bounds, INSIDE};
use crate::plane::Place;
use crate::text;

/// Pixels around it, and of a sample.
pub(super) const AIR: i32 = 8;
const SAMPLE: i32 = 30;

/// The opacity of its ground.
const GROUND: f64 = 0.88;

/// Steps between two points in which a line is looked at.
const BETWEEN: u32 = 16;

fn named(chart: &Chart) -> impl Iterator<Item = &Series> {
    chart.series.iter().filter(|series| !series.name.is_empty())
}

/// Pixels across, at most half of the `room` for chart and legend.
pub(super) fn width(pen: Pen, chart: &Chart, room: i32) -> i32 {
    let names = names(chart, room / 2);
    if names.is_empty() {
        0
    } else {
        size(pen, &names).0
    }
}

/// The names, cut to what fits into `most` pixels.
fn names(chart: &Chart, most: i32) -> Vec<String> {
    let room = most - SAMPLE - 3 * AIR;
    named(chart)
        .map(|series| text::cut(&series.name, TICK, room))
        .collect()
}

/// Pixels across and down of what plotters draws for these names.
fn size(pen: Pen, names: &[String]) -> (i32, i32) {
    let mut lines = MultiLineText::<_, &str>::new((0, 0), pen.font(INK, TICK));
    for name in names {
        lines.push_line(name.as_str());
    }
    let (width, height) = lines.estimate_dimension().unwrap_or((0, 0));
    (
        pen.pixels(width) + SAMPLE + 3 * AIR,
        pen.pixels(height) + 2 * AIR,
    )
}

/// Draws it where the chart wants it: on the whole `frame`, because plotters keeps what it draws on a chart
/// within its axes.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    plot: &Plot,
    chart: &Chart,
) -> Result<(), DrawError> {
    if chart.legend == Legend::None || named(chart).next().is_none() {
        return Ok(());
    }
    let pen = canvas.pen();
    // Inside it may be almost as wide as the chart.
    let most = match chart.legend {
        Legend::Right => frame.width() / 2,
        _ => plot.frame.width() - 2 * AIR,
    };
    let names = names(chart, most);
    let area = canvas.part(frame);
    let mut context = ChartBuilder::on(&area).build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    for (series, name) in named(chart).zip(&names) {
        let sample = Sample::of(pen, series);
        context
            .draw_series(std::iter::empty::<Circle<Place, i32>>())?
            .label(name)
            .legend(move |at| Sample { at, ..sample });
    }
    let (x, y) = corner(plot, chart, size(pen, &names));
    let x = pen.on_grid(x + plot.frame.left - frame.left);
    let y = pen.on_grid(y + plot.frame.top - frame.top);
    let mut labels = context.configure_series_labels();
    labels
        .position(SeriesLabelPosition::Coordinate(x, y))
        .margin(pen.on_grid(AIR))
        .legend_area_size(pen.on_grid(SAMPLE + AIR))
        .label_font(pen.font(INK, TICK));
    if chart.legend != Legend::Right {
        labels
            .background_style(WHITE.mix(GROUND))
            .border_style(pen.stroke(GRID, 1.0));
    }
    Ok(labels.draw()?)
}

/// A piece of a series, from `at` to the right: an element of plotters.
#[derive(Clone, Copy)]
struct Sample {
    at: BackendCoord,
    pen: Pen,
    mark: Mark,
    paint: RGBColor,
    has_band: bool,
}

impl Sample {
    fn of(pen: Pen, series: &Series) -> Self {
        Self {
            at: (0, 0),
            pen,
            mark: series.mark,
            paint: stroke_color(series),
            has_band: is_line(series.mark) && series.band.is_some(),
        }
    }
}

impl<'a> PointCollection<'a, BackendCoord> for &'a Sample {
    type Point = &'a BackendCoord;
    type IntoIter = std::iter::Once<&'a BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.at)
    }
}

impl<B: DrawingBackend> Drawable<B> for Sample {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut points: I,
        backend: &mut B,
        page: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let Some((x, y)) = points.next() else {
            return Ok(());
        };
        let (pen, paint) = (self.pen, self.paint);
        let (end, half) = (x + pen.on_grid(SAMPLE), pen.on_grid(6));
        let middle = (i32::midpoint(x, end), y);
        let line = [(x, y), (end, y)];
        let style = pen.stroke(paint, STROKE);
        let mut block = |from: i32, to: i32, opacity: f64| {
            let corners = [(from, y - half), (to, y + half)];
            Rectangle::new(corners, paint.mix(opacity).filled()).draw(
                corners.into_iter(),
                backend,
                page,
            )
        };
        if self.has_band {
            block(x, end, PALE)?;
        }
        if self.mark == Mark::Bars {
            return block(middle.0 - pen.on_grid(8), middle.0 + pen.on_grid(8), 1.0);
        }
        if self.mark == Mark::Dashed {
            let (on, off) = (pen.length(DASH.0), pen.length(DASH.1));
            return DashedPathElement::new(line, on, off, style).draw(
                line.into_iter(),
                backend,
                page,
            );
        }
        if is_line(self.mark) {
            backend.draw_path(line, &style)?;
        }
        if self.mark != Mark::Line {
            for element in mark(pen, middle, (self.mark, paint), RADIUS) {
                element.draw(std::iter::once(middle), backend, page)?;
            }
        }
        Ok(())
    }
}

/// Its upper left corner, in pixels from that of the points: beside the chart, in the corner that was asked
/// for, or in the emptiest, which plotters does not look for.
fn corner(plot: &Plot, chart: &Chart, (width, height): (i32, i32)) -> (i32, i32) {
    let (across, down) = (plot.frame.width(), plot.frame.height());
    let (left, top) = (AIR, AIR);
    let (right, bottom) = (across - AIR - width, down - AIR - height);
    match chart.legend {
        Legend::Right => (across + AIR, 0),
        Legend::TopLeft => (left, top),
        Legend::TopRight => (right, top),
        Legend::BottomLeft => (left, bottom),
        Legend::BottomRight => (right, bottom),
        Legend::Best | Legend::None => {
            let ink = ink(plot, chart);
            let share = |pixels: i32, all: i32| f64::from(pixels) / f64::from(all.max(1));
            let covered = |(x, y): &(i32, i32)| {
                let place = Bounds {
                    left: share(*x, across),
                    right: share(x + width, across),
                    low: 1.0 - share(y + height, down),
                    high: 1.0 - share(*y, down),
                };
                ink.iter().filter(|at| place.hold(**at)).count()
            };
            let corners = [(right, top), (left, top), (right, bottom), (left, bottom)];
            corners
                .into_iter()
                .min_by_key(covered)
                .unwrap_or((right, top))
        }
    }
}

/// Places that something is drawn at: points, and a few between two of a line and on the way to a bar's top.
fn ink(plot: &Plot, chart: &Chart) -> Vec<Place> {
    let between = |a: Place, b: Place| {
        (0..=BETWEEN).map(move |i| {
            let share = f64::from(i) / f64::from(BETWEEN);
            (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))
        })
    };
    let mut ink = Vec::new();
    for series in &chart.series {
        let places = series.points.iter().filter_map(|point| plot.place(*point));
        let seen = places.filter(|at| INSIDE.hold(*at));
        match series.mark {
            Mark::Bars => ink.extend(seen.flat_map(|at| between((at.0, 0.0), at))),
            mark if is_line(mark) => {
                for part in visible(plot, series) {
                    ink.extend(part.windows(2).flat_map(|two| between(two[0], two[1])));
                }
            }
            _ => ink.extend(seen),
        }
    }
    ink
}
