//! The table against a plain one, and what the trainer's table keeps.

use std::collections::BTreeMap;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

fn entry(path: &str, inode: u64) -> FileEntry {
    let mut entry = FileEntry {
        path: path.into(),
        format: None,
        fingerprint: crate::source::fingerprint::Fingerprint::default(),
        rows: 1,
        ahead: 0,
        within: None,
        state: FileState::Done,
    };
    entry.fingerprint.meta.inode = inode;
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
    let slot = table.done_at(Path::new("a"), 10);
    let meta = slot.and_then(|slot| table.meta_in(slot));
    assert_eq!(meta.map(|meta| meta.inode), Some(10));
    assert!(table.done_at(Path::new("a"), 11).is_none());
    assert!(table.done_at(Path::new("b"), 10).is_none());
    let mut growing = entry("a", 10);
    growing.state = FileState::Growing;
    table.put(1, growing);
    assert!(table.done_at(Path::new("a"), 10).is_none());
    assert_eq!(table.growing().count(), 1);
}

/// A plain table: what `FileTable` must answer, by its words.
#[derive(Default)]
struct Plain {
    entries: BTreeMap<u64, FileEntry>,
    paths: BTreeMap<PathBuf, u64>,
    inodes: BTreeMap<u64, u64>,
}

impl Plain {
    fn remove(&mut self, file: u64) {
        self.entries.remove(&file);
        self.paths.retain(|_, other| *other != file);
        self.inodes.retain(|_, other| *other != file);
    }

    fn put(&mut self, file: u64, entry: FileEntry) {
        self.remove(file);
        self.paths.insert(entry.path.clone(), file);
        self.inodes.insert(entry.fingerprint.meta.inode, file);
        self.entries.insert(file, entry);
    }
}

#[test]
fn the_packed_table_answers_as_a_plain_one() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut table, mut plain) = (FileTable::default(), Plain::default());
    // Paths of many kinds: no directory, one of them at the root, double slashes, bytes of no UTF-8.
    let folders = ["", "/", "feed/", "/data//feed/", "/data/feed/./"];
    for step in 0..20_000_u64 {
        let file = random.random_range(0..200);
        if random.random_bool(0.2) {
            table.remove(file);
            plain.remove(file);
        } else {
            let folder = folders[random.random_range(0..folders.len())];
            let name = random.random_range(0..60_u8);
            let mut path = folder.as_bytes().to_vec();
            path.extend_from_slice(&[b'f', 0xC0 + name, b'x']);
            let mut entry = entry("", random.random_range(0..150));
            entry.path = PathBuf::from(OsStr::from_bytes(&path));
            entry.rows = step;
            if random.random_bool(0.1) {
                entry.state = FileState::Growing;
            }
            plain.put(file, entry.clone());
            table.put(file, entry);
        }
        let path = PathBuf::from(OsStr::from_bytes(&[b'f', 0xC0 + (step % 60) as u8, b'x']));
        let found = table.by_path(&path).map(|(file, _)| file);
        assert_eq!(found, plain.paths.get(&path).copied());
        let inode = step % 150;
        let found = table.by_inode(0, inode).map(|(file, _)| file);
        assert_eq!(found, plain.inodes.get(&inode).copied());
        assert_eq!(table.get(file), plain.entries.get(&file).cloned());
    }
    let all: BTreeMap<u64, FileEntry> = table.iter().collect();
    assert_eq!(all, plain.entries);
    let growing = plain.entries.values();
    let growing = growing.filter(|entry| entry.state == FileState::Growing);
    assert_eq!(table.growing().count(), growing.count());
    // What is forgotten leaves nothing behind.
    (0..200).for_each(|file| table.remove(file));
    assert!(table.by_path.is_empty() && table.by_inode.is_empty() && table.growing.is_empty());
    assert_eq!(table.rows.iter().flatten().count(), 0);
}

#[test]
fn a_table_of_the_latest_counts_all_and_notes_what_changed() {
    let mut all = FileTable::default();
    (0..10).for_each(|file| all.put(file, entry(&format!("f{file}"), file)));
    let mut latest = all.latest(3);
    assert_eq!((latest.len(), latest.iter().count()), (10, 3));
    assert_eq!(latest.take_changes(), []);
    latest.put(10, entry("new", 10));
    latest.put(2, entry("again", 2));
    latest.remove(5);
    assert_eq!((latest.len(), latest.iter().count()), (10, 3));
    let changes = latest.take_changes();
    let numbers = changes.iter().map(|(file, entry)| (*file, entry.is_some()));
    let expected = [(2, true), (5, false), (10, true)];
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
    // Changes that no checkpoint took are there again, but for those that came since.
    latest.remove(10);
    latest.give_back(changes);
    let mut restored = FileLoader::with_room_for(10);
    for (file, entry) in all.iter() {
        let mut to = Encoder::new();
        entry.encode(&mut to);
        assert!(restored.take_up(file, Some(&to.into_bytes())).is_ok());
    }
    for (file, entry) in latest.take_changes() {
        assert!(restored.take_up(file, entry.as_deref()).is_ok());
    }
    let restored = restored.finish();
    assert_eq!(restored.len(), 9);
    assert_eq!(restored.get(2).map(|e| e.path), Some("again".into()));
}

#[test]
fn a_table_that_is_loaded_finds_what_one_that_was_filled_finds() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut plain, mut loader) = (FileTable::default(), FileLoader::with_room_for(10));
    for _ in 0..5_000 {
        let file = random.random_range(0..400_u64);
        if random.random_bool(0.2) {
            plain.remove(file);
            assert!(loader.take_up(file, None).is_ok());
            continue;
        }
        let mut entry = entry(
            &format!("/d{}/f{}", file % 3, random.random_range(0..300)),
            random.random_range(0..300),
        );
        entry.fingerprint.print = [random.random_range(1..40); 32];
        if random.random_bool(0.1) {
            entry.state = FileState::Growing;
        }
        let mut to = Encoder::new();
        entry.encode(&mut to);
        plain.put(file, entry);
        assert!(loader.take_up(file, Some(&to.into_bytes())).is_ok());
    }
    let loaded = loader.finish();
    assert!(plain.iter().eq(loaded.iter()));
    assert!(plain.growing().eq(loaded.growing()));
    for i in 0..300 {
        assert_eq!(plain.by_inode(0, i), loaded.by_inode(0, i), "inode {i}");
        for folder in 0..3 {
            let path = format!("/d{folder}/f{i}");
            let path = Path::new(&path);
            assert_eq!(plain.by_path(path), loaded.by_path(path), "{path:?}");
        }
    }
    let keys = plain.iter().filter_map(|(_, entry)| entry.key());
    for key in keys {
        assert!(plain.by_content(key).eq(loaded.by_content(key)), "{key}");
    }
}
