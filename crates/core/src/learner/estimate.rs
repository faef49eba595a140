//! What a learner says at any moment: the boundary between learning and publishing.

use crate::learner::limits::Limits;
use crate::learner::noise_rule::NoiseRule;

/// Components, eigenvalues and moments read off a learner's state, in f64.
///
/// m features, k components. Vectors live in scaled units (feature ÷ `scale`), eigenvalues in
/// squared scaled units; every divisor is n (the effective rows).
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // One direction, (0.6, 0.8), and nothing beside it.
/// let values: Vec<f64> = (0..500)
///     .map(|i| (i as f64 * 0.7).sin())
///     .flat_map(|t| [0.6 * t, 0.8 * t])
///     .collect();
/// let mut pca = Pca::builder().components(2).build(2)?;
/// pca.update(&Rows::from_f64(&values, 2))?;
/// let estimate = pca.estimate()?;
/// assert!((estimate.vector(0)[0] - 0.6).abs() < 1e-9);
/// assert!((estimate.explained_variance_ratio(0) - 1.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Number of features, m.
    pub features: usize,
    /// Number of rows learned from.
    pub rows: u64,
    /// Sum of the rows' weights: equals `rows` without forgetting.
    pub effective_rows: f64,
    /// Mean of each feature's observed values, length m, in feature units. Zero when
    /// `center = false`, and before the first value.
    pub mean: Vec<f64>,
    /// Divisor of each feature before learning, length m: 1 when `scale = "none"`, else the
    /// running standard deviation (1 for a constant feature).
    pub scale: Vec<f64>,
    /// Variance of each feature about its mean, length m, squared feature units, divisor n: a missing
    /// value counts as one at the mean.
    pub variance: Vec<f64>,
    /// Weight of each feature's observed values, length m: `effective_rows` where none is missing, 0
    /// where there was no value yet.
    pub observed: Vec<f64>,
    /// True for each feature that has not varied so far, length m.
    pub constant: Vec<bool>,
    /// Components: k rows of m entries, row-major, unit length, descending eigenvalue, entry of
    /// largest magnitude positive. Rows of zeros from `determined` on.
    pub vectors: Vec<f64>,
    /// The leading components whose direction the rows determine, at most k. The others lie beyond the rank of the
    /// rows (n rows about their mean vary in n − 1 directions at most) and have eigenvalue 0, or rounding hides them
    /// (`unresolved`).
    pub determined: usize,
    /// Eigenvalues, length k, descending.
    pub eigenvalues: Vec<f64>,
    /// Standard error of each eigenvalue, length k. NaN where it cannot be known yet.
    pub eigenvalue_stderr: Vec<f64>,
    /// Standard error of each component's direction, radians, length k. NaN where unknown.
    pub angle_stderr_rad: Vec<f64>,
    /// What can be said of the law that the rows were drawn from, length k.
    pub certainty: Vec<Certainty>,
    /// s = √(1 − λ/eigenvalue)₊, length k (Kunin et al. 2019).
    pub weight_singular_values: Vec<f64>,
    /// True for each component whose eigenvalue is above the penalty, length k.
    pub active: Vec<bool>,
    /// λ, squared scaled units.
    pub penalty: f64,
    /// Mean variance of the directions other than those that stand above equal noise; 0 where it cannot be
    /// told which do.
    pub noise_variance: f64,
    /// Trace of the covariance in scaled units.
    pub total_variance: f64,
    /// Number of components that stand above noise. `None` where it cannot be told: nothing among the
    /// directions held looks like the same noise, or the rules contradict each other.
    pub components_above_noise: Option<usize>,
    /// True if that number is limited by the directions held, so that it is a lower bound.
    pub above_noise_is_lower_bound: bool,
    /// The rule that told that number; `None` where it cannot be told.
    pub above_noise_rule: Option<NoiseRule>,
    /// Of the components asked for, those that rounding hides. Their eigenvalues are the mean variance
    /// of what is left, their vectors zero rows, and none of them is active.
    pub unresolved: Option<Unresolved>,
    /// True if the state is kept in f64 products because f32 would lose wanted components. False where
    /// the rule has but one width.
    pub is_widened: bool,
    /// Distributions of residual, T² and distance, measured on rows before they were learned; `None` where too few
    /// were. [`Estimate::limits_in_force`] has χ² laws instead then.
    pub limits: Option<Limits>,
}

