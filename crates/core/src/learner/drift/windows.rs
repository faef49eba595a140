//! The short-term and long-term states: means over successive blocks.

use std::collections::VecDeque;

use super::frame::Statistic;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::quantile::{chi_square, student};
use crate::learner::saved::{finite, finites};

/// Blocks per short half-life.
pub(super) const BLOCKS: usize = 16;

/// Blocks of the short-term state: two of its half-lives.
const SHORT: usize = 2 * BLOCKS;

/// Blocks needed in the long-term state before anything is judged.
pub(super) const CALIBRATION: u64 = 64;

/// A larger autocorrelation of blocks cannot be told from a trend.
const AUTOCORRELATION_MOST: f64 = 0.98;

/// Independent blocks that the short-term state must be worth: with fewer, no law of its means is
/// known well enough for a rate of false alarms of one in millions.
const INDEPENDENT_LEAST: f64 = 4.0;
/// The same for the half-life that is proposed.
const INDEPENDENT_WANTED: f64 = 8.0;

/// Means of p statistics over the latest blocks and over all blocks before those.
///
/// The two share no rows, so their difference has the variance σ²(κₛ + κₗ)F, with σ² the variance of
/// a block's mean, κ = Σw² of the weights w (which sum to 1), and F = (1+ρ)/(1−ρ) if consecutive
/// blocks are autocorrelated with coefficient ρ > 0 (Bartlett 1946). The error of ρ is added to it,
/// because among many statistics those whose ρ came out too small would raise the alarms. A slow
/// component beside much noise has a small ρ that lasts: where the variance of means over a
/// half-life (16 blocks) is significantly larger than this, it counts.
///
/// A mean over few independent rows is not normal: that of squares is skewed like a gamma variable
/// with the same mean and variance, that of products has the tails of a difference of two, and rows
/// with heavy tails have more of both. So each statistic has its own quantile (see `limit`).
#[derive(Debug)]
pub(super) struct Windows {
    /// Rows per block.
    block_rows: u64,
    /// Factor by which a block of the long-term state loses weight with each further block.
    decay: f64,
    /// Sums of the current block.
    pub(super) sums: Vec<f64>,
    rows: u64,
    /// Means of the latest blocks, newest first.
    recent: VecDeque<Vec<f64>>,
    long: Long,
}

#[derive(Debug, Default)]
struct Long {
    blocks: u64,
    /// Σw and Σw² of the blocks, newest 1.
    weight: f64,
    squared_weight: f64,
    mean: Vec<f64>,
    /// Σw(y − mean)², weighted sums of squares.
    squares: Vec<f64>,
    /// Σw(y − mean)(y' − mean), y' the previous block.
    lagged: Vec<f64>,
    /// Σw(y − mean)³ and Σw(y − mean)⁴.
    cubes: Vec<f64>,
    fourths: Vec<f64>,
    /// Sums of the blocks of the current half-life, and how many they are.
    life: Vec<f64>,
    life_blocks: u64,
    /// Σw and Σw² of the half-lives, and Σw(ȳ − mean)² of their means.
    life_weight: f64,
    life_squared_weight: f64,
    life_squares: Vec<f64>,
    last: Vec<f64>,
}

/// Difference of the two states.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Means of the short-term state.
    pub(super) short: Vec<f64>,
    /// Means of the long-term state.
    pub(super) long: Vec<f64>,
    /// Their difference in standard errors, scaled such that a standard normal variable exceeds it as
    /// often; 0 where that cannot be told.
    pub(super) scores: Vec<f64>,
    /// Statistics whose rows depend on each other for so long that they cannot be judged.
    pub(super) unjudged: usize,
    /// Short half-life, in rows, with which they could be.
    pub(super) half_life_rows: Option<u64>,
}

impl Windows {
    pub(super) fn new(statistics: usize, block_rows: u64, long_blocks: f64) -> Self {
        Self {
            block_rows,
            decay: 0.5_f64.powf(1.0 / long_blocks),
            sums: vec![0.0; statistics],
            rows: 0,
            recent: VecDeque::new(),
            long: Long {
                mean: vec![0.0; statistics],
                squares: vec![0.0; statistics],
                lagged: vec![0.0; statistics],
                cubes: vec![0.0; statistics],
                fourths: vec![0.0; statistics],
                life: vec![0.0; statistics],
                life_squares: vec![0.0; statistics],
                ..Long::default()
            },
        }
    }

    /// Ends the block if it is full after `rows` new rows; returns whether it was.
    pub(super) fn end_block(&mut self, rows: u64) -> bool {
        self.rows += rows;
        if self.rows < self.block_rows {
            return false;
        }
        let n = self.rows as f64;
        self.recent
            .push_front(self.sums.iter().map(|sum| sum / n).collect());
        self.sums.fill(0.0);
        self.rows = 0;
        if self.recent.len() > SHORT
            && let Some(block) = self.recent.pop_back()
        {
            self.long.update(block, self.decay);
        }
        true
    }

