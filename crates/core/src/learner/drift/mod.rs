//! Drift detection: do the latest rows still come from the same distribution as the earlier ones?
//!
//! At some moment the learner's components, with a sketch of what lies outside them, become a
//! `Frame`. From then on every row yields bounded statistics in these coordinates: products of pairs
//! (variances, rotation out of the subspace or into each other, correlations outside it), the
//! coordinates themselves (the mean), the squared norm outside the components, and each feature and
//! its square. Two states keep means of these over blocks of rows: the short-term state over the
//! last two short half-lives, the long-term state over everything before. Whatever the frame, an
//! unchanged feed has the same means in both: the quality of the components decides which changes
//! are found, but never the rate of false alarms.
//!
//! After every block each of the p differences is divided by its standard error. By the union bound
//! over the p statistics and both signs, an alarm level of
//!
//!   u = Φ⁻¹(1 − r·n/(2p))    n rows per block, r false alarms per row
//!
//! gives at most r false alarms per row, however the statistics are correlated. The standard errors
//! include the autocorrelation of the blocks; where a difference is further from normal than that
//! (few independent rows, squares, heavy tails, a standard error from few blocks), it is scaled to
//! the same probability. Where rows depend on each other for so long that the short-term state is
//! worth fewer than four independent blocks, no law is known well enough: that statistic is not
//! judged, and [`Drift::news`] says so with the half-life that it takes.

mod frame;
mod windows;

use faer::Mat;

use self::frame::{Frame, Statistic};
use self::windows::{BLOCKS, Difference, Windows};
use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::quantile::normal_quantile;
use crate::learner::saved::finite;
use crate::learner::{LearnError, Learner};
use crate::linalg::{mean_sin2, thin_q};
use crate::rows::Minibatch;

/// Settings of [`Drift`]: what is watched, and the accepted rate of false alarms.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct DriftParams {
    /// Rows after which a row's weight in the short-term state has halved: a sudden change is found
    /// within about as many rows.
    pub short_half_life_rows: u64,
    /// Rows after which a row's weight in the long-term state has halved.
    pub long_half_life_rows: u64,
    /// Components watched, at most k.
    pub components: usize,
    /// False alarms per row on an unchanged feed; 0: report only, no alarm.
    pub false_alarms_per_row: f64,
    /// Seed of the random directions.
    pub seed: u64,
}

/// The largest kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum DriftKind {
    /// Directions: components rotated out of the subspace, or into each other.
    Rotation,
    /// Variances along the components, or outside them.
    Variance,
    /// Mean of the features.
    Mean,
}

/// Distance of the short-term state from the long-term state.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DriftReport {
    /// Kind of the largest score.
    pub kind: DriftKind,
    /// Largest difference of each kind, in standard errors: rotation, variance, mean.
    pub scores: [f64; 3],
    /// Score above which there is a drift; `None` if alarms are off.
    pub threshold: Option<f64>,
    /// √Σsin² of the angles between the principal subspaces of the two states, as estimated from
    /// the random directions.
    pub subspace_distance: f64,
    /// Share of the variance along the components in the short-term state.
    pub explained_variance_short: f64,
    /// Share of the variance along the components in the long-term state.
    pub explained_variance_long: f64,
    /// Number of drifts so far.
    pub events: u64,
    /// Statistics that cannot be judged, because rows depend on each other for about as long as the
    /// short half-life.
    #[cfg_attr(feature = "serde", serde(default))]
    pub unjudged: usize,
    /// Short half-life, in rows, with which they could be judged.
    #[cfg_attr(feature = "serde", serde(default))]
    pub needed_half_life_rows: Option<u64>,
}

impl DriftReport {
    /// The largest of the scores.
    pub fn score(&self) -> f64 {
        self.scores.iter().copied().fold(0.0, f64::max)
    }

    /// True if the largest score is above the threshold.
    pub fn is_drift(&self) -> bool {
        self.threshold
            .is_some_and(|threshold| self.score() > threshold)
    }
}

/// Statistics that cannot be judged with the short half-life, because rows depend on each other for
/// about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unjudged {
    /// How many.
    pub statistics: usize,
    /// The number of all.
    pub of: usize,
    /// Short half-life, in rows, with which they could be judged.
    pub needed_half_life_rows: u64,
}

/// Watches a feed alongside its learner.
#[derive(Debug)]
pub struct Drift {
    params: DriftParams,
    /// Rows seen since the frame was dropped.
    rows: u64,
    watched: Option<(Frame, Windows)>,
    last: Option<Difference>,
    events: u64,
    /// True if it was told that something cannot be judged.
    has_told: bool,
}

