//! Blocks of weighted rows, and of rows with missing values, in two passes. In: minibatches as
//! read. Out: updated running moments, and rows √w·(x − center)·factor.
//!
//! Whole blocks are centred on their own mean. Where values were missing, every feature is centred on
//! its running mean, the block's values included: there a missing value is a zero, and a product of
//! two features counts the rows that have both. A mean of the few that one block has would cost
//! each product a part of it, and blocks of one row all of it.
//!
//! Sixteen features at a time: their values of a block stay in the first-level cache for the three
//! sums, and the loops over them have a constant length, so that they become vector code.

use crate::learner::block::Block;
use crate::learner::center::{Centred, Pivot, Shape};
use crate::learner::moments::units::concentrated;
use crate::learner::moments::{Moments, UNDERFLOW};
use crate::linalg::Real;
use crate::rows::Layout;

/// Deviations whose squares are below [`UNDERFLOW`].
const TINY: f64 = 1e-145;

/// Values that deviate from the mean by more than this share are not all the same.
const MOVED: f64 = 1e-12;

/// Features whose sums run in parallel.
const LANES: usize = 16;

/// Weighted rows as read.
pub(super) struct Rows<'a, X> {
    /// Values as read, b×m.
    pub(super) x: &'a [X],
    /// Distance from a row to the next.
    pub(super) row: usize,
    /// Distance from a feature to the next.
    pub(super) col: usize,
    /// Of each row, length b.
    pub(super) weights: &'a [f64],
}

impl<X: Real> Rows<'_, X> {
    /// Sixteen features of row `i` starting at `j`; zeros after the last one.
    #[inline(always)]
    fn lanes(&self, i: usize, j: usize, width: usize) -> [f64; LANES] {
        let from = &self.x[i * self.row + j * self.col..];
        if self.col == 1 && width == LANES {
            let from = &from[..LANES];
            std::array::from_fn(|l| from[l].wide())
        } else {
            std::array::from_fn(|l| {
                if l < width {
                    from[l * self.col].wide()
                } else {
                    0.0
                }
            })
        }
    }

    /// Weighted means of the values that are not NaN, and their weights; corrected once, so that a
    /// mean far from zero keeps its last digits.
    #[inline(always)]
    fn means(&self, j: usize, width: usize) -> ([f64; LANES], [f64; LANES]) {
        let (mut sum, mut weight) = ([0.0; LANES], [0.0; LANES]);
        for (i, w) in self.weights.iter().enumerate() {
            let x = self.lanes(i, j, width);
            for l in 0..LANES {
                let is_there = !x[l].is_nan();
                sum[l] += if is_there { w * x[l] } else { 0.0 };
                weight[l] += if is_there { *w } else { 0.0 };
            }
        }
        let share = |sum: f64, weight: f64| if weight > 0.0 { sum / weight } else { 0.0 };
        let mut mean: [f64; LANES] = std::array::from_fn(|l| share(sum[l], weight[l]));
        let mut left = [0.0; LANES];
        for (i, w) in self.weights.iter().enumerate() {
            let x = self.lanes(i, j, width);
            for l in 0..LANES {
                left[l] += if x[l].is_nan() {
                    0.0
                } else {
                    w * (x[l] - mean[l])
                };
            }
        }
        for l in 0..LANES {
            mean[l] += share(left[l], weight[l]);
        }
        (mean, weight)
    }

    /// Σw(x − center)² and the largest |x − center|; a missing x counts as no deviation.
    #[inline(always)]
    fn squares(&self, j: usize, width: usize, center: &[f64; LANES]) -> [[f64; LANES]; 2] {
        let (mut about, mut largest) = ([0.0; LANES], [0.0; LANES]);
        for (i, w) in self.weights.iter().enumerate() {
            let x = self.lanes(i, j, width);
            for l in 0..LANES {
                let v = x[l] - center[l];
                let v = if v.is_nan() { 0.0 } else { v };
                about[l] += w * v * v;
                largest[l] = if v.abs() > largest[l] {
                    v.abs()
                } else {
                    largest[l]
                };
            }
        }
        [about, largest]
    }
}

/// Weights of a block: the factor for the earlier weights, s, N and n₀/N.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub(super) decay: f64,
    pub(super) s: f64,
    pub(super) n: f64,
    pub(super) kept: f64,
}