    /// Compares the two, for the normal quantile `u` of an alarm; `None` before both are full.
    pub(super) fn difference(
        &self,
        kinds: impl Iterator<Item = Statistic>,
        u: f64,
    ) -> Option<Difference> {
        if self.long.blocks < CALIBRATION {
            return None;
        }
        let weights: Vec<f64> = (0..self.recent.len())
            .map(|j| 0.5_f64.powf(j as f64 / BLOCKS as f64))
            .collect();
        let total: f64 = weights.iter().sum();
        let kappa_short = weights.iter().map(|w| w * w).sum::<f64>() / (total * total);
        let mut short = vec![0.0; self.sums.len()];
        for (block, weight) in self.recent.iter().zip(&weights) {
            for (mean, y) in short.iter_mut().zip(block) {
                *mean += weight / total * y;
            }
        }
        let long = &self.long;
        let kappa_long = long.squared_weight / (long.weight * long.weight);
        let error = kappa_long.sqrt();
        let (mut unjudged, mut slowest) = (0, 0.0_f64);
        let mut scores = vec![0.0; short.len()];
        for (i, kind) in kinds.enumerate().take(short.len()) {
            let squares = long.squares[i];
            let variance = squares / (long.weight * (1.0 - kappa_long));
            // A negative correlation would make the error smaller, but the bound on false alarms
            // must not rely on it.
            let rho = (long.lagged[i] / squares + error).clamp(0.0, AUTOCORRELATION_MOST);
            let dependence = ((1.0 + rho) / (1.0 - rho)).max(long.of_lives(i) / variance);
            let squared_error = variance * (kappa_short + kappa_long) * dependence;
            let score = (short[i] - long.mean[i]) / squared_error.sqrt();
            // What never varied has no scale: rounding alone would be a drift.
            if !score.is_finite() {
                continue;
            }
            if kappa_short * dependence * INDEPENDENT_LEAST > 1.0 {
                unjudged += 1;
                slowest = slowest.max(dependence);
                continue;
            }
            // Skewness and excess kurtosis of a mean of 1/κF independent blocks.
            let share = (kappa_short * dependence).min(1.0);
            let skewness = long.cubes[i] / long.weight / variance.powf(1.5);
            let kurtosis = long.fourths[i] / long.weight / (variance * variance) - 3.0;
            let law = Law {
                skewness: skewness * score.signum() * share.sqrt(),
                kurtosis: kurtosis * share,
                freedom: (1.0 / kappa_long - 1.0) / dependence,
            };
            let law = law.at_least(kind, variance * share, score > 0.0);
            scores[i] = score * u / law.limit(u);
        }
        let blocks = slowest * kappa_short * INDEPENDENT_WANTED;
        let half_life = blocks * (BLOCKS as u64 * self.block_rows) as f64;
        Some(Difference {
            scores,
            short,
            long: long.mean.clone(),
            unjudged,
            half_life_rows: (unjudged > 0).then(|| rounded_up(half_life)),
        })
    }

    pub(super) fn save(&self, to: &mut Encoder) {
        to.f64s(&self.sums);
        to.u64(self.rows);
        to.usize(self.recent.len());
        self.recent.iter().for_each(|block| to.f64s(block));
        let long = &self.long;
        to.u64(long.blocks);
        to.f64(long.weight);
        to.f64(long.squared_weight);
        to.u64(long.life_blocks);
        to.f64(long.life_weight);
        to.f64(long.life_squared_weight);
        for values in [
            &long.life,
            &long.life_squares,
            &long.mean,
            &long.squares,
            &long.lagged,
            &long.cubes,
            &long.fourths,
            &long.last,
        ] {
            to.f64s(values);
        }
    }

    /// Reads what windows of the same size have written.
    pub(super) fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        let p = self.sums.len();
        self.sums = finites(from, p)?;
        self.rows = from.u64()?;
        let recent = from.usize()?;
        if recent > SHORT {
            return Err(from.refuse(format!("{recent} recent blocks")));
        }
        for _ in 0..recent {
            self.recent.push_back(finites(from, p)?);
        }
        let long = &mut self.long;
        long.blocks = from.u64()?;
        long.weight = finite(from)?;
        long.squared_weight = finite(from)?;
        long.life_blocks = from.u64()?;
        long.life_weight = finite(from)?;
        long.life_squared_weight = finite(from)?;
        long.life = finites(from, p)?;
        long.life_squares = finites(from, p)?;
        long.mean = finites(from, p)?;
        long.squares = finites(from, p)?;
        long.lagged = finites(from, p)?;
        long.cubes = finites(from, p)?;
        long.fourths = finites(from, p)?;
        long.last = if long.blocks == 0 {
            finites(from, 0)?
        } else {
            finites(from, p)?
        };
        Ok(())
    }
}

