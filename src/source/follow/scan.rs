//! Directories and globs → the regular files in them.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::state::FeedState;
use super::{FollowParams, Symlinks};
use crate::source::identity::Stamp;
use crate::source::table::Table;

/// Files that one scan looks at: a list of a million paths is some 100 MB.
const FILES_MAX: usize = 1_000_000;
/// Levels of directories below a place: a loop of symbolic links ends here.
const DEPTH_MAX: usize = 64;

/// A regular file of this moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where.
    pub path: PathBuf,
    /// Which.
    pub stamp: Stamp,
    /// Whether it is a place by itself: then it is taken at its word.
    pub is_named: bool,
}

/// What a scan could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
    /// Whether the configuration wants it left out: then nothing is wrong.
    pub is_wanted: bool,
}

/// Lists places, and tells cheaply whether their directories have changed since.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Time of the last change of every directory listed.
    directories: HashMap<PathBuf, i64>,
    troubles: Vec<Trouble>,
}

struct Walk<'a> {
    root: PathBuf,
    params: &'a FollowParams,
    matcher: Option<&'a GlobMatcher>,
    /// Files that are believed to be as they were, by name and inode.
    known: Option<&'a FeedState>,
    found: Vec<Seen>,
    /// The table that manages the directory.
    table: Option<Table>,
}

impl Walk<'_> {
    /// A file that is through, under its name and with its inode.
    fn believed(&self, path: &Path, inode: u64) -> Option<Seen> {
        let files = &self.known?.files;
        let stamp = files.stamp_in(files.done_at(path, inode)?)?;
        Some(Seen {
            path: path.to_owned(),
            stamp,
            is_named: false,
        })
    }
}

impl Scanner {
    /// Whether a name came, went or changed in a directory listed before. Files that are places by
    /// themselves count as changed always.
    pub fn has_changed(&self, params: &FollowParams) -> bool {
        if self.directories.is_empty() {
            return true;
        }
        let files = params.places.iter();
        let mut files = files.filter(|place| !is_glob(place) && !place.is_dir());
        files.next().is_some()
            || self.directories.iter().any(|(path, changed_ns)| {
                fs::metadata(path).map_or(true, |meta| Stamp::of(&meta).changed_ns != *changed_ns)
            })
    }

    /// When a directory changed last, as of the last listing.
    pub fn newest_change_ns(&self) -> i64 {
        self.directories.values().copied().max().unwrap_or(0)
    }

    /// All regular files of the places, and what was in the way. Files that are through in `known`
    /// are not looked at while their name and inode are the same.
    pub fn list(
        &mut self,
        params: &FollowParams,
        known: Option<&FeedState>,
    ) -> (Vec<Seen>, Vec<Trouble>) {
        self.directories.clear();
        self.troubles.clear();
        let mut found = Vec::new();
        for place in &params.places {
            let (root, matcher) = match glob(place) {
                Ok(Some((root, matcher))) => (root, Some(matcher)),
                Ok(None) => (place.clone(), None),
                Err(reason) => {
                    self.trouble(place, &reason);
                    continue;
                }
            };
            let mut walk = Walk {
                root: fs::canonicalize(&root).unwrap_or_else(|_| root.clone()),
                params,
                matcher: matcher.as_ref(),
                known,
                found: Vec::new(),
                table: Table::around(&root),
            };
            match fs::metadata(&root) {
                Ok(meta) if meta.is_dir() => self.walk(&mut walk, &root, &meta, 0),
                Ok(meta) if meta.is_file() => walk.found.push(Seen {
                    path: root,
                    stamp: Stamp::of(&meta),
                    is_named: true,
                }),
                Ok(_) => self.trouble(&root, "neither a file nor a directory"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.trouble(&root, "not there yet; it is looked for again");
                }
                Err(error) => self.trouble(&root, &error.to_string()),
            }
            found.append(&mut walk.found);
        }
        (found, std::mem::take(&mut self.troubles))
    }

    fn trouble(&mut self, path: &Path, reason: &str) {
        self.troubles.push(Trouble {
            path: path.to_owned(),
            reason: reason.to_owned(),
            is_wanted: false,
        });
    }

