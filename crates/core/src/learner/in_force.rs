//! The distributions by which rows are judged: measured ones where there are any, χ² laws otherwise.
//!
//! In: an estimate. Out: a distribution each for residual, T² and distance. A χ² law is that of Gaussian rows of the
//! model: T² of k components has k degrees of freedom; the residual is σ²·χ² of the directions beyond them, σ² their
//! mean variance; the distance has as many degrees as features vary (Jackson 1991, chapter 2).

use crate::learner::estimate::Estimate;
use crate::learner::limits::{Limits, ReferenceDistribution};

/// What lies beyond some components.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rest {
    /// Nothing varies, or nothing is left but rounding: there is no density.
    Unknown,
    /// Every direction in which features vary is held.
    Empty,
    /// So many directions, of this mean variance σ².
    Noise { variance: f64, directions: usize },
}

impl Estimate {
    /// The distributions by which rows are judged: measured ones, and χ² laws where there are none.
    pub fn limits_in_force(&self) -> Limits {
        let held = self.eigenvalues.iter().take_while(|value| **value > 0.0);
        let held = held.count().min(self.determined);
        let measured = self.limits.as_ref();
        let law = |measured: Option<&ReferenceDistribution>, chi_squared: Option<_>| {
            let chi_squared = chi_squared?;
            let measured = measured.filter(|law| law.is_known()).cloned();
            Some(measured.unwrap_or(chi_squared))
        };
        let residual = match self.rest(held) {
            Rest::Noise {
                variance,
                directions,
            } => Some(ReferenceDistribution::chi_squared(
                variance,
                directions as f64,
            )),
            _ => None,
        };
        let t2 = (held > 0).then(|| ReferenceDistribution::chi_squared(1.0, held as f64));
        let active = self.active_components();
        let degrees = self.varying(active) as f64;
        let has_density = self.rest(active) != Rest::Unknown;
        let distance = has_density.then(|| ReferenceDistribution::chi_squared(1.0, degrees));
        Limits {
            components: self.components(),
            residual: law(measured.and_then(|all| all.residual.as_ref()), residual),
            t2: law(measured.and_then(|all| all.t2.as_ref()), t2),
            distance: law(measured.and_then(|all| all.distance.as_ref()), distance),
        }
    }

    /// Leading components above the penalty that have a variance, q.
    pub(crate) fn active_components(&self) -> usize {
        let active = self.active.iter().zip(&self.eigenvalues);
        let active = active.take_while(|(active, value)| **active && **value > 0.0);
        active.count()
    }

    /// The directions beyond the first `held` components.
    pub(crate) fn rest(&self, held: usize) -> Rest {
        let m = self.varying(held);
        if m == 0 || m < held {
            return Rest::Unknown;
        }
        if m == held {
            return Rest::Empty;
        }
        let total = self.total_variance;
        let left = total - self.eigenvalues[..held].iter().sum::<f64>();
        let rounding = m as f64 * f64::EPSILON * total;
        if left.is_finite() && left > rounding {
            let directions = m - held;
            Rest::Noise {
                variance: left / directions as f64,
                directions,
            }
        } else {
            Rest::Unknown
        }
    }

    /// Features that vary; without centring, those too that are a constant other than zero, which the
    /// components then hold.
    pub(crate) fn varying(&self, held: usize) -> usize {
        let is_centered = self.mean.iter().any(|mean| *mean != 0.0);
        let is_held = |j: usize| (0..held).any(|i| self.vector(i)[j] != 0.0);
        (0..self.features)
            .filter(|&j| !self.constant[j] || (!is_centered && is_held(j)))
            .count()
    }
}
