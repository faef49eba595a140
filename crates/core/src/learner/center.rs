//! The first pass over a minibatch: subtract the pivot, scale, and sum.
//!
//! In: b×m values as decoded. Out: y = (x − pivot)·factor in the same layout, with Σy and Σy² per
//! feature. It reads and writes the block once, in place where the types agree, so that the block
//! stays in the second-level cache for the products that follow. Every other pass of an update
//! covers less data.
//!
//! f32 values stay f32: the pivot is split into a leading and a trailing part, so that
//! (x − high) is exact where x is near the mean (Sterbenz) and no digit of the signal is lost
//! under a mean a million times larger. Sums run in f32 over at most sixteen rows
//! and in f64 beyond.

use std::ops::Range;

use crate::linalg::Real;
use crate::rows::{Buffer, Layout};

/// A value of a minibatch that becomes a value of a block.
pub trait Centred<T>: Real {
    /// x − pivot, computed in the wider of the two types or as precisely as that would be.
    fn centred(self, pivot: f64, high: T, low: T) -> T;
    /// The values as values of a block, if the types are the same.
    fn same(values: &mut Buffer<Self>) -> Option<&mut Buffer<T>>;
}

impl Centred<f32> for f32 {
    #[inline(always)]
    fn centred(self, _pivot: f64, high: f32, low: f32) -> f32 {
        (self - high) - low
    }
    fn same(values: &mut Buffer<Self>) -> Option<&mut Buffer<f32>> {
        Some(values)
    }
}

impl Centred<f64> for f32 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f64, _low: f64) -> f64 {
        f64::from(self) - pivot
    }
    fn same(_: &mut Buffer<Self>) -> Option<&mut Buffer<f64>> {
        None
    }
}

impl Centred<f32> for f64 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f32, _low: f32) -> f32 {
        (self - pivot) as f32
    }
    fn same(_: &mut Buffer<Self>) -> Option<&mut Buffer<f32>> {
        None
    }
}

impl Centred<f64> for f64 {
    #[inline(always)]
    fn centred(self, pivot: f64, _high: f64, _low: f64) -> f64 {
        self - pivot
    }
    fn same(values: &mut Buffer<Self>) -> Option<&mut Buffer<f64>> {
        Some(values)
    }
}

/// Shift and factor of each feature, length m each.
#[derive(Clone, Debug)]
pub struct Pivot<T> {
    /// The shift, in feature units.
    pub shift: Vec<f64>,
    /// The shift rounded to T.
    pub high: Vec<T>,
    /// The part of the shift that rounding left, in T.
    pub low: Vec<T>,
    /// The factor, 1 ÷ scale.
    pub factor: Vec<T>,
}

impl<T: Real> Pivot<T> {
    /// A pivot of zeros and factors of one.
    pub fn new(features: usize) -> Self {
        Self {
            shift: vec![0.0; features],
            high: vec![T::of(0.0); features],
            low: vec![T::of(0.0); features],
            factor: vec![T::of(1.0); features],
        }
    }

    /// Sets all shifts, length m.
    pub fn set_all(&mut self, shift: &[f64]) {
        self.shift.copy_from_slice(shift);
        for ((high, low), shift) in self.high.iter_mut().zip(&mut self.low).zip(shift) {
            *high = T::of(*shift);
            *low = T::of(shift - high.wide());
        }
    }
}

/// Shape and memory layout of b×m values.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of rows, b.
    pub rows: usize,
    /// Number of features, m.
    pub features: usize,
    /// Order of the values in memory.
    pub layout: Layout,
    /// Distance from a row (row-major) or feature (column-major) to the next in the source.
    pub stride: usize,
}

/// Buffers that values are read from and written to. The loops are separate functions on slices
/// that the compiler knows do not overlap: only then does it vectorize them.
pub trait Buffers<T> {
    /// Writes row `i` and adds y to `sum`, y² to `squares`, length m each.
    fn row(&mut self, i: usize, shape: Shape, by: &Pivot<T>, sum: &mut [T], squares: &mut [T]);
    /// Writes `rows` of column `j` and returns Σy and Σy².
    fn column(&mut self, j: usize, rows: Range<usize>, shape: Shape, by: &Pivot<T>) -> (f64, f64);
}

/// From one buffer into another.
pub struct Apart<'a, X, T> {
    /// Values as read.
    pub x: &'a [X],
    /// Values of the block (output).
    pub y: &'a mut [T],
    /// Distance from a row or feature to the next in `y`.
    pub stride: usize,
}

