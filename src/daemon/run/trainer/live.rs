//! What the HTTP server shows: renewed now and then, and never at the cost of learning.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Schedule, Trainer};
use crate::daemon::run::feeder::{shown, unix_s};
use crate::http::{Live, Status};
use crate::learner::drift::Drift;
use crate::rows::Minibatch;

/// How often the status is renewed.
const STATUS_EVERY: Duration = Duration::from_millis(200);
/// How often the components are, at most.
const COMPONENTS_EVERY: Duration = Duration::from_secs(1);
/// Reading the components out may take one part in so many of the time.
const COMPONENTS_SHARE: u32 = 50;

/// What is shown, and when it is to be renewed.
pub(super) struct Shown {
    live: Arc<Live>,
    started_unix_s: u64,
    status_at: Instant,
    components_at: Instant,
    /// Events in the components that are shown.
    steps: u64,
    pub(super) checkpoint_unix_s: Option<u64>,
    pub(super) snapshot_unix_s: Option<u64>,
}

impl Shown {
    pub(super) fn new(live: Arc<Live>) -> Self {
        let now = Instant::now();
        Self {
            live,
            started_unix_s: unix_s(),
            status_at: now,
            components_at: now,
            steps: u64::MAX,
            checkpoint_unix_s: None,
            snapshot_unix_s: None,
        }
    }
}

impl Trainer<'_> {
    /// Renews what is due.
    pub(super) fn show(&mut self) {
        let now = Instant::now();
        let Some(shown) = &self.shown else {
            return;
        };
        if now >= shown.components_at && shown.steps != self.learned.state.steps {
            let snapshot = self.read_out();
            let cost = now.elapsed();
            if let Some(shown) = &mut self.shown {
                shown.steps = self.learned.state.steps;
                shown.components_at = now + COMPONENTS_EVERY.max(COMPONENTS_SHARE * cost);
                // A state that cannot be read out is told where a snapshot is made of it.
                if let Ok(Some(snapshot)) = snapshot {
                    shown.live.snapshot.set(Some(Arc::new(snapshot)));
                }
            }
        }
        let Some(shown) = &self.shown else {
            return;
        };
        if now >= shown.status_at {
            shown.live.set_status(self.status(shown));
            if let Some(shown) = &mut self.shown {
                shown.status_at = now + STATUS_EVERY;
            }
        }
    }

    fn status(&self, known: &Shown) -> Status {
        let state = &self.learned.state;
        let failing = |what: &Schedule| {
            (what.failures > 0).then(|| format!("the last {} could not be written", what.what))
        };
        let is_journal_down = self.shared.is_journal_down.load(Ordering::Relaxed);
        let journal = is_journal_down.then(|| "the journal cannot be written".to_owned());
        let reasons = [
            failing(&self.checkpoints),
            failing(&self.snapshots),
            journal,
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        let drift = self.learned.drift.as_ref();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started_unix_s: known.started_unix_s,
            is_ready: reasons.is_empty(),
            reasons,
            now_unix_s: unix_s(),
            features: state.agreement.as_ref().map_or(0, |a| a.features().len()),
            rows: self.rows(),
            rows_read: state.tally.rows_read,
            rows_rejected: state.tally.rows_rejected,
            rows_waiting: self.learned.waiting.as_ref().map_or(0, Minibatch::rows) as u64,
            files: state.files.len(),
            quarantined: state.quarantined,
            reading: state.reading.as_ref().map(|r| shown(&r.segment.path)),
            checkpoint_unix_s: known.checkpoint_unix_s,
            snapshot_unix_s: known.snapshot_unix_s,
            can_push: self.push.is_some(),
            drifts: drift.map_or(0, Drift::events),
            drift: drift.and_then(Drift::report),
            ..Status::default()
        }
    }
}
