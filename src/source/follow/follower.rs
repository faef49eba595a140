//! Compares the current files with what was taken → which are next, which wait, which are refused.

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
use super::scan::{ScannedFile, Scanner, Trouble};
use super::spool::Connections;
use super::state::IngestState;
use super::watch::Wake;
use crate::source::fingerprint::{FileMeta, open_quietly};
use crate::source::worker::{Decode, Refusal};
use crate::source::{Format, Segment};

/// Most files per scan: their decisions are written at once.
const SEGMENTS_MAX: usize = 4096;

/// Number of scans that find a file unchanged, after which it counts as no longer being written.
const LOOKS_AT_REST: u32 = 2;

/// A segment whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextSegment {
    /// Number of the file; `None` for a new file.
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
pub struct ScanResult {
    /// In the order of their turns.
    pub next_segments: Vec<NextSegment>,
    /// Files under another name, or touched.
    pub refreshed: Vec<(u64, FileEntry)>,
    /// Files whose consumed part changed, by number, as they are now.
    pub changed: Vec<(u64, FileEntry)>,
    /// Files with the content of a learned file that is gone: their path, and that of the former
    /// one.
    pub copies: Vec<(PathBuf, PathBuf)>,
    /// Files that cannot be taken at all.
    pub refused: Vec<(FileEntry, Refusal)>,
    /// Files that were replaced or removed before their turn: their content is lost.
    pub lost: Vec<PathBuf>,
    /// Files left out because they are not data: the number so far and an example, if there are new
    /// ones.
    pub left_out: Option<(usize, PathBuf)>,
    /// Errors during the scan, each reported once.
    pub troubles: Vec<Trouble>,
}

/// Scans places repeatedly.
#[derive(Debug)]
pub struct Follower {
    params: FollowParams,
    scanner: Scanner,
    waiting: HashMap<PathBuf, Waiting>,
    told: HashMap<PathBuf, Trouble>,
    /// Files that the system refuses to read, and why.
    unreadable: HashMap<PathBuf, String>,
    /// Those not reported yet.
    untold: Vec<Trouble>,
    /// Files left alone for a while because the system refused to read them.
    resting: HashMap<PathBuf, Rest>,
    /// Streams with the same beginning as another existing one.
    twins: HashMap<PathBuf, (FileMeta, u32)>,
    /// Files of the state matched by a file of this scan: each can match only once.
    claimed: HashSet<u64>,
    /// Files missing from their paths, and those with a key by key.
    gone: BTreeSet<u64>,
    missing: BTreeSet<(u64, u64)>,
    /// True if a file that was taken before may be being written now.
    is_unsettled: bool,
    /// Scans during which a run that ends when nothing is left has waited for files to settle.
    patience: u32,
    /// Files that are not data, with their metadata when that was found.
    left_out: HashMap<PathBuf, FileMeta>,
    /// How many of them were reported.
    left_out_told: usize,
    /// Files seen that wait for the next scans, in order.
    backlog: VecDeque<ScannedFile>,
    /// Names of files that wait for something: every scan checks them.
    awaited: HashSet<PathBuf>,
    /// Contents that are being looked for because their turn had come.
    sought: Vec<Sought>,
    /// When everything was last listed, and how long that took.
    full: Option<(Instant, Duration)>,
    /// True if that found more files than one scan accepts.
    is_cut: bool,
    /// When all directories were last checked.
    slow: Option<Instant>,
    /// The first file whose metadata the next listing checks even though it seems unchanged.
    check_from: Option<Slot>,
    /// The moment of the last look.
    looked: Option<Instant>,
    /// Directory where streams are stored, and the open connections: other files there no longer
    /// grow.
    spool: Option<(PathBuf, Connections)>,
}

/// FileStatus on one file.
enum FileStatus {
    Known,
    Refreshed(u64, FileEntry),
    /// It has the content of a file that is gone, which was at this path.
    Copy(u64, FileEntry, PathBuf),
    Changed(u64, FileEntry),
    Wait,
    NextSegment(NextSegment),
    Refuse(FileEntry, Refusal),
}

/// Result of the scan so far.
#[derive(Default)]
struct Judged {
    next_segments: Vec<NextSegment>,
    inodes: HashSet<(u64, u64)>,
}

impl Follower {
    /// A status that has scanned nothing yet.
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

    /// Subscribes to changes in directories, and calls `wake` for each; without this, changes that
    /// do not show in directory times are found only by listing.
    ///
    /// # Errors
    /// If the system has no notification.
    pub fn listen(&mut self, wake: Wake) -> io::Result<()> {
        self.scanner.listen(wake)
    }

    /// Collects events, so that a long time between two scans loses none.
    pub fn hear(&mut self) {
        self.scanner.hear();
    }

    /// True if a file was missing when its place was last scanned.
    pub fn is_missing(&self, file: u64) -> bool {
        self.gone.contains(&file)
    }

    /// Vanished files beyond the `most` latest: they need not be remembered.
    pub fn gone_beyond(&mut self, most: usize) -> Vec<u64> {
        let mut beyond = Vec::new();
        while self.gone.len() > most {
            beyond.extend(self.gone.pop_first());
        }
        beyond
    }

