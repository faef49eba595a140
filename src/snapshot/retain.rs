//! Retention of snapshots: the newest ones, and the last of each day.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::Disk;
use crate::snapshot::SnapshotError;
use crate::snapshot::disk::{fine_if_gone, writing};
use crate::snapshot::read::Brief;

/// Prefix of temporary directories, for snapshots being written or removed.
pub(super) const ON_THE_WAY: &str = ".snapshot-";
const SECONDS_A_DAY: u64 = 86_400;

/// Number of snapshots to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones.
    pub keep: usize,
    /// Number of latest days (UTC) with snapshots of which the last snapshot is kept.
    pub keep_daily: usize,
}

/// A snapshot of a directory that holds several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Listed {
    /// Seconds since 1970 when it was written.
    pub created_unix_s: u64,
    /// Number of rows learned.
    pub rows: u64,
    /// The name of its directory.
    pub id: String,
    /// True if `latest` points to it.
    pub is_latest: bool,
}

/// The snapshots in `directory`, oldest first; empty if the directory does not exist.
///
/// # Errors
/// If it cannot be listed.
pub fn list(directory: &Path, disk: &dyn Disk) -> Result<Vec<Listed>, SnapshotError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let names = disk.list(directory);
    let names = names.map_err(writing(directory, "cannot list"))?;
    Ok(listed(directory, &names, disk))
}

/// Those of `names` that are snapshots, the oldest first.
fn listed(directory: &Path, names: &[PathBuf], disk: &dyn Disk) -> Vec<Listed> {
    let latest = std::fs::read_link(directory.join("latest")).ok();
    let snapshots = names.iter().filter_map(|name| {
        let id = name.to_str().filter(|id| id.starts_with("rows-"))?;
        let brief = Brief::of(&directory.join(name), disk)?;
        Some(Listed {
            created_unix_s: brief.created_unix_s,
            rows: brief.rows,
            is_latest: latest.as_deref() == Some(Path::new(id)),
            id: id.to_owned(),
        })
    });
    let mut snapshots: Vec<Listed> = snapshots.collect();
    snapshots.sort();
    snapshots
}

/// Removes the snapshots in `directory` that `retention` does not keep; returns their paths.
///
/// The target of `latest` stays, and so does everything that is not a snapshot. A snapshot is
/// renamed before it is removed, so that nobody sees half of it.
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
    for name in &names {
        let text = name.to_string_lossy();
        if text.starts_with(ON_THE_WAY) && is_left_behind(&text) {
            let path = directory.join(name);
            fine_if_gone(disk.remove_dir_all(&path)).map_err(writing(&path, "cannot remove"))?;
        }
    }
    let snapshots = listed(directory, &names, disk);
    let newest = snapshots.len().saturating_sub(retention.keep.max(1));
    let mut days = Vec::new();
    let mut removed = Vec::new();
    for (i, snapshot) in snapshots.iter().enumerate().rev() {
        let day = snapshot.created_unix_s / SECONDS_A_DAY;
        let is_last_of_day = days.last() != Some(&day);
        if is_last_of_day {
            days.push(day);
        }
        let is_daily = is_last_of_day && days.len() <= retention.keep_daily;
        if i >= newest || is_daily || snapshot.is_latest {
            continue;
        }
        let path = directory.join(&snapshot.id);
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

/// True if a temporary directory belongs to a process that no longer exists.
fn is_left_behind(name: &str) -> bool {
    let pid = name[ON_THE_WAY.len()..].parse::<u32>().ok();
    pid.is_none_or(|pid| {
        pid != std::process::id() && !Path::new("/proc").join(pid.to_string()).exists()
    })
}
