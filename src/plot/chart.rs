//! Lines, points and bars over two axes.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::axis::{Axis, label};
use super::canvas::{Anchor, Canvas, GREY, GRID, INK};
use super::marks::{clip, dashes, thin};
use super::text::{cut, width};
use super::{Frame, color};

/// Pixels of the parts of a chart.
const HEADING: i32 = 30;
const PLOT: i32 = 260;
const LEFT: i32 = 62;
const BELOW: i32 = 46;
const LEGEND_LINE: i32 = 18;
const SAMPLE: i32 = 26;
const HEADING_SIZE: i32 = 15;
const SIZE: i32 = 12;

/// What a series looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line.
    #[default]
    Line,
    /// A dashed line: what is predicted.
    Dashed,
    /// Discs.
    Dots,
    /// Small discs, for many points.
    Points,
    /// Crosses: what is predicted, where values stand alone.
    Cross,
}

/// Points with a look.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// In the legend; empty: not in it.
    pub name: String,
    /// x and y. A NaN breaks a line.
    pub points: Vec<(f64, f64)>,
    /// The look.
    pub mark: Mark,
    /// Which of the palette's colours.
    pub color: usize,
    /// Low and high beside each point, drawn as a pale band.
    pub band: Option<Vec<(f64, f64)>>,
}

/// One axis.
#[derive(Clone, Debug, Default)]
pub struct Scale {
    /// What it measures.
    pub label: String,
    /// Whether equal ratios are equal lengths; what is not positive is left out then.
    pub is_logarithmic: bool,
    /// Its ends; `None`: by the points.
    pub range: Option<(f64, f64)>,
}

/// Where the names of the series stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    /// In lines below the chart.
    #[default]
    Below,
    /// Beside it.
    Right,
}

/// A chart.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Its heading.
    pub title: String,
    /// The abscissa.
    pub x: Scale,
    /// The ordinate.
    pub y: Scale,
    /// Drawn in their order.
    pub series: Vec<Series>,
    /// Where their names stand.
    pub legend: Legend,
    /// Whether a unit is as long up as it is across.
    pub is_square: bool,
}

impl Chart {
    /// An empty chart.
    pub fn new(title: &str, x: &str, y: &str) -> Self {
        let scale = |label: &str| Scale {
            label: label.to_owned(),
            ..Scale::default()
        };
        Self {
            title: title.to_owned(),
            x: scale(x),
            y: scale(y),
            ..Self::default()
        }
    }

