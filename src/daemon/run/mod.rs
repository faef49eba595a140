//! The daemon: it follows inputs for ever and loses nothing.
//!
//! Three threads. The ingest thread decides which file is next, writes each decision to the journal before
//! acting on it, and fills minibatches. The trainer learns from them and owns the state that a
//! checkpoint holds; the visible part goes into the cells of `published`. The publisher writes
//! checkpoints and snapshots from copies, so that a slow disk stalls nobody; at most one of each is
//! in progress.

mod belonging;
mod crash_marker;
mod decision;
mod history;
mod ingest;
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
