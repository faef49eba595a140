//! Old files in new guises: recognized by their contents where the metadata does not help.
//!
//! If learned content has vanished from its path and appears elsewhere, the file was renamed, moved
//! to another disk, or restored from a copy: it is the same file, and each vanished file can match
//! one new file. The same content in two places at once is two files: two sensors may report the
//! same.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Follower, LOOKS_AT_REST};
use crate::source::fingerprint::{FileMeta, Fingerprint, PAGE_BYTES, open_quietly};
use crate::source::follow::entry::{FileEntry, FileState};
use crate::source::follow::params::OnCopy;
use crate::source::follow::scan::ScannedFile;
use crate::source::follow::state::IngestState;

/// Most files with one content whose paths are checked if none of them is known to be gone. In a
/// feed of many equal files, a new one must not cause all of them to be checked.
const LOOKED_AT_MOST: usize = 8;

impl Follower {
    /// The file of the state that a complete file with this content matches.
    pub(super) fn former(
        &mut self,
        seen: &ScannedFile,
        fingerprint: &Fingerprint,
        state: &IngestState,
    ) -> io::Result<Option<(u64, FileEntry)>> {
        let has_content = |entry: &FileEntry| {
            !entry.is_stream()
                && entry.key().is_some()
                && is_content(&entry.fingerprint, fingerprint)
        };
        let here = state.files.by_path(&seen.path).filter(|(file, entry)| {
            !self.claimed.contains(file)
                && match self.params.on_copy {
                    OnCopy::Leave => has_content(entry),
                    // The system may have given the disk another number: that is no copy.
                    OnCopy::Learn => {
                        has_content(entry)
                            && entry.fingerprint.meta.changed_ns == seen.meta.changed_ns
                    }
                }
        });
        if here.is_some() {
            return Ok(self.claim(here));
        }
        let (Some(key), OnCopy::Leave) = (fingerprint.key(), self.params.on_copy) else {
            return Ok(None);
        };
        for (file, entry) in self.candidates(seen, key, state) {
            if has_content(&entry) && self.is_gone(&entry)? {
                return Ok(self.claim(Some((file, entry))));
            }
        }
        Ok(None)
    }

    /// The stream of the state that a file continues.
    pub(super) fn former_stream(
        &mut self,
        seen: &ScannedFile,
        handle: &File,
        state: &IngestState,
    ) -> io::Result<Option<(u64, FileEntry)>> {
        let here = state.files.by_path(&seen.path);
        if let Some((file, entry)) = here
            && entry.is_stream()
            && !self.claimed.contains(&file)
            && entry.fingerprint.is_prefix_of(handle)?
        {
            return Ok(self.claim(Some((file, entry))));
        }
        let Some(key) = growing_key(seen, handle)? else {
            return Ok(None);
        };
        for (file, entry) in self.candidates(seen, key, state) {
            if entry.is_stream()
                && entry.fingerprint.is_prefix_of(handle)?
                && self.is_gone(&entry)?
            {
                return Ok(self.claim(Some((file, entry))));
            }
        }
        Ok(None)
    }

    /// True if a stream is, so far, a copy of one that grows in its place: a rotation that copies
    /// and then empties is under way. A copy that stays unchanged next to its original is a
    /// separate file.
    pub(super) fn has_twin(
        &mut self,
        seen: &ScannedFile,
        handle: &File,
        state: &IngestState,
    ) -> io::Result<bool> {
        let Some(key) = growing_key(seen, handle)? else {
            return Ok(false);
        };
        let before = self.twins.remove(&seen.path);
        let before = before.filter(|(meta, _)| *meta == seen.meta);
        let looks = before.map_or(0, |(_, looks)| looks) + 1;
        if looks > LOOKS_AT_REST {
            return Ok(false);
        }
        let mut is_twin = false;
        for (_, entry) in self.candidates(seen, key, state) {
            is_twin = entry.state == FileState::Growing && is_copy(seen, handle, &entry)?;
            if is_twin {
                break;
            }
        }
        if is_twin {
            let twin = (seen.meta.clone(), looks);
            self.twins.insert(seen.path.clone(), twin);
        }
        Ok(is_twin)
    }

