//! Exact minimisation: L is convex in each of the two weights alone.
//!
//! Source: Kunin 2019, appendix A names the alternation and its program solves it by a Kronecker
//! product; the equations are solved here by diagonalising both sides ([`Loss::best_encoder`]).

use super::{Algorithm, Coupling};
use crate::lab::LabError;
use crate::lab::loss::Loss;
use crate::lab::problem::Batch;
use crate::lab::weights::Weights;

/// The best encoder for the decoder, then the best decoder for that encoder.
pub struct Untied {
    /// What is minimised.
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

/// From W₁ = W₂ᵀ, the best of each for the old other.
///
/// It is two runs of the untied alternation that never meet: each new decoder comes from the encoder
/// before, that from the decoder two steps back. Each finds the principal directions, but up to a
/// rotation of its own, which the sum loss leaves free, so that the pair need not be a minimum.
pub struct Synchronized {
    /// What is minimised.
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
        let encoder = self.loss.best_encoder(weights.decoder.as_ref(), batch)?;
        weights.decoder = self.loss.best_decoder(weights.encoder.as_ref(), batch)?;
        weights.encoder = encoder;
        Ok(true)
    }
}

/// W ← CW(WᵀCW + λI)⁻¹: the best decoder for the encoder Wᵀ, which then follows it.
///
/// Power iteration with ridge regression in the place of orthonormalisation; its fixed points are
/// those of regularized Oja's rule. Under a loss that leaves GLₖ alone it has the span at once and then
/// goes to and fro between UG and UG⁻ᵀ, as nothing says that encoder and decoder are transposes.
pub struct Tied {
    /// What is minimised.
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
}
