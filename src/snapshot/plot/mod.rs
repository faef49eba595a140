//! Estimate → a picture: the scree plot with error bars, and the composition of each component.
//!
//! In: an estimate and the names of its features. Out: one SVG or PNG file, by the file's name,
//! written under a temporary name and renamed when complete. Refuses other names. Values that
//! cannot be drawn (an unknown standard error, an eigenvalue of zero on a logarithmic axis) are
//! left out.

mod loadings;
mod scree;

use std::path::Path;

use crate::learner::Estimate;
use crate::plot::{Canvas, DrawError, DrawingBackend, Figure, Frame, Panel, PlotError, write};
use crate::rows::Features;

/// Pixels across the picture.
const WIDTH: u32 = 1200;

/// Pixels of the title line, of the scree and of a row of loadings.
const TITLE: u32 = 48;
const SCREE: u32 = 380;
const LOADINGS: u32 = 220;

/// Pixels between the rows.
const SPACE: i32 = 8;

/// A snapshot as a picture.
struct Scree<'a> {
    estimate: &'a Estimate,
    features: &'a Features,
}

/// Draws `estimate` into the file `path`, which is replaced when the picture is complete.
///
/// # Errors
/// If the name ends in neither `.svg` nor `.png`, or the file cannot be written.
pub fn draw(estimate: &Estimate, features: &Features, path: &Path) -> Result<(), PlotError> {
    write(&Scree { estimate, features }, path)
}

impl Figure for Scree<'_> {
    fn size(&self) -> (u32, u32) {
        let rows = loadings::panels(self.estimate).div_ceil(loadings::ACROSS);
        // At most two rows of panels.
        let rows = u32::try_from(rows).unwrap_or(0);
        (WIDTH, TITLE + SCREE + LOADINGS * rows)
    }

    fn fineness(&self) -> u32 {
        4
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), DrawError> {
        let estimate = self.estimate;
        canvas.title(&format!(
            "{} rows × {} features, {} components",
            estimate.rows,
            estimate.features,
            estimate.components()
        ))?;
        let (top, bottom) = (pixels(TITLE), pixels(TITLE + SCREE));
        let two_thirds = pixels(WIDTH) * 62 / 100;
        let left = Frame::new(8, top, two_thirds, bottom - SPACE);
        Panel::from(scree::eigenvalues(estimate)).draw(canvas, left)?;
        let right = Frame::new(two_thirds, top, pixels(WIDTH), bottom - SPACE);
        Panel::from(scree::cumulative(estimate)).draw(canvas, right)?;
        for i in 0..loadings::panels(estimate) {
            let place = |index: usize| i32::try_from(index).unwrap_or(0);
            let width = pixels(WIDTH) / place(loadings::ACROSS).max(1);
            let left = width * place(i % loadings::ACROSS);
            let top = bottom + pixels(LOADINGS) * place(i / loadings::ACROSS);
            let frame = Frame::new(left, top + SPACE, left + width, top + pixels(LOADINGS));
            Panel::from(loadings::component(estimate, self.features, i)).draw(canvas, frame)?;
        }
        Ok(())
    }
}

/// The sizes above are far below i32's range.
fn pixels(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
