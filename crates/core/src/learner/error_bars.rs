//! Standard errors, intervals and bounds: how far a summary's components are from those of the law of its rows.
//!
//! In: eigenvalues and the long-run variances of the scores' products. Out: a standard error of each number, and
//! what can be said of the law itself: eigenvalues without the bias of few rows or of missing values, directions
//! within an angle, and which of them mix.

use crate::learner::estimate::Certainty;
use crate::learner::long_run::NORMAL_975;
use crate::learner::noise::beyond_rounding;
use crate::learner::quantile::chi_square;
use crate::learner::summary::Summary;

/// Standard normal quantile of a one-sided 95%.
const NORMAL_95: f64 = 1.644_854;

/// Standard errors of the difference of two eigenvalues below which their directions mix: at three, the angle
/// between them is 0.17 radians, and the first order of perturbation theory ends.
const MIXES: f64 = 3.0;

/// Share of a component, by its squared loadings, that may be missing for its eigenvalue to be corrected.
const MISSING_AT_MOST: f64 = 0.5;

/// Rounds in which the noise variance and the eigenvalues without bias find each other.
const ROUNDS: usize = 8;

impl Summary {
    /// Asymptotic standard error of eigenvalue i: √(V/n), V the long-run variance of zᵢ², times Student's
    /// factor for the runs that it rests on.
    ///
    /// Units: squared scaled units. Source: Davis 1977, theorem 1 (Anderson 1963 without the
    /// Gaussian assumption: there V = 2λ² and this is λ√(2/n)).
    pub(super) fn eigenvalue_stderr(&self, i: usize) -> f64 {
        let Some(value) = self.eigenvalues.get(i) else {
            return f64::NAN;
        };
        let n = self.effective_sample();
        // Two rows are as far from their mean as each other: their squares never differ.
        if n > 1.0 && self.rows > 2 && !self.long_run.is_heavy(i) {
            value * (self.long_run.square(i) / n).sqrt() * self.long_run.widening(i)
        } else {
            f64::NAN
        }
    }

    /// Asymptotic root mean square angle between component i and the truth.
    ///
    /// θᵢ² = Σ_{j≠i} V(zᵢzⱼ) / (n(λᵢ−λⱼ)²), the directions outside taken together at their mean
    /// variance; at most π/2, NaN where the rows are too few to say anything of those. Units: radians. Source: Davis
    /// 1977, theorem 2 (Anderson 1963, equation (2.9), for Gaussian rows).
    pub(super) fn angle_stderr_rad(&self, i: usize) -> f64 {
        let Some(value) = self.eigenvalues.get(i) else {
            return f64::NAN;
        };
        let n = self.effective_sample();
        if n <= 1.0 || self.is_exhausted() || *value <= 0.0 || self.long_run.is_heavy(i) {
            return f64::NAN;
        }
        let mut square = 0.0;
        for (j, other) in self.eigenvalues.iter().enumerate() {
            if j != i {
                let gap = value - other;
                let relative = self.long_run.pair(i, j);
                // Ratios first: products of eigenvalues leave f64 where these do not.
                square += relative * (value / gap) * (other / gap);
            }
        }
        let h = self.eigenvalues.len();
        let outside = (self.total - self.eigenvalues.iter().sum::<f64>()).max(0.0);
        if self.active > h && outside > 0.0 {
            let gap = value - outside / (self.active - h) as f64;
            square += self.long_run.outside_of(i) * (value / gap) * (outside / gap);
        }
        let angle = (square / n).sqrt();
        if angle.is_nan() {
            f64::NAN
        } else {
            angle.min(std::f64::consts::FRAC_PI_2)
        }
    }

    /// What can be said at 95% of the first `k` components of the law, where `above_noise` of them are told from
    /// noise.
    pub(super) fn certainty(&self, k: usize, above_noise: Option<usize>) -> Vec<Certainty> {
        let h = self.eigenvalues.len();
        let spikes = above_noise.unwrap_or(h).min(h);
        let law = Law::of(self, spikes);
        (0..k)
            .map(|i| {
                if i < h {
                    self.certainty_of(i, &law)
                } else {
                    Certainty {
                        mixes: (i, i),
                        ..Certainty::default()
                    }
                }
            })
            .collect()
    }

