//! The rows of one input, from any row on → minibatches: the only loop over chunks.
//!
//! A file must be unchanged since its turn came, and rows delivered before an error count.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::batches::{FileDecoder, Task};
use super::catch_panic;
use super::column::{Chunk, Column};
use super::error::SourceError;
use super::feature_schema::FeatureSchema;
use super::filter::{RowFilter, RowPlace};
use super::id_encoder::RowIdEncoder;
use super::open::Opened;
use super::segment::{Held, Segment, SegmentRead};
use crate::rows::{Minibatch, RowCounts, RowIds};

/// Some rows of a segment.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// Rows and values counted in it.
    pub counts: RowCounts,
    /// True if the segment ends with it.
    pub is_last: bool,
    /// Ids of its rows, where they were asked for.
    pub row_ids: Option<RowIds>,
    /// Bytes of the input that have been read so far, as stored.
    pub bytes_read: u64,
}

/// Rows that were appended to a minibatch.
struct Filled {
    /// How many.
    rows: usize,
    /// True if the input has no more rows; an error if the next row is unavailable. Earlier rows
    /// are complete.
    is_over: Result<bool, SourceError>,
}

/// The receiver of row ids.
pub(super) enum Ids<'a> {
    Nobody,
    Texts(&'a mut RowIdEncoder),
    Batches(&'a mut Vec<RecordBatch>),
}

/// What the ids of a segment are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdUse {
    /// They are not read.
    None,
    /// Display: they become null if they cannot be read, and no file with usable features is
    /// refused because of them.
    Display,
    /// Output: they are read or the file is refused.
    Output,
}

impl<'a> Ids<'a> {
    /// Texts for display, if an encoder is given.
    pub(super) fn texts(id_encoder: Option<&'a mut RowIdEncoder>) -> Self {
        id_encoder.map_or(Self::Nobody, Self::Texts)
    }

    /// What they are for.
    pub(super) fn id_use(&self) -> IdUse {
        match self {
            Self::Nobody => IdUse::None,
            Self::Texts(_) => IdUse::Display,
            Self::Batches(_) => IdUse::Output,
        }
    }

    /// Delivers the ids of the `accepted` rows of a chunk that passed.
    fn take(
        &mut self,
        path: &Path,
        ids: Option<&RecordBatch>,
        rows: Range<usize>,
        (filter, accepted): (&RowFilter, usize),
    ) -> Result<(), SourceError> {
        match (self, ids) {
            (Self::Nobody, _) | (Self::Batches(_), None) => {}
            (Self::Texts(id_encoder), ids) => {
                id_encoder.take(path, ids, rows, filter.passed(), accepted);
            }
            (Self::Batches(batches), Some(ids)) => {
                let mut part = ids.slice(rows.start, rows.len());
                if let Some(passed) = filter.passed() {
                    let passed: BooleanArray = passed.map(Some).collect();
                    let kept = filter_record_batch(&part, &passed);
                    part = kept.map_err(|error| SourceError::Ids {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    })?;
                }
                batches.push(part);
            }
        }
        Ok(())
    }
}

/// Reads the rows of one input.
pub struct SegmentReader {
    path: PathBuf,
    feature_schema: FeatureSchema,
    decoder: Box<dyn FileDecoder>,
    /// Decoded rows, of which the first `used` were delivered or skipped.
    chunk: Chunk,
    used: usize,
    /// Rows of the input delivered or skipped.
    row: u64,
    /// Row to stop after.
    until: u64,
    filter: RowFilter,
    id_use: IdUse,
    /// The segment; `None` for standard input.
    held: Option<Held>,
    failed: Option<SourceError>,
}

impl SegmentReader {
    /// Opens a segment after the rows already taken. Unreadable ids become null: they are only for
    /// display, and a file with usable features is not refused because of them.
    ///
    /// # Errors
    /// If the file was replaced, cannot be read, or disagrees with the features.
    pub fn open(
        read: &SegmentRead,
        feature_schema: &FeatureSchema,
        with_ids: bool,
    ) -> Result<Self, SourceError> {
        let id_use = if with_ids {
            IdUse::Display
        } else {
            IdUse::None
        };
        Self::open_for(read, feature_schema, id_use)
    }

