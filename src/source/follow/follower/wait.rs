//! Files that cannot be taken now: how long they wait, and what is reported about them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::{FileStatus, Follower};
use crate::source::Format;
use crate::source::fingerprint::{FileMeta, Fingerprint, open_quietly};
use crate::source::follow::entry::{FileEntry, FileState};
use crate::source::follow::scan::{ScannedFile, Trouble};
use crate::source::worker::{Fault, Refusal};

/// A file that is not complete yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) meta: FileMeta,
    since: Instant,
    looks: u32,
    is_told: bool,
    reason: String,
}

impl Follower {
    /// Waits for a file that the system refuses to read as long as it takes, and reports it once.
    pub(super) fn unreadable(
        &mut self,
        seen: &ScannedFile,
        now: Instant,
        error: &io::Error,
    ) -> FileStatus {
        // Only the system gives a number; without one the error is of reading beyond the end.
        if error.raw_os_error().is_none() {
            // It became shorter while it was read.
            return self.wait(seen, now, &error.to_string(), None);
        }
        // One that has just gone is nobody's trouble.
        if error.kind() != io::ErrorKind::NotFound {
            self.cannot_read(&seen.path, format!("{error}; {}", remedy(error)));
        }
        FileStatus::Wait
    }

    /// Reports once that a file cannot be read now.
    pub(super) fn cannot_read(&mut self, path: &Path, reason: String) {
        if self.unreadable.get(path) != Some(&reason) {
            self.unreadable.insert(path.to_owned(), reason.clone());
            self.untold.push(Trouble {
                path: path.to_owned(),
                reason,
                is_wanted: false,
            });
        }
    }

    /// True if nothing more can come because the connection behind the file has ended.
    pub(super) fn has_ended(&self, seen: &ScannedFile) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|(directory, connections)| {
            seen.path.starts_with(directory) && connections.has_ended(&seen.path)
        })
    }

    /// True if it stores the bytes of a connection: existing bytes never change.
    pub(super) fn is_spooled(&self, seen: &ScannedFile) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|(directory, _)| seen.path.starts_with(directory))
    }

    /// Waits for the rest of a message, for as long as one can come; what was taken of the stream
    /// before stays taken.
    pub(super) fn wait_for_rest(
        &mut self,
        seen: &ScannedFile,
        is_known: bool,
        now: Instant,
    ) -> FileStatus {
        let looks = if self.has_ended(seen) && !is_known {
            0
        } else {
            u32::MAX
        };
        self.wait(seen, now, "its last message is incomplete", Some(looks))
    }

    /// The number of incomplete files, the first of them, and what it lacks.
    pub fn unfinished(&self) -> Option<(usize, &Path, &str)> {
        let waiting = self.waiting.iter();
        let waiting = waiting.filter(|(_, waiting)| !waiting.is_told && !waiting.reason.is_empty());
        let files = waiting.clone().count();
        let (path, waiting) = waiting.min_by_key(|(path, _)| *path)?;
        Some((files, path, &waiting.reason))
    }

    /// Number of scans, including this one, in which a waiting file was as it is now.
    pub(super) fn looks_at(&mut self, seen: &ScannedFile, now: Instant) -> u32 {
        self.look_at(seen, now).looks
    }

    fn look_at(&mut self, seen: &ScannedFile, now: Instant) -> &mut Waiting {
        let waiting = self
            .waiting
            .entry(seen.path.clone())
            .or_insert_with(|| Waiting {
                meta: seen.meta.clone(),
                since: now,
                looks: 0,
                is_told: false,
                reason: String::new(),
            });
        // It still changes: its rest is counted from now on.
        if waiting.meta != seen.meta {
            (waiting.meta, waiting.since, waiting.looks) = (seen.meta.clone(), now, 0);
        }
        waiting.looks += 1;
        waiting
    }

    /// Waits for the rest of a file until it has been unchanged for too long: for a number of
    /// scans, or for the configured age. A growing stream waits for ever and is reported once.
    pub(super) fn wait(
        &mut self,
        seen: &ScannedFile,
        now: Instant,
        reason: &str,
        looks: Option<u32>,
    ) -> FileStatus {
        let incomplete_age = self.params.incomplete_age;
        let has_ended = self.has_ended(seen);
        let waiting = self.look_at(seen, now);
        reason.clone_into(&mut waiting.reason);
        let age = now.duration_since(waiting.since);
        let is_old = age >= incomplete_age;
        let is_over = match looks {
            Some(u32::MAX) => false,
            Some(looks) => waiting.looks > looks || is_old,
            None => is_old,
        };
        if !is_over || waiting.is_told {
            return FileStatus::Wait;
        }
        waiting.is_told = true;
        let path = seen.path.display();
        let reason = if has_ended {
            format!("{path}: {reason}, and its connection has ended; send the stream again")
        } else {
            format!(
                "{path}: {reason}, and it has not changed for {} s; write it again, or have it \
                 ignored by its name (`source.ignore_suffixes`)",
                age.as_secs()
            )
        };
        let handle = open_quietly(&seen.path).ok();
        FileStatus::Refuse(
            entry_of(seen, None, handle.as_ref(), seen.meta.bytes),
            Refusal {
                fault: Fault::File,
                reason,
            },
        )
    }
}

/// Remedy for an error of the system.
fn remedy(error: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => {
            "make it readable for the user of the daemon, or leave it out"
        }
        Some(Errno::MFILE | Errno::NFILE) => {
            "raise the limit on open files (`ulimit -n`, `LimitNOFILE=`)"
        }
        Some(Errno::NOMEM) => "the system has no memory left for it; it will be retried",
        _ => "it will be retried; check the disk or network that it is on",
    }
}

/// The entry for a file that is refused unread.
pub(super) fn entry_of(
    seen: &ScannedFile,
    format: Option<Format>,
    handle: Option<&File>,
    bytes: u64,
) -> FileEntry {
    let hashed = handle.and_then(|handle| Fingerprint::of(handle, bytes).ok());
    let mut fingerprint = hashed.unwrap_or_default();
    fingerprint.meta = seen.meta.clone();
    FileEntry {
        path: seen.path.clone(),
        format,
        fingerprint,
        rows: 0,
        ahead: 0,
        within: None,
        state: FileState::Quarantined,
    }
}
