//! The losses, their gradients and their exact minimisers in one of the two weights.
//!
//! L(W₁, W₂) = ‖X − XW₁ᵀW₂ᵀ‖² + penalty, rows as points, so that only C = XᵀX enters:
//! ‖·‖² = tr C − 2 tr(W₂W₁C) + tr(W₂W₁CW₁ᵀW₂ᵀ). Penalties: none; λ‖W₂W₁‖² (product); λ(‖W₁‖² + ‖W₂‖²)
//! (sum), all of Kunin 2019, section 2; ‖Λ^½W₁‖² + ‖W₂Λ^½‖² (non-uniform sum; Bao 2020).

use faer::{Mat, MatRef};

use crate::LabError;
use crate::problem::{Batch, spectrum_of};
use crate::weights::Weights;
use ojad_core::linalg::Spectrum;

/// Below this share of the largest, an eigenvalue is zero and its direction takes no part.
const RANK: f64 = 1e-13;

/// The penalty on the weights, in the units of C.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Reconstruction alone: the span is learned, the directions are not.
    None,
    /// The penalty λ‖W₂W₁‖² on the product.
    Product(f64),
    /// The penalty λ(‖W₁‖² + ‖W₂‖²) on both weights.
    Sum(f64),
    /// Ascending λ₁ < … < λₖ: the directions come ordered, each in its own column.
    NonUniform(Vec<f64>),
}

