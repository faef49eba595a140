//! The remembered files: by number, by inode, and by the path where they were last seen.
//!
//! A million of them is not unusual, so an entry is kept as the bytes that a checkpoint stores,
//! with the directory's name only once for all files in it: some 200 bytes per file in total,
//! including its places in the five indices. Entries are returned by value.
//!
//! The ingest thread's table holds all files. The trainer looks up nothing: its table holds only the
//! latest files, for people, and the changes since the last checkpoint ([`FileTable::latest`]).

mod folders;
mod loader;
mod numbers;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use hashbrown::HashTable;

use self::folders::Folders;
pub use self::loader::FileLoader;
use self::numbers::Numbers;
use super::entry::{FileEntry, FileState};
use crate::codec::{Decoder, Encoder};
use crate::source::fingerprint::FileMeta;

/// A slot in a table; it is reused once its file is forgotten.
pub(super) type Slot = u32;

/// Change of a file since the last checkpoint: its entry, or nothing when it was forgotten.
pub type FileChange = (u64, Option<Vec<u8>>);

/// Files by number, with what finds them again.
#[derive(Clone, Debug, Default)]
pub struct FileTable {
    by_number: BTreeMap<u64, Slot>,
    rows: Vec<Option<Row>>,
    free: Vec<Slot>,
    folders: Folders,
    hasher: RandomState,
    by_path: HashTable<Slot>,
    by_inode: HashTable<Slot>,
    growing: BTreeSet<u64>,
    /// Keys of contents, and files: the same content may be in many places.
    by_content: BTreeSet<(u64, u64)>,
    latest: Option<Latest>,
}

/// A file: `packed` is the directory's number (4), bytes of the name (4), the name, and the entry
/// behind its path.
#[derive(Clone, Debug)]
struct Row {
    file: u64,
    packed: Box<[u8]>,
}

/// The extra data of a table that holds only the latest files.
#[derive(Clone, Debug)]
struct Latest {
    at_most: usize,
    known: Numbers,
    changed: BTreeMap<u64, Option<Vec<u8>>>,
}

impl Row {
    fn of(file: u64, folder: u32, name: &[u8], rest: &[u8]) -> Self {
        let mut packed = Vec::with_capacity(8 + name.len() + rest.len());
        packed.extend_from_slice(&folder.to_le_bytes());
        packed.extend_from_slice(&(name.len() as u32).to_le_bytes());
        packed.extend_from_slice(name);
        packed.extend_from_slice(rest);
        let packed = packed.into_boxed_slice();
        Self { file, packed }
    }

    fn folder(&self) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.packed[..4]);
        u32::from_le_bytes(bytes)
    }

    /// The file's name, and its entry behind the path.
    fn parts(&self) -> (&[u8], &[u8]) {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.packed[4..8]);
        self.packed[8..].split_at(u32::from_le_bytes(bytes) as usize)
    }

    fn entry(&self, folders: &Folders) -> Option<FileEntry> {
        let (name, rest) = self.parts();
        let path = PathBuf::from(OsStr::from_bytes(
            &[folders.name(self.folder()), name].concat(),
        ));
        // It was packed by this table: it can be read.
        FileEntry::decode_behind_path(path, &mut Decoder::new("a file", rest)).ok()
    }

    fn meta(&self) -> Option<FileMeta> {
        FileEntry::peek(self.parts().1).map(|(meta, _)| meta)
    }
}

/// A path up to its last slash, and the rest of it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|byte| *byte == b'/');
    path.split_at(at.map_or(0, |at| at + 1))
}

