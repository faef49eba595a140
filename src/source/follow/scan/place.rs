//! A place of the configuration: a directory, a glob, or a file.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Where a place begins, and what belongs to it.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory or file, for a glob the directory where it starts.
    pub root: PathBuf,
    /// The same without symbolic links.
    pub whole: PathBuf,
    /// The glob.
    pub matcher: Option<GlobMatcher>,
}

impl Place {
    /// What the configuration says.
    ///
    /// # Errors
    /// Why it is no glob.
    pub(super) fn of(path: &Path) -> Result<Self, String> {
        let (root, matcher) = match glob(path)? {
            Some((root, matcher)) => (root, Some(matcher)),
            None => (path.to_owned(), None),
        };
        Ok(Self {
            whole: fs::canonicalize(&root).unwrap_or_else(|_| root.clone()),
            root,
            matcher,
        })
    }
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
