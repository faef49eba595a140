//! A learner whose p-values hold: rows are scored before they are learned (prequentially, Dawid 1984).
//!
//! In: minibatches on their way to a learner. Out: the distributions of residual, T² and distance over rows that the
//! components have not seen, as [`Limits`] of the learner's summary. A part of the rows is scored, which
//! [`tracker`] chooses by their positions alone, so that the bits do not depend on how rows came, on threads or stops.

mod sketch;
mod tracker;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::{self, LearnError, Learner, LearnerParams, Limits, Summary};
use crate::rows::Minibatch;
use tracker::Tracker;

/// First byte of a saved state with distributions; without them it is the version of the learner's section.
const WITH_LIMITS: u8 = 0xf1;

/// Version of what follows.
const VERSION: u8 = 1;

/// A learner, and what is measured on its way.
struct Prequential {
    learner: Box<dyn Learner>,
    features: usize,
    tracker: Tracker,
}

/// The learner that `params` describe, for `features` features, which measures its limits.
///
/// # Errors
/// If there are fewer features than components.
pub fn new(params: &LearnerParams, features: usize) -> Result<Box<dyn Learner>, LearnError> {
    Ok(Box::new(Prequential {
        learner: learner::new(params, features)?,
        features,
        tracker: Tracker::new(params.forgetting),
    }))
}

impl Learner for Prequential {
    fn update(&mut self, batch: Minibatch) -> Result<Minibatch, LearnError> {
        let rows = batch.rows();
        if batch.features() == self.features {
            self.tracker.score(&batch, self.learner.rows());
        }
        let batch = self.learner.update(batch)?;
        if rows > 0 {
            self.tracker.advance(rows);
            if self.tracker.is_due() {
                self.tracker.renew(self.learner.estimate()?);
            }
        }
        Ok(batch)
    }

    fn summary(&self) -> Result<Summary, LearnError> {
        let limits: Option<Limits> = self.tracker.limits();
        Ok(Summary {
            limits,
            ..self.learner.summary()?
        })
    }

    fn params(&self) -> &LearnerParams {
        self.learner.params()
    }

    fn rows(&self) -> u64 {
        self.learner.rows()
    }

    fn fresh(&self, features: usize) -> Result<Box<dyn Learner>, LearnError> {
        new(self.params(), features)
    }

    fn save(&self, to: &mut Encoder) {
        to.u8(WITH_LIMITS);
        to.u8(VERSION);
        self.tracker.save(to);
        self.learner.save(to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        if from.clone().u8()? == WITH_LIMITS {
            from.u8()?;
            let version = from.u8()?;
            if version != VERSION {
                return Err(from.refuse(format!("version {version} of the limits")));
            }
            self.tracker.restore(from, self.features)?;
            return self.learner.restore(from);
        }
        // Saved before limits were measured: they begin with the next rows.
        self.learner.restore(from)?;
        self.tracker.begin(self.learner.rows());
        Ok(())
    }
}
