//! Inputs to follow, and the rules.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::source::walk::Symlinks;

/// The order in which new files are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By path, byte by byte.
    #[default]
    Name,
    /// By time of the last change, then by path.
    #[serde(rename = "mtime")]
    Changed,
}

/// Policy for a file with the same content as a learned file that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCopy {
    /// Treat it as that file.
    #[default]
    Leave,
    /// Learn it as a new file.
    Learn,
}

/// Inputs to follow, and the rules.
#[derive(Clone, Debug, Default)]
pub struct FollowParams {
    /// Directories, globs and files.
    pub places: Vec<PathBuf>,
    /// The order of new files.
    pub order: Order,
    /// Files whose names have these endings are ignored.
    pub ignore_suffixes: Vec<String>,
    /// How far symbolic links are followed.
    pub symlinks: Symlinks,
    /// Policy for a file with the same content as a learned file that is gone.
    pub on_copy: OnCopy,
    /// Directory of the daemon's own files, whose names are never reused.
    pub spool: Option<PathBuf>,
    /// How long a file may stay without its footer.
    pub incomplete_age: Duration,
}
