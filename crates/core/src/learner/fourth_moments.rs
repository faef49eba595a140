//! Fourth moments of the scores: what the error bars rest on instead of a Gaussian assumption.
//!
//! In: a sample of each block's rows, in the directions held at that time. Out: averages of zᵢ²,
//! zᵢ²zⱼ², ρ² and zᵢ²ρ² (z the scores, ρ² the squared length outside), weighted in proportion to
//! the rows that went before, so that early, poor directions fade as 1/N².

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};

use crate::learner::block::Block;
use crate::learner::engine::Engine;
use crate::linalg::Real;

/// One row in so many is sampled once the early blocks are through: the sample costs 3% of an
/// update then.
const SAMPLE_EVERY: usize = 16;

/// Rows of a block that are sampled at least.
const SAMPLE_AT_LEAST: usize = 16;

/// Weight of all earlier rows, in blocks, up to which every row is sampled.
const EARLY_BLOCKS: f64 = 8.0;

/// Running averages over h directions.
#[derive(Clone, Debug)]
pub struct FourthMoments {
    /// Averages E zᵢ², length h.
    pub square: Vec<f64>,
    /// Averages E zᵢ²zⱼ², h×h.
    pub quartic: Mat<f64>,
    /// Average of the squared length outside, E ρ².
    pub outside: f64,
    /// Averages E zᵢ²ρ², length h.
    pub with_outside: Vec<f64>,
    pub(super) blocks: usize,
    pub(super) squares: Mat<f64>,
    pub(super) sample_quartic: Mat<f64>,
}

impl Default for FourthMoments {
    fn default() -> Self {
        Self {
            square: Vec::new(),
            quartic: Mat::new(),
            outside: 0.0,
            with_outside: Vec::new(),
            blocks: 0,
            squares: Mat::new(),
            sample_quartic: Mat::new(),
        }
    }
}

impl FourthMoments {
    /// Looks at some of the block's first `rows` rows through the engine's directions; γ undoes the
    /// rows' weights.
    pub fn update<E: Engine>(
        &mut self,
        engine: &E,
        block: &Block<E::Float>,
        rows: usize,
        gamma: f64,
        scores: &mut Mat<E::Float>,
    ) {
        let basis = engine.basis();
        let h = basis.nrows();
        if h == 0 || rows == 0 {
            return;
        }
        let early = block.prior_weight < EARLY_BLOCKS * block.weight;
        let count = if early {
            rows
        } else {
            (rows / SAMPLE_EVERY).max(SAMPLE_AT_LEAST).min(rows)
        };
        // The sample wanders through the blocks, so that no period of the feed hides from it.
        let first = if count == rows {
            0
        } else {
            (self.blocks * count) % (rows - count + 1)
        };
        self.blocks += 1;
        let y = block.sub_rows(first, count);
        scores.resize_with(count, h, |_, _| E::Float::of(0.0));
        // count×h
        matmul(
            scores.as_mut(),
            Accum::Replace,
            y,
            basis.transpose(),
            E::Float::of(1.0),
            Par::Seq,
        );
        self.resize(h);
        self.squares.resize_with(count, h + 1, |_, _| 0.0);
        for i in 0..count {
            let weight = gamma.powf((rows - 1 - first - i) as f64);
            let mut inside = 0.0;
            for j in 0..h {
                let z = scores[(i, j)].wide();
                self.squares[(i, j)] = z * z / weight;
                inside += z * z;
            }
            let length = y.row(i).squared_norm_l2().wide();
            self.squares[(i, h)] = (length - inside).max(0.0) / weight;
        }
        self.average(h, count, (2.0 * block.weight / block.total()).min(1.0));
    }

    fn resize(&mut self, h: usize) {
        self.square.resize(h, 0.0);
        self.with_outside.resize(h, 0.0);
        self.quartic.resize_with(h, h, |_, _| 0.0);
        self.sample_quartic.resize_with(h + 1, h + 1, |_, _| 0.0);
    }

    fn average(&mut self, h: usize, count: usize, share: f64) {
        let s = self.squares.as_ref();
        let each = 1.0 / count as f64;
        matmul(
            self.sample_quartic.as_mut(),
            Accum::Replace,
            s.transpose(),
            s,
            each,
            Par::Seq,
        );
        let mix = |old: &mut f64, new: f64| *old += share * (new - *old);
        for j in 0..h {
            mix(&mut self.square[j], s.col(j).iter().sum::<f64>() * each);
            mix(&mut self.with_outside[j], self.sample_quartic[(h, j)]);
            for i in 0..h {
                let new = self.sample_quartic[(i, j)];
                mix(&mut self.quartic[(i, j)], new);
            }
        }
        mix(&mut self.outside, s.col(h).iter().sum::<f64>() * each);
    }

    /// Averages of `h` scores of unit variance with these fourth moments, and nothing known outside.
    pub fn from_relative(h: usize, relative: impl Fn(usize, usize) -> f64) -> Self {
        Self {
            square: vec![1.0; h],
            with_outside: vec![1.0; h],
            outside: 1.0,
            quartic: Mat::from_fn(h, h, relative),
            ..Self::default()
        }
    }

    /// E zᵢ²zⱼ² ÷ (E zᵢ²·E zⱼ²): 3 on the diagonal and 1 off it for Gaussian rows.
    pub fn relative(&self, i: usize, j: usize) -> f64 {
        if i < self.square.len() && j < self.square.len() {
            self.quartic[(i, j)] / (self.square[i] * self.square[j])
        } else {
            f64::NAN
        }
    }

    /// E zᵢ²ρ² ÷ (E zᵢ²·E ρ²): 1 for Gaussian rows, and where nothing lies outside.
    pub fn relative_outside(&self, i: usize) -> f64 {
        if self.outside > 0.0 && i < self.square.len() {
            self.with_outside[i] / (self.square[i] * self.outside)
        } else {
            1.0
        }
    }
}
