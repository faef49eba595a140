//! Minibatches in, state, estimate out.

pub mod block;
pub mod center;
mod estimate;
mod exact;
pub mod moments;
mod params;
pub mod probes;
pub mod subspace;

pub use estimate::Estimate;
pub use params::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};
