//! The end: the last checkpoint and snapshot.

use std::time::Instant;

use crossbeam_channel::Receiver;

use super::Trainer;
use crate::daemon::run::messages::{Outcome, RunError};
use crate::daemon::run::publisher::{Done, Job};
use crate::rows::Minibatch;

impl Trainer<'_> {
    /// Writes the last checkpoint and snapshot, within the time for draining.
    pub(super) fn close(&mut self, done: &Receiver<Done>) -> Result<Outcome, RunError> {
        // Nothing more is written then.
        self.check_place()?;
        let deadline = Instant::now() + self.params.drain();
        let outcome = Outcome {
            rows: self.rows(),
            rows_waiting: self.learned.waiting.as_ref().map_or(0, Minibatch::rows) as u64,
            is_durable: false,
        };
        let mut reason = String::from("it ran out of time");
        // What is under way was made before the last rows were learned.
        while self.checkpoints.is_under_way || self.snapshots.is_under_way {
            match done.recv_deadline(deadline) {
                Ok(answer) => self.note(answer),
                Err(_) => return Err(RunError::NotDurable { reason }),
            }
        }
        let jobs = self.jobs.clone();
        let send = |job: Job| {
            let sent = jobs.as_ref().map(|jobs| jobs.send_deadline(job, deadline));
            matches!(sent, Some(Ok(())))
        };
        let steps = self.learned.state.steps;
        // Nothing was ever read: the directory is left as it was found.
        if steps == 0 {
            return Ok(outcome);
        }
        let job = self.checkpoint_job(outcome.rows, steps);
        let mut is_durable = false;
        if send(job) {
            self.checkpoints.begin(outcome.rows);
            while self.checkpoints.is_under_way {
                match done.recv_deadline(deadline) {
                    Ok(Done::Checkpoint { result, .. }) => {
                        self.checkpoints.is_under_way = false;
                        is_durable = result.is_ok();
                        if let Some(push) = self.push.as_ref().filter(|_| is_durable) {
                            push.durable(steps);
                        }
                        if let Err(error) = result {
                            reason = error;
                        }
                    }
                    Ok(answer) => self.note(answer),
                    Err(_) => break,
                }
            }
        }
        self.check_place()?;
        self.snapshots.failures = 0;
        self.snapshot();
        while self.snapshots.is_under_way {
            match done.recv_deadline(deadline) {
                Ok(answer) => self.note(answer),
                Err(_) => break,
            }
        }
        if !is_durable {
            return Err(RunError::NotDurable { reason });
        }
        Ok(Outcome {
            is_durable,
            ..outcome
        })
    }
}
