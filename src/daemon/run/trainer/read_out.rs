//! The state → everything known now, from all rows read.
//!
//! Rows waiting for a full minibatch are learned by a temporary copy: readers see them, while the
//! state keeps its minibatch boundaries, and so its bits, whenever someone looked and however often
//! the run was stopped.

use tracing::{info, warn};

use super::Trainer;
use crate::learner::drift::Drift;
use crate::learner::{self, Estimate, LearnError, Monitor};
use crate::rows::Features;
use crate::snapshot::{Provenance, Snapshot, Warning, warnings};

/// Number of files listed in a snapshot's watermark: the latest ones.
const WATERMARK_FILES: usize = 1000;

impl Trainer<'_> {
    /// The components and everything known about them now; `None` before the first row.
    pub(super) fn read_out(&self) -> Result<Option<Snapshot>, LearnError> {
        let state = &self.learned.state;
        let (Some(learner), Some(agreement)) = (&self.learned.learner, &state.feature_schema)
        else {
            return Ok(None);
        };
        let m = agreement.features().len();
        let waiting = self.learned.waiting.clone();
        let summary = match waiting.filter(|waiting| waiting.rows() > 0) {
            Some(waiting) => learner::summary_with(learner.as_ref(), waiting),
            None if learner.rows() == 0 => return Ok(None),
            None => learner.summary(),
        };
        let summary = summary.map_err(|error| error.of(agreement.features().names()))?;
        let params = &self.params.learner;
        let mut provenance = Provenance::new(params, m, summary.squared_weight);
        provenance.run_id = Some(self.run_id);
        let drift = || self.learned.drift.as_ref().and_then(Drift::report);
        provenance.drift = self.drifted.clone().or_else(drift);
        let estimate = summary.estimate(params.components, params.penalty);
        let features = agreement.features();
        provenance.warnings = self.warnings(&estimate, features, summary.is_scaled);
        Ok(Some(Snapshot {
            estimate,
            features: features.clone(),
            counts: state.counts.clone(),
            watermark: state.watermark(WATERMARK_FILES),
            provenance,
        }))
    }

    fn warnings(&self, estimate: &Estimate, features: &Features, is_scaled: bool) -> Vec<Warning> {
        let monitor = self.learned.monitor.as_ref();
        let counting = monitor.map(Monitor::counting).unwrap_or_default();
        warnings(estimate, features, is_scaled, &counting)
    }

    /// Logs the warnings of a snapshot, and that f32 was not precise enough, once each.
    pub(super) fn warn(&mut self, snapshot: &Snapshot) {
        for warning in &snapshot.provenance.warnings {
            if self.told.insert(warning.key()) {
                warn!(feature = warning.feature, "{}", warning.text);
            }
        }
        if snapshot.estimate.is_widened && self.told.insert("f64".to_owned()) {
            info!(
                rows = snapshot.estimate.rows,
                "learning with f64 products: beside the largest direction, f32 would lose wanted \
                 components; f32 resumes when it suffices"
            );
        }
    }
}
