//! Decoding in this process.

use std::collections::VecDeque;
use std::path::Path;

use super::{Decode, Job, Next, Refusal};
use crate::rows::Minibatch;
use crate::source::open::Opened;
use crate::source::segment_reader::{IdUse, Ids};
use crate::source::{
    Appended, FeatureSchema, Frames, RowIdEncoder, Segment, SegmentReader, SourceError,
    SourceParams,
};

/// Reads segments with the decoders of this process.
pub struct InProcess {
    params: SourceParams,
    feature_schema: Option<FeatureSchema>,
    jobs: VecDeque<Job>,
    /// The input of the first job, if it was opened already.
    opened: Option<Opened>,
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
            opened: None,
            open: None,
            id_encoder: None,
        }
    }

    /// The same, for jobs of these features.
    pub(in crate::source) fn for_schema(
        params: SourceParams,
        feature_schema: FeatureSchema,
    ) -> Self {
        Self {
            feature_schema: Some(feature_schema),
            ..Self::new(params)
        }
    }

    /// Gives ids beside the rows.
    #[must_use]
    pub fn with_ids(mut self, with_ids: bool) -> Self {
        self.id_encoder = with_ids.then(RowIdEncoder::default);
        self
    }

    /// Queues a job, the only one, for an input that cannot be opened twice.
    pub(in crate::source) fn queue_opened(&mut self, job: Job, opened: Opened) {
        self.jobs.push_back(job);
        self.opened = Some(opened);
    }

    /// Appends rows as [`Decode::next`] does, with their ids delivered to `ids`.
    ///
    /// # Errors
    /// What is wrong with the segment; its job ends.
    pub(in crate::source) fn read(
        &mut self,
        (batch, at): (&mut Minibatch, usize),
        ids: &mut Ids<'_>,
    ) -> Result<Appended, SourceError> {
        let id_use = ids.id_use();
        let appended = self
            .open(id_use)
            .and_then(|open| open.append(batch, at, batch.capacity() - at, ids));
        // After an error nothing may be read from it again.
        if appended.as_ref().map_or(true, |piece| piece.is_last) {
            self.drop_first();
        }
        appended
    }

    /// The segment of the first job.
    fn open(&mut self, id_use: IdUse) -> Result<&mut SegmentReader, SourceError> {
        let (Some(job), Some(feature_schema)) = (self.jobs.front(), &self.feature_schema) else {
            return Err(SourceError::Ended);
        };
        let opened = match (self.open.take(), self.opened.take()) {
            (Some(open), _) => open,
            (None, Some(opened)) => {
                let path = &job.read.segment.path;
                SegmentReader::new(path, opened, feature_schema, job.read.rows, id_use)?
            }
            (None, None) => {
                SegmentReader::open_for(&job.read, feature_schema, id_use)?.until(job.until)
            }
        };
        Ok(self.open.insert(opened))
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
        (self.open, self.opened) = (None, None);
        self.jobs.pop_front();
    }

    fn next(&mut self, batch: &mut Minibatch, at: usize) -> Next {
        let ticket = self.jobs.front().map_or(0, |job| job.ticket);
        let mut id_encoder = self.id_encoder.take();
        let appended = self.read((batch, at), &mut Ids::texts(id_encoder.as_mut()));
        self.id_encoder = id_encoder;
        match appended {
            Ok(piece) => Next::Rows {
                ticket,
                counts: piece.counts,
                is_last: piece.is_last,
                row_ids: piece.row_ids,
                bytes_read: piece.bytes_read,
            },
            Err(error) => Next::Failed {
                ticket,
                refusal: Refusal::of(&error),
            },
        }
    }
}
