//! Values in the caller's memory → centred, scaled rows.
//!
//! In: f32 or f64, row by row or one lane per feature. Out: z = (x − mean)/scale in f64, zero where
//! x is NaN, in the original layout, and ‖z‖² of each row. One pass, compiled for the vector width
//! of the machine; contiguous values are read as slices.

use crate::learner::Estimate;
use crate::linalg::Real;
use crate::rows::{Cells, Layout, Minibatch};

/// Parallel sums within a row.
const LANES: usize = 8;

/// The values of one feature: those at `start`, `start + stride`, …
///
/// ```
/// use ojad_core::{Cells, Lane, Rows};
///
/// // Two features of three that lie row by row: the first and the last.
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let lane = |start| Lane { cells: Cells::F64(&values), start, stride: 3 };
/// let rows = Rows::lanes(vec![lane(0), lane(2)], 2);
/// assert_eq!((rows.len(), rows.features()), (2, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lane<'a> {
    /// The values that contain them.
    pub cells: Cells<'a>,
    /// Position of the first value.
    pub start: usize,
    /// Distance from one row to the next.
    pub stride: usize,
}

/// Rows whose features are in the order of the components.
///
/// ```
/// use ojad_core::Rows;
///
/// let by_row = Rows::from_f64(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
/// let by_column = Rows::from_columns(&[&[1.0, 4.0], &[2.0, 5.0], &[3.0, 6.0]]);
/// assert_eq!((by_row.len(), by_row.features()), (2, 3));
/// assert_eq!((by_column.len(), by_column.features()), (2, 3));
/// ```
#[derive(Clone, Debug)]
pub struct Rows<'a>(pub(super) Kind<'a>);

#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    /// m values per row, without gaps.
    RowMajor {
        cells: Cells<'a>,
        rows: usize,
        features: usize,
    },
    /// One lane for each of m features.
    Lanes { lanes: Vec<Lane<'a>>, rows: usize },
}

/// Shift and factor of each feature, length m each.
#[derive(Clone, Debug)]
pub(super) struct Shifts {
    mean: Vec<f64>,
    factor: Vec<f64>,
}

impl Shifts {
    /// The shifts that make z of the rows of `estimate`. A feature without any observed value has
    /// no mean to deviate from: its z is zero, whatever the value.
    pub fn of(estimate: &Estimate) -> Self {
        let both = estimate.scale.iter().zip(&estimate.observed);
        let factor = both.map(|(scale, seen)| if *seen > 0.0 { 1.0 / scale } else { 0.0 });
        Self {
            mean: estimate.mean.clone(),
            factor: factor.collect(),
        }
    }
}

impl<'a> Rows<'a> {
    /// As many rows as the values make, with `features` each.
    pub fn row_major(cells: Cells<'a>, features: usize) -> Self {
        Self(Kind::RowMajor {
            rows: cells.len() / features.max(1),
            cells,
            features,
        })
    }

    /// Rows of f32 values, row by row: as many as the values make, `features` each.
    pub fn from_f32(values: &'a [f32], features: usize) -> Self {
        Self::row_major(Cells::F32(values), features)
    }

    /// Rows of f64 values, row by row: as many as the values make, `features` each.
    pub fn from_f64(values: &'a [f64], features: usize) -> Self {
        Self::row_major(Cells::F64(values), features)
    }

    /// One column of f64 values per feature; as many rows as the shortest column has.
    pub fn from_columns(columns: &[&'a [f64]]) -> Self {
        let rows = columns.iter().map(|column| column.len()).min();
        let lane = |column: &&'a [f64]| Lane {
            cells: Cells::F64(column),
            start: 0,
            stride: 1,
        };
        Self::lanes(columns.iter().map(lane).collect(), rows.unwrap_or(0))
    }

    /// One lane per feature; as many rows as all of them have, at most `rows`.
    pub fn lanes(lanes: Vec<Lane<'a>>, rows: usize) -> Self {
        let held = |lane: &Lane<'_>| {
            let left = lane.cells.len().saturating_sub(lane.start);
            left.div_ceil(lane.stride.max(1))
        };
        let rows = lanes.iter().map(held).min().unwrap_or(0).min(rows);
        Self(Kind::Lanes { lanes, rows })
    }

    /// The rows of a minibatch, whose column `order[j]` is feature j.
    pub(crate) fn of_minibatch(batch: &'a Minibatch, order: Option<&[usize]>) -> Self {
        let (rows, features) = (batch.rows(), batch.features());
        let cells = batch.values().cells();
        if order.is_none() && batch.layout() == Layout::RowMajor {
            let cells = match cells {
                Cells::F32(values) => Cells::F32(&values[..rows * features]),
                Cells::F64(values) => Cells::F64(&values[..rows * features]),
            };
            return Self::row_major(cells, features);
        }
        let lane = |j: usize| Lane {
            cells,
            start: j * batch.col_stride(),
            stride: batch.row_stride(),
        };
        let lanes = match order {
            Some(order) => order.iter().map(|&j| lane(j)).collect(),
            None => (0..features).map(lane).collect(),
        };
        Self::lanes(lanes, rows)
    }

    /// Number of rows, b.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::RowMajor { rows, .. } | Kind::Lanes { rows, .. } => *rows,
        }
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of features, m.
    pub fn features(&self) -> usize {
        match &self.0 {
            Kind::RowMajor { features, .. } => *features,
            Kind::Lanes { lanes, .. } => lanes.len(),
        }
    }

    /// Feature of the first infinite value of a row.
    pub fn infinity(&self, row: usize) -> Option<usize> {
        match &self.0 {
            Kind::RowMajor {
                cells, features, ..
            } => (0..*features).find(|j| cells.is_infinite(row * features + j)),
            Kind::Lanes { lanes, .. } => lanes
                .iter()
                .position(|lane| lane.cells.is_infinite(lane.start + row * lane.stride)),
        }
    }

    pub(super) fn is_row_major(&self) -> bool {
        matches!(self.0, Kind::RowMajor { .. })
    }

    /// Writes z of the `b` rows from `at` on, in the layout of the values, and adds ‖z‖² to `squared_norm`,
    /// length b.
    pub(super) fn centre(
        &self,
        (at, b): (usize, usize),
        shifts: &Shifts,
        z: &mut [f64],
        squared_norm: &mut [f64],
    ) {
        let arch = pulp::Arch::new();
        match &self.0 {
            Kind::RowMajor {
                cells, features, ..
            } => {
                let m = *features;
                match cells {
                    Cells::F32(values) => arch.dispatch(RowPass {
                        x: &values[at * m..(at + b) * m],
                        shifts,
                        z,
                        squared_norm,
                    }),
                    Cells::F64(values) => arch.dispatch(RowPass {
                        x: &values[at * m..(at + b) * m],
                        shifts,
                        z,
                        squared_norm,
                    }),
                }
            }
            Kind::Lanes { lanes, .. } => arch.dispatch(LanePass {
                lanes,
                at,
                shifts,
                z,
                squared_norm,
            }),
        }
    }
}

