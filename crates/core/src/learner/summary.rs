//! A learner's state as plain data: what is read out, stored and merged.

use faer::Mat;

use crate::learner::estimate::{Estimate, Unresolved};
use crate::learner::limits::Limits;
use crate::learner::long_run::LongRun;
use crate::learner::noise::{above_noise, beyond_rounding};
use crate::learner::params::Penalty;
use crate::linalg::orient;

/// A share of a feature's own variance that no direction accounts for, above rounding.
const UNRESOLVED: f64 = 1e-3;

/// If an ordinary row has less than this share of the top eigenvalue in each direction, directions
/// that are missing may be there all the same.
const HIDDEN: f64 = 1e-12;

/// Moments and directions of some rows, in f64: m features, h directions.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Number of rows learned from.
    pub rows: u64,
    /// N, the sum of the rows' weights.
    pub weight: f64,
    /// Sum of the squared weights.
    pub squared_weight: f64,
    /// Mean, length m, feature units.
    pub mean: Vec<f64>,
    /// Variance about the mean, length m, divisor N.
    pub variance: Vec<f64>,
    /// Weight of the observed values, length m: N where none is missing, 0 before the first.
    pub observed: Vec<f64>,
    /// Divisor of each feature, length m.
    pub scale: Vec<f64>,
    /// True for each feature that has not varied, length m.
    pub constant: Vec<bool>,
    /// True if the mean is subtracted.
    pub is_centered: bool,
    /// True if features are divided by their standard deviation.
    pub is_scaled: bool,
    /// h×m, orthonormal rows, scaled units.
    pub vectors: Mat<f64>,
    /// Length h, descending, squared scaled units; each contains `noise`.
    pub eigenvalues: Vec<f64>,
    /// σ², variance of each direction outside that the rule reckons with.
    pub noise: f64,
    /// r, the directions that could be held.
    pub max_rank: usize,
    /// Trace of the covariance, scaled units.
    pub total: f64,
    /// Features that carry variance.
    pub active: usize,
    /// Total variance of ordinary rows, scaled units: as if no row were extreme. `None` where it is not
    /// known: a minibatch of one row does not tell.
    pub typical_variance: Option<f64>,
    /// Variances of the products of scores.
    pub long_run: LongRun,
    /// True if the state is kept in f64 products because f32 would lose wanted components.
    pub is_widened: bool,
    /// Distributions of residual, T² and distance, where they were measured.
    pub limits: Option<Limits>,
}

impl Summary {
    /// Number of features, m.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// Observed values of feature `j` as a share of all, by weight.
    pub fn share_observed(&self, j: usize) -> f64 {
        self.observed[j] / self.weight.max(f64::MIN_POSITIVE)
    }

    /// Kish's effective sample size, (Σw)²/Σw².
    pub fn effective_sample(&self) -> f64 {
        if self.squared_weight > 0.0 {
            self.weight * self.weight / self.squared_weight
        } else {
            0.0
        }
    }