/// A component of the law that the rows were drawn from, as far as they tell it; at 95%.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..500)
///     .map(|i| (i as f64 * 0.7).sin())
///     .flat_map(|t| [0.6 * t, 0.8 * t])
///     .collect();
/// let mut pca = Pca::builder().components(1).build(2)?;
/// pca.update(&Rows::from_f64(&values, 2))?;
/// let estimate = pca.estimate()?;
/// let certainty = &estimate.certainty[0];
/// let [least, largest] = certainty.interval.expect("it is no noise");
/// assert!(least < estimate.eigenvalues[0] && estimate.eigenvalues[0] < largest);
/// assert_eq!(certainty.mixes, (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certainty {
    /// Independent rows that would tell as much of the eigenvalue.
    pub independent_rows: Option<f64>,
    /// The eigenvalue without the bias that few rows, or missing values, give to the one of the rows. `None` where
    /// noise alone could show it, or too much is missing.
    pub population_eigenvalue: Option<f64>,
    /// Least and largest eigenvalue of the law.
    pub interval: Option<[f64; 2]>,
    /// The angle within which the direction is; if it mixes with others, the angle to their span. Radians.
    pub angle_bound_rad: Option<f64>,
    /// The first and the last component (0-based) that it cannot be told from: itself where it can. The last may lie
    /// beyond those that were asked for.
    pub mixes: (usize, usize),
    /// True if the rows' tails are so heavy that fourth moments do not seem to exist: then neither do standard
    /// errors, which are NaN, nor the interval and the bound.
    pub is_heavy_tailed: bool,
}

/// Components that drown in the rounding of larger ones.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The first feature counts in steps of 10⁹; beside it, f64 products lose the second.
/// let values: Vec<f64> = (0..500)
///     .flat_map(|i| [i as f64 * 1e9, (i as f64 * 0.7).sin()])
///     .collect();
/// let mut pca = Pca::builder().components(2).build(2)?;
/// pca.update(&Rows::from_f64(&values, 2))?;
/// let unresolved = pca.estimate()?.unresolved.expect("one component is lost");
/// assert_eq!((unresolved.held, unresolved.feature), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Unresolved {
    /// Components that are known.
    pub held: usize,
    /// Mean variance of a direction beyond them, squared scaled units: what the others are reported
    /// with.
    pub variance: f64,
    /// The feature with the largest entry in the first component.
    pub feature: usize,
}

impl Estimate {
    /// Mean variance of what is not above equal noise, where it can be told what is.
    pub fn known_noise_variance(&self) -> Option<f64> {
        let is_known = self.components_above_noise.is_some() || self.noise_variance > 0.0;
        is_known.then_some(self.noise_variance)
    }

    /// k, the number of components.
    pub fn components(&self) -> usize {
        self.eigenvalues.len()
    }

    /// Entries of component `i` (0-based), length m.
    pub fn vector(&self, i: usize) -> &[f64] {
        &self.vectors[i * self.features..(i + 1) * self.features]
    }

    /// Eigenvalue `i` divided by the total variance; 0 when nothing varies.
    pub fn explained_variance_ratio(&self, i: usize) -> f64 {
        if self.total_variance > 0.0 {
            self.eigenvalues[i] / self.total_variance
        } else {
            0.0
        }
    }

    /// Eigenvalue `i` divided by the total variance; 0 where there is no such component.
    pub fn explained_variance_ratio_or_zero(&self, i: usize) -> f64 {
        if i < self.components() {
            self.explained_variance_ratio(i)
        } else {
            0.0
        }
    }
}