    fn certainty_of(&self, i: usize, law: &Law) -> Certainty {
        let n = self.effective_sample();
        let (first, last) = self.mixing(i, law.eigenvalues.len());
        let mut certainty = Certainty {
            independent_rows: finite(n * self.long_run.share_independent(i)),
            mixes: (first, last),
            is_heavy_tailed: self.long_run.is_heavy(i),
            ..Certainty::default()
        };
        let Some(value) = law.eigenvalues.get(i).copied().filter(|v| v.is_finite()) else {
            return certainty;
        };
        if self.is_exhausted() {
            return certainty;
        }
        let mixed = first..last + 1;
        let imputation = self.imputation(i, &mixed);
        // A difference of the law's eigenvalues shows as a smaller one of the rows': dλ/dℓ = 1 − γσ⁴/(ℓ − σ²)².
        let slope = law.slope(i, value);
        let relative =
            self.eigenvalue_stderr(i) / self.eigenvalues[i] * imputation.error / slope.sqrt();
        let reach = (NORMAL_975 * relative).exp();
        certainty.population_eigenvalue = finite(value * imputation.eigenvalue);
        if certainty.is_heavy_tailed {
            return certainty;
        }
        let [low, high] =
            [1.0 / reach, reach].map(|factor| finite(value * imputation.eigenvalue * factor));
        certainty.interval = low.zip(high).map(|(low, high)| [low, high]);
        let bound = self.angle_bound(i, law, value / reach, mixed) + imputation.turn;
        // `min` alone would make a right angle of what is unknown.
        let is_known = !bound.is_nan();
        certainty.angle_bound_rad = is_known.then(|| bound.min(std::f64::consts::FRAC_PI_2));
        certainty
    }

    /// The first and the last of the components that `i` cannot be told from.
    fn mixing(&self, i: usize, spikes: usize) -> (usize, usize) {
        let n = self.effective_sample();
        let variance = |j: usize| {
            let relative = self.long_run.square(j);
            if relative.is_finite() {
                relative / n
            } else {
                2.0 / n
            }
        };
        // What is told from noise does not mix with it, but leans towards all of it.
        let is_near = |j: usize| {
            if j + 1 == spikes {
                return false;
            }
            // As shares of the larger, whose square may leave f64.
            let ratio = self.eigenvalues[j + 1] / self.eigenvalues[j];
            1.0 - ratio < MIXES * (variance(j) + ratio * ratio * variance(j + 1)).sqrt()
        };
        let (mut first, mut last) = (i, i);
        while first > 0 && is_near(first - 1) {
            first -= 1;
        }
        while last + 1 < self.eigenvalues.len() && is_near(last) {
            last += 1;
        }
        (first, last)
    }

    /// The angle within which the direction is at 95%, where the law's eigenvalue may be as small as `least`: of the span of those in `mixed`, where it mixes.
    ///
    /// The squared angle is a sum of squares of nearly normal parts of different size, whose law is near that of a χ²
    /// of as much mean and variance. Sources: Satterthwaite 1946; Wilson and Hilferty 1931; Tyler 1981 for the span.
    fn angle_bound(&self, i: usize, law: &Law, least: f64, mixed: std::ops::Range<usize>) -> f64 {
        let n = self.effective_sample();
        let (mut mean, mut squares) = (0.0, 0.0);
        for (j, sample) in self.eigenvalues[..law.eigenvalues.len()].iter().enumerate() {
            if !mixed.contains(&j) {
                let other = law.eigenvalues[j];
                let other = if other.is_nan() { *sample } else { other };
                let gap = law.eigenvalues[i] - other;
                let part =
                    self.long_run.pair(i, j) * (law.eigenvalues[i] / gap) * (other / gap) / n;
                mean += part;
                squares += part * part;
            }
        }
        let noise = law.angle_to_noise(i, law.eigenvalues[i]).powi(2);
        // Noise in many directions turns by nearly its mean, which is known as well as the eigenvalue is.
        let least = law.angle_to_noise(i, least).powi(2);
        let unsure = (least - noise).max(0.0) * NORMAL_95 / NORMAL_975;
        mean += noise;
        squares += noise * noise / law.dimensions.max(1.0);
        if mean.is_nan() {
            return f64::NAN;
        }
        // Nothing can turn it: it is alone, or mixes with all that varies.
        if mean <= 0.0 {
            return 0.0;
        }
        if mean.is_infinite() {
            return std::f64::consts::FRAC_PI_2;
        }
        let freedom = mean * mean / squares;
        let quantile = chi_square(NORMAL_95, freedom) / freedom;
        let chance = mean * (quantile * self.long_run.widening(i).powi(2) - 1.0);
        (mean + chance.hypot(unsure)).sqrt()
    }