    /// With a logarithmic abscissa.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.x.is_logarithmic = true;
        self
    }

    /// With a logarithmic ordinate.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.y.is_logarithmic = true;
        self
    }

    /// With equal units.
    #[must_use]
    pub fn square(mut self) -> Self {
        self.is_square = true;
        self
    }

    /// With one more series in the next colour.
    #[must_use]
    pub fn with(mut self, name: &str, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series {
            name: name.to_owned(),
            points,
            mark,
            color: self.series.len(),
            band: None,
        });
        self
    }

    fn named(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| !series.name.is_empty())
    }

    /// Pixels across that a name in the legend takes.
    fn entry(&self) -> i32 {
        let longest = self.named().map(|series| width(&series.name, SIZE)).max();
        SAMPLE + 10 + longest.unwrap_or(0) + 12
    }

    /// Names side by side below a plot of this width.
    fn legend_columns(&self, room: i32) -> usize {
        usize::try_from(room / self.entry()).unwrap_or(1).max(1)
    }

    pub(super) fn height(&self, wide: i32) -> i32 {
        let lines = match self.legend {
            Legend::Below => self
                .named()
                .count()
                .div_ceil(self.legend_columns(wide - LEFT)),
            Legend::Right => 0,
        };
        HEADING + PLOT + BELOW + LEGEND_LINE * i32::try_from(lines).unwrap_or(0)
    }

    pub(super) fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        frame: Frame,
    ) -> Result<(), String> {
        let room = match self.legend {
            Legend::Right if self.named().next().is_some() => self.entry().min(130),
            _ => 8,
        };
        let mut plot = Frame::new(
            frame.left + LEFT,
            frame.top + HEADING,
            frame.right - room,
            frame.top + HEADING + PLOT,
        );
        if self.is_square {
            let side = (plot.right - plot.left).min(plot.bottom - plot.top);
            plot.right = plot.left + side;
        }
        let (x, y) = self.axes(plot);
        let title = cut(&self.title, HEADING_SIZE, frame.right - frame.left);
        let at = (f64::from(frame.left), f64::from(frame.top + 10));
        canvas.label(&title, at, Anchor::Left, INK, HEADING_SIZE)?;
        self.frame(canvas, plot, &x, &y)?;
        for series in &self.series {
            draw_series(canvas, plot, (&x, &y), series)?;
        }
        self.names(canvas, frame, plot)
    }

    /// Axes that hold all points.
    fn axes(&self, plot: Frame) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let bands = self.series.iter().filter_map(|series| series.band.as_ref());
        let mut x = self.x.ends(points().map(|point| point.0));
        let ends = bands.flatten().flat_map(|(low, high)| [*low, *high]);
        let mut y = self.y.ends(points().map(|point| point.1).chain(ends));
        if self.is_square {
            let low = x.0.min(y.0);
            let high = x.1.max(y.1);
            (x, y) = ((low, high), (low, high));
        }
        (
            Axis::between(x.0, x.1, plot.left, plot.right, self.x.is_logarithmic),
            Axis::between(y.0, y.1, plot.bottom, plot.top, self.y.is_logarithmic),
        )
    }

    /// Grid, ticks, names of the axes.
    fn frame<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        plot: Frame,
        x: &Axis,
        y: &Axis,
    ) -> Result<(), String> {
        let (left, right) = (f64::from(plot.left), f64::from(plot.right));
        let (top, bottom) = (f64::from(plot.top), f64::from(plot.bottom));
        for tick in y.ticks() {
            if let Some(at) = y.place(tick) {
                canvas.path(&[(left, at), (right, at)], GRID, 1.0)?;
                canvas.label(&label(tick), (left - 6.0, at), Anchor::Right, GREY, SIZE)?;
            }
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in x.ticks() {
            let Some(at) = x.place(tick) else { continue };
            canvas.path(&[(at, top), (at, bottom)], GRID, 1.0)?;
            let text = label(tick);
            let half = f64::from(width(&text, SIZE)) / 2.0;
            // A label that would touch its neighbour is left out.
            if at - half > free_from {
                canvas.label(&text, (at, bottom + 5.0), Anchor::Below, GREY, SIZE)?;
                free_from = at + half + 6.0;
            }
        }
        canvas.path(&[(left, top), (left, bottom), (right, bottom)], GREY, 1.0)?;
        let middle = f64::midpoint(left, right);
        let scale = if self.x.is_logarithmic {
            ", logarithmic"
        } else {
            ""
        };
        let words = format!("{}{scale}", self.x.label);
        canvas.label(&words, (middle, bottom + 22.0), Anchor::Below, INK, SIZE)?;
        if self.y.label.is_empty() {
            return Ok(());
        }
        // Above the axis, on the side that the heading leaves free.
        let at = (right, top - 5.0);
        canvas.label(&self.y.label, at, Anchor::AboveRight, GREY, SIZE)
    }

    /// The legend.
    fn names<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        frame: Frame,
        plot: Frame,
    ) -> Result<(), String> {
        let columns = match self.legend {
            Legend::Below => self.legend_columns(frame.right - plot.left),
            Legend::Right => 1,
        };
        let of = |number: usize| i32::try_from(number).unwrap_or(0);
        for (number, series) in self.named().enumerate() {
            let (column, row) = (of(number % columns), of(number / columns));
            let (left, top) = match self.legend {
                Legend::Below => (plot.left + column * self.entry(), plot.bottom + BELOW),
                Legend::Right => (plot.right + 12, plot.top + 4),
            };
            let middle = f64::from(top + row * LEGEND_LINE + LEGEND_LINE / 2);
            let left = f64::from(left);
            let end = left + f64::from(SAMPLE);
            let ink = color(series.color);
            let place = (f64::midpoint(left, end), middle);
            match series.mark {
                Mark::Line => canvas.path(&[(left, middle), (end, middle)], ink, 2.0)?,
                Mark::Dashed => {
                    for dash in dashes(&[(left, middle), (end, middle)]) {
                        canvas.path(&dash, ink, 1.6)?;
                    }
                }
                mark => point(canvas, place, mark, ink)?,
            }
            let at = (end + 8.0, middle);
            canvas.label(&series.name, at, Anchor::Left, INK, SIZE)?;
        }
        Ok(())
    }
}

