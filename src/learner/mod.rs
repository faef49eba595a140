//! Minibatches in, state, estimate out.

pub mod block;
pub mod center;
mod estimate;
pub mod moments;
mod params;

pub use estimate::Estimate;
pub use params::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};
