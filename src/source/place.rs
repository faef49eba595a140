//! A place to look for files: a directory, a glob, or a file.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Root of a place, and the rule for what belongs to it.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory or file; for a glob, the directory where it starts.
    pub root: PathBuf,
    /// The same without symbolic links.
    pub whole: PathBuf,
    /// The glob.
    pub matcher: Option<GlobMatcher>,
}

impl Place {
    /// The place that a path or a glob denotes.
    ///
    /// # Errors
    /// Why it is not a glob.
    pub(super) fn of(path: &Path) -> Result<Self, String> {
        let (root, matcher) = if is_glob(path.as_os_str()) && fs::symlink_metadata(path).is_err() {
            let text = path.to_str().ok_or("a glob must be UTF-8")?;
            let (root, matcher) = glob(text).map_err(|reason| format!("not a glob: {reason}"))?;
            (root, Some(matcher))
        } else {
            (path.to_owned(), None)
        };
        Ok(Self {
            whole: fs::canonicalize(&root).unwrap_or_else(|_| root.clone()),
            root,
            matcher,
        })
    }
}

/// True if it is a glob, unless a file has that name.
pub(super) fn is_glob(text: &OsStr) -> bool {
    let bytes = text.as_encoded_bytes();
    bytes.iter().any(|byte| b"*?[{".contains(byte))
}

/// The directory where a glob starts, and the glob: `*` stays within a directory, `**` goes below, and a
/// slash at the end means everything below the directories that match.
///
/// # Errors
/// Why it is not a glob.
pub(super) fn glob(text: &str) -> Result<(PathBuf, GlobMatcher), String> {
    // With a slash behind it, it means directories, and so what is below them.
    let below = text
        .ends_with('/')
        .then(|| format!("{}/**", text.trim_end_matches('/')));
    let text = below.as_deref().unwrap_or(text);
    // As in a shell, `*` stops at a slash; only `**` goes below.
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let matcher = glob
        .map_err(|error| error.kind().to_string())?
        .compile_matcher();
    let parts = Path::new(text).components();
    let root = parts.take_while(|part| !is_glob(part.as_os_str()));
    Ok((root.collect(), matcher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_means_what_is_below() {
        for (text, below) in [("plant/2026-*/", true), ("plant/2026-*", false)] {
            let (root, matcher) = glob(text).unwrap();
            assert_eq!(root, Path::new("plant"));
            assert_eq!(matcher.is_match("plant/2026-01/a.parquet"), below, "{text}");
            assert_eq!(matcher.is_match("plant/2026-01/deep/a.parquet"), below);
            assert!(!matcher.is_match("plant/2025-12/a.parquet"));
        }
    }
}
