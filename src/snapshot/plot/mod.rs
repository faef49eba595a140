//! Estimate → a picture: the scree with its error bars, and what each component is made of.
//!
//! In: an estimate and the names of its features. Out: one SVG or PNG file, by the file's name,
//! written beside its place and renamed when whole. Refuses other names. What cannot be drawn (a
//! standard error that is not known, an eigenvalue of zero on a logarithmic axis) is left out.

mod axis;
mod canvas;
mod loadings;
mod scree;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea as _;
use plotters::style::{FontStyle, WHITE, register_font};

use self::canvas::{Canvas, Frame};
use crate::learner::Estimate;
use crate::rows::Features;

/// DejaVu Sans, cut down to Latin, Greek, Cyrillic and a few symbols (assets/DejaVuSans.LICENSE):
/// what a PNG's text is drawn with and an SVG's is measured by, whatever the machine has.
static FONT: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");

/// Pixels across.
const WIDTH: u32 = 1200;

/// Pixels of the title line, of the scree and of a row of loadings.
const TITLE: u32 = 48;
const SCREE: u32 = 380;
const LOADINGS: u32 = 220;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The name says neither SVG nor PNG.
    #[error("{}: the name says no format; end it in .svg or .png", path.display())]
    Extension {
        /// The name.
        path: PathBuf,
    },
    /// The picture could not be drawn or written.
    #[error("{}: cannot draw: {reason}; choose a directory that can be written", path.display())]
    Failed {
        /// The picture.
        path: PathBuf,
        /// What was refused.
        reason: String,
    },
}

/// Draws `estimate` into the file `path`, which is replaced when the picture is whole.
///
/// # Errors
/// If the name ends in neither `.svg` nor `.png`, or the file cannot be written.
pub fn draw(estimate: &Estimate, features: &Features, path: &Path) -> Result<(), PlotError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.map(str::to_ascii_lowercase);
    let failed = |reason: String| PlotError::Failed {
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
    if !has_font() {
        return Err(failed("the built-in font is damaged".to_owned()));
    }
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let file = tempfile::Builder::new()
        .prefix(".ojad-plot-")
        .suffix(suffix)
        .tempfile_in(parent.unwrap_or(Path::new(".")))
        .map_err(|error| failed(error.to_string()))?;
    let size = (WIDTH, height(estimate));
    let drawn = match suffix {
        ".svg" => figure(SVGBackend::new(file.path(), size), estimate, features),
        _ => figure(BitMapBackend::new(file.path(), size), estimate, features),
    };
    drawn.map_err(failed)?;
    publish(file, path).map_err(|error| failed(error.to_string()))
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

/// Registers the font on the first call.
fn has_font() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| register_font("sans-serif", FontStyle::Normal, FONT).is_ok())
}

fn height(estimate: &Estimate) -> u32 {
    let rows = loadings::panels(estimate).div_ceil(loadings::ACROSS);
    // At most two rows of panels.
    TITLE + SCREE + LOADINGS * u32::try_from(rows).unwrap_or(0)
}

/// The whole picture on any backend.
fn figure<B: DrawingBackend>(
    backend: B,
    estimate: &Estimate,
    features: &Features,
) -> Result<(), String> {
    let area = backend.into_drawing_area();
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    let canvas = Canvas::new(&area);
    canvas.title(&format!(
        "{} rows × {} features, {} components",
        estimate.rows,
        estimate.features,
        estimate.components()
    ))?;
    let (top, bottom) = (pixel(TITLE), pixel(TITLE + SCREE));
    let two_thirds = pixel(WIDTH) * 62 / 100;
    scree::eigenvalues(&canvas, Frame::new(0, top, two_thirds, bottom), estimate)?;
    let right = Frame::new(two_thirds, top, pixel(WIDTH), bottom);
    scree::cumulative(&canvas, right, estimate)?;
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
        loadings::component(&canvas, frame, estimate, features, i)?;
    }
    area.present().map_err(|error| error.to_string())
}

/// Sizes above are far below i32's range.
fn pixel(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
