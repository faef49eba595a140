//! State and positions ↔ one atomic file, and the journal of decisions between two.
//!
//! [`Store`] keeps two generations of a checkpoint, and next to them the entries that they refer to
//! ([`Mark`]); [`Journal`] keeps later decisions; [`StateLock`] keeps a second daemon out;
//! [`RunFile`] records the run they belong to. Every write goes through a [`crate::disk::Disk`].
//! `docs/checkpoint.md` describes the formats byte by byte, and why a crash is safe at any instant.

mod error;
mod format;
mod journal;
mod lock;
mod log;
mod run_file;
mod store;

pub use error::CheckpointError;
pub use format::{Checkpoint, Section};
pub use journal::{Entry, Journal, Recorded};
pub use lock::StateLock;
pub use log::{Change, Mark, read as read_entries};
pub use run_file::{Over, RunFile};
pub use store::{Loaded, Store};
