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
use super::open::Opened;
use super::segment::{Segment, SegmentRead};
use super::segment_reader::{Appended, Ids};
use super::worker::{Decode as _, InProcess, Job, Next, Subprocess};
use super::{FeatureSchema, Selection, SourceError, SourceParams};
use crate::rows::{Features, Minibatch, Position, RowCounts, Watermark};

/// Number of footers read in advance for the number of rows, the width and the schema; further
/// files are examined when their turn comes.
const FOOTERS_MAX: usize = 4096;

/// Inputs in the queue of a worker, so that it does not wait between small files.
const AHEAD: usize = 16;

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
    let is_first_stdin = is_stdin(&inputs[0]);
    let reader = Reader {
        counts: RowCounts::of(feature_schema.features().len()),
        here: InProcess::for_schema(params.clone(), feature_schema.clone()),
        worker: None,
        // A file is opened again in its turn, so that one which changed until then is refused.
        stdin: is_first_stdin.then_some(first),
        inputs,
        feature_schema,
        left_out,
        rows_total,
        queued: 0,
        at: 0,
        rows: Vec::new(),
        bytes_before: 0,
        bytes_here: 0,
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

/// Fills minibatches from the inputs, in order: a finite plan of segments for a decoder.
pub struct Reader {
    inputs: Vec<Input>,
    feature_schema: FeatureSchema,
    left_out: LeftOut,
    rows_total: Option<u64>,
    /// Standard input, opened to learn its schema, until it is read.
    stdin: Option<Opened>,
    /// Decoder of standard input, and of files without a worker.
    here: InProcess,
    /// Decoder of files.
    worker: Option<Subprocess>,
    /// Inputs that were handed to a decoder, and those of them that are done.
    queued: usize,
    at: usize,
    /// Rows used of each input begun so far.
    rows: Vec<u64>,
    /// Bytes of the inputs that are done, and of the one being read.
    bytes_before: u64,
    bytes_here: u64,
    counts: RowCounts,
    /// True if ids are read; decided by the first fill.
    with_ids: Option<bool>,
    ended: bool,
}

impl Reader {
    /// Has files decoded by `worker`, so that one that kills its decoder is refused by name. All
    /// minibatches must have room for `minibatch_rows` rows. Standard input, and rows whose ids are
    /// wanted, are decoded in this process.
    ///
    /// # Errors
    /// Why the system cannot start it.
    pub fn use_worker(
        &mut self,
        mut worker: Subprocess,
        minibatch_rows: usize,
    ) -> Result<(), String> {
        let started = worker
            .use_schema(&self.feature_schema, minibatch_rows)
            .and_then(|()| worker.start_now());
        started.map_err(|refusal| refusal.reason)?;
        self.worker = Some(worker);
        Ok(())
    }

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
        self.worker = None;
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
            bytes_read: self.bytes_before + self.bytes_here,
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
        while filled < batch.capacity() && self.at < self.inputs.len() {
            self.queue(batch.capacity() - filled)?;
            if self.rows.len() == self.at {
                self.rows.push(0);
            }
            let piece = self.append((&mut *batch, filled), ids)?;
            filled += piece.counts.rows_accepted as usize;
            self.rows[self.at] += piece.counts.rows_read;
            self.counts.add(&piece.counts);
            self.bytes_here = piece.bytes_read;
            if piece.is_last {
                self.bytes_before += self.bytes_here.max(self.inputs[self.at].bytes);
                self.bytes_here = 0;
                self.at += 1;
            }
        }
        batch.set_rows(filled);
        if filled == 0 && self.counts.rows_read == 0 && batch.capacity() > 0 {
            return Err(self.no_rows());
        }
        Ok(filled)
    }

    /// Hands the next inputs to their decoder; the first minibatch still needs `want` rows.
    fn queue(&mut self, want: usize) -> Result<(), SourceError> {
        let ahead = if self.worker.is_some() { AHEAD } else { 1 };
        let until = self.inputs.len().min(self.at + ahead);
        while self.queued < until {
            let input = &self.inputs[self.queued];
            let is_stdin = input.format == Format::Stdin;
            // Rows of standard input are counted here: the worker does not know how many it leaves
            // to the end of a minibatch.
            let is_next = self.queued == self.at;
            if !is_next && (is_stdin || self.inputs[self.at].format == Format::Stdin) {
                break;
            }
            let segment = if is_stdin {
                Segment::stdin()
            } else {
                Segment::whole(&input.path, input.format)?
            };
            let number = self.queued as u64;
            let job = Job {
                ticket: number,
                read: SegmentRead {
                    file: number,
                    segment,
                    rows: 0,
                    is_final: true,
                },
                until: None,
            };
            match &mut self.worker {
                _ if is_stdin => {
                    let opened = match self.stdin.take() {
                        Some(opened) => opened,
                        None => Opened::open(input)?,
                    };
                    self.here.queue_opened(job, opened);
                }
                Some(worker) => worker.queue(job, want),
                None => self.here.queue(job, want),
            }
            self.queued += 1;
        }
        Ok(())
    }

    /// Appends rows of the current input to `batch` after its first `at`.
    fn append(
        &mut self,
        (batch, at): (&mut Minibatch, usize),
        ids: &mut Ids<'_>,
    ) -> Result<Appended, SourceError> {
        let input = &self.inputs[self.at];
        let Some(worker) = self
            .worker
            .as_mut()
            .filter(|_| input.format != Format::Stdin)
        else {
            return self.here.read((batch, at), ids);
        };
        match worker.next(batch, at) {
            Next::Rows {
                counts,
                is_last,
                bytes_read,
                ..
            } => Ok(Appended {
                counts,
                is_last,
                row_ids: None,
                bytes_read,
            }),
            Next::Failed { refusal, .. } => Err(SourceError::refused(&input.path, refusal)),
        }
    }
}
