//! Weights of the parts of a running average.

/// Weights of the parts of an average: at first in proportion to what went before, then alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ramp {
    /// Weight of all parts so far.
    pub(super) weight: f64,
    /// Σ of the squared shares: 1 ÷ the effective number of parts.
    pub(super) concentration: f64,
}

impl Ramp {
    /// Takes the next part in; its share of the average.
    pub(super) fn advance(&mut self, weight: f64, is_early: bool) -> f64 {
        self.weight += weight;
        let share = if is_early {
            2.0 * weight / (self.weight + weight)
        } else {
            weight / self.weight
        };
        let kept = 1.0 - share;
        self.concentration = kept * kept * self.concentration + share * share;
        share
    }

    pub(super) fn decay(&mut self, factor: f64) {
        self.weight *= factor;
    }

    /// Kish's effective number of parts of equal weight.
    pub(super) fn effective(&self) -> f64 {
        if self.concentration > 0.0 {
            1.0 / self.concentration
        } else {
            0.0
        }
    }

    /// The number of parts that tell as much, where each brought as many as its weight at first.
    pub(super) fn effective_parts(&self) -> f64 {
        self.weight.max(1.0)
    }
}
