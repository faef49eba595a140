//! Minibatches in, state, estimate out.
//!
//! [`new`] returns the [`Learner`] that the parameters describe. Underneath, [`moments`] centres
//! and scales a minibatch into a [`block`], an [`engine`] (the closed form on held directions, on
//! all directions or in full precision; Oja's rule; the matrix step) learns from it, and
//! [`fourth_moments`] gathers what the error bars need. A [`Summary`] is the state as plain data.

mod above_noise;
pub mod block;
pub mod center;
pub mod drift;
pub mod engine;
mod error_bars;
mod estimate;
pub mod fourth_moments;
pub mod full_covariance;
mod in_force;
mod limits;
pub mod long_run;
pub mod low_rank;
pub mod merge;
mod merge_bars;
pub mod moments;
mod monitor;
pub mod noise;
mod noise_edge;
mod noise_gap;
mod noise_rule;
pub mod oja;
mod params;
pub mod product_float;
pub mod qr_f64;
mod quantile;
mod ramp;
mod row_noise;
pub mod run_means;
mod saved;
mod standardized;
mod state;
mod streaming;
mod summary;
mod tails;
mod typical;
mod widening;

pub use estimate::{Certainty, Estimate, Unresolved};
use full_covariance::FullCovariance;
pub(crate) use in_force::Rest;
pub(crate) use limits::fit;
pub use limits::{Limits, Method, ParetoTail, ReferenceDistribution};
pub use long_run::LongRun;
pub use merge::{MergeError, merge, merge_all};
pub use monitor::Monitor;
pub use noise_rule::NoiseRule;
use oja::{MatrixStep, Oja};
pub use params::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};
use qr_f64::QrF64;
pub use row_noise::NoiseRows;
use streaming::Streaming;
pub use summary::Summary;
use widening::Widening;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::linalg::LinalgError;
use crate::rows::Minibatch;

/// Why a minibatch could not be learned from.
///
/// ```
/// use ojad_core::{BuildError, LearnError, Pca};
///
/// let error = Pca::builder().components(4).build(3).unwrap_err();
/// let expected = LearnError::TooManyComponents { components: 4, features: 3 };
/// assert_eq!(error, BuildError::Learn(expected));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// More components than features.
    #[error(
        "components = {components}, but there are only {features} features; \
         ask for at most {features}"
    )]
    TooManyComponents {
        /// Components asked for, k.
        components: usize,
        /// Number of features, m.
        features: usize,
    },
    /// A minibatch with another number of features.
    #[error("a minibatch has {found} features, the learner {expected}")]
    Features {
        /// m of the learner.
        expected: usize,
        /// m of the minibatch.
        found: usize,
    },
    /// The squares of a feature's values are too small for f64.
    #[error(
        "after row {first_row}, feature {name}: its values vary by so little (below 1e-145) that their \
         squares are lost: multiply the column by a power of ten and read it again, or leave it out \
         (`--exclude`; `features.exclude`)"
    )]
    TooSmall {
        /// Accepted rows before the minibatch.
        first_row: u64,
        /// The feature, from 0.
        feature: usize,
        /// Name of the feature: its number, until [`LearnError::of`] is given the names.
        name: String,
    },
    /// The state stopped being finite.
    #[error(
        "after row {first_row}: {source}; its values are too large or too small for this precision: \
         set `learner.precision = \"f64\"`, use other units, or clean the row"
    )]
    NotFinite {
        /// Accepted rows before the minibatch.
        first_row: u64,
        /// Error of the factorization that failed.
        source: LinalgError,
    },
}

impl LearnError {
    /// The error of this feature, by its number.
    fn too_small(first_row: u64, feature: usize) -> Self {
        Self::TooSmall {
            first_row,
            feature,
            name: format!("number {}", feature + 1),
        }
    }

    /// Replaces a feature's number by its name.
    #[must_use]
    pub fn of(mut self, names: &[String]) -> Self {
        if let Self::TooSmall { feature, name, .. } = &mut self
            && let Some(known) = names.get(*feature)
        {
            *name = format!("`{known}`");
        }
        self
    }
}

