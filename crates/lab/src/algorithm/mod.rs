//! Every algorithm behind one trait: a step takes rows and changes the weights.
//!
//! The learning ones come in three kinds of coupling. *Untied*: encoder and decoder have their own
//! start and their own steps, one after the other, as in the paper's own program. *Synchronized*:
//! they start as transposes, and each step ends with both at the average of W₁ and W₂ᵀ, as in that
//! program. *Tied*: there is one matrix W = W₂ = W₁ᵀ.
//! Each comes as gradient descent ([`gradient`]) and as exact minimisation ([`exact`]). The
//! baselines ([`baseline`]) put the answer that they find into the same weights.

pub mod baseline;
pub mod exact;
pub mod gradient;

use crate::LabError;
use crate::loss::Loss;
use crate::problem::Batch;
use crate::weights::Weights;

/// The relation between encoder and decoder during learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// Each has its own start.
    Untied,
    /// W₁ = W₂ᵀ at the start, and again after each step, at their average.
    Synchronized,
    /// W₁ = W₂ᵀ at every step: there is one matrix.
    Tied,
}

/// One way to learn.
pub trait Algorithm {
    /// Its name on the command line and in tables.
    fn name(&self) -> &'static str;

    /// Returns the relation between encoder and decoder.
    fn coupling(&self) -> Coupling;

    /// One iteration on `batch`. False: there is nothing left to do.
    ///
    /// # Errors
    /// If a value stops being finite.
    fn step(&mut self, batch: &Batch<'_, '_>, weights: &mut Weights) -> Result<bool, LabError>;

    /// Measures how far an update of these lengths ‖ΔW₁‖ and ‖ΔW₂‖ went, for the rule that ends a run: as the
    /// paper's program measures it, where weights are transposes.
    fn size_of_update(&self, encoder: f64, decoder: f64) -> f64 {
        encoder.hypot(decoder)
    }
}

/// The algorithms by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Kind {
    /// Gradient descent, encoder and decoder separate.
    UntiedGradient,
    /// Gradient descent from W1 = W2ᵀ, both set to their average at each step.
    SynchronizedGradient,
    /// Gradient descent with one matrix: regularized Oja's rule.
    TiedGradient,
    /// Gradient descent with rotations that sort the components (Bao 2020).
    RotationAugmented,
    /// Exact minimisation, encoder and decoder in turn.
    UntiedExact,
    /// Exact minimisation from W1 = W2ᵀ, both set to their average at each step.
    SynchronizedExact,
    /// Exact minimisation of the decoder, the encoder its transpose.
    TiedExact,
    /// Full singular value decomposition.
    Svd,
    /// Randomized singular value decomposition, one more power iteration each step.
    RandomizedSvd,
    /// The learner of `ojad fit`.
    Streaming,
}

/// The length of a gradient step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepSize {
    /// The same α at every step.
    Constant(f64),
    /// α/‖W₁CW₁ᵀ‖₂ at the weights of the moment: no unit of the data is left in α.
    Normalized(f64),
}

/// The ingredients of an algorithm.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The algorithm to make.
    pub kind: Kind,
    /// The loss that it minimises.
    pub loss: Loss,
    /// The step size; only gradients take one.
    pub step: StepSize,
    /// The seed of the randomized baselines.
    pub seed: u64,
}

impl Recipe {
    /// The algorithm for `components` latent dimensions.
    ///
    /// # Errors
    /// If the loss does not fit.
    pub fn make(&self, components: usize) -> Result<Box<dyn Algorithm>, LabError> {
        self.loss.check(components)?;
        let (loss, step) = (self.loss.clone(), self.step);
        Ok(match self.kind {
            Kind::UntiedGradient => Box::new(gradient::Untied { loss, step }),
            Kind::SynchronizedGradient => Box::new(gradient::Synchronized { loss, step }),
            Kind::TiedGradient => Box::new(gradient::Tied { loss, step }),
            Kind::RotationAugmented => Box::new(gradient::RotationAugmented { loss, step }),
            Kind::UntiedExact => Box::new(exact::Untied { loss }),
            Kind::SynchronizedExact => Box::new(exact::Synchronized { loss }),
            Kind::TiedExact => Box::new(exact::Tied { loss }),
            Kind::Svd => Box::new(baseline::Svd::new(loss)),
            Kind::RandomizedSvd => Box::new(baseline::Randomized::new(loss, self.seed)),
            Kind::Streaming => Box::new(baseline::Streaming::new(loss)),
        })
    }
}
