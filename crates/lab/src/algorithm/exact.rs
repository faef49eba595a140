//! Exact minimisation: L is convex in each of the two weights alone.
//!
//! Source: Kunin 2019, appendix A names the alternation and its program solves it by a Kronecker
//! product; the equations are solved here by diagonalising both sides ([`Loss::best_encoder`]).

use super::{Algorithm, Coupling};
use crate::LabError;
use crate::loss::Loss;
use crate::problem::Batch;
use crate::weights::Weights;

/// The best encoder for the decoder, then the best decoder for that encoder.
pub struct Untied {
    /// The loss that each step minimises.
    pub loss: Loss,
}

impl Algorithm for Untied {
    fn name(&self) -> &'static str {
        "untied-exact"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Untied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        weights.encoder = self.loss.best_encoder(weights.decoder.as_ref(), batch)?;
        weights.decoder = self.loss.best_decoder(weights.encoder.as_ref(), batch)?;
        Ok(true)
    }
}

/// From W₁ = W₂ᵀ: the transpose of the best decoder for W₂ᵀ as encoder, the best decoder for that, and
/// then both at their average.
///
/// Two of [`Tied`]'s steps and the middle between them. What goes to and fro there from step to step is
/// damped here: under a loss that leaves GLₖ alone, UG and UG⁻ᵀ average to an orthonormal U, which is
/// Newton's iteration for the polar factor. Source: the program beside Kunin 2019.
pub struct Synchronized {
    /// The loss that each step minimises.
    pub loss: Loss,
}

impl Algorithm for Synchronized {
    fn name(&self) -> &'static str {
        "synchronized-exact"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Synchronized
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let first = self.loss.best_decoder(weights.decoder.transpose(), batch)?;
        weights.encoder = first.transpose().to_owned();
        weights.decoder = self.loss.best_decoder(weights.encoder.as_ref(), batch)?;
        // Two exact steps do not end as transposes by themselves, but the coupling demands it.
        *weights = weights.averaged();
        Ok(true)
    }

    fn size_of_update(&self, _encoder: f64, decoder: f64) -> f64 {
        decoder
    }
}

/// W ← CW(WᵀCW + λI)⁻¹: the best decoder for the encoder Wᵀ, which then follows it.
///
/// Power iteration with ridge regression in the place of orthonormalisation; its fixed points are
/// those of regularized Oja's rule. Under a loss that leaves GLₖ alone it has the span at once and then
/// goes to and fro between UG and UG⁻ᵀ, as nothing says that encoder and decoder are transposes.
pub struct Tied {
    /// The loss that each step minimises.
    pub loss: Loss,
}

impl Algorithm for Tied {
    fn name(&self) -> &'static str {
        "tied-exact"
    }

    fn coupling(&self) -> Coupling {
        Coupling::Tied
    }

    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError> {
        let decoder = self.loss.best_decoder(weights.encoder.as_ref(), batch)?;
        *weights = Weights::tied(decoder);
        Ok(true)
    }

    fn size_of_update(&self, _encoder: f64, decoder: f64) -> f64 {
        decoder
    }
}
