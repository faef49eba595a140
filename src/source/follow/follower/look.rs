//! What a scan covers: everything now and then, and in between what was reported as changed.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Follower, ScanResult};
use crate::source::fingerprint::FileMeta;
use crate::source::follow::entry::{FileEntry, FileState};
use crate::source::follow::files::{FileTable, Slot};
use crate::source::follow::scan::{Believed, Listing, ScannedFile, Trouble};
use crate::source::follow::state::IngestState;
use crate::source::walk;

/// Everything is listed at least this often, whatever was reported: notification is only a hint.
const LIST_EVERY: Duration = Duration::from_mins(1);
/// A listing of everything without a specific reason may take 1/this of the time.
const LIST_SHARE: u32 = 100;
/// All directories are checked this often.
const FOLDERS_EVERY: Duration = Duration::from_secs(1);
/// Files whose metadata a listing checks even though names and inodes are unchanged. If there are
/// more files, the next listings check the others, so that a file changed in place on a disk
/// without notification is found eventually.
const CHECKED_MAX: Slot = 50_000;

impl ScannedFile {
    /// The file as it is now, if it is there.
    pub(super) fn now(self) -> Option<Self> {
        let meta = fs::metadata(&self.path).ok()?;
        meta.is_file().then(|| Self {
            meta: FileMeta::of(&meta),
            ..self
        })
    }
}

impl Follower {
    /// Files that may have changed, and whether everything was listed.
    pub(super) fn see(
        &mut self,
        state: &IngestState,
        now: Instant,
        wall_ns: i64,
        found: &mut ScanResult,
    ) -> (Vec<ScannedFile>, bool) {
        let mut news = self.scanner.news();
        let is_due = self
            .full
            .is_none_or(|(at, cost)| now.duration_since(at) >= LIST_EVERY.max(LIST_SHARE * cost));
        // The last listing stopped at its limit of files; the rest is listed once these are done.
        let is_due = is_due || (self.is_cut && self.backlog.is_empty());
        if !is_due && !news.is_lost {
            let slow = self.slow;
            let is_slow = slow.is_none_or(|at| now.duration_since(at) >= FOLDERS_EVERY);
            if is_slow {
                self.slow = Some(now);
            }
            self.scanner.changed(&mut news, is_slow);
        }
        if !is_due && !news.is_lost {
            let mut names = news.names;
            names.extend(self.awaited.iter().cloned());
            let asked = (names, news.folders);
            if let Some(seen) = self.see_some(asked, state, wall_ns, found) {
                return (seen, false);
            }
        }
        (self.see_all(state, now, wall_ns, found), true)
    }

    /// Lists everything.
    fn see_all(
        &mut self,
        state: &IngestState,
        now: Instant,
        wall_ns: i64,
        found: &mut ScanResult,
    ) -> Vec<ScannedFile> {
        let began = Instant::now();
        let files = &state.files;
        let from = self.check_from.unwrap_or_else(|| {
            // The latest ones first: they are the likeliest to be written still.
            files.slots().saturating_sub(CHECKED_MAX)
        });
        let awaited = &self.awaited;
        let mut believed = Believed {
            files,
            checked: from..from.saturating_add(CHECKED_MAX),
            awaited: &|path| awaited.contains(path),
            marks: vec![false; files.slots() as usize],
        };
        let listing = self.scanner.list(&self.params, &mut believed, wall_ns);
        let mut marks = believed.marks;
        let to = from.saturating_add(CHECKED_MAX);
        self.check_from = Some(if to < files.slots() { to } else { 0 });
        let Listing {
            mut seen,
            troubles,
            is_cut,
            ..
        } = listing;
        let mut told = std::collections::HashMap::new();
        for trouble in troubles {
            if self.told.get(&trouble.path) != Some(&trouble) {
                found.troubles.push(trouble.clone());
            }
            told.insert(trouble.path.clone(), trouble);
        }
        self.told = told;
        // A file whose name is believed has no need of another one.
        let is_other = |seen: &ScannedFile| {
            let slot = files.slot_of(seen.meta.device, seen.meta.inode);
            slot.is_none_or(|slot| !marks[slot as usize])
        };
        seen.retain(is_other);
        walk::once(&mut seen);
        for seen in &seen {
            let slots = [
                files.slot_of(seen.meta.device, seen.meta.inode),
                files.slot_at(&seen.path),
            ];
            for slot in slots.into_iter().flatten() {
                marks[slot as usize] = true;
            }
        }
        self.find_gone(files, &marks);
        self.forget(&seen);
        self.awaited.clear();
        self.is_cut = is_cut;
        self.full = Some((now, began.elapsed()));
        self.slow = Some(now);
        seen
    }