impl<X: Centred<T>, T: Real> Buffers<T> for Apart<'_, X, T> {
    #[inline(always)]
    fn row(&mut self, i: usize, shape: Shape, by: &Pivot<T>, sum: &mut [T], squares: &mut [T]) {
        let m = shape.features;
        let x = &self.x[i * shape.stride..][..m];
        let y = &mut self.y[i * self.stride..][..m];
        row_apart(x, y, by, sum, squares);
    }

    #[inline(always)]
    fn column(&mut self, j: usize, rows: Range<usize>, shape: Shape, by: &Pivot<T>) -> (f64, f64) {
        let x = &self.x[j * shape.stride..][rows.clone()];
        let y = &mut self.y[j * self.stride..][rows];
        let (shift, high) = (by.shift[j], by.high[j]);
        let (low, factor) = (by.low[j], by.factor[j]);
        // Sixteen sums side by side, because in a single one every addition would wait for the one
        // before.
        let (mut s, mut q) = ([T::of(0.0); WIDTH], [T::of(0.0); WIDTH]);
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<WIDTH>(), y.as_chunks_mut::<WIDTH>());
        for (x, y) in x.iter().zip(y) {
            for l in 0..WIDTH {
                let v = x[l].centred(shift, high, low) * factor;
                y[l] = v;
                s[l] = s[l] + v;
                q[l] = q[l] + v * v;
            }
        }
        for ((x, y), (s, q)) in x_rest.iter().zip(y_rest).zip(s.iter_mut().zip(&mut q)) {
            let v = x.centred(shift, high, low) * factor;
            *y = v;
            *s = *s + v;
            *q = *q + v * v;
        }
        (pairwise(&s), pairwise(&q))
    }
}

/// One buffer, read and written in place.
pub struct InPlace<'a, T>(pub &'a mut [T]);

impl<T: Centred<T>> Buffers<T> for InPlace<'_, T> {
    #[inline(always)]
    fn row(&mut self, i: usize, shape: Shape, by: &Pivot<T>, sum: &mut [T], squares: &mut [T]) {
        let y = &mut self.0[i * shape.stride..][..shape.features];
        row_in_place(y, by, sum, squares);
    }

    #[inline(always)]
    fn column(&mut self, j: usize, rows: Range<usize>, shape: Shape, by: &Pivot<T>) -> (f64, f64) {
        let y = &mut self.0[j * shape.stride..][rows];
        let (shift, high) = (by.shift[j], by.high[j]);
        let (low, factor) = (by.low[j], by.factor[j]);
        let (mut s, mut q) = ([T::of(0.0); WIDTH], [T::of(0.0); WIDTH]);
        let (y, y_rest) = y.as_chunks_mut::<WIDTH>();
        for y in y {
            for l in 0..WIDTH {
                let v = y[l].centred(shift, high, low) * factor;
                y[l] = v;
                s[l] = s[l] + v;
                q[l] = q[l] + v * v;
            }
        }
        for (y, (s, q)) in y_rest.iter_mut().zip(s.iter_mut().zip(&mut q)) {
            let v = y.centred(shift, high, low) * factor;
            *y = v;
            *s = *s + v;
            *q = *q + v * v;
        }
        (pairwise(&s), pairwise(&q))
    }
}

#[inline(always)]
fn row_apart<X: Centred<T>, T: Real>(
    x: &[X],
    y: &mut [T],
    by: &Pivot<T>,
    sum: &mut [T],
    squares: &mut [T],
) {
    let m = x.len();
    // All slices are cut to one length, so that the loop needs no bounds checks and is vectorised.
    let (y, sum, squares) = (&mut y[..m], &mut sum[..m], &mut squares[..m]);
    let (shift, high) = (&by.shift[..m], &by.high[..m]);
    let (low, factor) = (&by.low[..m], &by.factor[..m]);
    for j in 0..m {
        let v = x[j].centred(shift[j], high[j], low[j]) * factor[j];
        y[j] = v;
        sum[j] = sum[j] + v;
        squares[j] = squares[j] + v * v;
    }
}

#[inline(always)]
fn row_in_place<T: Centred<T>>(y: &mut [T], by: &Pivot<T>, sum: &mut [T], squares: &mut [T]) {
    let m = y.len();
    let (sum, squares) = (&mut sum[..m], &mut squares[..m]);
    let (shift, high) = (&by.shift[..m], &by.high[..m]);
    let (low, factor) = (&by.low[..m], &by.factor[..m]);
    for j in 0..m {
        let v = y[j].centred(shift[j], high[j], low[j]) * factor[j];
        y[j] = v;
        sum[j] = sum[j] + v;
        squares[j] = squares[j] + v * v;
    }
}

