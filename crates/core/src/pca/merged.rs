//! The combined state of several models.

use crate::learner::{Estimate, Penalty, Summary};

/// The state of the rows of several models, as [`Pca::merge`](super::Pca::merge) returns it.
///
/// ```
/// use ojad_core::{Pca, Penalty, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..4000).map(|i| (i as f64 * 0.37).sin()).collect();
/// let mut parts = Vec::new();
/// for shard in values.chunks(1000) {
///     let mut pca = Pca::builder().components(2).build(4)?;
///     pca.update(&Rows::from_f64(shard, 4))?;
///     parts.push(pca);
/// }
/// let merged = Pca::merge(&parts)?;
/// assert_eq!((merged.rows(), merged.features()), (1000, 4));
/// assert_eq!(merged.estimate(2, Penalty::Auto).eigenvalues.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Merged(pub(super) Summary);

impl Merged {
    /// The number of features, m.
    pub fn features(&self) -> usize {
        self.0.features()
    }

    /// The number of rows that all parts have learned.
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// The first `components` components with their standard errors, and the moments of the features.
    pub fn estimate(&self, components: usize, penalty: Penalty) -> Estimate {
        self.0.estimate(components, penalty)
    }
}
