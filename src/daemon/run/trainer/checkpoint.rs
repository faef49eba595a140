//! A copy of the state on its way to the disk.

use super::Trainer;
use crate::daemon::run::publisher::Job;

impl Trainer<'_> {
    /// Hands a copy of the state to the publisher.
    pub(super) fn checkpoint(&mut self) {
        let (rows, steps) = (self.rows(), self.learned.state.steps);
        let job = self.checkpoint_job(rows, steps);
        let Some(jobs) = &self.jobs else { return };
        match jobs.try_send(job) {
            Ok(()) => {
                self.checkpoints.begin(rows);
                self.last_checkpoint_steps = steps;
            }
            Err(unsent) => {
                if let Job::Checkpoint { changes, .. } = unsent.into_inner() {
                    // The publisher is busy: the changes belong to the next checkpoint, or they
                    // would be lost.
                    self.learned.state.files.give_back(changes);
                }
            }
        }
    }

    /// The current state, and the changes to files since the previous job.
    pub(super) fn checkpoint_job(&mut self, rows: u64, steps: u64) -> Job {
        Job::Checkpoint {
            checkpoint: self.learned.checkpoint(&self.params, self.run_id),
            changes: self.learned.state.files.take_changes(),
            files: self.learned.state.files.len() as u64,
            rows,
            steps,
        }
    }
}
