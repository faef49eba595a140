//! Thin wrappers of faer, the sign convention, principal angles.
//!
//! In: small square matrices and m×k blocks. Out: their factorizations, in reused storage.
//! Refuses what faer refuses: a matrix with a NaN has no eigenvalues.

mod angles;
mod leading;
mod real;
mod sequential;
mod sign;
mod small;

pub use angles::{mean_sin2, sin2_of_angles};
pub use real::Real;
pub use sequential::{ThinSvd, product, thin_q, thin_r, thin_svd};
pub use sign::orient;
pub use small::{LinalgError, Scratch, Spectrum};
