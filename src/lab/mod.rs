//! The theory at hand: regularized linear autoencoders in memory, every algorithm and figure.
//!
//! In: a few thousand rows of a few hundred features, held whole. Out: trajectories, comparisons,
//! figures, a page. Nothing in the daemon depends on it, and it is no way to learn from a feed.
//!
//! Everything follows two papers: Kunin, Bloom, Goeva, Seed, *Loss Landscapes of Regularized
//! Linear Autoencoders* (ICML 2019; "Kunin 2019" below) and Bao, Lucas, Sachdeva, Grosse,
//! *Regularized linear autoencoders recover the principal components, eventually* (NeurIPS 2020;
//! "Bao 2020"). [`align`] follows Kunin, Nayebi, Sagastuy-Brena, Ganguli, Bloom, Yamins, *Two
//! Routes to Scalable Credit Assignment without Weight Symmetry* (ICML 2020).

pub mod align;
pub mod data;
pub mod page;
pub mod scalar;
