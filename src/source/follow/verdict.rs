//! Files of this moment against what was taken → whose turn it is, who waits, who is refused.

mod former;
mod judge;
mod rest;
mod wait;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::rest::Rest;
use self::wait::Waiting;
use super::scan::{Scanner, Seen, Trouble};
use super::state::{FeedState, FileEntry};
use super::{Connections, FollowParams, Order};
use crate::source::identity::{Stamp, open_quietly};
use crate::source::worker::{Decode, Refusal};
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
    /// Files that hold what was learned from one that is gone: as they are now, and where that one was.
    pub copies: Vec<(PathBuf, PathBuf)>,
    /// Files that cannot be taken at all.
    pub refused: Vec<(FileEntry, Refusal)>,
    /// Files that are not there any more.
    pub gone: Vec<u64>,
    /// Files that are no data and left out: how many by now and one of them, when there are more.
    pub left_out: Option<(usize, PathBuf)>,
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
    /// Files that are not looked at for a while, because the system refused to read them.
    resting: HashMap<PathBuf, Rest>,
    /// Streams that begin as another one does which is still there.
    twins: HashMap<PathBuf, (Stamp, u32)>,
    /// Files of the state that a file of this look was found to be: each can be one only.
    claimed: HashSet<u64>,
    /// Files that the last listing did not find, by the keys of their contents.
    missing: BTreeSet<(u64, u64)>,
    /// Whether somebody may be writing a file of this look that was taken before.
    is_unsettled: bool,
    /// Looks that a run which ends when nothing is left has waited for files to settle.
    patience: u32,
    /// Files that are no data, as they were when their first bytes said so.
    left_out: HashMap<PathBuf, Stamp>,
    /// How many of them somebody was told of.
    left_out_told: usize,
    /// When every file was looked at last.
    full: Option<Instant>,
    listed_wall_ns: i64,
    is_waiting: bool,
    /// Where streams are kept, and the connections that last: other files there grow no more.
    spool: Option<(PathBuf, Connections)>,
}

/// What is to be done about one file.
enum Verdict {
    Known,
    Refreshed(u64, FileEntry),
    /// What a file that is gone held; where that one was.
    Copy(u64, FileEntry, PathBuf),
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
            resting: HashMap::new(),
            twins: HashMap::new(),
            claimed: HashSet::new(),
            missing: BTreeSet::new(),
            is_unsettled: false,
            patience: 0,
            left_out: HashMap::new(),
            left_out_told: 0,
            full: None,
            listed_wall_ns: 0,
            is_waiting: false,
            spool: None,
        }
    }

    /// Nothing below `directory` grows any more but the files of `connections`, as of before the next
    /// scan.
    pub fn set_connections(&mut self, directory: PathBuf, connections: Connections) {
        self.spool = Some((directory, connections));
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
            let (mut seen, troubles) = self.scanner.list(&self.params, known);
            self.tell(troubles, &mut found);
            find_gone(state, &seen, &mut found);
            self.missing = keys_of(state, &found.gone);
            self.look_at_waiting(&mut seen);
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
        self.is_unsettled = false;
        self.claimed.clear();
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
                Verdict::Copy(file, entry, before) => {
                    found.copies.push((entry.path.clone(), before));
                    found.refreshed.push((file, entry));
                }
                Verdict::Changed(file, entry) => found.changed.push((file, entry)),
                Verdict::Wait => self.is_waiting = true,
                Verdict::Take(take, changed_ns) => takes.push((changed_ns, take)),
                Verdict::Refuse(entry, refusal) => found.refused.push((entry, refusal)),
            }
        }
        if is_due {
            self.forget(&seen);
        }
        found.left_out = self.tell_left_out();
        found.troubles.append(&mut self.untold);
        // What was emptied in its place goes on under another name: the place holds a new file.
        let claimed = &self.claimed;
        found.changed.retain(|(file, _)| !claimed.contains(file));
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

    /// Files that somebody may be writing are not believed by their names.
    fn look_at_waiting(&self, seen: &mut [Seen]) {
        for seen in seen {
            if self.waiting.contains_key(&seen.path)
                && let Ok(meta) = std::fs::metadata(&seen.path)
            {
                seen.stamp = Stamp::of(&meta);
            }
        }
    }

    /// Forgets what was remembered of files that a listing of all of them did not find.
    fn forget(&mut self, seen: &[Seen]) {
        let paths: HashSet<&Path> = seen.iter().map(|seen| seen.path.as_path()).collect();
        self.waiting
            .retain(|path, _| paths.contains(path.as_path()));
        self.unreadable
            .retain(|path, _| paths.contains(path.as_path()));
        self.resting
            .retain(|path, _| paths.contains(path.as_path()));
        self.twins.retain(|path, _| paths.contains(path.as_path()));
        self.left_out
            .retain(|path, _| paths.contains(path.as_path()));
    }

    /// How many files are left out, when there are more than were told of.
    fn tell_left_out(&mut self) -> Option<(usize, PathBuf)> {
        let before = std::mem::replace(&mut self.left_out_told, self.left_out.len());
        let example = self
            .left_out
            .keys()
            .min()
            .filter(|_| self.left_out.len() > before)?;
        Some((self.left_out.len(), example.clone()))
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
}

fn refreshed(entry: &FileEntry, seen: &Seen) -> FileEntry {
    let mut entry = entry.clone();
    entry.path.clone_from(&seen.path);
    entry.identity.stamp = seen.stamp.clone();
    entry
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
                is_named: false,
            })
        })
        .collect()
}

/// Files that are remembered and were not seen: neither their inodes, nor their paths, but where
/// another file has taken the place.
fn find_gone(state: &FeedState, seen: &[Seen], found: &mut Found) {
    let inode = |stamp: &Stamp| (stamp.device, stamp.inode);
    let inodes: HashSet<(u64, u64)> = seen.iter().map(|seen| inode(&seen.stamp)).collect();
    let paths: HashSet<&Path> = seen.iter().map(|seen| seen.path.as_path()).collect();
    let gone = state.files.iter().filter(|(file, entry)| {
        !inodes.contains(&inode(&entry.identity.stamp))
            && (!paths.contains(entry.path.as_path())
                || state.files.by_path(&entry.path).map(|(at, _)| at) != Some(*file))
    });
    found.gone = gone.map(|(file, _)| file).collect();
}

/// The keys of the contents of files, and the files.
fn keys_of(state: &FeedState, files: &[u64]) -> BTreeSet<(u64, u64)> {
    let keys = files.iter().filter_map(|file| {
        let key = state.files.get(*file)?.key()?;
        Some((key, *file))
    });
    keys.collect()
}

/// Rotation by copy: a stream was emptied in its place, whatever it holds by now, and a new file begins
/// with what was taken of it. The copy takes the stream's place, the emptied file is a new one.
fn rotated(state: &FeedState, takes: &mut [(i64, Take)], found: &mut Found) {
    found.changed.retain(|(file, _)| {
        let Some(old) = state.files.get(*file) else {
            return true;
        };
        if !old.is_stream() {
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
        copy.segment.start = old.start();
        copy.skip = old.ahead;
        false
    });
}

#[cfg(test)]
mod tests;
