//! The first pass over a minibatch: take the pivot off, scale, and sum.
//!
//! In: b×m values as they were decoded. Out: y = (x − pivot)·factor in the same layout, with
//! Σy and Σy² per feature. One read and one write of the block, which stays in the second-level
//! cache for the products that follow; every other pass of an update is over smaller things.
//!
//! f32 values stay f32: the pivot is split into a leading and a trailing part, so that
//! (x − high) is exact where x is near the mean (Sterbenz) and no digit of the signal is lost
//! under a mean a million times larger. Sums run in f32 over at most sixteen rows
//! and in f64 beyond.

use std::ops::{Add, Mul, Sub};

use crate::rows::Layout;

/// Rows summed in the narrow type before the sum moves on to f64.
const LANE_ROWS: usize = 8;

/// A float that a block is stored in.
pub trait Real:
    faer::traits::RealField
    + Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Widens to f64.
    fn wide(self) -> f64;
}

impl Real for f32 {
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
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

/// A value of a minibatch that becomes a value of a block.
pub trait Centred<T>: Real {
    /// x − pivot, in the wider of the two types or without losing what that would keep.
    fn centred(self, pivot: f64, high: T, low: T) -> T;
}

impl Centred<f32> for f32 {
    #[inline(always)]
    fn centred(self, _pivot: f64, high: f32, low: f32) -> f32 {
        (self - high) - low
    }
}

impl Centred<f64> for f32 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f64, _low: f64) -> f64 {
        f64::from(self) - pivot
    }
}

impl Centred<f32> for f64 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f32, _low: f32) -> f32 {
        (self - pivot) as f32
    }
}

impl Centred<f64> for f64 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f64, _low: f64) -> f64 {
        self - pivot
    }
}

/// What a feature is shifted and multiplied by, length m each.
#[derive(Clone, Debug)]
pub struct Pivot<T> {
    /// The shift.
    pub pivot: Vec<f64>,
    /// Its leading part.
    pub high: Vec<T>,
    /// The rest.
    pub low: Vec<T>,
    /// The factor, 1 ÷ scale.
    pub factor: Vec<T>,
}

impl<T: Real> Pivot<T> {
    /// A pivot of zeros and factors of one.
    pub fn new(features: usize) -> Self {
        Self {
            pivot: vec![0.0; features],
            high: vec![T::of(0.0); features],
            low: vec![T::of(0.0); features],
            factor: vec![T::of(1.0); features],
        }
    }

    /// Sets all shifts, length m.
    pub fn set_all(&mut self, pivot: &[f64]) {
        self.pivot.copy_from_slice(pivot);
        for ((high, low), pivot) in self.high.iter_mut().zip(&mut self.low).zip(pivot) {
            *high = T::of(*pivot);
            *low = T::of(pivot - high.wide());
        }
    }
}

/// b×m values to read: `row` and `col` are the distances to the next row and feature.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// b.
    pub rows: usize,
    /// m.
    pub features: usize,
    /// How they lie.
    pub layout: Layout,
    /// Distance from a row (row-major) or feature (column-major) to the next in the input.
    pub input_stride: usize,
    /// The same in the block.
    pub block_stride: usize,
}

/// Writes y = (x − pivot)·factor and adds Σy to `sum`, Σy² to `squares`, length m each.
pub fn center<X: Centred<T>, T: Real>(
    x: &[X],
    shape: Shape,
    pivot: &Pivot<T>,
    y: &mut [T],
    sum: &mut [f64],
    squares: &mut [f64],
) {
    pulp::Arch::new().dispatch(Pass {
        x,
        shape,
        pivot,
        y,
        sum,
        squares,
    });
}

/// The pass as a value, so that its loops are compiled for the vector width found at run time.
struct Pass<'a, X, T> {
    x: &'a [X],
    shape: Shape,
    pivot: &'a Pivot<T>,
    y: &'a mut [T],
    sum: &'a mut [f64],
    squares: &'a mut [f64],
}

impl<X: Centred<T>, T: Real> pulp::NullaryFnOnce for Pass<'_, X, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            x,
            shape,
            pivot,
            y,
            sum,
            squares,
        } = self;
        match shape.layout {
            Layout::RowMajor => center_rows(x, shape, pivot, y, sum, squares),
            Layout::ColumnMajor => center_columns(x, shape, pivot, y, sum, squares),
        }
    }
}

/// Rows of a column summed in the narrow type, a sixteenth of them in each lane.
const COLUMN_LANE: usize = 16;

