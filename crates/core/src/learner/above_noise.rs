//! How many components stand above noise, and by which rule that was told.
//!
//! Two rules look at the same eigenvalues, and each knows what the other does not. The *edge* is the largest
//! eigenvalue that noise of the features' own variances would show, in rows as dependent as these: it has the power to
//! see weak components, and assumes that noise is not correlated among features and not heavy-tailed. The *gap* assumes
//! nothing of noise but that its eigenvalues thin out towards their end, and needs components that stand clear of it.
//! Where both say the same, that is the number. Where they differ, what the rows show of their noise decides, and
//! where it does not, the number cannot be told.

use crate::learner::noise::{AboveNoise, TRACY_WIDOM_995, beyond_rounding};
use crate::learner::noise_edge::{Edge, Profile, edge};
use crate::learner::noise_gap::before_gap;
use crate::learner::noise_rule::NoiseRule;
use crate::learner::row_noise::NoiseRows;
use crate::learner::summary::Summary;

/// The number, if it can be told, and the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) count: Option<usize>,
    pub(super) is_lower_bound: bool,
    pub(super) rule: Option<NoiseRule>,
}

impl Told {
    const UNKNOWN: Self = Self {
        count: None,
        is_lower_bound: false,
        rule: None,
    };

    fn by(rule: NoiseRule, count: usize) -> Self {
        Self {
            count: Some(count),
            is_lower_bound: false,
            rule: Some(rule),
        }
    }
}

/// Directions needed for both rules.
const HELD_AT_LEAST: usize = 13;

/// Eigenvalues that are left to noise at the end: five tell its gaps, and the last ones held are less exact.
const LEFT_TO_NOISE: usize = 8;

/// Components beyond those asked for are looked for up to this number.
const LOOKED_AT: usize = 12;

/// E ρ⁴/(Eρ²)² of rows outside the directions from which on rows differ so much in size that both rules must agree.
const UNEQUAL_ROWS: f64 = 1.4;

/// Features per independent row up to which dependent rows tell components from noise: beyond, the slow turns of noise
/// are as large as components.
const FEATURES_PER_ROW: f64 = 3.0;

/// The same where rows differ in size, so that the largest of them look like components.
const FEATURES_PER_UNEQUAL_ROW: f64 = 0.05;

/// So many more beyond the edge than before the gap that noise is correlated among features.
const CORRELATED: usize = 4;

/// tr Σ² as a multiple of what it would be without correlation, from which on it is no matter of few components.
const CLEARLY_CORRELATED: f64 = 1.5;

/// The same, up to which noise is called so.
const CORRELATED_NOISE: f64 = 2.5;

/// Σ of squared correlations, as a share of what independent noise has, that may be missed.
const WEAK: f64 = 0.1;

/// An eigenvalue of noise beyond so many times the edge would be noise that nobody calls so.
const BEYOND_NOISE: f64 = 4.0;

/// Rounds in which the noise variance and the components' own variances find each other.
const ROUNDS: usize = 8;

/// Deviations of a Gaussian's kurtosis beyond which scores have heavy tails.
const KURTOSIS_CHANCE: f64 = 3.0;

/// Σvⱼ⁴ of a direction from which on it is one of few features: 3/m where all have their part.
const LOCALIZED: f64 = 0.1;

/// Standard errors of the mean square of products beyond which it is no chance: it is asked only where something lies
/// beyond the edge.
const CHANCE_OF_PAIRS: f64 = 2.0;

/// Deviations beyond which covariances are no chance.
const CHANCE: f64 = 3.0;

impl Summary {
    /// How many components stand above noise, of which `k` were asked for.
    pub(super) fn told_from_noise(&self, k: usize, plain: AboveNoise) -> Told {
        let plain = Told {
            count: plain.count,
            is_lower_bound: plain.is_lower_bound,
            rule: plain.count.map(|_| NoiseRule::EqualNoise),
        };
        let h = self.eigenvalues.len();
        if h < HELD_AT_LEAST || self.is_exhausted() {
            return plain;
        }
        let most = (h - LEFT_TO_NOISE).min(k.max(LOOKED_AT));
        match before_gap(&self.eigenvalues, most) {
            Some(gap) if !self.long_run.noise.is_empty() => self.decide(gap, &self.by_edge()),
            _ => plain,
        }
    }
}

/// What lies beyond the edge of noise.
struct Beyond {
    /// Eigenvalues beyond it.
    count: usize,
    /// The edge for the first eigenvalue, for the second where the first is a component, and so on, as far as was looked.
    edges: Vec<f64>,
}

impl Summary {
    /// How rows are related beside `count` components, as far as is known.
    fn rows_without(&self, count: usize) -> NoiseRows {
        let known = &self.long_run.noise;
        known[count.min(known.len() - 1)]
    }

