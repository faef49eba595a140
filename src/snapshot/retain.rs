//! Which snapshots stay: the newest ones, and the last of each day.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::snapshot::SnapshotError;
use crate::snapshot::disk::{fine_if_gone, writing};
use crate::snapshot::read::Brief;

/// Names of temporary directories, of snapshots on their way in and out.
pub(super) const ON_THE_WAY: &str = ".snapshot-";
const SECONDS_A_DAY: u64 = 86_400;

/// How many snapshots stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones.
    pub keep: usize,
    /// Days (UTC) of which the last one stays, the latest days that have one.
    pub keep_daily: usize,
}

/// Removes the snapshots in `directory` that `retention` does not keep; their paths.
///
/// What `latest` points to stays, and so does everything that is no snapshot. One that goes is
/// renamed first: nobody sees half of it.
///
/// # Errors
/// If the directory cannot be listed or changed.
pub fn retain(
    directory: &Path,
    retention: Retention,
    disk: &dyn Disk,
) -> Result<Vec<PathBuf>, SnapshotError> {
    let names = disk
        .list(directory)
        .map_err(writing(directory, "cannot list"))?;
    let latest = std::fs::read_link(directory.join("latest")).ok();
    // Oldest first: names carry the rows, zero-padded; what was written later has more of them.
    let mut snapshots = Vec::new();
    for name in &names {
        let text = name.to_string_lossy();
        if text.starts_with(ON_THE_WAY) && is_left_behind(&text) {
            let path = directory.join(name);
            fine_if_gone(disk.remove_dir_all(&path)).map_err(writing(&path, "cannot remove"))?;
        }
        if text.starts_with("rows-")
            && let Some(brief) = Brief::of(&directory.join(name), disk)
        {
            snapshots.push((brief.created_unix_s, brief.rows, name.clone()));
        }
    }
    snapshots.sort();
    let newest = snapshots.len().saturating_sub(retention.keep.max(1));
    let mut days = Vec::new();
    let mut removed = Vec::new();
    for (i, (created, _, name)) in snapshots.iter().enumerate().rev() {
        let day = created / SECONDS_A_DAY;
        let is_last_of_day = days.last() != Some(&day);
        if is_last_of_day {
            days.push(day);
        }
        let is_daily = is_last_of_day && days.len() <= retention.keep_daily;
        if i >= newest || is_daily || latest.as_ref() == Some(name) {
            continue;
        }
        let path = directory.join(name);
        let going = directory.join(format!("{ON_THE_WAY}{}", std::process::id()));
        fine_if_gone(disk.remove_dir_all(&going)).map_err(writing(&going, "cannot remove"))?;
        disk.rename(&path, &going)
            .map_err(writing(&path, "cannot rename"))?;
        disk.remove_dir_all(&going)
            .map_err(writing(&going, "cannot remove"))?;
        removed.push(path);
    }
    Ok(removed)
}

/// Whether a temporary directory belongs to a process that is no more.
fn is_left_behind(name: &str) -> bool {
    let pid = name[ON_THE_WAY.len()..].parse::<u32>().ok();
    pid.is_none_or(|pid| {
        pid != std::process::id() && !Path::new("/proc").join(pid.to_string()).exists()
    })
}