    /// Declares that below `directory` only the files of `connections` still grow, as of just
    /// before the next scan.
    pub fn set_connections(&mut self, directory: PathBuf, connections: Connections) {
        self.spool = Some((directory, connections));
    }

    /// The number of files that could not be read at the last scan, and an example.
    pub fn trouble(&self) -> Option<(usize, String)> {
        let told = self.told.values().filter(|trouble| !trouble.is_wanted);
        let told = told.map(|trouble| (&trouble.path, &trouble.reason));
        let mut all = told.chain(&self.unreadable);
        let count = all.clone().count();
        let (path, reason) = all.next()?;
        Some((count, format!("{}: {reason}", path.display())))
    }

    /// Changes places or rules from the next scan on.
    pub fn set_params(&mut self, params: FollowParams) {
        self.params = params;
        self.full = None;
        self.backlog.clear();
        self.told.clear();
    }

    /// Scans everything that may have changed: unknown names now and then, and names with news.
    pub fn scan(
        &mut self,
        state: &IngestState,
        decode: &mut dyn Decode,
        now: Instant,
        wall_ns: i64,
    ) -> ScanResult {
        let mut found = ScanResult::default();
        self.looked = Some(now);
        let (mut seen, is_full) = self.see(state, now, wall_ns, &mut found);
        self.sort(&mut seen);
        if is_full {
            self.backlog = std::mem::take(&mut seen).into();
        }
        self.is_unsettled = false;
        self.claimed.clear();
        let mut judged = Judged::default();
        while judged.next_segments.len() < SEGMENTS_MAX
            && let Some(next) = self.backlog.pop_front()
        {
            let next = if is_full { Some(next) } else { next.now() };
            if let Some(next) = next {
                self.judge_one(&next, state, (&mut *decode, now), &mut judged, &mut found);
            }
        }
        for next in seen {
            if judged.next_segments.len() < SEGMENTS_MAX {
                self.judge_one(&next, state, (&mut *decode, now), &mut judged, &mut found);
            } else {
                self.backlog.push_back(next);
            }
        }
        let next_segments = &mut judged.next_segments;
        found.left_out = self.tell_left_out();
        found.troubles.append(&mut self.untold);
        // What was emptied in its place goes on under another name: the place holds a new file.
        let (claimed, awaited) = (&self.claimed, &mut self.awaited);
        found.changed.retain(|(file, entry)| {
            let is_elsewhere = claimed.contains(file) || rotated(state, next_segments, *file);
            if is_elsewhere {
                awaited.insert(entry.path.clone());
            }
            !is_elsewhere
        });
        self.await_copies(state, &mut found);
        self.seek(state, next_segments, is_full, &mut found);
        found.next_segments = std::mem::take(next_segments);
        found
    }

    /// Puts files in the order of their turns.
    fn sort(&self, seen: &mut Vec<ScannedFile>) {
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
        seen: &ScannedFile,
        state: &IngestState,
        (decode, now): (&mut dyn Decode, Instant),
        judged: &mut Judged,
        found: &mut ScanResult,
    ) {
        // A second name of the same file brings no new rows.
        let inode = (seen.meta.device, seen.meta.inode);
        if !judged.inodes.insert(inode) {
            return;
        }
        match self.judge(seen, state, decode, now) {
            FileStatus::Known => {}
            FileStatus::Refreshed(file, entry) => {
                self.came_back(file, &entry);
                found.refreshed.push((file, entry));
            }
            FileStatus::Copy(file, entry, before) => {
                self.came_back(file, &entry);
                found.copies.push((entry.path.clone(), before));
                found.refreshed.push((file, entry));
            }
            FileStatus::Changed(file, entry) => found.changed.push((file, entry)),
            FileStatus::Wait => {
                self.awaited.insert(seen.path.clone());
            }
            FileStatus::NextSegment(next) => {
                if next.file.is_none() {
                    self.replaced(seen, state);
                }
                judged.next_segments.push(next);
            }
            FileStatus::Refuse(entry, refusal) => found.refused.push((entry, refusal)),
        }
    }

    /// The number of files left out, if there are more than were reported.
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

fn refreshed(entry: &FileEntry, seen: &ScannedFile) -> FileEntry {
    let mut entry = entry.clone();
    entry.path.clone_from(&seen.path);
    entry.fingerprint.meta = seen.meta.clone();
    entry
}

/// Handles rotation by copy: a stream was truncated in place, whatever it holds now, and a new file
/// begins with what was taken of it. The copy takes the stream's place; returns whether there is
/// one.
fn rotated(state: &IngestState, next_segments: &mut [NextSegment], file: u64) -> bool {
    let Some(old) = state.files.get(file).filter(FileEntry::is_stream) else {
        return false;
    };
    let copy = next_segments.iter_mut().find(|next| {
        next.file.is_none()
            && next.segment.format == Format::IpcStream
            && open_quietly(&next.segment.path)
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
