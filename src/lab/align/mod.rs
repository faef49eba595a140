//! Learning without weight transport.

mod network;
pub mod primitives;
mod rules;
mod task;
mod train;

pub use network::{Gradient, Layer, Network, Nonlinearity, Pass, accuracy, cross_entropy};
pub use rules::{Probe, Regularization, Rule};
pub use task::{CLASSES_MAX, Part, ROWS_MIN, Task, TaskError};
pub use train::{Epoch, Setup, Trainer, start, train};
