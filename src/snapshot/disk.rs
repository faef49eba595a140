//! Crash-safe file operations, with errors that name the place and the remedy.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::disk::Disk;
use crate::rows::hex;
use crate::snapshot::SnapshotError;

/// Remedy when writing fails.
const WRITE_REMEDY: &str = "free up disk space, or choose a writable place with `--output`";

/// Names the path of a failed write.
pub(super) fn writing<'a>(
    path: &'a Path,
    action: &'static str,
) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io {
        path: path.to_owned(),
        action,
        source,
        remedy: WRITE_REMEDY,
    }
}

/// Writes `bytes` and waits until they are on disk.
pub(super) fn write_durably(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
) -> Result<(), SnapshotError> {
    let mut file = disk.create(path).map_err(writing(path, "cannot create"))?;
    file.write(bytes).map_err(writing(path, "cannot write"))?;
    file.sync().map_err(writing(path, "cannot fsync"))
}

/// Waits until the entries of `directory` are on disk.
pub(super) fn sync_directory(disk: &dyn Disk, directory: &Path) -> Result<(), SnapshotError> {
    disk.sync_dir(directory)
        .map_err(writing(directory, "cannot fsync"))
}

/// Atomically points `latest` to `target` (a name in the same directory).
pub(super) fn point_latest(
    disk: &dyn Disk,
    directory: &Path,
    target: &str,
) -> Result<(), SnapshotError> {
    let (temporary, link) = (directory.join(".latest.new"), directory.join("latest"));
    fine_if_gone(disk.remove_file(&temporary)).map_err(writing(&temporary, "cannot remove"))?;
    disk.symlink(Path::new(target), &temporary)
        .map_err(writing(&temporary, "cannot link"))?;
    disk.rename(&temporary, &link)
        .map_err(writing(&link, "cannot rename onto"))?;
    sync_directory(disk, directory)
}

/// Ignores that a file to be removed does not exist.
pub(super) fn fine_if_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
