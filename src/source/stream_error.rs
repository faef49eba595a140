//! Errors of an Arrow IPC stream, wherever it comes from.

use std::io;
use std::path::Path;

use super::error::{SourceError, unreadable};

/// Fault of a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// Its numbers are big-endian.
    #[error(
        "its values are big-endian, which is not read; pyarrow reads it, and writes it little-endian"
    )]
    BigEndian,
    /// Something other than a stream with the same columns follows the end.
    #[error("{0}")]
    Behind(String),
    /// It violates the format.
    #[error("{0}")]
    Corrupt(String),
    /// The system refused to read it.
    #[error("{0}")]
    Unreadable(io::Error),
}

impl From<String> for StreamError {
    fn from(reason: String) -> Self {
        Self::Corrupt(reason)
    }
}

impl From<&str> for StreamError {
    fn from(reason: &str) -> Self {
        Self::Corrupt(reason.to_owned())
    }
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            "the stream ends inside a message".into()
        } else {
            Self::Unreadable(error)
        }
    }
}

impl StreamError {
    /// The error for the file at `path`.
    pub fn at(self, path: &Path) -> SourceError {
        let path = path.to_owned();
        match self {
            Self::BigEndian => SourceError::BigEndian { path },
            Self::Behind(what) => SourceError::Behind { path, what },
            Self::Corrupt(reason) => SourceError::Corrupt { path, reason },
            Self::Unreadable(source) => unreadable(&path, source),
        }
    }
}