impl Drift {
    /// A detector that has seen no rows.
    pub fn new(params: DriftParams) -> Self {
        Self {
            params,
            rows: 0,
            watched: None,
            last: None,
            events: 0,
            has_told: false,
        }
    }

    /// The parameters it was created with.
    pub fn params(&self) -> &DriftParams {
        &self.params
    }

    /// Number of drifts so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What cannot be judged, the first time that there is something.
    pub fn news(&mut self) -> Option<Unjudged> {
        let found = self.last.as_ref().filter(|_| !self.has_told)?;
        let unjudged = Unjudged {
            statistics: found.unjudged,
            of: found.scores.len(),
            needed_half_life_rows: found.half_life_rows?,
        };
        self.has_told = true;
        Some(unjudged)
    }

    /// Takes in a minibatch that `learner` has not learned yet, in O(b·m·(k + 16)) time. If it
    /// reveals a drift, returns the report and starts over: later rows are compared only with rows
    /// since the drift.
    ///
    /// # Errors
    /// If the learner's state is not finite.
    pub fn update(
        &mut self,
        batch: &Minibatch,
        learner: &dyn Learner,
    ) -> Result<Option<DriftReport>, LearnError> {
        let rows = batch.rows() as u64;
        let Some((frame, windows)) = &mut self.watched else {
            self.rows += rows;
            if self.rows >= self.params.short_half_life_rows && learner.rows() > 0 {
                let of = Frame::of(learner, self.params.components, self.params.seed)?;
                self.watched = of.map(|frame| {
                    let windows = self.params.windows(&frame);
                    (frame, windows)
                });
                // Where nothing varies there is nothing to watch yet.
                self.rows = 0;
            }
            return Ok(None);
        };
        frame.add(batch, &mut windows.sums);
        if !windows.end_block(rows) {
            return Ok(None);
        }
        let u = self.params.limit(frame);
        self.last = windows.difference(frame.statistics(), u);
        let report = self.report().filter(DriftReport::is_drift);
        if report.is_some() {
            self.events += 1;
            self.watched = None;
            // Of the frame that is gone: the next one may have another number of statistics.
            self.last = None;
            self.rows = 0;
        }
        Ok(report.map(|report| DriftReport {
            events: self.events,
            ..report
        }))
    }

    /// Compares the two states at the end of the last block; `None` while the long-term state has
    /// too few rows.
    pub fn report(&self) -> Option<DriftReport> {
        let (frame, _) = self.watched.as_ref()?;
        let difference = self.last.as_ref()?;
        let scores = scores(frame, difference);
        let kinds = [DriftKind::Rotation, DriftKind::Variance, DriftKind::Mean];
        let mut largest = 0;
        for i in 1..3 {
            if scores[i] > scores[largest] {
                largest = i;
            }
        }
        Some(DriftReport {
            kind: kinds[largest],
            scores,
            threshold: (self.params.false_alarms_per_row > 0.0).then(|| self.params.limit(frame)),
            subspace_distance: subspace_distance(frame, difference),
            explained_variance_short: explained_variance(frame, &difference.short),
            explained_variance_long: explained_variance(frame, &difference.long),
            events: self.events,
            unjudged: difference.unjudged,
            needed_half_life_rows: difference.half_life_rows,
        })
    }

    /// Writes everything that later minibatches depend on.
    pub fn save(&self, to: &mut Encoder) {
        to.u8(VERSION);
        to.u64(self.params.short_half_life_rows);
        to.u64(self.params.long_half_life_rows);
        to.usize(self.params.components);
        to.f64(self.params.false_alarms_per_row);
        to.u64(self.params.seed);
        to.u64(self.events);
        to.u64(self.rows);
        to.bool(self.watched.is_some());
        if let Some((frame, windows)) = &self.watched {
            frame.save(to);
            windows.save(to);
        }
    }

    /// Restores a saved state with the same number of features; it then continues bit for bit.
    ///
    /// # Errors
    /// If the bytes are not a saved state.
    pub fn restore(from: &mut Decoder<'_>, features: usize) -> Result<Self, CodecError> {
        let version = from.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(from.refuse(format!("version {version}")));
        }
        let params = DriftParams {
            short_half_life_rows: from.u64()?,
            long_half_life_rows: from.u64()?,
            components: from.usize()?,
            false_alarms_per_row: finite(from)?,
            seed: from.u64()?,
        };
        let mut drift = Self::new(params);
        drift.events = from.u64()?;
        drift.rows = from.u64()?;
        let is_watched = from.bool()?;
        if is_watched && version == 1 {
            // Its statistics are not those of today: watching starts over.
            skip_version_1(from)?;
        } else if is_watched {
            let frame = Frame::restore(from, features)?;
            let mut windows = drift.params.windows(&frame);
            windows.restore(from)?;
            drift.last = windows.difference(frame.statistics(), drift.params.limit(&frame));
            drift.watched = Some((frame, windows));
        }
        Ok(drift)
    }
}

