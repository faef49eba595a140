//! Distributions of residual, T² and distance over rows that were not learned yet: what p-values and control limits
//! rest on.
//!
//! In: quantiles of a statistic, its mean and its variance. Out: the probability that a row exceeds a value. Three
//! methods, by the number of rows on which the statistic was measured:
//!
//! 1. **χ²**, none: the law of Gaussian rows whose rest is the same in every direction.
//! 2. **Box**, some: g·χ²_h with the mean and the variance of the rows, g = variance/2·mean, h = 2·mean²/variance
//!    (Box 1954, theorem 3.1; with moments measured on rows, Nomikos and MacGregor 1995).
//! 3. **Empirical**, five hundred or more: quantiles of the rows, and beyond the last of them a generalized Pareto
//!    distribution (Pickands 1975), see [`fit`].

mod fit;
mod gamma;

pub(crate) use fit::fit;

use gamma::ln_upper;

/// Rows from which the moments of a statistic tell more than the χ² law.
const ROWS_BOX: f64 = 100.0;

/// Parts may differ by this factor in what they leave to be merged.
const ALIKE: f64 = 1.1;

/// How a p-value is found.
///
/// ```
/// use ojad_core::{Method, Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut pca = Pca::builder().components(1).build(3)?;
/// pca.update(&Rows::from_f64(&values, 3))?;
/// let limits = pca.estimate()?.limits_in_force();
/// // Three hundred rows fit into one minibatch: none was scored before it was learned.
/// assert_eq!(limits.t2.map(|t2| t2.method()), Some(Method::ChiSquared));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Method {
    /// By the χ² law of the Gaussian model.
    ChiSquared,
    /// By g·χ²_h with the mean and the variance of the rows.
    Box,
    /// By the quantiles of the rows, and a generalized Pareto tail beyond them.
    Empirical,
}

impl Method {
    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChiSquared => "chi-squared",
            Self::Box => "box",
            Self::Empirical => "empirical",
        }
    }
}

/// Distribution of one statistic over rows that were scored before they were learned.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut pca = Pca::builder().components(1).build(3)?;
/// pca.update(&Rows::from_f64(&values, 3))?;
/// let t2 = pca.estimate()?.limits_in_force().t2.expect("one component");
/// // χ² of one degree of freedom exceeds 6.6349 once in a hundred rows.
/// assert!((t2.limit(0.01) - 6.6349).abs() < 1e-4);
/// assert!((t2.p_value(6.6349) - 0.01).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReferenceDistribution {
    /// Rows that it was measured on; 0 for the χ² law.
    pub rows: f64,
    /// Mean of the statistic.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
    /// Probabilities with which a row exceeds `values`, descending. Empty for the χ² law and Box's.
    pub probabilities: Vec<f64>,
    /// Ascending; the tail begins at the last one.
    pub values: Vec<f64>,
    /// The distribution beyond the last value.
    pub tail: Option<ParetoTail>,
}

/// Generalized Pareto distribution of E − E(threshold), E = −ln of Box's probability.
///
/// ```
/// use ojad_core::ParetoTail;
///
/// // Without a shape it is exponential: where Box's law is right, with scale 1.
/// let exact = ParetoTail { scale: 1.0, shape: 0.0 };
/// assert_eq!(exact.ln_exceeded(3.0), -3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ParetoTail {
    /// σ.
    pub scale: f64,
    /// ξ, at least 0: larger for heavier tails.
    pub shape: f64,
}

impl ParetoTail {
    /// ln P(excess > `excess`) = −ln(1 + ξ·excess/σ)/ξ.
    pub fn ln_exceeded(&self, excess: f64) -> f64 {
        let ratio = excess / self.scale;
        if self.shape < 1e-9 {
            -ratio
        } else {
            -(self.shape * ratio).ln_1p() / self.shape
        }
    }
}

impl ReferenceDistribution {
    /// `scale`·χ² with `degrees` degrees of freedom.
    pub(super) fn chi_squared(scale: f64, degrees: f64) -> Self {
        Self {
            mean: scale * degrees,
            variance: 2.0 * scale * scale * degrees,
            ..Self::default()
        }
    }

    /// The method in force.
    pub fn method(&self) -> Method {
        if self.tail.is_some() {
            Method::Empirical
        } else if self.rows > 0.0 {
            Method::Box
        } else {
            Method::ChiSquared
        }
    }

    /// Degrees of freedom, and what χ² is multiplied by, of Box's law.
    pub(crate) fn degrees(&self) -> (f64, f64) {
        let degrees = 2.0 * self.mean * self.mean / self.variance;
        (degrees, self.mean / degrees)
    }

    /// ln of the probability that Box's law exceeds `value`.
    fn ln_box(&self, value: f64) -> f64 {
        let (degrees, scale) = self.degrees();
        ln_upper(0.5 * degrees, 0.5 * value / scale)
    }

    /// ln of the probability that a row exceeds `value`; NaN for NaN.
    pub fn ln_p_value(&self, value: f64) -> f64 {
        let (Some(tail), Some(threshold)) = (self.tail, self.values.last()) else {
            return self.ln_box(value);
        };
        if value > *threshold {
            let excess = self.ln_box(*threshold) - self.ln_box(value);
            let share = self.probabilities.last().map_or(0.0, |share| share.ln());
            // Infinitely far out both are infinite.
            return share
                + tail.ln_exceeded(if excess.is_nan() {
                    f64::INFINITY
                } else {
                    excess
                });
        }
        if value.is_nan() {
            return f64::NAN;
        }
        // Between quantiles, ln p is linear; the first is reached from p = 1 at zero.
        let at = self.values.partition_point(|known| *known < value);
        let (low, ln_low) = match at {
            0 => (0.0, 0.0),
            _ => (self.values[at - 1], self.probabilities[at - 1].ln()),
        };
        let (high, ln_high) = (self.values[at], self.probabilities[at].ln());
        let share = if high > low {
            ((value - low) / (high - low)).max(0.0)
        } else {
            1.0
        };
        ln_low + share * (ln_high - ln_low)
    }

