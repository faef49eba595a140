//! Directories and globs → the regular files in them that may have changed.
//!
//! Everything is listed now and then; in between, only directories without change notification, and
//! names with news.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir};

use super::files::{FileTable, Slot};
use super::params::FollowParams;
use super::watch::{News, Wake, Watch};
use crate::source::fingerprint::FileMeta;
use crate::source::place::Place;
use crate::source::table::Table;
use crate::source::walk::{FILES_MAX, Folder, Inode, Named, Target, Walk, is_left_out};

/// Bytes of names read from the system at once.
const LISTED_BYTES: usize = 1 << 16;

/// Some file systems record directory times in steps of up to two seconds.
const TIME_STEP_NS: i64 = 2_000_000_000;

/// A regular file as seen now.
#[derive(Clone, Debug)]
pub struct ScannedFile {
    /// Where.
    pub path: PathBuf,
    /// Which.
    pub meta: FileMeta,
    /// True if it was named explicitly as a place: then it must be data.
    pub is_named: bool,
    /// True if the name is a symbolic link.
    pub is_link: bool,
}

impl Named for ScannedFile {
    fn name(&self) -> (bool, &[u8]) {
        (self.is_link, self.path.as_os_str().as_bytes())
    }

    fn inode(&self) -> Inode {
        (self.meta.device, self.meta.inode)
    }
}

/// A file or directory that a scan could not process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
    /// True if the configuration excludes it: then nothing is wrong.
    pub is_wanted: bool,
}

/// Result of a listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files that may have changed.
    pub seen: Vec<ScannedFile>,
    /// Errors on the way.
    pub troubles: Vec<Trouble>,
    /// Requested names that do not exist.
    pub vanished: Vec<PathBuf>,
    /// True if there were more files than one scan accepts.
    pub is_cut: bool,
}

/// Files assumed unchanged because their names still lead to the same inodes.
pub(super) struct Believed<'a> {
    pub files: &'a FileTable,
    /// Those whose metadata is checked anyway.
    pub checked: Range<Slot>,
    /// Names being waited for: all of them are checked.
    pub awaited: &'a dyn Fn(&Path) -> bool,
    /// Files seen at their known paths, by slot in the table.
    pub marks: Vec<bool>,
}

impl Believed<'_> {
    fn is_as_it_was(&mut self, path: &Path, inode: u64) -> bool {
        let Some(slot) = self.files.done_at(path, inode) else {
            return false;
        };
        if (self.awaited)(path) {
            return false;
        }
        if self.checked.contains(&slot) {
            let now = fs::symlink_metadata(path).map(|meta| FileMeta::of(&meta));
            let then = self.files.meta_in(slot);
            if then.is_none() || now.ok() != then {
                return false;
            }
        }
        if let Some(mark) = self.marks.get_mut(slot as usize) {
            *mark = true;
        }
        true
    }
}

/// A directory as last listed.
#[derive(Debug)]
struct Listed {
    /// The places that contain it, and in what form.
    members: Vec<(usize, Folder)>,
    /// Time of its last change.
    changed_ns: i64,
    at_ns: i64,
    /// True if the kernel reports changes in it.
    is_watched: bool,
    /// A modification time for which no notification came.
    unheard_ns: Option<i64>,
}

/// Lists places, and tells which of their directories and names need another look.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    places: Vec<Arc<Place>>,
    folders: HashMap<PathBuf, Listed>,
    watch: Option<Watch>,
    wall_ns: i64,
    listing: Listing,
}

impl Scanner {
    /// Subscribes to changes in directories from their next listing on, and calls `wake` for each.
    ///
    /// # Errors
    /// If the system has no notification.
    pub fn listen(&mut self, wake: Wake) -> io::Result<()> {
        self.watch = Some(Watch::start(wake)?);
        Ok(())
    }

