//! Running mean, variance and scale of every feature, and the blocks that they centre.
//!
//! In: minibatches. Out: [`Block`]s, and the moments of all rows so far, in f64 and O(m) memory.
//! Exact for any split into minibatches: even a mean 10⁶ times the signal costs no digits.

mod units;
mod weighted;

use self::units::concentrated;
use self::weighted::{Follow, Rows, Shares, Write};
use crate::learner::block::Block;
use crate::learner::center::{Apart, Centred, Centring, ColumnSums, InPlace, Shape, center};
use crate::learner::params::{LearnerParams, Scale};
use crate::learner::typical::TypicalVariance;
use crate::linalg::Real;
use crate::rows::{Buffer, Layout, Minibatch, Values};

/// While the earlier rows weigh less than this many minibatches, a block is centred on its own
/// mean: the running mean is not yet close to it, and f32 differences would lose digits.
const EARLY_MINIBATCHES: f64 = 8.0;

/// A feature whose variance is below this share of its squared mean is constant: the share is the
/// square of the relative rounding error of an f64 mean, with a margin for the sums.
pub(super) const CONSTANT_SHARE: f64 = 1e-26;

/// Below this, a variance is a sum of squares that f64 holds with few digits or none.
pub(super) const UNDERFLOW: f64 = 1e-290;

/// A feature whose standard deviation grows by this factor in one block has outgrown its scale.
const OUTGROWN: f64 = 1.25;

/// Number of squared-norm sums that run in parallel.
const NORM_LANES: usize = 8;

/// Running moments of m features.
#[derive(Clone, Debug)]
pub struct Moments {
    center: bool,
    scaled: bool,
    factor_per_row: f64,
    /// Number of rows learned from.
    pub rows: u64,
    /// N, the sum of the rows' weights.
    pub weight: f64,
    /// Sum of the squared weights: `weight²/squared_weight` is Kish's effective sample size.
    pub squared_weight: f64,
    /// μ, length m, feature units: of the observed values; 0 before the first.
    pub mean: Vec<f64>,
    /// Variance about μ, length m, squared feature units, divisor N. A missing value counts as μ
    /// wherever it occurred, so n observed values of variance v among N rows give v·n/N.
    pub variance: Vec<f64>,
    /// Divisor of each feature in the latest block, length m.
    pub scale: Vec<f64>,
    /// Weight of the observed values of each feature; empty until a value was missing.
    pub observed: Vec<f64>,
    /// Mean square ÷ squared mean of each feature's mean squares over blocks, by rows: 1 where all blocks vary alike,
    /// N/n where n rows make up all of the variance. Empty unless features are divided by their deviation.
    pub(super) concentration: Vec<f64>,
    /// A feature whose latest values differ by so little that their squares underflow.
    pub(super) underflowing: Option<usize>,
    /// Variance of ordinary rows, ignoring a few extreme ones.
    pub(super) typical_variance: TypicalVariance,
    pub(super) block_center: Vec<f64>,
    pub(super) zeros: Vec<f64>,
    /// Moments before a block, while it is made in two passes.
    two_pass: Before,
}

/// Weights of a block's rows, and what remains of the moments before them.
#[derive(Clone, Debug, Default)]
struct Before {
    weights: Vec<f64>,
    /// n₀, the weight of all earlier rows.
    prior_weight: f64,
    mean: Vec<f64>,
    observed: Vec<f64>,
    /// Features about which the state holds nothing that a change of scale would affect.
    empty: Vec<bool>,
}

impl Moments {
    /// Moments of zero rows.
    pub fn new(params: &LearnerParams, features: usize) -> Self {
        Self {
            center: params.center,
            scaled: params.scale == Scale::Standard,
            factor_per_row: params.forgetting.factor_per_row(),
            rows: 0,
            weight: 0.0,
            squared_weight: 0.0,
            mean: vec![0.0; features],
            variance: vec![0.0; features],
            scale: vec![1.0; features],
            observed: Vec::new(),
            concentration: match params.scale {
                Scale::Standard => vec![1.0; features],
                Scale::None => Vec::new(),
            },
            underflowing: None,
            typical_variance: TypicalVariance::default(),
            block_center: vec![0.0; features],
            zeros: vec![0.0; features],
            two_pass: Before::default(),
        }
    }

