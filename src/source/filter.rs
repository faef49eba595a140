//! Chunk → minibatch: the policies decide which rows pass.

use std::ops::Range;
use std::path::Path;

use super::SourceError;
use super::column::Chunk;
use super::fill::{self, Fault, MISSING, REASONS, REJECTED, Rows, Wrong};
use super::params::SourceParams;
use crate::rows::{Features, Minibatch, RowCounts};

/// Checks rows and copies those that pass; its buffers are reused.
#[derive(Default)]
pub(super) struct RowFilter {
    /// Flags of each row being checked.
    flags: Vec<u8>,
    picked: Vec<usize>,
}

/// Origin of rows, for the message about a bad one.
pub(super) struct RowPlace<'a> {
    /// Path of the file.
    pub path: &'a Path,
    /// Rows of the file before these.
    pub row: u64,
    /// Names of the features.
    pub features: &'a Features,
}

impl RowPlace<'_> {
    /// The error for a value; `start` is where the rows begin in their chunk.
    fn refuse(&self, fault: Fault, start: usize, params: &SourceParams) -> SourceError {
        let path = self.path.to_owned();
        let row = self.row + (fault.row - start) as u64;
        let column = self.features.names()[fault.feature].clone();
        match fault.wrong {
            Wrong::Bad { value, key } => SourceError::BadValue {
                path,
                row,
                column,
                value: value.to_owned(),
                key,
            },
            Wrong::Large(value) => SourceError::TooLarge {
                path,
                row,
                column,
                value: format!("{value:e}"),
                limit: params.limit.magnitude(),
            },
            Wrong::Time { value, meaning } => SourceError::Time {
                path,
                row,
                column,
                value: format!("{value:.0}"),
                meaning,
            },
        }
    }
}

impl RowFilter {
    /// Copies the `rows` that pass to `batch` after its first `at` rows; returns their number.
    ///
    /// # Errors
    /// At a value that no policy accepts: none of these rows is then taken or counted.
    pub fn take(
        &mut self,
        chunk: &mut Chunk,
        rows: Range<usize>,
        from: &RowPlace<'_>,
        params: &SourceParams,
        counts: &mut RowCounts,
        (batch, at): (&mut Minibatch, usize),
    ) -> Result<usize, SourceError> {
        self.flags.clear();
        let all = rows.len();
        if chunk.columns.iter().all(|column| !column.dirty) {
            fill::copy(&chunk.columns, &Rows::Run(rows), batch, at);
            count(counts, all, all);
            return Ok(all);
        }
        self.flags.resize(all, 0);
        let before = counts.clone();
        if let Err(fault) = fill::apply_policy(chunk, &rows, params, &mut self.flags, counts) {
            *counts = before;
            return Err(from.refuse(fault, rows.start, params));
        }
        self.picked.clear();
        let kept = self.flags.iter().zip(rows.clone());
        let kept = kept.filter(|(flag, _)| *flag & REJECTED == 0);
        let mut missing = false;
        self.picked.extend(kept.map(|(flag, row)| {
            missing |= flag & MISSING != 0;
            row
        }));
        if missing {
            batch.set_has_missing(true);
        }
        let n = self.picked.len();
        let picked = if n == all {
            Rows::Run(rows)
        } else {
            Rows::Picked(&self.picked)
        };
        fill::copy(&chunk.columns, &picked, batch, at);
        count(counts, all, n);
        for flag in self.flags.iter().filter(|flag| *flag & REJECTED != 0) {
            let first = REASONS.iter().position(|reason| flag & reason != 0);
            counts.rejected_by[first.unwrap_or(0)] += 1;
        }
        Ok(n)
    }

    /// Which of the rows taken last have passed; `None`: all.
    pub fn passed(&self) -> Option<impl Iterator<Item = bool>> {
        (!self.flags.is_empty()).then(|| self.flags.iter().map(|flag| flag & REJECTED == 0))
    }
}

fn count(counts: &mut RowCounts, read: usize, accepted: usize) {
    counts.rows_read += read as u64;
    counts.rows_accepted += accepted as u64;
    counts.rows_rejected += (read - accepted) as u64;
}