    fn claim(&mut self, found: Option<(u64, FileEntry)>) -> Option<(u64, FileEntry)> {
        if let Some((file, entry)) = &found {
            self.claimed.insert(*file);
            // A file that is gone can reappear as at most one other file.
            self.missing.remove(&(entry.key().unwrap_or(0), *file));
        }
        found
    }

    /// Files with this key that are not yet matched: the missing ones, and a few others, which may
    /// have vanished since.
    fn candidates(
        &self,
        seen: &ScannedFile,
        key: u64,
        state: &IngestState,
    ) -> Vec<(u64, FileEntry)> {
        let spool = self.params.spool.as_ref();
        let is_ours = |path: &Path| spool.is_some_and(|spool| path.starts_with(spool));
        // What the daemon keeps itself has a name of its own for each: equal bodies are not one.
        if is_ours(&seen.path) {
            return Vec::new();
        }
        // Thousands of files may have one content: no more than a few of them are gone through.
        let missing = self.missing.range((key, 0)..=(key, u64::MAX));
        let missing = missing.map(|(_, file)| *file).take(LOOKED_AT_MOST);
        let others = state.files.by_content(key).take(LOOKED_AT_MOST);
        let files = missing.chain(others);
        let files = files.filter(|file| !self.claimed.contains(file));
        let entries = files.filter_map(|file| Some((file, state.files.get(file)?)));
        entries.filter(|(_, entry)| !is_ours(&entry.path)).collect()
    }

    /// True if the content of a file has vanished from its path.
    fn is_gone(&self, entry: &FileEntry) -> io::Result<bool> {
        let is_place = |place: &PathBuf| entry.path.starts_with(fixed(place));
        // The feed itself may have moved to another directory.
        if !self.params.places.iter().any(is_place) {
            return Ok(true);
        }
        let looked = fs::metadata(&entry.path).and_then(|meta| {
            if !meta.is_file() {
                return Ok(true);
            }
            let (now, then) = (FileMeta::of(&meta), &entry.fingerprint.meta);
            if now == *then {
                return Ok(false);
            }
            // Different metadata need not mean different content, so the content is read before
            // the file counts as gone.
            let handle = open_quietly(&entry.path)?;
            let is_there = if entry.is_stream() {
                entry.fingerprint.is_prefix_of(&handle)
            } else {
                entry.fingerprint.is_all_of(&handle)
            };
            is_there.map(|is_there| !is_there)
        });
        match looked {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(true)
            }
            looked => looked,
        }
    }
}

/// True if two identities describe the same content.
fn is_content(one: &Fingerprint, other: &Fingerprint) -> bool {
    one.bytes == other.bytes && one.print == other.print && one.head == other.head
}

/// The key of a stream by its first page, once that is full.
fn growing_key(seen: &ScannedFile, handle: &File) -> io::Result<Option<u64>> {
    if seen.meta.bytes < PAGE_BYTES {
        return Ok(None);
    }
    Ok(Fingerprint::of(handle, PAGE_BYTES)?.growing_key())
}

/// True if one of the streams begins with the taken part of the other.
fn is_copy(seen: &ScannedFile, handle: &File, entry: &FileEntry) -> io::Result<bool> {
    if seen.meta.bytes >= entry.fingerprint.bytes {
        return entry.fingerprint.is_prefix_of(handle);
    }
    let original = match open_quietly(&entry.path) {
        Ok(original) => original,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Fingerprint::of(handle, seen.meta.bytes)?.is_prefix_of(&original)
}

/// The part of a place before the glob begins.
fn fixed(place: &Path) -> PathBuf {
    let is_glob = |part: &std::path::Component<'_>| {
        let mut bytes = part.as_os_str().as_encoded_bytes().iter();
        bytes.any(|byte| b"*?[{".contains(byte))
    };
    let parts = place.components();
    parts.take_while(|part| !is_glob(part)).collect()
}
