//! Learner ↔ bytes: the section `learner` of a checkpoint.
//!
//! Everything that later updates depend on is written, to the last bit; buffers are not. A restored
//! learner continues bit for bit where the saved one was. The layout is in `docs/checkpoint.md`.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::fourth_moments::FourthMoments;
use crate::learner::moments::Moments;
use crate::learner::ramp::Ramp;
use crate::learner::row_noise::RowNoise;
use crate::learner::run_means::{RunMeans, Runs, SHORTEST, SIZES_AT_MOST};
use crate::learner::saved::{finite, finites, restore_mat, save_mat};
use crate::learner::typical::TypicalVariance;

/// Version of the section. Version 1 lacks the variance of ordinary rows, version 2 the runs of consecutive rows, version 3
/// the unit of the fourth moments, version 4 how the rows of noise are related, version 5 how concentrated the variance of
/// each feature is.
pub(super) const VERSION: u8 = 6;

/// The first version with runs of consecutive rows.
const WITH_RUNS: u8 = 3;

/// The first version with a unit of the fourth moments.
const WITH_UNIT: u8 = 4;

/// The first version that says how the rows of noise are related.
const WITH_NOISE: u8 = 5;

/// The first version that says how concentrated the variance of each feature is.
const WITH_CONCENTRATION: u8 = 6;

impl Moments {
    /// Writes everything that later minibatches depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.rows);
        to.f64(self.weight);
        to.f64(self.squared_weight);
        to.f64s(&self.mean);
        to.f64s(&self.variance);
        to.f64s(&self.scale);
        to.f64s(&self.observed);
        to.f64(self.typical_variance.log);
        to.f64(self.typical_variance.blocks);
        to.f64s(&self.concentration);
    }

    /// Reads a saved state, preceded by its version, with as many features; returns that version.
    pub(super) fn restore(&mut self, from: &mut Decoder<'_>) -> Result<u8, CodecError> {
        let version = from.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(from.refuse(format!("version {version}")));
        }
        let m = self.features();
        self.rows = from.u64()?;
        self.weight = finite(from)?;
        self.squared_weight = finite(from)?;
        self.mean = finites(from, m)?;
        self.variance = finites(from, m)?;
        self.scale = finites(from, m)?;
        self.observed = from.f64s()?;
        if !self.observed.is_empty() && self.observed.len() != m {
            return Err(from.refuse(format!("{} observed weights", self.observed.len())));
        }
        self.typical_variance = TypicalVariance::default();
        if version > 1 {
            self.typical_variance.log = finite(from)?;
            self.typical_variance.blocks = finite(from)?;
        }
        self.concentration.fill(1.0);
        if version >= WITH_CONCENTRATION {
            self.concentration = finites(from, self.concentration.len())?;
        }
        let is_fine = self.weight >= 0.0 && self.scale.iter().all(|scale| *scale > 0.0);
        if !is_fine {
            return Err(from.refuse("a weight or scale is not positive"));
        }
        Ok(version)
    }
}

impl FourthMoments {
    /// Writes everything that later minibatches depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        self.ramp.save(to);
        to.u64(self.next_row);
        to.f64(self.unit);
        to.f64(self.outside);
        to.f64s(&self.square);
        to.f64s(&self.with_outside);
        save_mat(&self.quartic, to);
        to.f64s(&self.tails.beyond);
        to.f64s(&self.tails.logarithm);
        self.runs.save(to);
        self.noise.save(to);
        to.f64s(&self.standardized.alone);
    }

    /// Reads what was written in this version of the section; at most `most` directions.
    pub(super) fn restore(
        &mut self,
        from: &mut Decoder<'_>,
        version: u8,
        most: usize,
    ) -> Result<(), CodecError> {
        *self = Self::new(self.standardized.is_on);
        if version < WITH_RUNS {
            // Blocks of sixteen rows; what came after each other was not written down.
            self.ramp.weight = 16.0 * from.usize()? as f64;
        } else {
            self.ramp.restore(from)?;
            self.next_row = from.u64()?;
        }
        if version >= WITH_UNIT {
            self.unit = finite(from)?;
            if self.unit <= 0.0 {
                return Err(from.refuse("the unit of the fourth moments is not positive"));
            }
        }
        self.outside = finite(from)?;
        self.square = from.f64s()?;
        let h = self.square.len();
        if h > most {
            return Err(from.refuse(format!("{h} directions where {most} can be held")));
        }
        self.with_outside = finites(from, h)?;
        self.quartic = restore_mat(from, h, h)?;
        self.runs.begin(h);
        if h > 0 {
            self.noise.resize(h);
        }
        if version >= WITH_RUNS {
            self.tails.beyond = finites(from, h)?;
            self.tails.logarithm = finites(from, h)?;
            self.runs.restore(from)?;
        }
        if version >= WITH_NOISE {
            self.noise.restore(from)?;
        }
        self.standardized.resize(h);
        let alone = &mut self.standardized.alone;
        if version >= WITH_CONCENTRATION {
            *alone = finites(from, alone.len())?;
        } else {
            // Those of a covariance matrix, until rows have said more.
            let squares = (0..h).map(|i| self.quartic[(i, i)] - self.square[i].powi(2));
            alone
                .iter_mut()
                .zip(squares)
                .for_each(|(v, square)| *v = square);
        }
        Ok(())
    }
}

