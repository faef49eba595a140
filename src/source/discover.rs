//! INPUT arguments → files, in the order of reading, each with its format.
//!
//! A format is told by the first bytes of a file, never by its name. Refused: empty files, files
//! of other formats, directories without data.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

use super::SourceError;

/// Files that one run takes: a list of a million paths is some 100 MB.
const FILES_MAX: usize = 1_000_000;
/// Levels of directories below an input: a loop of symbolic links ends here.
const DEPTH_MAX: usize = 64;

/// How the bytes of an input are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `PAR1`.
    Parquet,
    /// `ARROW1`: Arrow IPC with a footer, also called Feather version 2.
    IpcFile,
    /// Messages one after another.
    IpcStream,
    /// The same on standard input.
    Stdin,
}

impl Format {
    /// The number that stands for it in stored data.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Parquet => 0,
            Self::IpcFile => 1,
            Self::IpcStream => 2,
            Self::Stdin => 3,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::IpcFile => "Arrow IPC file",
            Self::IpcStream | Self::Stdin => "Arrow IPC stream",
        }
    }

    /// The format of a stored number.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Parquet, Self::IpcFile, Self::IpcStream, Self::Stdin]
            .into_iter()
            .find(|format| format.code() == code)
    }
}

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

/// The files that `inputs` name: files as they are, directories and globs in lexicographic order.
pub(super) fn discover(inputs: &[OsString]) -> Result<Vec<Input>, SourceError> {
    if inputs.is_empty() {
        return Err(SourceError::NoInput);
    }
    let mut found = Vec::new();
    for input in inputs {
        if input == "-" {
            found.push(Input {
                path: PathBuf::from("-"),
                format: Format::Stdin,
                bytes: 0,
            });
            continue;
        }
        for path in files(Path::new(input))? {
            found.push(inspect(path)?);
        }
    }
    Ok(found)
}

fn files(input: &Path) -> Result<Vec<PathBuf>, SourceError> {
    match fs::metadata(input) {
        Ok(meta) if meta.is_dir() => {
            let mut paths = Vec::new();
            walk(input, input, 0, &mut paths)?;
            if paths.is_empty() {
                return Err(SourceError::EmptyDirectory {
                    path: input.to_owned(),
                });
            }
            sort(&mut paths);
            Ok(paths)
        }
        Ok(_) => Ok(vec![input.to_owned()]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match input.to_str() {
            Some(text) if text.contains(['*', '?', '[', '{']) => glob(text),
            _ => Err(SourceError::NotFound {
                path: input.to_owned(),
            }),
        },
        Err(source) => Err(unreadable(input, source)),
    }
}

/// Full paths in the order of their bytes, on every machine the same.
fn sort(paths: &mut [PathBuf]) {
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
}

/// Files below `folder`, but those whose name, or whose folder's, begins with `.` or `_`
/// (`_SUCCESS`, `_metadata`, `.crc`: notes of other programs).
fn walk(
    top: &Path,
    folder: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
) -> Result<(), SourceError> {
    let entries = fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        let name = entry.file_name();
        if matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')) {
            continue;
        }
        let path = entry.path();
        let meta = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
        if paths.len() >= FILES_MAX || depth >= DEPTH_MAX {
            return Err(SourceError::TooMany {
                path: top.to_owned(),
                limit: FILES_MAX,
                depth: DEPTH_MAX,
            });
        }
        if meta.is_dir() {
            walk(top, &path, depth + 1, paths)?;
        } else if meta.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

/// Files that match; `*` stays within a folder, `**` goes below.
fn glob(text: &str) -> Result<Vec<PathBuf>, SourceError> {
    let matcher = GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|error| SourceError::Glob {
            glob: text.to_owned(),
            reason: error.kind().to_string(),
        })?
        .compile_matcher();
    let path = Path::new(text);
    let mut base = PathBuf::new();
    for part in path.components() {
        if part
            .as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', '{'])
        {
            break;
        }
        base.push(part);
    }
    let bare = base.as_os_str().is_empty();
    let start = if bare { Path::new(".") } else { base.as_path() };
    let mut paths = Vec::new();
    if start.is_dir() {
        walk(start, start, 0, &mut paths)?;
    }
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
    let mut paths: Vec<_> = paths
        .into_iter()
        .map(shown)
        .filter(|path| matcher.is_match(path))
        .collect();
    if paths.is_empty() {
        return Err(SourceError::NotFound {
            path: PathBuf::from(text),
        });
    }
    sort(&mut paths);
    Ok(paths)
}

/// Tells the format by the first bytes.
fn inspect(path: PathBuf) -> Result<Input, SourceError> {
    let mut head = [0_u8; 8];
    let (filled, bytes) = match read_head(&path, &mut head) {
        Ok(read) => read,
        Err(source) => return Err(unreadable(&path, source)),
    };
    let head = &head[..filled];
    if head.is_empty() {
        return Err(SourceError::EmptyFile { path });
    }
    let format = match magic(head) {
        Some(format) => format,
        None if head.starts_with(b"FEA1") => return Err(SourceError::FeatherV1 { path }),
        None => {
            return Err(SourceError::UnknownFormat {
                path,
                found: format!("\"{}\"", head.escape_ascii()),
            });
        }
    };
    Ok(Input {
        path,
        format,
        bytes,
    })
}

/// The format whose files begin with `head`.
pub(super) fn magic(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"PAR1") {
        Some(Format::Parquet)
    } else if head.starts_with(b"ARROW1") {
        Some(Format::IpcFile)
    } else if head.starts_with(&[0xFF; 4]) {
        Some(Format::IpcStream)
    } else {
        None
    }
}

fn read_head(path: &Path, head: &mut [u8]) -> io::Result<(usize, u64)> {
    let mut file = File::open(path)?;
    let filled = fill(&mut file, head)?;
    Ok((filled, file.metadata()?.len()))
}

/// Reads until `head` is full or the end.
pub(super) fn fill(from: &mut impl Read, head: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < head.len() {
        match from.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> SourceError {
    SourceError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
