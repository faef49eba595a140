//! Files and refused files in a form for people.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::source::Format;
use crate::source::follow::{FileState, IngestState};

/// Most files shown: the newest.
pub const FILES_MAX: usize = 200;
/// Most refused files that can be requested: the newest.
pub const QUARANTINE_MAX: usize = 1000;
/// Refused files per answer by default.
const PAGE_FILES: usize = 100;
/// Size of an answer about them as JSON: it ends with the file that reaches this many bytes.
const PAGE_BYTES_MAX: usize = 256 << 10;

/// Followed files.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sources {
    /// Number of remembered files.
    pub total: usize,
    /// Files seen but not learned yet.
    pub lag_files: u64,
    /// Total bytes of these.
    pub lag_bytes: u64,
    /// The newest first.
    pub files: Vec<SourceFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceFile {
    /// Its number.
    pub file: u64,
    /// Path where it was last seen.
    pub path: String,
    /// Its format; `None` if the file was refused before the format was known.
    pub format: Option<&'static str>,
    /// Rows taken.
    pub rows: u64,
    /// Bytes taken, or of the whole file.
    pub bytes: u64,
    /// `reading`, `growing`, `done` or `quarantined`.
    pub state: &'static str,
}

/// Refused files.
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
    /// Its path at the time.
    pub path: String,
    /// Rows taken from it before.
    pub rows: u64,
    /// Kind of the fault.
    pub fault: &'static str,
    /// The reason and the remedy.
    pub reason: String,
    /// Time in seconds since 1970.
    pub at_unix_s: u64,
}

impl Sources {
    /// Files that a feed remembers, and those that wait.
    pub fn of(state: &IngestState, lag_files: u64, lag_bytes: u64) -> Self {
        let reading = state.reading.as_ref().map(|reading| SourceFile {
            file: reading.file,
            path: shown(&reading.segment.path),
            format: Some(reading.segment.format.name()),
            rows: state.rows_of(reading),
            bytes: reading.segment.fingerprint.bytes,
            state: "reading",
        });
        let known = state.files.iter().rev();
        let known = known.filter(|(file, _)| reading.as_ref().is_none_or(|r| r.file != *file));
        let known = known.map(|(file, entry)| SourceFile {
            file,
            path: shown(&entry.path),
            format: entry.format.map(Format::name),
            rows: entry.rows,
            bytes: entry.fingerprint.bytes,
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

/// Query of `/api/v1/quarantine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// Most files returned.
    pub limit: usize,
    /// Number of newer files to skip.
    pub offset: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            limit: PAGE_FILES,
            offset: 0,
        }
    }
}

/// Some of what was refused.
#[derive(Debug, Serialize)]
pub struct QuarantinePage<'a> {
    total: u64,
    kept: usize,
    offset: usize,
    files: &'a [Refused],
    /// The offset of the next files; `None` if there are none.
    next: Option<usize>,
}

impl Quarantine {
    /// One page of it, of bounded size however long the names of files and columns are; `None` if
    /// `page` asks for no files or for too many.
    pub fn page(&self, page: Page) -> Option<QuarantinePage<'_>> {
        if !(1..=QUARANTINE_MAX).contains(&page.limit) {
            return None;
        }
        let from = page.offset.min(self.files.len());
        let (mut to, mut bytes) = (from, 0);
        for file in self.files[from..].iter().take(page.limit) {
            bytes += serde_json::to_string(file).map_or(0, |text| text.len());
            to += 1;
            if bytes >= PAGE_BYTES_MAX {
                break;
            }
        }
        Some(QuarantinePage {
            total: self.total,
            kept: self.files.len(),
            offset: from,
            files: &self.files[from..to],
            next: (to < self.files.len()).then_some(to),
        })
    }

    /// Files that a feed refused.
    pub fn of(state: &IngestState) -> Self {
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

/// A path as text; invalid UTF-8 is replaced.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many refused files, each with a reason of `len` characters.
    fn refused(count: usize, len: usize) -> Quarantine {
        let files = (0..count).map(|i| Refused {
            file: i as u64,
            path: format!("{i}.parquet"),
            rows: 0,
            fault: "file",
            // The longest way of writing a character.
            reason: "\u{1}".repeat(len),
            at_unix_s: 0,
        });
        Quarantine {
            total: 5000,
            files: files.collect(),
        }
    }

    #[test]
    fn pages_show_every_file_once_and_none_is_long() {
        for (count, len, limit) in [
            (0, 1, 100),
            (1000, 1, 100),
            (1000, 4096, 1000),
            (7, 4096, 3),
        ] {
            let all = refused(count, len);
            let mut seen = Vec::new();
            let mut offset = Some(0);
            while let Some(at) = offset {
                let page = all.page(Page { limit, offset: at }).expect("a page");
                assert_eq!((page.total, page.kept, page.offset), (5000, count, at));
                assert!(page.files.len() <= limit);
                let bytes = serde_json::to_string(&page).expect("JSON").len();
                // One file more than fits, of six bytes a character.
                assert!(bytes < PAGE_BYTES_MAX + 6 * 4096 + 1000, "{bytes}");
                seen.extend(page.files.iter().map(|file| file.file));
                offset = page.next;
            }
            assert!(seen.iter().copied().eq(0..count as u64), "{count} {len}");
        }
        let all = refused(10, 1);
        for (limit, offset) in [(0, 0), (QUARANTINE_MAX + 1, 0)] {
            assert!(all.page(Page { limit, offset }).is_none());
        }
        let limit = PAGE_FILES;
        let behind = all.page(Page { limit, offset: 11 }).expect("a page");
        assert!(behind.files.is_empty() && behind.next.is_none());
    }
}
