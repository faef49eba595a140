//! Regularized linear autoencoders in memory: every algorithm that learns them, what the theorems
//! say about each, and the figures that compare the two.
//!
//! In: a few thousand rows of a few hundred features, held whole. Out: trajectories, comparisons,
//! figures ([`ojad_plot::Sheet`]), and the files and answers of a page. It reads no files and
//! serves nothing: the program `ojad` does both, and draws the figures. It is not meant for
//! learning from a feed.
//!
//! Everything follows two papers: Kunin, Bloom, Goeva, Seed, *Loss Landscapes of Regularized
//! Linear Autoencoders* (ICML 2019; "Kunin 2019" below) and Bao, Lucas, Sachdeva, Grosse,
//! *Regularized linear autoencoders recover the principal components, eventually* (NeurIPS 2020;
//! "Bao 2020"). [`align`] follows Kunin, Nayebi, Sagastuy-Brena, Ganguli, Bloom, Yamins, *Two
//! Routes to Scalable Credit Assignment without Weight Symmetry* (ICML 2020). [`uncertainty`] stands
//! apart: it measures how far the streaming learner's own numbers can be trusted.

pub mod algorithm;
pub mod align;
pub mod compare;
pub mod data;
pub mod figures;
pub mod loss;
pub mod page;
pub mod problem;
pub mod scalar;
pub mod theory;
pub mod train;
pub mod uncertainty;
pub mod weights;

use ojad_core::{BuildError, LearnError, LinalgError, MergeError, UpdateError};

/// A reason why an experiment has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A value stopped being finite.
    #[error("a value is NaN or infinite; clean the rows, or use a smaller step")]
    NotFinite,
    /// A loss that has no meaning.
    #[error("{why}")]
    Loss {
        /// The number that does not fit, and what would.
        why: String,
    },
    /// The streaming learner refused.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The library refused its settings.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The library refused rows.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The library refused to merge.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A law of rows without a variance.
    #[error("degrees of freedom: {freedom} leave Student's t without a variance; use more than 2")]
    Law {
        /// Degrees of freedom.
        freedom: f64,
    },
}

impl From<LinalgError> for LabError {
    /// Symmetric matrices that the lab decomposes fail for one reason only.
    fn from(_: LinalgError) -> Self {
        Self::NotFinite
    }
}
