//! The record of a file that was taken or refused.

use std::path::PathBuf;

use crate::source::Format;
use crate::source::fingerprint::Fingerprint;

/// Fate of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// All of it was taken.
    Done,
    /// More may come.
    Growing,
    /// It was refused; its first rows may have been taken.
    Quarantined,
}

/// A file that was taken, wholly or in part, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path where it was last seen.
    pub path: PathBuf,
    /// Its format; `None` if the file was refused before its format was known.
    pub format: Option<Format>,
    /// Identity of the file; of a growing one, `fingerprint.bytes` were taken.
    pub fingerprint: Fingerprint,
    /// Rows taken.
    pub rows: u64,
    /// Of these, rows of a segment abandoned midway because the file was refused or could no longer
    /// be read.
    pub ahead: u64,
    /// Start of that segment; `None` if none was abandoned.
    pub within: Option<u64>,
    /// Its outcome.
    pub state: FileState,
}

impl FileEntry {
    /// The byte from which the file is still to be taken, except for the rows already taken ahead.
    pub fn start(&self) -> u64 {
        self.within.unwrap_or(match self.format {
            Some(Format::IpcStream) => self.fingerprint.bytes,
            _ => 0,
        })
    }

    /// True if the file grows in place.
    pub(super) fn is_stream(&self) -> bool {
        self.format == Some(Format::IpcStream)
    }

    /// A number by which the file is found again under another name and inode.
    pub(super) fn key(&self) -> Option<u64> {
        if self.is_stream() {
            self.fingerprint.growing_key()
        } else {
            self.fingerprint.key()
        }
    }
}
