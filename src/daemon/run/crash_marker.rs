//! A note that names the file about to be opened: if the file crashes the daemon, the restarted
//! daemon recognizes it by this note.
//!
//! The note is not fsynced, because it only has to survive a crash of the process, not of the
//! machine. With `isolation = "process"` no file reaches the daemon's own memory, and no note is
//! written.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Crashes during the opening of a file after which the file is blamed.
const DEATHS_OPENING: u32 = 3;
/// Crashes during the reading of a file, with no further checkpoint in between. The limit is higher
/// because a file can take hours to read, and a `kill -9` may have other reasons.
const DEATHS_READING: u32 = 20;

/// The note about the current file.
#[derive(Debug)]
pub(super) struct CrashMarker {
    path: PathBuf,
    ticket: u64,
    rows: u64,
    deaths: u32,
    /// True if this run wrote it.
    is_mine: bool,
    /// Open while there is a note.
    file: Option<File>,
}

impl CrashMarker {
    /// The note that the previous run left in `directory`.
    pub(super) fn open(directory: &Path) -> Self {
        let path = directory.join("opening");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
        let (ticket, rows, deaths) = (next(), next(), next());
        Self {
            path,
            ticket,
            rows,
            deaths: u32::try_from(deaths).unwrap_or(u32::MAX),
            is_mine: false,
            file: None,
        }
    }

    /// Notes that a segment is about to be opened after `rows` of its rows; true if it has crashed
    /// too many runs.
    pub(super) fn begin(&mut self, ticket: u64, rows: u64) -> bool {
        self.is_mine = true;
        if self.ticket == ticket && self.rows == rows {
            self.deaths += 1;
        } else {
            (self.ticket, self.rows, self.deaths) = (ticket, rows, 0);
        }
        self.write();
        self.deaths >= DEATHS_READING
            // Counts from `DEATHS_READING / 2` on mean that the file has given rows.
            || (self.deaths >= DEATHS_OPENING && self.deaths < DEATHS_READING / 2)
    }

    /// True if the note is about this decision, by this run.
    pub(super) fn is_about(&self, ticket: u64) -> bool {
        self.is_mine && self.ticket == ticket
    }

    /// Notes that its first rows have arrived: from now on the higher limit for crashes applies.
    pub(super) fn survived(&mut self) {
        if self.deaths < DEATHS_READING / 2 {
            self.deaths = DEATHS_READING / 2;
            self.write();
        }
    }

    /// Notes that nothing is being read.
    pub(super) fn clear(&mut self) {
        self.ticket = 0;
        self.file = None;
        let _ = fs::remove_file(&self.path);
    }

    fn write(&mut self) {
        // Written over in its place: a file that is emptied first is written out by some systems.
        let text = format!(
            "{:<20} {:<20} {:<10}\n",
            self.ticket, self.rows, self.deaths
        );
        if self.file.is_none() {
            let mut options = File::options();
            let options = options.write(true).create(true).truncate(true);
            self.file = options.open(&self.path).ok();
        }
        // Without a note a poison file takes longer to be known; nothing is lost.
        if let Some(file) = &self.file {
            let _ = file.write_all_at(text.as_bytes(), 0);
        }
    }
}