impl FileTable {
    /// Number of files, including those dropped from a table of the latest files.
    pub fn len(&self) -> usize {
        match &self.latest {
            Some(latest) => latest.known.len(),
            None => self.by_number.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn row(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    fn entry(&self, slot: Slot) -> Option<(u64, FileEntry)> {
        let row = self.row(slot)?;
        Some((row.file, row.entry(&self.folders)?))
    }

    /// The file of this number.
    pub fn get(&self, file: u64) -> Option<FileEntry> {
        let slot = *self.by_number.get(&file)?;
        self.entry(slot).map(|(_, entry)| entry)
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, FileEntry)> + '_ {
        self.by_number.values().filter_map(|slot| self.entry(*slot))
    }

    /// Files that may still grow.
    pub fn growing(&self) -> impl Iterator<Item = (u64, FileEntry)> + '_ {
        let growing = self.growing.iter();
        growing.filter_map(|file| Some((*file, self.get(*file)?)))
    }

    /// Files whose content has this key, the oldest first.
    pub fn by_content(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        let all = self.by_content.range((key, 0)..=(key, u64::MAX));
        all.map(|(_, file)| *file)
    }

    /// The file with this inode.
    pub fn by_inode(&self, device: u64, inode: u64) -> Option<(u64, FileEntry)> {
        self.entry(self.slot_of(device, inode)?)
    }

    /// The place of the file with this inode.
    pub(super) fn slot_of(&self, device: u64, inode: u64) -> Option<Slot> {
        let is_it = |slot: &Slot| {
            let meta = self.row(*slot).and_then(Row::meta);
            meta.is_some_and(|meta| meta.device == device && meta.inode == inode)
        };
        let hash = self.hasher.hash_one((device, inode));
        self.by_inode.find(hash, is_it).copied()
    }

    /// Number of slots, including those of forgotten files.
    pub(super) fn slots(&self) -> Slot {
        self.rows.len() as Slot
    }

    /// Files whose places are not marked.
    pub(super) fn unmarked(&self, marks: &[bool]) -> impl Iterator<Item = u64> + '_ {
        let marks = marks.to_vec();
        let rows = self.rows.iter().zip(marks);
        rows.filter_map(|(row, mark)| row.as_ref().filter(|_| !mark).map(|row| row.file))
    }

    /// The file that was last seen here.
    pub fn by_path(&self, path: &Path) -> Option<(u64, FileEntry)> {
        self.entry(self.slot_at(path)?)
    }

    /// The slot of the file that was last seen here.
    pub(super) fn slot_at(&self, path: &Path) -> Option<Slot> {
        let path = path.as_os_str().as_bytes();
        let (folder, name) = split(path);
        let hash = self.hasher.hash_one(path);
        let is_it = |slot: &Slot| {
            self.row(*slot).is_some_and(|row| {
                row.parts().0 == name && self.folders.name(row.folder()) == folder
            })
        };
        self.by_path.find(hash, is_it).copied()
    }

    /// The slot of the file that was last seen here, if it is done and had this inode.
    pub(super) fn done_at(&self, path: &Path, inode: u64) -> Option<Slot> {
        let slot = self.slot_at(path)?;
        let (meta, state) = FileEntry::peek(self.row(slot)?.parts().1)?;
        (state != FileState::Growing && meta.inode == inode).then_some(slot)
    }

    /// The metadata of the file in a slot.
    pub(super) fn meta_in(&self, slot: Slot) -> Option<FileMeta> {
        self.row(slot)?.meta()
    }

    /// Remembers a file under its number, inode and path, replacing any file with the same number.
    /// If several files have the same inode or path, the latest is found.
    #[expect(clippy::needless_pass_by_value, reason = "it goes over into the table")]
    pub fn put(&mut self, file: u64, entry: FileEntry) {
        self.take_out(file);
        let mut to = Encoder::new();
        entry.encode_behind_path(&mut to);
        let path = entry.path.as_os_str().as_bytes();
        self.put_packed(file, path, &entry, &to.into_bytes());
        if let Some(key) = entry.key() {
            self.by_content.insert((key, file));
        }
        if let Some(latest) = &mut self.latest {
            latest.known.insert(file);
            let mut to = Encoder::new();
            entry.encode(&mut to);
            latest.changed.insert(file, Some(to.into_bytes()));
            if self.by_number.len() > latest.at_most
                && let Some(oldest) = self.by_number.keys().next().copied()
            {
                self.take_out(oldest);
            }
        }
    }

    /// Forgets a file.
    pub fn remove(&mut self, file: u64) {
        self.take_out(file);
        if let Some(latest) = &mut self.latest {
            latest.known.remove(file);
            latest.changed.insert(file, None);
        }
    }

