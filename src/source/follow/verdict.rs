//! Files of this moment against what was taken → whose turn it is, who waits, who is refused.

mod former;
mod judge;
mod look;
mod rest;
mod sought;
mod wait;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::rest::Rest;
use self::sought::Sought;
use self::wait::Waiting;
use super::entry::FileEntry;
use super::files::Slot;
use super::params::{FollowParams, Order};
use super::scan::{Scanner, Seen, Trouble};
use super::spool::Connections;
use super::state::FeedState;
use super::watch::Wake;
use crate::source::fingerprint::{FileMeta, open_quietly};
use crate::source::worker::{Decode, Refusal};
use crate::source::{Format, Segment};

/// Files that one scan gives: their decisions are written in one go.
const TAKES_MAX: usize = 4096;

/// Looks at the same file in the same state after which it counts as not being written.
const LOOKS_AT_REST: u32 = 2;

/// A segment whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Number of the file; `None` for one that is new.
    pub file: Option<u64>,
    /// The rows.
    pub segment: Segment,
    /// Rows of the segment that were taken before.
    pub skip: u64,
    /// True if nothing follows it in its file.
    pub is_final: bool,
}

/// Result of a scan.
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
    /// Files whose turn had come and that were replaced or removed before it: what they held cannot be
    /// had any more.
    pub lost: Vec<PathBuf>,
    /// Files that are no data and left out: how many by now and one of them, when there are more.
    pub left_out: Option<(usize, PathBuf)>,
    /// Errors on the way, each told once.
    pub troubles: Vec<Trouble>,
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
    twins: HashMap<PathBuf, (FileMeta, u32)>,
    /// Files of the state that a file of this look was found to be: each can be one only.
    claimed: HashSet<u64>,
    /// Files that are not where they were, and those of them that have a key by their keys.
    gone: BTreeSet<u64>,
    missing: BTreeSet<(u64, u64)>,
    /// True if somebody may be writing a file of this look that was taken before.
    is_unsettled: bool,
    /// Looks that a run which ends when nothing is left has waited for files to settle.
    patience: u32,
    /// Files that are no data, as they were when their first bytes said so.
    left_out: HashMap<PathBuf, FileMeta>,
    /// How many of them somebody was told of.
    left_out_told: usize,
    /// Files that were seen and wait for the looks to come, in the order of their turns.
    backlog: VecDeque<Seen>,
    /// Names of files that wait for something: each look looks at them.
    awaited: HashSet<PathBuf>,
    /// Contents whose turn had come and that are looked for.
    sought: Vec<Sought>,
    /// When everything was listed last, and how long that took.
    full: Option<(Instant, Duration)>,
    /// True if that found more files than one look takes in.
    is_cut: bool,
    /// When all directories were looked at last.
    slow: Option<Instant>,
    /// The first file whose metadata the next listing looks at though its name says that it is as it was.
    check_from: Option<Slot>,
    /// The moment of the last look.
    looked: Option<Instant>,
    /// Directory where streams are kept, and the connections that last: other files there grow no more.
    spool: Option<(PathBuf, Connections)>,
}

/// Verdict on one file.
enum Verdict {
    Known,
    Refreshed(u64, FileEntry),
    /// What a file that is gone held; where that one was.
    Copy(u64, FileEntry, PathBuf),
    Changed(u64, FileEntry),
    Wait,
    Take(Take),
    Refuse(FileEntry, Refusal),
}

