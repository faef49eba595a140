//! The likelihood of a row under the probabilistic-PCA model given by the components.
//!
//! The model of a scaled row z: Gaussian of mean zero and covariance C = U(Λ − σ²I)Uᵀ + σ²I, U the q
//! active components (eigenvalue above the penalty: those that the regularized autoencoder keeps), Λ
//! their eigenvalues, σ² the mean variance of the other directions,
//!
//! ```text
//! σ² = (total variance − Σ_{i≤q} λᵢ)/(m − q)                          Tipping & Bishop 1999, (8)
//! ln p(z) = −½(m·ln 2π + Σ_{i≤q} ln λᵢ + (m − q)·ln σ² + D²)          the same, (4) for one row
//! D² = zᵀC⁻¹z = Σ_{i≤q} sᵢ²/λᵢ + Q_q/σ²                               Jackson 1991, chapter 2: T² and Q
//! ```
//!
//! m counts the features that vary, Q_q is the squared length beyond the q components. The density is that of the
//! scaled row: with `scale = "none"` that is the row's own. A feature that has been constant so far
//! adds its deviation to Q_q, so that a row in which it moves is an outlier.
//!
//! Edges: q = 0 is plain noise of variance σ². All m directions active (m = q, so also m = q = 1):
//! there is no σ², D² is T² alone. Nothing varies, or σ² is zero within the rounding of the total
//! variance while m > q: there is no density, and both numbers are NaN (null in JSON).

use std::f64::consts::PI;

use crate::learner::{Estimate, Rest};

/// The model of one estimate.
#[derive(Clone, Debug)]
pub(super) struct Probability {
    /// Eigenvalues λ₁…λ_q of the active components.
    eigenvalues: Vec<f64>,
    /// σ²; `None` when no direction is left for it.
    noise: Option<f64>,
    /// m·ln 2π + ln|C|.
    norm: f64,
}

impl Probability {
    /// The model, if there is one.
    pub fn new(estimate: &Estimate) -> Option<Self> {
        let q = estimate.active_components();
        let m = estimate.varying(q);
        let noise = match estimate.rest(q) {
            Rest::Unknown => return None,
            Rest::Empty => None,
            Rest::Noise { variance, .. } => Some(variance),
        };
        let eigenvalues = estimate.eigenvalues[..q].to_vec();
        let determinant = eigenvalues.iter().map(|value| value.ln()).sum::<f64>()
            + noise.map_or(0.0, |noise| (m - q) as f64 * noise.ln());
        Some(Self {
            eigenvalues,
            noise,
            norm: m as f64 * (2.0 * PI).ln() + determinant,
        })
    }

    /// Log-likelihoods and squared distances D² of rows with these scores, a column each, and residuals beyond
    /// all components.
    pub fn of(&self, scores: &[Vec<f64>], residual: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let q = self.eigenvalues.len();
        let mut squared = vec![0.0; residual.len()];
        if let Some(noise) = self.noise {
            squared.copy_from_slice(residual);
            for score in &scores[q..] {
                let both = squared.iter_mut().zip(score);
                both.for_each(|(squared, score)| *squared += score * score);
            }
            squared.iter_mut().for_each(|squared| *squared /= noise);
        }
        for (score, value) in scores.iter().zip(&self.eigenvalues) {
            let both = squared.iter_mut().zip(score);
            both.for_each(|(squared, score)| *squared += score * score / value);
        }
        let log_likelihood = squared.iter().map(|squared| -0.5 * (self.norm + squared));
        (log_likelihood.collect(), squared)
    }
}