/// Version of the section `drift`.
const VERSION: u8 = 2;

/// Passes over a frame and windows of version 1.
fn skip_version_1(from: &mut Decoder<'_>) -> Result<(), CodecError> {
    let (_, directions) = (from.usize()?, from.usize()?);
    for _ in 0..3 {
        from.f64s()?;
    }
    from.f64()?;
    for _ in 0..directions {
        from.f32s()?;
    }
    from.f64s()?;
    from.u64()?;
    for _ in 0..from.usize()? {
        from.f64s()?;
    }
    from.u64()?;
    from.f64()?;
    from.f64()?;
    for _ in 0..4 {
        from.f64s()?;
    }
    Ok(())
}

impl DriftParams {
    /// The shortest short half-life that minibatches of this size allow: a block is at least one
    /// minibatch.
    pub fn least_half_life_rows(minibatch_rows: usize) -> u64 {
        (BLOCKS * minibatch_rows) as u64
    }

    fn block_rows(&self) -> u64 {
        self.short_half_life_rows.div_ceil(BLOCKS as u64).max(1)
    }

    fn windows(&self, frame: &Frame) -> Windows {
        let rows = self.block_rows();
        let long_blocks = self.long_half_life_rows as f64 / rows as f64;
        Windows::new(values(frame), rows, long_blocks.max(1.0))
    }

    /// u of the module documentation.
    fn limit(&self, frame: &Frame) -> f64 {
        let a_block = self.false_alarms_per_row * self.block_rows() as f64;
        let statistics = frame.statistics().count() as f64;
        // The quantile's expansion holds for small tails; without alarms, scores are only shown.
        normal_quantile((a_block / (2.0 * statistics)).clamp(1e-12, 0.05))
    }
}

/// The largest score of each kind.
fn scores(frame: &Frame, difference: &Difference) -> [f64; 3] {
    let mut largest = [0.0_f64; 3];
    for (statistic, score) in frame.statistics().zip(&difference.scores) {
        let kind = match statistic {
            Statistic::Product => 0,
            Statistic::Variance => 1,
            Statistic::Mean => 2,
        };
        largest[kind] = largest[kind].max(score.abs());
    }
    largest
}

/// Number of values that a state keeps means of.
fn values(frame: &Frame) -> usize {
    frame.statistics().count() + frame.reported()
}

/// E zₐzⱼ of the `means` that are reported, for a < k.
fn product(frame: &Frame, means: &[f64], a: usize, j: usize) -> f64 {
    let (a, j) = (a.min(j), a.max(j));
    let c = frame.width();
    let reported = &means[frame.statistics().count()..];
    reported[a * c - a * a.saturating_sub(1) / 2 + (j - a)]
}

/// √Σsin² of the angles between the principal subspaces of the two states.
fn subspace_distance(frame: &Frame, difference: &Difference) -> f64 {
    let short = subspace(frame, &difference.short);
    let long = subspace(frame, &difference.long);
    let k = frame.components as f64;
    (k * mean_sin2(short.as_ref().transpose(), long.as_ref().transpose())).sqrt()
}

/// Orthonormal columns that span the principal subspace of a state, (k+q)×k: one step of the power
/// method from the frame's components. The coordinates of the rest stand for a vector outside the
/// components: its entries, or sums of them with random signs, whose squares have the right mean.
fn subspace(frame: &Frame, means: &[f64]) -> Mat<f64> {
    let (k, c) = (frame.components, frame.width());
    let unit = |j: usize| match frame.eigenvalues.get(j) {
        Some(eigenvalue) => eigenvalue.sqrt(),
        None => frame.deviations[j - k],
    };
    let image = Mat::from_fn(c, k, |j, a| unit(j) * product(frame, means, a, j) * unit(a));
    thin_q(image.as_ref())
}

fn explained_variance(frame: &Frame, means: &[f64]) -> f64 {
    let along: f64 = (0..frame.components)
        .map(|a| frame.eigenvalues[a] * product(frame, means, a, a))
        .sum();
    let beside = frame.outside * means.last().copied().unwrap_or(0.0);
    along / (along + beside)
}
