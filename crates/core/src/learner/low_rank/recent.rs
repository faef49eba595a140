//! A second state of only the rows since something appeared.
//!
//! What appears at once (a rotation, a class that begins, a burst) is small at first beside all
//! earlier rows: a new direction of variance ℓ has the share ℓ·b/N after one block, less than the
//! directions of noise that U holds, and is cut off block by block until matrix steps have turned
//! U towards it. When the variance outside U exceeds what it was, a second state of rank r
//! therefore learns the same blocks, as if nothing had been before them; there, nothing competes
//! with what is new. After 1, 2, 4, 8 … blocks its part outside U replaces the weakest held
//! directions that it outweighs. It ends once anything worth holding would have outweighed noise.
//!
//! It takes the time and the memory of a second learner while it lasts. Bursts and heavy rows are
//! over soon, and raise the threshold, so that feeds which are full of them do not start it all the
//! time.

use faer::MatRef;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::engine::CovarianceTotals;
use crate::learner::low_rank::LowRank;
use crate::learner::low_rank::probes::Found;
use crate::learner::product_float::ProductFloat;
use crate::learner::saved::finite;
use crate::linalg::LinalgError;

/// Standard errors by which the logarithm of the variance outside U must exceed its mean.
const STANDARD_ERRORS: f64 = 4.0;

/// Blocks after which that mean and its standard error are known.
const BLOCKS_TO_KNOW: f64 = 32.0;

/// Blocks over which they are averaged.
const BLOCKS_TO_REMEMBER: f64 = 256.0;

/// Weight of a block in the average of the excess while there is a second state.
const EXCESS_SHARE: f64 = 0.25;

/// An average excess below this many standard errors is none any more.
const CALM: f64 = 0.5;

/// Blocks that a second state learns at least.
const BLOCKS_AT_LEAST: u64 = 4;

/// Largest share of all rows that the second state learns.
const SHARE_AT_MOST: f64 = 0.25;

/// A standard error is never less: what changes the variance outside U by less starts nothing.
const LEAST_ERROR: f64 = 1e-3;

/// Share of the raised threshold that a block takes off again.
const RELAXATION: f64 = 1.0 / 1024.0;

/// The threshold is never raised beyond this.
const STANDARD_ERRORS_AT_MOST: f64 = 1e6;

/// The variance outside U as it was, and the second state where there is one.
#[derive(Clone)]
pub(super) struct Recent<T> {
    /// Mean and variance of the logarithm of (a block's variance outside U) ÷ (that of all rows).
    mean: f64,
    variance: f64,
    /// Blocks that these two are made of, at most [`BLOCKS_TO_REMEMBER`].
    known: f64,
    /// Recent average of the standard errors by which a block exceeds the mean, while there is a second state.
    excess: f64,
    /// Standard errors that it takes to start a second state: more after one for little.
    threshold: f64,
    /// Blocks learned by the second state.
    blocks: u64,
    /// Their weight.
    weight: f64,
    /// Σ‖ỹᵢ‖² of their rows, as they are remembered.
    squared_norm: f64,
    has_found: bool,
    state: Option<Box<LowRank<T>>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            mean: 0.0,
            variance: 0.0,
            known: 0.0,
            excess: 0.0,
            threshold: STANDARD_ERRORS,
            blocks: 0,
            weight: 0.0,
            squared_norm: 0.0,
            has_found: false,
            state: None,
        }
    }
}

impl<T: ProductFloat> Recent<T> {
    /// Notes that a block's variance outside U is `ratio` times that of all earlier rows; true if that begins something new.
    pub(super) fn begins(&mut self, ratio: f64) -> bool {
        let difference = ratio.max(f64::MIN_POSITIVE).ln() - self.mean;
        let errors = difference / self.variance.sqrt().max(LEAST_ERROR);
        if self.state.is_some() {
            self.excess += EXCESS_SHARE * (errors - self.excess);
            return false;
        }
        self.threshold -= RELAXATION * (self.threshold - STANDARD_ERRORS);
        if self.known >= BLOCKS_TO_KNOW && errors > self.threshold {
            self.excess = errors;
            return true;
        }
        self.known = (self.known + 1.0).min(BLOCKS_TO_REMEMBER);
        let share = 1.0 / self.known;
        self.mean += share * difference;
        self.variance = (1.0 - share) * (self.variance + share * difference * difference);
        false
    }

    /// Starts the second state, which is empty.
    pub(super) fn start(&mut self, state: LowRank<T>) {
        self.state = Some(Box::new(state));
        (self.blocks, self.weight, self.squared_norm) = (0, 0.0, 0.0);
        self.has_found = false;
    }

