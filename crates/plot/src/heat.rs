//! A matrix of numbers as coloured cells.

use plotters::backend::DrawingBackend;

use super::axis::{Axis, signed};
use super::canvas::{Anchor, Canvas, Frame, GREY, INK, LABEL, TICK, WHITE};
use super::shades::{Ramp, Shades, is_dark};
use super::sheet::heading;
use super::text;

/// Pixels of the colour bar, and from the cells to it.
const BAR: i32 = 14;
const BESIDE: i32 = 18;

/// A matrix of numbers as coloured cells, with a bar that says which colour is which number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// The line above it.
    pub title: String,
    /// Rows of the matrix.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    /// Row after row; missing ones are drawn as no number.
    pub values: Vec<f64>,
    /// Whether signs are colours rather than much is dark.
    pub diverging: bool,
    /// The numbers at the ends of the bar; nothing for those of the values.
    pub range: Option<(f64, f64)>,
    /// Whether each number is written into its cell, where there is room.
    pub has_numbers: bool,
    /// What the rows are.
    pub row_label: String,
    /// What the columns are.
    pub column_label: String,
    /// The names of the rows; empty for none.
    pub row_names: Vec<String>,
    /// The names of the columns; empty for none.
    pub column_names: Vec<String>,
}

impl Heat {
    /// A matrix of `rows` × `columns` numbers, row after row.
    pub fn new(title: impl Into<String>, rows: usize, columns: usize, values: Vec<f64>) -> Self {
        Self {
            title: title.into(),
            rows,
            columns,
            values,
            ..Self::default()
        }
    }

    /// With signs as colours.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        self.diverging = true;
        self
    }

    /// With each number in its cell.
    #[must_use]
    pub fn numbers(mut self) -> Self {
        self.has_numbers = true;
        self
    }

    /// With these numbers at the ends of the bar.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// With what the rows and columns are.
    #[must_use]
    pub fn labels(mut self, row: impl Into<String>, column: impl Into<String>) -> Self {
        self.row_label = row.into();
        self.column_label = column.into();
        self
    }

    /// With names of the rows and columns.
    #[must_use]
    pub fn names(mut self, rows: Vec<String>, columns: Vec<String>) -> Self {
        self.row_names = rows;
        self.column_names = columns;
        self
    }

    fn value(&self, row: usize, column: usize) -> f64 {
        let at = self.values.get(row * self.columns + column);
        at.copied().unwrap_or(f64::NAN)
    }

    fn shades(&self) -> Shades {
        let ramp = if self.diverging {
            Ramp::Diverging
        } else {
            Ramp::Blue
        };
        match self.range {
            Some((low, high)) => Shades::between(ramp, low, high),
            None => Shades::of(ramp, &self.values),
        }
    }
}

/// The place of the cells.
struct Cells {
    frame: Frame,
    rows: usize,
    columns: usize,
}

impl Cells {
    /// The border before row `i`.
    fn y(&self, i: usize) -> i32 {
        border(self.frame.top, self.frame.bottom, i, self.rows)
    }

    /// The border before column `i`.
    fn x(&self, i: usize) -> i32 {
        border(self.frame.left, self.frame.right, i, self.columns)
    }
}

/// Whole pixels: no seams between cells.
fn border(from: i32, to: i32, i: usize, count: usize) -> i32 {
    from + (f64::from(to - from) * i as f64 / count.max(1) as f64).round() as i32
}

/// Draws all of it into the frame.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    heat: &Heat,
) -> Result<(), String> {
    let frame = heading(canvas, frame, &heat.title)?;
    let shades = heat.shades();
    let widest = heat
        .row_names
        .iter()
        .map(|name| text::width(name, TICK))
        .max();
    let names = widest.unwrap_or(0).min(frame.width() / 3);
    let line = |is: bool| if is { LABEL + 6 } else { 0 };
    let bar = scale(&shades, 0, 1);
    let marks = bar.labels(&bar.ticks_up_to(6));
    let marks = marks.iter().map(|label| text::width(label, TICK)).max();
    let inside = frame.inside(
        10 + names + 8 + line(!heat.row_label.is_empty()),
        6,
        BESIDE + BAR + 8 + marks.unwrap_or(0) + 8,
        10 + line(!heat.column_names.is_empty()) + line(!heat.column_label.is_empty()),
    );
    let cells = Cells {
        frame: inside,
        rows: heat.rows,
        columns: heat.columns,
    };
    fill(canvas, &cells, heat, &shades)?;
    canvas.outline(inside, GREY)?;
    named(canvas, &cells, heat, names)?;
    legend(canvas, inside, &shades)
}