    /// Becomes a copy of `other`; allocates nothing if both are of the same size.
    pub(super) fn copy_from(&mut self, other: &Self) {
        let Self {
            center,
            scaled,
            factor_per_row,
            rows,
            weight,
            squared_weight,
            mean,
            variance,
            scale,
            observed,
            concentration,
            underflowing: _,
            typical_variance,
            block_center: _,
            zeros: _,
            two_pass: _,
        } = other;
        (self.center, self.scaled) = (*center, *scaled);
        (self.factor_per_row, self.rows) = (*factor_per_row, *rows);
        (self.weight, self.squared_weight) = (*weight, *squared_weight);
        self.mean.clone_from(mean);
        self.variance.clone_from(variance);
        if *scaled {
            self.scale.clone_from(scale);
        }
        self.observed.clone_from(observed);
        self.concentration.clone_from(concentration);
        self.typical_variance = *typical_variance;
    }

    /// A feature that moved in the latest minibatch by too little for its square to be known.
    pub(super) fn underflowing(&self) -> Option<usize> {
        self.underflowing
    }

    /// Number of features, m.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// True if the running mean is subtracted.
    pub fn is_centered(&self) -> bool {
        self.center
    }

    /// Weight of the observed values of feature `j`: 0 before the first, N where none is missing.
    pub fn observed_weight(&self, j: usize) -> f64 {
        self.observed.get(j).copied().unwrap_or(self.weight)
    }

    /// True if feature `j` has not varied so far.
    pub fn is_constant(&self, j: usize) -> bool {
        // What is missing does not vary; rounding comes from what was there.
        let share = self.observed_weight(j) / self.weight.max(f64::MIN_POSITIVE);
        self.variance[j] <= CONSTANT_SHARE * self.mean[j] * self.mean[j] * share
    }

    /// Features that carry variance: without centring, a constant other than zero does too.
    pub fn active_features(&self) -> usize {
        (0..self.features())
            .filter(|&j| !self.is_constant(j) || (!self.center && self.mean[j] != 0.0))
            .count()
    }

    /// Current divisor of feature `j`; a missing value counts as the mean.
    pub fn current_scale(&self, j: usize) -> f64 {
        if self.scaled && !self.is_constant(j) {
            self.variance[j].sqrt()
        } else {
            1.0
        }
    }

    /// What feature `j` adds to the trace of the matrix that is learned, squared feature units.
    pub fn second_moment(&self, j: usize) -> f64 {
        if !self.center {
            self.variance[j] + self.mean[j] * self.mean[j]
        } else if self.is_constant(j) {
            // What is left of a constant is rounding of its mean.
            0.0
        } else {
            self.variance[j]
        }
    }

    /// Trace of the matrix that is learned, in units of `scale`.
    pub fn total_variance(&self, scale: &[f64]) -> f64 {
        let features = scale.iter().enumerate();
        features.map(|(j, s)| self.second_moment(j) / (s * s)).sum()
    }

    /// Kish's effective number of rows, (Σw)²/Σw².
    pub fn effective_sample(&self) -> f64 {
        if self.squared_weight > 0.0 {
            self.weight * self.weight / self.squared_weight
        } else {
            0.0
        }
    }

    /// Takes in a minibatch: updates the moments and fills `block` in units of `scale`. If it
    /// returns true, `centring.ratios` holds old ÷ new scale. The minibatch's storage may be
    /// exchanged for the block's.
    pub fn update<T: Centred<T>>(
        &mut self,
        batch: &mut Minibatch,
        centring: &mut Centring<T>,
        block: &mut Block<T>,
    ) -> bool
    where
        f32: Centred<T>,
        f64: Centred<T>,
    {
        let has_missing = batch.has_missing();
        let shape = Shape {
            rows: batch.rows(),
            features: self.features(),
            layout: batch.layout(),
            stride: batch.row_stride().max(batch.col_stride()),
        };
        match batch.values_mut() {
            Values::F32(x) => self.update_from(x, shape, has_missing, centring, block),
            Values::F64(x) => self.update_from(x, shape, has_missing, centring, block),
        }
    }

    fn update_from<X: Centred<T>, T: Centred<T>>(
        &mut self,
        x: &mut Buffer<X>,
        shape: Shape,
        has_missing: bool,
        centring: &mut Centring<T>,
        block: &mut Block<T>,
    ) -> bool {
        let rows = shape.rows;
        let gamma = self.factor_per_row;
        block.decay = gamma.powf(rows as f64);
        block.prior_weight = self.weight * block.decay;
        block.weight = geometric(gamma, rows);
        block.mean_shrinkage = 0.0;
        self.squared_weight =
            self.squared_weight * gamma.powf(2.0 * rows as f64) + geometric(gamma * gamma, rows);
        // A single pass can neither weight rows nor skip missing values, and it needs a mean that
        // is already close.
        let early = block.prior_weight < EARLY_MINIBATCHES * block.weight;
        let rescaled = if early || gamma < 1.0 || has_missing || !self.observed.is_empty() {
            self.update_in_two_passes(x, shape, has_missing, centring, block)
        } else {
            self.update_in_one_pass(x, shape, centring, block)
        };
        self.weight = block.total();
        self.rows += rows as u64;
        if rescaled {
            self.typical_variance.rescale(&centring.ratios);
        }
        if rows > 1 {
            let half = 0.5 * block.squared_distance(rows / 3, 2 * rows / 3);
            self.typical_variance.update(half, block.decay);
        }
        rescaled
    }

