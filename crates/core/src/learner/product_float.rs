//! The width of the closed form's products and directions, and what follows from it.
//!
//! f32 is twice as fast and resolves what ordinary rows contain. f64 is for rows in which one
//! direction outweighs the wanted ones so much that they drown in the rounding of f32
//! (`widening.rs`).

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::center::Centred;
use crate::learner::saved::{EngineTag, finites, finites_f32};
use crate::linalg::Real;

/// Directions with less than this share of the leading eigenvalue are rounding noise of f64
/// products: next to one row that outweighs all others, eigenvalues of ten times this share are
/// accurate to about 0.1%, and those at this share to about 10%.
pub(super) const HELD_SHARE: f64 = 1e-14;

/// A width of the closed form's products: f32 or f64.
pub trait ProductFloat: Centred<Self> + Default {
    /// The tag of such an engine in a checkpoint.
    const ENGINE: EngineTag;
    /// Directions with less than this share of the leading eigenvalue are rounding noise of the
    /// products.
    const PRECISION: f64;
    /// A block whose squared norm outside U is below this share of the whole lies in U, as far as
    /// the products can tell.
    const IN_SPAN: f64;
    /// True if the gain of a direction is measured relative to what it holds itself.
    const GAIN_IS_RELATIVE: bool;

    /// Writes a list of values.
    fn save(values: &[Self], to: &mut Encoder);

    /// Reads a list of `len` finite values.
    ///
    /// # Errors
    /// If the bytes are not what was written.
    fn restore(from: &mut Decoder<'_>, len: usize) -> Result<Vec<Self>, CodecError>;
}

impl ProductFloat for f32 {
    const ENGINE: EngineTag = EngineTag::LowRank;
    const PRECISION: f64 = 1e-8;
    const IN_SPAN: f64 = 1e-6;
    const GAIN_IS_RELATIVE: bool = false;

    fn save(values: &[Self], to: &mut Encoder) {
        to.f32s(values);
    }

    fn restore(from: &mut Decoder<'_>, len: usize) -> Result<Vec<Self>, CodecError> {
        finites_f32(from, len)
    }
}

impl ProductFloat for f64 {
    const ENGINE: EngineTag = EngineTag::WideLowRank;
    const PRECISION: f64 = HELD_SHARE;
    const IN_SPAN: f64 = 1e-13;
    const GAIN_IS_RELATIVE: bool = true;

    fn save(values: &[Self], to: &mut Encoder) {
        to.f64s(values);
    }

    fn restore(from: &mut Decoder<'_>, len: usize) -> Result<Vec<Self>, CodecError> {
        finites(from, len)
    }
}

/// The values in the other width.
pub(super) fn converted<A: Real, B: Real>(values: &[A]) -> Vec<B> {
    values.iter().map(|v| B::of(v.wide())).collect()
}
