//! A page on either backend: colours, frames, words, and rectangles in pixels.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use crate::error::DrawError;
use crate::text;

/// The colour of text and of axes.
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
/// Notes beside the point.
pub(crate) const GREY: RGBColor = RGBColor(120, 120, 120);
/// The colour of grid lines.
pub(crate) const GRID: RGBColor = RGBColor(226, 226, 226);
// Okabe and Ito's colours, told apart by every eye.
/// The first series, and numbers above zero.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// The second series, and numbers below zero.
pub(crate) const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// The colour of the ground.
pub(crate) const WHITE: RGBColor = RGBColor(255, 255, 255);

/// The palette of series, in the order in which they take it. Without Okabe and Ito's yellow, which
/// is too pale for a line on white; black replaces it, and three more colours make ten.
const PALETTE: [RGBColor; 10] = [
    BLUE,
    VERMILION,
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(20, 20, 20),
    RGBColor(140, 86, 75),
    RGBColor(150, 140, 0),
    RGBColor(150, 150, 150),
];

/// The colour of a series; after the last comes the first.
pub(crate) fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// The colour of the same series' theory, told apart from the line that it may lie on.
pub(crate) fn darker(index: usize) -> RGBColor {
    let RGBColor(r, g, b) = color(index);
    let half = |channel: u8| (u16::from(channel) * 5 / 8) as u8;
    RGBColor(half(r), half(g), half(b))
}

/// Pixels of a figure's text: a page's heading, a panel's, the labels of axes, of their ticks, and of lists.
pub(crate) const TITLE: i32 = 24;
pub(crate) const HEADING: i32 = 18;
pub(crate) const LABEL: i32 = 17;
pub(crate) const TICK: i32 = 16;
pub(crate) const SMALL: i32 = 14;

/// Pixels of a line of text.
pub(crate) const LINE: i32 = 22;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
}

impl Frame {
    /// The rectangle between these borders, in pixels of the page from its upper left corner.
    pub fn new(left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    /// The same without these margins.
    #[must_use]
    pub fn inside(self, left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self::new(
            self.left + left,
            self.top + top,
            self.right - right,
            self.bottom - bottom,
        )
    }

    pub(crate) fn width(self) -> i32 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> i32 {
        self.bottom - self.top
    }
}

/// The place of a text relative to its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    /// Begins there, its middle at the point's height.
    Left,
    /// Ends there, its middle at the point's height.
    Right,
    /// Hangs below it, its middle under the point.
    Below,
}

/// The grid that a backend draws on, and lengths on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    /// Steps of the grid in a pixel.
    fine: i32,
    /// Bitmaps have their corners rounded here, and an SVG by its reader.
    pub is_bitmap: bool,
}

impl Pen {
    /// Converts pixels to steps of the grid.
    pub fn on_grid(self, pixels: i32) -> i32 {
        self.fine * pixels
    }

    /// A length in steps of the grid, at least one.
    pub fn length(self, pixels: f64) -> i32 {
        ((pixels * f64::from(self.fine)).round() as i32).max(1)
    }

    /// Pixels of a length on the grid.
    pub fn pixels(self, length: i32) -> i32 {
        length / self.fine
    }

    /// The style of a line, with its width in pixels.
    pub fn stroke(self, color: RGBColor, width: f64) -> ShapeStyle {
        color.stroke_width(self.length(width).unsigned_abs())
    }

    /// The style of a text, with its size in pixels.
    pub fn font(self, color: RGBColor, size: i32) -> TextStyle<'static> {
        let mut style = TextStyle::from(("sans-serif", self.on_grid(size)).into_font());
        style.color = color.to_backend_color();
        style
    }
}

/// A drawing area in pixels of the page, on the backend's grid, with errors as text.
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    pen: Pen,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    pub(crate) fn new(area: &'a DrawingArea<B, Shift>, fine: u32, is_bitmap: bool) -> Self {
        let fine = i32::try_from(fine.max(1)).unwrap_or(1);
        Self {
            area,
            pen: Pen { fine, is_bitmap },
        }
    }

    pub(crate) fn pen(&self) -> Pen {
        self.pen
    }

    /// The part of the page within a frame.
    pub(crate) fn part(&self, frame: Frame) -> DrawingArea<B, Shift> {
        let corner = self.corner((frame.left, frame.top));
        let size = self.corner((frame.width().max(1), frame.height().max(1)));
        self.area.clone().shrink(corner, size)
    }

    fn corner(&self, at: (i32, i32)) -> (i32, i32) {
        (self.pen.on_grid(at.0), self.pen.on_grid(at.1))
    }

    /// Draws the heading of a whole page that is made of panels.
    ///
    /// # Errors
    /// If the backend refuses, in its words.
    pub fn title(&self, text: &str) -> Result<(), DrawError> {
        self.words(text, (20, 26), Anchor::Left, INK, TITLE - 4)
    }

    /// Text in any size.
    pub(crate) fn words(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
    ) -> Result<(), DrawError> {
        let (h, v) = match anchor {
            Anchor::Left => (HPos::Left, VPos::Center),
            Anchor::Right => (HPos::Right, VPos::Center),
            Anchor::Below => (HPos::Center, VPos::Top),
        };
        let style = self.pen.font(color, size).pos(Pos::new(h, v));
        Ok(self
            .area
            .draw(&Text::new(text.to_owned(), self.corner(at), style))?)
    }

    /// Draws text in lines no wider than the frame, from its top; returns their height.
    pub(crate) fn lines(
        &self,
        text: &str,
        frame: Frame,
        color: RGBColor,
        size: i32,
    ) -> Result<i32, DrawError> {
        let mut y = frame.top + LINE / 2;
        for line in text::wrap(text, size, frame.width()) {
            self.words(&line, (frame.left, y), Anchor::Left, color, size)?;
            y += LINE;
        }
        Ok(y - LINE / 2 - frame.top)
    }

    /// Draws the heading of a panel; returns the room below it.
    pub(crate) fn heading(&self, frame: Frame, title: &str) -> Result<Frame, DrawError> {
        let height = self.lines(title, frame.inside(12, 0, 12, 0), INK, HEADING)?;
        Ok(frame.inside(0, height + 4, 0, 0))
    }

    /// A filled rectangle between two places in pixels.
    pub(crate) fn block(
        &self,
        a: (f64, f64),
        b: (f64, f64),
        color: RGBColor,
    ) -> Result<(), DrawError> {
        let fine = f64::from(self.pen.on_grid(1));
        let nearest = |at: (f64, f64)| ((at.0 * fine).round() as i32, (at.1 * fine).round() as i32);
        Ok(self
            .area
            .draw(&Rectangle::new([nearest(a), nearest(b)], color.filled()))?)
    }

    /// The line around a frame.
    pub(crate) fn outline(&self, frame: Frame, color: RGBColor) -> Result<(), DrawError> {
        let corners = [
            self.corner((frame.left, frame.top)),
            self.corner((frame.right, frame.bottom)),
        ];
        Ok(self
            .area
            .draw(&Rectangle::new(corners, self.pen.stroke(color, 1.0)))?)
    }
}