    /// Sets the scale from the current moments. The ratios are old ÷ new, and 1 for a feature that
    /// was `empty`: its old scale was meaningless and must not stretch what a rule keeps in bulk.
    fn rescale<T: Real>(&mut self, centring: &mut Centring<T>, empty: &[bool]) -> bool {
        if !self.scaled {
            return false;
        }
        for j in 0..self.features() {
            let scale = self.block_scale(j);
            let is_empty = empty.get(j).copied().unwrap_or(false);
            centring.ratios[j] = if is_empty { 1.0 } else { self.scale[j] / scale };
            self.scale[j] = scale;
            centring.pivot.factor[j] = factor(scale);
        }
        true
    }

    /// Centres on the running mean: y, Σy and Σy² in one pass.
    fn update_in_one_pass<X: Centred<T>, T: Centred<T>>(
        &mut self,
        x: &mut Buffer<X>,
        shape: Shape,
        centring: &mut Centring<T>,
        block: &mut Block<T>,
    ) -> bool {
        let rescaled = self.rescale(centring, &[]);
        let Centring { pivot, sums, .. } = centring;
        if self.center {
            pivot.set_all(&self.mean);
        }
        if let Some(values) = X::same(x) {
            block.exchange(values, shape.rows, shape.layout, shape.stride);
            let mut values = InPlace(block.values_mut());
            center(&mut values, shape, pivot, sums);
        } else {
            block.begin(shape.rows, shape.layout);
            let stride = block.stride();
            let y = block.values_mut();
            center(&mut Apart { x, y, stride }, shape, pivot, sums);
        }
        let (s, n) = (block.weight, block.total());
        block.mean_shrinkage = if self.center {
            1.0 - (1.0 - s / n).sqrt()
        } else {
            0.0
        };
        block.squared_norm = pulp::Arch::new()
            .dispatch(|| self.update_from_sums(sums, &pivot.shift, &mut block.mean, s, n));
        if rescaled && (0..self.features()).any(|j| self.has_outgrown(j)) {
            self.rescale_block(centring, block);
        }
        rescaled
    }

    /// True if the latest block has far outgrown the scale of feature `j`.
    fn has_outgrown(&self, j: usize) -> bool {
        self.block_scale(j) > OUTGROWN * self.scale[j]
    }

    /// Sets the scale from the moments including the block, and converts the block to it: in units
    /// it has outgrown, a feature would displace directions that all earlier rows support.
    fn rescale_block<T: Real>(&mut self, centring: &mut Centring<T>, block: &mut Block<T>) {
        let share = block.removed_share() * block.weight;
        let Centring {
            pivot,
            sums,
            ratios,
        } = centring;
        block.squared_norm = 0.0;
        for j in 0..self.features() {
            let scale = self.block_scale(j);
            let ratio = self.scale[j] / scale;
            self.scale[j] = scale;
            ratios[j] *= ratio;
            pivot.factor[j] = factor(scale);
            let of_feature = sums.squares[j] - share * block.mean[j] * block.mean[j];
            block.squared_norm += of_feature.max(0.0) * ratio * ratio;
            block.mean[j] *= ratio;
            block.scale_feature(j, ratio);
        }
    }

    /// Moments from Σy and Σy²; returns Σ‖ỹ‖². Slices of equal length and no branches, so that the
    /// loop is vectorized.
    #[inline(always)]
    fn update_from_sums(
        &mut self,
        sums: &ColumnSums<impl Real>,
        pivot: &[f64],
        block_mean: &mut [f64],
        s: f64,
        n: f64,
    ) -> f64 {
        let taken = if self.center { s * s / n } else { 0.0 };
        let m = self.mean.len();
        let (sum, squares, scale) = (&sums.sum[..m], &sums.squares[..m], &self.scale[..m]);
        let (mean, variance) = (&mut self.mean[..m], &mut self.variance[..m]);
        let (pivot, block_mean) = (&pivot[..m], &mut block_mean[..m]);
        let (each, share, kept) = (1.0 / s, s / n, 1.0 - s / n);
        let mut squared_norm = [0.0; NORM_LANES];
        for (j, concentration) in self.concentration.iter_mut().enumerate() {
            let y = sum[j] * each;
            let about = (squares[j] * each - y * y).max(0.0) * scale[j] * scale[j];
            let moved = pivot[j] + y * scale[j] - mean[j];
            let block = about + kept * moved * moved;
            let (before, after) = (variance[j], kept * variance[j] + share * block);
            *concentration = concentrated(*concentration, before, block, share, after);
        }
        for j in 0..m {
            let y = sum[j] * each; // ȳ in block units
            block_mean[j] = y;
            let about = (squares[j] * each - y * y).max(0.0) * scale[j] * scale[j];
            // From the running mean to this block's, in feature units.
            let moved = pivot[j] + y * scale[j] - mean[j];
            variance[j] = kept * variance[j] + share * (about + kept * moved * moved);
            mean[j] += share * moved;
        }
        for (squares, y) in squares
            .chunks(NORM_LANES)
            .zip(block_mean.chunks(NORM_LANES))
        {
            for ((sum, square), y) in squared_norm.iter_mut().zip(squares).zip(y) {
                *sum += (square - taken * y * y).max(0.0);
            }
        }
        squared_norm.iter().sum()
    }

