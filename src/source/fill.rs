//! Chunks → minibatches: applies the policies to values and copies the accepted rows.

use std::ops::Range;

use super::column::{Chunk, Column, Float, either};
use super::params::{BadValue, SourceParams};
use crate::linalg::Real;
use crate::rows::{Minibatch, RowCounts, Values, is_since_1970, since_1970};

/// The row has a value to be imputed.
pub(super) const MISSING: u8 = 1;
/// The row is left out for a null, a NaN or an infinity.
pub(super) const REASONS: [u8; 3] = [2, 4, 8];
/// The row is left out.
pub(super) const REJECTED: u8 = REASONS[0] | REASONS[1] | REASONS[2];

/// A value that ends the run.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Row in the chunk.
    pub row: usize,
    /// Index of the feature.
    pub feature: usize,
    /// The reason, in words.
    pub wrong: Wrong,
}

/// Fault of a value.
#[derive(Clone, Debug)]
pub(super) enum Wrong {
    /// It is not finite.
    Bad {
        /// The value.
        value: &'static str,
        /// The key that determines the policy.
        key: &'static str,
    },
    /// It is too large for the precision.
    Large(f64),
    /// It is a time, like most values of its column.
    Time {
        /// The number.
        value: f64,
        /// Its unit and date.
        meaning: String,
    },
}

/// Applies the policies to rows of a chunk: counts bad values, writes NaN where the mean is to be
/// substituted, and marks rows in `flags`.
///
/// Shapes: `flags` has an entry per row of `rows`. Fails with the first row's fault, if any.
pub(super) fn apply_policy(
    chunk: &mut Chunk,
    rows: &Range<usize>,
    params: &SourceParams,
    flags: &mut [u8],
    counts: &mut RowCounts,
) -> Result<(), Fault> {
    let mut first: Option<Fault> = None;
    let mut feature = 0;
    for column in &mut chunk.columns {
        let len = column.len;
        if column.dirty {
            let mut judge = Judge {
                params,
                is_integer: column.is_integer,
                flags,
                counts,
                feature,
                len,
                start: rows.start,
                first: &mut first,
            };
            let at = rows.start * len..rows.end * len;
            let nulls = (!column.nulls.is_empty()).then(|| &column.nulls[at.clone()]);
            either!(&mut column.values, v => judge.column(&mut v.to_mut()[at], nulls));
        }
        feature += len;
    }
    first.map_or(Ok(()), Err)
}

struct Judge<'a> {
    params: &'a SourceParams,
    is_integer: bool,
    flags: &'a mut [u8],
    counts: &'a mut RowCounts,
    feature: usize,
    len: usize,
    start: usize,
    first: &'a mut Option<Fault>,
}

impl Judge<'_> {
    fn column<T: Float>(&mut self, values: &mut [T], nulls: Option<&[bool]>) {
        let limit = self.params.limit.magnitude();
        let mut are_times = None;
        for i in 0..values.len() {
            let x = values[i].wide();
            let null = nulls.is_some_and(|nulls| nulls[i]);
            // This is false for NaN as well, so one comparison passes every good value.
            if !null && x.abs() <= limit {
                continue;
            }
            let (row, feature) = (i / self.len, self.feature + i % self.len);
            let (reason, count) = if null {
                (0, &mut self.counts.nulls)
            } else if x.is_nan() {
                (1, &mut self.counts.nans)
            } else {
                (2, &mut self.counts.infinities)
            };
            // No policy helps: `skip` would leave out every row, `mean` make a constant of it.
            if self.is_integer
                && !null
                && *are_times.get_or_insert_with(|| mostly_times(values, nulls))
                && let Some(meaning) = since_1970(x)
            {
                let wrong = Wrong::Time { value: x, meaning };
                // The column is refused as a whole: its other values need not be judged.
                return self.fault(row, feature, wrong);
            }
            let (policy, key) = [
                (self.params.on_null, "source.on_null"),
                (self.params.on_nan, "source.on_nan"),
                (self.params.on_inf, "source.on_inf"),
            ][reason];
            count[feature] += 1;
            match policy {
                BadValue::Skip => self.flags[row] |= REASONS[reason],
                BadValue::Mean => {
                    self.flags[row] |= MISSING;
                    values[i] = T::of(f64::NAN);
                }
                BadValue::Error => {
                    let wrong = match (null, x.is_finite()) {
                        (true, _) => Wrong::Bad { value: "null", key },
                        (false, true) => Wrong::Large(x),
                        (false, false) if x.is_nan() => Wrong::Bad { value: "NaN", key },
                        (false, false) if x > 0.0 => Wrong::Bad { value: "inf", key },
                        (false, false) => Wrong::Bad { value: "-inf", key },
                    };
                    self.fault(row, feature, wrong);
                }
            }
        }
    }

    /// Notes a value that ends the run, unless an earlier row already has one.
    fn fault(&mut self, row: usize, feature: usize, wrong: Wrong) {
        let row = self.start + row;
        // Columns are judged one after the other, but a message should name the first bad row.
        if self.first.as_ref().is_none_or(|first| row < first.row) {
            *self.first = Some(Fault {
                row,
                feature,
                wrong,
            });
        }
    }
}

