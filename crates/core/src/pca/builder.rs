//! Parameters of a [`Pca`], checked before anything is learned.

use super::{BuildError, Pca};
use crate::learner::{Forgetting, LearnerParams, Penalty, Precision, Rule, Scale, Step};

/// A NaN in rows that are learned.
///
/// ```
/// use ojad_core::{Missing, Pca, Rows, UpdateError};
///
/// let values = [1.0, f64::NAN, 2.0, 3.0];
/// let rows = Rows::from_f64(&values, 2);
/// let mut strict = Pca::builder().components(1).build(2)?;
/// assert!(matches!(
///     strict.update(&rows),
///     Err(UpdateError::Value { row: 0, feature: 1, .. })
/// ));
/// let mut lenient = Pca::builder().components(1).missing(Missing::Mean).build(2)?;
/// assert!(lenient.update(&rows).is_ok());
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is an error that names row and feature.
    #[default]
    Error,
    /// It is replaced by the mean of the feature's observed values: it adds no variance.
    Mean,
}

/// Builds a [`Pca`].
///
/// ```
/// use ojad_core::{Forgetting, Missing, Pca, Scale};
///
/// let pca = Pca::builder()
///     .components(5)
///     .scale(Scale::Standard)
///     .forgetting(Forgetting::HalfLifeRows(100_000.0))
///     .missing(Missing::Mean)
///     .build(40)?;
/// assert_eq!(pca.features(), 40);
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PcaBuilder {
    params: LearnerParams,
    missing: Missing,
}

impl PcaBuilder {
    /// Sets k, the number of components to report; 10 by default.
    pub fn components(mut self, components: usize) -> Self {
        self.params.components = components;
        self
    }

    /// Sets p, the directions held beside the components; max(10, k) by default. More buys accuracy for memory and
    /// time.
    pub fn oversampling(mut self, directions: usize) -> Self {
        self.params.oversampling = Some(directions);
        self
    }

    /// Sets b, the rows of a minibatch; by default chosen from m and r.
    pub fn minibatch(mut self, rows: usize) -> Self {
        self.params.minibatch = Some(rows);
        self
    }

    /// Sets the learning rule; the closed form by default.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.params.rule = rule;
        self
    }

    /// Sets the width of the large products; f32 by default, f64 where f32 does not resolve the
    /// wanted components.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.params.precision = precision;
        self
    }

    /// Sets whether the running mean is subtracted; true by default.
    pub fn center(mut self, center: bool) -> Self {
        self.params.center = center;
        self
    }

    /// Sets the units in which features are seen; as they are by default.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.params.scale = scale;
        self
    }

    /// Sets λ, below which components count as noise; by default what noise alone would show.
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.params.penalty = penalty;
        self
    }

    /// Sets how fast earlier rows lose weight; not at all by default.
    pub fn forgetting(mut self, forgetting: Forgetting) -> Self {
        self.params.forgetting = forgetting;
        self
    }

    /// Seed of the random probes and starts: the same seed and rows give the same bits.
    pub fn seed(mut self, seed: u64) -> Self {
        self.params.seed = seed;
        self
    }

    /// Sets what a NaN stands for; an error by default.
    pub fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// A [`Pca`] of `features` features that has seen no row.
    ///
    /// # Errors
    /// If there are fewer features than components, or a parameter is out of its range.
    pub fn build(self, features: usize) -> Result<Pca, BuildError> {
        check(&self.params)?;
        Pca::new(self.params, self.missing, features)
    }
}

/// Refuses invalid parameters.
pub(super) fn check(params: &LearnerParams) -> Result<(), BuildError> {
    let refuse = |parameter, reason| Err(BuildError::Parameter { parameter, reason });
    if params.components == 0 {
        return refuse("components", "must be at least 1");
    }
    if params.minibatch == Some(0) {
        return refuse("minibatch", "must be at least 1 row");
    }
    let is_positive = |value: f64| value.is_finite() && value > 0.0;
    match params.forgetting {
        Forgetting::PerRow(factor) if !(factor > 0.0 && factor < 1.0) => {
            return refuse("forgetting", "the factor per row must be between 0 and 1");
        }
        Forgetting::HalfLifeRows(rows) if !is_positive(rows) => {
            return refuse(
                "forgetting",
                "the half-life must be a positive number of rows",
            );
        }
        _ => {}
    }
    if let Penalty::Fixed(value) = params.penalty
        && !(value.is_finite() && value >= 0.0)
    {
        return refuse("penalty", "must be a finite number, 0 or more");
    }
    match params.rule {
        Rule::Oja(Step::Constant(value) | Step::COverT(value)) if !is_positive(value) => {
            refuse("rule", "the step size must be a positive number")
        }
        Rule::MatrixStep { c } if !is_positive(c) => {
            refuse("rule", "the step size must be a positive number")
        }
        _ => Ok(()),
    }
}
