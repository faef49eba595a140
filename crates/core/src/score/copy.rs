//! The caller's rows → a minibatch's storage.

use super::cells::{Kind, Lane, Rows};
use crate::linalg::Real;
use crate::rows::{Cells, Layout, Minibatch, Values, Width};

impl Rows<'_> {
    /// Width that holds every value: f64 where a lane is.
    pub(crate) fn width(&self) -> Width {
        match &self.0 {
            Kind::RowMajor { cells, .. } => cells.width(),
            Kind::Lanes { lanes, .. } => {
                let is_wide = lanes.iter().any(|lane| lane.cells.width() == Width::F64);
                if is_wide { Width::F64 } else { Width::F32 }
            }
        }
    }

    /// Layout of the values.
    pub(crate) fn layout(&self) -> Layout {
        if self.is_row_major() {
            Layout::RowMajor
        } else {
            Layout::ColumnMajor
        }
    }

    /// Row, feature and value of the first refused value, row by row.
    pub(crate) fn find(&self, is_refused: impl Fn(f64) -> bool) -> Option<(usize, usize, f64)> {
        match &self.0 {
            Kind::RowMajor {
                cells,
                rows,
                features,
            } => {
                let len = rows * features;
                // Outside of the loop over values: one that asks for the width of each is slower.
                let found = match cells {
                    Cells::F32(values) => values[..len].iter().position(|v| is_refused(v.wide())),
                    Cells::F64(values) => values[..len].iter().position(|v| is_refused(*v)),
                }?;
                Some((found / features, found % features, cells.at(found)))
            }
            Kind::Lanes { lanes, rows } => {
                let first = |lane: &Lane<'_>| (0..*rows).find(|i| is_refused(lane.at(*i)));
                let found = lanes.iter().enumerate();
                let found = found.filter_map(|(j, lane)| Some((first(lane)?, j)));
                let (row, feature) = found.min()?;
                Some((row, feature, lanes[feature].at(row)))
            }
        }
    }

    /// Copies `count` rows from `at` on to row `to` and those behind it of a minibatch that has
    /// buffers for them; returns whether one of the values is NaN.
    pub(crate) fn copy_to(
        &self,
        (at, count): (usize, usize),
        batch: &mut Minibatch,
        to: usize,
    ) -> bool {
        let (row, col) = (batch.row_stride(), batch.col_stride());
        let first = to * row;
        match batch.values_mut() {
            Values::F32(values) => self.write((at, count), &mut values[first..], (row, col)),
            Values::F64(values) => self.write((at, count), &mut values[first..], (row, col)),
        }
    }

    fn write<T: Real>(
        &self,
        (at, count): (usize, usize),
        to: &mut [T],
        (row, col): (usize, usize),
    ) -> bool {
        match &self.0 {
            // Rows to rows: one run of values.
            Kind::RowMajor {
                cells, features, ..
            } if col == 1 => {
                let (first, len) = (at * features, count * features);
                match cells {
                    Cells::F32(values) => copy(&values[first..first + len], 1, to, 1),
                    Cells::F64(values) => copy(&values[first..first + len], 1, to, 1),
                }
            }
            Kind::RowMajor {
                cells, features, ..
            } => {
                let mut has_missing = false;
                for j in 0..*features {
                    let lane = Lane {
                        cells: *cells,
                        start: j,
                        stride: *features,
                    };
                    has_missing |= lane.write((at, count), &mut to[j * col..], row);
                }
                has_missing
            }
            Kind::Lanes { lanes, .. } => {
                let mut has_missing = false;
                for (j, lane) in lanes.iter().enumerate() {
                    has_missing |= lane.write((at, count), &mut to[j * col..], row);
                }
                has_missing
            }
        }
    }
}

impl Lane<'_> {
    fn at(&self, row: usize) -> f64 {
        self.cells.at(self.start + row * self.stride)
    }

    fn write<T: Real>(&self, (at, count): (usize, usize), to: &mut [T], row: usize) -> bool {
        if count == 0 {
            return false;
        }
        let first = self.start + at * self.stride;
        let end = first + (count - 1) * self.stride + 1;
        match self.cells {
            Cells::F32(values) => copy(&values[first..end], self.stride, to, row),
            Cells::F64(values) => copy(&values[first..end], self.stride, to, row),
        }
    }
}

/// Every `stride`-th value to every `row`-th place; returns whether one is NaN.
fn copy<S: Real, T: Real>(from: &[S], stride: usize, to: &mut [T], row: usize) -> bool {
    let mut has_missing = false;
    let pairs = from
        .iter()
        .step_by(stride.max(1))
        .zip(to.iter_mut().step_by(row.max(1)));
    for (from, to) in pairs {
        let value = from.wide();
        has_missing |= value.is_nan();
        *to = T::of(value);
    }
    has_missing
}
