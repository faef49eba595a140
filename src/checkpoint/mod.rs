//! State and positions ↔ one atomic file, and the journal of decisions between two.
//!
//! [`Store`] keeps two generations of a checkpoint, and beside them the entries that they name
//! instead of holding ([`Mark`]); [`Journal`] what was decided after them;
//! [`StateLock`] keeps a second daemon out, [`RunFile`] says whose they are. Every write goes through a [`crate::disk::Disk`].
//! `docs/checkpoint.md` tells the formats byte by byte, and why every instant is safe.

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
