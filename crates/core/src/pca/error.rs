//! Why a [`Pca`](super::Pca) could not be built or did not take rows.

use crate::learner::LearnError;

/// Why a [`Pca`](super::Pca) was not built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A parameter out of its range.
    #[error("{parameter}: {reason}")]
    Parameter {
        /// Name of the builder's method.
        parameter: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// More components than features.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// Why rows were not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// Rows of another width.
    #[error("the rows have {found} features, the model {expected}")]
    Features {
        /// m of the model.
        expected: usize,
        /// m of the rows.
        found: usize,
    },
    /// A value that no row may hold; none of the rows was taken.
    #[error(
        "row {row}, feature {feature} (both from 0): {value} cannot be learned; leave the row out, set \
         `missing(Missing::Mean)` for NaN, or keep magnitudes below {limit:e}"
    )]
    Value {
        /// Row of the call, from 0.
        row: usize,
        /// Feature, from 0.
        feature: usize,
        /// The value.
        value: f64,
        /// Largest magnitude at this precision.
        limit: f64,
    },
    /// The algebra failed.
    #[error(transparent)]
    Learn(#[from] LearnError),
}
