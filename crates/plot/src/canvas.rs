//! Lines, bars, points and words in pixels, on any backend.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontTransform, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

/// Text and axes.
pub const INK: RGBColor = RGBColor(40, 40, 40);
/// What is beside the point.
pub const GREY: RGBColor = RGBColor(120, 120, 120);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(226, 226, 226);
// Okabe and Ito's colours, told apart by every eye.
/// Values, and loadings above zero.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Loadings below zero, and the penalty.
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// Bars behind a line.
pub const SKY: RGBColor = RGBColor(190, 222, 242);
/// The ground.
pub const WHITE: RGBColor = RGBColor(255, 255, 255);

/// The palette of series, in the order in which they take it. Without Okabe and Ito's yellow, which
/// is too pale for a line on white; black stands in, and three more follow for whoever has ten.
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
pub fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// The colour of the same series' theory, told apart from the line that it may lie on.
pub fn darker(index: usize) -> RGBColor {
    let RGBColor(r, g, b) = color(index);
    let half = |channel: u8| (u16::from(channel) * 5 / 8) as u8;
    RGBColor(half(r), half(g), half(b))
}

/// Pixels of ordinary text.
const TEXT: i32 = 14;

/// Pixels of a figure's text: a page's heading, a panel's, the labels of axes, of their ticks.
pub const TITLE: i32 = 24;
pub const HEADING: i32 = 18;
pub const LABEL: i32 = 17;
pub const TICK: i32 = 16;

/// A place in pixels.
pub type Point = (f64, f64);

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
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

    pub fn width(self) -> i32 {
        self.right - self.left
    }

    pub fn height(self) -> i32 {
        self.bottom - self.top
    }
}

/// Where a text lies relative to its point.
#[derive(Clone, Copy)]
pub enum Anchor {
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
    /// Its middle is there.
    Middle,
}

/// A drawing area in pixels of the page, on whatever grid the backend has, with errors as text.
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    /// Steps of the backend's grid in a pixel.
    fine: i32,
    /// Bitmaps have their corners rounded here, and an SVG by its reader.
    is_bitmap: bool,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    pub(super) fn new(area: &'a DrawingArea<B, Shift>, fine: u32, is_bitmap: bool) -> Self {
        Self {
            area,
            fine: i32::try_from(fine).unwrap_or(1),
            is_bitmap,
        }
    }

    /// A place on the backend's grid.
    fn grid(&self, at: (i32, i32)) -> (i32, i32) {
        (at.0 * self.fine, at.1 * self.fine)
    }

    /// The nearest place on the backend's grid.
    fn nearest(&self, at: Point) -> (i32, i32) {
        let fine = f64::from(self.fine);
        ((at.0 * fine).round() as i32, (at.1 * fine).round() as i32)
    }

    /// A length on the backend's grid, at least one.
    fn length(&self, pixels: f64) -> i32 {
        ((pixels * f64::from(self.fine)).round() as i32).max(1)
    }

    fn stroke(&self, color: RGBColor, width: f64) -> ShapeStyle {
        color.stroke_width(self.length(width).unsigned_abs())
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

    /// Text in any size.
    pub fn words(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
    ) -> Result<(), String> {
        self.turned(text, at, anchor, color, size, FontTransform::None)
    }

    /// Text that runs upwards, its middle at the point.
    pub fn upwards(
        &self,
        text: &str,
        at: (i32, i32),
        color: RGBColor,
        size: i32,
    ) -> Result<(), String> {
        let quarter = FontTransform::Rotate270;
        self.turned(text, at, Anchor::Middle, color, size, quarter)
    }

    fn turned(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
        transform: FontTransform,
    ) -> Result<(), String> {
        let (h, v) = match anchor {
            Anchor::Left => (HPos::Left, VPos::Center),
            Anchor::Right => (HPos::Right, VPos::Center),
            Anchor::Below => (HPos::Center, VPos::Top),
            Anchor::Above => (HPos::Left, VPos::Bottom),
            Anchor::AboveRight => (HPos::Right, VPos::Bottom),
            Anchor::Middle => (HPos::Center, VPos::Center),
        };
        let style = TextStyle::from(("sans-serif", size * self.fine).into_font())
            .transform(transform)
            .color(&color)
            .pos(Pos::new(h, v));
        self.area
            .draw(&Text::new(text.to_owned(), self.grid(at), style))
            .map_err(|error| error.to_string())
    }

    /// A line through these points.
    pub fn line(&self, points: Vec<(i32, i32)>, color: RGBColor, width: u32) -> Result<(), String> {
        let points: Vec<_> = points.into_iter().map(|at| self.grid(at)).collect();
        let style = self.stroke(color, f64::from(width));
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(|error| error.to_string())
    }

    /// A smooth line through these points, with round corners.
    pub fn curve(&self, points: &[Point], color: RGBColor, width: f64) -> Result<(), String> {
        let mut places: Vec<_> = points.iter().map(|at| self.nearest(*at)).collect();
        places.dedup();
        let style = self.stroke(color, width);
        let draw = |part: Vec<(i32, i32)>| {
            self.area
                .draw(&PathElement::new(part, style))
                .map_err(|error| error.to_string())
        };
        if !self.is_bitmap {
            return draw(places);
        }
        // One polygon around a line that turns back has holes: a piece for each part instead.
        let radius = self.length(width / 2.0);
        for (i, two) in places.windows(2).enumerate() {
            draw(two.to_vec())?;
            if i > 0 && radius > 1 {
                self.area
                    .draw(&Circle::new(two[0], radius, color.filled()))
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
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
        self.filled(self.grid(a), self.grid(b), color.filled())
    }

    /// A filled rectangle between any places, in a colour that may be seen through.
    pub fn block(&self, a: Point, b: Point, color: RGBColor, opacity: f64) -> Result<(), String> {
        let style = color.mix(opacity).filled();
        self.filled(self.nearest(a), self.nearest(b), style)
    }

    fn filled(&self, a: (i32, i32), b: (i32, i32), style: ShapeStyle) -> Result<(), String> {
        let corners = [(a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1))];
        self.area
            .draw(&Rectangle::new(corners, style))
            .map_err(|error| error.to_string())
    }

    /// A surface within these points, that what is below shines through.
    pub fn surface(&self, points: &[Point], color: RGBColor, opacity: f64) -> Result<(), String> {
        let places: Vec<_> = points.iter().map(|at| self.nearest(*at)).collect();
        self.area
            .draw(&Polygon::new(places, color.mix(opacity)))
            .map_err(|error| error.to_string())
    }

    /// A point: a disc, or a ring around nothing.
    pub fn point(&self, at: (i32, i32), color: RGBColor, is_full: bool) -> Result<(), String> {
        let at = (f64::from(at.0), f64::from(at.1));
        self.disc(at, 5.0, color)?;
        if is_full {
            Ok(())
        } else {
            self.disc(at, 3.0, WHITE)
        }
    }

    /// A disc of any radius.
    pub fn disc(&self, at: Point, radius: f64, color: RGBColor) -> Result<(), String> {
        let circle = Circle::new(self.nearest(at), self.length(radius), color.filled());
        self.area.draw(&circle).map_err(|error| error.to_string())
    }

    /// The line around a frame.
    pub fn outline(&self, frame: Frame, color: RGBColor) -> Result<(), String> {
        let (l, t, r, b) = (frame.left, frame.top, frame.right, frame.bottom);
        self.line(vec![(l, t), (r, t), (r, b), (l, b), (l, t)], color, 1)
    }
}
