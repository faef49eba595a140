//! Files that were replaced, renamed or removed between their decision and their turn.
//!
//! A file that a decision names by its content is looked for under whatever name it has now. If it
//! cannot be found it is lost, and that is reported, because nothing else can report it.

use std::path::PathBuf;

use super::{Follower, NextSegment, ScanResult};
use crate::source::fingerprint::{FileMeta, Fingerprint, open_quietly};
use crate::source::follow::state::IngestState;
use crate::source::{Format, Segment};

/// Most contents looked for at once: as many as the decisions of a few scans.
const SOUGHT_MAX: usize = 1 << 14;

/// A content whose turn had come.
#[derive(Debug)]
pub(super) struct Sought {
    path: PathBuf,
    format: Format,
    fingerprint: Fingerprint,
}

impl Sought {
    fn key(&self) -> Option<u64> {
        content_key(self.format, &self.fingerprint)
    }

    /// True if a segment has this content.
    fn is_in(&self, next: &NextSegment) -> bool {
        let segment = &next.segment;
        if segment.format != self.format {
            return false;
        }
        if let Some(key) = self.key() {
            // `!key` is never equal to `key`: a segment without a key is another one.
            return key == content_key(segment.format, &segment.fingerprint).unwrap_or(!key);
        }
        // A stream of less than a page has no key.
        let file = open_quietly(&segment.path);
        file.and_then(|file| self.fingerprint.is_prefix_of(&file))
            .unwrap_or(false)
    }

    /// True if the file is unchanged: then its turn comes again.
    fn is_there(&self) -> bool {
        let meta = std::fs::metadata(&self.path);
        meta.is_ok_and(|meta| FileMeta::of(&meta) == self.fingerprint.meta)
    }
}

fn content_key(format: Format, fingerprint: &Fingerprint) -> Option<u64> {
    match format {
        Format::IpcStream => fingerprint.growing_key(),
        _ => fingerprint.key(),
    }
}

impl Follower {
    /// Looks again for the files of these segments, whose decisions were revoked; `is_elsewhere` if
    /// the first is missing from its path: then everything is searched.
    pub fn look_for(&mut self, segments: Vec<Segment>, is_elsewhere: bool) {
        for segment in segments {
            self.awaited.insert(segment.path.clone());
            if self.sought.len() < SOUGHT_MAX {
                self.sought.push(Sought {
                    path: segment.path,
                    format: segment.format,
                    fingerprint: segment.fingerprint,
                });
            }
        }
        if is_elsewhere {
            self.full = None;
        }
    }

    /// Ends the search for files that were found and, after a complete listing, for those that were
    /// not.
    pub(super) fn seek(
        &mut self,
        state: &IngestState,
        next_segments: &[NextSegment],
        is_full: bool,
        found: &mut ScanResult,
    ) {
        if self.sought.is_empty() {
            return;
        }
        let is_known = |sought: &Sought| {
            let key = sought.key();
            key.is_some_and(|key| state.files.by_content(key).next().is_some())
        };
        let is_over = is_full && self.backlog.is_empty();
        let (awaited, full) = (&self.awaited, &mut self.full);
        self.sought.retain(|sought| {
            if next_segments.iter().any(|next| sought.is_in(next)) || is_known(sought) {
                return false;
            }
            // It waits for the system, or for its place among those to come.
            if sought.is_there() {
                return awaited.contains(&sought.path) || !is_over;
            }
            if is_over {
                found.lost.push(sought.path.clone());
            } else if self.backlog.is_empty() {
                // The next look looks everywhere.
                *full = None;
            }
            !is_over
        });
    }
}
