//! Settings of a learner: the keys of `[learner]`.

use crate::learner::full_covariance::FullCovariance;
use crate::rows::Width;

/// The rule that turns a minibatch into a better state.
///
/// ```
/// use ojad_core::{Pca, Rule, Step};
///
/// let pca = Pca::builder().components(2).rule(Rule::Oja(Step::AdaOja)).build(8)?;
/// assert_eq!(pca.params().rule, Rule::Oja(Step::AdaOja));
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rule {
    /// Regularized Oja's rule iterated to convergence on [history; minibatch]: nothing to tune.
    #[default]
    ClosedForm,
    /// Regularized Oja's rule, one gradient step per minibatch.
    Oja(Step),
    /// The preconditioned rule: W ← (1−η)W + η·C_b W (WᵀC_b W + λI)⁻¹ with η = min(1, c/t).
    MatrixStep {
        /// c of η = c/t, t counted in minibatches from 1.
        c: f64,
    },
}

/// Step size of [`Rule::Oja`].
///
/// ```
/// use ojad_core::{Pca, Rule, Step};
///
/// let rule = Rule::Oja(Step::COverT(-1.0));
/// let error = Pca::builder().components(2).rule(rule).build(8).unwrap_err();
/// assert_eq!(error.to_string(), "rule: the step size must be a positive number");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Step {
    /// A constant step α at every minibatch.
    Constant(f64),
    /// α = c/t at minibatch t = 1, 2, …
    COverT(f64),
    /// Column-wise adaptive steps (Henriksen and Ward 2019, Algorithm 1).
    #[default]
    AdaOja,
}

/// The width of the large products.
///
/// ```
/// use ojad_core::Precision;
///
/// assert!(Precision::F32.largest() < Precision::F64.largest());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Precision {
    /// f32 products, f64 mean and small algebra, while f32 resolves the wanted components; f64
    /// products for the minibatches where it does not, and whenever all directions are held. Wanted
    /// eigenvalues down to 1e-10 of the largest match float64 batch PCA; anything below 1e-14 of it
    /// is rounding, and [`Estimate::unresolved`](crate::learner::Estimate::unresolved) says so.
    #[default]
    F32,
    /// f64 and orthogonal factorisations throughout, never a Gram matrix: keeps eigenvalues down to
    /// 1e-18 of the largest.
    F64,
}

impl Precision {
    /// Largest magnitude of a value.
    pub fn largest(self) -> f64 {
        match self {
            Self::F32 => Width::F32.largest(),
            Self::F64 => Width::F64.largest(),
        }
    }
}

/// Units in which the learner sees a feature.
///
/// ```
/// use ojad_core::{Pca, Rows, Scale};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Two features that vary alike, in units a thousand times apart.
/// let values: Vec<f64> = (0..500)
///     .map(|i| (i as f64 * 0.7).sin())
///     .flat_map(|t| [t, 1000.0 * t])
///     .collect();
/// let mut pca = Pca::builder().components(1).scale(Scale::Standard).build(2)?;
/// pca.update(&Rows::from_f64(&values, 2))?;
/// let vector = pca.estimate()?.vector(0).to_vec();
/// assert!((vector[0] - vector[1]).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Scale {
    /// As read.
    #[default]
    None,
    /// Divided by its running standard deviation.
    Standard,
}

/// λ of the read-out: components whose eigenvalue is below it are inactive.
///
/// ```
/// use ojad_core::{Pca, Penalty, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut pca = Pca::builder().components(2).penalty(Penalty::Fixed(1e6)).build(3)?;
/// pca.update(&Rows::from_f64(&values, 3))?;
/// assert_eq!(pca.estimate()?.active, [false, false]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Penalty {
    /// The largest eigenvalue that noise alone would show.
    #[default]
    Auto,
    /// This number, in squared (scaled) feature units.
    Fixed(f64),
}

/// The rate at which earlier rows lose weight.
///
/// ```
/// use ojad_core::Forgetting;
///
/// let factor = Forgetting::HalfLifeRows(1000.0).factor_per_row();
/// assert!((factor.powi(1000) - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Forgetting {
    /// Every row counts the same for ever.
    #[default]
    None,
    /// At each row the weight of all earlier rows is multiplied by this factor in (0, 1).
    PerRow(f64),
    /// The weight of a row halves every this many rows.
    HalfLifeRows(f64),
}

impl Forgetting {
    /// γ, the factor per row, in (0, 1].
    pub fn factor_per_row(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::PerRow(factor) => factor,
            Self::HalfLifeRows(rows) => (-std::f64::consts::LN_2 / rows).exp(),
        }
    }
}

/// Everything that decides what a learner does with given rows.
///
/// ```
/// use ojad_core::Pca;
///
/// let pca = Pca::builder().components(5).build(100)?;
/// let params = pca.params();
/// assert_eq!(params.components, 5);
/// assert_eq!(params.max_rank(100), 15); // ten directions beside them
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearnerParams {
    /// k, the components reported.
    pub components: usize,
    /// p, additional directions held; `None`: max(10, k).
    pub oversampling: Option<usize>,
    /// The rule that learns from minibatches.
    pub rule: Rule,
    /// The width of the large products.
    pub precision: Precision,
    /// b, rows per minibatch; `None`: chosen from m and r.
    pub minibatch: Option<usize>,
    /// True to subtract the running mean.
    pub center: bool,
    /// Units in which a feature is seen.
    pub scale: Scale,
    /// λ of the read-out.
    pub penalty: Penalty,
    /// The rate at which earlier rows lose weight.
    pub forgetting: Forgetting,
    /// Seed of the start of `oja` and `matrix-step` and of the closed form's probes.
    pub seed: u64,
}

impl Default for LearnerParams {
    fn default() -> Self {
        Self {
            components: 10,
            oversampling: None,
            rule: Rule::default(),
            precision: Precision::default(),
            minibatch: None,
            center: true,
            scale: Scale::default(),
            penalty: Penalty::default(),
            forgetting: Forgetting::default(),
            seed: 0,
        }
    }
}

impl LearnerParams {
    /// r = min(k + p, m), the directions held.
    pub fn max_rank(&self, features: usize) -> usize {
        let k = self.components;
        (k + self.oversampling.unwrap_or(k.max(10))).min(features)
    }
}

/// Bytes of a block that stay in the second-level cache together with the directions; together they
/// take four fifths of the 1 MiB that today's cores have.
const BLOCK_BYTES: usize = 600 << 10;

/// Largest minibatch chosen: beyond it the small algebra no longer dominates the cost of an update.
const LARGEST_MINIBATCH: usize = 512;

impl LearnerParams {
    /// b: the `minibatch` key, or a choice that depends on m and r.
    ///
    /// At least 2r rows, so that truncation leaves something out; as many as the cache holds, to
    /// spread the r×r algebra of an update over them; at most 12r where an exact step costs b² per
    /// minibatch.
    pub fn minibatch_rows(&self, features: usize) -> usize {
        if let Some(rows) = self.minibatch {
            return rows.max(1);
        }
        let r = self.max_rank(features).max(1);
        let cached = BLOCK_BYTES / 4 / features.max(1);
        let most = if FullCovariance::pays(features, r) {
            LARGEST_MINIBATCH
        } else {
            (12 * r).max(64)
        };
        let rows = cached.min(most).min(LARGEST_MINIBATCH).max(2 * r);
        // Whole vectors of sixteen floats.
        rows.div_ceil(16) * 16
    }
}
