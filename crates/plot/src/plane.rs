//! Two axes with their grid, labels and names, as plotters draws them, and places between them.
//!
//! A place is a share of the way along either axis: the [`Axis`](crate::axis::Axis) turns values into
//! shares, linear or logarithmic, and plotters turns shares into pixels, so that one coordinate system
//! serves charts, matrices and colour bars.

use std::ops::Range;

use plotters::backend::DrawingBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

use crate::canvas::{Canvas, Frame, GREY, GRID, INK, LABEL, LINE, TICK};
use crate::error::DrawError;
use crate::text;

/// Pixels of the mark at a tick; plotters sets labels twice as far from the axis.
const MARK: f64 = 3.5;
const GAP: i32 = 7;

/// A place as shares of the way from left to right and from below to above.
pub(crate) type Place = (f64, f64);

/// The shares 0 to 1 with ticks at some of them. plotters has `WithKeyPoints`, but cannot label floats by it.
pub(crate) struct Shares(Vec<f64>);

impl Ranged for Shares {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        0.0..1.0
    }

    fn map(&self, share: &f64, pixels: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(share, pixels)
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        // Light points would be lines between the ticks.
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.0.clone()
        }
    }
}

/// A chart of plotters.
pub(crate) type Context<'a, B> = ChartContext<'a, B, Cartesian2d<Shares, Shares>>;

/// A share of an axis and its label; an empty one has a line and no label.
pub(crate) type Tick = (f64, String);

/// An axis as it is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub ticks: Vec<Tick>,
    /// The quantity on it.
    pub name: String,
}

impl Side {
    /// Pixels of the widest label, at most `most`.
    pub fn widest(&self, most: i32) -> i32 {
        let widths = self.ticks.iter().map(|tick| text::width(&tick.1, TICK));
        widths.max().unwrap_or(0).min(most)
    }
}

/// The margins of a plane within its frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Margins {
    /// Left of the plotting area: labels and the name of the vertical axis.
    pub left: i32,
    pub top: i32,
    /// Right of it: nothing, or the labels of an axis that stands there.
    pub right: i32,
    /// Below it: labels and the name of the horizontal axis.
    pub bottom: i32,
    /// True if the vertical axis stands at the right.
    pub is_right: bool,
}

impl Margins {
    /// Room for the labels and names of an axis at the left and one below.
    pub fn of(x: &Side, y: &Side, frame: Frame) -> Self {
        let name = |side: &Side, without: i32| if side.name.is_empty() { without } else { LINE };
        let labels = if x.ticks.is_empty() { 0 } else { LINE };
        Self {
            left: name(y, 6) + y.widest(frame.width() / 3) + GAP,
            top: 10,
            right: 20,
            bottom: GAP + labels + name(x, 0) - 2,
            is_right: false,
        }
    }

    /// The frame of the points.
    pub fn within(self, frame: Frame) -> Frame {
        frame.inside(self.left, self.top, self.right, self.bottom)
    }
}

/// Draws the axes, and the grid if there is to be one; the chart that series are drawn on.
pub(crate) fn open<'c, B: DrawingBackend + 'c>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    margins: Margins,
    (x, y): (&Side, &Side),
    has_grid: bool,
) -> Result<Context<'c, B>, DrawError> {
    let area = canvas.part(frame);
    let pen = canvas.pen();
    let grid = |pixels: i32| pen.on_grid(pixels);
    let (left, right) = if margins.is_right {
        (0, margins.right)
    } else {
        (margins.left, 0)
    };
    let inside = margins.within(frame);
    let room = y.widest(frame.width() / 3);
    let x_labels = apart(x, inside.width(), |label| text::width(label, TICK) + 10);
    let y_labels: Vec<Tick> = apart(y, inside.height(), |_| TICK)
        .into_iter()
        .map(|(at, label)| (at, text::cut(&label, TICK, room)))
        .collect();
    // Lines of a grid need no label; marks do.
    let shares = |ticks: &[Tick]| {
        let seen = ticks.iter().filter(|tick| has_grid || !tick.1.is_empty());
        Shares(seen.map(|tick| tick.0).collect())
    };
    let mut builder = ChartBuilder::on(&area);
    builder
        .margin_top(grid(margins.top))
        .margin_left(if left == 0 { grid(margins.left) } else { 0 })
        .margin_right(if right == 0 { grid(margins.right) } else { 0 })
        .x_label_area_size(grid(margins.bottom))
        .y_label_area_size(if left == 0 { 0 } else { grid(left) })
        .right_y_label_area_size(if right == 0 { 0 } else { grid(right) });
    let mut chart = builder.build_cartesian_2d(shares(&x_labels), shares(&y_labels))?;
    let of = |ticks: &[Tick], share: &f64| {
        // plotters passes only the value of a tick to the formatter, so the label is looked up by
        // it.
        let found = ticks.iter().find(|tick| tick.0.total_cmp(share).is_eq());
        found.map_or_else(String::new, |tick| tick.1.clone())
    };
    let (x_label, y_label) = (|v: &f64| of(&x_labels, v), |v: &f64| of(&y_labels, v));
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(pen.stroke(GREY, 1.0))
        .bold_line_style(pen.stroke(GRID, 1.0))
        .label_style(pen.font(INK, TICK))
        .axis_desc_style(pen.font(INK, LABEL))
        .set_all_tick_mark_size(pen.length(MARK))
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label);
    if !has_grid {
        mesh.disable_mesh();
    }
    // A name is in the middle of its axis, and may use the margins to both sides of it.
    if !x.name.is_empty() {
        let room = inside.width() + 2 * margins.right.min(margins.left);
        mesh.x_desc(text::cut(&x.name, LABEL, room));
    }
    if !y.name.is_empty() {
        let room = inside.height() + 2 * margins.top.min(margins.bottom);
        mesh.y_desc(text::cut(&y.name, LABEL, room));
    }
    mesh.draw()?;
    drop(mesh);
    Ok(chart)
}

/// The ticks without the labels that would touch one that was named before them: plotters draws all that it
/// is given.
fn apart(side: &Side, pixels: i32, needed: impl Fn(&str) -> i32) -> Vec<Tick> {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut ticks = side.ticks.clone();
    for (at, label) in &mut ticks {
        let middle = *at * f64::from(pixels);
        let half = f64::from(needed(label)) / 2.0;
        let (low, high) = (middle - half, middle + half);
        if taken.iter().all(|other| high <= other.0 || other.1 <= low) {
            taken.push((low, high));
        } else {
            label.clear();
        }
    }
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_labels_that_touch_the_one_named_first_stays() {
        let named = [(0.5, "1000"), (0.45, "500"), (0.9, "5000"), (0.1, "100")];
        let side = Side {
            ticks: named.map(|(at, label)| (at, label.to_owned())).to_vec(),
            name: String::new(),
        };
        let ticks = apart(&side, 200, |label| 10 * i32::try_from(label.len()).unwrap());
        let expected = [(0.1, "100"), (0.45, ""), (0.5, "1000"), (0.9, "5000")];
        assert_eq!(ticks, expected.map(|(at, label)| (at, label.to_owned())));
    }
}
