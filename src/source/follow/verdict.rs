//! Files of this moment against what was taken → whose turn it is, who waits, who is refused.

mod wait;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::wait::{Waiting, entry_of};
use super::scan::{Scanner, Seen, Trouble};
use super::state::{FeedState, FileEntry, FileState};
use super::{FollowParams, Order};
use crate::source::discover::{fill, magic};
use crate::source::identity::{Identity, Stamp, open_quietly};
use crate::source::worker::{Decode, Fault, Refusal};
use crate::source::{Format, Segment};

/// Files that one scan gives: their decisions are written in one go.
const TAKES_MAX: usize = 4096;

/// A full listing is made at least this often, whatever the directories say: a file that was
/// changed in its place changes no directory.
const LIST_EVERY: Duration = Duration::from_mins(1);

/// Directory times are told in steps of up to two seconds by some file systems.
const TIME_STEP_NS: i64 = 2_000_000_000;

/// Looks at the same file in the same state after which it counts as not being written.
const LOOKS_AT_REST: u32 = 2;

/// A segment whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Number of the file; nothing for one that is new.
    pub file: Option<u64>,
    /// The rows.
    pub segment: Segment,
    /// Rows of the segment that were taken before.
    pub skip: u64,
    /// Whether nothing follows it in its file.
    pub is_final: bool,
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their turns.
    pub takes: Vec<Take>,
    /// Files under another name, or touched.
    pub refreshed: Vec<(u64, FileEntry)>,
    /// Files whose consumed part changed, by number, as they are now.
    pub changed: Vec<(u64, FileEntry)>,
    /// Files that cannot be taken at all.
    pub refused: Vec<(FileEntry, Refusal)>,
    /// Files that are not there any more.
    pub gone: Vec<u64>,
    /// What was in the way, each told once.
    pub troubles: Vec<Trouble>,
    /// Whether somebody waits for something but rows: then a scan must come.
    pub is_waiting: bool,
}

/// Looks at places again and again.
#[derive(Debug)]
pub struct Follower {
    params: FollowParams,
    scanner: Scanner,
    waiting: HashMap<PathBuf, Waiting>,
    told: HashMap<PathBuf, Trouble>,
    /// Files that the system refuses to read, and why.
    unreadable: HashMap<PathBuf, String>,
    /// Those of them that nobody was told of.
    untold: Vec<Trouble>,
    /// When every file was looked at last.
    full: Option<Instant>,
    listed_wall_ns: i64,
    is_waiting: bool,
}

/// What is to be done about one file.
enum Verdict {
    Known,
    Refreshed(u64, FileEntry),
    Changed(u64, FileEntry),
    Wait,
    Take(Take, i64),
    Refuse(FileEntry, Refusal),
}

impl Follower {
    /// Nothing looked at yet.
    pub fn new(params: FollowParams) -> Self {
        Self {
            params,
            scanner: Scanner::default(),
            waiting: HashMap::new(),
            told: HashMap::new(),
            unreadable: HashMap::new(),
            untold: Vec::new(),
            full: None,
            listed_wall_ns: 0,
            is_waiting: false,
        }
    }

    /// Of what could not be read at the last look: how many, and one of them.
    pub fn trouble(&self) -> Option<(usize, String)> {
        let told = self.told.values().filter(|trouble| !trouble.is_wanted);
        let told = told.map(|trouble| (&trouble.path, &trouble.reason));
        let mut all = told.chain(&self.unreadable);
        let count = all.clone().count();
        let (path, reason) = all.next()?;
        Some((count, format!("{}: {reason}", path.display())))
    }

    /// Follows other places, or by other rules, from the next scan on.
    pub fn set_params(&mut self, params: FollowParams) {
        self.params = params;
        self.full = None;
        self.told.clear();
    }

