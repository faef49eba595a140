//! Errors between a state and the disk.

use std::io;
use std::path::PathBuf;

use crate::rows::RunId;

/// Why a state could not be saved or loaded; each names the path and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system refused a file operation.
    #[error("{}: {action}: {source}; free up disk space, or choose a writable `state.dir`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// Damaged bytes.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// The reason, in words.
        reason: String,
    },
    /// Written by another version of the format.
    #[error("{}: format version {found}, but this program reads version {known}; use the version \
      of ojad that wrote it", path.display())]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Format version that it names.
        found: u32,
        /// The version known.
        known: u32,
    },
    /// No generation can be read.
    #[error(
        "{}: no readable checkpoint ({reasons}); restore one from a backup, or start over with `--reset-state`",
        path.display()
    )]
    NoneReadable {
        /// Path of the directory.
        path: PathBuf,
        /// The fault of each of them.
        reasons: String,
    },
    /// Parts of two runs in one directory.
    #[error(
        "{}: belongs to run {found}, but the state belongs to run {run}; restore the files that \
         belong together, or start over with `--reset-state`", path.display()
    )]
    OtherRun {
        /// The part.
        path: PathBuf,
        /// Id of its run.
        found: RunId,
        /// The run of the rest.
        run: RunId,
    },
    /// Another process holds the state.
    #[error(
        "{}: another ojad is using this state directory (process {holder}); stop it, or choose \
         another `state.dir`", path.display()
    )]
    Locked {
        /// Path of the directory.
        path: PathBuf,
        /// The process id that it recorded.
        holder: String,
    },
}

impl CheckpointError {
    /// Names the path of a failed operation.
    pub(crate) fn io(
        path: &std::path::Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }
}
