//! The two float types used for all values, blocks and products.

use std::ops::{Add, Mul, Sub};

/// f32 or f64: a float that values, blocks and products are stored in.
pub trait Real:
    faer::traits::RealField
    + Copy
    + bytemuck::Pod
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Relative distance of neighbouring values.
    const ROUNDING: f64;
    /// Largest finite value, as f64.
    const LARGEST: f64;
    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Converts to f64, without rounding.
    fn wide(self) -> f64;
}

impl Real for f32 {
    const ROUNDING: f64 = f32::EPSILON as f64;
    const LARGEST: f64 = f32::MAX as f64;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const ROUNDING: f64 = f64::EPSILON;
    const LARGEST: f64 = f64::MAX;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}
