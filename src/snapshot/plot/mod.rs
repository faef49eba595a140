//! Estimate → a picture: the scree with its error bars, and what each component is made of.
//!
//! In: an estimate and the names of its features. Out: one SVG or PNG file, by the file's name,
//! written beside its place and renamed when whole. Refuses other names. What cannot be drawn (a
//! standard error that is not known, an eigenvalue of zero on a logarithmic axis) is left out.

mod loadings;
mod scree;

use std::path::Path;

use crate::plot::DrawingBackend;

use crate::learner::Estimate;
use crate::plot::canvas::{Canvas, Frame};
use crate::plot::{Figure, PlotError, write};
use crate::rows::Features;

/// Pixels across.
const WIDTH: u32 = 1200;

/// Pixels of the title line, of the scree and of a row of loadings.
const TITLE: u32 = 48;
const SCREE: u32 = 380;
const LOADINGS: u32 = 220;

/// What there is to draw.
struct Scree<'a> {
    estimate: &'a Estimate,
    features: &'a Features,
}

/// Draws `estimate` into the file `path`, which is replaced when the picture is whole.
///
/// # Errors
/// If the name ends in neither `.svg` nor `.png`, or the file cannot be written.
pub fn draw(estimate: &Estimate, features: &Features, path: &Path) -> Result<(), PlotError> {
    write(&Scree { estimate, features }, path)
}

fn height(estimate: &Estimate) -> u32 {
    let rows = loadings::panels(estimate).div_ceil(loadings::ACROSS);
    // At most two rows of panels.
    TITLE + SCREE + LOADINGS * u32::try_from(rows).unwrap_or(0)
}

impl Figure for Scree<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH, height(self.estimate))
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), String> {
        figure(canvas, self.estimate, self.features)
    }
}

/// The whole picture on any backend.
fn figure<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    estimate: &Estimate,
    features: &Features,
) -> Result<(), String> {
    canvas.title(&format!(
        "{} rows × {} features, {} components",
        estimate.rows,
        estimate.features,
        estimate.components()
    ))?;
    let (top, bottom) = (pixel(TITLE), pixel(TITLE + SCREE));
    let two_thirds = pixel(WIDTH) * 62 / 100;
    scree::eigenvalues(canvas, Frame::new(0, top, two_thirds, bottom), estimate)?;
    let right = Frame::new(two_thirds, top, pixel(WIDTH), bottom);
    scree::cumulative(canvas, right, estimate)?;
    for i in 0..loadings::panels(estimate) {
        let (row, column) = (i / loadings::ACROSS, i % loadings::ACROSS);
        let width = pixel(WIDTH) / i32::try_from(loadings::ACROSS).unwrap_or(1);
        let (row, column) = (
            i32::try_from(row).unwrap_or(0),
            i32::try_from(column).unwrap_or(0),
        );
        let top = bottom + row * pixel(LOADINGS);
        let frame = Frame::new(
            column * width,
            top,
            (column + 1) * width,
            top + pixel(LOADINGS),
        );
        loadings::component(canvas, frame, estimate, features, i)?;
    }
    Ok(())
}

/// Sizes above are far below i32's range.
fn pixel(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