    /// Centres on the block's own mean, or on the running one where values were missing; with weights,
    /// and exact from the first row.
    fn update_in_two_passes<X: Centred<T>, T: Real>(
        &mut self,
        x: &[X],
        shape: Shape,
        has_missing: bool,
        centring: &mut Centring<T>,
        block: &mut Block<T>,
    ) -> bool {
        let Shape { rows, features, .. } = shape;
        let (s, n, decay) = (block.weight, block.total(), block.decay);
        let gamma = self.factor_per_row;
        if has_missing && self.observed.is_empty() {
            self.observed = vec![self.weight; features];
        }
        let (row, col) = match shape.layout {
            Layout::RowMajor => (shape.stride, 1),
            Layout::ColumnMajor => (1, shape.stride),
        };
        let mut before = std::mem::take(&mut self.two_pass);
        let weights = &mut before.weights;
        weights.clear();
        weights.extend((0..rows).map(|i| gamma.powf((rows - 1 - i) as f64)));
        let kept = block.prior_weight / n;
        before.prior_weight = block.prior_weight;
        before.mean.clone_from(&self.mean);
        let is_empty = |j| self.is_constant(j) && (self.center || self.mean[j] == 0.0);
        before.empty.clear();
        before.empty.extend((0..features).map(is_empty));
        before.observed.clear();
        before
            .observed
            .extend(self.observed.iter().map(|n| n * decay));
        self.weight = n;
        self.underflowing = None;
        let rows_of = Rows {
            x,
            row,
            col,
            weights: &before.weights,
        };
        pulp::Arch::new().dispatch(Follow {
            moments: self,
            rows: &rows_of,
            previous: &before.mean,
            shares: Shares { decay, s, n, kept },
        });
        let rescaled = self.rescale(centring, &before.empty);
        block.begin(rows, shape.layout);
        pulp::Arch::new().dispatch(Write {
            moments: self,
            rows: &rows_of,
            shape,
            pivot: &centring.pivot,
            block,
        });
        if block.prior_weight > 0.0 && (self.center || !self.observed.is_empty()) {
            block.push((0..features).map(|j| self.between(j, kept * s, &before)));
        }
        self.two_pass = before;
        block.mean.fill(0.0);
        block.squared_norm = block.sum_of_squares();
        rescaled
    }
}

impl Moments {
    /// Entry of feature `j` in the row that accounts for the distance of the earlier rows from the
    /// block's centre: √(n₀s/N) of the way to its own mean, √nⱼ of that to the running one.
    ///
    /// Without centring, what was missing before the first value becomes that value's mean; how
    /// such rows correlate with other features is no longer known.
    fn between(&self, j: usize, whole: f64, before: &Before) -> f64 {
        let moved = (self.block_center[j] - before.mean[j]) / self.scale[j];
        match before.observed.get(j) {
            None => whole.sqrt() * moved,
            Some(observed) if self.center => observed.sqrt() * moved,
            Some(observed) if *observed > 0.0 => 0.0,
            Some(_) => before.prior_weight.sqrt() * self.mean[j] / self.scale[j],
        }
    }
}

/// 1 ÷ scale, clamped to the range of T: the scale of a feature that stays missing fades with the
/// weight of its values, and a feature whose units are too small needs a wider T.
fn factor<T: Real>(scale: f64) -> T {
    T::of((1.0 / scale).min(T::LARGEST))
}

/// 1 + γ + … + γ^(rows−1).
fn geometric(gamma: f64, rows: usize) -> f64 {
    if gamma < 1.0 {
        // expm1 and ln_1p keep the digits of a γ next to 1.
        let log = (gamma - 1.0).ln_1p();
        (log * rows as f64).exp_m1() / log.exp_m1()
    } else {
        rows as f64
    }
}
