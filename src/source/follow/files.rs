//! The files that are remembered: by number, by inode, and by the path where they were seen last.
//!
//! Entries come out by value: how they are kept is this file's business alone.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::state::{FileEntry, FileState};
use crate::source::identity::Stamp;

/// Files by number, with what finds them again.
#[derive(Clone, Debug, Default)]
pub struct FileTable {
    entries: BTreeMap<u64, FileEntry>,
    by_inode: HashMap<(u64, u64), u64>,
    by_path: HashMap<PathBuf, u64>,
}

impl FileTable {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The file of this number.
    pub fn get(&self, file: u64) -> Option<FileEntry> {
        self.entries.get(&file).cloned()
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, FileEntry)> + '_ {
        self.entries
            .iter()
            .map(|(file, entry)| (*file, entry.clone()))
    }

    /// Those of which more may come.
    pub fn growing(&self) -> impl Iterator<Item = (u64, FileEntry)> + '_ {
        let growing = self.entries.iter();
        let growing = growing.filter(|(_, entry)| entry.state == FileState::Growing);
        growing.map(|(file, entry)| (*file, entry.clone()))
    }

    /// The file with this inode.
    pub fn by_inode(&self, device: u64, inode: u64) -> Option<(u64, FileEntry)> {
        let file = *self.by_inode.get(&(device, inode))?;
        self.get(file).map(|entry| (file, entry))
    }

    /// The file that was seen here last.
    pub fn by_path(&self, path: &Path) -> Option<(u64, FileEntry)> {
        let file = *self.by_path.get(path)?;
        self.get(file).map(|entry| (file, entry))
    }

    /// What the system said of the file that was seen here last, if all of it was taken and it had
    /// this inode.
    pub fn done_at(&self, path: &Path, inode: u64) -> Option<Stamp> {
        let entry = self.entries.get(self.by_path.get(path)?)?;
        let stamp = &entry.identity.stamp;
        (entry.state == FileState::Done && stamp.inode == inode).then(|| stamp.clone())
    }

    /// Remembers a file under its number, inode and path, in place of what had the number.
    pub fn put(&mut self, file: u64, entry: FileEntry) {
        self.remove(file);
        let stamp = &entry.identity.stamp;
        self.by_inode.insert((stamp.device, stamp.inode), file);
        self.by_path.insert(entry.path.clone(), file);
        self.entries.insert(file, entry);
    }

    /// Forgets a file.
    pub fn remove(&mut self, file: u64) {
        let Some(entry) = self.entries.remove(&file) else {
            return;
        };
        let stamp = &entry.identity.stamp;
        let inode = (stamp.device, stamp.inode);
        if self.by_inode.get(&inode) == Some(&file) {
            self.by_inode.remove(&inode);
        }
        if self.by_path.get(&entry.path) == Some(&file) {
            self.by_path.remove(&entry.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, inode: u64) -> FileEntry {
        let mut entry = FileEntry {
            path: path.into(),
            format: None,
            identity: crate::source::identity::Identity::default(),
            rows: 1,
            ahead: 0,
            state: FileState::Done,
        };
        entry.identity.stamp.inode = inode;
        entry
    }

    #[test]
    fn a_file_is_found_by_its_number_inode_and_path_until_it_is_forgotten() {
        let mut table = FileTable::default();
        table.put(1, entry("a", 10));
        table.put(2, entry("b", 20));
        assert_eq!(table.get(1).map(|e| e.path), Some("a".into()));
        assert_eq!(table.by_inode(0, 20).map(|(file, _)| file), Some(2));
        assert_eq!(table.by_path(Path::new("a")).map(|(file, _)| file), Some(1));
        // Another file takes the place of the first; forgetting the first leaves it there.
        table.put(3, entry("a", 30));
        table.remove(1);
        assert_eq!(table.by_path(Path::new("a")).map(|(file, _)| file), Some(3));
        assert_eq!(table.by_inode(0, 10), None);
        assert_eq!(
            table.iter().map(|(file, _)| file).collect::<Vec<_>>(),
            [2, 3]
        );
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn only_a_file_that_is_through_is_believed_by_its_name_and_inode() {
        let mut table = FileTable::default();
        table.put(1, entry("a", 10));
        assert!(table.done_at(Path::new("a"), 10).is_some());
        assert!(table.done_at(Path::new("a"), 11).is_none());
        assert!(table.done_at(Path::new("b"), 10).is_none());
        let mut growing = entry("a", 10);
        growing.state = FileState::Growing;
        table.put(1, growing);
        assert!(table.done_at(Path::new("a"), 10).is_none());
        assert_eq!(table.growing().count(), 1);
    }
}