    fn decide(&self, gap: usize, beyond: &Beyond) -> Told {
        let count = beyond.count;
        let rows = self.rows_without(gap);
        let is_unequal = rows.sizes > UNEQUAL_ROWS;
        let ratio =
            self.active as f64 * rows.dependence * rows.sizes.max(1.0) / self.effective_sample();
        let is_dependent = rows.dependence > 1.0;
        if is_dependent && ratio > FEATURES_PER_ROW
            || is_unequal && ratio > FEATURES_PER_UNEQUAL_ROW
        {
            return Told::UNKNOWN;
        }
        if count == gap {
            return Told::by(NoiseRule::EdgeAndGap, count);
        }
        if is_unequal {
            return Told::UNKNOWN;
        }
        // A gap may come about by chance; what lies below the edge is noise.
        if count < gap {
            return Told::by(NoiseRule::Edge, count);
        }
        if (gap..count).all(|i| self.is_of_few_values(i)) {
            return Told::by(NoiseRule::Gap, gap);
        }
        if is_dependent {
            // Products of dependent rows do not tell whether features are correlated.
            let is_near = count - gap < CORRELATED;
            return if is_near {
                Told::by(NoiseRule::Edge, count)
            } else {
                Told::UNKNOWN
            };
        }
        // Components that the gap has missed are correlations too, but few.
        let more = self.rows_without(gap).squares / independent(&self.features_without(gap));
        let is_far = count - gap >= CORRELATED || more > CLEARLY_CORRELATED;
        let is_like_noise =
            self.eigenvalues[gap] < BEYOND_NOISE * beyond.edges[gap] && more < CORRELATED_NOISE;
        match self.is_noise_correlated(gap, count) {
            Some(false) if 3 * count <= self.active => Told::by(NoiseRule::Edge, count),
            Some(true) if is_far && is_like_noise => Told::by(NoiseRule::Gap, gap),
            _ if 3 * count > self.active && is_like_noise => Told::by(NoiseRule::Gap, gap),
            _ => Told::UNKNOWN,
        }
    }

    /// Tests each eigenvalue against the edge of noise that has the variances the features have without the components
    /// before it.
    fn by_edge(&self) -> Beyond {
        let h = self.eigenvalues.len();
        let mut edges = Vec::new();
        for count in 0..h {
            let rows = self.rows_without(count);
            let sample = self.effective_sample() / rows.sizes.max(1.0);
            let in_time = Profile::of_rows(sample, rows.dependence);
            let variances = self.features_of_law(count, sample / rows.dependence);
            let Some(features) = Profile::of(&variances) else {
                break;
            };
            let Edge { position, spread } = edge(&features, &in_time, sample);
            let noise = self.noise_without(count, sample / rows.dependence);
            edges.push(noise * (position + TRACY_WIDOM_995 * spread));
            if self.eigenvalues[count] <= edges[count] {
                return Beyond { count, edges };
            }
        }
        edges.resize(h, 0.0);
        Beyond { count: h, edges }
    }

    /// Variances of the features that carry any, as noise has them beside the first `count` components.
    ///
    /// With C = S + D, S of rank `count` and CV = VΛ, S is SV(VᵀSV)⁻¹VᵀS and SV = VΛ − DV, so that its diagonal is
    /// Σ((λᵢ − dⱼ)vᵢⱼ)²/(λᵢ − vᵢᵀDvᵢ) where V is nearly S's own; D is what is left, found in rounds.
    fn features_without(&self, count: usize) -> Vec<f64> {
        let varying: Vec<usize> = (0..self.features())
            .filter(|j| !self.constant[*j])
            .collect();
        let own: Vec<f64> = varying
            .iter()
            .map(|j| {
                let mean = if self.is_centered { 0.0 } else { self.mean[*j] };
                (self.variance[*j] + mean * mean) / (self.scale[*j] * self.scale[*j])
            })
            .collect();
        let mut noise = own.clone();
        for _ in 0..if count > 0 { ROUNDS } else { 0 } {
            let mut signal = vec![0.0; own.len()];
            for i in 0..count {
                let square = |j: usize| self.vectors[(i, j)] * self.vectors[(i, j)];
                let places = || varying.iter().zip(&noise);
                let along: f64 = places().map(|(j, d)| square(*j) * d).sum();
                let value = self.eigenvalues[i];
                let rest = (value - along).max(f64::MIN_POSITIVE);
                for (sum, (j, d)) in signal.iter_mut().zip(places()) {
                    *sum += square(*j) * ((value - d) / rest) * (value - d);
                }
            }
            for (noise, (own, signal)) in noise.iter_mut().zip(own.iter().zip(&signal)) {
                *noise = (own - signal).clamp(0.0, *own);
            }
        }
        noise
    }