/// The cells, with their numbers where they fit.
fn fill<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    cells: &Cells,
    heat: &Heat,
    shades: &Shades,
) -> Result<(), String> {
    let number = |value: f64| match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v.abs() >= 1000.0 => signed(v.round()),
        v if v.abs() >= 10.0 => format!("{v:.1}").replace('-', "−"),
        v => format!("{v:.2}").replace('-', "−"),
    };
    let widest = heat.values.iter().map(|v| text::width(&number(*v), TICK));
    let room = cells.frame.width() / i32::try_from(heat.columns.max(1)).unwrap_or(i32::MAX);
    let high = cells.frame.height() / i32::try_from(heat.rows.max(1)).unwrap_or(i32::MAX);
    let fits = heat.has_numbers && high >= TICK && widest.max().unwrap_or(0) + 4 <= room;
    for row in 0..heat.rows {
        let (top, bottom) = (cells.y(row), cells.y(row + 1));
        for column in 0..heat.columns {
            let (left, right) = (cells.x(column), cells.x(column + 1));
            let value = heat.value(row, column);
            let color = shades.color(value);
            canvas.block(corner(left, top), corner(right, bottom), color, 1.0)?;
            if fits {
                let ink = if is_dark(color) { WHITE } else { INK };
                let at = (i32::midpoint(left, right), i32::midpoint(top, bottom));
                canvas.words(&number(value), at, Anchor::Middle, ink, TICK)?;
            }
        }
    }
    Ok(())
}

fn corner(x: i32, y: i32) -> (f64, f64) {
    (f64::from(x), f64::from(y))
}

/// The names of rows and columns that do not touch one another, and what they are.
fn named<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    cells: &Cells,
    heat: &Heat,
    names: i32,
) -> Result<(), String> {
    let frame = cells.frame;
    // Every second or third name where all would touch.
    let every = |needed: i32, room: i32, count: usize| {
        let cell = f64::from(room.max(1)) / count.max(1) as f64;
        (f64::from(needed) / cell).ceil().max(1.0) as usize
    };
    let rows = every(TICK + 2, frame.height(), heat.rows);
    let row_names = heat.row_names.iter().take(heat.rows).enumerate();
    for (i, name) in row_names.step_by(rows) {
        let y = i32::midpoint(cells.y(i), cells.y(i + 1));
        let name = text::cut(name, TICK, names);
        canvas.words(&name, (frame.left - 8, y), Anchor::Right, INK, TICK)?;
    }
    let widest = heat.column_names.iter().map(|name| text::width(name, TICK));
    let widest = widest.max().unwrap_or(0) + 8;
    let columns = every(widest, frame.width(), heat.columns);
    let column_names = heat.column_names.iter().take(heat.columns).enumerate();
    for (i, name) in column_names.step_by(columns) {
        let x = i32::midpoint(cells.x(i), cells.x(i + 1));
        canvas.words(name, (x, frame.bottom + 7), Anchor::Below, INK, TICK)?;
    }
    let below = if heat.column_names.is_empty() {
        7
    } else {
        7 + LABEL + 6
    };
    let at = (i32::midpoint(frame.left, frame.right), frame.bottom + below);
    let label = text::cut(&heat.column_label, LABEL, frame.width());
    canvas.words(&label, at, Anchor::Below, INK, LABEL)?;
    let label = text::cut(&heat.row_label, LABEL, frame.height());
    let left = frame.left - 8 - names - LABEL / 2 - 4;
    let middle = i32::midpoint(frame.top, frame.bottom);
    canvas.upwards(&label, (left, middle), INK, LABEL)
}

fn scale(shades: &Shades, from: i32, to: i32) -> Axis {
    Axis::between(shades.range(), false, from, to)
}

/// The colour bar beside the cells.
fn legend<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    shades: &Shades,
) -> Result<(), String> {
    let left = frame.right + BESIDE;
    let bar = Frame::new(left, frame.top, left + BAR, frame.bottom);
    let axis = scale(shades, bar.bottom, bar.top);
    let (low, high) = axis.range();
    for i in 0..64 {
        let value = low + (high - low) * (f64::from(i) + 0.5) / 64.0;
        let (from, to) = (i as usize, i as usize + 1);
        let (bottom, top) = (
            border(bar.bottom, bar.top, from, 64),
            border(bar.bottom, bar.top, to, 64),
        );
        let color = shades.color(value);
        canvas.block(corner(bar.left, bottom), corner(bar.right, top), color, 1.0)?;
    }
    canvas.outline(bar, GREY)?;
    let ticks = axis.ticks_up_to(6);
    for (tick, label) in ticks.iter().zip(axis.labels(&ticks)) {
        if let Some(y) = axis.at(*tick) {
            canvas.line(vec![(bar.right, y), (bar.right + 4, y)], GREY, 1)?;
            canvas.words(&label, (bar.right + 8, y), Anchor::Left, INK, TICK)?;
        }
    }
    Ok(())
}
