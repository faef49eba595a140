//! A matrix of numbers as coloured cells.

use plotters::backend::DrawingBackend;

use plotters::element::{Rectangle, Text};
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::axis::{Axis, signed};
use crate::canvas::{Canvas, Frame, GREY, INK, Pen, TICK, WHITE};
use crate::error::DrawError;
use crate::plane::{self, Context, Margins, Place, Side};
use crate::shades::{Ramp, Shades, is_dark};
use crate::text;

/// Pixels of the colour bar, from the cells to it, and from it to the end of its labels.
const BAR: i32 = 14;
const BESIDE: i32 = 18;
const MARKS: i32 = 16;

/// Colours of the bar.
const STEPS: usize = 64;

/// A matrix of numbers as coloured cells, with a bar that says which colour is which number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// The line above it.
    pub title: String,
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// Row after row; missing ones are drawn as no number.
    pub values: Vec<f64>,
    /// True if signs are colours; else large numbers are dark.
    pub diverging: bool,
    /// The numbers at the ends of the bar; `None` for those of the values.
    pub range: Option<(f64, f64)>,
    /// True if each number is written into its cell, where there is room.
    pub has_numbers: bool,
    /// The name of the rows as a whole.
    pub row_label: String,
    /// The name of the columns as a whole.
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

/// Draws all of it into the frame.
pub(crate) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    heat: &Heat,
) -> Result<(), DrawError> {
    let frame = canvas.heading(frame, &heat.title)?;
    let shades = heat.shades();
    let scale = scale(&shades);
    let side = |names: &[String], count: usize, name: &str, is_down: bool| Side {
        ticks: middles(names, count, is_down),
        name: name.to_owned(),
    };
    let rows = side(&heat.row_names, heat.rows, &heat.row_label, true);
    let columns = side(&heat.column_names, heat.columns, &heat.column_label, false);
    let mut margins = Margins::of(&columns, &rows, frame);
    margins.top = 6;
    margins.right = BESIDE + BAR + scale.widest(frame.width() / 3) + MARKS;
    let mut cells = plane::open(canvas, frame, margins, (&columns, &rows), false)?;
    fill(
        canvas.pen(),
        &mut cells,
        heat,
        &shades,
        margins.within(frame),
    )?;
    outline(canvas.pen(), &mut cells)?;

    let bar = Margins {
        left: frame.width() - margins.right + BESIDE,
        right: margins.right - BESIDE - BAR,
        is_right: true,
        ..margins
    };
    let mut bar = plane::open(canvas, frame, bar, (&Side::default(), &scale), false)?;
    let (low, high) = Axis::between(shades.range(), false).range();
    let steps = (0..STEPS).map(|i| {
        let value = low + (high - low) * (i as f64 + 0.5) / STEPS as f64;
        // Each reaches below the next, so that no ground shines through between two.
        let corners = [(0.0, i as f64 / STEPS as f64), (1.0, 1.0)];
        Rectangle::new(corners, shades.color(value).filled())
    });
    bar.draw_series(steps)?;
    outline(canvas.pen(), &mut bar)
}

/// The labels of the bar.
fn scale(shades: &Shades) -> Side {
    let axis = Axis::between(shades.range(), false);
    let ticks = axis.ticks_up_to(6);
    let labels = axis.labels(&ticks).into_iter();
    let placed = ticks.iter().zip(labels);
    Side {
        ticks: placed
            .filter_map(|(tick, label)| Some((axis.place(*tick)?, label)))
            .collect(),
        name: String::new(),
    }
}

/// Names in the middle of their cells; rows are counted from above.
fn middles(names: &[String], count: usize, is_down: bool) -> Vec<(f64, String)> {
    let middle = |i: usize| (i as f64 + 0.5) / count.max(1) as f64;
    let places = (0..count).map(|i| if is_down { 1.0 - middle(i) } else { middle(i) });
    places.zip(names.iter().cloned()).collect()
}

fn outline<B: DrawingBackend>(pen: Pen, context: &mut Context<'_, B>) -> Result<(), DrawError> {
    let around = Rectangle::new([(0.0, 0.0), (1.0, 1.0)], pen.stroke(GREY, 1.0));
    Ok(context.plotting_area().draw(&around)?)
}

/// The text of a number in its cell.
fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v.abs() >= 1000.0 => signed(v.round()),
        v if v.abs() >= 10.0 => format!("{v:.1}").replace('-', "−"),
        v => format!("{v:.2}").replace('-', "−"),
    }
}

/// The cells, with their numbers where they fit.
fn fill<B: DrawingBackend>(
    pen: Pen,
    context: &mut Context<'_, B>,
    heat: &Heat,
    shades: &Shades,
    frame: Frame,
) -> Result<(), DrawError> {
    let widest = heat.values.iter().map(|v| text::width(&number(*v), TICK));
    let room = frame.width() / i32::try_from(heat.columns.max(1)).unwrap_or(i32::MAX);
    let high = frame.height() / i32::try_from(heat.rows.max(1)).unwrap_or(i32::MAX);
    let fits = heat.has_numbers && high >= TICK && widest.max().unwrap_or(0) + 4 <= room;
    // From above and from the left.
    let at = |row: f64, column: f64| -> Place {
        let (rows, columns) = (heat.rows.max(1) as f64, heat.columns.max(1) as f64);
        ((column / columns).min(1.0), (1.0 - row / rows).max(0.0))
    };
    let area = context.plotting_area();
    for row in 0..heat.rows {
        for column in 0..heat.columns {
            let color = shades.color(heat.value(row, column));
            let (y, x) = (row as f64, column as f64);
            // Each reaches below the next ones, so that no ground shines through between them.
            let corners = [at(y, x), at(y + 2.0, x + 2.0)];
            area.draw(&Rectangle::new(corners, color.filled()))?;
        }
    }
    if !fits {
        return Ok(());
    }
    for row in 0..heat.rows {
        for column in 0..heat.columns {
            let value = heat.value(row, column);
            let dark = is_dark(shades.color(value));
            let style = pen.font(if dark { WHITE } else { INK }, TICK);
            let style = style.pos(Pos::new(HPos::Center, VPos::Center));
            let middle = at(row as f64 + 0.5, column as f64 + 0.5);
            area.draw(&Text::new(number(value), middle, style))?;
        }
    }
    Ok(())
}
