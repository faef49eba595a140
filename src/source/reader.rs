//! Inputs → minibatches, file after file: the boundaries of minibatches depend only on the
//! positions of rows.
//!
//! Footers are read and features agreed on before the first row.

use std::ffi::OsString;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::discover::{Input, LeftOut, discover};
use super::error::shorten;
use super::fix::Later;
use super::format::Format;
use super::later;
use super::open::Opened;
use super::segment_reader::{Ids, SegmentReader};
use super::{FeatureSchema, Selection, SourceError, SourceParams};
use crate::rows::{Features, Minibatch, Position, RowCounts, Watermark};

/// Number of footers read in advance for the number of rows, the width and the schema; further
/// files are examined when their turn comes.
const FOOTERS_MAX: usize = 4096;

/// Finds the files of `inputs` and agrees on the features.
///
/// The first file fixes them; the footers of the others are checked against it before the first
/// row is read, so that a third file of another schema does not end a run of hours.
///
/// # Errors
/// If an input cannot be found, identified or read, or has no features; if the files disagree.
pub fn open(inputs: &[OsString], params: &SourceParams) -> Result<Reader, SourceError> {
    open_for(inputs, params, None)
}

/// The same for rows that a model is to score: its features are taken even if they have no values
/// or would be left out as an index.
///
/// # Errors
/// As [`open`].
pub fn open_for_model(
    inputs: &[OsString],
    params: &SourceParams,
    model: &Features,
) -> Result<Reader, SourceError> {
    open_for(inputs, params, Some(model))
}

fn open_for(
    inputs: &[OsString],
    params: &SourceParams,
    model: Option<&Features>,
) -> Result<Reader, SourceError> {
    let (inputs, left_out) = discover(inputs)?;
    let mut first = Opened::open(&inputs[0])?;
    let looked_at = &inputs[1..inputs.len().min(FOOTERS_MAX)];
    let is_stdin = |input: &Input| input.format == Format::Stdin;
    let is_all = inputs.len() <= FOOTERS_MAX;
    let later = if !is_all || looked_at.iter().any(is_stdin) {
        Later::Some(looked_at)
    } else {
        Later::All(looked_at)
    };
    let mut feature_schema =
        FeatureSchema::resolve(&inputs[0].path, &mut first, later, params, model)?;
    let mut rows_total = first.rows().filter(|_| is_all);
    for input in looked_at {
        if is_stdin(input) {
            rows_total = None;
            continue;
        }
        let opened = Opened::open(input)?;
        feature_schema.look_ahead(&input.path, &opened)?;
        rows_total = rows_total.zip(opened.rows()).map(|(a, b)| a + b);
    }
    let reader = Reader {
        counts: RowCounts::of(feature_schema.features().len()),
        inputs,
        feature_schema,
        left_out,
        rows_total,
        first: Some(first),
        at: 0,
        open: None,
        rows: Vec::new(),
        bytes_before: 0,
        with_ids: None,
        ended: false,
    };
    if rows_total == Some(0) {
        return Err(reader.no_rows());
    }
    Ok(reader)
}

/// The amount to read, as far as known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Rows of all inputs; `None` for a stream.
    pub rows_total: Option<u64>,
    /// Bytes of all inputs; `None` for a stream on standard input.
    pub bytes_total: Option<u64>,
    /// Bytes read so far, as stored.
    pub bytes_read: u64,
}

/// Fills minibatches from the inputs, in order.
pub struct Reader {
    inputs: Vec<Input>,
    feature_schema: FeatureSchema,
    left_out: LeftOut,
    rows_total: Option<u64>,
    /// The first input, opened to learn its schema, until it is read.
    first: Option<Opened>,
    /// The input being read, and its rows.
    at: usize,
    open: Option<SegmentReader>,
    /// Rows used of each input begun so far.
    rows: Vec<u64>,
    bytes_before: u64,
    counts: RowCounts,
    /// True if ids are read; decided by the first fill.
    with_ids: Option<bool>,
    ended: bool,
}

