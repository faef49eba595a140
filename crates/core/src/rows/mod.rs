//! Minibatches: b×m values in storage that is reused.
//!
//! Refuses nothing: the caller that fills it decides which values a row may hold.

mod buffer;
mod cells;
mod saved;

pub use buffer::{Buffer, Lease};
pub use cells::Cells;

/// The width in which a minibatch stores its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Enough for f32, f16, bool and integers of up to 16 bits.
    F32,
    /// For f64, wider integers and decimals: centred in f64 before any f32 product.
    F64,
}

impl Width {
    /// Largest magnitude that products of this width learn from: 1e15 in f32, so that its square summed
    /// over 10⁵ features stays below the largest f32, 3.4e38; 1e150 in f64, by the same reasoning.
    pub fn largest(self) -> f64 {
        match self {
            Self::F32 => 1e15,
            Self::F64 => 1e150,
        }
    }
}

/// The order of values in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The m values of a row are contiguous: list and binary columns.
    RowMajor,
    /// The values of a feature are contiguous, `capacity` apart from the next feature's: one
    /// Parquet or Arrow column per feature stays as stored.
    ColumnMajor,
}

/// Storage of a minibatch, in one of the two widths.
#[derive(Clone, Debug)]
pub enum Values {
    /// Values of width [`Width::F32`].
    F32(Buffer<f32>),
    /// Values of width [`Width::F64`].
    F64(Buffer<f64>),
}

/// b×m values in storage that is reused from minibatch to minibatch.
///
/// A missing value that the policy imputes is NaN here, and only then may a NaN occur.
#[derive(Clone, Debug)]
pub struct Minibatch {
    values: Values,
    layout: Layout,
    capacity: usize,
    features: usize,
    rows: usize,
    has_missing: bool,
    first_row: u64,
}

impl Minibatch {
    /// An empty minibatch with room for `capacity` rows of `features` values.
    pub fn new(width: Width, layout: Layout, capacity: usize, features: usize) -> Self {
        let len = capacity * features;
        let values = match width {
            Width::F32 => Values::F32(Buffer::zeros(len)),
            Width::F64 => Values::F64(Buffer::zeros(len)),
        };
        Self::over(values, layout, (capacity, features))
    }

    fn over(values: Values, layout: Layout, (capacity, features): (usize, usize)) -> Self {
        Self {
            values,
            layout,
            capacity,
            features,
            rows: 0,
            has_missing: false,
            first_row: 0,
        }
    }

    /// An empty minibatch with room for `capacity` rows of `features` values in memory that is
    /// lent; `None` if that is not exactly as long as they are.
    pub fn leased(
        lease: Box<dyn Lease>,
        width: Width,
        layout: Layout,
        (capacity, features): (usize, usize),
    ) -> Option<Self> {
        let len = capacity.checked_mul(features)?;
        let values = match width {
            Width::F32 => Values::F32(Buffer::leased(lease).filter(|values| values.len() == len)?),
            Width::F64 => Values::F64(Buffer::leased(lease).filter(|values| values.len() == len)?),
        };
        Some(Self::over(values, layout, (capacity, features)))
    }

    /// Returns lent memory; rows in it are lost.
    pub fn give_back(&mut self) {
        let is_lent = match &self.values {
            Values::F32(values) => values.is_lent(),
            Values::F64(values) => values.is_lent(),
        };
        if is_lent {
            self.rows = 0;
            match &mut self.values {
                Values::F32(values) => *values = Buffer::zeros(0),
                Values::F64(values) => *values = Buffer::zeros(0),
            }
        }
    }

    /// Width of the values.
    pub fn width(&self) -> Width {
        self.values.width()
    }

    /// Rows of f64 values, row by row: for tests and callers with data in memory.
    ///
    /// # Panics
    /// If `values` is not a whole number of rows.
    pub fn from_rows(values: &[f64], features: usize) -> Self {
        assert!(
            features > 0 && values.len().is_multiple_of(features),
            "whole rows"
        );
        let rows = values.len() / features;
        let mut batch = Self::new(Width::F64, Layout::RowMajor, rows, features);
        batch.values = Values::F64(values.to_vec().into());
        batch.rows = rows;
        batch
    }

    /// b, the rows held now.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of rows that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// m, the values of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The order of the values in memory.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The storage: `capacity × features` values of which the first `rows` rows count.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The mutable storage; after filling it, call [`Minibatch::set_rows`].
    pub fn values_mut(&mut self) -> &mut Values {
        let len = self.capacity * self.features;
        match &mut self.values {
            Values::F32(values) => values.make_room(len),
            Values::F64(values) => values.make_room(len),
        }
        &mut self.values
    }

    /// Distance in values from a row to the next.
    pub fn row_stride(&self) -> usize {
        match self.layout {
            Layout::RowMajor => self.features,
            Layout::ColumnMajor => 1,
        }
    }

    /// Distance in values from a feature to the next.
    pub fn col_stride(&self) -> usize {
        match self.layout {
            Layout::RowMajor => 1,
            Layout::ColumnMajor => self.capacity,
        }
    }

    /// Value of feature `j` in row `i`; for tests and slow paths.
    pub fn value(&self, i: usize, j: usize) -> f64 {
        let at = i * self.row_stride() + j * self.col_stride();
        self.values.cells().at(at)
    }

    /// Declares that the first `rows` rows are filled.
    pub fn set_rows(&mut self, rows: usize) {
        self.rows = rows.min(self.capacity);
    }

    /// Forgets the rows and keeps the storage.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.has_missing = false;
    }

    /// Moves the minibatch out, rows and storage, and leaves one of the same kind without room for a row.
    #[must_use]
    pub fn take(&mut self) -> Self {
        // No row, no allocation: an update that goes round with one buffer stays without any.
        let empty = Self::new(self.width(), self.layout, 0, self.features);
        std::mem::replace(self, empty)
    }

    /// True if some value is a NaN to be imputed.
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// Declares whether some value is a NaN to be imputed.
    pub fn set_has_missing(&mut self, has_missing: bool) {
        self.has_missing = has_missing;
    }

    /// Number of accepted rows of the feed before this minibatch.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Sets the number that [`Minibatch::first_row`] returns.
    pub fn set_first_row(&mut self, first_row: u64) {
        self.first_row = first_row;
    }
}