    /// The same without what chance of few rows has spread them by.
    fn features_of_law(&self, count: usize, sample: f64) -> Vec<f64> {
        let mut variances = self.features_without(count);
        let m = variances.len() as f64;
        let mean = variances.iter().sum::<f64>() / m;
        let square = variances.iter().map(|d| d * d).sum::<f64>() / m;
        let spread = square - mean * mean;
        let chance = 2.0 * square / sample;
        let kept = if spread > chance {
            (1.0 - chance / spread).sqrt()
        } else {
            0.0
        };
        variances
            .iter_mut()
            .for_each(|d| *d = mean + kept * (*d - mean));
        variances
    }

    /// σ², the mean variance of noise beside `count` components, each of which has taken some noise with it: ℓ of
    /// λ = ℓ(1 + γσ²/(ℓ − σ²)) is the component's own.
    ///
    /// Source: Kritchman and Nadler 2008, equations (11) to (13).
    fn noise_without(&self, count: usize, sample: f64) -> f64 {
        let dimensions = self.active.saturating_sub(count).max(1) as f64;
        let sum: f64 = self.eigenvalues[..count].iter().sum();
        let left = beyond_rounding(self.total - sum, self.total, self.active);
        let ratio = dimensions / sample;
        let mut noise = left / dimensions;
        for _ in 0..ROUNDS {
            let taken = self.eigenvalues[..count].iter().map(|value| {
                let half = 0.5 * (value + noise - noise * ratio);
                let square = half * half - value * noise;
                if square > 0.0 {
                    (value - half - square.sqrt()).max(0.0)
                } else {
                    0.0
                }
            });
            noise = (left + taken.sum::<f64>()) / dimensions;
        }
        noise
    }

    /// True if a few large values make direction `i`: its scores have heavier tails than a Gaussian's chance, and one
    /// feature has most of it.
    fn is_of_few_values(&self, i: usize) -> bool {
        let chance = KURTOSIS_CHANCE * (24.0 / self.effective_sample()).sqrt();
        let one: f64 = (0..self.features())
            .map(|j| self.vectors[(i, j)].powi(4))
            .sum();
        self.long_run.alone_of(i) > 2.0 + chance && one > LOCALIZED
    }

    /// True if noise is correlated among features, beside the components before the gap; `None` where that cannot be
    /// told. Only eigenvalues in question, up to `count`, are more than the edge allows.
    fn is_noise_correlated(&self, gap: usize, count: usize) -> Option<bool> {
        if self.eigenvalues.len() == self.active && self.features() == self.active {
            return Some(self.are_covariances_correlated(count));
        }
        let rows = self.rows_without(gap);
        let more = rows.squares / independent(&self.features_without(gap)) - 1.0;
        let chance = CHANCE_OF_PAIRS * rows.squares_error;
        if more > chance {
            Some(true)
        } else {
            (chance < WEAK && count - gap < CORRELATED).then_some(false)
        }
    }

    /// True if the squares of the covariances among features, without `count` components, are more than independent
    /// noise shows, where all directions are held.
    ///
    /// Σλ² of n independent rows of variances d has the mean Σd² + (Σd)²/n and the deviation 2Σd²/n at most.
    /// Source: Ledoit and Wolf 2002, proposition 4, for variances that differ.
    fn are_covariances_correlated(&self, count: usize) -> bool {
        let h = self.eigenvalues.len();
        let sample = self.effective_sample() / self.rows_without(count).sizes.max(1.0);
        let variances = self.features_without(count);
        let squares: f64 = self.eigenvalues[count..].iter().map(|v| v * v).sum();
        let left: f64 = self.eigenvalues[count..].iter().sum();
        // tr (PDP)², P the projection away from the components.
        let mut own: f64 = variances.iter().map(|d| d * d).sum();
        let whole = own;
        for i in 0..count {
            for l in 0..count {
                let both: f64 = (0..h)
                    .map(|j| self.vectors[(i, j)] * variances[j] * self.vectors[(l, j)])
                    .sum();
                own += both * both;
            }
            let turned = (0..h).map(|j| (variances[j] * self.vectors[(i, j)]).powi(2));
            own -= 2.0 * turned.sum::<f64>();
        }
        let more = squares - own - left * left / sample;
        more > CHANCE * 2.0 * whole / sample
    }
}

/// tr Σ²/(tr Σ)² of features that are not correlated.
fn independent(variances: &[f64]) -> f64 {
    let sum: f64 = variances.iter().sum();
    variances.iter().map(|d| (d / sum) * (d / sum)).sum()
}