    /// The same, with ids for this use.
    ///
    /// # Errors
    /// As [`SegmentReader::open`].
    pub(super) fn open_for(
        read: &SegmentRead,
        feature_schema: &FeatureSchema,
        id_use: IdUse,
    ) -> Result<Self, SourceError> {
        Self::open_behind(&read.segment, feature_schema, read.rows, id_use)
    }

    fn open_behind(
        segment: &Segment,
        feature_schema: &FeatureSchema,
        skip: u64,
        id_use: IdUse,
    ) -> Result<Self, SourceError> {
        let path = &segment.path;
        let mut held = segment.hold()?;
        let opened = held
            .read_schema()
            .and_then(|opened| Self::new(path, opened, feature_schema, skip, id_use));
        match opened {
            Ok(mut reader) => {
                reader.held = Some(held);
                Ok(reader)
            }
            // Perhaps only the id columns cannot be read; without them the features may still be
            // learned.
            Err(_) if id_use == IdUse::Display => {
                Self::open_behind(segment, feature_schema, skip, IdUse::None)
            }
            Err(error) => Err(held.blamed(error)),
        }
    }

    /// The rows after the first `skip` of an open input.
    ///
    /// # Errors
    /// If it disagrees with the features, its rows cannot be decoded, or there are too few.
    pub(super) fn new(
        path: &Path,
        mut opened: Opened,
        feature_schema: &FeatureSchema,
        skip: u64,
        id_use: IdUse,
    ) -> Result<Self, SourceError> {
        let plan = &feature_schema.plan;
        let id_use = if plan.params.ids.is_empty() {
            IdUse::None
        } else {
            id_use
        };
        let task = Task {
            leaves: feature_schema.columns(path, &mut opened)?,
            path: path.to_owned(),
            plan: Arc::clone(plan),
            with_ids: id_use != IdUse::None,
        };
        let decoder = catch_panic::catch(path, || {
            let mut decoder = opened.into_decoder(task)?;
            let skipped = decoder.skip(skip)?;
            Ok((decoder, skipped))
        });
        let (decoder, skipped) = decoder?;
        let mut reader = Self {
            path: path.to_owned(),
            decoder,
            chunk: Chunk {
                columns: plan.wanted.iter().map(|w| Column::new(w.len)).collect(),
                ..Chunk::default()
            },
            feature_schema: feature_schema.clone(),
            used: 0,
            row: skipped,
            until: u64::MAX,
            filter: RowFilter::default(),
            id_use,
            held: None,
            failed: None,
        };
        reader.pass_over(skip - skipped)?;
        Ok(reader)
    }

    /// The same, ending after this many rows of the input.
    #[must_use]
    pub fn until(mut self, rows: Option<u64>) -> Self {
        self.until = rows.unwrap_or(u64::MAX);
        self
    }

