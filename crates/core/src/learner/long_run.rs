//! Variances that products of scores have in the long run: what error bars are made of, as plain data.

use faer::Mat;

use crate::learner::quantile::student;
use crate::learner::row_noise::NoiseRows;

/// Standard normal quantile of a two-sided 95%.
pub(super) const NORMAL_975: f64 = 1.959_964;

/// Variance of zᵢzⱼ over rows that follow each other, relative to E zᵢ²·E zⱼ², of h directions: the mean of n rows'
/// zᵢzⱼ has this variance over n. 2 on the diagonal and 1 off it for independent Gaussian rows.
#[derive(Clone, Debug)]
pub struct LongRun {
    /// Of each pair, h×h.
    pub pairs: Mat<f64>,
    /// Σ over the directions outside, relative to E zᵢ²·E ρ², length h.
    pub outside: Vec<f64>,
    /// What the diagonal would be if rows knew nothing of each other, length h.
    pub alone: Vec<f64>,
    /// Degrees of freedom of the diagonal, length h; infinite where it is of single rows.
    pub freedom: Vec<f64>,
    /// True where the fourth moment does not seem to exist, so that none of these does, length h.
    pub heavy: Vec<bool>,
    /// How rows are related beside the leading directions, for none to h of them; empty where it is not known.
    pub noise: Vec<NoiseRows>,
}

impl Default for LongRun {
    fn default() -> Self {
        Self::from_diagonal(Vec::new())
    }
}

impl LongRun {
    /// Of `h` directions with these variances on the diagonal and as Gaussian rows have beside it.
    pub fn from_diagonal(diagonal: Vec<f64>) -> Self {
        let h = diagonal.len();
        Self {
            pairs: Mat::from_fn(h, h, |i, j| if i == j { diagonal[i] } else { 1.0 }),
            outside: vec![1.0; h],
            freedom: vec![f64::INFINITY; h],
            heavy: vec![false; h],
            noise: Vec::new(),
            alone: diagonal,
        }
    }

    /// Multiplies what each direction has with the others by its factor, and a pair's by the root of both.
    pub fn scale_directions(&mut self, factors: &[f64]) {
        let h = self.directions().min(factors.len());
        for i in 0..h {
            self.outside[i] *= factors[i];
            for j in (0..h).filter(|j| *j != i) {
                self.pairs[(i, j)] *= (factors[i] * factors[j]).sqrt();
            }
        }
    }

    /// Number of directions, h.
    pub fn directions(&self) -> usize {
        self.alone.len()
    }

    /// The relative long-run variance of the pair; of a direction that is not followed, that of those outside.
    pub(super) fn pair(&self, i: usize, j: usize) -> f64 {
        let h = self.directions();
        let known = match (i < h, j < h) {
            (true, true) => self.pairs[(i, j)],
            (true, false) => self.outside[i],
            (false, true) => self.outside[j],
            (false, false) => 1.0,
        };
        if known.is_finite() { known } else { 1.0 }
    }

    /// The relative long-run variance of direction `i`'s square; NaN where it is not known.
    pub(super) fn square(&self, i: usize) -> f64 {
        if i < self.directions() {
            self.pairs[(i, i)]
        } else {
            f64::NAN
        }
    }

    /// The relative long-run variance of direction `i` with all outside.
    pub(super) fn outside_of(&self, i: usize) -> f64 {
        self.outside.get(i).copied().unwrap_or(1.0)
    }

    /// What [`LongRun::square`] would be of rows that know nothing of each other.
    pub(super) fn alone_of(&self, i: usize) -> f64 {
        self.alone.get(i).copied().unwrap_or(f64::NAN)
    }

    /// True if direction `i` has no fourth moment, as far as can be told.
    pub(super) fn is_heavy(&self, i: usize) -> bool {
        self.heavy.get(i).copied().unwrap_or(false)
    }

    /// Degrees of freedom of direction `i`'s variance.
    pub(super) fn freedom_of(&self, i: usize) -> f64 {
        self.freedom.get(i).copied().unwrap_or(f64::INFINITY)
    }

    /// The factor by which a standard error of direction `i` is widened: ±1.96 of it are 95% although the variance is
    /// one of few runs.
    pub(super) fn widening(&self, i: usize) -> f64 {
        student(NORMAL_975, self.freedom_of(i)) / NORMAL_975
    }

    /// Rows that tell as much of eigenvalue `i` as one independent row each, of all of weight 1.
    pub(super) fn share_independent(&self, i: usize) -> f64 {
        let h = self.directions();
        if i >= h || !self.pairs[(i, i)].is_finite() {
            return f64::NAN;
        }
        let ratio = self.pairs[(i, i)] / self.alone[i];
        // Two standard errors of a variance: fewer runs than that do not tell rows from independent ones.
        if ratio > 1.0 + 2.0 * (2.0 / self.freedom[i]).sqrt() {
            1.0 / ratio
        } else {
            1.0
        }
    }
}