    /// Collects events, so that the kernel's queue does not overflow.
    pub fn hear(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.hear();
        }
    }

    /// Events since the last call.
    pub fn news(&mut self) -> News {
        self.watch.as_mut().map(Watch::take).unwrap_or_default()
    }

    /// Adds directories that changed without notification; `is_slow` also checks those with
    /// notification.
    pub fn changed(&mut self, news: &mut News, is_slow: bool) {
        for (path, listed) in &mut self.folders {
            if listed.is_watched && !is_slow {
                continue;
            }
            let Ok(meta) = fs::metadata(path) else {
                // A directory that cannot be read may have moved, so everything is listed.
                news.is_lost = true;
                return;
            };
            let now_ns = FileMeta::of(&meta).changed_ns;
            if !listed.is_watched {
                // A change within the step of the last listing shows in no time.
                let is_unsure = now_ns > listed.at_ns - TIME_STEP_NS;
                if is_unsure || now_ns != listed.changed_ns {
                    news.folders.insert(path.clone());
                }
            } else if now_ns == listed.changed_ns || news.heard.contains(path) {
                (listed.changed_ns, listed.unheard_ns) = (now_ns, None);
            } else if listed.unheard_ns.replace(now_ns) == Some(now_ns) {
                // It was not on its way when it was looked at before.
                news.folders.insert(path.clone());
            }
        }
    }

    /// All regular files of the places except those assumed unchanged, and any problems.
    pub fn list(
        &mut self,
        params: &FollowParams,
        believed: &mut Believed<'_>,
        wall_ns: i64,
    ) -> Listing {
        self.wall_ns = wall_ns;
        // A full listing starts from nothing, so that directories that are gone are forgotten.
        self.folders.clear();
        self.places.clear();
        if let Some(watch) = &mut self.watch {
            watch.begin();
        }
        for path in &params.places {
            match Place::of(path) {
                Ok(place) => self.places.push(Arc::new(place)),
                Err(reason) => self.trouble(path, &reason),
            }
        }
        for index in 0..self.places.len() {
            let place = Arc::clone(&self.places[index]);
            if let Some(meta) = self.root(&place)
                && meta.is_dir()
            {
                let table = Table::around(&place.root);
                let walk = Walk::from(place.root.clone(), &meta, table);
                self.walk((index, &place), walk, params, believed);
            }
        }
        if let Some(watch) = &mut self.watch {
            watch.end();
        }
        std::mem::take(&mut self.listing)
    }

    /// The current state of these names and directories, and of places that are not directories.
    /// `None` if the directory of a place has appeared, or if the name of a listed directory leads
    /// elsewhere: then everything must be listed.
    pub fn look(
        &mut self,
        params: &FollowParams,
        believed: &mut Believed<'_>,
        (names, folders): (BTreeSet<PathBuf>, BTreeSet<PathBuf>),
        wall_ns: i64,
    ) -> Option<Listing> {
        self.wall_ns = wall_ns;
        for index in 0..self.places.len() {
            let place = Arc::clone(&self.places[index]);
            if !self.folders.contains_key(&place.root)
                && self.root(&place).is_some_and(|meta| meta.is_dir())
            {
                return None;
            }
        }
        for path in folders {
            if let Some(listed) = self.folders.remove(&path) {
                for (index, folder) in listed.members {
                    let place = Arc::clone(&self.places[index]);
                    let mut walk = Walk::default();
                    walk.hold(folder);
                    walk.pass_over(self.visited(index));
                    self.walk((index, &place), walk, params, believed);
                }
            } else {
                self.name(&path, params, believed)?;
            }
        }
        for path in names {
            self.name(&path, params, believed)?;
        }
        Some(std::mem::take(&mut self.listing))
    }

    /// Checks one name in a listed directory.
    fn name(
        &mut self,
        path: &Path,
        params: &FollowParams,
        believed: &mut Believed<'_>,
    ) -> Option<()> {
        if self.folders.contains_key(path) {
            // A name of a directory leads elsewhere by now.
            return None;
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Some(());
        };
        if is_left_out(name.as_bytes(), &params.ignore_suffixes) {
            return Some(());
        }
        let members = self.folders.get(folder);
        let members = members.map(|listed| listed.members.clone());
        for (index, folder) in members.unwrap_or_default() {
            let place = Arc::clone(&self.places[index]);
            let mut walk = Walk::default();
            self.entry((&place, &folder), path.to_owned(), &mut walk, params);
            if !walk.is_over() {
                walk.pass_over(self.visited(index));
                self.walk((index, &place), walk, params, believed);
            }
        }
        Some(())
    }

    /// Directories of a place that were listed.
    fn visited(&self, index: usize) -> HashSet<Inode> {
        let members = self.folders.values().flat_map(|listed| &listed.members);
        let here = members.filter(|(place, _)| *place == index);
        here.map(|(_, folder)| folder.inode).collect()
    }

    fn walk(
        &mut self,
        (index, place): (usize, &Place),
        mut walk: Walk,
        params: &FollowParams,
        believed: &mut Believed<'_>,
    ) {
        while let Some(folder) = walk.next() {
            // It is watched before it is listed: nothing falls between the two.
            let watch = self.watch.as_mut();
            let is_watched = watch.is_some_and(|watch| watch.add(&folder.path));
            let meta = fs::metadata(&folder.path);
            let changed_ns = meta.map_or(0, |meta| FileMeta::of(&meta).changed_ns);
            let listed = self.folders.entry(folder.path.clone());
            let listed = listed.or_insert_with(|| Listed {
                members: Vec::new(),
                changed_ns,
                at_ns: 0,
                is_watched,
                unheard_ns: None,
            });
            listed.changed_ns = changed_ns;
            listed.at_ns = self.wall_ns;
            listed.members.push((index, folder.clone()));
            self.list_folder((place, &folder), &mut walk, params, believed);
        }
    }

    fn list_folder(
        &mut self,
        (place, folder): (&Place, &Folder),
        walk: &mut Walk,
        params: &FollowParams,
        believed: &mut Believed<'_>,
    ) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(&folder.path, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(error) => return self.trouble(&folder.path, &io::Error::from(error).to_string()),
        };
        let mut buffer = Vec::with_capacity(LISTED_BYTES);
        // Raw getdents returns the inode with the name, so a file that is believed unchanged costs
        // no system call of its own.
        let mut entries = RawDir::new(opened, buffer.spare_capacity_mut());
        // Of a million names most are believed: they share one buffer.
        let mut path = folder.path.as_os_str().as_bytes().to_vec();
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        let stem = path.len();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    return self.trouble(&folder.path, &io::Error::from(error).to_string());
                }
            };
            let name = entry.file_name().to_bytes();
            if is_left_out(name, &params.ignore_suffixes) {
                continue;
            }
            path.truncate(stem);
            path.extend_from_slice(name);
            let path = Path::new(OsStr::from_bytes(&path));
            if !believed.is_as_it_was(path, entry.ino()) {
                self.entry((place, folder), path.to_owned(), walk, params);
            }
        }
    }

    /// Processes one name in a directory.
    fn entry(
        &mut self,
        (place, folder): (&Place, &Folder),
        path: PathBuf,
        walk: &mut Walk,
        params: &FollowParams,
    ) {
        let (meta, is_link) = match self.target(place, &path, params) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            // It went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.listing.vanished.push(path);
            }
            Err(error) => return self.trouble(&path, &error.to_string()),
        };
        if meta.is_dir() {
            let table = folder.table.clone().or_else(|| Table::at(&path));
            if !walk.found(folder, path.clone(), &meta, is_link, table) {
                self.trouble(&path, "too many levels of directories");
            }
            return;
        }
        if place.matcher.as_ref().is_some_and(|m| !m.is_match(&path)) {
            return;
        }
        if let Some(table) = &folder.table {
            return self.in_table(table);
        }
        if self.listing.seen.len() >= FILES_MAX {
            self.listing.is_cut = true;
            return;
        }
        self.listing.seen.push(ScannedFile {
            path,
            meta: FileMeta::of(&meta),
            is_named: false,
            is_link,
        });
    }

    /// Checks the root of a place; if it is a file, it is processed.
    fn root(&mut self, place: &Place) -> Option<Metadata> {
        let root = &place.root;
        let found = fs::metadata(root);
        if let Ok(meta) = found
            && meta.is_dir()
        {
            return Some(meta);
        }
        if let Some(watch) = &mut self.watch {
            // The root is a file or does not exist yet; watching the directory above reports when
            // it appears.
            watch.add_near(root);
        }
        match fs::metadata(root) {
            Ok(meta) if meta.is_file() => self.listing.seen.push(ScannedFile {
                path: root.clone(),
                meta: FileMeta::of(&meta),
                is_named: true,
                is_link: false,
            }),
            Ok(_) => self.trouble(root, "neither a file nor a directory"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.trouble(root, "not there yet; it will be looked for again");
            }
            Err(error) => self.trouble(root, &error.to_string()),
        }
        None
    }

    fn trouble(&mut self, path: &Path, reason: &str) {
        self.listing.troubles.push(Trouble {
            path: path.to_owned(),
            reason: reason.to_owned(),
            is_wanted: false,
        });
    }

    /// Reports once that the files of a table are not taken.
    fn in_table(&mut self, table: &Table) {
        if self
            .listing
            .troubles
            .last()
            .is_none_or(|last| last.path != table.root)
        {
            let reason = table.refusal(&table.root).to_string();
            self.trouble(&table.root, &reason);
        }
    }

    /// What a name leads to, and whether it is a symbolic link; `None` for names that are not
    /// taken.
    fn target(
        &mut self,
        place: &Place,
        path: &Path,
        params: &FollowParams,
    ) -> io::Result<Option<(Metadata, bool)>> {
        Ok(match params.symlinks.target(path, &place.whole)? {
            Target::Found(meta, is_link) => Some((meta, is_link)),
            Target::Other => None,
            Target::Away(target) => {
                let target = target.display();
                let reason =
                    format!("a symbolic link to {target}, which `source.symlinks` does not allow");
                self.listing.troubles.push(Trouble {
                    path: path.to_owned(),
                    reason,
                    is_wanted: true,
                });
                None
            }
        })
    }
}