#[inline(always)]
fn centred(x: f64, mean: f64, factor: f64) -> f64 {
    let z = (x - mean) * factor;
    // A missing value counts as the mean; so does nothing else, since mean and factor are finite.
    if x.is_nan() { 0.0 } else { z }
}

struct RowPass<'a, X> {
    x: &'a [X],
    shifts: &'a Shifts,
    z: &'a mut [f64],
    squared_norm: &'a mut [f64],
}

impl<X: Real> pulp::NullaryFnOnce for RowPass<'_, X> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let m = self.shifts.mean.len();
        let rows = self.x.chunks_exact(m).zip(self.z.chunks_exact_mut(m));
        for ((x, z), squared_norm) in rows.zip(self.squared_norm) {
            row(x, z, &self.shifts.mean, &self.shifts.factor, squared_norm);
        }
    }
}

#[inline(always)]
fn row<X: Real>(x: &[X], z: &mut [f64], mean: &[f64], factor: &[f64], squared_norm: &mut f64) {
    let ((x, x_rest), (z, z_rest)) = (x.as_chunks::<LANES>(), z.as_chunks_mut::<LANES>());
    let (mean, mean_rest) = mean.as_chunks::<LANES>();
    let (factor, factor_rest) = factor.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for ((x, z), (mean, factor)) in x.iter().zip(z).zip(mean.iter().zip(factor)) {
        for l in 0..LANES {
            let v = centred(x[l].wide(), mean[l], factor[l]);
            z[l] = v;
            sums[l] += v * v;
        }
    }
    let rest = x_rest.iter().zip(z_rest);
    for ((x, z), (mean, factor)) in rest.zip(mean_rest.iter().zip(factor_rest)) {
        let v = centred(x.wide(), *mean, *factor);
        *z = v;
        sums[0] += v * v;
    }
    *squared_norm += sums.iter().sum::<f64>();
}

struct LanePass<'a> {
    lanes: &'a [Lane<'a>],
    at: usize,
    shifts: &'a Shifts,
    z: &'a mut [f64],
    squared_norm: &'a mut [f64],
}

impl pulp::NullaryFnOnce for LanePass<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (b, at) = (self.squared_norm.len(), self.at);
        let columns = self.lanes.iter().zip(self.z.chunks_exact_mut(b));
        let by = self.shifts.mean.iter().zip(&self.shifts.factor);
        for ((lane, z), (mean, factor)) in columns.zip(by) {
            let by = (*mean, *factor);
            let first = lane.start + at * lane.stride;
            match (lane.cells, lane.stride) {
                // Contiguous lanes are passed as slices, which the compiler vectorises; it does
                // not vectorise strides.
                (Cells::F32(x), 1) => column(&x[first..first + b], z, by, self.squared_norm),
                (Cells::F64(x), 1) => column(&x[first..first + b], z, by, self.squared_norm),
                (Cells::F32(x), stride) => strided(&x[first..], stride, z, by, self.squared_norm),
                (Cells::F64(x), stride) => strided(&x[first..], stride, z, by, self.squared_norm),
            }
        }
    }
}

#[inline(always)]
fn column<X: Real>(x: &[X], z: &mut [f64], (mean, factor): (f64, f64), squared_norm: &mut [f64]) {
    for ((x, z), squared_norm) in x.iter().zip(z).zip(squared_norm) {
        let v = centred(x.wide(), mean, factor);
        *z = v;
        *squared_norm += v * v;
    }
}

#[inline(always)]
fn strided<X: Real>(
    x: &[X],
    stride: usize,
    z: &mut [f64],
    (mean, factor): (f64, f64),
    squared_norm: &mut [f64],
) {
    for ((x, z), squared_norm) in x.iter().step_by(stride).zip(z).zip(squared_norm) {
        let v = centred(x.wide(), mean, factor);
        *z = v;
        *squared_norm += v * v;
    }
}