impl Reader {
    /// Names of the features, in the order of a minibatch's columns.
    pub fn features(&self) -> &Features {
        self.feature_schema.features()
    }

    /// Columns taken and left.
    pub fn selection(&self) -> &Selection {
        self.feature_schema.selection()
    }

    /// Files of directories and globs that are not data.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// An empty minibatch of the width and layout that this reader fills without conversion.
    pub fn new_minibatch(&self, capacity: usize) -> Minibatch {
        self.feature_schema.new_minibatch(capacity)
    }

    /// Fills `batch` with the next rows: completely, except at the end of the inputs; 0 rows mean
    /// the end.
    ///
    /// # Errors
    /// See [`SourceError`]; earlier minibatches stay valid, and the reader delivers no more.
    ///
    /// # Panics
    /// If `batch` has another number of features.
    pub fn fill(&mut self, batch: &mut Minibatch) -> Result<usize, SourceError> {
        self.begin(false)?;
        let filled = self.pour(batch, &mut Ids::Nobody);
        self.ended |= filled.is_err();
        filled
    }

    /// The same, with the `ids` columns of exactly these rows; `None` when none is configured or
    /// the end is reached.
    ///
    /// The first call of either function decides for all rows whether ids are decoded.
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
        let poured = self.pour(batch, &mut Ids::Batches(&mut parts));
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
    pub fn counts(&self) -> &RowCounts {
        &self.counts
    }

    /// How much there is to read.
    pub fn extent(&self) -> Extent {
        let known = self.inputs.iter().all(|input| input.bytes > 0);
        Extent {
            rows_total: self.rows_total,
            bytes_total: known.then(|| self.inputs.iter().map(|input| input.bytes).sum()),
            bytes_read: self.bytes_before + self.open.as_ref().map_or(0, SegmentReader::bytes_read),
        }
    }

    /// The position after the last row filled.
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
            return Err(self.bad_ids("earlier rows were read without them"));
        }
        Ok(())
    }

    fn pour(&mut self, batch: &mut Minibatch, ids: &mut Ids<'_>) -> Result<usize, SourceError> {
        let m = self.feature_schema.features().len();
        assert_eq!(batch.features(), m, "features of the minibatch");
        batch.set_rows(0);
        batch.set_has_missing(false);
        batch.set_first_row(self.counts.rows_accepted);
        let mut filled = 0;
        while filled < batch.capacity() {
            if self.open.is_none() {
                self.open = self.open_next()?;
            }
            let Some(open) = &mut self.open else {
                break;
            };
            let want = batch.capacity() - filled;
            let done = open.fill((&mut *batch, filled), want, &mut self.counts, ids);
            filled += done.rows;
            self.rows[self.at] = open.rows();
            if done.is_over? {
                let bytes = self.inputs[self.at].bytes;
                self.bytes_before += bytes.max(open.bytes_read());
                self.at += 1;
                self.open = None;
            }
        }
        batch.set_rows(filled);
        if filled == 0 && self.counts.rows_read == 0 && batch.capacity() > 0 {
            return Err(self.no_rows());
        }
        Ok(filled)
    }

    /// Opens the next input; `None` after the last one.
    fn open_next(&mut self) -> Result<Option<SegmentReader>, SourceError> {
        let Some(input) = self.inputs.get(self.at) else {
            return Ok(None);
        };
        let path = &input.path;
        let feature_schema = &self.feature_schema;
        let (opened, leaves) = if let Some(first) = self.first.take() {
            let leaves = later::columns(path, &first.schema(), &feature_schema.plan)?;
            (first, leaves)
        } else {
            let mut opened = Opened::open(input)?;
            let leaves = feature_schema.columns(path, &mut opened)?;
            (opened, leaves)
        };
        self.rows.push(0);
        let with_ids = self.with_ids == Some(true) && !feature_schema.plan.params.ids.is_empty();
        SegmentReader::new((path, opened, leaves), feature_schema, 0, with_ids).map(Some)
    }
}
