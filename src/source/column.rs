//! Decoded rows on their way into a minibatch: one [`Column`] per column of the file.

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;

/// Some rows of one file, decoded but not judged.
#[derive(Default)]
pub(super) struct Chunk {
    /// n, the rows.
    pub rows: usize,
    /// In the order of the features.
    pub columns: Vec<Column>,
    /// The id columns of these rows.
    pub ids: Option<RecordBatch>,
}

/// Values of one column, row by row: n rows of `len` values.
pub(super) struct Column {
    /// Values of a row: 1, or the length of a list.
    pub len: usize,
    /// n×len values; arbitrary where null.
    pub values: Buf,
    /// Marks the nulls among them, n×len; empty if there are none.
    pub nulls: Vec<bool>,
    /// True if a value is null, NaN, infinite or beyond the limit.
    pub dirty: bool,
    /// True if the file stores its values as integers.
    pub is_integer: bool,
}

/// Storage of a column: its own, reused, or Arrow's, shared.
pub(super) enum Buf {
    /// Own, single precision.
    F32(Vec<f32>),
    /// Own, double precision.
    F64(Vec<f64>),
    /// Arrow's memory, single precision.
    SharedF32(ScalarBuffer<f32>),
    /// Arrow's memory, double precision.
    SharedF64(ScalarBuffer<f64>),
}

/// Values as they can be read.
pub(super) enum View<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl Column {
    /// No rows yet, of `len` values each.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            values: Buf::F32(Vec::new()),
            nulls: Vec::new(),
            dirty: false,
            is_integer: false,
        }
    }

    /// That many rows without a value.
    pub fn set_all_null(&mut self, rows: usize) {
        let all = rows * self.len;
        self.f32s().resize(all, 0.0);
        self.nulls.clear();
        self.nulls.resize(all, true);
    }

    /// The values, whoever owns them.
    pub fn view(&self) -> View<'_> {
        match &self.values {
            Buf::F32(v) => View::F32(v),
            Buf::F64(v) => View::F64(v),
            Buf::SharedF32(v) => View::F32(v),
            Buf::SharedF64(v) => View::F64(v),
        }
    }

    /// Own, empty storage of single precision.
    pub fn f32s(&mut self) -> &mut Vec<f32> {
        if !matches!(self.values, Buf::F32(_)) {
            self.values = Buf::F32(Vec::new());
        }
        match &mut self.values {
            Buf::F32(v) => {
                v.clear();
                v
            }
            _ => unreachable!("set above"),
        }
    }

    /// Own, empty storage of double precision.
    pub fn f64s(&mut self) -> &mut Vec<f64> {
        if !matches!(self.values, Buf::F64(_)) {
            self.values = Buf::F64(Vec::new());
        }
        match &mut self.values {
            Buf::F64(v) => {
                v.clear();
                v
            }
            _ => unreachable!("set above"),
        }
    }

    /// Looks for values that need a policy, in one pass that the compiler vectorizes. If there are
    /// any, the column takes ownership of the storage so that they can be changed.
    pub fn scan(&mut self, limit: f64) {
        // Largest f32 that is no larger than the limit; f32::MAX when the limit is beyond f32.
        let limit_f32 = if limit >= f64::from(f32::MAX) {
            f32::MAX
        } else {
            limit as f32
        };
        self.dirty = !self.nulls.is_empty()
            || match self.view() {
                View::F32(v) => beyond(v, |x| x.abs() <= limit_f32),
                View::F64(v) => beyond(v, |x| x.abs() <= limit),
            };
        if self.dirty {
            self.own();
        }
    }

    /// Makes the column own its storage.
    pub fn own(&mut self) {
        match &self.values {
            Buf::SharedF32(v) => self.values = Buf::F32(v.to_vec()),
            Buf::SharedF64(v) => self.values = Buf::F64(v.to_vec()),
            Buf::F32(_) | Buf::F64(_) => {}
        }
    }
}

/// True if some value is not `fine` (NaN compares as not).
fn beyond<T: Copy, F: Fn(T) -> bool>(values: &[T], fine: F) -> bool {
    pulp::Arch::new().dispatch(Beyond { values, fine })
}

/// The search, compiled for the vector width found at run time.
struct Beyond<'a, T, F> {
    values: &'a [T],
    fine: F,
}

impl<T: Copy, F: Fn(T) -> bool> pulp::NullaryFnOnce for Beyond<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        // Blocks without an early exit inside: the inner loop has no branch.
        let fine = self.fine;
        self.values
            .chunks(1024)
            .any(|block| !block.iter().fold(true, |all, &x| all & fine(x)))
    }
}

/// Moves the non-null values to their rows and leaves zeros at the nulls.
///
/// Shapes: before, `values` has one entry per `false` in `nulls`; afterwards it is as long as
/// `nulls`.
pub(super) fn spread<T: Copy + Default>(values: &mut Vec<T>, nulls: &[bool]) {
    let mut from = values.len();
    values.resize(nulls.len(), T::default());
    for (to, &null) in nulls.iter().enumerate().rev() {
        if null || from == 0 {
            values[to] = T::default();
        } else {
            from -= 1;
            values[to] = values[from];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_keeps_order() {
        let mut values = vec![1, 2, 3];
        spread(&mut values, &[true, false, false, true, false, true]);
        assert_eq!(values, [0, 1, 2, 0, 3, 0]);
    }

    #[test]
    fn scan_sees_the_one_bad_value() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e15] {
            let mut column = Column::new(1);
            column.f32s().extend(vec![1.0; 5000]);
            column.scan(1e15);
            assert!(!column.dirty);
            if let Buf::F32(v) = &mut column.values {
                v[4321] = bad;
            }
            column.scan(1e15);
            assert!(column.dirty);
        }
    }
}
