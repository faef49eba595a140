//! Threads, channels, draining.
//!
//! A reader thread decodes ahead into a few reused minibatches that go round in two bounded
//! channels; the trainer owns the learner. Borders of minibatches and the order of sums depend on
//! positions only, so one thread or two, and any channel size, give the same bits.

mod fit;
mod reader;
pub mod run;
mod shutdown;

pub use fit::{FitError, Fitted, Progress, Room, fit};
pub use shutdown::Shutdown;