    /// Rows delivered or skipped.
    pub fn rows(&self) -> u64 {
        self.row
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

    /// Appends up to `want` accepted rows to `batch` after its first `at`, with their ids, or nulls
    /// if the segment was opened without ids.
    ///
    /// # Errors
    /// At undecodable bytes, at a value that no policy accepts, and if the file changed. Earlier
    /// pieces stay valid.
    ///
    /// # Panics
    /// If `batch` has another number of features.
    pub fn next(
        &mut self,
        batch: &mut Minibatch,
        at: usize,
        want: usize,
        id_encoder: Option<&mut RowIdEncoder>,
    ) -> Result<Appended, SourceError> {
        self.append(batch, at, want, &mut Ids::texts(id_encoder))
    }

    /// The same, with the ids delivered to `ids`.
    ///
    /// # Errors
    /// As [`SegmentReader::next`].
    ///
    /// # Panics
    /// As [`SegmentReader::next`].
    pub(super) fn append(
        &mut self,
        batch: &mut Minibatch,
        at: usize,
        want: usize,
        ids: &mut Ids<'_>,
    ) -> Result<Appended, SourceError> {
        let m = self.feature_schema.features().len();
        assert_eq!(batch.features(), m, "features of the minibatch");
        if let Some(error) = self.failed.take() {
            return Err(self.blamed(error));
        }
        if let Ids::Texts(id_encoder) = ids {
            id_encoder.begin(self.feature_schema.plan.params.ids.len());
        }
        let mut counts = RowCounts::of(m);
        let filled = self.fill((&mut *batch, at), want, &mut counts, ids);
        let row_ids = match ids {
            Ids::Texts(id_encoder) => Some(id_encoder.end()),
            Ids::Nobody | Ids::Batches(_) => None,
        };
        let is_last = match filled.is_over {
            Ok(is_over) => is_over,
            Err(error) if counts.rows_read == 0 => return Err(self.blamed(error)),
            Err(error) => {
                // What came before the bad place is whole: it goes first.
                self.failed = Some(error);
                false
            }
        };
        batch.set_rows(at + filled.rows);
        Ok(Appended {
            counts,
            is_last,
            row_ids,
            bytes_read: self.decoder.bytes_read(),
        })
    }

    fn blamed(&self, error: SourceError) -> SourceError {
        match &self.held {
            Some(held) => held.blamed(error),
            None => error,
        }
    }

    /// Appends up to `want` accepted rows to `batch` after its first `at`, and counts them in
    /// `counts`.
    fn fill(
        &mut self,
        (batch, at): (&mut Minibatch, usize),
        want: usize,
        counts: &mut RowCounts,
        ids: &mut Ids<'_>,
    ) -> Filled {
        let mut rows = 0;
        let is_over = loop {
            if rows == want {
                break Ok(false);
            }
            match self.take((&mut *batch, at + rows), want - rows, counts, ids) {
                Ok(Some(taken)) => rows += taken,
                Ok(None) => break Ok(true),
                // It may be the ids that cannot be read: without them the file says what it is worth.
                Err(error) if self.id_use == IdUse::Display => match self.reopen_without_ids() {
                    None => break Err(error),
                    Some(Err(error)) => break Err(error),
                    Some(Ok(())) => {}
                },
                Err(error) => break Err(error),
            }
        };
        Filled { rows, is_over }
    }

    /// Takes rows of one chunk; returns how many pass, or `None` at the end.
    fn take(
        &mut self,
        place: (&mut Minibatch, usize),
        want: usize,
        counts: &mut RowCounts,
        ids: &mut Ids<'_>,
    ) -> Result<Option<usize>, SourceError> {
        let left = usize::try_from(self.until.saturating_sub(self.row)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        if self.used == self.chunk.rows && !self.advance()? {
            // Checked once more at the end, because a file that was written during the reading may
            // have given rows of both contents.
            self.held.as_ref().map_or(Ok(()), Held::check)?;
            return Ok(None);
        }
        let rows = self.used..self.chunk.rows.min(self.used + want.min(left));
        let all = rows.len();
        let from = RowPlace {
            path: &self.path,
            row: self.row,
            features: self.feature_schema.features(),
        };
        let params = &self.feature_schema.plan.params;
        let (filter, chunk) = (&mut self.filter, &mut self.chunk);
        let taken = filter.take(chunk, rows.clone(), &from, params, counts, place)?;
        ids.take(&self.path, chunk.ids.as_ref(), rows, (filter, taken))?;
        self.used += all;
        self.row += all as u64;
        Ok(Some(taken))
    }

    /// Decodes the next chunk; `false` at the end of the input.
    fn advance(&mut self) -> Result<bool, SourceError> {
        // Reset before decoding, because after an error nothing of a half-filled chunk may be
        // used.
        (self.chunk.rows, self.used) = (0, 0);
        let (decoder, chunk) = (&mut self.decoder, &mut self.chunk);
        catch_panic::catch(&self.path, || decoder.next_chunk(chunk))
    }

    /// Continues the segment without ids; `None` if this is not a segment. The boundaries of chunks
    /// do not change.
    fn reopen_without_ids(&mut self) -> Option<Result<(), SourceError>> {
        let segment = self.held.as_ref()?.segment();
        let again = Self::open_behind(segment, &self.feature_schema, self.row, IdUse::None);
        let until = self.until;
        Some(again.map(|again| *self = Self { until, ..again }))
    }
}
