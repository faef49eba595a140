//! Directories that a table format manages.
//!
//! Such a directory also holds files that are no longer part of the table: removed rows, older
//! versions of them. Which files are live only its log says, which is not read here; so the directory
//! is refused, and everything in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;

/// Entries of an Iceberg table's `metadata/` that are looked at: each version of the table leaves
/// one that tells, and its other files are named otherwise.
const METADATA_MAX: usize = 10_000;

/// A directory that a table format manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Directory of its log.
    pub root: PathBuf,
    /// Name for people.
    kind: &'static str,
    /// By what it is known.
    log: &'static str,
}

impl Table {
    /// The table whose root `folder` is.
    pub fn at(folder: &Path) -> Option<Self> {
        let is_there = |name: &str| folder.join(name).is_dir();
        let (kind, log) = if is_there("_delta_log") {
            ("a Delta Lake", "_delta_log/")
        } else if is_there(".hoodie") {
            ("a Hudi", ".hoodie/")
        } else if has_iceberg_metadata(&folder.join("metadata")) {
            ("an Iceberg", "metadata/*.metadata.json")
        } else {
            return None;
        };
        Some(Self {
            root: folder.to_owned(),
            kind,
            log,
        })
    }

    /// The table that `folder` is the root or a part of: a partition has no log of its own.
    pub fn around(folder: &Path) -> Option<Self> {
        let whole = fs::canonicalize(folder).ok()?;
        Self::at(folder).or_else(|| whole.ancestors().skip(1).find_map(Self::at))
    }

    /// The error for `path`, which is the root or a part of it.
    pub fn refusal(&self, path: &Path) -> SourceError {
        let place = if path == self.root {
            format!(" (it has `{}`)", self.log)
        } else {
            format!(" (`{}` in {})", self.log, self.root.display())
        };
        SourceError::Table {
            path: path.to_owned(),
            kind: self.kind,
            place,
        }
    }
}

fn has_iceberg_metadata(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    let mut entries = entries.take(METADATA_MAX).flatten();
    entries.any(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().ends_with(b".metadata.json")
    })
}
