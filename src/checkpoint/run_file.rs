//! The run that a state directory belongs to, before its first checkpoint says so: the file `run`.
//!
//! It is the first file written to a new directory. If `--reset-state` started the run over the
//! snapshots of another one, it records that consent, which holds across restarts until the first
//! snapshot of this run is `latest`.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointError;
use crate::disk::Disk;
use crate::rows::RunId;

const NAME: &str = "run";
const TEMPORARY: &str = "run.new";

/// The file `run` of a state directory: JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The run.
    pub run_id: RunId,
    /// The snapshots that this run may replace, because the user agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// Snapshots that another run, or none, left in the output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// The run they belong to, if recorded.
    pub run_id: Option<RunId>,
}

impl RunFile {
    /// Reads the file in `directory`; `None` where there is none.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn read(directory: &Path, disk: &dyn Disk) -> Result<Option<Self>, CheckpointError> {
        let path = directory.join(NAME);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::io(&path, "cannot read")(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let reason = format!(
                "{error}; restore it, or remove it if a checkpoint names the run, or start over with `--reset-state`"
            );
            CheckpointError::Damaged { path, reason }
        })
    }

    /// Writes it atomically and waits until it is on disk.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn write(&self, directory: &Path, disk: &dyn Disk) -> Result<(), CheckpointError> {
        let (path, temporary) = (directory.join(NAME), directory.join(TEMPORARY));
        // Hexadecimal digits: they can always be written.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let failed = |action| CheckpointError::io(&temporary, action);
        let mut file = disk.create(&temporary).map_err(failed("cannot create"))?;
        file.write(&json).map_err(failed("cannot write"))?;
        file.sync().map_err(failed("cannot fsync"))?;
        drop(file);
        disk.rename(&temporary, &path)
            .map_err(CheckpointError::io(&path, "cannot rename to"))?;
        disk.sync_dir(directory)
            .map_err(CheckpointError::io(directory, "cannot fsync"))
    }
}