/// Rows of a column summed in parallel.
const WIDTH: usize = 16;

/// Shifts and factors of a learner's blocks, with the sums of the latest block.
#[derive(Clone, Debug)]
pub struct Centring<T> {
    /// Shift and factor of each feature.
    pub pivot: Pivot<T>,
    /// Sums of the latest block.
    pub sums: ColumnSums<T>,
    /// Old ÷ new scale of each feature, length m, if the scale has changed.
    pub ratios: Vec<f64>,
}

impl<T: Real> Centring<T> {
    /// No shift, factors of one.
    pub fn new(features: usize) -> Self {
        Self {
            pivot: Pivot::new(features),
            sums: ColumnSums::new(features),
            ratios: vec![1.0; features],
        }
    }
}

/// Σy and Σy² of a block, length m each, with scratch space.
#[derive(Clone, Debug)]
pub struct ColumnSums<T> {
    /// Σy of each feature.
    pub sum: Vec<f64>,
    /// Σy² of each feature.
    pub squares: Vec<f64>,
    narrow_sum: Vec<T>,
    narrow_squares: Vec<T>,
}

impl<T: Real> ColumnSums<T> {
    /// All sums zero.
    pub fn new(features: usize) -> Self {
        Self {
            sum: vec![0.0; features],
            squares: vec![0.0; features],
            narrow_sum: vec![T::of(0.0); features],
            narrow_squares: vec![T::of(0.0); features],
        }
    }
}

/// Writes y = (x − pivot)·factor; `sums` holds Σy and Σy² of these rows afterwards.
pub fn center<T: Real>(
    buffers: &mut impl Buffers<T>,
    shape: Shape,
    pivot: &Pivot<T>,
    sums: &mut ColumnSums<T>,
) {
    sums.sum.fill(0.0);
    sums.squares.fill(0.0);
    pulp::Arch::new().dispatch(Pass {
        buffers,
        shape,
        pivot,
        sums,
    });
}

/// The pass as a value, so that its loops can be compiled for the vector width found at run time.
struct Pass<'a, B, T> {
    buffers: &'a mut B,
    shape: Shape,
    pivot: &'a Pivot<T>,
    sums: &'a mut ColumnSums<T>,
}

impl<B: Buffers<T>, T: Real> pulp::NullaryFnOnce for Pass<'_, B, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            buffers,
            shape,
            pivot,
            sums,
        } = self;
        match shape.layout {
            Layout::RowMajor => center_rows(buffers, shape, pivot, sums),
            Layout::ColumnMajor => center_columns(buffers, shape, pivot, sums),
        }
    }
}

/// Rows summed in the narrow type before the sum moves on to f64.
const NARROW_ROWS: usize = 16;

#[inline(always)]
fn center_rows<T: Real>(
    buffers: &mut impl Buffers<T>,
    shape: Shape,
    pivot: &Pivot<T>,
    sums: &mut ColumnSums<T>,
) {
    for first in (0..shape.rows).step_by(NARROW_ROWS) {
        sums.narrow_sum.fill(T::of(0.0));
        sums.narrow_squares.fill(T::of(0.0));
        for i in first..(first + NARROW_ROWS).min(shape.rows) {
            let (sum, squares) = (&mut sums.narrow_sum, &mut sums.narrow_squares);
            buffers.row(i, shape, pivot, sum, squares);
        }
        widen(&sums.narrow_sum, &mut sums.sum);
        widen(&sums.narrow_squares, &mut sums.squares);
    }
}

#[inline(always)]
fn widen<T: Real>(narrow: &[T], wide: &mut [f64]) {
    for (wide, narrow) in wide.iter_mut().zip(narrow) {
        *wide += narrow.wide();
    }
}

#[inline(always)]
fn center_columns<T: Real>(
    buffers: &mut impl Buffers<T>,
    shape: Shape,
    pivot: &Pivot<T>,
    sums: &mut ColumnSums<T>,
) {
    for j in 0..shape.features {
        for first in (0..shape.rows).step_by(NARROW_ROWS * WIDTH) {
            let rows = first..(first + NARROW_ROWS * WIDTH).min(shape.rows);
            let (sum, squares) = buffers.column(j, rows, shape, pivot);
            sums.sum[j] += sum;
            sums.squares[j] += squares;
        }
    }
}

/// Pairwise sum in f64: a chain of sixteen additions would take longer than a column of rows.
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