    /// Looks at all places, or, where no directory has changed, at the files that may grow.
    pub fn scan(
        &mut self,
        state: &FeedState,
        decode: &mut dyn Decode,
        now: Instant,
        wall_ns: i64,
    ) -> Found {
        let is_old = self
            .full
            .is_none_or(|at| now.duration_since(at) >= LIST_EVERY);
        // A change within the step of the last listing shows in no time.
        let is_unsure = self.scanner.newest_change_ns() > self.listed_wall_ns - TIME_STEP_NS;
        let is_due =
            is_old || self.is_waiting || is_unsure || self.scanner.has_changed(&self.params);
        let mut found = Found::default();
        let mut seen = if is_due {
            self.listed_wall_ns = wall_ns;
            let known = if is_old {
                self.full = Some(now);
                None
            } else {
                Some(state)
            };
            let (seen, troubles) = self.scanner.list(&self.params, known);
            self.tell(troubles, &mut found);
            find_gone(state, &seen, &mut found);
            seen
        } else {
            growing(state)
        };
        seen.sort_by(|a, b| {
            a.path
                .as_os_str()
                .as_encoded_bytes()
                .cmp(b.path.as_os_str().as_encoded_bytes())
        });
        seen.dedup_by(|a, b| a.path == b.path);
        self.is_waiting = false;
        let mut takes = Vec::new();
        let mut inodes = HashSet::new();
        for seen in &seen {
            // A second name of the same file brings no new rows.
            let inode = (seen.stamp.device, seen.stamp.inode);
            if !inodes.insert(inode) {
                continue;
            }
            match self.judge(seen, state, decode, now) {
                Verdict::Known => {}
                Verdict::Refreshed(file, entry) => found.refreshed.push((file, entry)),
                Verdict::Changed(file, entry) => found.changed.push((file, entry)),
                Verdict::Wait => self.is_waiting = true,
                Verdict::Take(take, changed_ns) => takes.push((changed_ns, take)),
                Verdict::Refuse(entry, refusal) => found.refused.push((entry, refusal)),
            }
        }
        if is_due {
            let paths: HashSet<&Path> = seen.iter().map(|seen| seen.path.as_path()).collect();
            self.waiting
                .retain(|path, _| paths.contains(path.as_path()));
            self.unreadable
                .retain(|path, _| paths.contains(path.as_path()));
        }
        found.troubles.append(&mut self.untold);
        rotated(state, &mut takes, &mut found);
        if self.params.order == Order::Changed {
            takes.sort_by_key(|(changed_ns, _)| *changed_ns);
        }
        if takes.len() > TAKES_MAX {
            self.is_waiting = true;
            takes.truncate(TAKES_MAX);
        }
        found.takes = takes.into_iter().map(|(_, take)| take).collect();
        found.is_waiting = self.is_waiting;
        found
    }

    /// Troubles that were not told before.
    fn tell(&mut self, troubles: Vec<Trouble>, found: &mut Found) {
        let mut told = HashMap::new();
        for trouble in troubles {
            if self.told.get(&trouble.path) != Some(&trouble) {
                found.troubles.push(trouble.clone());
            }
            told.insert(trouble.path.clone(), trouble);
        }
        self.told = told;
    }

