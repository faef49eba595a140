//! Encoder and decoder, and what is read off them.

use faer::{Mat, MatRef};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::LabError;

/// The weights of a linear autoencoder x ↦ W₂W₁x.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The encoder W₁, k×m.
    pub encoder: Mat<f64>,
    /// The decoder W₂, m×k.
    pub decoder: Mat<f64>,
}

/// Directions and eigenvalues of the scatter matrix that weights stand for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The directions as orthonormal columns, m×k.
    pub directions: Mat<f64>,
    /// Singular values of the decoder, descending, length k.
    pub singular: Vec<f64>,
}

impl Weights {
    /// Independent standard normal entries, scaled by `scale`; the same for the same seed.
    pub fn random(features: usize, components: usize, scale: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |rows, columns| {
            Mat::from_fn(rows, columns, |_, _| {
                let value: f64 = StandardNormal.sample(&mut random);
                scale * value
            })
        };
        Self {
            encoder: draw(components, features),
            decoder: draw(features, components),
        }
    }

    /// The start of a run: independent normal entries of variance 1/m, so that the singular values
    /// are near those of a minimum, however many features there are.
    pub fn start(features: usize, components: usize, seed: u64) -> Self {
        Self::random(
            features,
            components,
            (features.max(1) as f64).sqrt().recip(),
            seed,
        )
    }

    /// Makes weights that are transposes of each other: W₁ = W₂ᵀ.
    pub fn tied(decoder: Mat<f64>) -> Self {
        Self {
            encoder: decoder.transpose().to_owned(),
            decoder,
        }
    }

    /// Both at the average of W₁ and W₂ᵀ.
    #[must_use]
    pub fn averaged(&self) -> Self {
        Self::tied((self.encoder.transpose() + &self.decoder) * faer::Scale(0.5))
    }

    /// Returns the number of features, m.
    pub fn features(&self) -> usize {
        self.decoder.nrows()
    }

    /// Returns the number of components, k.
    pub fn components(&self) -> usize {
        self.decoder.ncols()
    }

    /// ‖W₁ − W₂ᵀ‖ (Frobenius): 0 at every critical point of the sum loss (Kunin 2019, theorem 2.1).
    pub fn asymmetry(&self) -> f64 {
        (&self.encoder - self.decoder.transpose()).norm_l2()
    }

    /// √(‖ΔW₁‖² + ‖ΔW₂‖²) from `other` to here.
    pub fn distance(&self, other: &Self) -> f64 {
        let encoder = (&self.encoder - &other.encoder).norm_l2();
        let decoder = (&self.decoder - &other.decoder).norm_l2();
        encoder.hypot(decoder)
    }

    /// No entry is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.encoder.is_all_finite() && self.decoder.is_all_finite()
    }

    /// Left singular vectors and singular values of the decoder: under the sum loss the principal
    /// directions (Kunin 2019, LAE-PCA).
    ///
    /// # Errors
    /// If an entry is not finite.
    pub fn found(&self) -> Result<Found, LabError> {
        let svd = self.decoder.thin_svd().map_err(|_| LabError::NotFinite)?;
        Ok(Found {
            directions: svd.U().to_owned(),
            singular: svd.S().column_vector().iter().copied().collect(),
        })
    }
}

impl Found {
    /// Eigenvalues of C: λ/(1 − s²) (Kunin 2019, LAE-PCA, where their square roots stand); at λ for
    /// a component that is switched off, and infinite where s reached 1.
    pub fn eigenvalues(&self, lambda: f64) -> Vec<f64> {
        let eigenvalue = |s: &f64| {
            let rest = 1.0 - s * s;
            if rest > 0.0 {
                lambda / rest
            } else {
                f64::INFINITY
            }
        };
        self.singular.iter().map(eigenvalue).collect()
    }

    /// 1 − mean (uᵢᵀûᵢ)²: 0 when each direction is the right one, whatever its sign.
    ///
    /// Shapes: `truth` is m×m or m×k, its first k columns in order.
    pub fn axis_error(&self, truth: MatRef<'_, f64>) -> f64 {
        axis_error(self.directions.as_ref(), truth)
    }

    /// Mean sin² of the principal angles to the span of the first k columns of `truth`.
    pub fn subspace_error(&self, truth: MatRef<'_, f64>) -> f64 {
        let k = self.directions.ncols();
        ojad_core::linalg::mean_sin2(truth.subcols(0, k).transpose(), self.directions.transpose())
    }
}

/// Mean of 1 − (uᵢᵀvᵢ)² over the columns, computed from what is beside the truth, so that errors
/// below 1e-16 keep their digits.
///
/// Shapes: `directions` m×k, unit columns or zero; `truth` m×k or wider, orthonormal.
pub fn axis_error(directions: MatRef<'_, f64>, truth: MatRef<'_, f64>) -> f64 {
    let k = directions.ncols();
    let beside = |i: usize| {
        let along = (directions.col(i).transpose() * truth.col(i)).clamp(-1.0, 1.0);
        let rest = directions.col(i) - truth.col(i) * faer::Scale(along);
        let norm = directions.col(i).norm_l2();
        if norm > 0.0 {
            (rest.squared_norm_l2() / (norm * norm)).min(1.0)
        } else {
            1.0
        }
    };
    (0..k).map(beside).sum::<f64>() / k.max(1) as f64
}
