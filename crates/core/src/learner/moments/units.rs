//! Divisors of blocks, where a feature's unit has moved.
//!
//! In: each block's mean square of a feature. Out: how concentrated these are in a few rows, and the divisor of the
//! feature that follows from it.

use crate::learner::moments::Moments;

/// Rows a feature that must make up a variance before blocks are divided by its root.
///
/// Rows of p features that so many rows a feature make up have eigenvalues of noise up to (1 + √(1/4))² = 2.25.
const ROWS_A_FEATURE: f64 = 4.0;

/// Concentration that is still ordinary: squares of Gaussian values in blocks of one row have 3.
const ORDINARY: f64 = 3.0;

/// The mean square of squares ÷ the squared mean, once a block with mean square `block` and this `share` of all rows
/// has made `after` of the mean square `before`.
pub(super) fn concentrated(old: f64, before: f64, block: f64, share: f64, after: f64) -> f64 {
    if after > 0.0 {
        // Ratios first: fourth powers of values leave f64 where these do not.
        let (before, block) = (before / after, block / after);
        (1.0 - share) * old * before * before + share * block * block
    } else {
        1.0
    }
}

impl Moments {
    /// Current divisor of feature `j` in blocks: [`Moments::current_scale`] while all rows make up its variance, otherwise
    /// as if at least so many had: m of those that have a value, and 4m of those that make up its variance.
    ///
    /// If a feature were divided by the root of a variance to which few rows contribute, those rows
    /// would weigh as much as all others: b rows of p such features have p eigenvalues up to (1 +
    /// √(p/b))² for a noise of 1 (Marchenko and Pastur 1967), and those push out of U what all
    /// earlier rows have shown. Few rows contribute where a feature came late, and where its unit has just moved.
    pub(super) fn block_scale(&self, j: usize) -> f64 {
        let scale = self.current_scale(j);
        if !self.scaled || self.is_constant(j) {
            return scale;
        }
        let m = self.features() as f64;
        let mut widening = 1.0_f64;
        let observed = self.observed_weight(j);
        let least = self.weight.min(m);
        if observed < least {
            widening = least / observed.max(f64::MIN_POSITIVE * least);
        }
        // Of the rows that have a value: those that lack it make up nothing.
        let share_observed = observed / self.weight.max(f64::MIN_POSITIVE);
        let beyond = self.concentration[j] * share_observed - ORDINARY;
        if beyond > 1.0 {
            let share = (ROWS_A_FEATURE * m / self.weight).min(1.0);
            widening = widening.max(beyond * share);
        }
        if widening > 1.0 {
            scale * widening.sqrt()
        } else {
            scale
        }
    }
}
