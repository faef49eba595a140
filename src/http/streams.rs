//! Open event streams, and their limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most simultaneous streams, one for each open page; more are refused.
const STREAMS_MAX: usize = 64;

/// Streams that are open.
#[derive(Debug, Default)]
pub(super) struct Streams(AtomicUsize);

/// One open stream; counted until dropped.
pub(super) struct Place(Arc<Streams>);

impl Place {
    /// A place, if there is one.
    pub(super) fn of(streams: &Arc<Streams>) -> Option<Self> {
        let taken = streams.0.fetch_add(1, Ordering::AcqRel);
        let place = Self(Arc::clone(streams));
        (taken < STREAMS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
