//! Learner ↔ bytes: the section `learner` of a checkpoint.
//!
//! Everything that later updates depend on is written, to the last bit; buffers are not. A restored
//! learner continues bit for bit where the saved one was. The layout is in `docs/checkpoint.md`.

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::fourth_moments::FourthMoments;
use crate::learner::moments::Moments;
use crate::learner::saved::{finite, finites, restore_mat, save_mat};
use crate::learner::typical::TypicalVariance;

/// Version of the section. Version 1 lacks the variance of ordinary rows.
pub(super) const VERSION: u8 = 2;

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
    }

    /// Reads a saved state, preceded by its version, with as many features.
    pub(super) fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
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
        let is_fine = self.weight >= 0.0 && self.scale.iter().all(|scale| *scale > 0.0);
        if !is_fine {
            return Err(from.refuse("a weight or scale is not positive"));
        }
        Ok(())
    }
}

impl FourthMoments {
    /// Writes everything that later minibatches depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.usize(self.blocks);
        to.f64(self.outside);
        to.f64s(&self.square);
        to.f64s(&self.with_outside);
        save_mat(&self.quartic, to);
    }

    /// Reads what was written; at most `most` directions.
    pub(super) fn restore(
        &mut self,
        from: &mut Decoder<'_>,
        most: usize,
    ) -> Result<(), CodecError> {
        self.blocks = from.usize()?;
        self.outside = finite(from)?;
        self.square = from.f64s()?;
        let h = self.square.len();
        if h > most {
            return Err(from.refuse(format!("{h} directions where {most} can be held")));
        }
        self.with_outside = finites(from, h)?;
        self.quartic = restore_mat(from, h, h)?;
        Ok(())
    }
}