    /// The current state of these names and directories; `None` if everything must be listed.
    fn see_some(
        &mut self,
        asked: (BTreeSet<PathBuf>, BTreeSet<PathBuf>),
        state: &IngestState,
        wall_ns: i64,
        found: &mut ScanResult,
    ) -> Option<Vec<ScannedFile>> {
        let files = &state.files;
        let awaited = &self.awaited;
        // A small number of files is checked completely every time; a large number only by full
        // listings, in turns.
        let checked = if files.slots() <= CHECKED_MAX {
            0..Slot::MAX
        } else {
            0..0
        };
        let mut believed = Believed {
            files,
            checked,
            awaited: &|path| awaited.contains(path),
            marks: Vec::new(),
        };
        let mut looked_at = HashSet::new();
        if !self.told.is_empty() {
            let places = &self.params.places;
            looked_at.extend(asked.0.iter().chain(&asked.1).chain(places).cloned());
        }
        let listing = self
            .scanner
            .look(&self.params, &mut believed, asked, wall_ns)?;
        self.awaited.clear();
        let troubles = &listing.troubles;
        self.told
            .retain(|path, told| !looked_at.contains(path) || troubles.contains(told));
        for trouble in listing.troubles {
            self.tell(trouble, found);
        }
        for path in listing.vanished {
            self.vanished(&path, files);
        }
        let mut seen = listing.seen;
        // Streams that grow are looked at every time: an append changes no directory, and may go
        // unheard.
        seen.extend(growing(state));
        walk::once(&mut seen);
        // A link beside a file that is known brings nothing.
        seen.retain(|seen| {
            let known = files.by_inode(seen.meta.device, seen.meta.inode);
            !seen.is_link
                || known.is_none_or(|(_, entry)| entry.path == seen.path || !is_at(&entry))
        });
        Some(seen)
    }

    /// Reports a problem that was not reported before.
    fn tell(&mut self, trouble: Trouble, found: &mut ScanResult) {
        if self.told.get(&trouble.path) != Some(&trouble) {
            found.troubles.push(trouble.clone());
            self.told.insert(trouble.path.clone(), trouble);
        }
    }

    /// Notes which of all files are missing from their paths.
    fn find_gone(&mut self, files: &FileTable, marks: &[bool]) {
        let gone: BTreeSet<u64> = files.unmarked(marks).collect();
        self.missing.retain(|(_, file)| gone.contains(file));
        for file in gone.difference(&self.gone) {
            if let Some(key) = files.get(*file).and_then(|entry| entry.key()) {
                self.missing.insert((key, *file));
            }
        }
        self.gone = gone;
    }

    /// Notes that nothing is at this name any more.
    fn vanished(&mut self, path: &Path, files: &FileTable) {
        if let Some((file, entry)) = files.by_path(path) {
            self.went(file, &entry);
        }
        self.waiting.remove(path);
        self.unreadable.remove(path);
        self.resting.remove(path);
        self.twins.remove(path);
        self.left_out.remove(path);
    }

    /// Notes that a new file is at this name: the former one is gone, unless it is found elsewhere.
    pub(super) fn replaced(&mut self, seen: &ScannedFile, state: &IngestState) {
        if let Some((file, entry)) = state.files.by_path(&seen.path)
            && !self.claimed.contains(&file)
        {
            self.went(file, &entry);
        }
    }

    fn went(&mut self, file: u64, entry: &FileEntry) {
        self.gone.insert(file);
        if let Some(key) = entry.key() {
            self.missing.insert((key, file));
        }
    }

    /// Notes that a file is where this entry says.
    pub(super) fn came_back(&mut self, file: u64, entry: &FileEntry) {
        if self.gone.remove(&file)
            && let Some(key) = entry.key()
        {
            self.missing.remove(&(key, file));
        }
    }

    /// Forgets what was remembered of files that a listing of all of them did not find.
    fn forget(&mut self, seen: &[ScannedFile]) {
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

    /// While files wait for the next scans, the copy of a truncated stream may be among them, so
    /// nothing is refused yet.
    pub(super) fn await_copies(&mut self, state: &IngestState, found: &mut ScanResult) {
        if self.backlog.is_empty() {
            return;
        }
        let awaited = &mut self.awaited;
        found.changed.retain(|(file, entry)| {
            let is_stream = state.files.get(*file).is_some_and(|old| old.is_stream());
            if is_stream {
                awaited.insert(entry.path.clone());
            }
            !is_stream
        });
    }
}

/// True if the file is at its name.
fn is_at(entry: &FileEntry) -> bool {
    let then = &entry.fingerprint.meta;
    fs::symlink_metadata(&entry.path).is_ok_and(|meta| FileMeta::of(&meta).is_same_inode(then))
}

/// Files that may have grown, as they are now.
fn growing(state: &IngestState) -> Vec<ScannedFile> {
    let growing = state.files.growing();
    growing
        .filter_map(|(_, entry)| {
            debug_assert_eq!(entry.state, FileState::Growing);
            let seen = ScannedFile {
                path: entry.path,
                meta: FileMeta::default(),
                is_named: false,
                is_link: false,
            };
            seen.now()
        })
        .collect()
}
