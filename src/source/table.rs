//! Directories managed by a table format.
//!
//! Such a directory also holds files that are no longer part of the table: removed rows, older
//! versions of them. Only the table's log says which files are live, and it is not read here, so
//! the directory and everything in it is refused.

use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;

/// Entries of an Iceberg table's `metadata/` that are looked at: each version of the table leaves
/// one that is conclusive, and its other files have different names.
const METADATA_MAX: usize = 10_000;

/// A directory managed by a table format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Directory of its log.
    pub root: PathBuf,
    /// Name for people.
    kind: &'static str,
    /// The evidence by which it was recognized.
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

    /// The table that `folder` is the root or a part of: a partition has no log itself.
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