/// A rule that learns from minibatches, and what it has learned.
pub trait Learner: Send {
    /// Learns the rows of a minibatch in O(b·m·r) time, and returns the minibatch empty, ready to
    /// be refilled.
    ///
    /// The minibatch is taken by value because its values are centred in place: if it were learned
    /// again, the rows would be different ones.
    ///
    /// ```compile_fail,E0382
    /// use ojad_core::learner::{LearnerParams, new};
    /// use ojad_core::rows::Minibatch;
    ///
    /// let mut learner = new(&LearnerParams::default(), 20).unwrap();
    /// let batch = Minibatch::from_rows(&[0.5; 100 * 20], 20);
    /// learner.update(batch).unwrap();
    /// learner.update(batch).unwrap(); // use of moved value: `batch`
    /// ```
    ///
    /// # Errors
    /// If the minibatch has another number of features or a value that is not a finite number. The
    /// minibatch is then dropped.
    fn update(&mut self, batch: Minibatch) -> Result<Minibatch, LearnError>;

    /// The state as plain data.
    ///
    /// # Errors
    /// If the state is not finite.
    fn summary(&self) -> Result<Summary, LearnError>;

    /// The parameters it was created with.
    fn params(&self) -> &LearnerParams;

    /// Number of rows learned from.
    fn rows(&self) -> u64;

    /// A learner of the same kind and parameters that has learned nothing.
    ///
    /// # Errors
    /// If there are fewer features than components.
    fn fresh(&self, features: usize) -> Result<Box<dyn Learner>, LearnError> {
        new(self.params(), features)
    }

    /// Writes everything that later updates depend on.
    fn save(&self, to: &mut Encoder);

    /// Restores what a learner with the same parameters and features wrote; it then continues bit
    /// for bit.
    ///
    /// # Errors
    /// If the bytes are not a saved state; the learner is then unusable.
    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError>;

    /// The components and everything known about them.
    ///
    /// # Errors
    /// If the state is not finite.
    fn estimate(&self) -> Result<Estimate, LearnError> {
        let params = self.params();
        Ok(self.summary()?.estimate(params.components, params.penalty))
    }
}

/// Returns the summary of `learner` as if it had learned `waiting` too: a copy learns these rows
/// and is dropped, so that the boundaries of minibatches, and with them the bits of the state, do
/// not depend on who looked and when.
///
/// # Errors
/// If the state is not finite, or becomes so.
pub fn summary_with(learner: &dyn Learner, mut waiting: Minibatch) -> Result<Summary, LearnError> {
    let mut bytes = Encoder::new();
    learner.save(&mut bytes);
    let bytes = bytes.into_bytes();
    let mut copy = learner.fresh(waiting.features())?;
    // What was just written is refused only where a number of it is not finite.
    let restored = copy.restore(&mut Decoder::new("learner", &bytes));
    restored.map_err(|_| LearnError::NotFinite {
        first_row: learner.rows(),
        source: LinalgError::NoConvergence,
    })?;
    waiting.set_first_row(learner.rows());
    copy.update(waiting)?;
    copy.summary()
}

/// The learner that `params` describe, for `features` features.
///
/// # Errors
/// If there are fewer features than components.
pub fn new(params: &LearnerParams, features: usize) -> Result<Box<dyn Learner>, LearnError> {
    let k = params.components;
    if k > features {
        return Err(LearnError::TooManyComponents {
            components: k,
            features,
        });
    }
    let (max_rank, rows) = (params.max_rank(features), params.minibatch_rows(features));
    let params = params.clone();
    Ok(match (params.rule, params.precision) {
        (Rule::ClosedForm, Precision::F64) => {
            let engine = QrF64::new(features, max_rank);
            Box::new(Streaming::new(params, features, rows, engine))
        }
        (Rule::ClosedForm, Precision::F32) if FullCovariance::pays(features, max_rank) => {
            let engine = FullCovariance::new(features, max_rank);
            Box::new(Streaming::new(params, features, rows, engine))
        }
        (Rule::ClosedForm, Precision::F32) => Box::new(Widening::new(params, features, rows)),
        (Rule::Oja(step), _) => {
            let engine = Oja::new(features, &params, step);
            Box::new(Streaming::new(params, features, rows, engine))
        }
        (Rule::MatrixStep { c }, _) => {
            let engine = MatrixStep::new(features, &params, c);
            Box::new(Streaming::new(params, features, rows, engine))
        }
    })
}
