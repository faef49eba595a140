//! Drift: watched alongside the learner, reported and counted.

use tracing::{info, warn};

use super::Trainer;
use crate::config::OnEventKey;
use crate::learner::drift::{Drift, DriftParams};
use crate::learner::{LearnError, Learner};
use crate::rows::Minibatch;

impl Trainer<'_> {
    /// Examines a minibatch before it is learned; returns whether it shows a drift that calls for a
    /// snapshot.
    pub(super) fn watch(&mut self, batch: &Minibatch) -> Result<bool, LearnError> {
        if let Some(monitor) = &mut self.learned.monitor {
            monitor.update(batch);
        }
        let (Some(learner), Some(drift)) = (&self.learned.learner, &mut self.learned.drift) else {
            return Ok(false);
        };
        let Some(report) = drift.update(batch, learner.as_ref())? else {
            if let Some(unjudged) = drift.news() {
                warn!(
                    statistics = unjudged.statistics,
                    of = unjudged.of,
                    needed_half_life_rows = unjudged.needed_half_life_rows,
                    "some changes cannot be found: rows depend on each other for about as long as \
                     drift.short_half_life_rows; raise it to needed_half_life_rows"
                );
            }
            return Ok(false);
        };
        warn!(
            rows = batch.first_row() + batch.rows() as u64,
            kind = ?report.kind,
            score = report.score(),
            threshold = report.threshold,
            subspace_distance = report.subspace_distance,
            explained_variance_short = report.explained_variance_short,
            explained_variance_long = report.explained_variance_long,
            events = report.events,
            "drift: recent rows differ from earlier ones"
        );
        let rows = learner.rows();
        self.show_drift(&report, rows);
        self.drifted = Some(report);
        Ok(self.params.keys.drift.on_event == OnEventKey::Snapshot)
    }

    /// Starts, changes or stops watching, as configured.
    pub(super) fn watch_as_configured(&mut self) {
        let features = self.learned.state.feature_schema.as_ref();
        let features = features.map(|agreement| agreement.features().len());
        let wanted = self.params.drift.as_ref();
        let before = self.learned.drift.as_ref().map(Drift::params);
        if let Some(shown) = &self.shown {
            shown.published.drift_params.set(wanted.cloned());
        }
        let (Some(features), true) = (features, before != wanted) else {
            return;
        };
        if before.is_some() {
            info!("drift detection starts over: its keys have changed");
        }
        if let Some(params) = wanted {
            warn_if_short(params, self.learned.learner.as_deref(), features);
        }
        self.learned.drift = wanted.map(|params| Drift::new(params.clone()));
    }
}

fn warn_if_short(params: &DriftParams, learner: Option<&dyn Learner>, features: usize) {
    let minibatch = learner.map_or(0, |learner| learner.params().minibatch_rows(features));
    let least = DriftParams::least_half_life_rows(minibatch);
    if params.short_half_life_rows < least {
        warn!(
            short_half_life_rows = params.short_half_life_rows,
            least,
            "drift.short_half_life_rows is less than sixteen minibatches, and finding a drift may \
             take that many; use a smaller learner.minibatch, or a longer half-life"
        );
    }
}
