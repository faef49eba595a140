//! Everything taken from the feed: plain data stored in a checkpoint and changed only by events.
//!
//! The ingest thread is ahead of the trainer. Both hold an [`IngestState`] and apply the same [`Event`]s, so
//! that a checkpoint never covers rows that the learner has not seen.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::entry::{FileEntry, FileState};
use super::files::FileTable;
use super::keys::{PushName, PushedKey, PushedKeys, Settled};
use crate::rows::{Position, RowCounts, Watermark};
use crate::source::worker::Refusal;
use crate::source::{FeatureSchema, SegmentRead};

/// Most entries kept about refused files; older ones are only counted.
const QUARANTINE_MAX: usize = 10_000;

/// A file that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The number of the file.
    pub file: u64,
    /// Its path at the time.
    pub path: PathBuf,
    /// Rows taken before.
    pub rows: u64,
    /// Why.
    pub refusal: Refusal,
    /// Seconds from 1970.
    pub at_unix_s: u64,
}

/// A step of the feed.
#[derive(Clone, Debug)]
pub enum Event {
    /// The next file has these features: they are fixed when its first row is taken, and dropped if
    /// it ends before that ([`IngestState::is_fixed`]).
    Resolved(FeatureSchema),
    /// A segment was begun by the decision of this number.
    Began {
        /// Number of the decision.
        sequence: u64,
        /// The segment.
        reading: SegmentRead,
        /// Rows of its file before the segment.
        rows_before: u64,
    },
    /// Rows of the current segment.
    Rows(RowCounts),
    /// The current segment is done.
    Ended,
    /// The current segment ended early: its file is refused from here on.
    Cut(Quarantined),
    /// A file was refused before any of its rows was read.
    Refused(FileEntry, Quarantined),
    /// A short minibatch was learned, by the decision of this number.
    Flushed {
        /// Number of the decision.
        sequence: u64,
    },
    /// A file was found under another name, or touched.
    Refreshed(u64, FileEntry),
    /// The current segment is abandoned: its rows so far stay, and the file is looked for again.
    /// The entry to remember, if any.
    PutOff(Option<(u64, FileEntry)>),
    /// Every decision up to this number was carried out or revoked.
    Passed {
        /// Number of the decision.
        sequence: u64,
    },
    /// A refused file is to be retried; its new entry comes as a separate event.
    Retried(u64),
    /// A vanished file need no longer be remembered.
    Forgot(u64),
}

/// Everything known about the feed.
#[derive(Clone, Debug, Default)]
pub struct IngestState {
    /// Number of the last decision that was carried out or begun.
    pub sequence: u64,
    /// Events so far.
    pub steps: u64,
    /// The features, once a file has fixed them.
    pub feature_schema: Option<FeatureSchema>,
    /// All known files; in the trainer's state, the latest ones.
    pub files: FileTable,
    /// Number of the next file.
    pub next_file: u64,
    /// The segment that is being read.
    pub reading: Option<SegmentRead>,
    /// Rows of its file before the segment; derived from the files and not stored in checkpoints.
    pub rows_before: u64,
    /// Rows and values counted.
    pub counts: RowCounts,
    /// Short minibatches so far.
    pub flushes: u64,
    /// Refused files, the newest last.
    pub quarantine: VecDeque<Quarantined>,
    /// Total number refused.
    pub quarantined: u64,
    /// Keys of finished pushed bodies.
    pub pushed: PushedKeys,
}

impl IngestState {
    /// Applies an event. Events are self-contained, because the trainer's state does not hold every
    /// file.
    pub fn apply(&mut self, event: &Event) {
        self.steps += 1;
        if let Some(settled) = self.settled_by(event) {
            self.pushed.record(settled.key, settled.pushed);
        }
        match event {
            Event::Resolved(feature_schema) => {
                self.counts
                    .add(&RowCounts::of(feature_schema.features().len()));
                self.feature_schema = Some(feature_schema.clone());
            }
            Event::Began {
                sequence,
                reading,
                rows_before,
            } => {
                self.sequence = *sequence;
                self.rows_before = *rows_before;
                self.next_file = self.next_file.max(reading.file + 1);
                self.reading = Some(reading.clone());
            }
            Event::Rows(counts) => {
                self.counts.add(counts);
                if let Some(reading) = &mut self.reading {
                    reading.rows += counts.rows_read;
                }
            }
            Event::Ended => {
                self.end();
                self.free_features();
            }
            Event::Cut(quarantined) => {
                self.cut(quarantined.file);
                self.quarantine(quarantined);
                self.free_features();
            }
            Event::Refused(entry, quarantined) => {
                self.next_file = self.next_file.max(quarantined.file + 1);
                self.files.put(quarantined.file, entry.clone());
                self.quarantine(quarantined);
            }
            Event::Flushed { sequence } => {
                self.sequence = *sequence;
                self.flushes += 1;
            }
            Event::PutOff(left) => {
                self.reading = None;
                if let Some((file, entry)) = left {
                    self.next_file = self.next_file.max(file + 1);
                    self.files.put(*file, entry.clone());
                }
            }
            Event::Passed { sequence } => self.sequence = *sequence,
            Event::Refreshed(file, entry) => self.files.put(*file, entry.clone()),
            Event::Retried(file) => {
                self.quarantine.retain(|entry| entry.file != *file);
            }
            Event::Forgot(file) => self.files.remove(*file),
        }
    }

