//! State and positions ↔ one atomic file, and the journal of decisions between two.
//!
//! [`Store`] keeps two generations of a checkpoint, and beside them the entries that they name
//! instead of holding ([`Mark`]); [`Journal`] what was decided after them;
//! [`StateLock`] keeps a second daemon out. Every write goes through a [`crate::disk::Disk`].
//! `docs/checkpoint.md` tells the formats byte by byte, and why every instant is safe.

mod error;
mod format;
mod journal;
mod lock;
mod log;
mod store;

pub use error::CheckpointError;
pub use format::{Checkpoint, Section};
pub use journal::{Entry, Journal};
pub use lock::StateLock;
pub use log::{Change, Mark, read as read_entries};
pub use store::{Loaded, Store};
