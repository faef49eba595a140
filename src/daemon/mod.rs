//! Threads, channels, draining.
//!
//! A reader thread decodes ahead into a few reused minibatches that circulate through two bounded
//! channels; the trainer owns the learner. Minibatch boundaries and the order of sums depend only
//! on positions, so one thread or two, and any channel size, give bit-identical results.

mod fit;
mod reader;
pub mod run;
mod shutdown;

pub use fit::{FitError, Fitted, Progress, Room, fit};
pub use shutdown::Shutdown;
