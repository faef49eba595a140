//! Rows with a planted spectrum and known components, in bounded memory.
//!
//! In: a [`Recipe`]. Out: blocks of rows x = mean + Σ √(λᵢ − σ²)·zᵢ·uᵢ + σ·ε, so that the covariance has
//! the eigenvalues λ₁…λₖ on the planted directions and σ² elsewhere. Refuses a λ below σ².

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::{Distribution, StandardNormal, StudentT};

/// Values in the noise pool: 16 MiB, so that rows of a thousand features repeat only after
/// thousands.
const POOL: usize = 1 << 22;

/// Recipe of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Number of features m.
    pub features: usize,
    /// Planted eigenvalues, descending, each at least `noise`².
    pub eigenvalues: Vec<f64>,
    /// σ.
    pub noise: f64,
    /// Mean of every feature.
    pub mean: f64,
    /// Degrees of freedom of Student's t, above 2; `None`: Gaussian.
    pub student: Option<f64>,
    /// Take the noise of each row from a random position in a fixed pool: ten times faster, but
    /// rows are no longer strictly independent.
    pub noise_pool: bool,
    /// Seed.
    pub seed: u64,
}

/// A source of planted rows.
pub struct Planted {
    recipe: Recipe,
    /// k×m, orthonormal rows.
    basis: Mat<f64>,
    scaled: Mat<f32>,
    random: ChaCha8Rng,
    student: Option<StudentT<f64>>,
    pool: Vec<f32>,
}

impl Planted {
    /// A source by this recipe.
    ///
    /// # Errors
    /// With an explanation, if the recipe is invalid.
    pub fn new(recipe: Recipe) -> Result<Self, String> {
        let (m, k) = (recipe.features, recipe.eigenvalues.len());
        if k > m {
            return Err(format!("{k} components do not fit into {m} features"));
        }
        let floor = recipe.noise * recipe.noise;
        if let Some(low) = recipe
            .eigenvalues
            .iter()
            .find(|value| value.is_nan() || **value < floor)
        {
            return Err(format!(
                "eigenvalue {low} is below the noise variance {floor}"
            ));
        }
        let student = match recipe.student {
            None => None,
            Some(nu) if nu > 2.0 => StudentT::new(nu).ok(),
            Some(nu) => return Err(format!("student:{nu} has no variance; use more than 2")),
        };
        let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
        let basis = Mat::<f64>::from_fn(m, k, |_, _| StandardNormal.sample(&mut random));
        let mut basis = basis.qr().compute_thin_Q().transpose().to_owned();
        for i in 0..k {
            let mut row: Vec<f64> = basis.row(i).iter().copied().collect();
            crate::linalg::orient(&mut row);
            row.iter().enumerate().for_each(|(j, v)| basis[(i, j)] = *v);
        }
        let scaled = Mat::from_fn(k, m, |i, j| {
            ((recipe.eigenvalues[i] - floor).sqrt() * basis[(i, j)]) as f32
        });
        let mut planted = Self {
            recipe,
            basis,
            scaled,
            random,
            student,
            pool: Vec::new(),
        };
        if planted.recipe.noise_pool {
            planted.pool = (0..POOL + m).map(|_| planted.draw()).collect();
        }
        Ok(planted)
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Planted components, k×m.
    pub fn components(&self) -> MatRef<'_, f64> {
        self.basis.as_ref()
    }

    /// One value of unit variance.
    fn draw(&mut self) -> f32 {
        match (&self.student, self.recipe.student) {
            (Some(law), Some(nu)) => {
                (law.sample(&mut self.random) / (nu / (nu - 2.0)).sqrt()) as f32
            }
            _ => StandardNormal.sample(&mut self.random),
        }
    }

    /// Fills `values` with whole rows, row by row.
    pub fn fill(&mut self, values: &mut [f32]) {
        let (m, k) = (self.recipe.features, self.recipe.eigenvalues.len());
        let rows = values.len() / m;
        let (noise, mean) = (self.recipe.noise as f32, self.recipe.mean as f32);
        for row in values.chunks_exact_mut(m) {
            if self.pool.is_empty() {
                for v in row {
                    *v = mean + noise * self.draw();
                }
            } else {
                let at = self.random.random_range(0..POOL);
                let sign = if self.random.next_u32() & 1 == 0 {
                    noise
                } else {
                    -noise
                };
                for (v, e) in row.iter_mut().zip(&self.pool[at..at + m]) {
                    *v = mean + sign * e;
                }
            }
        }
        let mut scores = Mat::<f32>::zeros(rows, k);
        for i in 0..rows {
            for l in 0..k {
                scores[(i, l)] = self.draw();
            }
        }
        let mut rows = MatMut::from_row_major_slice_mut(&mut values[..rows * m], rows, m);
        matmul(
            rows.as_mut(),
            Accum::Add,
            &scores,
            &self.scaled,
            1.0,
            Par::Seq,
        );
    }
}
