//! Inputs that grow: which files are new, whole, and whose turn it is.
//!
//! In: directories, globs and files, and what was taken before ([`FeedState`]). Out: segments in a
//! stated order, each exactly once, and notes about those that wait or are refused. Nothing here
//! decodes: heads and tails are compared as bytes.

mod codec;
mod files;
mod pull;
mod push;
mod scan;
mod spool;
mod state;
mod verdict;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use files::{FileChange, FileLoader, FileTable};
pub use pull::{Arrival, Connect, Source};
pub use push::{Flaw, KEYS_MAX, Kept, Known, Push, PushName, PushedKeys, Settled, Stage};
pub use spool::{Connections, Spool, SpoolError, SpoolInput};
pub use state::{Event, FeedState, FileEntry, FileState, Quarantined, Reading};
pub use verdict::{Follower, Found, Take};
pub use watch::Wake;

pub use super::walk::Symlinks;

/// In which order new files are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By path, byte by byte.
    #[default]
    Name,
    /// By time of the last change, then by path.
    Changed,
}

/// What a file does that holds what was learned from one that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCopy {
    /// Nothing: it is that file.
    #[default]
    Leave,
    /// It is learned as a new one.
    Learn,
}

/// What to follow and how.
#[derive(Clone, Debug, Default)]
pub struct FollowParams {
    /// Directories, globs and files.
    pub places: Vec<PathBuf>,
    /// The order of new files.
    pub order: Order,
    /// Names with these endings are not looked at.
    pub ignore_suffixes: Vec<String>,
    /// Where symbolic links may lead.
    pub symlinks: Symlinks,
    /// What a file does that holds what was learned from one that is gone.
    pub on_copy: OnCopy,
    /// Where the daemon keeps files of its own, each under a name that no other ever has.
    pub spool: Option<PathBuf>,
    /// How long a file may stay without its footer.
    pub incomplete_age: Duration,
}
