//! Small images side by side.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::Frame;
use super::canvas::{Anchor, Canvas, GREY, INK};
use super::text::cut;

const HEADING: i32 = 30;
const CAPTION: i32 = 18;
const GAP: i32 = 8;
/// Shades on either side of the middle: as many as are told apart, and neighbours of one shade are one
/// rectangle.
const SHADES: f64 = 24.0;

/// An image.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Below it.
    pub caption: String,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Row by row.
    pub values: Vec<f64>,
}

/// Images in a grid.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The heading.
    pub title: String,
    /// From left to right, then down.
    pub images: Vec<Image>,
    /// Blue below zero, white, red above; else white to black.
    pub is_diverging: bool,
    /// Images side by side.
    pub columns: usize,
}

impl Images {
    fn across(&self) -> i32 {
        i32::try_from(self.columns.max(1)).unwrap_or(1)
    }

    /// Pixels of an image on the page, across and down.
    fn size(&self, wide: i32) -> (i32, i32) {
        let across = wide / self.across() - GAP;
        let ratio = |image: &Image| image.height as f64 / image.width.max(1) as f64;
        let tallest = self.images.iter().map(ratio).fold(0.0, f64::max);
        (across, (f64::from(across) * tallest).round() as i32)
    }

    pub(super) fn height(&self, wide: i32) -> i32 {
        let lines = self.images.len().div_ceil(self.columns.max(1));
        HEADING + i32::try_from(lines).unwrap_or(0) * (self.size(wide).1 + CAPTION + GAP)
    }

    pub(super) fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        frame: Frame,
    ) -> Result<(), String> {
        let wide = frame.right - frame.left;
        let at = (f64::from(frame.left), f64::from(frame.top + 10));
        canvas.label(&cut(&self.title, 15, wide), at, Anchor::Left, INK, 15)?;
        let (across, down) = self.size(wide);
        for (number, image) in self.images.iter().enumerate() {
            let number = i32::try_from(number).unwrap_or(0);
            let left = frame.left + number % self.across() * (across + GAP);
            let top = frame.top + HEADING + number / self.across() * (down + CAPTION + GAP);
            self.image(canvas, image, (left, top), f64::from(across))?;
            let at = (f64::from(left + across / 2), f64::from(top + down + 2));
            canvas.label(&image.caption, at, Anchor::Below, GREY, 12)?;
        }
        Ok(())
    }

    fn image<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        image: &Image,
        (left, top): (i32, i32),
        across: f64,
    ) -> Result<(), String> {
        let (left, top) = (f64::from(left), f64::from(top));
        let pixel = across / image.width.max(1) as f64;
        let finite = image.values.iter().filter(|value| value.is_finite());
        let most = finite.fold(0.0_f64, |most, value| most.max(value.abs()));
        let shade = |value: &f64| {
            let share = if most > 0.0 && value.is_finite() {
                value / most
            } else {
                0.0
            };
            (share * SHADES).round()
        };
        for (y, row) in image
            .values
            .chunks(image.width.max(1))
            .take(image.height)
            .enumerate()
        {
            let mut x = 0;
            for run in row.chunk_by(|a, b| shade(a).total_cmp(&shade(b)).is_eq()) {
                let from = (left + x as f64 * pixel, top + y as f64 * pixel);
                x += run.len();
                let to = (left + x as f64 * pixel, top + (y + 1) as f64 * pixel);
                let share = run.first().map_or(0.0, shade) / SHADES;
                canvas.cell(from, to, self.color(share))?;
            }
        }
        Ok(())
    }

    fn color(&self, share: f64) -> RGBColor {
        let white = RGBColor(255, 255, 255);
        if !self.is_diverging {
            return blend(white, RGBColor(0, 0, 0), share);
        }
        let end = if share < 0.0 {
            RGBColor(5, 80, 150)
        } else {
            RGBColor(170, 20, 40)
        };
        blend(white, end, share.abs())
    }
}

/// Between two colours: `share` of the way, within [0, 1].
pub(super) fn blend(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    let share = if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    };
    let of = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(of(from.0, to.0), of(from.1, to.1), of(from.2, to.2))
}
