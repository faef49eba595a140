//! Streaming principal components: one pass over the rows, bounded memory, nothing to tune, and an error
//! bar on every number.
//!
//! [`Pca`] is all that most callers need: build it, give it rows as they arrive, and read an
//! [`Estimate`] at any time.
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
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `arrow` | [`ArrowRows`]: rows of an Arrow record batch |
//! | `serde` | `Serialize` and `Deserialize` for [`Unresolved`] and [`Limits`] |
//! | `internals` | the modules that the program `ojad` is built on; they change without notice |

// The program uses what the face does not; its build finds what nobody uses.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unused_imports))]
// A type that the face hands out has a name.
#![cfg_attr(not(feature = "internals"), warn(unnameable_types))]

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(not(feature = "internals"))]
mod codec;
#[cfg(feature = "internals")]
pub mod codec;
#[cfg(not(feature = "internals"))]
mod learner;
#[cfg(feature = "internals")]
pub mod learner;
#[cfg(not(feature = "internals"))]
mod linalg;
#[cfg(feature = "internals")]
pub mod linalg;
mod pca;
#[cfg(not(feature = "internals"))]
mod prequential;
#[cfg(feature = "internals")]
pub mod prequential;
#[cfg(not(feature = "internals"))]
mod rows;
#[cfg(feature = "internals")]
pub mod rows;
#[cfg(not(feature = "internals"))]
mod score;
#[cfg(feature = "internals")]
pub mod score;

#[cfg(feature = "arrow")]
pub use arrow::{ArrowRows, ArrowRowsError};
pub use codec::CodecError;
pub use learner::{
    Certainty, Estimate, Forgetting, LearnError, LearnerParams, Limits, MergeError, Method,
    NoiseModel, NoiseRule, ParetoTail, Penalty, Precision, ReferenceDistribution, Rule, Scale,
    Step, Unresolved,
};
pub use linalg::LinalgError;
pub use pca::{BuildError, Merged, Missing, Pca, PcaBuilder, UpdateError};
pub use score::{Cells, Lane, Projection, Rows, ScoreBuffers, Scores};
