//! Directories below a place, each visited once, and files, each taken once, whatever names lead there.
//!
//! This module defines for all listings which names count, where symbolic links may lead, and how
//! deep and how far a walk goes. In: a directory and its listing. Out: the next directory to list,
//! and one name for each file with several. Which name counts depends only on the names: a real
//! directory entry comes before a symbolic link to it, and of several links the first in byte order
//! counts. So a link to `.` costs one check rather than one per path through it.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::table::Table;

/// Most levels of directories below a place.
pub(super) const DEPTH_MAX: usize = 64;

/// Most files per scan or run: a list of a million paths takes some 100 MB.
pub(super) const FILES_MAX: usize = 1_000_000;

/// How far symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symlinks {
    /// Nowhere: none is followed.
    Refuse,
    /// To places below the directory that holds them.
    #[default]
    Inside,
    /// Anywhere.
    Follow,
}

/// Target of a name.
pub(super) enum Target {
    /// A file or a directory; by a symbolic link or not.
    Found(Metadata, bool),
    /// A place where symbolic links may not lead.
    Away(PathBuf),
    /// Neither a file nor a directory: FIFOs, sockets and devices are never opened.
    Other,
}

impl Symlinks {
    /// The target of the name at `path`; `whole` is the resolved directory where the walk began.
    ///
    /// # Errors
    /// Any error of the system.
    pub(super) fn target(self, path: &Path, whole: &Path) -> io::Result<Target> {
        let mut meta = fs::symlink_metadata(path)?;
        let is_link = meta.is_symlink();
        if is_link {
            if self != Self::Follow {
                // Resolves the whole chain of links, because a link inside may lead to another one
                // that leads out.
                let target = fs::canonicalize(path)?;
                if self == Self::Refuse || !target.starts_with(whole) {
                    return Ok(Target::Away(target));
                }
            }
            meta = fs::metadata(path)?;
        }
        Ok(if meta.is_file() || meta.is_dir() {
            Target::Found(meta, is_link)
        } else {
            Target::Other
        })
    }
}

/// True for names used by other programs (`_SUCCESS`, `_metadata`, `.crc`) and for names with the
/// ending of a file being written.
pub(super) fn is_left_out(name: &[u8], suffixes: &[String]) -> bool {
    matches!(name.first(), Some(b'.' | b'_'))
        || suffixes
            .iter()
            .any(|suffix| name.ends_with(suffix.as_bytes()))
}

/// Device and inode number: several names may lead to the same one.
pub(super) type Inode = (u64, u64);

/// The inode from the metadata.
pub(super) fn inode(meta: &Metadata) -> Inode {
    (meta.dev(), meta.ino())
}

/// A directory to be listed.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// The name by which it was reached.
    pub path: PathBuf,
    /// Levels below the place.
    pub depth: usize,
    /// The table that manages it.
    pub table: Option<Table>,
    /// Its identity, whatever its name.
    pub inode: Inode,
}

/// Directories that are still to be listed.
#[derive(Debug, Default)]
pub(super) struct Walk {
    visited: HashSet<Inode>,
    /// Directories found in other directories: the last one found comes first.
    held: Vec<Folder>,
    /// Directories behind symbolic links, which come last.
    linked: BTreeMap<PathBuf, Folder>,
}

impl Walk {
    /// Begins at a directory; `table` manages it.
    pub fn from(path: PathBuf, meta: &Metadata, table: Option<Table>) -> Self {
        let mut walk = Self::default();
        walk.hold(Folder {
            path,
            depth: 0,
            table,
            inode: inode(meta),
        });
        walk
    }

    /// Skips directories that were already visited.
    pub fn pass_over(&mut self, visited: HashSet<Inode>) {
        self.visited.extend(visited);
    }

    /// True if nothing is left to be listed.
    pub fn is_over(&self) -> bool {
        self.held.is_empty() && self.linked.is_empty()
    }

    /// Adds a directory.
    pub fn hold(&mut self, folder: Folder) {
        self.held.push(folder);
    }

    /// The next directory, or nothing when all were visited.
    pub fn next(&mut self) -> Option<Folder> {
        loop {
            let next = self.held.pop();
            let next = next.or_else(|| self.linked.pop_first().map(|(_, folder)| folder))?;
            if self.visited.insert(next.inode) {
                return Some(next);
            }
        }
    }

    /// Adds a directory that was found in `above`; false if it lies too deep.
    pub fn found(
        &mut self,
        above: &Folder,
        path: PathBuf,
        meta: &Metadata,
        is_link: bool,
        table: Option<Table>,
    ) -> bool {
        let folder = Folder {
            depth: above.depth + 1,
            table,
            inode: inode(meta),
            path,
        };
        if folder.depth > DEPTH_MAX {
            return false;
        }
        if is_link {
            self.linked.insert(folder.path.clone(), folder);
        } else {
            self.held.push(folder);
        }
        true
    }
}

/// A name of a file.
pub(super) trait Named {
    /// Sort key by bytes; links come after all others.
    fn name(&self) -> (bool, &[u8]);
    /// The inode that it leads to.
    fn inode(&self) -> Inode;
}

/// Of several names of one file keeps the first, preferring one that is not a symbolic link.
pub(super) fn once<T: Named>(names: &mut Vec<T>) {
    // Sorted first, so that which name of a file stays does not depend on the order of listing.
    names.sort_by(|a, b| a.name().cmp(&b.name()));
    let mut seen = HashSet::with_capacity(names.len());
    names.retain(|name| seen.insert(name.inode()));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Lists all there is, and gives the names under which directories were visited.
    fn visited(top: &Path) -> Vec<String> {
        let meta = fs::metadata(top).expect("a directory");
        let mut walk = Walk::from(top.to_owned(), &meta, None);
        let mut names = Vec::new();
        while let Some(folder) = walk.next() {
            let name = folder.path.strip_prefix(top).expect("below");
            names.push(name.to_string_lossy().into_owned());
            for entry in fs::read_dir(&folder.path).expect("a directory").flatten() {
                let is_link = entry.path().is_symlink();
                let meta = fs::metadata(entry.path()).expect("a target");
                assert!(walk.found(&folder, entry.path(), &meta, is_link, None));
            }
        }
        names.sort();
        names
    }

    #[test]
    fn a_directory_is_visited_once_under_its_own_name_or_the_first_of_its_links() {
        let place = tempfile::tempdir().expect("a directory");
        let (top, other) = (place.path().join("top"), place.path().join("other/below"));
        fs::create_dir_all(top.join("z/y")).expect("a directory");
        fs::create_dir_all(&other).expect("a directory");
        for name in ["a", "b", "z/c", "z/y/d"] {
            symlink(".", top.join(name)).expect("a link");
            symlink("..", top.join(format!("{name}-up"))).expect("a link");
        }
        // Two links to a directory that is reached in no other way, and one to what it holds.
        let above = other.parent().expect("a parent");
        for (target, name) in [(above, "z/m"), (above, "n"), (other.as_path(), "a-first")] {
            symlink(target, top.join(name)).expect("a link");
        }
        let names = visited(&top);
        // `a-up` is the parent, which holds `other`; `a-first` comes before it.
        let expected = ["", "a-first", "a-up", "a-up/other", "z", "z/y"];
        assert_eq!(names, expected);
        assert_eq!(visited(&top), names);
    }
}
