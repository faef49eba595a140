//! The published values: refreshed now and then, but never at the cost of learning.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Schedule, Trainer};
use crate::daemon::run::ingest::shown;
use crate::daemon::run::publisher::Job;
use crate::learner::Estimate;
use crate::learner::drift::{Drift, DriftReport};
use crate::published::{
    Convergence, Drifted, History, Point, Published, Quarantine, RunState, Sampler, Sources, Status,
};
use crate::rows::{Minibatch, unix_s};
use crate::snapshot::Snapshot;

/// How often the status is refreshed.
const STATUS_EVERY: Duration = Duration::from_millis(200);
/// How often the components and the lists of files are refreshed, at most.
const COMPONENTS_EVERY: Duration = Duration::from_secs(1);
/// Reading out the components may take at most 1/this of the time.
const COMPONENTS_SHARE: u32 = 50;
/// Period over which rows per second are averaged.
const RATE_OVER: Duration = Duration::from_secs(10);
/// Time without a row after which the feed counts as quiet.
const QUIET_AFTER: Duration = Duration::from_secs(2);

/// Published values, and when each is to be refreshed.
pub(super) struct Shown {
    pub(super) published: Arc<Published>,
    pub(super) sampler: Sampler,
    started_unix_s: u64,
    status_at: Instant,
    components_at: Instant,
    /// Number of events covered by the components shown.
    steps: u64,
    history: History,
    /// True if it differs from the copy on disk.
    is_history_new: bool,
    /// Components of its last point.
    before: Option<Estimate>,
    /// Row counts at recent moments.
    rates: VecDeque<(Instant, u64)>,
    /// When that last changed.
    moved: Instant,
    state: RunState,
    since_unix_s: u64,
    convergence: Option<Convergence>,
    quarantined: Option<u64>,
    pub(super) checkpoint_unix_s: Option<u64>,
    pub(super) snapshot_unix_s: Option<u64>,
    pub(super) snapshot: Option<String>,
}

impl Shown {
    pub(super) fn new(published: Arc<Published>, history: History, sampler: Sampler) -> Self {
        let now = Instant::now();
        published.history.set(history.clone());
        Self {
            published,
            sampler,
            started_unix_s: unix_s(),
            status_at: now,
            components_at: now,
            steps: u64::MAX,
            history,
            is_history_new: false,
            before: None,
            rates: VecDeque::new(),
            moved: now,
            state: RunState::Waiting,
            since_unix_s: unix_s(),
            convergence: None,
            quarantined: None,
            checkpoint_unix_s: None,
            snapshot_unix_s: None,
            snapshot: None,
        }
    }

    /// Recent rows learned per second.
    fn rate(&mut self, now: Instant, rows: u64) -> f64 {
        if self.rates.back().is_some_and(|(_, before)| *before != rows) {
            self.moved = now;
        } else if now.duration_since(self.moved) > QUIET_AFTER {
            self.rates.clear();
        }
        self.rates.push_back((now, rows));
        let is_old = |at: &(Instant, u64)| now.duration_since(at.0) > RATE_OVER;
        // One that is older stays, so that the whole time is counted.
        while self.rates.get(1).is_some_and(is_old) {
            self.rates.pop_front();
        }
        self.rates.front().map_or(0.0, |(then, before)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            let rows = rows.saturating_sub(*before) as f64;
            if seconds > 0.0 { rows / seconds } else { 0.0 }
        })
    }

    /// Records components that are about to be shown.
    fn remember(&mut self, snapshot: &Snapshot, report: Option<&DriftReport>) {
        let (now, rows) = (unix_s(), snapshot.estimate.rows);
        if self.history.is_due(now, rows) {
            let estimate = &snapshot.estimate;
            let point = Point::of(estimate, now, self.before.as_ref(), report);
            self.history.add(point);
            self.before = Some(estimate.clone());
            self.renew_history();
        }
    }

    fn renew_history(&mut self) {
        self.published.history.set(self.history.clone());
        self.is_history_new = true;
    }
}

