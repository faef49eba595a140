//! Errors between a snapshot and the disk.

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
        /// The operation that failed.
        action: &'static str,
        /// The error of the system.
        source: io::Error,
        /// The remedy.
        remedy: &'static str,
    },
    /// A Parquet file could not be encoded or decoded.
    #[error("{}: {reason}; make the snapshot again", path.display())]
    Parquet {
        /// Path of the file.
        path: PathBuf,
        /// The error of the Parquet reader or writer.
        reason: String,
    },
    /// A file of the snapshot is damaged.
    #[error("{}: {reason}; the snapshot is damaged: use another one or make it again", path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// The reason, in words.
        reason: String,
    },
    /// There is no snapshot here.
    #[error(
        "{}: no snapshot here (neither snapshot.json nor `latest`); name a directory written by \
         `ojad fit --output`", path.display()
    )]
    NotASnapshot {
        /// The path.
        path: PathBuf,
    },
    /// It was written by a newer program.
    #[error(
        "{}: format version {found}, but this program reads at most {known}; update ojad", path.display()
    )]
    NewerFormat {
        /// Path of the file.
        path: PathBuf,
        /// Format version that it names.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// A daemon publishes there.
    #[error(
        "{}: another ojad is writing snapshots here ({holder}); stop it, or choose another directory \
         (`output.dir`, `--output`)", path.display()
    )]
    Held {
        /// Path of the directory.
        path: PathBuf,
        /// The daemon's description of itself.
        holder: String,
    },
}
