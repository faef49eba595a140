//! The axes of a chart on its pixels.

use crate::axis::Axis;
use crate::canvas::Frame;
use crate::plane::Place;

/// The axes of a chart, and their pixels.
#[derive(Clone, Copy)]
pub(super) struct Plot {
    pub frame: Frame,
    pub x: Axis,
    pub y: Axis,
}

impl Plot {
    /// The place of a point, outside too; `None` where it has none.
    pub fn place(&self, (x, y): (f64, f64)) -> Option<Place> {
        Some((self.x.place(x)?, self.y.place(y)?))
    }
}
