//! A rule with its moments, scale and error bars: the learner that the trainer owns.

use faer::Mat;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::center::{Centred, Centring};
use crate::learner::engine::{CovarianceTotals, Directions, Engine};
use crate::learner::fourth_moments::{FourthMoments, Place};
use crate::learner::moments::{Moments, UNDERFLOW};
use crate::learner::params::{LearnerParams, Scale};
use crate::learner::summary::Summary;
use crate::learner::{LearnError, Learner};
use crate::linalg::LinalgError;
use crate::rows::Minibatch;

/// Where a feature's unit becomes smaller by this factor, what lies outside is not the same in all directions.
const MOVED: f64 = 1.05;

/// Learns from minibatches by the rule `E`.
pub struct Streaming<E: Engine> {
    params: LearnerParams,
    pub(super) moments: Moments,
    pub(super) centring: Centring<E::Float>,
    pub(super) block: Block<E::Float>,
    pub(super) fourth_moments: FourthMoments,
    scores: Mat<E::Float>,
    pub(super) engine: E,
}

impl<E: Engine> Streaming<E> {
    /// A learner of `features` features that expects minibatches of `rows` rows.
    pub fn new(params: LearnerParams, features: usize, rows: usize, engine: E) -> Self {
        Self {
            moments: Moments::new(&params, features),
            centring: Centring::new(features),
            block: Block::new(rows, features),
            fourth_moments: FourthMoments::new(params.center && params.scale == Scale::Standard),
            scores: Mat::new(),
            params,
            engine,
        }
    }

    /// Reads what [`Learner::save`] wrote up to the engine.
    pub(super) fn restore_moments(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let version = self.moments.restore(from)?;
        let most = self.moments.features();
        self.fourth_moments.restore(from, version, most)
    }

    /// What is held, in units of `scale`; the engine's are those of the last block.
    fn directions(&self, scale: &[f64], totals: CovarianceTotals) -> Result<Directions, LinalgError>
    where
        E: Clone,
    {
        if self.params.scale != Scale::Standard {
            return self.engine.directions(totals);
        }
        let pairs = self.moments.scale.iter().zip(scale);
        let ratios: Vec<f64> = pairs.map(|(old, new)| old / new).collect();
        if ratios.iter().any(|ratio| *ratio > MOVED) {
            let held = self.engine.directions(self.totals(&self.moments.scale))?;
            if held.noise > 0.0 {
                let own: Vec<f64> = (0..scale.len())
                    .map(|j| self.moments.second_moment(j) / (scale[j] * scale[j]))
                    .collect();
                return held.in_units(&ratios, &own, totals);
            }
        }
        let mut copy = self.engine.clone();
        copy.rescale(&ratios)?;
        copy.directions(totals)
    }

    /// Totals of all rows, in units of `scale`.
    pub(super) fn totals(&self, scale: &[f64]) -> CovarianceTotals {
        CovarianceTotals {
            total: self.moments.total_variance(scale),
            active: self.moments.active_features(),
            weight: self.moments.weight,
        }
    }
}

impl<E: Engine> Streaming<E>
where
    f32: Centred<E::Float>,
    f64: Centred<E::Float>,
    E::Float: Centred<E::Float>,
{
    /// Updates the moments and makes a block from the minibatch; true if the units have changed.
    ///
    /// # Errors
    /// If the minibatch has another number of features, or squares of its values underflow.
    pub(super) fn begin_block(&mut self, batch: &mut Minibatch) -> Result<bool, LearnError> {
        if batch.features() != self.moments.features() {
            return Err(LearnError::Features {
                expected: self.moments.features(),
                found: batch.features(),
            });
        }
        let rescaled = self
            .moments
            .update(batch, &mut self.centring, &mut self.block);
        // Beside larger features it is as good as constant; divided by its deviation it is not.
        if let Some(feature) = self.moments.underflowing()
            && (self.params.scale == Scale::Standard
                || self.moments.total_variance(&self.moments.scale) < UNDERFLOW)
        {
            return Err(LearnError::too_small(batch.first_row(), feature));
        }
        Ok(rescaled)
    }

    /// Lets the engine learn from the block, given the totals of all rows.
    ///
    /// # Errors
    /// If the block holds a non-finite value.
    pub(super) fn update_engine(&mut self, totals: CovarianceTotals) -> Result<(), LinalgError> {
        self.engine.update(&mut self.block, totals)
    }

    /// Updates the error bars from the block of `rows` original rows.
    pub(super) fn update_error_bars(&mut self, rows: usize) {
        let gamma = self.params.forgetting.factor_per_row();
        let place = Place {
            first: self.moments.rows - rows as u64,
            count: rows,
        };
        self.fourth_moments
            .update(&self.engine, &self.block, place, gamma, &mut self.scores);
    }
}

/// Why the algebra refused a minibatch.
pub(super) fn failed(batch: &Minibatch, source: LinalgError) -> LearnError {
    LearnError::NotFinite {
        first_row: batch.first_row(),
        source,
    }
}

impl<E: Engine + Clone> Learner for Streaming<E>
where
    f32: Centred<E::Float>,
    f64: Centred<E::Float>,
    E::Float: Centred<E::Float>,
{
    fn update(&mut self, mut batch: Minibatch) -> Result<Minibatch, LearnError> {
        if batch.rows() == 0 {
            return Ok(batch);
        }
        let rescaled = self.begin_block(&mut batch)?;
        if rescaled {
            let ratios = &self.centring.ratios;
            self.engine
                .rescale(ratios)
                .map_err(|source| failed(&batch, source))?;
        }
        let totals = self.totals(&self.moments.scale);
        self.update_engine(totals)
            .map_err(|source| failed(&batch, source))?;
        self.update_error_bars(batch.rows());
        batch.clear();
        Ok(batch)
    }

    fn summary(&self) -> Result<Summary, LearnError> {
        let failed = |source| LearnError::NotFinite {
            first_row: self.moments.rows,
            source,
        };
        let m = self.moments.features();
        let scale: Vec<f64> = (0..m).map(|j| self.moments.current_scale(j)).collect();
        let totals = self.totals(&scale);
        let directions = self.directions(&scale, totals).map_err(failed)?;
        Ok(Summary {
            rows: self.moments.rows,
            weight: self.moments.weight,
            squared_weight: self.moments.squared_weight,
            mean: self.moments.mean.clone(),
            variance: self.moments.variance.clone(),
            scale,
            constant: (0..m).map(|j| self.moments.is_constant(j)).collect(),
            observed: (0..m).map(|j| self.moments.observed_weight(j)).collect(),
            is_centered: self.params.center,
            is_scaled: self.params.scale == Scale::Standard,
            vectors: directions.vectors,
            eigenvalues: directions.eigenvalues,
            noise: directions.noise,
            max_rank: directions.max_rank,
            total: totals.total,
            active: totals.active,
            typical_variance: self.moments.typical_variance.variance(),
            long_run: self.fourth_moments.long_run(),
            is_widened: false,
            limits: None,
        })
    }

    fn save(&self, to: &mut Encoder) {
        self.moments.save(to);
        self.fourth_moments.save(to);
        self.engine.save(to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        self.restore_moments(from)?;
        self.engine.restore(from)
    }

    fn params(&self) -> &LearnerParams {
        &self.params
    }

    fn rows(&self) -> u64 {
        self.moments.rows
    }
}