    /// True if rows were taken, which fixes the features. Before that they belong only to the
    /// current file and are dropped with it.
    pub fn is_fixed(&self) -> bool {
        self.counts.rows_accepted > 0
    }

    /// Drops the features of a finished file of which no row was taken: it may have been anything.
    pub(super) fn free_features(&mut self) {
        if self.is_fixed() || self.reading.is_some() {
            return;
        }
        self.feature_schema = None;
        // The rows stay counted; what was counted by feature belongs to none of those to come.
        let counts = &mut self.counts;
        for counts in [&mut counts.nulls, &mut counts.nans, &mut counts.infinities] {
            counts.clear();
        }
    }

    /// Renames files in directories with this name: `now` returns a file's new name, if it changed.
    pub fn rename(
        &mut self,
        folder: &std::ffi::OsStr,
        now: impl Fn(&std::path::Path) -> Option<PathBuf>,
    ) {
        if let Some(reading) = &mut self.reading
            && let Some(path) = now(&reading.segment.path)
        {
            reading.segment.path = path;
        }
        for (file, entry) in self.files.in_folders(folder) {
            if let Some(path) = now(&entry.path) {
                self.files.put(file, FileEntry { path, ..entry });
            }
        }
    }

    /// The pushed body whose file this next event finishes.
    pub fn settled_by(&self, event: &Event) -> Option<Settled> {
        let reading = self.reading.as_ref();
        let (path, rows, refused) = match event {
            Event::Ended => {
                let reading = reading?;
                (&reading.segment.path, self.rows_of(reading), None)
            }
            Event::Cut(refused) => {
                let rows = reading.map_or(refused.rows, |reading| self.rows_of(reading));
                (&refused.path, rows, Some(refused))
            }
            Event::Refused(_, refused) => (&refused.path, refused.rows, Some(refused)),
            _ => return None,
        };
        let name = PushName::of(path)?;
        Some(Settled {
            key: name.key,
            pushed: PushedKey {
                body: name.body,
                rows,
                is_refused: refused.is_some(),
            },
            reason: refused.map(|refused| refused.refusal.reason.clone()),
        })
    }

    fn end(&mut self) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        let entry = FileEntry {
            rows: self.rows_of(&reading),
            path: reading.segment.path,
            format: Some(reading.segment.format),
            fingerprint: reading.segment.fingerprint,
            ahead: 0,
            within: None,
            state: if reading.is_final {
                FileState::Done
            } else {
                FileState::Growing
            },
        };
        self.files.put(reading.file, entry);
    }

    /// Rows of a file that were taken before the segment that is read next.
    pub fn rows_before(&self, file: u64) -> u64 {
        let entry = self.files.get(file);
        // What was ahead is counted in the segment again.
        entry.map_or(0, |entry| entry.rows - entry.ahead.min(entry.rows))
    }

    /// Rows taken of the whole file at this position of the current segment.
    pub fn rows_of(&self, reading: &SegmentRead) -> u64 {
        self.rows_before + reading.rows
    }

    /// Ends the file's position after the rows read so far, which stay.
    fn cut(&mut self, file: u64) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        let entry = self.left(&reading, FileState::Quarantined);
        self.files.put(file, entry);
    }

    /// The entry for a file whose segment is abandoned midway.
    pub(crate) fn left(&self, reading: &SegmentRead, state: FileState) -> FileEntry {
        FileEntry {
            rows: self.rows_of(reading),
            path: reading.segment.path.clone(),
            format: Some(reading.segment.format),
            fingerprint: reading.segment.fingerprint.clone(),
            ahead: reading.rows,
            within: Some(reading.segment.start),
            state,
        }
    }

    fn quarantine(&mut self, quarantined: &Quarantined) {
        self.quarantined += 1;
        if self.quarantine.len() == QUARANTINE_MAX {
            self.quarantine.pop_front();
        }
        self.quarantine.push_back(quarantined.clone());
    }

    /// The position after the last row of each file; at most the `most` latest files.
    pub fn watermark(&self, most: usize) -> Watermark {
        let done = self.files.iter().rev().take(most);
        let mut inputs: Vec<Position> = done
            .map(|(_, entry)| Position {
                input: entry.path.to_string_lossy().into_owned(),
                rows: entry.rows,
                done: entry.state == FileState::Done,
            })
            .collect();
        inputs.reverse();
        if let Some(reading) = &self.reading {
            let input = reading.segment.path.to_string_lossy().into_owned();
            inputs.retain(|position| position.input != input);
            inputs.push(Position {
                rows: self.rows_of(reading),
                input,
                done: false,
            });
        }
        Watermark { inputs }
    }
}