impl Scale {
    /// The range, or what holds these values with a little room.
    fn ends(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        if let Some(range) = self.range {
            return range;
        }
        let is_shown = |value: &f64| value.is_finite() && (!self.is_logarithmic || *value > 0.0);
        let (low, high) = values
            .filter(is_shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            return (if self.is_logarithmic { 0.1 } else { 0.0 }, 1.0);
        }
        if self.is_logarithmic {
            let room = (high / low).powf(0.04).max(1.1);
            return (low / room, high * room);
        }
        let span = high - low;
        let room = if span > 0.0 {
            0.05 * span
        } else {
            0.5 * high.abs().max(1.0)
        };
        // Zero is a good end where it is near.
        let low = if low >= 0.0 && low < 0.3 * high {
            0.0
        } else {
            low - room
        };
        (low, high + room)
    }
}

/// One series within the plot.
fn draw_series<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    plot: Frame,
    (x, y): (&Axis, &Axis),
    series: &Series,
) -> Result<(), String> {
    let ink = color(series.color);
    let place = |point: &(f64, f64)| Some((x.place(point.0)?, y.place(point.1)?));
    if let Some(band) = &series.band {
        let side = |high: bool| {
            let ends = series.points.iter().zip(band);
            ends.filter_map(move |(point, (low, above))| {
                let value = if high { *above } else { *low };
                let down = y
                    .place(value)?
                    .clamp(f64::from(plot.top), f64::from(plot.bottom));
                Some((x.place(point.0)?, down))
            })
        };
        let mut outline: Vec<(f64, f64)> = side(false).collect();
        let mut back: Vec<(f64, f64)> = side(true).collect();
        back.reverse();
        outline.extend(back);
        canvas.area(&outline, pale(ink))?;
    }
    match series.mark {
        Mark::Line | Mark::Dashed => {
            for run in series.points.split(|point| place(point).is_none()) {
                let run: Vec<(f64, f64)> = run.iter().filter_map(place).collect();
                for piece in clip(&thin(&run), plot) {
                    if series.mark == Mark::Line {
                        canvas.path(&piece, ink, 2.0)?;
                        continue;
                    }
                    for dash in dashes(&piece) {
                        canvas.path(&dash, ink, 1.6)?;
                    }
                }
            }
        }
        mark => {
            for at in series.points.iter().filter_map(place) {
                if plot.holds(at) {
                    point(canvas, at, mark, ink)?;
                }
            }
        }
    }
    Ok(())
}

/// One point of a series.
fn point<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    at: (f64, f64),
    mark: Mark,
    ink: RGBColor,
) -> Result<(), String> {
    match mark {
        Mark::Cross => {
            let reach = 4.0;
            let (x, y) = at;
            canvas.path(&[(x - reach, y - reach), (x + reach, y + reach)], ink, 1.4)?;
            canvas.path(&[(x - reach, y + reach), (x + reach, y - reach)], ink, 1.4)
        }
        Mark::Points => canvas.disc(at, 1.6, ink),
        Mark::Line | Mark::Dashed | Mark::Dots => canvas.disc(at, 3.4, ink),
    }
}

/// A colour for the ground behind its line.
fn pale(color: RGBColor) -> RGBColor {
    let of = |part: u8| 255 - (255 - part) / 5;
    RGBColor(of(color.0), of(color.1), of(color.2))
}
