//! The history's file, `history.json` in the state directory: for people, so that the published
//! history continues after a restart. Nothing else depends on it.

use std::io;
use std::path::Path;

use tracing::warn;

use crate::disk::Disk;
use crate::published::History;

const NAME: &str = "history.json";

/// The history that the previous run left; a new one if none can be read.
pub(super) fn find(state_dir: &Path) -> History {
    let path = state_dir.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return History::default(),
        Err(error) => {
            warn!(%error, file = %path.display(), "the history cannot be read; starting a new one");
            return History::default();
        }
    };
    History::of_json(&bytes).unwrap_or_else(|reason| {
        warn!(%reason, file = %path.display(), "the history cannot be read; starting a new one");
        History::default()
    })
}

/// Writes it atomically.
pub(super) fn keep(bytes: &[u8], state_dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    let temporary = state_dir.join("history.new");
    let mut file = disk.create(&temporary)?;
    file.write(bytes)?;
    file.sync()?;
    disk.rename(&temporary, &state_dir.join(NAME))
}
