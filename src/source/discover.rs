//! INPUT arguments → files, in the order of reading, each with its format.
//!
//! The format is determined by the first bytes of a file, never by its name. Files of other formats
//! in a directory are left out and counted. If a file or directory below an input has several
//! names, only one counts (`walk.rs`). Refused: explicitly named files of other formats, files
//! whose names claim to be data but are not, directories without data, directories managed by a
//! table format.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::SourceError;
use super::error::unreadable;
use super::format::{Format, Told, is_named_as_data};
use super::place::{self, is_glob};
use super::table::Table;
use super::walk::{self, DEPTH_MAX, FILES_MAX, Folder, Inode, Named, Symlinks, Target, Walk};

/// One input: a file or standard input.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The path as the user would name it; `-` for standard input.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its size, 0 for standard input.
    pub bytes: u64,
}

/// Files of a directory that are not data.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// How many there are.
    pub files: usize,
    /// One of them.
    pub example: Option<PathBuf>,
}

impl LeftOut {
    fn add(&mut self, path: PathBuf) {
        self.files += 1;
        self.example.get_or_insert(path);
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let example = self.example.as_deref().unwrap_or(Path::new(""));
        let example = example.display();
        match self.files {
            1 => write!(
                f,
                "left out 1 file that is neither Parquet nor Arrow IPC: {example}"
            ),
            n => write!(
                f,
                "left out {n} files that are neither Parquet nor Arrow IPC, {example} among them"
            ),
        }
    }
}

