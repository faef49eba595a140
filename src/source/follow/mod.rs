//! Growing inputs: which files are new and complete, and which is next.
//!
//! In: directories, globs and files, and what was already taken ([`IngestState`]). Out: segments in a
//! defined order, each exactly once, and notes about files that wait or are refused. Nothing here
//! decodes: heads and tails are compared as bytes.

mod codec;
mod entry;
mod files;
mod follower;
mod keys;
mod params;
mod pull;
mod push;
mod scan;
mod shared;
mod spool;
mod state;
mod watch;

pub use entry::{FileEntry, FileState};
pub use files::{FileChange, FileLoader, FileTable};
pub use follower::{Follower, NextSegment, ScanResult};
pub use keys::{KEYS_MAX, PushName, PushedKeys, Settled};
pub use params::{FollowParams, OnCopy, Order};
pub use pull::{Arrival, Connect, Source};
pub use push::{Flaw, Kept, Known, Push, Stage};
pub use spool::{Connections, Spool, SpoolError, SpoolInput};
pub use state::{Event, IngestState, Quarantined};
pub use watch::Wake;

pub use super::walk::Symlinks;
