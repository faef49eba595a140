//! The rules by which backward weights come to know the forward weights.
//!
//! In: a layer and its activity over a batch. Out: one step B ← B − ∂R/∂B of the rule's layer-wise
//! regularization R.

use faer::{Mat, MatRef};
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use super::network::Layer;
use super::primitives::{
    Activity, add_amp_gradient, add_decay_gradient, add_null_gradient, add_self_gradient,
    add_sparse_gradient, product,
};

/// Added to a unit's mean square before it is made one, as batch normalization does: a unit that
/// hardly moves is not blown up.
const FAINTEST: f64 = 1e-3;

/// A rule that says how the error is sent down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// B = Wᵀ at every step: the reference, which a brain cannot do.
    Backprop,
    /// B keeps its random start (Lillicrap et al. 2016).
    Feedback,
    /// Weight mirror: amplification and decay on noise (Akrout et al. 2019, as a regularization).
    Mirror,
    /// Information alignment: amplification, decay and null on the layer's own activity.
    Information,
    /// The same on noise, as the mirror has it.
    InformationNoise,
    /// Symmetric alignment: self and decay; not local.
    Symmetric,
    /// Activation alignment: amplification and sparseness; not local.
    Activation,
}

impl Rule {
    /// All of them, the reference first.
    pub const ALL: [Self; 7] = [
        Self::Backprop,
        Self::Feedback,
        Self::Mirror,
        Self::Information,
        Self::InformationNoise,
        Self::Symmetric,
        Self::Activation,
    ];

    /// The name in tables, files and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backprop => "backprop",
            Self::Feedback => "feedback",
            Self::Mirror => "mirror",
            Self::Information => "information",
            Self::InformationNoise => "information-noise",
            Self::Symmetric => "symmetric",
            Self::Activation => "activation",
        }
    }

    /// Returns true if B moves by a regularization.
    pub fn learns_backward(self) -> bool {
        !matches!(self, Self::Backprop | Self::Feedback)
    }

    /// The strengths found by the search described in the documentation of [`super`].
    pub fn regularization(self) -> Regularization {
        let none = Regularization::default();
        match self {
            Self::Backprop | Self::Feedback => none,
            Self::Mirror => Regularization {
                amp: 0.03,
                decay: 0.03,
                probe: Probe::Noise,
                ..none
            },
            Self::Information => Regularization {
                amp: 0.03,
                decay: 0.001,
                null: 0.01,
                probe: Probe::Activity,
                ..none
            },
            Self::InformationNoise => Regularization {
                amp: 0.05,
                decay: 0.02,
                null: 0.01,
                probe: Probe::Noise,
                ..none
            },
            Self::Symmetric => Regularization {
                own: 0.03,
                decay: 0.03,
                ..none
            },
            Self::Activation => Regularization {
                amp: 0.05,
                sparse: 0.05,
                probe: Probe::Activity,
                ..none
            },
        }
    }
}

/// The input on which the backward weights of a layer learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// No input: the backward weights do not learn from one.
    #[default]
    None,
    /// Standard Gaussian noise at its input.
    Noise,
    /// Its own input of the batch, every unit with mean 0 and mean square 1 over it.
    Activity,
}

/// R, as strengths of its primitives a step of B.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regularization {
    /// The strength of P_amp.
    pub amp: f64,
    /// The strength of P_decay.
    pub decay: f64,
    /// The strength of P_null.
    pub null: f64,
    /// The strength of P_sparse.
    pub sparse: f64,
    /// The strength of P_self.
    pub own: f64,
    /// The input x of the primitives.
    pub probe: Probe,
}

impl Regularization {
    /// ∂R/∂B of one layer (in×out), its input over the batch being `input` (b×in).
    pub fn gradient(
        &self,
        layer: &Layer,
        input: MatRef<'_, f64>,
        random: &mut ChaCha8Rng,
    ) -> Mat<f64> {
        let (w, b) = (layer.forward.as_ref(), layer.backward.as_ref());
        let mut to = Mat::zeros(b.nrows(), b.ncols());
        if self.decay > 0.0 {
            add_decay_gradient(&mut to, self.decay, b);
        }
        if self.own > 0.0 {
            add_self_gradient(&mut to, self.own, w);
        }
        let probe = match self.probe {
            Probe::None => return to,
            Probe::Noise => Mat::from_fn(input.nrows(), input.ncols(), |_, _| {
                StandardNormal.sample(random)
            }),
            Probe::Activity => standardized(input),
        };
        let output = product(probe.as_ref(), w.transpose());
        let activity = Activity {
            input: probe.as_ref(),
            output: output.as_ref(),
        };
        if self.amp > 0.0 {
            add_amp_gradient(&mut to, self.amp, activity);
        }
        if self.null > 0.0 {
            add_null_gradient(&mut to, self.null, activity, b);
        }
        if self.sparse > 0.0 {
            add_sparse_gradient(&mut to, self.sparse, activity, b);
        }
        to
    }
}

/// Every unit's values over the batch with mean 0 and mean square 1; a silent unit stays silent.
fn standardized(input: MatRef<'_, f64>) -> Mat<f64> {
    let mut standardized = input.to_owned();
    for j in 0..standardized.ncols() {
        let column = standardized.col_as_slice_mut(j);
        let n = column.len().max(1) as f64;
        let mean = column.iter().sum::<f64>() / n;
        let square = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let gain = 1.0 / (square + FAINTEST).sqrt();
        for value in column {
            *value = gain * (*value - mean);
        }
    }
    standardized
}