/// The files that `inputs` name, and what was left out of directories and globs. Files keep their
/// order; the contents of directories and globs come in lexicographic order.
pub(super) fn discover(inputs: &[OsString]) -> Result<(Vec<Input>, LeftOut), SourceError> {
    if inputs.is_empty() {
        return Err(SourceError::NoInput);
    }
    let mut found = Vec::new();
    let mut left = LeftOut::default();
    for input in inputs {
        // Decided before asking the file system; a file of this name is given as `./-`.
        if input == "-" {
            found.push(Input {
                path: PathBuf::from("-"),
                format: Format::Stdin,
                bytes: 0,
            });
            continue;
        }
        let path = Path::new(input);
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => directory(path, &mut found, &mut left)?,
            Ok(_) => {
                found.push(inspect(path.to_owned())?.map_err(|(path, told)| told.fault(&path))?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.to_str() {
                // Only what does not exist is a glob: a file may have `*` or `[` in its name.
                Some(text) if is_glob(input) => {
                    let paths = glob(text)?;
                    let before = found.len();
                    take(&paths, &mut found, &mut left)?;
                    // Nothing but other files: the first says what they are.
                    if let (true, Some(first)) = (found.len() == before, paths.first()) {
                        let other = inspect(first.clone())?;
                        found.push(other.map_err(|(path, told)| told.fault(&path))?);
                    }
                }
                _ => {
                    return Err(SourceError::NotFound {
                        path: path.to_owned(),
                    });
                }
            },
            Err(source) => return Err(unreadable(path, source)),
        }
    }
    Ok((found, left))
}

fn directory(path: &Path, found: &mut Vec<Input>, left: &mut LeftOut) -> Result<(), SourceError> {
    if let Some(table) = Table::around(path) {
        return Err(table.refusal(path));
    }
    let mut below = Below::of(path)?;
    if let Some(table) = below.tables.first() {
        return Err(table.refusal(&table.root));
    }
    walk::once(&mut below.files);
    let mut paths: Vec<PathBuf> = below.files.into_iter().map(|file| file.path).collect();
    sort(&mut paths);
    let before = (found.len(), left.files);
    take(&paths, found, left)?;
    if found.len() > before.0 {
        return Ok(());
    }
    let others = match left.files - before.1 {
        0 => String::new(),
        1 => " (one file in it is neither Parquet nor Arrow IPC)".to_owned(),
        n => format!(" ({n} files in it are neither Parquet nor Arrow IPC)"),
    };
    Err(SourceError::EmptyDirectory {
        path: path.to_owned(),
        others,
    })
}

/// Takes files that were found rather than named: those that are not data are left out.
fn take(paths: &[PathBuf], found: &mut Vec<Input>, left: &mut LeftOut) -> Result<(), SourceError> {
    for path in paths {
        match inspect(path.clone())? {
            Ok(input) => found.push(input),
            Err((path, told)) if is_named_as_data(&path) || told.is_other_data() => {
                return Err(told.fault(&path));
            }
            Err((path, _)) => left.add(path),
        }
    }
    Ok(())
}

/// Sorts full paths by their bytes, so that the order is the same on every machine.
fn sort(paths: &mut [PathBuf]) {
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
}

/// A file below a directory.
struct Below {
    files: Vec<Found>,
    /// Tables below it.
    tables: Vec<Table>,
}

/// A name of a file.
struct Found {
    path: PathBuf,
    inode: Inode,
    is_link: bool,
}

impl Named for Found {
    fn name(&self) -> (bool, &[u8]) {
        (self.is_link, self.path.as_os_str().as_bytes())
    }

    fn inode(&self) -> Inode {
        self.inode
    }
}

impl Below {
    /// All files below `top`, except those whose own or folder's name begins with `.` or `_`
    /// (`_SUCCESS`, `_metadata`, `.crc`: metadata of other programs).
    fn of(top: &Path) -> Result<Self, SourceError> {
        let meta = fs::metadata(top).map_err(|source| unreadable(top, source))?;
        let mut below = Self {
            files: Vec::new(),
            tables: Vec::new(),
        };
        let mut walk = Walk::from(top.to_owned(), &meta, None);
        while let Some(folder) = walk.next() {
            below.list(top, &folder, &mut walk)?;
        }
        Ok(below)
    }

    fn list(&mut self, top: &Path, folder: &Folder, walk: &mut Walk) -> Result<(), SourceError> {
        let path = folder.path.as_path();
        self.tables.extend(Table::at(path));
        let entries = fs::read_dir(path).map_err(|source| unreadable(path, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| unreadable(path, source))?;
            if walk::is_left_out(entry.file_name().as_encoded_bytes(), &[]) {
                continue;
            }
            let path = entry.path();
            // Whoever names a directory to read it once has looked into it.
            let target = Symlinks::Follow.target(&path, top);
            let target = target.map_err(|source| unreadable(&path, source))?;
            let Target::Found(meta, is_link) = target else {
                continue;
            };
            // Checked while listing, so that a mistaken `/` ends early instead of filling the
            // memory.
            let mut is_fine = self.files.len() < FILES_MAX;
            if meta.is_dir() {
                is_fine &= walk.found(folder, path, &meta, is_link, None);
            } else {
                self.files.push(Found {
                    path,
                    inode: walk::inode(&meta),
                    is_link,
                });
            }
            if !is_fine {
                return Err(SourceError::TooMany {
                    path: top.to_owned(),
                    limit: FILES_MAX,
                    depth: DEPTH_MAX,
                });
            }
        }
        Ok(())
    }
}

/// Files that match.
fn glob(text: &str) -> Result<Vec<PathBuf>, SourceError> {
    let (base, matcher) = place::glob(text).map_err(|reason| SourceError::Glob {
        glob: text.to_owned(),
        reason,
    })?;
    let bare = base.as_os_str().is_empty();
    let start = if bare { Path::new(".") } else { base.as_path() };
    let (mut files, mut tables) = (Vec::new(), Vec::new());
    if start.is_dir() {
        let below = Below::of(start)?;
        files = below.files;
        tables.extend(Table::around(start));
        tables.extend(below.tables);
    }
    // What lies above the start holds all of it.
    let is_inside = |path: &Path, table: &Table| {
        path.starts_with(&table.root) || !table.root.starts_with(start)
    };
    let table_of = |path: &Path| tables.iter().find(|table| is_inside(path, table));
    // The walk of `.` writes `./a`; the glob says `a`.
    let shown = |path: PathBuf| -> PathBuf {
        if bare {
            path.components()
                .filter(|part| *part != Component::CurDir)
                .collect()
        } else {
            path
        }
    };
    let mut matching = Vec::new();
    for mut file in files {
        let table = table_of(&file.path);
        file.path = shown(file.path);
        if !matcher.is_match(&file.path) {
            continue;
        }
        if let Some(table) = table {
            return Err(table.refusal(&file.path));
        }
        matching.push(file);
    }
    walk::once(&mut matching);
    let mut paths: Vec<PathBuf> = matching.into_iter().map(|file| file.path).collect();
    if paths.is_empty() {
        return Err(SourceError::NotFound {
            path: PathBuf::from(text),
        });
    }
    sort(&mut paths);
    Ok(paths)
}

/// A file with its format, or with what its first bytes say if the format is unknown.
fn inspect(path: PathBuf) -> Result<Result<Input, (PathBuf, Told)>, SourceError> {
    let opened = File::open(&path).and_then(|file| Ok((Told::of(&file)?, file.metadata()?.len())));
    let (told, bytes) = opened.map_err(|source| unreadable(&path, source))?;
    Ok(match told.format {
        Some(format) => Ok(Input {
            path,
            format,
            bytes,
        }),
        None => Err((path, told)),
    })
}
