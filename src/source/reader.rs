//! The reader: chunk after chunk, file after file, into minibatches whose borders depend on the
//! positions of rows alone.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};

use super::batches::{Feed, Task};
use super::column::{Chunk, Column};
use super::discover::{Input, LeftOut};
use super::fix;
use super::open::Opened;
use super::select::{self, Plan, shorten};
use super::sieve::{From, Sieve};
use super::{Extent, Selection, SourceError, guard};
use crate::rows::{Features, Layout, Minibatch, Position, Tally, Watermark, Width};

/// Fills minibatches from the inputs, in order.
pub struct Reader {
    inputs: Vec<Input>,
    plan: Arc<Plan>,
    features: Features,
    selection: Selection,
    left_out: LeftOut,
    width: Width,
    layout: Layout,
    rows_total: Option<u64>,
    /// The first input, opened to learn its schema, until it is read.
    first: Option<Opened>,
    /// The input being read, and its feed.
    at: usize,
    feed: Option<Box<dyn Feed>>,
    /// Decoded rows, of which the first `used` are in minibatches.
    chunk: Chunk,
    used: usize,
    /// Rows used of each input so far begun.
    rows: Vec<u64>,
    bytes_before: u64,
    tally: Tally,
    sieve: Sieve,
    /// Whether ids are read; told by the first fill.
    with_ids: Option<bool>,
    ended: bool,
}

impl Reader {
    pub(super) fn new(
        inputs: Vec<Input>,
        first: Opened,
        plan: Arc<Plan>,
        features: Features,
        selection: Selection,
        (width, layout): (Width, Layout),
        rows_total: Option<u64>,
    ) -> Result<Self, SourceError> {
        let columns = plan.wanted.iter().map(|w| Column::new(w.len)).collect();
        let reader = Self {
            tally: Tally::of(features.len()),
            chunk: Chunk {
                columns,
                ..Chunk::default()
            },
            inputs,
            plan,
            features,
            selection,
            left_out: LeftOut::default(),
            width,
            layout,
            rows_total,
            first: Some(first),
            at: 0,
            feed: None,
            used: 0,
            rows: Vec::new(),
            bytes_before: 0,
            sieve: Sieve::default(),
            with_ids: None,
            ended: false,
        };
        if rows_total == Some(0) {
            return Err(reader.no_rows());
        }
        Ok(reader)
    }

    /// Names of the features, in the order of a minibatch's columns.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// What was taken and what was left.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Remembers the files that discovery left out.
    pub(super) fn with_left_out(mut self, left_out: LeftOut) -> Self {
        self.left_out = left_out;
        self
    }

    /// Files of directories and globs that are no data.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// An empty minibatch of the width and layout that this reader fills without conversion.
    pub fn new_minibatch(&self, capacity: usize) -> Minibatch {
        Minibatch::new(self.width, self.layout, capacity, self.features.len())
    }

    /// Fills `batch` with the next rows: full but at the end of the inputs; 0 rows is the end.
    ///
    /// # Errors
    /// See [`SourceError`]; rows of minibatches filled before stay valid, and the reader gives no
    /// more.
    ///
    /// # Panics
    /// If `batch` has another number of features.
    pub fn fill(&mut self, batch: &mut Minibatch) -> Result<usize, SourceError> {
        self.begin(false)?;
        let filled = self.pour(batch, None);
        self.ended |= filled.is_err();
        filled
    }

    /// The same, with the columns named `ids` of just these rows; `None` when none is configured
    /// or the end is reached.
    ///
    /// The first call of the two decides whether ids are decoded, for all rows.
    ///
    /// # Errors
    /// As [`Reader::fill`]; when [`Reader::fill`] was called before; when the id columns of two
    /// files differ in type.
    ///
    /// # Panics
    /// As [`Reader::fill`].
    pub fn fill_with_ids(
        &mut self,
        batch: &mut Minibatch,
    ) -> Result<Option<RecordBatch>, SourceError> {
        self.begin(true)?;
        let mut parts = Vec::new();
        let poured = self.pour(batch, Some(&mut parts));
        self.ended |= poured.is_err();
        poured?;
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        concat_batches(&first.schema(), &parts)
            .map(Some)
            .map_err(|error| self.bad_ids(&error.to_string()))
    }

    /// Rows and values counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How much there is to read.
    pub fn extent(&self) -> Extent {
        let known = self.inputs.iter().all(|input| input.bytes > 0);
        Extent {
            rows_total: self.rows_total,
            bytes_total: known.then(|| self.inputs.iter().map(|input| input.bytes).sum()),
            bytes_read: self.bytes_before + self.feed.as_ref().map_or(0, |f| f.bytes_read()),
        }
    }