/// The first pass, compiled for the vector width found at run time: updates the running moments.
///
/// Where values were missing, feature j has the weight nⱼ of its observed values instead of N: its
/// mean moves by sⱼ/(nⱼ + sⱼ), and both sides of the block's border move towards it by what they
/// observed. Σw(x − μ)² over the observed values is exact then, whatever the order; a feature without
/// a value so far has nⱼ = 0, so that its first values pull nothing and are pulled by nothing.
pub(super) struct Follow<'a, X> {
    pub(super) moments: &'a mut Moments,
    pub(super) rows: &'a Rows<'a, X>,
    /// The running mean before.
    pub(super) previous: &'a [f64],
    pub(super) shares: Shares,
}

impl<X: Real> pulp::NullaryFnOnce for Follow<'_, X> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            moments,
            rows,
            previous,
            shares: Shares { decay, s, n, kept },
        } = self;
        let m = previous.len();
        for j in (0..m).step_by(LANES) {
            let width = LANES.min(m - j);
            let (mean, weight) = rows.means(j, width);
            let (mut center, mut between) = (mean, [0.0; LANES]);
            for l in 0..width {
                let running = &mut moments.mean[j + l];
                if moments.observed.is_empty() {
                    *running += s / n * (mean[l] - *running);
                    between[l] = kept * s;
                } else {
                    let before = moments.observed[j + l] * decay;
                    moments.observed[j + l] = before + weight[l];
                    if weight[l] > 0.0 {
                        *running += weight[l] / (before + weight[l]) * (mean[l] - *running);
                    }
                    (center[l], between[l]) = (*running, before);
                }
            }
            let [about, largest] = rows.squares(j, width, &center);
            for l in 0..width {
                let moved = center[l] - previous[j + l];
                let between = between[l] * moved * moved;
                let variance = &mut moments.variance[j + l];
                let before = *variance;
                *variance = kept * *variance + (about[l] + between) / n;
                if let Some(concentration) = moments.concentration.get_mut(j + l) {
                    let block = (about[l] + between) / s;
                    *concentration = concentrated(*concentration, before, block, s / n, *variance);
                }
                // A constant deviates by the rounding of its mean.
                let has_moved = largest[l] > MOVED * center[l].abs();
                if has_moved && largest[l] < TINY && *variance < UNDERFLOW {
                    moments.underflowing.get_or_insert(j + l);
                }
                moments.block_center[j + l] = center[l];
            }
        }
    }
}

/// The second pass: √w·(x − center)·factor, in the order of the block's memory. A missing x is the
/// running mean.
pub(super) struct Write<'a, X, T> {
    pub(super) moments: &'a Moments,
    pub(super) rows: &'a Rows<'a, X>,
    pub(super) shape: Shape,
    pub(super) pivot: &'a Pivot<T>,
    pub(super) block: &'a mut Block<T>,
}

impl<X: Centred<T>, T: Real> pulp::NullaryFnOnce for Write<'_, X, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            moments,
            rows,
            shape,
            pivot,
            block,
        } = self;
        let (m, stride) = (shape.features, block.stride());
        let y = block.values_mut();
        let roots = rows.weights.iter().map(|w| w.sqrt()).enumerate();
        let (imputed, factor) = (&moments.mean[..m], &pivot.factor[..m]);
        // Zeros where the mean is not taken off.
        let shift = if moments.is_centered() {
            &moments.block_center[..m]
        } else {
            &moments.zeros[..m]
        };
        match shape.layout {
            Layout::RowMajor => {
                for (i, root) in roots {
                    let y = &mut y[i * stride..][..m];
                    let x = &rows.x[i * rows.row..][..m];
                    for j in 0..m {
                        let v = x[j].wide();
                        let v = if v.is_nan() { imputed[j] } else { v } - shift[j];
                        y[j] = T::of(v * factor[j].wide() * root);
                    }
                }
            }
            Layout::ColumnMajor => {
                for j in 0..m {
                    let y = &mut y[j * stride..][..shape.rows];
                    let x = &rows.x[j * rows.col..][..shape.rows];
                    let (imputed, shift, factor) = (imputed[j], shift[j], factor[j].wide());
                    for ((y, x), (_, root)) in y.iter_mut().zip(x).zip(roots.clone()) {
                        let v = x.wide();
                        let v = if v.is_nan() { imputed } else { v } - shift;
                        *y = T::of(v * factor * root);
                    }
                }
            }
        }
    }
}