/// Result of a look so far.
#[derive(Default)]
struct Judged {
    takes: Vec<Take>,
    inodes: HashSet<(u64, u64)>,
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
            gone: BTreeSet::new(),
            missing: BTreeSet::new(),
            is_unsettled: false,
            patience: 0,
            left_out: HashMap::new(),
            left_out_told: 0,
            backlog: VecDeque::new(),
            awaited: HashSet::new(),
            sought: Vec::new(),
            full: None,
            is_cut: false,
            slow: None,
            check_from: None,
            looked: None,
            spool: None,
        }
    }

    /// Listens to what happens in directories, and calls `wake` for it; without, all that is not in
    /// their times of change is found by listing them.
    ///
    /// # Errors
    /// If the system has no notification.
    pub fn listen(&mut self, wake: Wake) -> io::Result<()> {
        self.scanner.listen(wake)
    }

    /// Hears what happened since, so that a long time between two looks loses nothing.
    pub fn hear(&mut self) {
        self.scanner.hear();
    }

    /// True if a file was not where it was when its place was looked at last.
    pub fn is_missing(&self, file: u64) -> bool {
        self.gone.contains(&file)
    }

    /// Files that are gone beyond the `most` latest: they need not be remembered.
    pub fn gone_beyond(&mut self, most: usize) -> Vec<u64> {
        let mut beyond = Vec::new();
        while self.gone.len() > most {
            beyond.extend(self.gone.pop_first());
        }
        beyond
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
        self.backlog.clear();
        self.told.clear();
    }

    /// Looks at what may not be as it was: all names that are not known, now and then, and those of
    /// which something was heard.
    pub fn scan(
        &mut self,
        state: &FeedState,
        decode: &mut dyn Decode,
        now: Instant,
        wall_ns: i64,
    ) -> Found {
        let mut found = Found::default();
        self.looked = Some(now);
        let (mut seen, is_full) = self.see(state, now, wall_ns, &mut found);
        self.sort(&mut seen);
        if is_full {
            self.backlog = std::mem::take(&mut seen).into();
        }
        self.is_unsettled = false;
        self.claimed.clear();
        let mut judged = Judged::default();
        while judged.takes.len() < TAKES_MAX
            && let Some(next) = self.backlog.pop_front()
        {
            let next = if is_full { Some(next) } else { next.now() };
            if let Some(next) = next {
                self.judge_one(&next, state, (&mut *decode, now), &mut judged, &mut found);
            }
        }
        for next in seen {
            if judged.takes.len() < TAKES_MAX {
                self.judge_one(&next, state, (&mut *decode, now), &mut judged, &mut found);
            } else {
                self.backlog.push_back(next);
            }
        }
        let takes = &mut judged.takes;
        found.left_out = self.tell_left_out();
        found.troubles.append(&mut self.untold);
        // What was emptied in its place goes on under another name: the place holds a new file.
        let (claimed, awaited) = (&self.claimed, &mut self.awaited);
        found.changed.retain(|(file, entry)| {
            let is_elsewhere = claimed.contains(file) || rotated(state, takes, *file);
            if is_elsewhere {
                awaited.insert(entry.path.clone());
            }
            !is_elsewhere
        });
        self.await_copies(state, &mut found);
        self.seek(state, takes, is_full, &mut found);
        found.takes = std::mem::take(takes);
        found
    }

    /// Puts files in the order of their turns.
    fn sort(&self, seen: &mut Vec<Seen>) {
        let is_changed = self.params.order == Order::Changed;
        seen.sort_by(|a, b| {
            let times = is_changed.then(|| a.meta.changed_ns.cmp(&b.meta.changed_ns));
            let names = || {
                let (a, b) = (a.path.as_os_str(), b.path.as_os_str());
                a.as_encoded_bytes().cmp(b.as_encoded_bytes())
            };
            times.map_or_else(names, |times| times.then_with(names))
        });
        seen.dedup_by(|a, b| a.path == b.path);
    }

    fn judge_one(
        &mut self,
        seen: &Seen,
        state: &FeedState,
        (decode, now): (&mut dyn Decode, Instant),
        judged: &mut Judged,
        found: &mut Found,
    ) {
        // A second name of the same file brings no new rows.
        let inode = (seen.meta.device, seen.meta.inode);
        if !judged.inodes.insert(inode) {
            return;
        }
        match self.judge(seen, state, decode, now) {
            Verdict::Known => {}
            Verdict::Refreshed(file, entry) => {
                self.came_back(file, &entry);
                found.refreshed.push((file, entry));
            }
            Verdict::Copy(file, entry, before) => {
                self.came_back(file, &entry);
                found.copies.push((entry.path.clone(), before));
                found.refreshed.push((file, entry));
            }
            Verdict::Changed(file, entry) => found.changed.push((file, entry)),
            Verdict::Wait => {
                self.awaited.insert(seen.path.clone());
            }
            Verdict::Take(take) => {
                if take.file.is_none() {
                    self.replaced(seen, state);
                }
                judged.takes.push(take);
            }
            Verdict::Refuse(entry, refusal) => found.refused.push((entry, refusal)),
        }
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
}

fn refreshed(entry: &FileEntry, seen: &Seen) -> FileEntry {
    let mut entry = entry.clone();
    entry.path.clone_from(&seen.path);
    entry.fingerprint.meta = seen.meta.clone();
    entry
}

/// Rotation by copy: a stream was emptied in its place, whatever it holds by now, and a new file
/// begins with what was taken of it. The copy takes the stream's place; returns whether there is
/// one.
fn rotated(state: &FeedState, takes: &mut [Take], file: u64) -> bool {
    let Some(old) = state.files.get(file).filter(FileEntry::is_stream) else {
        return false;
    };
    let copy = takes.iter_mut().find(|take| {
        take.file.is_none()
            && take.segment.format == Format::IpcStream
            && open_quietly(&take.segment.path)
                .and_then(|file| old.fingerprint.is_prefix_of(&file))
                .unwrap_or(false)
    });
    let Some(copy) = copy else {
        return false;
    };
    copy.file = Some(file);
    copy.segment.start = old.start();
    copy.skip = old.ahead;
    true
}

#[cfg(test)]
mod tests;