/// True if most non-null values can be read as times in these years: a single large integer may be
/// anything, and among times there may be zeros for missing ones.
fn mostly_times<T: Float>(values: &[T], nulls: Option<&[bool]>) -> bool {
    let (mut times, mut others) = (0_usize, 0);
    for (i, value) in values.iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls[i]) {
            continue;
        }
        if is_since_1970(value.wide()) {
            times += 1;
        } else {
            others += 1;
        }
    }
    times > others
}

/// Rows of a chunk to copy.
pub(super) enum Rows<'a> {
    /// All of these.
    Run(Range<usize>),
    /// Only these.
    Picked(&'a [usize]),
}

/// Copies rows of a chunk to a minibatch after its first `at` rows.
pub(super) fn copy(columns: &[Column], rows: &Rows<'_>, batch: &mut Minibatch, at: usize) {
    let to = Place {
        at,
        row_stride: batch.row_stride(),
        col_stride: batch.col_stride(),
    };
    match batch.values_mut() {
        Values::F32(dst) => copy_columns::<f32>(columns, rows, dst, to),
        Values::F64(dst) => copy_columns::<f64>(columns, rows, dst, to),
    }
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    row_stride: usize,
    col_stride: usize,
}

/// Values in the minibatch's width; the compiler makes a plain copy of it where the widths agree.
fn convert<S: Real, D: Real>(dst: &mut [D], src: &[S]) {
    for (dst, src) in dst.iter_mut().zip(src) {
        *dst = D::of(src.wide());
    }
}

fn copy_columns<D: Real>(columns: &[Column], rows: &Rows<'_>, dst: &mut [D], to: Place) {
    let mut feature = 0;
    for column in columns {
        let dst = &mut dst[feature * to.col_stride..];
        either!(&column.values, src => copy_column(&src[..], column.len, rows, dst, to));
        feature += column.len;
    }
}

fn copy_column<S: Real, D: Real>(src: &[S], len: usize, rows: &Rows<'_>, dst: &mut [D], to: Place) {
    match rows {
        // The two layouts that are one run of memory each: a copy at the speed of memory.
        Rows::Run(run) if len == 1 && to.row_stride == 1 => {
            convert(&mut dst[to.at..][..run.len()], &src[run.clone()]);
        }
        Rows::Run(run) if len == to.row_stride && to.col_stride == 1 => {
            convert(
                &mut dst[to.at * len..][..run.len() * len],
                &src[run.start * len..run.end * len],
            );
        }
        Rows::Run(run) => copy_rows(src, len, run.clone(), dst, to),
        Rows::Picked(picked) => copy_rows(src, len, picked.iter().copied(), dst, to),
    }
}

fn copy_rows<S: Real, D: Real>(
    src: &[S],
    len: usize,
    rows: impl Iterator<Item = usize>,
    dst: &mut [D],
    to: Place,
) {
    for (i, row) in rows.enumerate() {
        let values = &src[row * len..][..len];
        let start = (to.at + i) * to.row_stride;
        if to.col_stride == 1 {
            convert(&mut dst[start..][..len], values);
        } else {
            for (j, &value) in values.iter().enumerate() {
                dst[start + j * to.col_stride] = D::of(value.wide());
            }
        }
    }
}
