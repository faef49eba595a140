//! A matrix of numbers as shades.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::Frame;
use super::canvas::{Anchor, Canvas, GREY, INK};
use super::images::blend;
use super::text::cut;

const HEADING: i32 = 30;
const LEFT: i32 = 44;
const BELOW: i32 = 46;
const SIZE: i32 = 12;
/// Pixels of the longer side of the matrix.
const SIDE: i32 = 280;

/// A matrix.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// Its heading.
    pub title: String,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// What the rows are.
    pub row_label: String,
    /// What the columns are.
    pub column_label: String,
    /// Row by row.
    pub values: Vec<f64>,
    /// White and the darkest shade.
    pub range: (f64, f64),
    /// Whether each value stands in its cell.
    pub has_numbers: bool,
}

impl Heat {
    fn cell(&self, wide: i32) -> i32 {
        let across = i32::try_from(self.columns.len().max(self.rows.len()).max(1)).unwrap_or(1);
        (SIDE.min(wide - LEFT) / across).max(1)
    }

    pub(super) fn height(&self, wide: i32) -> i32 {
        let down = i32::try_from(self.rows.len()).unwrap_or(0);
        HEADING + down * self.cell(wide) + BELOW
    }

    pub(super) fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        frame: Frame,
    ) -> Result<(), String> {
        let wide = frame.right - frame.left;
        let cell = f64::from(self.cell(wide));
        let (left, top) = (f64::from(frame.left + LEFT), f64::from(frame.top + HEADING));
        let at = (f64::from(frame.left), f64::from(frame.top + 10));
        canvas.label(&cut(&self.title, 15, wide), at, Anchor::Left, INK, 15)?;
        let columns = self.columns.len();
        for (number, value) in self.values.iter().enumerate() {
            let (i, j) = (number / columns.max(1), number % columns.max(1));
            let (x, y) = (left + j as f64 * cell, top + i as f64 * cell);
            let share = (value - self.range.0) / (self.range.1 - self.range.0);
            let dark = RGBColor(0, 90, 150);
            let shade = blend(RGBColor(247, 247, 247), dark, share);
            canvas.cell((x, y), (x + cell - 1.0, y + cell - 1.0), shade)?;
            if self.has_numbers {
                let ink = if share > 0.55 {
                    RGBColor(255, 255, 255)
                } else {
                    INK
                };
                let middle = (x + cell / 2.0, y + cell / 2.0 - 8.0);
                canvas.label(&format!("{value:.3}"), middle, Anchor::Below, ink, SIZE)?;
            }
        }
        for (i, name) in self.rows.iter().enumerate() {
            let at = (left - 6.0, top + (i as f64 + 0.5) * cell);
            canvas.label(name, at, Anchor::Right, GREY, SIZE)?;
        }
        let bottom = top + self.rows.len() as f64 * cell;
        for (j, name) in self.columns.iter().enumerate() {
            let at = (left + (j as f64 + 0.5) * cell, bottom + 3.0);
            canvas.label(name, at, Anchor::Below, GREY, SIZE)?;
        }
        let words = format!("down: {}; across: {}", self.row_label, self.column_label);
        canvas.label(&words, (left, bottom + 28.0), Anchor::Left, INK, SIZE)
    }
}