impl RowNoise {
    fn save(&self, to: &mut Encoder) {
        self.ramp.save(to);
        to.f64(self.square);
        self.lag_ramps.iter().for_each(|ramp| ramp.save(to));
        self.pair_ramp.save(to);
        to.f64s(&self.lagged);
        to.f64s(&self.paired);
    }

    /// Reads what was written, of as many directions.
    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        self.ramp.restore(from)?;
        self.square = finite(from)?;
        for ramp in &mut self.lag_ramps {
            ramp.restore(from)?;
        }
        self.pair_ramp.restore(from)?;
        self.lagged = finites(from, self.lagged.len())?;
        self.paired = finites(from, self.paired.len())?;
        Ok(())
    }
}

impl Ramp {
    fn save(self, to: &mut Encoder) {
        to.f64(self.weight);
        to.f64(self.concentration);
    }

    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        self.weight = finite(from)?;
        self.concentration = finite(from)?;
        let is_fine = self.weight >= 0.0 && self.concentration >= 0.0;
        is_fine
            .then_some(())
            .ok_or_else(|| from.refuse("a weight is negative"))
    }
}

impl RunMeans {
    fn save(&self, to: &mut Encoder) {
        to.usize(self.open_rows);
        to.f64s(&self.open);
        to.usize(self.sizes.len());
        for runs in &self.sizes {
            to.bool(runs.is_half);
            runs.ramp.save(to);
            to.f64s(&runs.before);
            to.f64s(&runs.variance);
        }
    }

    /// Reads what was written, of as many directions.
    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let pairs = self.open.len();
        let some = |from: &mut Decoder<'_>| {
            let count = from.clone().usize()?;
            finites(from, if count == 0 { 0 } else { pairs })
        };
        self.open_rows = from.usize()?;
        self.open = finites(from, pairs)?;
        let sizes = from.usize()?;
        if self.open_rows >= SHORTEST || sizes > SIZES_AT_MOST {
            let rows = self.open_rows;
            return Err(from.refuse(format!("runs of {sizes} sizes, {rows} rows open")));
        }
        for _ in 0..sizes {
            let mut runs = Runs {
                is_half: from.bool()?,
                ..Runs::default()
            };
            runs.ramp.restore(from)?;
            runs.before = some(from)?;
            runs.variance = some(from)?;
            self.sizes.push(runs);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{LearnerParams, Scale, new};
    use crate::rows::Minibatch;

    fn batch(rows: usize) -> Minibatch {
        let values: Vec<f64> = (0..rows * 4).map(|i| (i as f64 * 0.7).sin()).collect();
        Minibatch::from_rows(&values, 4)
    }

    #[test]
    fn error_bars_of_the_version_before_are_read() {
        // Blocks, E ρ², E zᵢ², E zᵢ²ρ², E zᵢ²zⱼ², as version 2 wrote them.
        let mut old = Encoder::new();
        old.usize(10);
        old.f64(0.5);
        old.f64s(&[2.0, 1.0]);
        old.f64s(&[1.0, 0.5]);
        save_mat(&faer::mat![[12.0, 2.0], [2.0, 3.0]], &mut old);
        let bytes = old.into_bytes();
        let mut from = Decoder::new("learner", &bytes);
        let mut read = FourthMoments::default();
        read.restore(&mut from, 2, 4).unwrap();
        let long_run = read.long_run();
        // E z⁴/λ² − 1: 12/4 − 1 and 3 − 1.
        assert_eq!((long_run.square(0), long_run.square(1)), (2.0, 2.0));
        assert!((long_run.pair(0, 1) - 1.0).abs() < 1e-15);
        assert!(
            read.restore(&mut Decoder::new("learner", &bytes), 2, 1)
                .is_err()
        );
    }

    #[test]
    fn a_state_goes_on_in_the_middle_of_a_run() {
        let params = LearnerParams {
            components: 2,
            ..LearnerParams::default()
        };
        let mut one = new(&params, 4).unwrap();
        one.update(batch(1_003)).unwrap();
        let mut bytes = Encoder::new();
        one.save(&mut bytes);
        let bytes = bytes.into_bytes();
        let mut other = new(&params, 4).unwrap();
        other.restore(&mut Decoder::new("learner", &bytes)).unwrap();
        one.update(batch(2_000)).unwrap();
        other.update(batch(2_000)).unwrap();
        assert_eq!(one.estimate().unwrap(), other.estimate().unwrap());
    }

    #[test]
    fn moments_of_the_version_before_are_read() {
        let params = LearnerParams {
            scale: Scale::Standard,
            ..LearnerParams::default()
        };
        let mut moments = Moments::new(&params, 3);
        (moments.rows, moments.weight) = (40, 40.0);
        moments.mean = vec![1.0, 2.0, 3.0];
        moments.concentration = vec![1.0, 7.0, 2.0];
        let mut to = Encoder::new();
        moments.save(&mut to);
        let mut bytes = to.into_bytes();
        let mut again = Moments::new(&params, 3);
        let version = again.restore(&mut Decoder::new("learner", &bytes));
        assert_eq!(version, Ok(6));
        assert_eq!(again.concentration, moments.concentration);
        // A length and three numbers less.
        bytes.truncate(bytes.len() - 32);
        bytes[0] = 5;
        let version = again.restore(&mut Decoder::new("learner", &bytes));
        assert_eq!(version, Ok(5));
        assert_eq!((again.rows, &again.mean), (40, &moments.mean));
        assert_eq!(again.concentration, vec![1.0; 3]);
    }
}