    /// What missing values, each counted as its feature's mean, have done to component `i`; nothing where none is
    /// missing, NaN where too much is.
    ///
    /// With δ the shares observed, the law's covariance is Δ⁻¹(C − (1 − δ)·diag C)Δ⁻¹, if values are missing each on its
    /// own; here along the component, and as far as it turns it. Source: Lounici 2014, equation (1.4).
    fn imputation(&self, i: usize, mixed: &std::ops::Range<usize>) -> Imputation {
        let (m, h) = (self.features(), self.eigenvalues.len());
        let share = |j: usize| match self.share_observed(j) {
            share if share > 0.0 => share.min(1.0),
            _ => 1.0,
        };
        let missing: f64 = (0..m)
            .map(|j| self.vectors[(i, j)].powi(2) * (1.0 - share(j)))
            .sum();
        if missing < 1e-12 {
            return Imputation::NONE;
        }
        // Without centring, a missing value counts as its mean: the squared mean loses nothing, which the formula
        // does not know.
        if missing > MISSING_AT_MOST || !self.is_centered {
            return Imputation::UNKNOWN;
        }
        // Divided by a deviation that is too small by √δ already, a feature lacks √δ only.
        let divisor = |j: usize| {
            if self.is_scaled {
                share(j).sqrt()
            } else {
                share(j)
            }
        };
        let outside = (self.total - self.eigenvalues.iter().sum::<f64>()).max(0.0);
        let outside = outside / self.active.saturating_sub(h).max(1) as f64;
        let along: Vec<f64> = (0..h)
            .map(|l| {
                let products =
                    (0..m).map(|j| self.vectors[(i, j)] * self.vectors[(l, j)] / divisor(j));
                products.sum()
            })
            .collect();
        let (mut whole, mut corrected) = (0.0, 0.0);
        // The law's covariance times the component, length m.
        let image: Vec<f64> = (0..m)
            .map(|j| {
                let w = self.vectors[(i, j)] / divisor(j);
                let held = (0..h)
                    .map(|l| (self.eigenvalues[l] - outside) * self.vectors[(l, j)] * along[l]);
                let imputed = held.sum::<f64>() + outside * w;
                let own = self.variance[j] / (self.scale[j] * self.scale[j]);
                let right = imputed - (1.0 - share(j)) * own * w;
                whole += w * imputed;
                corrected += w * right;
                right / divisor(j)
            })
            .collect();
        // What is corrected beyond nothing says that too few pairs were observed together.
        if corrected.is_nan() || corrected <= 0.0 {
            return Imputation::UNKNOWN;
        }
        let factor = corrected / self.eigenvalues[i];
        let mut rest: f64 = image.iter().map(|v| v * v).sum();
        let mut square = 0.0;
        for l in 0..h {
            let part: f64 = (0..m).map(|j| image[j] * self.vectors[(l, j)]).sum();
            rest -= part * part;
            if !mixed.contains(&l) {
                let gap = factor * (self.eigenvalues[i] - self.eigenvalues[l]);
                square += (part / gap).powi(2);
            }
        }
        let gap = factor * (self.eigenvalues[i] - outside);
        // The diagonal that is taken off moves with the square that it is taken from.
        let fourth = |j: usize| self.vectors[(i, j)].powi(4);
        let own = |j: usize| self.variance[j] / (self.scale[j] * self.scale[j]);
        let together: f64 = (0..m).map(fourth).sum();
        let alone: f64 = (0..m)
            .map(|j| fourth(j) * (own(j) / self.eigenvalues[i]).powi(2))
            .sum();
        let left = 1.0 - 2.0 * missing * together + missing * missing * alone;
        Imputation {
            eigenvalue: factor,
            error: whole / corrected * left.max(0.0).sqrt(),
            turn: (square + rest.max(0.0) / (gap * gap)).sqrt(),
        }
    }
}

/// What counting missing values as means has done to a component.
struct Imputation {
    /// Eigenvalue of rows without missing values ÷ that of these.
    eigenvalue: f64,
    /// The same for its relative standard error.
    error: f64,
    /// The angle that the direction was turned by, to first order.
    turn: f64,
}

