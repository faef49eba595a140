//! Loads a table of files from a checkpoint all at once, which costs less than one by one.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{FileEntry, FileTable};
use crate::codec::{CodecError, Decoder};

/// Most files for which room is reserved in advance.
const ROOM_MAX: usize = 1 << 22;

/// A table that is being filled.
#[derive(Debug, Default)]
pub struct FileLoader {
    table: FileTable,
    /// Keys of contents, and files: they are put in order at the end.
    keys: Vec<(u64, u64)>,
    /// Files with more than one entry.
    again: HashSet<u64>,
    /// The largest number so far: most new ones are larger.
    last: Option<u64>,
}

impl FileLoader {
    /// An empty loader with room for about `files` files.
    pub fn with_room_for(files: usize) -> Self {
        let files = files.min(ROOM_MAX);
        let mut loader = Self::default();
        let table = &mut loader.table;
        table.rows.reserve(files);
        table.by_path.reserve(files, |_| 0);
        table.by_inode.reserve(files, |_| 0);
        loader.keys.reserve(files);
        loader
    }

    /// Adds an entry of a file; the last entry of a number counts.
    ///
    /// # Errors
    /// If its content is not what was written.
    pub fn take_up(&mut self, file: u64, entry: Option<&[u8]>) -> Result<(), CodecError> {
        let is_new = self.last.is_none_or(|last| file > last);
        self.last = self.last.max(Some(file));
        if !is_new && self.table.by_number.contains_key(&file) {
            self.table.take_out(file);
            self.again.insert(file);
        }
        let Some(bytes) = entry else {
            return Ok(());
        };
        let mut from = Decoder::new("files", bytes);
        let path = from.bytes()?;
        let rest = &bytes[8 + path.len()..];
        let entry = FileEntry::decode_behind_path(PathBuf::new(), &mut from)?;
        from.finish()?;
        self.table.put_packed(file, path, &entry, rest);
        if let Some(key) = entry.key() {
            self.keys.push((key, file));
        }
        Ok(())
    }

    /// The table.
    pub fn finish(mut self) -> FileTable {
        let again = self.again;
        self.keys.retain(|(_, file)| !again.contains(file));
        let table = &self.table;
        self.keys.extend(again.into_iter().filter_map(|file| {
            let key = table.get(file)?.key()?;
            Some((key, file))
        }));
        self.table.by_content = self.keys.into_iter().collect();
        self.table
    }
}
