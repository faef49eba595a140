//! State and positions ↔ one atomic file, and the journal of decisions between two.
//!
//! [`Store`] keeps two generations of a checkpoint; [`Journal`] what was decided after them;
//! [`StateLock`] keeps a second daemon out. Every write goes through a [`crate::disk::Disk`].
//! `docs/checkpoint.md` tells the formats byte by byte, and why every instant is safe.

mod error;
mod format;
mod journal;
mod lock;
mod store;

pub use error::CheckpointError;
pub use format::{Checkpoint, Section};
pub use journal::{Entry, Journal};
pub use lock::StateLock;
pub use store::{Loaded, Store};
