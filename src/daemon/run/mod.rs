//! The daemon: follows inputs for ever, and loses nothing.
//!
//! Three threads. The feeder decides whose turn it is, writes each decision to the journal before it
//! acts on it, and fills minibatches. The trainer learns from them and owns the state that a
//! checkpoint holds; what is to be seen of it goes into the cells of `published`. The publisher writes checkpoints and snapshots from copies, so that a slow disk
//! stalls nobody; at most one of each is on its way.

mod belonging;
mod crash_marker;
mod decision;
mod feeder;
mod history;
mod messages;
mod params;
mod publisher;
mod restore;
mod schedule;
mod signals;
mod surroundings;
mod systemd;
mod trainer;

pub use messages::{Command, Outcome, RunError};
pub use params::{Begin, RunParams, Until};
pub use restore::{Meta, Restored, files_of, inspect};
pub use signals::commands;
pub use surroundings::{Begun, Surroundings};
pub use trainer::run;
