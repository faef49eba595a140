//! A likelihood of rows whose features have noise of unequal variance.
//!
//! In: an estimate. Out: the model of factor analysis where the rows speak for it, nothing where equal noise
//! (probabilistic PCA) describes them as well. The model of a scaled row z: Gaussian of mean zero and
//!
//! ```text
//! C = WWᵀ + Ψ,  W = U·√(Λ − σ²),  ψⱼ = variance of feature j − Σᵢ wⱼᵢ²          Lawley and Maxwell 1971, chapter 2
//! C⁻¹ = Ψ⁻¹ − GGᵀ,  G = Ψ⁻¹WL⁻ᵀ,  LLᵀ = I + WᵀΨ⁻¹W,  ln|C| = Σ ln ψⱼ + 2 Σ ln Lᵢᵢ      Woodbury
//! ```
//!
//! with U the q active components, Λ their eigenvalues and σ² the mean variance of the other directions: one step of
//! principal factors, so that every feature has its own variance, which is known exactly. It takes m − 1 numbers more
//! than equal noise, and is preferred if it gains more likelihood than they cost by Schwarz's criterion (1978).

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, Par};

use crate::learner::estimate::Estimate;
use crate::learner::in_force::Rest;
use crate::linalg::{Scratch, product};

/// Least variance of a feature's noise, as a share of their mean: a component may explain all of a feature by chance
/// (Heywood's case), which would make its noise nothing and the density unbounded.
const LEAST_SHARE: f64 = 0.05;

/// Models of the directions beyond the active components, for the likelihood of a row.
///
/// ```
/// use ojad_core::{NoiseModel, Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Noise of which every second feature has ten times as much.
/// let noise = |i: usize| ((i * i) as f64 * 0.7).sin();
/// let values: Vec<f64> = (0..4_000)
///     .map(|i| noise(i) * if i % 2 == 0 { 10.0 } else { 1.0 })
///     .collect();
/// let mut pca = Pca::builder().components(1).build(8)?;
/// pca.update(&Rows::from_f64(&values, 8))?;
/// assert_eq!(pca.estimate()?.noise_model(), NoiseModel::Unequal);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum NoiseModel {
    /// The same variance in every direction: probabilistic PCA (Tipping and Bishop 1999).
    Equal,
    /// A variance for each feature: factor analysis (Lawley and Maxwell 1971).
    Unequal,
}

impl NoiseModel {
    /// Its name in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Unequal => "unequal",
        }
    }
}

/// C of the model with unequal noise, in the form in which rows are scored.
#[derive(Clone, Debug)]
pub(crate) struct UnequalNoise {
    /// 1/ψⱼ, length m.
    pub(crate) precision: Vec<f64>,
    /// G, m×q.
    pub(crate) factors: Mat<f64>,
    /// m·ln 2π + ln|C|, m the features that vary.
    pub(crate) norm: f64,
}

impl Estimate {
    /// The model of noise behind the likelihood of rows.
    pub fn noise_model(&self) -> NoiseModel {
        match self.unequal_noise() {
            Some(_) => NoiseModel::Unequal,
            None => NoiseModel::Equal,
        }
    }

    /// The model with unequal noise, where the rows speak for it.
    pub(crate) fn unequal_noise(&self) -> Option<UnequalNoise> {
        let (q, m) = (self.active_components(), self.features);
        let Rest::Noise { variance, .. } = self.rest(q) else {
            return None;
        };
        let varies = |j: usize| !self.constant[j];
        let varying = (0..m).filter(|&j| varies(j)).count();
        // Without centring the components may hold what does not vary, which has no noise.
        if varying != self.varying(q) {
            return None;
        }
        let loading = |j: usize, i: usize| {
            self.vector(i)[j] * (self.eigenvalues[i] - variance).max(0.0).sqrt()
        };
        let of_feature = |j: usize| self.variance[j] / (self.scale[j] * self.scale[j]);
        // Each feature's variance must be its part of the total, which an estimate made by hand may not keep to.
        let sum: f64 = (0..m).map(of_feature).sum();
        if (sum - self.total_variance).abs() > 1e-6 * self.total_variance {
            return None;
        }
        let noise: Vec<f64> = (0..m)
            .map(|j| {
                let common: f64 = (0..q).map(|i| loading(j, i).powi(2)).sum();
                if varies(j) {
                    (of_feature(j) - common).max(LEAST_SHARE * variance)
                } else {
                    variance
                }
            })
            .collect();
        let precision: Vec<f64> = noise.iter().map(|noise| 1.0 / noise).collect();
        let mut factors = Mat::<f64>::from_fn(m, q, |j, i| loading(j, i) * precision[j]);
        let mut inner = Mat::<f64>::identity(q, q);
        if q > 0 {
            let loadings = Mat::<f64>::from_fn(m, q, loading);
            inner += product(loadings.transpose(), &factors);
            Scratch::default().cholesky(inner.as_mut()).ok()?;
            // Gᵀ = L⁻¹WᵀΨ⁻¹.
            let transposed = factors.transpose_mut();
            solve_lower_triangular_in_place(inner.as_ref(), transposed, Par::Seq);
        }
        let of_varying = (0..m).filter(|&j| varies(j));
        let determinant = of_varying.clone().map(|j| noise[j].ln()).sum::<f64>()
            + (0..q).map(|i| 2.0 * inner[(i, i)].ln()).sum::<f64>();
        // E D², which is the number of features under equal noise: tr Ψ⁻¹S − tr GᵀSG, where the rows' covariance S
        // is UΛUᵀ and, as far as it is known, the features' noise beyond U.
        let vectors = Mat::<f64>::from_fn(m, q, |j, i| self.vector(i)[j]);
        let within = product(vectors.transpose(), &factors); // q×q
        let beyond = &factors - product(&vectors, &within); // m×q
        let held: f64 = (0..q)
            .map(|i| self.eigenvalues[i] * within.row(i).squared_norm_l2())
            .sum();
        let distance: f64 = of_varying
            .map(|j| of_feature(j) * precision[j] - noise[j] * beyond.row(j).squared_norm_l2())
            .sum::<f64>()
            - held;
        let equal = self.eigenvalues[..q].iter().map(|v| v.ln()).sum::<f64>()
            + (varying - q) as f64 * variance.ln();
        let gain = 0.5 * (equal + varying as f64 - determinant - distance);
        let cost = 0.5 * (varying as f64 - 1.0) * self.effective_rows.max(1.0).ln();
        (gain * self.effective_rows > cost).then_some(UnequalNoise {
            precision,
            factors,
            norm: varying as f64 * (2.0 * std::f64::consts::PI).ln() + determinant,
        })
    }
}
