//! File operations that survive a crash, with errors that say where and what to do.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::rows::hex;
use crate::snapshot::SnapshotError;

/// What to do when writing fails.
const WRITE_REMEDY: &str = "free space, or choose a writable place with `--output`";

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

/// Writes `bytes` and waits until the disk has them.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let mut file = File::create(path).map_err(writing(path, "cannot create"))?;
    file.write_all(bytes)
        .map_err(writing(path, "cannot write"))?;
    file.sync_all().map_err(writing(path, "cannot fsync"))
}

/// Waits until the disk has the names in `directory`.
pub(super) fn sync_directory(directory: &Path) -> Result<(), SnapshotError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(writing(directory, "cannot fsync"))
}

/// Points `link` to `target` (a name beside it) in one step.
pub(super) fn point_latest(directory: &Path, target: &str) -> Result<(), SnapshotError> {
    let (temporary, link) = (directory.join(".latest.new"), directory.join("latest"));
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(writing(&temporary, "cannot remove")(error)),
    }
    std::os::unix::fs::symlink(target, &temporary).map_err(writing(&temporary, "cannot link"))?;
    fs::rename(&temporary, &link).map_err(writing(&link, "cannot rename onto"))?;
    sync_directory(directory)
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
