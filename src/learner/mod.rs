//! Minibatches in, state, estimate out.

mod estimate;

pub use estimate::Estimate;