impl Loss {
    /// "none", "product", "sum" or "non-uniform".
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Product(_) => "product",
            Self::Sum(_) => "sum",
            Self::NonUniform(_) => "non-uniform",
        }
    }

    /// The λ of latent dimension `i`; 0 if there is none.
    pub fn lambda(&self, i: usize) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Product(lambda) | Self::Sum(lambda) => *lambda,
            Self::NonUniform(lambdas) => lambdas.get(i).copied().unwrap_or(0.0),
        }
    }

    /// Refuses penalties that have no meaning for `components` latent dimensions.
    ///
    /// # Errors
    /// Says which number does not fit and what would.
    pub fn check(&self, components: usize) -> Result<(), LabError> {
        let refused = |why: String| Err(LabError::Loss { why });
        match self {
            Self::None => Ok(()),
            Self::Product(lambda) | Self::Sum(lambda) => {
                if lambda.is_finite() && *lambda >= 0.0 {
                    Ok(())
                } else {
                    refused(format!("lambda = {lambda}; use a number of at least 0"))
                }
            }
            Self::NonUniform(lambdas) => {
                let is_ascending = lambdas.windows(2).all(|pair| pair[0] < pair[1]);
                let are_positive = lambdas.iter().all(|l| l.is_finite() && *l > 0.0);
                if lambdas.len() == components && is_ascending && are_positive {
                    Ok(())
                } else {
                    refused(format!(
                        "non-uniform lambdas {lambdas:?}; use {components} positive ascending numbers, \
                         one a component"
                    ))
                }
            }
        }
    }

    /// L itself, in the units of C.
    pub fn value(&self, weights: &Weights, scatter: MatRef<'_, f64>) -> f64 {
        let (w1, w2) = (&weights.encoder, &weights.decoder);
        let image = scatter * w1.transpose(); // m×k
        let inner = w1 * &image; // k×k: W₁CW₁ᵀ
        let gram = w2.transpose() * w2; // k×k
        let trace: f64 = (0..scatter.nrows()).map(|i| scatter[(i, i)]).sum();
        let reconstruction =
            trace - 2.0 * dot(w2.as_ref(), image.as_ref()) + dot(gram.as_ref(), inner.as_ref());
        reconstruction + self.penalty(weights)
    }

    fn penalty(&self, weights: &Weights) -> f64 {
        let (w1, w2) = (&weights.encoder, &weights.decoder);
        match self {
            Self::None => 0.0,
            Self::Product(lambda) => lambda * (w2 * w1).squared_norm_l2(),
            Self::Sum(lambda) => lambda * (w1.squared_norm_l2() + w2.squared_norm_l2()),
            Self::NonUniform(lambdas) => (0..weights.components())
                .map(|i| {
                    let of = w1.row(i).squared_norm_l2() + w2.col(i).squared_norm_l2();
                    lambdas[i] * of
                })
                .sum(),
        }
    }

    /// ½∂L/∂W₁ = W₂ᵀ(W₂W₁ − I)C + the penalty's half gradient, k×m.
    pub fn encoder_gradient(&self, weights: &Weights, batch: &Batch<'_, '_>) -> Mat<f64> {
        let (w1, w2) = (&weights.encoder, &weights.decoder);
        let gram = w2.transpose() * w2; // k×k
        // (G W₁ − W₂ᵀ)C, by its transpose: C is symmetric.
        let inner = w1.transpose() * &gram - w2; // m×k
        let mut gradient = batch.apply(inner.as_ref()).transpose().to_owned(); // k×m
        match self {
            Self::None => {}
            Self::Product(lambda) => gradient += (gram * w1) * faer::Scale(*lambda),
            Self::Sum(lambda) => gradient += w1 * faer::Scale(*lambda),
            Self::NonUniform(lambdas) => {
                gradient += Mat::from_fn(w1.nrows(), w1.ncols(), |i, j| lambdas[i] * w1[(i, j)]);
            }
        }
        gradient
    }

    /// ½∂L/∂W₂ = (W₂W₁ − I)CW₁ᵀ + the penalty's half gradient, m×k.
    pub fn decoder_gradient(&self, weights: &Weights, batch: &Batch<'_, '_>) -> Mat<f64> {
        let (w1, w2) = (&weights.encoder, &weights.decoder);
        let image = batch.apply(w1.transpose()); // m×k: CW₁ᵀ
        let inner = w1 * &image; // k×k
        let mut gradient = w2 * inner - image;
        match self {
            Self::None => {}
            Self::Product(lambda) => {
                gradient += (w2 * (w1 * w1.transpose())) * faer::Scale(*lambda);
            }
            Self::Sum(lambda) => gradient += w2 * faer::Scale(*lambda),
            Self::NonUniform(lambdas) => gradient += by_columns(w2.as_ref(), lambdas),
        }
        gradient
    }

    /// The two half gradients at the same weights, in their shapes.
    pub fn gradient(&self, weights: &Weights, batch: &Batch<'_, '_>) -> Weights {
        Weights {
            encoder: self.encoder_gradient(weights, batch),
            decoder: self.decoder_gradient(weights, batch),
        }
    }

    /// The encoder that minimises L for this decoder, k×m.
    ///
    /// The stationary equation W₂ᵀW₂·W₁·C + ΛW₁ = W₂ᵀC is of Sylvester's type. Both sides are
    /// diagonalised, Λ^-½W₂ᵀW₂Λ^-½ = PDPᵀ and C = QSQᵀ, and fall apart into km scalar equations
    /// (DᵢSⱼ + 1)Zᵢⱼ = (…)ᵢⱼ: O(m³) once for C and O(m²k) an iteration, where the Kronecker product
    /// of the same equation costs O(m³k³). With λ = 0 directions of rank zero are left at zero (the
    /// least-norm minimiser).
    ///
    /// # Errors
    /// If an entry is not finite.
    pub fn best_encoder(
        &self,
        decoder: MatRef<'_, f64>,
        batch: &Batch<'_, '_>,
    ) -> Result<Mat<f64>, LabError> {
        let k = decoder.ncols();
        let scale: Vec<f64> = match self {
            Self::NonUniform(lambdas) => {
                lambdas.iter().map(|lambda| lambda.sqrt().recip()).collect()
            }
            _ => vec![1.0; k],
        };
        // In units in which each λᵢ is 1, so that both sides can be diagonalised.
        let scaled = by_columns(decoder, &scale); // m×k: W₂Λ^-½
        let left = spectrum_of((scaled.transpose() * &scaled).as_ref())?;
        batch.with_spectrum(|right| {
            let rotated = (&scaled * &left.vectors).transpose() * &right.vectors; // k×m
            // A pivot that is only rounding belongs to a direction that the loss does not see. Its
            // entry is arbitrary, and 0 is the smallest choice.
            let floor = RANK * top(&left) * top(right);
            let solved = Mat::from_fn(k, decoder.nrows(), |i, j| {
                let (d, s) = (left.values[i].max(0.0), right.values[j].max(0.0));
                let pivot = match self {
                    Self::None => d * s,
                    Self::Product(lambda) => d * (s + lambda),
                    Self::Sum(lambda) => d * s + lambda,
                    Self::NonUniform(_) => d * s + 1.0,
                };
                if pivot > floor {
                    rotated[(i, j)] * s / pivot
                } else {
                    0.0
                }
            });
            let back = &left.vectors * solved * right.vectors.transpose(); // k×m
            Mat::from_fn(k, decoder.nrows(), |i, j| scale[i] * back[(i, j)])
        })
    }

    /// The decoder that minimises L for this encoder, m×k: CW₁ᵀ(W₁CW₁ᵀ + Λ)⁻¹, ridge regression of
    /// the rows on their codes; for the product loss CW₁ᵀ(W₁(C + λI)W₁ᵀ)⁻¹.
    ///
    /// # Errors
    /// If an entry is not finite.
    pub fn best_decoder(
        &self,
        encoder: MatRef<'_, f64>,
        batch: &Batch<'_, '_>,
    ) -> Result<Mat<f64>, LabError> {
        let image = batch.apply(encoder.transpose()); // m×k
        let mut inner = encoder * &image; // k×k
        match self {
            Self::None => {}
            Self::Product(lambda) => {
                inner += (encoder * encoder.transpose()) * faer::Scale(*lambda);
            }
            Self::Sum(_) | Self::NonUniform(_) => {
                (0..inner.nrows()).for_each(|i| inner[(i, i)] += self.lambda(i));
            }
        }
        let spectrum = spectrum_of(inner.as_ref())?;
        let floor = RANK * top(&spectrum);
        let inverse: Vec<f64> = spectrum
            .values
            .iter()
            .map(|value| if *value > floor { value.recip() } else { 0.0 })
            .collect();
        let rotated = by_columns((image * &spectrum.vectors).as_ref(), &inverse);
        Ok(rotated * spectrum.vectors.transpose())
    }
}

/// Returns the inner product Σ aᵢⱼbᵢⱼ of two matrices of the same shape.
fn dot(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|j| a.col(j).transpose() * b.col(j))
        .sum()
}

/// Column i of `matrix` times `factors[i]`.
pub(crate) fn by_columns(matrix: MatRef<'_, f64>, factors: &[f64]) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| {
        matrix[(i, j)] * factors[j]
    })
}

fn top(spectrum: &Spectrum) -> f64 {
    spectrum.values.first().copied().unwrap_or(0.0).max(0.0)
}
