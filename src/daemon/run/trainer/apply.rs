//! Applies events of the feed to the state and the learner, and notifies those waiting for them.

use super::Trainer;
use crate::daemon::run::messages::RunError;
use crate::learner::Monitor;
use crate::prequential;
use crate::source::follow::Event;

impl Trainer<'_> {
    /// Advances the state exactly as the ingest thread did.
    pub(super) fn apply(&mut self, events: &[Event]) -> Result<(), RunError> {
        for event in events {
            if let Event::Resolved(agreement) = event {
                let m = agreement.features().len();
                let learner = prequential::new(&self.params.learner, m);
                self.learned.learner = Some(learner?);
                self.learned.monitor = Some(Monitor::new(m));
            }
            let settled = self.learned.state.settled_by(event);
            let was_fixed = self.learned.state.is_fixed();
            self.learned.state.apply(event);
            let state = &self.learned.state;
            if let Some(push) = &self.push {
                // Before the first row, the features may go with the file that has them.
                if let (false, true, Some(agreement)) =
                    (was_fixed, state.is_fixed(), &state.feature_schema)
                {
                    push.agreed(agreement);
                }
                if let Some(settled) = settled {
                    push.settled(settled, state.steps);
                }
            }
            if state.feature_schema.is_none() {
                // They went, and what was made for them has seen no row.
                (self.learned.learner, self.learned.drift) = (None, None);
                self.learned.monitor = None;
                self.told.clear();
            }
            if matches!(event, Event::Resolved(_)) {
                self.watch_as_configured();
            }
        }
        Ok(())
    }
}
