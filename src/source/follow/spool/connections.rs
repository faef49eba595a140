//! Files of the spool that still grow: those of open connections.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Spool;

/// The connections open at one instant.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    /// Their files.
    pub(super) open: HashSet<PathBuf>,
    /// Number of the first file created after that instant.
    pub(super) next: u64,
}

impl Connections {
    /// True if a file of the spool has reached its final form.
    pub fn has_ended(&self, path: &Path) -> bool {
        !Spool::is_pipe(path)
            || (number(path).is_some_and(|number| number < self.next) && !self.open.contains(path))
    }
}

/// The number in the name of a file of a pipe or socket.
pub(super) fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem.rsplit('-').next()?.parse().ok()
}
