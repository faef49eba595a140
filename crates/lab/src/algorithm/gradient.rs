//! Gradient descent: untied, synchronized, tied, and with rotations.
//!
//! Steps go along the half gradient ½∂L: the factor 2 is part of α, as in LAE-PCA of Kunin 2019,
//! and in Oja's rule.

use faer::{Mat, MatRef, Scale};

use super::{Algorithm, Coupling, StepSize};
use crate::LabError;
use crate::loss::{Loss, by_columns};
use crate::problem::{Batch, spectrum_of};
use crate::weights::Weights;

impl StepSize {
    /// α for this iteration.
    ///
    /// # Errors
    /// If a weight is not finite.
    fn at(self, weights: &Weights, batch: &Batch<'_, '_>) -> Result<f64, LabError> {
        match self {
            Self::Constant(alpha) => Ok(alpha),
            Self::Normalized(alpha) => {
                let encoder = &weights.encoder;
                let inner = encoder * batch.apply(encoder.transpose()); // k×k
                let norm = spectrum_of(inner.as_ref())?.values.first().copied();
                // An encoder of zeros has a norm of 0.
                Ok(alpha / norm.unwrap_or(0.0).max(f64::MIN_POSITIVE))
            }
        }
    }
}

/// W₁ ← W₁ − α·½∂L/∂W₁, then W₂ ← W₂ − α·½∂L/∂W₂ at the new W₁.
///
/// Source: Kunin 2019, LAE-PCA (for the sum loss), in the order of the paper's own program.
pub struct Untied {
    /// The loss whose gradient is taken.
    pub loss: Loss,
    /// The step size α.
    pub step: StepSize,
}

impl Algorithm for Untied {
    fn name(&self) -> &'static str {
        "untied-gradient"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Untied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let alpha = Scale(self.step.at(weights, batch)?);
        let gradient = self.loss.encoder_gradient(weights, batch);
        weights.encoder -= gradient * alpha;
        // With the encoder just moved, as the paper's program does.
        let gradient = self.loss.decoder_gradient(weights, batch);
        weights.decoder -= gradient * alpha;
        Ok(true)
    }
}

/// A step of both weights from W₁ = W₂ᵀ = Wᵀ, then both at their average:
///
/// W ← W − α·½[(WWᵀ − I)CW + C(WWᵀ − I)W] − αλW for the sum loss.
///
/// It is gradient descent on L(Wᵀ, W), the loss of transposes, where [`Tied`] goes along the decoder's
/// half alone. Source: the program beside Kunin 2019, whose README speaks of transposes at the start:
/// there weights that take their own steps would leave each other.
pub struct Synchronized {
    /// The loss whose gradient is taken.
    pub loss: Loss,
    /// The step size α.
    pub step: StepSize,
}

impl Algorithm for Synchronized {
    fn name(&self) -> &'static str {
        "synchronized-gradient"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Synchronized
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let alpha = Scale(self.step.at(weights, batch)?);
        let gradient = self.loss.gradient(weights, batch);
        weights.encoder -= gradient.encoder * alpha;
        weights.decoder -= gradient.decoder * alpha;
        *weights = weights.averaged();
        Ok(true)
    }

    fn size_of_update(&self, encoder: f64, decoder: f64) -> f64 {
        encoder + decoder
    }
}

/// Regularized Oja's rule: W ← W − α[(WWᵀ − I)CW + λW].
///
/// It is the decoder's half gradient at W₂ = W₁ᵀ = W, and so has the critical points of the untied
/// loss; with λ = 0 it is Oja's rule. Source: Kunin 2019, appendix A.
pub struct Tied {
    /// The loss whose gradient is taken.
    pub loss: Loss,
    /// The step size α.
    pub step: StepSize,
}

impl Algorithm for Tied {
    fn name(&self) -> &'static str {
        "tied-gradient"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Tied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let alpha = self.step.at(weights, batch)?;
        let decoder = step_tied(&self.loss, weights.decoder.as_ref(), batch, alpha);
        *weights = Weights::tied(decoder);
        Ok(true)
    }

    fn size_of_update(&self, _encoder: f64, decoder: f64) -> f64 {
        decoder
    }
}

/// One step of [`Tied`] of length `alpha`, m×k.
fn step_tied(loss: &Loss, w: MatRef<'_, f64>, batch: &Batch<'_, '_>, alpha: f64) -> Mat<f64> {
    let image = batch.apply(w); // m×k: CW
    let inner = w.transpose() * &image; // k×k: WᵀCW
    let mut gradient = w * inner - image;
    match loss {
        Loss::None => {}
        Loss::Product(lambda) => gradient += (w * (w.transpose() * w)) * Scale(*lambda),
        Loss::Sum(lambda) => gradient += w * Scale(*lambda),
        Loss::NonUniform(lambdas) => gradient += by_columns(w, lambdas),
    }
    w - gradient * Scale(alpha)
}

/// Gradient descent that also rotates the latent space toward sorted components:
///
/// A = ½(upper(YYᵀ) − lower(YYᵀ)), Y = W₁X, strict triangles;
/// W₁ ← W₁ − α·½∂L/∂W₁ + αAW₁, W₂ ← W₂ − α·½∂L/∂W₂ − αW₂A.
///
/// A is antisymmetric, so that to first order W₂W₁, and with it the reconstruction, is not changed
/// by the rotation. Source: Bao 2020, the rotation augmented gradient, there for the loss without a
/// penalty, which sorts the columns where W₁ and W₂ᵀ are near each other at the start.
pub struct RotationAugmented {
    /// The loss whose gradient is taken.
    pub loss: Loss,
    /// The step size α.
    pub step: StepSize,
}

impl Algorithm for RotationAugmented {
    fn name(&self) -> &'static str {
        "rotation-augmented"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Untied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let alpha = Scale(self.step.at(weights, batch)?);
        let gradient = self.loss.gradient(weights, batch);
        let inner = &weights.encoder * batch.apply(weights.encoder.transpose()); // k×k
        let rotation = Mat::from_fn(inner.nrows(), inner.ncols(), |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => 0.5 * inner[(i, j)],
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => -0.5 * inner[(i, j)],
        });
        let encoder = &rotation * &weights.encoder - gradient.encoder;
        let decoder = &weights.decoder * &rotation + gradient.decoder;
        weights.encoder += encoder * alpha;
        weights.decoder -= decoder * alpha;
        Ok(true)
    }
}
