//! Named numbers as bars to both sides of zero: what a component is made of.

use plotters::backend::DrawingBackend;

use crate::canvas::{Anchor, BLUE, Canvas, Frame, GREY, INK, SMALL, VERMILION};
use crate::error::DrawError;
use crate::text;

/// Pixels from a bar to the next, of half a bar, and for the name and the number of one.
const STEP: i32 = 20;
const HALF: i32 = 6;
const NAME: i32 = 150;
const NUMBER: i32 = 78;

/// Named numbers, one below the other, as bars to the right of zero or, in another colour, to its left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// The line above them.
    pub title: String,
    /// From above to below.
    pub bars: Vec<Bar>,
}

/// A named number of [`Bars`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// The text before it; cut where it is too long.
    pub name: String,
    /// Its length, in units of the longest; values that are not numbers have none.
    pub value: f64,
    /// The text behind it.
    pub number: String,
}

/// Draws all of them into the frame, from its top.
pub(crate) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    bars: &Bars,
) -> Result<(), DrawError> {
    let height = canvas.lines(&bars.title, frame.inside(20, 0, 8, 0), INK, SMALL)?;
    let count = i32::try_from(bars.bars.len()).unwrap_or(0);
    let top = frame.top + height + 4;
    let frame = Frame::new(frame.left, top, frame.right, top + STEP * count);
    let inside = frame.inside(NAME, 0, NUMBER, 0);
    let (top, bottom) = (f64::from(inside.top), f64::from(inside.bottom));
    let half = f64::from(inside.width()) / 2.0;
    let zero = f64::from(inside.left) + half;
    let values = bars.bars.iter().map(|bar| bar.value.abs());
    let longest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    for (i, bar) in bars.bars.iter().enumerate() {
        let y = inside.top + STEP * i32::try_from(i).unwrap_or(0) + STEP / 2;
        let share = bar.value / longest;
        // Without any finite value the longest bar is 0, and the shares are NaN.
        if share.is_finite() {
            let (above, below) = (f64::from(y - HALF), f64::from(y + HALF));
            let paint = if share < 0.0 { VERMILION } else { BLUE };
            canvas.block((zero, above), (zero + share * half, below), paint)?;
        }
        let name = text::cut(&bar.name, SMALL, NAME - 16);
        canvas.words(&name, (inside.left - 8, y), Anchor::Right, INK, SMALL)?;
        canvas.words(
            &bar.number,
            (inside.right + 8, y),
            Anchor::Left,
            GREY,
            SMALL,
        )?;
    }
    canvas.block((zero - 0.5, top), (zero + 0.5, bottom), GREY)
}
