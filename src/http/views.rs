//! Files and refused files, as people want to see them.

use std::path::Path;

use serde::Serialize;

use crate::source::Format;
use crate::source::follow::{FeedState, FileState};

/// Files shown: the newest.
pub const FILES_MAX: usize = 200;
/// Refused files shown: the newest.
pub const QUARANTINE_MAX: usize = 1000;

/// What is being followed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sources {
    /// Files remembered.
    pub total: usize,
    /// Files that were seen and are not learned yet.
    pub lag_files: u64,
    /// Bytes of them.
    pub lag_bytes: u64,
    /// The newest first.
    pub files: Vec<SourceFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceFile {
    /// Its number.
    pub file: u64,
    /// Where it was seen last.
    pub path: String,
    /// What it is; nothing for one that was refused before that was known.
    pub format: Option<&'static str>,
    /// Rows taken.
    pub rows: u64,
    /// Bytes taken, or of the whole file.
    pub bytes: u64,
    /// `reading`, `growing`, `done` or `quarantined`.
    pub state: &'static str,
}

/// What was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quarantine {
    /// Files refused so far.
    pub total: u64,
    /// The newest first.
    pub files: Vec<Refused>,
}

/// One refused file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Its number.
    pub file: u64,
    /// Where it was.
    pub path: String,
    /// Rows taken of it before.
    pub rows: u64,
    /// What kind of fault it is.
    pub fault: &'static str,
    /// Why, and what to do.
    pub reason: String,
    /// Seconds since 1970.
    pub at_unix_s: u64,
}

impl Sources {
    /// What a feed remembers, and what waits.
    pub fn of(state: &FeedState, lag_files: u64, lag_bytes: u64) -> Self {
        let reading = state.reading.as_ref().map(|reading| SourceFile {
            file: reading.file,
            path: shown(&reading.segment.path),
            format: Some(reading.segment.format.name()),
            rows: state.rows_of(reading),
            bytes: reading.segment.identity.bytes,
            state: "reading",
        });
        let known = state.files.iter().rev();
        let known = known.filter(|(file, _)| reading.as_ref().is_none_or(|r| r.file != *file));
        let known = known.map(|(file, entry)| SourceFile {
            file,
            path: shown(&entry.path),
            format: entry.format.map(Format::name),
            rows: entry.rows,
            bytes: entry.identity.bytes,
            state: match entry.state {
                FileState::Done => "done",
                FileState::Growing => "growing",
                FileState::Quarantined => "quarantined",
            },
        });
        Self {
            total: state.files.len(),
            lag_files,
            lag_bytes,
            files: reading
                .clone()
                .into_iter()
                .chain(known)
                .take(FILES_MAX)
                .collect(),
        }
    }
}

impl Quarantine {
    /// What a feed refused.
    pub fn of(state: &FeedState) -> Self {
        let files = state.quarantine.iter().rev().take(QUARANTINE_MAX);
        let files = files.map(|refused| Refused {
            file: refused.file,
            path: shown(&refused.path),
            rows: refused.rows,
            fault: refused.refusal.fault.name(),
            reason: refused.refusal.reason.clone(),
            at_unix_s: refused.at_unix_s,
        });
        Self {
            total: state.quarantined,
            files: files.collect(),
        }
    }
}

/// A path as text; what is no UTF-8 is replaced.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
