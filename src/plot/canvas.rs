//! Lines, bars, points and words on any backend, in pixels of the page.
//!
//! Whole pixels for pictures whose every line lies on them; fractions for charts, which are drawn on a
//! finer grid ([`super::Figure::fineness`]).

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
/// What is beside the point.
pub(crate) const GREY: RGBColor = RGBColor(120, 120, 120);
/// Grid lines.
pub(crate) const GRID: RGBColor = RGBColor(226, 226, 226);
// Okabe and Ito's colours, told apart by every eye.
/// Values, and loadings above zero.
pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Loadings below zero, and the penalty.
pub(crate) const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// Bars behind a line.
pub(crate) const SKY: RGBColor = RGBColor(190, 222, 242);

/// Pixels of ordinary text.
const TEXT: i32 = 14;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
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

    /// Whether a place is within it.
    pub(super) fn holds(self, at: (f64, f64)) -> bool {
        let (left, right) = (f64::from(self.left), f64::from(self.right));
        let (top, bottom) = (f64::from(self.top), f64::from(self.bottom));
        (left..=right).contains(&at.0) && (top..=bottom).contains(&at.1)
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
pub(crate) enum Anchor {
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
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    /// Steps of the grid within a pixel.
    fine: i32,
    /// Whether thick lines are drawn as polygons, whose sharp corners would be long spikes.
    is_bitmap: bool,
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    pub(super) fn new(area: &'a DrawingArea<B, Shift>, fine: u32, is_bitmap: bool) -> Self {
        let fine = i32::try_from(fine).unwrap_or(1);
        Self {
            area,
            fine,
            is_bitmap,
        }
    }

    /// A place on the page → one on the grid.
    fn grid(&self, at: (f64, f64)) -> (i32, i32) {
        let of = |value: f64| (value * f64::from(self.fine)).round() as i32;
        (of(at.0), of(at.1))
    }

    /// A length on the page → one on the grid, at least 1.
    fn length(&self, pixels: f64) -> u32 {
        (pixels * f64::from(self.fine)).round().max(1.0) as u32
    }

    /// A line through these places.
    pub(super) fn path(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        width: f64,
    ) -> Result<(), String> {
        let points: Vec<_> = points.iter().map(|at| self.grid(*at)).collect();
        let thickness = self.length(width);
        let style = color.stroke_width(thickness);
        let stroke = |points: Vec<(i32, i32)>| {
            let line = PathElement::new(points, style);
            self.area.draw(&line).map_err(|error| error.to_string())
        };
        if !self.is_bitmap || points.len() < 3 {
            return stroke(points);
        }
        // Segment by segment, with round joints.
        for pair in points.windows(2) {
            stroke(pair.to_vec())?;
        }
        for joint in &points[1..points.len() - 1] {
            let disc = Circle::new(*joint, thickness / 2, color.filled());
            self.area.draw(&disc).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// An area within these places.
    pub(super) fn area(&self, points: &[(f64, f64)], color: RGBColor) -> Result<(), String> {
        let points: Vec<_> = points.iter().map(|at| self.grid(*at)).collect();
        self.area
            .draw(&Polygon::new(points, color.filled()))
            .map_err(|error| error.to_string())
    }

    /// A filled rectangle from one corner to the opposite one.
    pub(super) fn cell(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        color: RGBColor,
    ) -> Result<(), String> {
        let (from, to) = (self.grid(from), self.grid(to));
        self.area
            .draw(&Rectangle::new([from, to], color.filled()))
            .map_err(|error| error.to_string())
    }

    /// A disc of this radius.
    pub(super) fn disc(&self, at: (f64, f64), radius: f64, color: RGBColor) -> Result<(), String> {
        let radius = self.length(radius);
        self.area
            .draw(&Circle::new(self.grid(at), radius, color.filled()))
            .map_err(|error| error.to_string())
    }

    /// Text of a size.
    pub(super) fn label(
        &self,
        text: &str,
        at: (f64, f64),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
    ) -> Result<(), String> {
        self.place(text, self.grid(at), anchor, color, size * self.fine)
    }

    /// The heading of the whole picture.
    pub(crate) fn title(&self, text: &str) -> Result<(), String> {
        self.words(text, (24, 26), Anchor::Left, INK, 20)
    }

    /// Text in the ordinary size.
    pub(crate) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
    ) -> Result<(), String> {
        self.words(text, at, anchor, color, TEXT)
    }

    /// Whole pixels.
    fn words(
        &self,
        text: &str,
        at: (i32, i32),
        anchor: Anchor,
        color: RGBColor,
        size: i32,
    ) -> Result<(), String> {
        let at = (f64::from(at.0), f64::from(at.1));
        self.label(text, at, anchor, color, size)
    }

    /// Text on the grid.
    fn place(
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
    pub(crate) fn line(
        &self,
        points: Vec<(i32, i32)>,
        color: RGBColor,
        width: u32,
    ) -> Result<(), String> {
        let style = color.stroke_width(width);
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(|error| error.to_string())
    }

    /// A dashed horizontal line.
    pub(crate) fn dashes(&self, from: i32, to: i32, y: i32, color: RGBColor) -> Result<(), String> {
        for x in (from..to).step_by(10) {
            self.line(vec![(x, y), ((x + 6).min(to), y)], color, 2)?;
        }
        Ok(())
    }

    /// A filled rectangle, whichever way its corners lie.
    pub(crate) fn bar(&self, a: (i32, i32), b: (i32, i32), color: RGBColor) -> Result<(), String> {
        let corners = [(a.0.min(b.0), a.1.min(b.1)), (a.0.max(b.0), a.1.max(b.1))];
        self.area
            .draw(&Rectangle::new(corners, color.filled()))
            .map_err(|error| error.to_string())
    }

    /// A point: a disc, or a ring around nothing.
    pub(crate) fn point(
        &self,
        at: (i32, i32),
        color: RGBColor,
        is_full: bool,
    ) -> Result<(), String> {
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
