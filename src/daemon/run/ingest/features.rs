//! The features: found in the first file whose turn comes, and fixed when its first row is taken.
//!
//! Until then they apply only to that file. If it ends without a row, because it is refused or
//! empty, they are dropped ([`IngestState`](crate::source::follow::IngestState) does so from the same
//! events in every run), and the next file can choose again.

use tracing::info;

use super::{Decision, Event, Loop, SegmentRead, Stop, shown};
use crate::source::FeatureSchema;
use crate::source::worker::Refusal;

/// Jobs queued with the decoder: the next file is opened while the last rows of this one are still
/// on their way.
const JOBS_AHEAD: usize = 2;
/// For small files, the most jobs and bytes queued, so that neither side waits for the other at
/// each file. Requests and answers must fit into the socket buffers.
const JOBS_AHEAD_MOST: usize = 32;
const BYTES_AHEAD: u64 = 1 << 20;

impl Loop {
    /// True if the decoder may get another job: if the current file's features may still be
    /// dropped, the next file would be opened for the wrong ones.
    pub(super) fn may_queue(&self) -> bool {
        let queued = self.ingest.decode.queued();
        if queued == 0 {
            return true;
        }
        if !self.ingest.state.is_fixed() {
            return false;
        }
        let bytes = |reading: &SegmentRead| {
            let segment = &reading.segment;
            segment.fingerprint.bytes.saturating_sub(segment.start)
        };
        let next = match self.ingest.planned.front() {
            Some((_, Decision::NextSegment(reading))) => bytes(reading),
            _ => 0,
        };
        let ahead: u64 = self.queued.iter().map(|(_, reading)| bytes(reading)).sum();
        // Two are always ahead, whatever their size; more only while they are small.
        queued < JOBS_AHEAD || (queued < JOBS_AHEAD_MOST && ahead + next <= BYTES_AHEAD)
    }

    /// Hands a segment to the decoder; while no features are fixed, its own apply.
    pub(super) fn take(&mut self, ticket: u64, reading: SegmentRead) -> Result<(), Stop> {
        if self.was_put_off(ticket, &reading) {
            return Ok(());
        }
        if self.ingest.state.feature_schema.is_none() {
            let end = self.ends.get(&ticket);
            // A resumed run must repeat what the previous run did. The file is not even opened,
            // because it may have become readable.
            if end.is_some_and(|end| end.rows() == reading.rows) {
                // Refused before any of its rows, as the run before found.
                return self.refuse_first(ticket, &reading, None);
            }
            match self.ingest.decode.resolve(&reading.segment) {
                Ok(feature_schema) => {
                    if let Err(refusal) = self.use_schema(&feature_schema) {
                        return self.refuse_first(ticket, &reading, Some(refusal));
                    }
                    let (m, columns) =
                        (feature_schema.features().len(), feature_schema.selection());
                    let file = shown(&reading.segment.path);
                    info!(features = m, %file, %columns, "features found; the first accepted row settles them");
                    self.emit(Event::Resolved(feature_schema));
                }
                Err(refusal) if refusal.fault.is_passing() => {
                    return self.put_off(ticket, &reading, &refusal);
                }
                Err(refusal) => return self.refuse_first(ticket, &reading, Some(refusal)),
            }
        }
        self.queue(ticket, reading);
        Ok(())
    }

    /// Refuses the segment before any of its rows; it fixes no features.
    fn refuse_first(
        &mut self,
        ticket: u64,
        reading: &SegmentRead,
        refusal: Option<Refusal>,
    ) -> Result<(), Stop> {
        self.begin(ticket, reading);
        if let Some(refusal) = refusal {
            return self.cut(ticket, reading, refusal);
        }
        self.end(ticket);
        Ok(())
    }

    /// Releases the buffers for rows of the dropped features; they hold no rows.
    pub(super) fn free_features(&mut self) {
        if self.batch.take().is_some() {
            info!("no row was accepted; the next file determines the features");
        }
        (self.at, self.made) = (0, 0);
    }

    /// Makes room for rows of these features.
    pub(super) fn use_schema(&mut self, feature_schema: &FeatureSchema) -> Result<(), Refusal> {
        let m = feature_schema.features().len();
        let rows = self.ingest.params.learner.minibatch_rows(m);
        self.minibatch_rows = rows;
        self.ingest.decode.use_schema(feature_schema, rows)
    }
}
