//! Errors of building a [`Pca`](super::Pca) and of updating it.

use crate::learner::LearnError;

/// The reason why a [`Pca`](super::Pca) was not built.
///
/// ```
/// use ojad_core::{BuildError, Pca};
///
/// let error = Pca::builder().components(0).build(3).unwrap_err();
/// assert!(matches!(error, BuildError::Parameter { parameter: "components", .. }));
/// assert_eq!(error.to_string(), "components: must be at least 1");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A parameter out of its range.
    #[error("{parameter}: {reason}")]
    Parameter {
        /// Name of the builder's method.
        parameter: &'static str,
        /// The condition that it must meet.
        reason: &'static str,
    },
    /// More components than features.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// The reason why rows were not learned.
///
/// ```
/// use ojad_core::{Pca, Rows, UpdateError};
///
/// let mut pca = Pca::builder().components(1).build(3)?;
/// let error = pca.update(&Rows::from_f64(&[1.0, 2.0], 2)).unwrap_err();
/// assert_eq!(error, UpdateError::Features { expected: 3, found: 2 });
/// assert_eq!(pca.rows(), 0);
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// Rows with another number of features.
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
        /// Row of the call, counted from 0.
        row: usize,
        /// Number of the feature, from 0.
        feature: usize,
        /// The refused value.
        value: f64,
        /// Largest magnitude at this precision.
        limit: f64,
    },
    /// The computation failed; the model is no longer usable.
    #[error(transparent)]
    Learn(#[from] LearnError),
}
