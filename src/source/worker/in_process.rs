//! Decoding in this process.

use std::collections::VecDeque;
use std::path::Path;

use super::{Decode, Job, Next, Refusal};
use crate::rows::Minibatch;
use crate::source::{
    FeatureSchema, Frames, RowIdEncoder, Segment, SegmentReader, SourceError, SourceParams,
};

/// Reads segments with the decoders of this process.
pub struct InProcess {
    params: SourceParams,
    feature_schema: Option<FeatureSchema>,
    jobs: VecDeque<Job>,
    open: Option<SegmentReader>,
    /// Encoder of ids, where they are wanted.
    id_encoder: Option<RowIdEncoder>,
}

impl InProcess {
    /// Nothing queued.
    pub fn new(params: SourceParams) -> Self {
        Self {
            params,
            feature_schema: None,
            jobs: VecDeque::new(),
            open: None,
            id_encoder: None,
        }
    }

    /// Gives ids beside the rows.
    #[must_use]
    pub fn with_ids(mut self, with_ids: bool) -> Self {
        self.id_encoder = with_ids.then(RowIdEncoder::default);
        self
    }

    /// Rows of the first job, behind the first `at` of `batch`.
    fn read(&mut self, batch: &mut Minibatch, at: usize) -> Result<Next, SourceError> {
        let (Some(job), Some(feature_schema)) = (self.jobs.front(), &self.feature_schema) else {
            return Err(SourceError::Ended);
        };
        // Put back only after success, because after an error nothing may be read from it again.
        let mut open = if let Some(open) = self.open.take() {
            open
        } else {
            let with_ids = self.id_encoder.is_some();
            SegmentReader::open(&job.read, feature_schema, with_ids)?.until(job.until)
        };
        let want = batch.capacity() - at;
        let piece = open.next(batch, at, want, self.id_encoder.as_mut())?;
        let next = Next::Rows {
            ticket: job.ticket,
            counts: piece.counts,
            is_last: piece.is_last,
            row_ids: piece.row_ids,
        };
        if piece.is_last {
            self.jobs.pop_front();
        } else {
            self.open = Some(open);
        }
        Ok(next)
    }
}

impl Decode for InProcess {
    fn resolve(&mut self, segment: &Segment) -> Result<FeatureSchema, Refusal> {
        segment
            .resolve(&self.params)
            .map_err(|error| Refusal::of(&error))
    }

    fn frames(&mut self, path: &Path) -> Result<Frames, Refusal> {
        Frames::of(path).map_err(|error| Refusal::of(&error))
    }

    fn use_schema(
        &mut self,
        feature_schema: &FeatureSchema,
        _minibatch_rows: usize,
    ) -> Result<(), Refusal> {
        self.feature_schema = Some(feature_schema.clone());
        Ok(())
    }

    fn queue(&mut self, job: Job, _want: usize) {
        self.jobs.push_back(job);
    }

    fn queued(&self) -> usize {
        self.jobs.len()
    }

    fn drop_first(&mut self) {
        self.open = None;
        self.jobs.pop_front();
    }

    fn next(&mut self, batch: &mut Minibatch, at: usize) -> Next {
        match self.read(batch, at) {
            Ok(next) => next,
            Err(error) => {
                self.open = None;
                Next::Failed {
                    ticket: self.jobs.pop_front().map_or(0, |job| job.ticket),
                    refusal: Refusal::of(&error),
                }
            }
        }
    }
}
