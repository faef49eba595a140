//! Decoded rows on their way into a minibatch: one [`Column`] per column of the file.

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;

use crate::linalg::Real;

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

/// Values of one width; every `match` on it is an [`either!`], so that both widths are treated alike.
pub(super) enum Buf {
    /// Single precision.
    F32(Storage<f32>),
    /// Double precision.
    F64(Storage<f64>),
}

/// Memory of a column's values: its own, reused, or Arrow's, shared.
pub(super) enum Storage<T: Float> {
    /// Own.
    Own(Vec<T>),
    /// Arrow's.
    Shared(ScalarBuffer<T>),
}

impl<T: Float> std::ops::Deref for Storage<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Own(values) => values,
            Self::Shared(values) => values,
        }
    }
}

impl<T: Float> Storage<T> {
    /// The values to be written; shared ones are copied first.
    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if let Self::Shared(values) = self {
            *self = Self::Own(values.to_vec());
        }
        match self {
            Self::Own(values) => values,
            Self::Shared(_) => unreachable!("copied above"),
        }
    }
}

/// f32 or f64 as files hold them.
pub(super) trait Float: Real + ArrowNativeType {
    /// True if the magnitude is no larger than `limit`; false for NaN.
    fn is_within(self, limit: Self) -> bool;

    /// Storage of this width as values of a column.
    fn buf(storage: Storage<Self>) -> Buf;

    /// The storage, if the values have this width.
    fn storage(values: &mut Buf) -> Option<&mut Storage<Self>>;
}

macro_rules! float {
    ($float:ident, $width:ident) => {
        impl Float for $float {
            fn is_within(self, limit: Self) -> bool {
                self.abs() <= limit
            }

            fn buf(storage: Storage<Self>) -> Buf {
                Buf::$width(storage)
            }

            fn storage(values: &mut Buf) -> Option<&mut Storage<Self>> {
                match values {
                    Buf::$width(storage) => Some(storage),
                    _ => None,
                }
            }
        }
    };
}

float!(f32, F32);
float!(f64, F64);

/// The same expression of the values of either width.
macro_rules! either {
    ($values:expr, $name:ident => $what:expr) => {
        match $values {
            $crate::source::column::Buf::F32($name) => $what,
            $crate::source::column::Buf::F64($name) => $what,
        }
    };
}
pub(super) use either;

impl Column {
    /// No rows yet, of `len` values each.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            values: f32::buf(Storage::Own(Vec::new())),
            nulls: Vec::new(),
            dirty: false,
            is_integer: false,
        }
    }

    /// That many rows without a value.
    pub fn set_all_null(&mut self, rows: usize) {
        let all = rows * self.len;
        self.clear::<f32>().resize(all, 0.0);
        self.nulls.clear();
        self.nulls.resize(all, true);
    }

    /// Own, empty storage of this width.
    pub fn clear<T: Float>(&mut self) -> &mut Vec<T> {
        if T::storage(&mut self.values).is_none() {
            self.values = T::buf(Storage::Own(Vec::new()));
        }
        let Some(storage) = T::storage(&mut self.values) else {
            unreachable!("set above")
        };
        // Shared memory is let go of, not copied.
        if matches!(storage, Storage::Shared(_)) {
            *storage = Storage::Own(Vec::new());
        }
        let values = storage.to_mut();
        values.clear();
        values
    }

    /// Takes Arrow's memory as its values.
    pub fn share<T: Float>(&mut self, values: ScalarBuffer<T>) {
        self.values = T::buf(Storage::Shared(values));
    }

    /// Looks for values that need a policy, in one pass that the compiler vectorizes. If there are
    /// any, the column takes ownership of the storage so that they can be changed.
    pub fn scan(&mut self, limit: f64) {
        self.dirty = !self.nulls.is_empty() || either!(&self.values, v => is_beyond(v, limit));
        if self.dirty {
            self.own();
        }
    }

    /// Makes the column own its storage.
    pub fn own(&mut self) {
        either!(&mut self.values, v => {
            v.to_mut();
        });
    }
}

/// True if some magnitude is larger than `limit`, or NaN.
fn is_beyond<T: Float>(values: &[T], limit: f64) -> bool {
    // Beyond the range of this width lie only infinities.
    let limit = T::of(limit.min(T::LARGEST));
    pulp::Arch::new().dispatch(Beyond { values, limit })
}

/// The search, compiled for the vector width found at run time.
struct Beyond<'a, T> {
    values: &'a [T],
    limit: T,
}

impl<T: Float> pulp::NullaryFnOnce for Beyond<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let limit = self.limit;
        // Blocks without an early exit inside: the inner loop has no branch.
        let is_fine = |block: &[T]| block.iter().fold(true, |all, x| all & x.is_within(limit));
        !self.values.chunks(1024).all(is_fine)
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
            column.clear::<f32>().extend(vec![1.0; 5000]);
            column.scan(1e15);
            assert!(!column.dirty);
            if let Some(values) = f32::storage(&mut column.values) {
                values.to_mut()[4321] = bad;
            }
            column.scan(1e15);
            assert!(column.dirty);
        }
    }
}
