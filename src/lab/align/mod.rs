//! Learning without weight transport.

mod compare;
mod figure;
mod network;
pub mod primitives;
mod rules;
mod task;
mod train;

pub use compare::{Run, Spread, compare, of_rule};
pub use figure::figure;
pub use network::{Gradient, Layer, Network, Nonlinearity, Pass, accuracy, cross_entropy};
pub use rules::{Probe, Regularization, Rule};
pub use task::{CLASSES_MAX, Part, ROWS_MIN, Task, TaskError};
pub use train::{Epoch, Setup, SetupError, Trainer, UNITS_MAX, start, train};
