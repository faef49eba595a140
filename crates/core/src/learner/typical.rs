//! The variance of rows that are not extreme, which tells whether a few extreme rows hide
//! directions.
//!
//! In: half the squared distance between two rows of each block. Out: their geometric mean, in O(1)
//! memory.

/// Variation of rows that are not extreme: the geometric mean of half the squared distance between
/// two rows, one pair per block. Neither the variance nor the distance from the mean would do: a
/// single row 10⁹ times the others would dominate both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TypicalVariance {
    /// Mean of ln ½‖y − y'‖², in units of `scale`.
    pub(super) log: f64,
    /// Number of blocks averaged, with the same forgetting as the rows.
    pub(super) blocks: f64,
}

impl TypicalVariance {
    /// Takes half the squared distance between two rows of the next block.
    pub(super) fn update(&mut self, square: f64, decay: f64) {
        // Faded even if this pair adds nothing, as two equal rows do, whose distance has no
        // logarithm.
        self.blocks *= decay;
        if square > 0.0 && square.is_finite() {
            self.blocks += 1.0;
            self.log += (square.ln() - self.log) / self.blocks;
        }
    }

    /// Follows a change of units.
    pub(super) fn rescale(&mut self, ratios: &[f64]) {
        let square = ratios.iter().map(|r| r * r).sum::<f64>() / ratios.len().max(1) as f64;
        if square > 0.0 && square.is_finite() {
            self.log += square.ln();
        }
    }

    /// Total variance of ordinary rows, if any block had two rows.
    pub(super) fn variance(&self) -> Option<f64> {
        (self.blocks > 0.0).then(|| self.log.exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_extreme_pair_moves_it_by_its_share_of_the_logarithms() {
        let mut typical_variance = TypicalVariance::default();
        assert_eq!(typical_variance.variance(), None);
        for i in 0..100 {
            typical_variance.update(if i == 50 { 2e20 } else { 2.0 }, 1.0);
        }
        // 10²⁰ in one of a hundred: 10^0.2.
        let right = 2.0 * 10.0_f64.powf(0.2);
        let found = typical_variance.variance().unwrap();
        assert!((found / right - 1.0).abs() < 1e-12, "{found} {right}");
        // In units of a tenth, and of a hundredth for half of the features.
        typical_variance.rescale(&[10.0, 10.0]);
        let found = typical_variance.variance().unwrap();
        assert!((found / right / 100.0 - 1.0).abs() < 1e-12, "{found}");
        // What does not vary at all says nothing.
        typical_variance.update(0.0, 1.0);
        assert_eq!(typical_variance.blocks.to_bits(), 100.0_f64.to_bits());
    }
}