impl Trainer<'_> {
    /// Refreshes what is due.
    pub(super) fn show(&mut self) {
        let now = Instant::now();
        let Some(shown) = &self.shown else {
            return;
        };
        if now >= shown.components_at && shown.steps != self.learned.state.steps {
            self.show_components(now);
        }
        if self
            .shown
            .as_ref()
            .is_some_and(|shown| now >= shown.status_at)
        {
            self.show_status(now);
        }
    }

    fn show_components(&mut self, now: Instant) {
        let read_out = self.read_out();
        let state = &self.learned.state;
        let Some(shown) = &mut self.shown else {
            return;
        };
        shown.steps = state.steps;
        let lag = lag(&self.shared);
        shown
            .published
            .sources
            .set(Sources::of(state, lag.0, lag.1));
        if shown.quarantined != Some(state.quarantined) {
            shown.quarantined = Some(state.quarantined);
            shown.published.quarantine.set(Quarantine::of(state));
        }
        // A state that cannot be read out is told where a snapshot is made of it.
        if let Ok(Some(snapshot)) = read_out {
            let report = self.learned.drift.as_ref().and_then(Drift::report);
            shown.remember(&snapshot, report.as_ref());
            let factor = self.params.learner.forgetting.factor_per_row();
            let target = shown.published.params().target_angle_rad;
            shown.convergence = Some(Convergence::of(&snapshot, factor, target));
            shown.published.snapshot.set(Some(Arc::new(snapshot)));
        }
        let cost = now.elapsed();
        // Scaled by its cost, so that a wide model is read out less often rather than at the
        // expense of learning.
        shown.components_at = now + COMPONENTS_EVERY.max(COMPONENTS_SHARE * cost);
    }

    fn show_status(&mut self, now: Instant) {
        let rows = self.rows();
        // Taken out for as long as `self.status` borrows the trainer.
        let Some(mut shown) = self.shown.take() else {
            return;
        };
        let rows_per_s = shown.rate(now, rows);
        let mut status = self.status(&shown, rows_per_s);
        if status.state != shown.state {
            (shown.state, shown.since_unix_s) = (status.state, status.now_unix_s);
        }
        status.since_unix_s = shown.since_unix_s;
        status.headline = status.sentence();
        shown.published.set_status(status);
        shown.status_at = now + STATUS_EVERY;
        self.shown = Some(shown);
    }

    /// Adds a drift to the history.
    pub(super) fn show_drift(&mut self, report: &DriftReport, rows: u64) {
        if let Some(shown) = &mut self.shown {
            shown.history.drifted(Drifted {
                unix_s: unix_s(),
                rows,
                report: report.clone(),
            });
            shown.renew_history();
        }
    }

    /// Has the history written if it changed.
    pub(super) fn keep_history(&mut self) {
        let (Some(shown), Some(jobs)) = (&mut self.shown, &self.jobs) else {
            return;
        };
        if !shown.is_history_new {
            return;
        }
        let Ok(bytes) = shown.history.to_json() else {
            return;
        };
        let directory = self.params.state_dir.clone();
        // While the disk is slow, a later one is written.
        if jobs.try_send(Job::History { bytes, directory }).is_ok() {
            shown.is_history_new = false;
        }
    }

    /// Reasons why the run is not ready; empty if it is.
    fn reasons(&self) -> Vec<String> {
        let failing = |what: &Schedule| {
            (what.failures > 0).then(|| format!("the last {} could not be written", what.what))
        };
        let is_journal_down = self.shared.is_journal_down.load(Ordering::Relaxed);
        let trouble = self.shared.trouble.lock();
        let reasons = [
            failing(&self.checkpoints),
            failing(&self.snapshots),
            is_journal_down.then(|| "the journal cannot be written".to_owned()),
            trouble.ok().and_then(|trouble| trouble.clone()),
            (!self.pulse.is_alive()).then(|| "nothing has been read for minutes".to_owned()),
        ];
        reasons.into_iter().flatten().collect()
    }

    /// True if the feed has changed and too few rows have arrived since to know its new state.
    fn is_drifted(&self, shown: &Shown) -> bool {
        let last = shown.history.drifts.last();
        last.zip(self.params.drift.as_ref())
            .is_some_and(|(last, params)| {
                self.rows() < last.rows.saturating_add(params.short_half_life_rows)
            })
    }

    fn status(&self, known: &Shown, rows_per_s: f64) -> Status {
        let state = &self.learned.state;
        let reasons = self.reasons();
        let (lag_files, lag_bytes) = lag(&self.shared);
        let drift = self.learned.drift.as_ref();
        let features = state
            .feature_schema
            .as_ref()
            .map_or(0, |a| a.features().len());
        let is_image = |shape: &[usize; 2]| shape[0].checked_mul(shape[1]) == Some(features);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            started_unix_s: known.started_unix_s,
            now_unix_s: unix_s(),
            state: if !reasons.is_empty() {
                RunState::Degraded
            } else if self.is_drifted(known) {
                RunState::Drifted
            } else if rows_per_s > 0.0 || lag_files > 0 {
                RunState::Learning
            } else {
                RunState::Waiting
            },
            is_ready: reasons.is_empty(),
            reasons,
            features,
            components: self.params.learner.components,
            rows: self.rows(),
            rows_read: state.counts.rows_read,
            rows_rejected: state.counts.rows_rejected,
            rejected_by: state.counts.rejected_by,
            rows_waiting: self.learned.waiting.as_ref().map_or(0, Minibatch::rows) as u64,
            rows_per_s,
            files: state.files.len(),
            quarantined: state.quarantined,
            lag_files,
            lag_bytes,
            reading: state.reading.as_ref().map(|r| shown(&r.segment.path)),
            checkpoint_unix_s: known.checkpoint_unix_s,
            snapshot_unix_s: known.snapshot_unix_s,
            snapshot: known.snapshot.clone(),
            drifts: drift.map_or(0, Drift::events),
            is_drift_watched: self.params.drift.is_some(),
            drifted_unix_s: known.history.drifts.last().map(|drifted| drifted.unix_s),
            drift: drift.and_then(Drift::report),
            convergence: known.convergence,
            label: known.published.params().label.clone(),
            feature_shape: known.published.params().feature_shape.filter(is_image),
            can_push: self.push.is_some(),
            can_control: known.published.params().can_control,
            // What depends on the status before is set by whoever knows that.
            since_unix_s: 0,
            headline: String::new(),
        }
    }
}

/// Number of files seen but not fully read, and their bytes.
fn lag(shared: &crate::daemon::run::ingest::Shared) -> (u64, u64) {
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    (of(&shared.lag_files), of(&shared.lag_bytes))
}
