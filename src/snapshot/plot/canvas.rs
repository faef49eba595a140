//! Lines, bars, points and words in pixels, on any backend.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// What is beside the point.
pub(super) const GREY: RGBColor = RGBColor(120, 120, 120);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);
// Okabe and Ito's colours, told apart by every eye.
/// Values, and loadings above zero.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Loadings below zero, and the penalty.
pub(super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// Bars behind a line.
pub(super) const SKY: RGBColor = RGBColor(190, 222, 242);

/// Pixels of ordinary text.
const TEXT: i32 = 14;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl Frame {
    pub fn new(left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// The same without these margins.
    pub fn inside(self, left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self::new(
            self.left + left,
            self.top + top,
            self.right - right,
            self.bottom - bottom,
        )
    }
}

/// Where a text lies relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    /// Begins there, its middle at the point's height.
    Left,
    /// Ends there.
    Right,
    /// Hangs below it.
    Below,
    /// Stands on it, beginning there.
    Above,
    /// Stands on it, ending there.
    AboveRight,
}

/// A drawing area with errors as text.
pub(super) struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    pub fn new(area: &'a DrawingArea<B, Shift>) -> Self {
        Self { area }
    }

    /// The heading of the whole picture.
    pub fn title(&self, text: &str) -> Result<(), String> {
        self.words(text, (24, 26), Anchor::Left, INK, 20)
    }

    /// Text in the ordinary size.
    pub fn text(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
    ) -> Result<(), String> {
        self.words(text, at, anchor, color, TEXT)
    }

    fn words(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
    ) -> Result<(), String> {
        let (h, v) = match anchor {
            Anchor::Left => (HPos::Left, VPos::Center),
            Anchor::Right => (HPos::Right, VPos::Center),
            Anchor::Below => (HPos::Center, VPos::Top),
            Anchor::Above => (HPos::Left, VPos::Bottom),
            Anchor::AboveRight => (HPos::Right, VPos::Bottom),
        };
        let style = TextStyle::from(("sans-serif", size).into_font())
            .color(&color)
            .pos(Pos::new(h, v));
        self.area
            .draw(&Text::new(text.to_owned(), at, style))
            .map_err(|error| error.to_string())
    }

    /// A line through these points.
    pub fn line(&self, points: Vec<(i32, i32)>, color: RGBColor, width: u32) -> Result<(), String> {
        let style = color.stroke_width(width);
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(|error| error.to_string())
    }

    /// A dashed horizontal line.
    pub fn dashes(&self, from: i32, to: i32, y: i32, color: RGBColor) -> Result<(), String> {
        for x in (from..to).step_by(10) {
            self.line(vec![(x, y), ((x + 6).min(to), y)], color, 2)?;
        }
        Ok(())
    }

    /// A filled rectangle, whichever way its corners lie.
    pub fn bar(&self, a: (i32, i32), b: (i32, i32), color: RGBColor) -> Result<(), String> {
        let corners = [(a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1))];
        self.area
            .draw(&Rectangle::new(corners, color.filled()))
            .map_err(|error| error.to_string())
    }

    /// A point: a disc, or a ring around nothing.
    pub fn point(&self, at: (i32, i32), color: RGBColor, is_full: bool) -> Result<(), String> {
        let draw = |radius: i32, style: ShapeStyle| {
            self.area
                .draw(&Circle::new(at, radius, style))
                .map_err(|error| error.to_string())
        };
        draw(5, color.filled())?;
        if is_full {
            Ok(())
        } else {
            draw(3, RGBColor(255, 255, 255).filled())
        }
    }
}