    /// The most directions that these rows can vary in: n rows about their mean span n − 1.
    fn rank_at_most(&self) -> usize {
        let rows = self.rows.saturating_sub(u64::from(self.is_centered));
        self.active.min(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// True if the rows are so few that every direction in which they can vary is held. Nothing is known of the variance
    /// in the others then, so the distance of the directions to the truth is unknown too.
    pub(super) fn is_exhausted(&self) -> bool {
        let rank = self.rank_at_most();
        self.eigenvalues.len() >= rank && rank < self.active
    }

    /// Of the directions held, those that the rows determine: they have a variance, and rows can vary in so many.
    fn determined(&self) -> usize {
        let values = self.eigenvalues.iter().take(self.rank_at_most());
        values.take_while(|value| **value > 0.0).count()
    }

    /// The first k components with all that is known of them.
    pub fn estimate(&self, k: usize, penalty: Penalty) -> Estimate {
        let k = k.min(self.features());
        let unresolved = self.unresolved().filter(|found| found.held < k);
        let determined = self.determined();
        if determined == self.eigenvalues.len() {
            return self.estimate_of_all(k, penalty, unresolved);
        }
        let mut told = self.clone();
        told.eigenvalues.truncate(determined);
        told.vectors = self.vectors.subrows(0, determined).to_owned();
        told.estimate_of_all(k, penalty, unresolved)
    }

    /// The first k components, where every direction held is determined.
    fn estimate_of_all(
        &self,
        k: usize,
        penalty: Penalty,
        unresolved: Option<Unresolved>,
    ) -> Estimate {
        let (m, h) = (self.features(), self.eigenvalues.len());
        let mut vectors = vec![0.0; k * m];
        for (i, row) in vectors.chunks_exact_mut(m).enumerate().take(h) {
            for (j, v) in row.iter_mut().enumerate() {
                *v = self.vectors[(i, j)];
            }
            orient(row);
        }
        let mut eigenvalues: Vec<f64> = self.eigenvalues.iter().copied().take(k).collect();
        eigenvalues.resize(k, unresolved.map_or(0.0, |found| found.variance));
        let real = above_noise(
            &self.eigenvalues,
            self.total,
            self.active,
            self.rank_at_most(),
            self.effective_sample(),
        );
        let told = self.told_from_noise(k, real);
        let penalty = match penalty {
            Penalty::Auto => real.threshold,
            Penalty::Fixed(value) => value,
        };
        // What is reported without a direction stands above nothing.
        let is_active = |(i, d): (usize, &f64)| i < h && *d > penalty;
        let shrunk = |(i, d): (usize, &f64)| {
            if is_active((i, d)) {
                (1.0 - penalty / d).sqrt()
            } else {
                0.0
            }
        };
        let count = real.count.unwrap_or(self.active);
        let above = self.eigenvalues.iter().take(count).sum::<f64>();
        let dimensions = self.active.saturating_sub(count);
        let left = beyond_rounding(self.total - above, self.total, self.active);
        Estimate {
            determined: h.min(k),
            features: m,
            rows: self.rows,
            effective_rows: self.weight,
            mean: if self.is_centered {
                self.mean.clone()
            } else {
                vec![0.0; m]
            },
            scale: self.scale.clone(),
            variance: self.variance.clone(),
            observed: self.observed.clone(),
            constant: self.constant.clone(),
            certainty: self.certainty(k, real.count),
            eigenvalue_stderr: (0..k).map(|i| self.eigenvalue_stderr(i)).collect(),
            angle_stderr_rad: (0..k).map(|i| self.angle_stderr_rad(i)).collect(),
            weight_singular_values: eigenvalues.iter().enumerate().map(shrunk).collect(),
            active: eigenvalues.iter().enumerate().map(is_active).collect(),
            vectors,
            eigenvalues,
            penalty,
            noise_variance: if dimensions > 0 {
                left / dimensions as f64
            } else {
                0.0
            },
            total_variance: self.total,
            components_above_noise: told.count,
            above_noise_is_lower_bound: told.is_lower_bound,
            above_noise_rule: told.rule,
            unresolved,
            is_widened: self.is_widened,
            // They are those of one number of components.
            limits: self.limits.clone().filter(|all| all.components == k),
        }
    }

    /// Variance that the directions held leave out for want of digits, where there are fewer than there could
    /// be: a feature's own variance keeps its digits whatever it stands beside, and so do ordinary rows
    /// beside extreme ones.
    pub fn unresolved(&self) -> Option<Unresolved> {
        let (m, h) = (self.features(), self.eigenvalues.len());
        if h >= self.max_rank.min(self.rank_at_most()) || h == 0 {
            return None;
        }
        let dimensions = (self.active - h) as f64;
        let variance = match self.left_out() {
            left if left > 0.0 => left / dimensions,
            _ => {
                let each = self.typical_variance? / self.active as f64;
                let has_rows = self.rows > h as u64 + 1;
                let is_hidden = has_rows && each < HIDDEN * self.eigenvalues[0];
                is_hidden.then_some(each)?
            }
        };
        let load = |j: &usize| self.vectors[(0, *j)].abs();
        let feature = (0..m).max_by(|a, b| load(a).total_cmp(&load(b)))?;
        Some(Unresolved {
            held: h,
            variance,
            feature,
        })
    }

    /// Variance of features that the directions held do not account for.
    fn left_out(&self) -> f64 {
        let (m, h) = (self.features(), self.eigenvalues.len());
        let mut left = 0.0;
        for j in (0..m).filter(|j| !self.constant[*j]) {
            let mean = if self.is_centered { 0.0 } else { self.mean[j] };
            let own = (self.variance[j] + mean * mean) / (self.scale[j] * self.scale[j]);
            let told = (0..h).map(|i| self.eigenvalues[i] * self.vectors[(i, j)].powi(2));
            let rest = own - told.sum::<f64>();
            if rest > UNRESOLVED * own {
                left += rest;
            }
        }
        left
    }
}