    /// The position behind the last row filled.
    pub fn watermark(&self) -> Watermark {
        let begun = self.inputs.iter().zip(&self.rows).enumerate();
        Watermark {
            inputs: begun
                .map(|(i, (input, &rows))| Position {
                    input: input.path.to_string_lossy().into_owned(),
                    rows,
                    done: i < self.at,
                })
                .collect(),
        }
    }

    fn no_rows(&self) -> SourceError {
        let names = self.inputs.iter();
        SourceError::NoRows {
            inputs: shorten(names.map(|input| input.path.display().to_string())),
        }
    }

    fn bad_ids(&self, reason: &str) -> SourceError {
        let last = self.at.min(self.inputs.len() - 1);
        SourceError::Ids {
            path: self.inputs[last].path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn begin(&mut self, with_ids: bool) -> Result<(), SourceError> {
        if self.ended {
            return Err(SourceError::Ended);
        }
        let decided = *self.with_ids.get_or_insert(with_ids);
        if with_ids && !decided {
            return Err(self.bad_ids("the rows before were read without them"));
        }
        Ok(())
    }

    fn pour(
        &mut self,
        batch: &mut Minibatch,
        mut ids: Option<&mut Vec<RecordBatch>>,
    ) -> Result<usize, SourceError> {
        assert_eq!(
            batch.features(),
            self.features.len(),
            "features of the minibatch"
        );
        batch.set_rows(0);
        batch.set_has_missing(false);
        batch.set_first_row(self.tally.rows_accepted);
        let mut filled = 0;
        while filled < batch.capacity() {
            if self.used == self.chunk.rows && !self.advance()? {
                break;
            }
            let wanted = batch.capacity() - filled;
            let rows = self.used..self.chunk.rows.min(self.used + wanted);
            let from = From {
                path: &self.inputs[self.at].path,
                row: self.rows[self.at],
                features: &self.features,
            };
            let (plan, tally) = (&self.plan, &mut self.tally);
            let taken = self.sieve.take(
                &mut self.chunk,
                rows.clone(),
                &from,
                &plan.params,
                tally,
                (batch, filled),
            )?;
            if let (Some(ids), Some(here)) = (ids.as_deref_mut(), &self.chunk.ids) {
                let part = here.slice(rows.start, rows.len());
                ids.push(match self.sieve.passed() {
                    None => part,
                    Some(passed) => {
                        let passed: BooleanArray = passed.map(Some).collect();
                        filter_record_batch(&part, &passed)
                            .map_err(|e| self.bad_ids(&e.to_string()))?
                    }
                });
            }
            filled += taken;
            self.used = rows.end;
            self.rows[self.at] += rows.len() as u64;
        }
        batch.set_rows(filled);
        if filled == 0 && self.tally.rows_read == 0 && batch.capacity() > 0 {
            return Err(self.no_rows());
        }
        Ok(filled)
    }

    /// Decodes the next chunk; `false` at the end of the last input.
    fn advance(&mut self) -> Result<bool, SourceError> {
        (self.chunk.rows, self.used) = (0, 0);
        loop {
            let Some(input) = self.inputs.get(self.at) else {
                return Ok(false);
            };
            let mut feed = if let Some(feed) = self.feed.take() {
                feed
            } else {
                let opened = match self.first.take() {
                    Some(opened) => opened,
                    None => Opened::open(input)?,
                };
                self.rows.push(0);
                self.feed_of(input, opened)?
            };
            let chunk = &mut self.chunk;
            // A feed that panicked is not put back.
            let more = guard::catch(&input.path, || feed.next_chunk(chunk))?;
            if more {
                self.feed = Some(feed);
                return Ok(true);
            }
            self.bytes_before += input.bytes.max(feed.bytes_read());
            self.at += 1;
        }
    }

    fn feed_of(&self, input: &Input, mut opened: Opened) -> Result<Box<dyn Feed>, SourceError> {
        if self.at > 0 {
            fix::check_null_lists(&input.path, &mut opened, &self.plan)?;
        }
        let task = Task {
            leaves: select::agree(&input.path, &opened.schema(), &self.plan)?,
            path: input.path.clone(),
            plan: self.plan.clone(),
            with_ids: self.with_ids == Some(true) && !self.plan.params.ids.is_empty(),
        };
        guard::catch(&input.path, || opened.into_feed(task))
    }
}
