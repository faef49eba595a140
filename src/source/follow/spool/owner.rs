//! Remains of the previous run in a spool, and their owner: the file `_run` records it, so that no
//! run learns data meant for another.
//!
//! Its name begins like those of ignored files. A spool without it is from before runs had ids, or
//! was released by `--reset-state`: the run that finds it takes it over.

use std::fs;
use std::io;
use std::path::Path;

use super::Spool;
use super::connections::number;
use crate::disk::Disk;
use crate::rows::RunId;
use crate::source::follow::keys::PushName;

/// The file.
const NAME: &str = "_run";
/// The file while it is being written; removed like any other partial file.
const TEMPORARY: &str = "_run.part";

impl Spool {
    /// Claims the spool in `directory` for `run`, creating it if necessary. If it belongs to
    /// another run, nothing is changed and that run is returned.
    ///
    /// # Errors
    /// If the disk reports an error, or the owner cannot be determined.
    pub fn claim(directory: &Path, run: RunId, disk: &dyn Disk) -> io::Result<Option<RunId>> {
        disk.create_dir_all(directory)?;
        let path = directory.join(NAME);
        match disk.read(&path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let owner: RunId = text.trim().parse().map_err(|why| {
                    let why =
                        format!("`{NAME}` is damaged ({why}); remove it to go on with the spool");
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })?;
                if owner == run {
                    return Ok(None);
                }
                let holds = |name: &Path| !is_aside(name);
                // An empty spool of another run can be taken over: no row is lost or learned
                // twice.
                if disk.list(directory)?.iter().any(|name| holds(name)) {
                    return Ok(Some(owner));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let temporary = directory.join(TEMPORARY);
        let mut file = disk.create(&temporary)?;
        file.write(format!("{run}\n").as_bytes())?;
        file.sync()?;
        drop(file);
        disk.rename(&temporary, &path)?;
        disk.sync_dir(directory)?;
        Ok(None)
    }

    /// Releases the spool in `directory`: the next run takes it over.
    ///
    /// # Errors
    /// If the disk reports an error.
    pub fn release_claim(directory: &Path, disk: &dyn Disk) -> io::Result<()> {
        match disk.remove_file(&directory.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => disk.sync_dir(directory),
        }
    }
}

/// True if a file of a spool holds no received data.
fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
        || path.extension().is_some_and(|e| e == "part")
}

/// Takes over what a dead daemon left; returns the bytes held and the number of the next file.
pub(super) fn recover(directory: &Path) -> io::Result<(u64, u64)> {
    fs::create_dir_all(directory)?;
    let (mut held, mut next) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "part") {
            // Its rows are had again.
            fs::remove_file(&path)?;
            continue;
        }
        if is_aside(&path) {
            continue;
        }
        let bytes = fs::metadata(&path)?.len();
        held += bytes;
        let number = PushName::of(&path)
            .map(|name| name.number)
            .or_else(|| number(&path));
        next = next.max(number.map_or(0, |number| number + 1));
        // A connection that never sent anything; its number is used up all the same.
        if bytes == 0 && Spool::is_pipe(&path) {
            fs::remove_file(&path)?;
            continue;
        }
        // As the first version called those whose connections lasted.
        if path.extension().is_some_and(|e| e == "open") {
            fs::rename(&path, path.with_extension("arrows"))?;
        }
    }
    Ok((held, next))
}
