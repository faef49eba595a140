//! The main interface of the library: build, update, estimate, score, merge, save.

mod builder;
mod error;
mod merged;
mod saved;
mod waiting;

pub use builder::{Missing, PcaBuilder};
pub use error::{BuildError, UpdateError};
pub use merged::Merged;

use crate::learner::{self, Estimate, LearnError, Learner, LearnerParams, MergeError, Summary};
use crate::prequential;
use crate::score::{Projection, Rows, ScoreBuffers, Scores};
use waiting::Waiting;

/// Principal components of rows that arrive in pieces, each seen once.
///
/// It takes O(m·(k + p)) memory for m features, k components and p further directions. Rows are
/// collected into minibatches of a fixed size, so that the same rows give the same bits however
/// they are split into calls; an estimate covers all of them.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // 1,000 rows of 3 features that vary along (3, 4, 0) above all.
/// let mut values = Vec::new();
/// for i in 0..1000 {
///     let (t, e) = ((i as f64 * 0.7).sin(), (i as f64 * 1.3).cos());
///     values.extend([3.0 * t, 4.0 * t, 0.1 * e]);
/// }
/// let mut pca = Pca::builder().components(1).build(3)?;
/// for piece in values.chunks(100 * 3) {
///     pca.update(&Rows::from_f64(piece, 3))?;
/// }
/// let estimate = pca.estimate()?;
/// assert_eq!(estimate.rows, 1000);
/// assert!((estimate.vector(0)[1] - 0.8).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
pub struct Pca {
    params: LearnerParams,
    missing: Missing,
    learner: Box<dyn Learner>,
    /// Rows that do not yet fill a minibatch.
    waiting: Waiting,
    /// A numerical error, after which nothing more can be learned.
    failed: Option<LearnError>,
}

impl std::fmt::Debug for Pca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pca")
            .field("features", &self.features())
            .field("rows", &self.rows())
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl Pca {
    /// A builder with defaults: ten components, nothing to tune.
    pub fn builder() -> PcaBuilder {
        PcaBuilder::default()
    }

    fn new(params: LearnerParams, missing: Missing, features: usize) -> Result<Self, BuildError> {
        let learner = prequential::new(&params, features)?;
        let waiting = Waiting::new(params.minibatch_rows(features), features);
        Ok(Self {
            params,
            missing,
            learner,
            waiting,
            failed: None,
        })
    }

    /// m, the number of features.
    pub fn features(&self) -> usize {
        self.waiting.features()
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.learner.rows() + self.waiting.rows() as u64
    }

    /// The parameters it was built with.
    pub fn params(&self) -> &LearnerParams {
        &self.params
    }

    /// Learns from rows without modifying them, in O(b·m·r) time for b rows and r = k + p
    /// directions.
    ///
    /// # Errors
    /// If the rows have another number of features, or a value is infinite, too large for the
    /// precision, or NaN while [`Missing::Error`] is set: then none of them is taken. If the
    /// computation fails (values too small or too large to be squared), the state becomes unusable,
    /// and every later call returns the same error.
    pub fn update(&mut self, rows: &Rows<'_>) -> Result<(), UpdateError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone().into());
        }
        // Before the first row is taken, so that a refused call leaves no part of its rows behind.
        self.check(rows)?;
        let mut at = 0;
        while at < rows.len() {
            at += self.waiting.copy_from(rows, at);
            if self.waiting.is_full()
                && let Err(error) = self.waiting.learn(self.learner.as_mut())
            {
                self.failed = Some(error.clone());
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn check(&self, rows: &Rows<'_>) -> Result<(), UpdateError> {
        let features = self.features();
        if rows.features() != features {
            return Err(UpdateError::Features {
                expected: features,
                found: rows.features(),
            });
        }
        let limit = self.params.precision.largest();
        let is_refused = |value: f64| match self.missing {
            Missing::Error => value.is_nan() || value.abs() > limit,
            Missing::Mean => value.abs() > limit,
        };
        match rows.find(is_refused) {
            None => Ok(()),
            Some((row, feature, value)) => Err(UpdateError::Value {
                row,
                feature,
                value,
                limit,
            }),
        }
    }

    /// Moments of all rows taken, and r directions with their variances.
    ///
    /// # Errors
    /// If the state is not finite.
    fn summary(&self) -> Result<Summary, LearnError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        if self.waiting.rows() == 0 {
            return self.learner.summary();
        }
        learner::summary_with(self.learner.as_ref(), self.waiting.as_minibatch().clone())
    }

    /// Components, eigenvalues, their standard errors, and the moments of the features.
    ///
    /// # Errors
    /// If the state is not finite.
    pub fn estimate(&self) -> Result<Estimate, LearnError> {
        let params = &self.params;
        Ok(self.summary()?.estimate(params.components, params.penalty))
    }

    /// Scores, residual, Hotelling's T², log-likelihood and p-value of each row, by the current
    /// components. A NaN counts as the feature's mean. To score many pieces by the same components,
    /// keep a [`Projection`].
    ///
    /// # Errors
    /// If the rows have another number of features, or the state is not finite.
    ///
    /// ```
    /// # use ojad_core::{Pca, Rows};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let values: Vec<f32> = (0..300).map(|i| (i as f32 * 0.37).sin()).collect();
    /// let rows = Rows::from_f32(&values, 3);
    /// let mut pca = Pca::builder().components(2).build(3)?;
    /// pca.update(&rows)?;
    /// let scores = pca.score(&rows)?;
    /// assert_eq!(scores.components[0].len(), 100);
    /// assert!(scores.residual.iter().all(|residual| *residual >= -1e-12));
    /// # Ok(())
    /// # }
    /// ```
    pub fn score(&self, rows: &Rows<'_>) -> Result<Scores, UpdateError> {
        if rows.features() != self.features() {
            return Err(UpdateError::Features {
                expected: self.features(),
                found: rows.features(),
            });
        }
        let projection = Projection::of(&self.estimate()?);
        Ok(projection.score_rows(rows, &mut ScoreBuffers::default()))
    }

    /// Merges parts that were built alike and saw disjoint rows: mean, variance and trace are
    /// exact, and the directions are the best r of all parts.
    ///
    /// # Errors
    /// If there is no part, or parts differ in features or settings.
    ///
    /// ```
    /// # use ojad_core::{Pca, Penalty, Rows};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let values: Vec<f64> = (0..4000).map(|i| (i as f64 * 0.37).sin()).collect();
    /// let build = || Pca::builder().components(2).build(4);
    /// let (mut first, mut second) = (build()?, build()?);
    /// first.update(&Rows::from_f64(&values[..1600], 4))?;
    /// second.update(&Rows::from_f64(&values[1600..], 4))?;
    /// let both = Pca::merge([&first, &second])?.estimate(2, Penalty::Auto);
    /// assert_eq!(both.rows, 1000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Merged, MergeError> {
        let summaries: Result<Vec<Summary>, LearnError> =
            parts.into_iter().map(Self::summary).collect();
        let summaries = summaries.map_err(|_| MergeError::NotFinite)?;
        learner::merge_all(&summaries.iter().collect::<Vec<_>>()).map(Merged)
    }
}