    fn judge(
        &mut self,
        seen: &Seen,
        state: &FeedState,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> Verdict {
        let known = state.files.by_inode(seen.stamp.device, seen.stamp.inode);
        let known = known.filter(|(_, entry)| entry.identity.stamp.is_same_inode(&seen.stamp));
        if let Some((file, entry)) = &known {
            let file = *file;
            let is_quiet = entry.identity.stamp == seen.stamp;
            if is_quiet && entry.state != FileState::Growing {
                self.waiting.remove(&seen.path);
                return if entry.path == seen.path {
                    Verdict::Known
                } else {
                    Verdict::Refreshed(file, refreshed(entry, seen))
                };
            }
            if state.reading.as_ref().is_some_and(|r| r.file == file) {
                return Verdict::Known;
            }
            return self.judge_known(seen, (file, entry), decode, now);
        }
        if state
            .reading
            .as_ref()
            .is_some_and(|r| r.segment.identity.stamp.is_same_inode(&seen.stamp))
        {
            return Verdict::Known;
        }
        self.judge_new(seen, None, decode, now)
            .unwrap_or_else(|error| self.unreadable(seen, now, &error))
    }

    /// A file of which something was taken, and that is not as it was.
    fn judge_known(
        &mut self,
        seen: &Seen,
        (file, entry): (u64, &FileEntry),
        decode: &mut dyn Decode,
        now: Instant,
    ) -> Verdict {
        let opened = open_quietly(&seen.path);
        let same = opened.and_then(|handle| entry.identity.is_prefix_of(&handle));
        let same = match same {
            Ok(same) => same,
            Err(error) => return self.unreadable(seen, now, &error),
        };
        let is_stream = entry.format == Some(Format::IpcStream);
        match (same, entry.state) {
            (true, FileState::Growing) => self
                .judge_new(seen, Some((file, entry)), decode, now)
                .unwrap_or_else(|error| self.unreadable(seen, now, &error)),
            // Only its time or name changed, or a stream that had ended goes on.
            (true, _) if is_stream || seen.stamp.bytes == entry.identity.bytes => {
                Verdict::Refreshed(file, refreshed(entry, seen))
            }
            // Nothing of it was taken: it may have been put right.
            (false, FileState::Quarantined) if entry.rows == 0 => self
                .judge_new(seen, Some((file, entry)), decode, now)
                .unwrap_or_else(|error| self.unreadable(seen, now, &error)),
            _ => Verdict::Changed(file, refreshed(entry, seen)),
        }
    }

    /// A file that is new, or of which more may have come.
    fn judge_new(
        &mut self,
        seen: &Seen,
        known: Option<(u64, &FileEntry)>,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> io::Result<Verdict> {
        let mut handle = open_quietly(&seen.path)?;
        let mut head = [0; 8];
        let filled = fill(&mut handle, &mut head)?;
        let Some(format) = magic(&head[..filled]) else {
            let what = if filled == 0 {
                "the file is empty".to_owned()
            } else {
                format!("it begins with \"{}\"", head[..filled].escape_ascii())
            };
            let reason = format!("neither Parquet nor Arrow IPC: {what}");
            let is_told = filled == head.len();
            return Ok(self.wait(seen, now, &reason, is_told.then_some(LOOKS_AT_REST)));
        };
        if format == Format::IpcStream {
            return self.judge_stream(seen, &handle, known, decode, now);
        }
        if !has_footer(&handle, format, seen.stamp.bytes)? {
            return Ok(self.wait(seen, now, "it has no footer", None));
        }
        let identity = Identity::of(&handle, seen.stamp.bytes)?;
        self.waiting.remove(&seen.path);
        let skip = known.map_or(0, |(_, entry)| entry.ahead);
        let segment = Segment {
            path: seen.path.clone(),
            format,
            identity,
            start: 0,
        };
        Ok(Verdict::Take(
            Take {
                file: known.map(|(file, _)| file),
                segment,
                skip,
                is_final: true,
            },
            seen.stamp.changed_ns,
        ))
    }

    fn judge_stream(
        &mut self,
        seen: &Seen,
        handle: &File,
        known: Option<(u64, &FileEntry)>,
        decode: &mut dyn Decode,
        now: Instant,
    ) -> io::Result<Verdict> {
        let start = known
            .filter(|(_, entry)| entry.format == Some(Format::IpcStream))
            .map_or(0, |(_, entry)| entry.identity.bytes);
        if let Some(waiting) = self.waiting.get(&seen.path)
            && waiting.stamp == seen.stamp
        {
            // Nothing came since its tail was found incomplete.
            return Ok(self.wait(seen, now, "its last message is incomplete", Some(u32::MAX)));
        }
        if known.is_some() && seen.stamp.bytes == start {
            return Ok(Verdict::Known);
        }
        let frames = match decode.frames(&seen.path) {
            Ok(frames) => frames,
            Err(refusal) if refusal.fault == Fault::File => {
                let entry = entry_of(seen, Some(Format::IpcStream), Some(handle), start);
                return Ok(Verdict::Refuse(entry, refusal));
            }
            Err(refusal) => return Ok(self.wait(seen, now, &refusal.reason, None)),
        };
        if frames.end <= start || !frames.has_schema {
            let why = "its last message is incomplete";
            return Ok(self.wait(seen, now, why, Some(u32::MAX)));
        }
        self.waiting.remove(&seen.path);
        let segment = Segment {
            path: seen.path.clone(),
            format: Format::IpcStream,
            identity: Identity::of(handle, frames.end)?,
            start,
        };
        Ok(Verdict::Take(
            Take {
                file: known.map(|(file, _)| file),
                segment,
                skip: known.map_or(0, |(_, entry)| entry.ahead),
                is_final: frames.is_ended,
            },
            seen.stamp.changed_ns,
        ))
    }
}

fn refreshed(entry: &FileEntry, seen: &Seen) -> FileEntry {
    let mut entry = entry.clone();
    entry.path.clone_from(&seen.path);
    entry.identity.stamp = seen.stamp.clone();
    entry
}

/// Whether the last bytes are those of a whole file.
fn has_footer(file: &File, format: Format, bytes: u64) -> io::Result<bool> {
    let (tail, least): (&[u8], u64) = match format {
        Format::Parquet => (b"PAR1", 12),
        _ => (b"ARROW1", 18),
    };
    if bytes < least {
        return Ok(false);
    }
    let mut last = [0; 6];
    let last = &mut last[..tail.len()];
    file.read_exact_at(last, bytes - tail.len() as u64)?;
    Ok(last == tail)
}

/// Files that may have grown, as they are now.
fn growing(state: &FeedState) -> Vec<Seen> {
    let growing = state.files.growing();
    growing
        .filter_map(|(_, entry)| {
            let meta = std::fs::metadata(&entry.path).ok()?;
            meta.is_file().then(|| Seen {
                path: entry.path,
                stamp: Stamp::of(&meta),
            })
        })
        .collect()
}

/// Files that are remembered and were not seen under any name.
fn find_gone(state: &FeedState, seen: &[Seen], found: &mut Found) {
    let inode = |stamp: &Stamp| (stamp.device, stamp.inode);
    let seen: HashSet<(u64, u64)> = seen.iter().map(|seen| inode(&seen.stamp)).collect();
    let gone = state.files.iter();
    let gone = gone.filter(|(_, entry)| !seen.contains(&inode(&entry.identity.stamp)));
    found.gone = gone.map(|(file, _)| file).collect();
}

/// Rotation by copy: a stream was emptied in its place, and a new file begins with what was taken of
/// it. The copy takes the stream's place, the emptied file is a new one.
fn rotated(state: &FeedState, takes: &mut [(i64, Take)], found: &mut Found) {
    found.changed.retain(|(file, now)| {
        let Some(old) = state.files.get(*file) else {
            return true;
        };
        if old.format != Some(Format::IpcStream) || now.identity.stamp.bytes >= old.identity.bytes {
            return true;
        }
        let copy = takes.iter_mut().find(|(_, take)| {
            take.file.is_none()
                && take.segment.format == Format::IpcStream
                && open_quietly(&take.segment.path)
                    .and_then(|file| old.identity.is_prefix_of(&file))
                    .unwrap_or(false)
        });
        let Some((_, copy)) = copy else {
            return true;
        };
        copy.file = Some(*file);
        copy.segment.start = old.identity.bytes;
        false
    });
}