    /// Lets the second state learn a block that the first one has learned, of `active` features.
    pub(super) fn learn(&mut self, block: &mut Block<T>, active: usize) -> Result<(), LinalgError> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let earlier = block.prior_weight;
        block.prior_weight = self.weight * block.decay;
        self.weight = block.total();
        self.squared_norm = self.squared_norm * block.decay + block.squared_norm;
        self.blocks += 1;
        let totals = CovarianceTotals {
            total: self.squared_norm / self.weight,
            active,
            weight: self.weight,
        };
        let learned = state.learn(block, totals);
        block.prior_weight = earlier;
        learned
    }

    /// True if it is time to look for what is new: after 1, 2, 4, 8 … blocks.
    pub(super) fn is_due(&self) -> bool {
        self.state.is_some() && self.blocks.is_power_of_two()
    }

    /// The second state's directions outside `basis`, and their variance over its rows.
    pub(super) fn found(&mut self, basis: MatRef<'_, T>) -> Result<Option<Found<T>>, LinalgError> {
        let Some(state) = &mut self.state else {
            return Ok(None);
        };
        state.rotate()?;
        let (held, m) = (state.rank, state.features);
        let mut factors = state.weights[..held * m].to_vec();
        for (i, row) in factors.chunks_exact_mut(m).enumerate() {
            let root = T::of(state.core[(i, i)].max(0.0).sqrt());
            row.iter_mut().for_each(|v| *v = *v * root);
        }
        Found::outside(basis, factors, held, self.weight).map(Some)
    }

    /// Ends the second state once it has learned as many rows as are needed, of all rows' `totals`.
    pub(super) fn end_if_done(&mut self, totals: CovarianceTotals, has_found: bool) {
        if self.state.is_none() {
            return;
        }
        self.has_found |= has_found;
        // A new direction with the variance of noise outweighs the 2σ²√(m/N) by which the held
        // directions of noise exceed σ² after 2√(mN) rows (Marchenko and Pastur 1967).
        let needed = 2.0 * (totals.active as f64 * totals.weight).sqrt();
        let is_long = self.weight >= needed.min(SHARE_AT_MOST * totals.weight);
        let is_calm = self.blocks >= BLOCKS_AT_LEAST && self.excess < CALM;
        if !is_calm && !is_long {
            return;
        }
        self.state = None;
        if is_calm || !self.has_found {
            // A burst or a heavy row, of which there may be many, or something that U had soon.
            self.threshold = (2.0 * self.threshold).min(STANDARD_ERRORS_AT_MOST);
        }
        if !is_calm {
            // The variance outside U is another one for good.
            (self.mean, self.variance, self.known) = (0.0, 0.0, 0.0);
        }
    }

    /// Converts it to the other float width.
    pub(super) fn converted<W: ProductFloat>(&self) -> Recent<W> {
        Recent {
            mean: self.mean,
            variance: self.variance,
            known: self.known,
            excess: self.excess,
            threshold: self.threshold,
            blocks: self.blocks,
            weight: self.weight,
            squared_norm: self.squared_norm,
            has_found: self.has_found,
            state: self.state.as_ref().map(|state| Box::new(state.converted())),
        }
    }

    /// Writes what later blocks depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.f64(self.mean);
        to.f64(self.variance);
        to.f64(self.known);
        to.f64(self.excess);
        to.f64(self.threshold);
        to.u64(self.blocks);
        to.f64(self.weight);
        to.f64(self.squared_norm);
        to.bool(self.has_found);
        to.bool(self.state.is_some());
        if let Some(state) = &self.state {
            state.save_held(to);
        }
    }

    /// Reads what was written in this `version` of the section; `empty` makes a second state.
    pub(super) fn restore(
        from: &mut Decoder<'_>,
        version: u8,
        empty: impl FnOnce() -> LowRank<T>,
    ) -> Result<Self, CodecError> {
        let mut recent = Self {
            mean: finite(from)?,
            variance: finite(from)?,
            known: finite(from)?,
            excess: finite(from)?,
            threshold: finite(from)?,
            blocks: from.u64()?,
            weight: finite(from)?,
            squared_norm: finite(from)?,
            has_found: from.bool()?,
            state: None,
        };
        if recent.variance < 0.0 || recent.weight < 0.0 {
            return Err(from.refuse("a variance or weight of recent rows is negative"));
        }
        if from.bool()? {
            let mut state = empty();
            state.restore_held(from, version)?;
            recent.state = Some(Box::new(state));
        }
        Ok(recent)
    }

    /// Follows a change of units, as the first state does.
    pub(super) fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        match &mut self.state {
            Some(state) => state.rescale_state(ratios),
            None => Ok(()),
        }
    }
}
