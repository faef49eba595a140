//! The short-term and long-term states: means over successive blocks.

use std::collections::VecDeque;

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::saved::{finite, finites};

/// Blocks per short half-life.
pub(super) const BLOCKS: usize = 16;

/// Blocks of the short-term state: two of its half-lives.
const SHORT: usize = 2 * BLOCKS;

/// Blocks needed in the long-term state before anything is judged.
pub(super) const CALIBRATION: u64 = 64;

/// A larger autocorrelation of blocks cannot be told from a trend.
const AUTOCORRELATION_MOST: f64 = 0.95;

/// Means of p statistics over the latest blocks and over all blocks before those.
///
/// The two share no rows, so their difference has the variance σ²(κₛ + κₗ), with σ² the variance of
/// a block's mean and κ = Σw² of the weights w (which sum to 1). If consecutive blocks are
/// autocorrelated with coefficient ρ > 0, it is larger by a factor of (1+ρ)/(1−ρ).
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
    last: Vec<f64>,
}

/// Difference of the two states.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Means of the short-term state.
    pub(super) short: Vec<f64>,
    /// Means of the long-term state.
    pub(super) long: Vec<f64>,
    /// Their difference in standard errors.
    pub(super) scores: Vec<f64>,
    /// Degrees of freedom of the standard errors.
    pub(super) freedom: f64,
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

    /// Compares the two; `None` before both are full.
    pub(super) fn difference(&self) -> Option<Difference> {
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
        let unbiased = long.weight * (1.0 - kappa_long);
        let scores = short.iter().enumerate().map(|(i, short)| {
            let variance = long.squares[i] / unbiased;
            // A negative correlation would make the error smaller, but the bound on false alarms
            // must not rely on it.
            let rho = (long.lagged[i] / long.squares[i]).clamp(0.0, AUTOCORRELATION_MOST);
            let of_difference = variance * (kappa_short + kappa_long) * (1.0 + rho) / (1.0 - rho);
            let score = (short - long.mean[i]) / of_difference.sqrt();
            // What never varied has no scale: rounding alone would be a drift.
            if score.is_finite() { score } else { 0.0 }
        });
        Some(Difference {
            scores: scores.collect(),
            short,
            long: long.mean.clone(),
            freedom: 1.0 / kappa_long - 1.0,
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
        for values in [&long.mean, &long.squares, &long.lagged, &long.last] {
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
        long.mean = finites(from, p)?;
        long.squares = finites(from, p)?;
        long.lagged = finites(from, p)?;
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
            self.squares[i] = decay * self.squares[i] + before * (y - self.mean[i]);
            let lagged = self.last.get(i).map_or(0.0, |last| last - self.mean[i]);
            self.lagged[i] = decay * self.lagged[i] + before * lagged;
        }
        self.last = block;
    }
}
