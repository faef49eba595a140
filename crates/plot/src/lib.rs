//! Pictures: a figure → an SVG or PNG file, and the parts that figures are made of.
//!
//! In: anything that is a [`Figure`]: a [`Sheet`] of charts, images and matrices in a grid, or
//! panels where the figure wants them. Out: one file whose format its name tells, written under a
//! temporary name and renamed when complete. Refuses other names. Values that cannot be drawn (a
//! NaN, a zero on a logarithmic axis) are left out.
//!
//! Axes, meshes, elements and legends are those of plotters. This crate adds what it lacks: lines
//! that are cut at the axes and thinned, ranges that make an axis whatever the data, labels that do
//! not touch, the corner that a legend covers least, images, bars of named numbers, a font of its
//! own, and smooth edges in bitmaps.
//!
//! ```
//! use ojad_plot::{Chart, Sheet, write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loss = Chart::new("loss", "step", "‖X − W₂W₁X‖²")
//!     .log_y()
//!     .line("gradient", vec![(0.0, 10.0), (1.0, 1.0)]);
//! let place = tempfile::tempdir()?;
//! let path = place.path().join("loss.svg");
//! write(&Sheet::new("One run", 1).panel(loss), &path)?;
//! assert!(std::fs::read_to_string(&path)?.contains("gradient"));
//! # Ok(())
//! # }
//! ```

mod axis;
mod bars;
mod canvas;
mod chart;
mod error;
mod heat;
mod images;
mod lines;
mod plane;
mod shades;
mod sheet;
mod stroke;
mod text;

use std::path::Path;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea as _;
use plotters::style::WHITE;

pub use bars::{Bar, Bars};
pub use canvas::{Canvas, Frame};
pub use chart::{Chart, Legend, Mark, Scale, Series};
pub use error::{DrawError, PlotError};
pub use heat::Heat;
pub use images::{Image, Images};
pub use plotters::backend::DrawingBackend;
pub use sheet::{Panel, Sheet, Words};

/// Something that can be drawn as a page.
pub trait Figure {
    /// Pixels across and down.
    fn size(&self) -> (u32, u32);

    /// Steps of the drawing's grid within a pixel, along each side. A PNG is the average over them;
    /// an SVG has its numbers in them. More than one makes slanted lines smooth.
    fn fineness(&self) -> u32 {
        1
    }

    /// Draws all of it on a white canvas.
    ///
    /// # Errors
    /// If the canvas refuses, in its words.
    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), DrawError>;
}

/// Draws `figure` into the file `path`, which is replaced when the picture is complete.
///
/// # Errors
/// If the name ends in neither `.svg` nor `.png`, or the file cannot be written.
pub fn write(figure: &impl Figure, path: &Path) -> Result<(), PlotError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.map(str::to_ascii_lowercase);
    let failed = |reason: DrawError| PlotError::Failed {
        path: path.to_owned(),
        reason,
    };
    let suffix = match extension.as_deref() {
        Some("svg") => ".svg",
        Some("png") => ".png",
        _ => {
            return Err(PlotError::Extension {
                path: path.to_owned(),
            });
        }
    };
    if !text::has_font() {
        return Err(failed(DrawError::new("the built-in font is damaged")));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let file = tempfile::Builder::new()
        // Beside its place, because a rename does not cross file systems; hidden, so that no
        // listing takes it for a picture.
        .prefix(".ojad-plot-")
        .suffix(suffix)
        .tempfile_in(parent.unwrap_or(Path::new(".")))
        .map_err(|error| failed(error.into()))?;
    let drawn = match suffix {
        ".svg" => vectors(figure, file.path()),
        _ => pixels(figure, file.path()),
    };
    drawn.map_err(failed)?;
    publish(file, path).map_err(|error| failed(error.into()))
}

/// The figure as SVG text in a file.
fn vectors(figure: &impl Figure, path: &Path) -> Result<(), DrawError> {
    let (width, height) = figure.size();
    let fine = figure.fineness().max(1);
    let (wide, high) = (width * fine, height * fine);
    let mut text = String::new();
    onto(
        SVGBackend::with_string(&mut text, (wide, high)),
        figure,
        false,
    )?;
    if fine > 1 {
        // The box keeps the fine numbers; the page has the size that was asked for.
        let fine_page = format!("width=\"{wide}\" height=\"{high}\"");
        let page = format!(
            "width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\" stroke-linecap=\"butt\""
        );
        text = text.replacen(&fine_page, &page, 1);
    }
    Ok(std::fs::write(path, text)?)
}

/// The figure as a PNG file.
fn pixels(figure: &impl Figure, path: &Path) -> Result<(), DrawError> {
    let (width, height) = figure.size();
    let fine = figure.fineness().max(1);
    if fine == 1 {
        return onto(BitMapBackend::new(path, (width, height)), figure, true);
    }
    let size = (width * fine, height * fine);
    let mut buffer = vec![0_u8; 3 * size.0 as usize * size.1 as usize];
    onto(BitMapBackend::with_buffer(&mut buffer, size), figure, true)?;
    // plotters has no anti-aliasing for bitmaps: the page is drawn larger and averaged.
    let averaged = average(&buffer, width as usize, height as usize, fine as usize);
    let mut page = BitMapBackend::new(path, (width, height));
    page.blit_bitmap((0, 0), (width, height), &averaged)?;
    Ok(page.present()?)
}

/// Draws the figure on any backend.
fn onto<B: DrawingBackend>(
    backend: B,
    figure: &impl Figure,
    is_bitmap: bool,
) -> Result<(), DrawError> {
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    figure.draw(&Canvas::new(&area, figure.fineness().max(1), is_bitmap))?;
    Ok(area.present()?)
}

/// `width` × `height` pixels, each the mean of `fine` × `fine` of the buffer's.
fn average(buffer: &[u8], width: usize, height: usize, fine: usize) -> Vec<u8> {
    let mut page = Vec::with_capacity(3 * width * height);
    let mut sums = vec![0_u32; 3 * width];
    let share = u32::try_from(fine * fine).unwrap_or(1);
    for rows in buffer.chunks_exact(3 * width * fine * fine).take(height) {
        sums.fill(0);
        for row in rows.chunks_exact(3 * width * fine) {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                for (channel, value) in pixel.iter().enumerate() {
                    sums[3 * (x / fine) + channel] += u32::from(*value);
                }
            }
        }
        page.extend(sums.iter().map(|sum| ((sum + share / 2) / share) as u8));
    }
    page
}

/// Renames a whole picture into its place, readable like any new file.
fn publish(file: tempfile::NamedTempFile, path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
