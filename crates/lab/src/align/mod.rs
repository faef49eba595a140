//! Learning without weight transport: a network whose error is propagated by separate backward
//! weights.
//!
//! In: labelled rows in memory. Out: for every rule and seed the loss, the accuracy and the angles after each
//! epoch, and a figure of them. Refuses rows without classes, and networks without layers.
//!
//! A layer has forward weights W and backward weights B. W moves by the pseudogradient, which is the chain
//! rule with B in the place of Wᵀ; B moves by a layer-wise regularization R(W, B, x), a sum of
//! [`primitives`]. [`Rule::regularization`] says which primitives make up which rule. R moves B alone, W
//! learns from the error alone, and y = x·Wᵀ has neither bias nor nonlinearity. The first layer's B would
//! have no layer to inform, so it takes part in nothing.
//!
//! # Differences from the paper
//!
//! - Strengths of primitives are those of one step of B, apart from the learning rate of W.
//! - Where a rule uses its layer's own activity, every unit is standardized over the batch, as the batch
//!   normalization of the paper's networks does in effect.
//! - Information alignment is there on activity and on noise. On activity with covariance C it ends at
//!   B = αCWᵀ(βI + γWCWᵀ)⁻¹, whose angle to Wᵀ is set by the shape of C and can stay large; on noise C is I,
//!   and the angle becomes small. A step of P_null is stable while γ times the largest eigenvalue of the
//!   second moment of y is below 2.
//!
//! # Defaults
//!
//! [`Setup::default`] is five hidden layers of 50 tanh units: deep enough that fixed feedback falls behind on
//! a few thousand small images, and wide enough that a layer's activity informs the next. One learning rate
//! serves all rules, and a comparison holds at that rate only: with larger steps fixed feedback catches up on
//! easy data, and a B longer than W speeds up the layers below it without pointing better.
//! `docs/why-it-works.md` has the figures.
//!
//! # Sources
//!
//! Kunin, Nayebi, Sagastuy-Brena, Ganguli, Bloom, Yamins, *Two Routes to Scalable Credit Assignment without
//! Weight Symmetry* (ICML 2020; "Kunin 2020"), and the authors' code. Feedback alignment: Lillicrap,
//! Cownden, Tweed, Akerman, *Random synaptic feedback weights support error backpropagation for deep
//! learning* (Nature Communications 2016). Weight mirror: Akrout, Wilson, Humphreys, Lillicrap, Tweed, *Deep
//! Learning without Weight Transport* (NeurIPS 2019).

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
