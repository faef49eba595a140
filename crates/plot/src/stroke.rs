//! A line with round corners, as an element of plotters.

use plotters::element::{Drawable, PointCollection};
use plotters::style::ShapeStyle;
use plotters_backend::{BackendCoord, DrawingBackend, DrawingErrorKind};

/// A line through these points. plotters has `PathElement`, but a bitmap gets one polygon around the whole
/// line, which has holes where the line turns back within its own width; here each part is a polygon of its
/// own, and a disc closes each corner.
pub(crate) struct Stroke<C> {
    pub points: Vec<C>,
    pub style: ShapeStyle,
    /// True if the backend is a bitmap; an SVG rounds corners itself.
    pub in_parts: bool,
}

impl<'a, C> PointCollection<'a, C> for &'a Stroke<C> {
    type Point = &'a C;
    type IntoIter = std::slice::Iter<'a, C>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<C, B: DrawingBackend> Drawable<B> for Stroke<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        points: I,
        backend: &mut B,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        let mut points: Vec<BackendCoord> = points.collect();
        points.dedup();
        if !self.in_parts {
            return backend.draw_path(points, &self.style);
        }
        let radius = self.style.stroke_width / 2;
        for (i, two) in points.windows(2).enumerate() {
            backend.draw_path(two.iter().copied(), &self.style)?;
            if i > 0 && radius > 1 {
                // Bitmaps have no round joins, so a disc fills the gap between two segments.
                backend.draw_circle(two[0], radius, &self.style, true)?;
            }
        }
        Ok(())
    }
}
