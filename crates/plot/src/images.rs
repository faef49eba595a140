//! Small images side by side: digits, weights, components.

use plotters::backend::DrawingBackend;

use crate::canvas::{Anchor, Canvas, Frame, GRID, INK, TICK};
use crate::error::DrawError;
use crate::shades::{Ramp, Shades};
use crate::text;

/// Small images in rows, each with a caption.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// The line above them.
    pub title: String,
    /// From left to right, from above to below.
    pub images: Vec<Image>,
    /// True if signs are colours (each image to both sides of zero alike) rather than values greys
    /// (each image from its least, white, to its largest, black).
    pub diverging: bool,
    /// Images in a row; zero for as many as make them largest.
    pub columns: usize,
}

/// A small image with its caption.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// The line below it.
    pub caption: String,
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from above to below.
    pub height: usize,
    /// Row after row; missing ones are drawn as no number.
    pub values: Vec<f64>,
}

impl Images {
    /// No images yet, as large as they can be.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// With signs as colours.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        self.diverging = true;
        self
    }

    /// With this many images per row.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// With one more image.
    #[must_use]
    pub fn image(
        mut self,
        caption: impl Into<String>,
        width: usize,
        height: usize,
        values: Vec<f64>,
    ) -> Self {
        self.images.push(Image {
            caption: caption.into(),
            width,
            height,
            values,
        });
        self
    }

    /// Columns, rows, and the pixels of a side of an image's longer side.
    fn layout(&self, frame: Frame, below: i32) -> (usize, usize, i32) {
        let count = self.images.len().max(1);
        let side = |columns: usize| {
            let rows = count.div_ceil(columns);
            let across = frame.width() / i32::try_from(columns).unwrap_or(i32::MAX) - GAP;
            let down = frame.height() / i32::try_from(rows).unwrap_or(i32::MAX) - GAP - below;
            (columns, rows, across.min(down).max(1))
        };
        if self.columns > 0 {
            return side(self.columns);
        }
        let all = (1..=count).map(side);
        // The layout with the largest images; of equal ones that with fewer columns.
        all.max_by_key(|(columns, _, pixels)| (*pixels, std::cmp::Reverse(*columns)))
            .unwrap_or((count, 1, 1))
    }
}

/// Pixels between two images.
const GAP: i32 = 10;

/// Draws all of them into the frame.
pub(crate) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    images: &Images,
) -> Result<(), DrawError> {
    let frame = canvas.heading(frame, &images.title)?.inside(12, 4, 12, 8);
    let has_captions = images.images.iter().any(|image| !image.caption.is_empty());
    let below = if has_captions { TICK + 6 } else { 0 };
    let (columns, _, side) = images.layout(frame, below);
    for (i, image) in images.images.iter().enumerate() {
        let column = i32::try_from(i % columns).unwrap_or(0);
        let row = i32::try_from(i / columns).unwrap_or(0);
        let cell = frame.width() / i32::try_from(columns).unwrap_or(1);
        let middle = frame.left + cell * column + cell / 2;
        let top = frame.top + (side + GAP + below) * row;
        let place = picture(canvas, (middle, top), side, image, images.diverging)?;
        let caption = text::cut(&image.caption, TICK, cell - 4);
        let at = (middle, place.bottom + 5);
        canvas.words(&caption, at, Anchor::Below, INK, TICK)?;
    }
    Ok(())
}

/// One image below a point, at most `side` pixels in width and height; its frame.
fn picture<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    (middle, top): (i32, i32),
    side: i32,
    image: &Image,
    diverging: bool,
) -> Result<Frame, DrawError> {
    let longer = image.width.max(image.height).max(1);
    // Whole pixels a value where there is room: no seams and no uneven cells.
    let step = f64::from(side) / longer as f64;
    let step = if step >= 2.0 { step.floor() } else { step };
    let (width, height) = (step * image.width as f64, step * image.height as f64);
    let left = middle - (width / 2.0).round() as i32;
    let frame = Frame::new(
        left,
        top,
        left + width.round() as i32,
        top + height.round() as i32,
    );
    let ramp = if diverging {
        Ramp::Diverging
    } else {
        Ramp::Grey
    };
    let shades = Shades::of(ramp, &image.values);
    let value = |row: usize, column: usize| {
        let at = image.values.get(row * image.width + column);
        at.copied().unwrap_or(f64::NAN)
    };
    for row in 0..image.height {
        let colors: Vec<_> = (0..image.width)
            .map(|column| shades.color(value(row, column)))
            .collect();
        let y = f64::from(top) + step * row as f64;
        // Neighbours of one colour are one rectangle.
        let mut column = 0;
        for same in colors.chunk_by(|a, b| a == b) {
            let x = f64::from(left) + step * column as f64;
            let end = (x + step * same.len() as f64, y + step);
            canvas.block((x, y), end, same[0])?;
            column += same.len();
        }
    }
    canvas.outline(frame, GRID)?;
    Ok(frame)
}
