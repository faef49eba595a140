//! A centred, scaled minibatch: what every rule learns from.

use faer::{MatMut, MatRef};

use crate::learner::center::Pivot;
use crate::linalg::Real;
use crate::rows::{Buffer, Layout};

/// The rows B of a minibatch as factors of the covariance's change.
///
/// With N the weight of all rows so far, n₀ that of the earlier ones, and the rows
/// ỹᵢ = yᵢ − `mean_shrinkage`·ȳ,
///
///   C_new = (n₀/N)·C_old + (1/N)·Σ ỹᵢ ỹᵢᵀ
///
/// is exact. Early blocks are centred on their own mean and carry the row √(n₀s/N)(x̄ − μ) that
/// makes up for it (Chan, Golub, LeVeque 1983); later ones are centred on the running mean, which
/// takes only one pass, and Σyyᵀ − (s²/N)ȳȳᵀ is written as Σỹỹᵀ by `mean_shrinkage` = 1 − √(1 −
/// s/N).
#[derive(Debug)]
pub struct Block<T> {
    values: Buffer<T>,
    layout: Layout,
    /// Distance from a row (row-major) or a feature (column-major) to the next.
    stride: usize,
    features: usize,
    rows: usize,
    /// True if the storage was taken from the minibatch, which then no longer has its values.
    is_exchanged: bool,
    /// c of ỹᵢ = yᵢ − c·ȳ; 0 for a block centred on its own mean.
    pub mean_shrinkage: f64,
    /// ȳ, the mean of the rows in block units, length m.
    pub mean: Vec<f64>,
    /// s, the weight of these rows.
    pub weight: f64,
    /// n₀, the weight of all earlier rows.
    pub prior_weight: f64,
    /// γ^b, by which that weight has decayed since the previous block.
    pub decay: f64,
    /// Σ‖ỹᵢ‖², the squared Frobenius norm of the rows ỹ.
    pub squared_norm: f64,
}

/// Room for `rows` rows and the one that corrects the mean, rounded up to vectors of sixteen: with
/// unaligned columns every vector load and store would cost twice.
fn room(rows: usize) -> usize {
    (rows + 1).next_multiple_of(16)
}

impl<T: Real> Block<T> {
    /// Room for `rows` rows and the one that corrects the mean.
    pub fn new(rows: usize, features: usize) -> Self {
        Self {
            values: Buffer::zeros(room(rows) * features),
            layout: Layout::RowMajor,
            stride: features,
            features,
            rows: 0,
            is_exchanged: false,
            mean_shrinkage: 0.0,
            mean: vec![0.0; features],
            weight: 0.0,
            prior_weight: 0.0,
            decay: 1.0,
            squared_norm: 0.0,
        }
    }

    /// Makes room for `rows` rows of the next minibatch, in its layout.
    pub fn begin(&mut self, rows: usize, layout: Layout) {
        self.layout = layout;
        self.rows = rows;
        self.is_exchanged = false;
        self.stride = match layout {
            Layout::RowMajor => self.features,
            Layout::ColumnMajor => room(rows),
        };
        let needed = room(rows) * self.features;
        if needed > self.values.len() {
            self.values.make_room(needed);
        }
    }

    /// Takes the storage of a minibatch of `rows` rows, `stride` apart, in exchange for its own.
    pub fn exchange(&mut self, values: &mut Buffer<T>, rows: usize, layout: Layout, stride: usize) {
        self.layout = layout;
        self.rows = rows;
        self.is_exchanged = true;
        // The minibatch gets back a buffer at least as large as the one that it gave.
        self.values.make_room(values.len());
        std::mem::swap(&mut self.values, values);
        self.stride = stride;
    }

    /// The original rows, if this block took their storage: y ÷ factor + pivot, in f64.
    pub fn as_read(&self, pivot: &Pivot<T>) -> Option<Vec<f64>> {
        let y = self.is_exchanged.then(|| self.as_mat())?;
        let (b, m) = (y.nrows(), y.ncols());
        let mut rows = vec![0.0; b * m];
        for (i, row) in rows.chunks_exact_mut(m).enumerate() {
            for (j, v) in row.iter_mut().enumerate() {
                *v = y[(i, j)].wide() / pivot.factor[j].wide() + pivot.shift[j];
            }
        }
        Some(rows)
    }

