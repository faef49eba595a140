//! Why there is no picture.

use std::error::Error;
use std::path::PathBuf;

use plotters::drawing::DrawingAreaErrorKind;
use plotters_backend::DrawingErrorKind;

/// Why a picture was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The name says neither SVG nor PNG.
    #[error("{}: the file name has no known extension; use .svg or .png", path.display())]
    Extension {
        /// The name that was given.
        path: PathBuf,
    },
    /// The picture could not be drawn or written.
    #[error("{}: cannot draw: {reason}; choose a directory that can be written and has room", path.display())]
    Failed {
        /// The file of the picture.
        path: PathBuf,
        /// The refusal.
        reason: DrawError,
    },
}

/// A refusal of the canvas or of its file, in the words of plotters or of the system.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DrawError(String);

impl DrawError {
    pub(crate) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl<E: Error + Send + Sync> From<DrawingErrorKind<E>> for DrawError {
    fn from(error: DrawingErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

impl<E: Error + Send + Sync> From<DrawingAreaErrorKind<E>> for DrawError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for DrawError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
