//! Data passed between the stages of the closed form: the scores of a block, and the contribution
//! of the earlier rows to a step.

use std::ops::{Deref, DerefMut};

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::learner::block::Block;
use crate::learner::product_float::ProductFloat;

/// P = YWᵀ − e·1p̄ᵀ of a block Y and q directions W, b×q, and p̄, the means of YWᵀ.
///
/// With this shift PᵀY = (ỸWᵀ)ᵀỸ: no q×m correction is needed.
#[derive(Clone, Default)]
pub(super) struct Scores<T> {
    values: Vec<T>,
    rows: usize,
    /// Means of YWᵀ, p̄, length q.
    pub(super) means: Vec<f64>,
}

impl<T: ProductFloat> Scores<T> {
    /// Becomes the scores of `block` in the directions `w`, q×m.
    pub(super) fn project(&mut self, w: MatRef<'_, T>, block: &Block<T>) {
        let (b, q) = (block.rows(), w.nrows());
        self.rows = b;
        self.values
            .resize((b * q).max(self.values.len()), T::of(0.0));
        let mut p = MatMut::from_column_major_slice_mut(&mut self.values[..b * q], b, q);
        // b×q
        matmul(
            p.as_mut(),
            Accum::Replace,
            block.as_mat(),
            w.transpose(),
            T::of(1.0),
            Par::Seq,
        );
        self.means.clear();
        for col in self.values[..b * q].chunks_exact_mut(b) {
            let mean = col.iter().map(|v| v.wide()).sum::<f64>() / b as f64;
            self.means.push(mean);
            if block.mean_shrinkage > 0.0 {
                let shift = T::of(block.removed_share() * mean);
                col.iter_mut().for_each(|v| *v = *v - shift);
            }
        }
    }

    /// The scores in the first `directions` directions, b×`directions`.
    pub(super) fn leading(&self, directions: usize) -> MatRef<'_, T> {
        let values = &self.values[..self.rows * directions];
        MatRef::from_column_major_slice(values, self.rows, directions)
    }

    /// Σp² over the first `directions` directions.
    pub(super) fn squared_norm(&self, directions: usize) -> f64 {
        let values = &self.values[..self.rows * directions];
        values.iter().map(|v| v.wide() * v.wide()).sum()
    }

    /// The factor of p̄p̄ᵀ by which PᵀP falls short of the second moment of ỸWᵀ: (e − e²)·b.
    pub(super) fn shortfall(block: &Block<T>) -> f64 {
        let e = block.removed_share();
        (e - e * e) * block.rows() as f64
    }
}

/// The earlier rows in the form that a step from some basis B (h×m) needs, H = (n₀/N)·D − σ²I.
#[derive(Clone, Default)]
pub(super) struct History {
    /// The factor of U in Z: BUᵀ·H, h×h.
    pub(super) coefficients: Mat64,
    /// Their part of K: BUᵀ·H·UBᵀ, h×h.
    pub(super) k: Mat64,
}

/// H (h×h), and the history in the form that a step from U itself needs.
#[derive(Clone, Default)]
pub(super) struct Remembered {
    /// The history itself, H.
    pub(super) matrix: Mat64,
    /// From U, where UUᵀ is a diagonal that is not quite 1.
    pub(super) from_held: History,
}

impl Remembered {
    /// Sets H = `kept`·D − `noise`·I for rows of U of these squared `lengths`, length h.
    pub(super) fn set(&mut self, core: MatRef<'_, f64>, lengths: &[f64], kept: f64, noise: f64) {
        let h = core.nrows();
        let mut matrix = self.matrix.sized(h, h);
        let mut coefficients = self.from_held.coefficients.sized(h, h);
        let mut k = self.from_held.k.sized(h, h);
        for j in 0..h {
            for i in 0..h {
                let v = kept * core[(i, j)] - if i == j { noise } else { 0.0 };
                matrix[(i, j)] = v;
                coefficients[(i, j)] = lengths[i] * v;
                k[(i, j)] = lengths[i] * v * lengths[j];
            }
        }
    }
}

/// A small matrix in reused storage.
#[derive(Clone)]
pub(super) struct Mat64(Mat<f64>);

impl Default for Mat64 {
    fn default() -> Self {
        Self(Mat::new())
    }
}

impl Deref for Mat64 {
    type Target = Mat<f64>;

    fn deref(&self) -> &Mat<f64> {
        &self.0
    }
}

impl DerefMut for Mat64 {
    fn deref_mut(&mut self) -> &mut Mat<f64> {
        &mut self.0
    }
}

impl Mat64 {
    /// Resizes it to `rows`×`cols`; existing entries stay.
    pub(super) fn sized(&mut self, rows: usize, cols: usize) -> MatMut<'_, f64> {
        self.0.resize_with(rows, cols, |_, _| 0.0);
        self.0.as_mut()
    }
}

/// A small matrix rounded to the width of the products, in reused storage.
#[derive(Clone, Default)]
pub(super) struct Rounded<T>(Vec<T>);

impl<T: ProductFloat> Rounded<T> {
    /// Rounds `from` into the storage and returns it.
    pub(super) fn of(&mut self, from: MatRef<'_, f64>) -> MatRef<'_, T> {
        let (rows, cols) = from.shape();
        self.0.resize(rows * cols, T::of(0.0));
        for (j, col) in self.0.chunks_exact_mut(rows.max(1)).enumerate() {
            for (i, v) in col.iter_mut().enumerate() {
                *v = T::of(from[(i, j)]);
            }
        }
        MatRef::from_column_major_slice(&self.0, rows, cols)
    }
}

/// Σv², in eight parallel sums.
#[inline(always)]
pub(super) fn squared_length<T: ProductFloat>(row: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = row.as_chunks::<8>();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v.wide() * v.wide();
        }
    }
    let rest: f64 = rest.iter().map(|v| v.wide() * v.wide()).sum();
    sums.iter().sum::<f64>() + rest
}

/// `rows`×m view of row-major storage.
pub(super) fn rows_of<T: ProductFloat>(
    values: &[T],
    rows: usize,
    features: usize,
) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(&values[..rows * features], rows, features)
}

/// Mutable `rows`×m view of row-major storage.
pub(super) fn rows_of_mut<T: ProductFloat>(
    values: &mut [T],
    rows: usize,
    features: usize,
) -> MatMut<'_, T> {
    MatMut::from_row_major_slice_mut(&mut values[..rows * features], rows, features)
}
