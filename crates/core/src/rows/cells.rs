//! Borrowed values of one of the two widths.

use super::{Values, Width};

/// Values of one of the two widths.
///
/// ```
/// use ojad_core::{Cells, Rows};
///
/// let cells = Cells::F32(&[1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(Rows::row_major(cells, 2).len(), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    /// Values of single precision.
    F32(&'a [f32]),
    /// Values of double precision.
    F64(&'a [f64]),
}

impl Cells<'_> {
    /// The width of the values.
    pub(crate) fn width(&self) -> Width {
        match self {
            Self::F32(_) => Width::F32,
            Self::F64(_) => Width::F64,
        }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// True if there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `at`.
    pub(crate) fn at(&self, at: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[at]),
            Self::F64(values) => values[at],
        }
    }

    /// True if the value at `at` is infinite.
    pub(crate) fn is_infinite(&self, at: usize) -> bool {
        self.at(at).is_infinite()
    }
}

impl Values {
    /// Borrows the values, whichever their width.
    pub fn cells(&self) -> Cells<'_> {
        match self {
            Self::F32(values) => Cells::F32(values),
            Self::F64(values) => Cells::F64(values),
        }
    }

    /// The width of the values.
    pub fn width(&self) -> Width {
        match self {
            Self::F32(_) => Width::F32,
            Self::F64(_) => Width::F64,
        }
    }
}