    /// The probability that a row exceeds `value`; NaN for NaN.
    pub fn p_value(&self, value: f64) -> f64 {
        self.ln_p_value(value).exp()
    }

    /// The value that a row exceeds with this probability: the control limit.
    pub fn limit(&self, probability: f64) -> f64 {
        let wanted = probability.ln();
        let (mut low, mut high) = (0.0, self.mean.max(f64::MIN_POSITIVE));
        while self.ln_p_value(high) > wanted && high < 1e300 {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if self.ln_p_value(middle) > wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// True if p-values can be read: the statistic varies, and enough rows were seen.
    pub(crate) fn is_known(&self) -> bool {
        let is_positive = self.mean > 0.0 && self.variance > 0.0;
        self.rows >= ROWS_BOX && is_positive && self.degrees().0.is_finite()
    }

    /// The mixture of `parts`, each of its weight; the weights add up to 1.
    fn mixture(parts: &[(f64, &Self)]) -> Self {
        let sum = |of: &dyn Fn(&Self) -> f64| -> f64 {
            parts.iter().map(|(weight, part)| weight * of(part)).sum()
        };
        let mean = sum(&|part| part.mean);
        let moments = Self {
            rows: parts.iter().map(|(_, part)| part.rows).sum(),
            mean,
            variance: sum(&|part| part.variance + (part.mean - mean).powi(2)),
            ..Self::default()
        };
        let largest = |probability: f64| {
            let limits = parts.iter().map(|(_, part)| part.limit(probability));
            limits.fold(0.0, f64::max)
        };
        let quantile = |probability: f64| {
            let (mut low, mut high) = (0.0, largest(probability));
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if sum(&|part| part.p_value(middle)) > probability {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            high
        };
        fit(moments, |wanted| {
            wanted.iter().copied().map(quantile).collect()
        })
    }
}

/// Distributions of what is computed of a row; `None` where the model has no such number.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut pca = Pca::builder().components(3).build(3)?;
/// pca.update(&Rows::from_f64(&values, 3))?;
/// let limits = pca.estimate()?.limits_in_force();
/// // Nothing lies beyond three components of three features.
/// assert!(limits.residual.is_none() && limits.t2.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// k, the components by which rows were scored.
    pub components: usize,
    /// Of the residual.
    pub residual: Option<ReferenceDistribution>,
    /// Of Hotelling's T².
    pub t2: Option<ReferenceDistribution>,
    /// Of the squared Mahalanobis distance, which `p_value` refers to.
    pub distance: Option<ReferenceDistribution>,
}

impl Limits {
    /// The three with their names in outputs, in the order of the columns of p-values.
    pub fn named(&self) -> [(&'static str, Option<&ReferenceDistribution>); 3] {
        [
            ("p_value", self.distance.as_ref()),
            ("residual_p_value", self.residual.as_ref()),
            ("t2_p_value", self.t2.as_ref()),
        ]
    }

    /// The method behind each column of p-values, as text.
    pub fn in_words(&self) -> String {
        let named = self.named().into_iter();
        let words = named.filter_map(|(name, law)| Some(format!("{name}: {}", law?.in_words())));
        words.collect::<Vec<_>>().join("; ")
    }

    /// Distributions of the rows of all parts, each of its share of all rows; `rest` is the mean residual that the
    /// merged components leave, and `totals` are the parts' variances.
    ///
    /// A part's rows were scored by its own components. If the merged ones leave more, or the parts' variances
    /// differ, those scores say nothing about the merged components, and the χ² law remains.
    pub(super) fn merged(
        parts: &[Option<&Self>],
        shares: &[f64],
        rest: impl Fn(usize) -> f64,
        totals: &[f64],
    ) -> Option<Self> {
        let known: Option<Vec<&Self>> = parts.iter().copied().collect();
        let known = known?;
        let components = known.first()?.components;
        if known.iter().any(|part| part.components != components) {
            return None;
        }
        let mixture = |of: &dyn Fn(&Self) -> Option<&ReferenceDistribution>| {
            let laws: Option<Vec<_>> = known.iter().map(|part| of(part)).collect();
            let laws: Vec<_> = shares.iter().copied().zip(laws?).collect();
            Some(ReferenceDistribution::mixture(&laws))
        };
        let residual = mixture(&|part| part.residual.as_ref())?;
        let left = rest(components);
        if !(residual.mean / ALIKE..=residual.mean * ALIKE).contains(&left) {
            return None;
        }
        let most = totals.iter().copied().fold(0.0, f64::max);
        let is_alike = totals.iter().all(|total| *total * ALIKE >= most);
        Some(Self {
            components,
            residual: Some(residual),
            t2: mixture(&|part| part.t2.as_ref()).filter(|_| is_alike),
            distance: mixture(&|part| part.distance.as_ref()).filter(|_| is_alike),
        })
    }
}

impl ReferenceDistribution {
    /// The method, the rows behind it, and where the tail begins.
    pub fn in_words(&self) -> String {
        let rows = self.rows;
        match (self.method(), self.probabilities.last()) {
            (Method::Empirical, Some(share)) => format!(
                "empirical, of {rows:.0} rows, with a generalized Pareto tail below {share:.3}"
            ),
            (Method::Box, _) => format!("box, of {rows:.0} rows"),
            _ => "chi-squared".to_owned(),
        }
    }
}