    fn walk(&mut self, walk: &mut Walk<'_>, folder: &Path, meta: &Metadata, depth: usize) {
        self.directories
            .insert(folder.to_owned(), Stamp::of(meta).changed_ns);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.trouble(folder, &error.to_string()),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.trouble(folder, &error.to_string()),
            };
            let name = entry.file_name();
            if is_left_out(name.as_encoded_bytes(), &walk.params.ignore_suffixes) {
                continue;
            }
            let path = entry.path();
            if let Some(seen) = walk.believed(&path, entry.ino()) {
                walk.found.push(seen);
                continue;
            }
            match self.look(walk, &entry, &path) {
                // It went between the two looks.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.trouble(&path, &error.to_string()),
                Ok(None) => {}
                Ok(Some(meta)) if meta.is_dir() => {
                    if depth >= DEPTH_MAX {
                        self.trouble(&path, "too many levels of directories");
                    } else {
                        let above = walk.table.clone();
                        walk.table = above.clone().or_else(|| Table::at(&path));
                        self.walk(walk, &path, &meta, depth + 1);
                        walk.table = above;
                    }
                }
                Ok(Some(meta)) => {
                    if walk.matcher.is_some_and(|m| !m.is_match(&path)) {
                        continue;
                    }
                    if let Some(table) = &walk.table {
                        self.in_table(table);
                        continue;
                    }
                    if walk.found.len() >= FILES_MAX {
                        return self.trouble(folder, "too many files for one scan");
                    }
                    walk.found.push(Seen {
                        path,
                        stamp: Stamp::of(&meta),
                        is_named: false,
                    });
                }
            }
        }
    }

    /// Tells once that the files of a table are not taken.
    fn in_table(&mut self, table: &Table) {
        if self
            .troubles
            .last()
            .is_none_or(|last| last.path != table.root)
        {
            let reason = table.refusal(&table.root).to_string();
            self.trouble(&table.root, &reason);
        }
    }

    /// What an entry is, by the rule for symbolic links; nothing for what is no file or directory.
    fn look(
        &mut self,
        walk: &Walk<'_>,
        entry: &fs::DirEntry,
        path: &Path,
    ) -> io::Result<Option<Metadata>> {
        let mut meta = entry.metadata()?;
        if meta.is_symlink() {
            let target = fs::canonicalize(path)?;
            let is_fine = match walk.params.symlinks {
                Symlinks::Refuse => false,
                Symlinks::Inside => target.starts_with(&walk.root),
                Symlinks::Follow => true,
            };
            if !is_fine {
                let target = target.display();
                let reason = format!(
                    "a symbolic link to {target}, which `source.symlinks` does not let pass"
                );
                self.troubles.push(Trouble {
                    path: path.to_owned(),
                    reason,
                    is_wanted: true,
                });
                return Ok(None);
            }
            meta = fs::metadata(path)?;
        }
        // FIFOs, sockets and devices are never opened.
        Ok((meta.is_file() || meta.is_dir()).then_some(meta))
    }
}

/// Names of other programs (`_SUCCESS`, `.crc`) and of files that are being written.
fn is_left_out(name: &[u8], suffixes: &[String]) -> bool {
    matches!(name.first(), Some(b'.' | b'_'))
        || suffixes
            .iter()
            .any(|suffix| name.ends_with(suffix.as_bytes()))
}

fn is_glob(place: &Path) -> bool {
    place
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[{".contains(byte))
        && fs::symlink_metadata(place).is_err()
}

/// The directory where a glob starts, and the glob.
fn glob(place: &Path) -> Result<Option<(PathBuf, GlobMatcher)>, String> {
    if !is_glob(place) {
        return Ok(None);
    }
    let text = place.to_str().ok_or("a glob must be UTF-8")?;
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let matcher = glob
        .map_err(|error| format!("no glob: {}", error.kind()))?
        .compile_matcher();
    let root: PathBuf = place
        .components()
        .take_while(|part| !is_glob(Path::new(part.as_os_str())))
        .collect();
    Ok(Some((root, matcher)))
}