/// Features whose sums live in registers while the rows of a lane go by.
const LANE_FEATURES: usize = 32;

#[inline(always)]
fn center_rows<X: Centred<T>, T: Real>(
    x: &[X],
    shape: Shape,
    pivot: &Pivot<T>,
    y: &mut [T],
    sum: &mut [f64],
    squares: &mut [f64],
) {
    let m = shape.features;
    let mut first = 0;
    while first < shape.rows {
        let rows = LANE_ROWS.min(shape.rows - first);
        let mut j = 0;
        while j < m {
            let width = LANE_FEATURES.min(m - j);
            let lane = Lane {
                first,
                rows,
                j,
                width,
            };
            if width == LANE_FEATURES {
                center_lane(
                    x,
                    shape,
                    pivot,
                    y,
                    sum,
                    squares,
                    Lane {
                        width: LANE_FEATURES,
                        ..lane
                    },
                );
            } else {
                center_lane(x, shape, pivot, y, sum, squares, lane);
            }
            j += width;
        }
        first += rows;
    }
}

#[derive(Clone, Copy)]
struct Lane {
    first: usize,
    rows: usize,
    j: usize,
    width: usize,
}

#[inline(always)]
fn center_lane<X: Centred<T>, T: Real>(
    x: &[X],
    shape: Shape,
    pivot: &Pivot<T>,
    y: &mut [T],
    sum: &mut [f64],
    squares: &mut [f64],
    Lane {
        first,
        rows,
        j,
        width,
    }: Lane,
) {
    let zero = T::of(0.0);
    let (mut s, mut q) = ([zero; LANE_FEATURES], [zero; LANE_FEATURES]);
    let to = j + width;
    let (shift, high) = (&pivot.pivot[j..to], &pivot.high[j..to]);
    let (low, factor) = (&pivot.low[j..to], &pivot.factor[j..to]);
    for i in first..first + rows {
        let from = &x[i * shape.input_stride + j..][..width];
        let into = &mut y[i * shape.block_stride + j..][..width];
        for l in 0..width {
            let v = from[l].centred(shift[l], high[l], low[l]) * factor[l];
            into[l] = v;
            s[l] = s[l] + v;
            q[l] = q[l] + v * v;
        }
    }
    for l in 0..width {
        sum[j + l] += s[l].wide();
        squares[j + l] += q[l].wide();
    }
}

/// Rows of a column that are summed side by side.
const WIDTH: usize = 16;

#[inline(always)]
fn center_columns<X: Centred<T>, T: Real>(
    x: &[X],
    shape: Shape,
    pivot: &Pivot<T>,
    y: &mut [T],
    sum: &mut [f64],
    squares: &mut [f64],
) {
    let zero = T::of(0.0);
    for j in 0..shape.features {
        let (shift, high, low) = (pivot.pivot[j], pivot.high[j], pivot.low[j]);
        let factor = pivot.factor[j];
        let from = &x[j * shape.input_stride..][..shape.rows];
        let into = &mut y[j * shape.block_stride..][..shape.rows];
        for (from, into) in from
            .chunks(WIDTH * COLUMN_LANE)
            .zip(into.chunks_mut(WIDTH * COLUMN_LANE))
        {
            let (mut s, mut q) = ([zero; WIDTH], [zero; WIDTH]);
            let (from, from_rest) = from.as_chunks::<WIDTH>();
            let (into, into_rest) = into.as_chunks_mut::<WIDTH>();
            for (from, into) in from.iter().zip(into) {
                for l in 0..WIDTH {
                    let v = from[l].centred(shift, high, low) * factor;
                    into[l] = v;
                    s[l] = s[l] + v;
                    q[l] = q[l] + v * v;
                }
            }
            for ((from, into), (s, q)) in from_rest
                .iter()
                .zip(into_rest)
                .zip(s.iter_mut().zip(&mut q))
            {
                let v = from.centred(shift, high, low) * factor;
                *into = v;
                *s = *s + v;
                *q = *q + v * v;
            }
            sum[j] += pairwise(&s);
            squares[j] += pairwise(&q);
        }
    }
}

/// Sum in f64 by halves: a chain of sixteen additions would take longer than a column of rows.
#[inline(always)]
fn pairwise<T: Real>(values: &[T; WIDTH]) -> f64 {
    let mut sums: [f64; WIDTH] = std::array::from_fn(|l| values[l].wide());
    let mut half = WIDTH / 2;
    while half > 0 {
        for l in 0..half {
            sums[l] += sums[l + half];
        }
        half /= 2;
    }
    sums[0]
}
