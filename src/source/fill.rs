//! Chunks → minibatches: judging values by policy, and copying the rows that stay.

use std::ops::Range;

use super::column::{Buf, Chunk, Column, View};
use super::params::{BadValue, SourceParams};
use crate::rows::{Minibatch, Tally, Values};

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
    /// The value.
    pub value: String,
    /// The key that decides.
    pub key: &'static str,
}

/// Applies the policies to rows of a chunk: counts what is bad, writes NaN where the mean is to
/// be taken, and marks rows in `flags`.
///
/// Shapes: `flags` has an entry per row of `rows`. Ends with the first row's fault, if any.
pub(super) fn judge(
    chunk: &mut Chunk,
    rows: &Range<usize>,
    params: &SourceParams,
    flags: &mut [u8],
    tally: &mut Tally,
) -> Result<(), Fault> {
    let mut first: Option<Fault> = None;
    let mut feature = 0;
    for column in &mut chunk.columns {
        let len = column.len;
        if column.dirty {
            let mut judge = Judge {
                params,
                flags,
                tally,
                feature,
                len,
                start: rows.start,
                first: &mut first,
            };
            let at = rows.start * len..rows.end * len;
            let nulls = (!column.nulls.is_empty()).then(|| &column.nulls[at.clone()]);
            match &mut column.values {
                Buf::F32(v) => judge.column(&mut v[at], nulls, f64::from, f32::NAN),
                Buf::F64(v) => judge.column(&mut v[at], nulls, |x| x, f64::NAN),
                // A dirty column owns its values.
                Buf::SharedF32(_) | Buf::SharedF64(_) => {}
            }
        }
        feature += len;
    }
    first.map_or(Ok(()), Err)
}

struct Judge<'a> {
    params: &'a SourceParams,
    flags: &'a mut [u8],
    tally: &'a mut Tally,
    feature: usize,
    len: usize,
    start: usize,
    first: &'a mut Option<Fault>,
}

impl Judge<'_> {
    fn column<T: Copy>(
        &mut self,
        values: &mut [T],
        nulls: Option<&[bool]>,
        wide: impl Fn(T) -> f64,
        nan: T,
    ) {
        let limit = self.params.limit.magnitude();
        for (i, value) in values.iter_mut().enumerate() {
            let x = wide(*value);
            let null = nulls.is_some_and(|nulls| nulls[i]);
            if !null && x.abs() <= limit {
                continue;
            }
            let (row, feature) = (i / self.len, self.feature + i % self.len);
            let (reason, count) = if null {
                (0, &mut self.tally.nulls)
            } else if x.is_nan() {
                (1, &mut self.tally.nans)
            } else {
                (2, &mut self.tally.infinities)
            };
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
                    *value = nan;
                }
                BadValue::Error => {
                    let row = self.start + row;
                    if self.first.as_ref().is_none_or(|first| row < first.row) {
                        let value = match (null, x.is_finite()) {
                            (true, _) => "null".to_owned(),
                            (false, true) => format!("{x:e}, beyond {limit:e}"),
                            (false, false) => x.to_string(),
                        };
                        *self.first = Some(Fault {
                            row,
                            feature,
                            value,
                            key,
                        });
                    }
                }
            }
        }
    }
}

/// Which rows of a chunk to copy.
pub(super) enum Rows<'a> {
    /// All of these.
    Run(Range<usize>),
    /// Just these.
    Picked(&'a [usize]),
}

/// Copies rows of a chunk behind the first `at` rows of a minibatch.
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

/// Conversion of stored values into the minibatch's width; a plain copy where they agree.
trait Take<S: Copy>: Copy {
    fn of(value: S) -> Self;
    fn run(dst: &mut [Self], src: &[S]) {
        for (dst, &src) in dst.iter_mut().zip(src) {
            *dst = Self::of(src);
        }
    }
}

impl Take<f32> for f32 {
    fn of(value: f32) -> Self {
        value
    }
    fn run(dst: &mut [Self], src: &[f32]) {
        dst.copy_from_slice(src);
    }
}

impl Take<f64> for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn run(dst: &mut [Self], src: &[f64]) {
        dst.copy_from_slice(src);
    }
}

impl Take<f32> for f64 {
    fn of(value: f32) -> Self {
        f64::from(value)
    }
}

impl Take<f64> for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
}

fn copy_columns<D: Take<f32> + Take<f64>>(
    columns: &[Column],
    rows: &Rows<'_>,
    dst: &mut [D],
    to: Place,
) {
    let mut feature = 0;
    for column in columns {
        let dst = &mut dst[feature * to.col_stride..];
        match column.view() {
            View::F32(src) => copy_column(src, column.len, rows, dst, to),
            View::F64(src) => copy_column(src, column.len, rows, dst, to),
        }
        feature += column.len;
    }
}

fn copy_column<S: Copy, D: Take<S>>(
    src: &[S],
    len: usize,
    rows: &Rows<'_>,
    dst: &mut [D],
    to: Place,
) {
    match rows {
        Rows::Run(run) if len == 1 && to.row_stride == 1 => {
            D::run(&mut dst[to.at..][..run.len()], &src[run.clone()]);
        }
        Rows::Run(run) if len == to.row_stride && to.col_stride == 1 => {
            D::run(
                &mut dst[to.at * len..][..run.len() * len],
                &src[run.start * len..run.end * len],
            );
        }
        Rows::Run(run) => copy_rows(src, len, run.clone(), dst, to),
        Rows::Picked(picked) => copy_rows(src, len, picked.iter().copied(), dst, to),
    }
}

fn copy_rows<S: Copy, D: Take<S>>(
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
            D::run(&mut dst[start..][..len], values);
        } else {
            for (j, &value) in values.iter().enumerate() {
                dst[start + j * to.col_stride] = D::of(value);
            }
        }
    }
}