impl Imputation {
    const NONE: Self = Self {
        eigenvalue: 1.0,
        error: 1.0,
        turn: 0.0,
    };
    const UNKNOWN: Self = Self {
        eigenvalue: f64::NAN,
        error: f64::NAN,
        turn: f64::NAN,
    };
}

/// Eigenvalues of the law of which the rows show biased ones.
struct Law {
    /// Those told from noise, squared scaled units; NaN where noise could be all of it.
    eigenvalues: Vec<f64>,
    /// γ of each: directions of noise per row that tells of them.
    ratios: Vec<f64>,
    /// σ², the variance of a direction of noise.
    noise: f64,
    /// Directions of noise.
    dimensions: f64,
}

impl Law {
    /// The first `spikes` eigenvalues, the rest being noise.
    ///
    /// An eigenvalue ℓ of the law shows as λ = ℓ(1 + γσ²/(ℓ − σ²)), and two of them push each other apart by
    /// V(zᵢzⱼ)/(n(λᵢ − λⱼ)). Sources: Baik and Silverstein 2006, theorem 1.1; Lawley 1956, equation (1); where rows follow each
    /// other, γ counts directions per independent row.
    fn of(summary: &Summary, spikes: usize) -> Self {
        let n = summary.effective_sample();
        let dimensions = summary.active.saturating_sub(spikes) as f64;
        let sample = &summary.eigenvalues[..spikes];
        let ratios: Vec<f64> = (0..spikes)
            .map(|i| dimensions * summary.long_run.outside_of(i) / n)
            .collect();
        let pushed = |i: usize| -> f64 {
            let (first, last) = summary.mixing(i, spikes);
            let others = (0..spikes).filter(|j| *j < first || *j > last);
            let push = |j: usize| {
                let ratio = sample[j] / (sample[i] - sample[j]);
                summary.long_run.pair(i, j) * sample[i] * ratio / n
            };
            others.map(push).sum()
        };
        let seen: Vec<f64> = (0..spikes).map(|i| sample[i] - pushed(i)).collect();
        let mut law = Self {
            eigenvalues: sample.to_vec(),
            ratios,
            noise: 0.0,
            dimensions,
        };
        if dimensions == 0.0 {
            law.eigenvalues = seen;
            return law;
        }
        for _ in 0..ROUNDS {
            let told = law.eigenvalues.iter().zip(sample);
            let above: f64 = told
                .map(|(v, sample)| if v.is_nan() { *sample } else { *v })
                .sum();
            law.noise =
                beyond_rounding(summary.total - above, summary.total, summary.active) / dimensions;
            for (i, seen) in seen.iter().enumerate() {
                law.eigenvalues[i] = without_noise(*seen, law.noise, law.ratios[i]);
            }
        }
        law
    }

    /// dλ/dℓ = 1 − γσ⁴/(ℓ − σ²)² at ℓ = `value`; 0 where noise hides it.
    fn slope(&self, i: usize, value: f64) -> f64 {
        let above = (value - self.noise).max(0.0);
        (1.0 - self.ratios[i] * (self.noise / above).powi(2)).max(0.0)
    }

    /// The angle by which noise turns direction `i`, were its eigenvalue `value`: cos² = (1 − γσ⁴/(ℓ − σ²)²)/(1 + γσ²/(ℓ − σ²)).
    ///
    /// Source: Paul 2007, theorem 4; Donoho, Gavish and Johnstone 2018, equation (1.7).
    fn angle_to_noise(&self, i: usize, value: f64) -> f64 {
        if self.dimensions == 0.0 || self.noise == 0.0 || value.is_nan() {
            return 0.0;
        }
        let above = (value - self.noise).max(0.0);
        let square = self.slope(i, value) / (1.0 + self.ratios[i] * self.noise / above);
        square.clamp(0.0, 1.0).sqrt().acos()
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// ℓ of λ = ℓ(1 + γσ²/(ℓ − σ²)); NaN where λ is one that noise alone shows.
fn without_noise(seen: f64, noise: f64, ratio: f64) -> f64 {
    if noise <= 0.0 {
        return seen;
    }
    let x = seen / noise;
    let half = 0.5 * (x + 1.0 - ratio);
    if x <= (1.0 + ratio.sqrt()).powi(2) {
        return f64::NAN;
    }
    noise * (half + (half * half - x).max(0.0).sqrt())
}