impl Long {
    /// Adds a block's means (West 1979, weighted mean and sum of squares).
    fn update(&mut self, block: Vec<f64>, decay: f64) {
        self.blocks += 1;
        self.weight = decay * self.weight + 1.0;
        self.squared_weight = decay * decay * self.squared_weight + 1.0;
        for (i, y) in block.iter().enumerate() {
            let before = y - self.mean[i];
            self.mean[i] += before / self.weight;
            let after = y - self.mean[i];
            self.squares[i] = decay * self.squares[i] + before * after;
            self.cubes[i] = decay * self.cubes[i] + before * after * after;
            self.fourths[i] = decay * self.fourths[i] + before * after.powi(3);
            let lagged = self.last.get(i).map_or(0.0, |last| last - self.mean[i]);
            self.lagged[i] = decay * self.lagged[i] + before * lagged;
            self.life[i] += y;
        }
        self.last = block;
        self.life_blocks += 1;
        if self.life_blocks == BLOCKS as u64 {
            self.end_life(decay.powf(BLOCKS as f64));
        }
    }

    /// Adds the means over a half-life, whose blocks are complete.
    fn end_life(&mut self, decay: f64) {
        self.life_weight = decay * self.life_weight + 1.0;
        self.life_squared_weight = decay * decay * self.life_squared_weight + 1.0;
        for ((life, squares), mean) in self
            .life
            .iter_mut()
            .zip(&mut self.life_squares)
            .zip(&self.mean)
        {
            let deviation = *life / BLOCKS as f64 - mean;
            *squares = decay * *squares + deviation * deviation;
            *life = 0.0;
        }
        self.life_blocks = 0;
    }

    /// 16 times the variance of means over half-lives, which is that of a block if blocks are
    /// independent, less its own standard error; 0 while there are few.
    fn of_lives(&self, i: usize) -> f64 {
        let kappa = self.life_squared_weight / (self.life_weight * self.life_weight);
        let certain = 1.0 - (2.0 * kappa).sqrt();
        if self.life_weight == 0.0 || certain <= 0.0 {
            return 0.0;
        }
        BLOCKS as f64 * self.life_squares[i] / self.life_weight * certain
    }
}

/// The law of a score, near normal.
struct Law {
    /// Skewness towards the side of the score.
    skewness: f64,
    /// Excess kurtosis.
    kurtosis: f64,
    /// Degrees of freedom of the standard error.
    freedom: f64,
}

impl Law {
    /// Not closer to normal than the same statistic of Gaussian rows, for which its mean is one of
    /// χ² variables (squares) or of products of two normal ones, with this `variance`.
    fn at_least(self, kind: Statistic, variance: f64, is_above: bool) -> Self {
        let (skewness, kurtosis) = match kind {
            Statistic::Variance if is_above => (2.0 * variance.sqrt(), 0.0),
            Statistic::Variance | Statistic::Mean => (0.0, 0.0),
            Statistic::Product => (0.0, 6.0 * variance),
        };
        Self {
            skewness: self.skewness.max(skewness),
            kurtosis: self.kurtosis.max(kurtosis),
            ..self
        }
    }

    /// The value that it exceeds as often as a standard normal variable exceeds `u`.
    ///
    /// Sources: Student's quantile by Abramowitz and Stegun 1964, 26.7.5; a skewed one as of the
    /// gamma variable of this skewness, by Wilson and Hilferty 1931; one with a kurtosis by the
    /// expansion of Cornish and Fisher 1938.
    fn limit(&self, u: f64) -> f64 {
        let student = student(u, self.freedom) / u;
        let skewed = if self.skewness > 1e-6 {
            // A gamma variable of shape a = 4/skewness² is half a χ² one with 2a degrees of freedom.
            let shape = 4.0 / (self.skewness * self.skewness);
            (0.5 * chi_square(u, 2.0 * shape) - shape) / shape.sqrt()
        } else {
            u
        };
        let tailed = u + self.kurtosis * (u.powi(3) - 3.0 * u) / 24.0;
        student * skewed.max(tailed).max(u)
    }
}

/// A number of rows of at least this size with one digit: 1, 2 or 5, and zeros.
fn rounded_up(rows: f64) -> u64 {
    let decade = 10.0_f64.powf(rows.max(1.0).log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| d * decade >= rows);
    (digit.unwrap_or(10.0) * decade) as u64
}
