//! The rows of one open input → minibatches: the one loop over chunks, for `fit` as for `run`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::batches::{Feed, Task};
use super::column::{Chunk, Column};
use super::guard;
use super::open::Opened;
use super::select::{Leaf, Plan};
use super::sieve::{RowPlace, Sieve};
use super::{Agreement, SourceError};
use crate::rows::{Features, Minibatch, Tally};

/// Rows of an input on their way into minibatches.
pub(super) struct InputRows {
    path: PathBuf,
    plan: Arc<Plan>,
    features: Features,
    feed: Box<dyn Feed>,
    /// Decoded rows, of which the first `used` were handed over or passed over.
    chunk: Chunk,
    used: usize,
    /// Rows of the input handed over or passed over.
    row: u64,
    /// Rows to stop behind.
    until: u64,
    sieve: Sieve,
}

/// Rows that were appended to a minibatch.
#[derive(Debug)]
pub(super) struct Filled {
    /// How many.
    pub rows: usize,
    /// Why there are no more.
    pub end: End,
}

/// Why a call appends no more rows.
#[derive(Debug)]
pub(super) enum End {
    /// There are as many as were wanted.
    Full,
    /// The rows to stop behind were reached.
    Until,
    /// The input has no more.
    Input,
    /// The next row cannot be decoded, or no policy lets it pass. What came before is whole.
    Failed(SourceError),
}

/// Takes the ids of rows that are appended to a minibatch.
pub(super) trait IdSink {
    /// `ids` are those of a chunk, if they are there; of its `rows` those pass that `sieve` says.
    ///
    /// # Errors
    /// If they cannot be taken.
    fn take(
        &mut self,
        path: &Path,
        ids: Option<&RecordBatch>,
        rows: Range<usize>,
        sieve: &Sieve,
    ) -> Result<(), SourceError>;
}

impl IdSink for Vec<RecordBatch> {
    fn take(
        &mut self,
        path: &Path,
        ids: Option<&RecordBatch>,
        rows: Range<usize>,
        sieve: &Sieve,
    ) -> Result<(), SourceError> {
        let Some(ids) = ids else {
            return Ok(());
        };
        let part = ids.slice(rows.start, rows.len());
        self.push(match sieve.passed() {
            None => part,
            Some(passed) => {
                let passed: BooleanArray = passed.map(Some).collect();
                let kept = filter_record_batch(&part, &passed);
                kept.map_err(|error| SourceError::Ids {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?
            }
        });
        Ok(())
    }
}

impl InputRows {
    /// The rows behind the first `skip`, from the columns `leaves`.
    ///
    /// # Errors
    /// If they cannot be decoded, or there are not so many.
    pub fn open(
        path: &Path,
        opened: Opened,
        leaves: Vec<Leaf>,
        agreement: &Agreement,
        (skip, with_ids): (u64, bool),
    ) -> Result<Self, SourceError> {
        let plan = &agreement.plan;
        let task = Task {
            leaves,
            path: path.to_owned(),
            plan: Arc::clone(plan),
            with_ids,
        };
        let feed = guard::catch(path, || {
            let mut feed = opened.into_feed(task)?;
            let skipped = feed.skip(skip)?;
            Ok((feed, skipped))
        });
        let (feed, skipped) = feed?;
        let mut rows = Self {
            path: path.to_owned(),
            plan: Arc::clone(plan),
            features: agreement.features().clone(),
            feed,
            chunk: Chunk {
                columns: plan.wanted.iter().map(|w| Column::new(w.len)).collect(),
                ..Chunk::default()
            },
            used: 0,
            row: skipped,
            until: u64::MAX,
            sieve: Sieve::default(),
        };
        rows.pass_over(skip - skipped)?;
        Ok(rows)
    }

    /// Stops behind so many rows of the input.
    pub fn set_until(&mut self, rows: u64) {
        self.until = rows;
    }

    /// Rows to stop behind.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// Rows handed over or passed over.
    pub fn rows(&self) -> u64 {
        self.row
    }

    /// Bytes of the input that have been read, as stored.
    pub fn bytes_read(&self) -> u64 {
        self.feed.bytes_read()
    }

    fn pass_over(&mut self, mut rows: u64) -> Result<(), SourceError> {
        while rows > 0 {
            if self.used == self.chunk.rows && !self.advance()? {
                return Err(SourceError::Corrupt {
                    path: self.path.clone(),
                    reason: format!(
                        "it ends before row {}, which it had before",
                        self.row + rows
                    ),
                });
            }
            let here = rows.min((self.chunk.rows - self.used) as u64);
            self.used += here as usize;
            self.row += here;
            rows -= here;
        }
        Ok(())
    }

    /// Appends up to `want` rows that pass behind the first `at` of `batch`, and counts them in `tally`.
    /// After a failure no more can be had.
    pub fn fill(
        &mut self,
        (batch, at): (&mut Minibatch, usize),
        want: usize,
        tally: &mut Tally,
        mut ids: Option<&mut dyn IdSink>,
    ) -> Filled {
        let mut rows = 0;
        let end = loop {
            if rows == want {
                break End::Full;
            }
            if self.row >= self.until {
                break End::Until;
            }
            if self.used == self.chunk.rows {
                match self.advance() {
                    Ok(true) => {}
                    Ok(false) => break End::Input,
                    Err(error) => break End::Failed(error),
                }
            }
            let place = (&mut *batch, at + rows);
            // Reborrowed for one chunk.
            let ids: Option<&mut dyn IdSink> = match &mut ids {
                Some(ids) => Some(&mut **ids),
                None => None,
            };
            match self.take(place, want - rows, tally, ids) {
                Ok(taken) => rows += taken,
                Err(error) => break End::Failed(error),
            }
        };
        Filled { rows, end }
    }

    /// Takes rows of the chunk; how many pass.
    fn take(
        &mut self,
        place: (&mut Minibatch, usize),
        want: usize,
        tally: &mut Tally,
        ids: Option<&mut dyn IdSink>,
    ) -> Result<usize, SourceError> {
        let left = usize::try_from(self.until - self.row).unwrap_or(usize::MAX);
        let rows = self.used..self.chunk.rows.min(self.used + want.min(left));
        let all = rows.len();
        let from = RowPlace {
            path: &self.path,
            row: self.row,
            features: &self.features,
        };
        let params = &self.plan.params;
        let chunk = &mut self.chunk;
        let taken = self
            .sieve
            .take(chunk, rows.clone(), &from, params, tally, place)?;
        if let Some(ids) = ids {
            ids.take(&self.path, self.chunk.ids.as_ref(), rows, &self.sieve)?;
        }
        self.used += all;
        self.row += all as u64;
        Ok(taken)
    }

    /// Decodes the next chunk; `false` at the end of the input.
    fn advance(&mut self) -> Result<bool, SourceError> {
        (self.chunk.rows, self.used) = (0, 0);
        let (feed, chunk) = (&mut self.feed, &mut self.chunk);
        guard::catch(&self.path, || feed.next_chunk(chunk))
    }
}