    /// Distance from a row (row-major) or a feature (column-major) to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The storage, written by the centring pass.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Number of rows held, including the one that corrects the mean.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// e of Σỹỹᵀ = Σyyᵀ − e·b·ȳȳᵀ: 1 − (1−c)².
    pub fn removed_share(&self) -> f64 {
        self.mean_shrinkage * (2.0 - self.mean_shrinkage)
    }

    /// N, the weight of all rows including these.
    pub fn total(&self) -> f64 {
        self.prior_weight + self.weight
    }

    /// Appends `row`, length m.
    pub fn push(&mut self, row: impl Iterator<Item = f64>) {
        let i = self.rows;
        self.rows += 1;
        let mut values = self.as_mat_mut();
        for (j, value) in row.enumerate() {
            values[(i, j)] = T::of(value);
        }
    }

    /// Y, b×m, as stored.
    pub fn as_mat(&self) -> MatRef<'_, T> {
        self.sub_rows(0, self.rows)
    }

    /// `count` rows of Y from `first`, count×m.
    pub fn sub_rows(&self, first: usize, count: usize) -> MatRef<'_, T> {
        match self.layout {
            Layout::RowMajor => {
                let values = &self.values[first * self.features..];
                MatRef::from_row_major_slice(&values[..count * self.features], count, self.features)
            }
            Layout::ColumnMajor => {
                let (values, stride) = (&self.values[first..], self.stride);
                MatRef::from_column_major_slice_with_stride(values, count, self.features, stride)
            }
        }
    }

    /// Y, b×m, mutable.
    pub fn as_mat_mut(&mut self) -> MatMut<'_, T> {
        let (rows, features) = (self.rows, self.features);
        match self.layout {
            Layout::RowMajor => MatMut::from_row_major_slice_mut(
                &mut self.values[..rows * features],
                rows,
                features,
            ),
            Layout::ColumnMajor => {
                let (values, stride) = (&mut self.values[..], self.stride);
                MatMut::from_column_major_slice_with_stride_mut(values, rows, features, stride)
            }
        }
    }

    /// Σ‖yᵢ‖² of the rows held.
    pub fn sum_of_squares(&self) -> f64 {
        let (lines, length) = match self.layout {
            Layout::RowMajor => (self.rows, self.features),
            Layout::ColumnMajor => (self.features, self.rows),
        };
        let mut sums = [0.0; 8];
        for line in 0..lines {
            for chunk in self.values[line * self.stride..][..length].chunks(8) {
                for (sum, v) in sums.iter_mut().zip(chunk) {
                    *sum += v.wide() * v.wide();
                }
            }
        }
        sums.iter().sum()
    }

    /// Squared distance between two rows, ‖yᵢ − yₗ‖².
    pub fn squared_distance(&self, i: usize, l: usize) -> f64 {
        let y = self.as_mat();
        let apart = (0..self.features).map(|j| y[(i, j)].wide() - y[(l, j)].wide());
        apart.map(|v| v * v).sum()
    }

    /// Multiplies the values of feature `j`.
    pub fn scale_feature(&mut self, j: usize, factor: f64) {
        let factor = T::of(factor);
        let mut values = self.as_mat_mut();
        for i in 0..values.nrows() {
            values[(i, j)] = values[(i, j)] * factor;
        }
    }

    /// Turns the rows into ỹ, for rules that need them explicitly.
    pub fn apply_mean_shrinkage(&mut self) {
        if self.mean_shrinkage == 0.0 {
            return;
        }
        let mean_shrinkage = std::mem::replace(&mut self.mean_shrinkage, 0.0);
        let mean = std::mem::take(&mut self.mean);
        let mut values = self.as_mat_mut();
        for (j, mean) in mean.iter().enumerate() {
            let shift = T::of(mean_shrinkage * mean);
            for i in 0..values.nrows() {
                values[(i, j)] = values[(i, j)] - shift;
            }
        }
        self.mean = mean;
    }
}
