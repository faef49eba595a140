//! A learner whose p-values hold: rows are scored before they are learned (prequentially, Dawid 1984).
//!
//! In: minibatches on their way to a learner. Out: the distributions of residual, T² and distance over rows that the
//! components have not seen, as [`Limits`] of the learner's summary. A part of the rows is scored, which
//! `tracker` chooses by their positions alone, so that the bits do not depend on how rows came, on threads or stops.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: usize, from: usize) -> Minibatch {
        let values =
            (from * 6..(from + rows) * 6).map(|i| (i as f64 * 0.7).sin() + (i as f64).cos());
        Minibatch::from_rows(&values.collect::<Vec<_>>(), 6)
    }

    #[test]
    fn a_state_from_before_limits_goes_on_and_measures_them() {
        let params = LearnerParams {
            components: 2,
            ..LearnerParams::default()
        };
        let mut old = learner::new(&params, 6).unwrap();
        old.update(batch(1_000, 0)).unwrap();
        let mut bytes = Encoder::new();
        old.save(&mut bytes);
        let bytes = bytes.into_bytes();
        let mut from = Decoder::new("learner", &bytes);
        let mut read = new(&params, 6).unwrap();
        read.restore(&mut from).unwrap();
        from.finish().unwrap();
        assert_eq!(read.summary().unwrap().limits, None);
        for i in 1..5 {
            old.update(batch(1_000, 1_000 * i)).unwrap();
            read.update(batch(1_000, 1_000 * i)).unwrap();
        }
        let estimate = read.estimate().unwrap();
        assert!(estimate.limits.is_some());
        // What is learned is the same.
        let limits = None;
        assert_eq!(
            learner::Estimate { limits, ..estimate },
            old.estimate().unwrap()
        );
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let params = LearnerParams {
            components: 2,
            ..LearnerParams::default()
        };
        let mut one = new(&params, 6).unwrap();
        for i in 0..4 {
            one.update(batch(1_000, 1_000 * i)).unwrap();
        }
        let mut bytes = Encoder::new();
        one.save(&mut bytes);
        let bytes = bytes.into_bytes();
        // Cut anywhere, it is an error and no panic.
        for end in (0..bytes.len()).step_by(97) {
            let mut other = new(&params, 6).unwrap();
            let mut from = Decoder::new("learner", &bytes[..end]);
            assert!(other.restore(&mut from).is_err(), "{end}");
        }
    }
}
