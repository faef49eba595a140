//! Streaming principal components: one pass over the rows, bounded memory, nothing to tune, and an error
//! bar on every number.
//!
//! [`Pca`] is all that most callers need: build it, hand it rows as they come, read an [`Estimate`] whenever
//! it is wanted.
//!
//! ```
//! use ojad_core::{Pca, Rows};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pieces: Vec<Vec<f64>> = (0..20)
//! #     .map(|p| (0..500).map(|i| ((p * 500 + i) as f64 * 0.61).sin() * (1 + i % 5) as f64).collect())
//! #     .collect();
//! let mut pca = Pca::builder().components(3).build(5)?;
//! for piece in &pieces {
//!     pca.update(&Rows::from_f64(piece, 5))?; // 100 rows of 5 features, row by row
//! }
//! let estimate = pca.estimate()?;
//! for i in 0..estimate.components() {
//!     println!(
//!         "{:.4} ± {:.4} ({:.1}%)",
//!         estimate.eigenvalues[i],
//!         estimate.eigenvalue_stderr[i],
//!         100.0 * estimate.explained_variance_ratio(i),
//!     );
//! }
//! let bytes = pca.to_bytes(); // and go on another day
//! let scores = pca.score(&Rows::from_f64(&pieces[0], 5))?;
//! # assert_eq!(estimate.rows, 2000);
//! # assert_eq!(scores.residual.len(), 100);
//! # assert!(!bytes.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The learner applies regularized Oja's rule, iterated to its closed form at every minibatch; the covariance
//! matrix is never formed unless it is small. Products run on one thread, so that the same rows give
//! the same bits on machines of the same kind. No thread is started, and no global is set or read: faer's global
//! parallelism, which another crate of the program may have set, changes nothing.
//!
//! Underneath lie [`learner`] (rules, moments, drift, merging), [`score`] (projections), [`rows`]
//! (minibatches in reused storage), [`codec`] (states as bytes) and [`linalg`].

#[cfg(feature = "arrow")]
mod arrow;
pub mod codec;
pub mod learner;
pub mod linalg;
mod pca;
pub mod rows;
pub mod score;

#[cfg(feature = "arrow")]
pub use arrow::{ArrowRows, ArrowRowsError};
pub use codec::CodecError;
pub use learner::{
    Estimate, Forgetting, LearnError, LearnerParams, MergeError, Penalty, Precision, Rule, Scale,
    Step, Summary,
};
pub use pca::{BuildError, Missing, Pca, PcaBuilder, UpdateError};
pub use score::{Cells, Lane, Projection, Room, Rows, Scores};