    /// Puts an entry in, `rest` of which is what stands behind its path, but for its content's key.
    fn put_packed(&mut self, file: u64, path: &[u8], entry: &FileEntry, rest: &[u8]) {
        let (folder, name) = split(path);
        let row = Row::of(file, self.folders.enter(folder), name, rest);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            (self.rows.len() - 1) as Slot
        });
        if entry.state == FileState::Growing {
            self.growing.insert(file);
        }
        self.rows[slot as usize] = Some(row);
        self.by_number.insert(file, slot);
        self.index(slot, path, &entry.fingerprint.meta);
    }

    fn index(&mut self, slot: Slot, path: &[u8], meta: &FileMeta) {
        let Self {
            rows,
            hasher,
            folders,
            by_path,
            by_inode,
            ..
        } = self;
        let row = |slot: &Slot| rows.get(*slot as usize).and_then(Option::as_ref);
        let inode = |meta: &FileMeta| hasher.hash_one((meta.device, meta.inode));
        let hash = inode(meta);
        let is_it = |slot: &Slot| {
            let other = row(slot).and_then(Row::meta);
            other.is_some_and(|o| o.device == meta.device && o.inode == meta.inode)
        };
        match by_inode.find_mut(hash, is_it) {
            Some(place) => *place = slot,
            None => {
                by_inode.insert_unique(hash, slot, |slot| {
                    row(slot).and_then(Row::meta).map_or(0, |s| inode(&s))
                });
            }
        }
        let path_of = |row: &Row| [folders.name(row.folder()), row.parts().0].concat();
        let (folder, name) = split(path);
        let is_it = |slot: &Slot| {
            row(slot)
                .is_some_and(|row| row.parts().0 == name && folders.name(row.folder()) == folder)
        };
        let hash = hasher.hash_one(path);
        match by_path.find_mut(hash, is_it) {
            Some(place) => *place = slot,
            None => {
                by_path.insert_unique(hash, slot, |slot| {
                    row(slot).map_or(0, |row| hasher.hash_one(path_of(row).as_slice()))
                });
            }
        }
    }

    fn take_out(&mut self, file: u64) {
        let Some(slot) = self.by_number.remove(&file) else {
            return;
        };
        self.growing.remove(&file);
        let Some((_, entry)) = self.entry(slot) else {
            return;
        };
        if let Some(key) = entry.key() {
            self.by_content.remove(&(key, file));
        }
        let meta = &entry.fingerprint.meta;
        let hash = self.hasher.hash_one((meta.device, meta.inode));
        // Where another file took its inode or path since, that one stays.
        if let Ok(place) = self.by_inode.find_entry(hash, |other| *other == slot) {
            place.remove();
        }
        let hash = self.hasher.hash_one(entry.path.as_os_str().as_bytes());
        if let Ok(place) = self.by_path.find_entry(hash, |other| *other == slot) {
            place.remove();
        }
        if let Some(row) = self.rows[slot as usize].take() {
            self.folders.leave(row.folder());
        }
        self.free.push(slot);
    }

    /// A table of the `at_most` latest files, which notes what changes from now on.
    #[must_use]
    pub fn latest(&self, at_most: usize) -> Self {
        let mut table = Self::default();
        for (file, entry) in self.iter().rev().take(at_most) {
            table.put(file, entry);
        }
        let known = Numbers::ascending(self.by_number.keys().copied());
        table.latest = Some(Latest {
            at_most,
            known,
            changed: BTreeMap::new(),
        });
        table
    }

    /// Notes that every file of `all` must be written because no checkpoint contains them.
    pub fn owe(&mut self, all: &Self) {
        if let Some(latest) = &mut self.latest {
            for (file, entry) in all.iter() {
                let mut to = Encoder::new();
                entry.encode(&mut to);
                latest.changed.insert(file, Some(to.into_bytes()));
            }
        }
    }

    /// Takes the changes since the last call, for a checkpoint.
    pub fn take_changes(&mut self) -> Vec<FileChange> {
        let changed = self.latest.as_mut().map(|l| std::mem::take(&mut l.changed));
        changed.unwrap_or_default().into_iter().collect()
    }

    /// Restores changes that no checkpoint has stored; newer changes take precedence.
    pub fn give_back(&mut self, changes: Vec<FileChange>) {
        if let Some(latest) = &mut self.latest {
            for (file, entry) in changes {
                latest.changed.entry(file).or_insert(entry);
            }
        }
    }

    /// Files last seen in directories with this name, wherever these are.
    pub(super) fn in_folders(&self, name: &OsStr) -> Vec<(u64, FileEntry)> {
        let is_one = |folder: &[u8]| Path::new(OsStr::from_bytes(folder)).file_name() == Some(name);
        let folders = self.folders.numbers(is_one);
        if folders.is_empty() {
            return Vec::new();
        }
        let rows = self.rows.iter().flatten();
        let rows = rows.filter(|row| folders.contains(&row.folder()));
        rows.filter_map(|row| Some((row.file, row.entry(&self.folders)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
