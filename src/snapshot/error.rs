//! What can go wrong between a snapshot and the disk.

use std::io;
use std::path::PathBuf;

/// Why a snapshot could not be written or read; each names the path and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The system refused a file operation.
    #[error("{}: {action}: {source}; {remedy}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A Parquet file could not be encoded or decoded.
    #[error("{}: {reason}; make the snapshot again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet reader or writer said.
        reason: String,
    },
    /// A file of the snapshot is not what was written.
    #[error("{}: {reason}; the snapshot is damaged: use another one or make it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Nothing here is a snapshot.
    #[error(
        "{}: no snapshot here (no snapshot.json, and no `latest`); \
         name the directory that `ojad fit --output` made", path.display()
    )]
    NotASnapshot {
        /// The path.
        path: PathBuf,
    },
    /// It was written by a newer program.
    #[error(
        "{}: format version {found}, this program knows up to {known}; update ojad", path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// A daemon publishes there.
    #[error(
        "{}: another ojad writes its snapshots here ({holder}); stop it, or name another directory \
         (`output.dir`, `--output`)", path.display()
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who it is, as it wrote it.
        holder: String,
    },
}
