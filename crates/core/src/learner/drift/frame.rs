//! The coordinates in which rows are watched: the components at some moment, a sketch of the rest,
//! and each feature by itself.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::center::Centred;
use crate::learner::saved::{finite, finites};
use crate::learner::{Estimate, LearnError, Learner};
use crate::linalg::{LinalgError, Real};
use crate::rows::{Layout, Minibatch, Values};

/// Coordinates of the rest that many features share, each with a random sign: what happens to two of
/// them is thinned out (Charikar, Chen and Farach-Colton 2002).
const SKETCH: usize = 32;
/// Features up to which each has a coordinate of the rest of its own.
const OWN_MOST: usize = 64;

/// Variance of the rest of a feature, as a share of its own, that may be rounding.
const ROUNDING: f64 = 1e-9;

/// Standard deviations at which a coordinate is clipped before it is tested: this bounds the
/// statistics, so that a single outlier is not a drift, and the means soon become normal. Volatile
/// feeds raise several times as many false alarms with 4.
const CLIP: f32 = 3.0;
/// The same for the distances that are reported, which would come out too small for large changes.
const CLIP_REPORTED: f32 = 6.0;

/// k components and q coordinates of what lies outside them, scaled so that rows have unit
/// variance.
#[derive(Debug)]
pub(super) struct Frame {
    /// Number of components, k.
    pub(super) components: usize,
    /// Mean of each feature, length m.
    mean: Vec<f64>,
    /// The means as sums of two single-precision numbers.
    split: Vec<(f32, f32)>,
    /// 1 ÷ scale of each feature, length m.
    per_scale: Vec<f64>,
    /// 1 ÷ standard deviation of each feature, in scaled units, length m; 0 where it is constant.
    per_deviation: Vec<f32>,
    /// Eigenvalues, length k, squared scaled units.
    pub(super) eigenvalues: Vec<f64>,
    /// Standard deviation of each coordinate of the rest, length q, scaled units.
    pub(super) deviations: Vec<f64>,
    /// Variance outside the components, in squared scaled units; 0 if there is none.
    pub(super) outside: f64,
    /// m×(k+q): a centred, scaled row times it is the row's coordinates.
    directions: Mat<f32>,
    /// The centred, scaled rows of a minibatch.
    rows: Vec<f32>,
    /// Σ of their squares, one per row.
    squared_norm: Vec<f32>,
    /// Σ of each feature and of its square, in standard deviations and clipped, one per feature.
    of_features: Vec<f64>,
    of_squares: Vec<f64>,
    projected: Mat<f32>,
    /// Coordinates of a minibatch's rows, b×(k+q), clipped.
    coordinates: Mat<f32>,
    /// Products of the coordinates, (k+q)×(k+q).
    products: Mat<f32>,
    /// Coordinates and products for the report, b×(k+q) and k×(k+q).
    reported: Mat<f32>,
    reported_products: Mat<f32>,
}

/// The features in one coordinate of the rest, with their signs.
type Group = Vec<(usize, f64)>;

/// Divides m features into coordinates of the rest: one each, or at random.
fn groups(m: usize, seed: u64) -> Vec<Group> {
    if m <= OWN_MOST {
        return (0..m).map(|j| vec![(j, 1.0)]).collect();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = vec![Group::new(); SKETCH];
    for j in 0..m {
        let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
        groups[random.random_range(0..SKETCH)].push((j, sign));
    }
    groups
}

impl Frame {
    /// The frame for what a learner has learned; `None` while no direction varies.
    pub(super) fn of(
        learner: &dyn Learner,
        most: usize,
        seed: u64,
    ) -> Result<Option<Self>, LearnError> {
        let params = learner.params();
        let most = most.min(params.components);
        let estimate = learner.summary()?.estimate(most, params.penalty);
        let top = estimate.eigenvalues.first().copied().unwrap_or(0.0);
        let varies = estimate.eigenvalues.iter();
        // A component that consists of rounding alone has no variance to measure against.
        let k = varies.take_while(|v| **v > 1e-9 * top).count();
        if k == 0 {
            return Ok(None);
        }
        Self::with(&estimate, k, seed).map(Some)
    }

    fn with(estimate: &Estimate, k: usize, seed: u64) -> Result<Self, LearnError> {
        let m = estimate.features;
        let eigenvalues = estimate.eigenvalues[..k].to_vec();
        let outside = estimate.total_variance - eigenvalues.iter().sum::<f64>();
        // What rounding leaves is no variance.
        let varies = k < m && outside > ROUNDING * estimate.total_variance;
        // A feature without a value so far has no mean to deviate from.
        let both = estimate.scale.iter().zip(&estimate.observed);
        let per_scale = both.map(|(scale, seen)| if *seen > 0.0 { 1.0 / scale } else { 0.0 });
        let per_scale: Vec<f64> = per_scale.collect();
        let of_features = estimate.variance.iter().zip(&per_scale);
        let variances: Vec<f64> = of_features.map(|(v, unit)| v * unit * unit).collect();
        let per_root = |v: f64| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 };
        // Variance of each feature that no component accounts for.
        let rest = |j: usize| {
            let held: f64 = (0..k)
                .map(|i| eigenvalues[i] * estimate.vector(i)[j].powi(2))
                .sum();
            Some(variances[j] - held)
                .filter(|rest| *rest > ROUNDING * variances[j])
                .unwrap_or(0.0)
        };
        let groups = if varies { groups(m, seed) } else { Vec::new() };
        let deviations: Vec<f64> = groups
            .iter()
            .map(|group| group.iter().map(|(j, _)| rest(*j)).sum::<f64>().sqrt())
            .collect();
        let q = groups.len();
        let mut directions = Mat::<f32>::zeros(m, k + q);
        for i in 0..k {
            let unit = per_root(eigenvalues[i]);
            let vector = estimate.vector(i);
            (0..m).for_each(|j| directions[(j, i)] = (vector[j] * unit) as f32);
        }
        for (g, group) in groups.iter().enumerate() {
            let unit = per_root(deviations[g].powi(2));
            let mut direction = vec![0.0; m];
            for (j, sign) in group {
                direction[*j] = *sign;
            }
            for i in 0..k {
                let vector = estimate.vector(i);
                let along: f64 = group.iter().map(|(j, sign)| sign * vector[*j]).sum();
                let each = direction.iter_mut().zip(vector);
                each.for_each(|(d, v)| *d -= along * v);
            }
            let entries = direction.iter().enumerate();
            entries.for_each(|(j, d)| directions[(j, k + g)] = (d * unit) as f32);
        }
        if !(0..k + q).all(|j| (0..m).all(|i| directions[(i, j)].is_finite())) {
            return Err(LearnError::NotFinite {
                first_row: estimate.rows,
                source: LinalgError::NoConvergence,
            });
        }
        Ok(Self::new(
            (estimate.mean.clone(), per_scale),
            variances.iter().map(|v| per_root(*v) as f32).collect(),
            (eigenvalues, deviations),
            if varies { outside } else { 0.0 },
            directions,
        ))
    }

    fn new(
        (mean, per_scale): (Vec<f64>, Vec<f64>),
        per_deviation: Vec<f32>,
        (eigenvalues, deviations): (Vec<f64>, Vec<f64>),
        outside: f64,
        directions: Mat<f32>,
    ) -> Self {
        let split = mean.iter().map(|mean| {
            let high = *mean as f32;
            (high, (mean - f64::from(high)) as f32)
        });
        Self {
            components: eigenvalues.len(),
            split: split.collect(),
            of_features: vec![0.0; mean.len()],
            of_squares: vec![0.0; mean.len()],
            mean,
            per_scale,
            per_deviation,
            eigenvalues,
            deviations,
            outside,
            directions,
            rows: Vec::new(),
            squared_norm: Vec::new(),
            projected: Mat::new(),
            coordinates: Mat::new(),
            products: Mat::new(),
            reported: Mat::new(),
            reported_products: Mat::new(),
        }
    }

    /// Number of coordinates, k + q.
    pub(super) fn width(&self) -> usize {
        self.directions.ncols()
    }

    /// The statistics of a row, in order: products of each coordinate with itself and with each later
    /// one, the coordinates, the squared norm outside the components, the features, their squares.
    pub(super) fn statistics(&self) -> impl Iterator<Item = Statistic> + use<> {
        let (c, m) = (self.width(), self.mean.len());
        let pairs = (0..c).flat_map(move |a| {
            (a..c).map(move |j| {
                if a == j {
                    Statistic::Variance
                } else {
                    Statistic::Product
                }
            })
        });
        pairs
            .chain((0..c).map(|_| Statistic::Mean))
            .chain([Statistic::Variance])
            .chain((0..m).map(|_| Statistic::Mean))
            .chain((0..m).map(|_| Statistic::Variance))
    }

    /// The number of values of a row that are reported, not tested, and come after the statistics:
    /// products of each component's coordinate with itself and with each later coordinate, and the
    /// squared norm outside the components.
    pub(super) fn reported(&self) -> usize {
        let (k, c) = (self.components, self.width());
        k * c - k * (k - 1) / 2 + 1
    }

    /// Adds the statistics of every row of `batch`, and what is reported, to `sums`.
    pub(super) fn add(&mut self, batch: &Minibatch, sums: &mut [f64]) {
        self.center(batch);
        self.project(batch.rows(), batch.layout());
        let (b, k, c) = (batch.rows(), self.components, self.width());
        let arch = pulp::Arch::new();
        arch.dispatch(|| self.clip(b));
        let (mut squared_norm, mut reported_norm) = (0.0, 0.0);
        // Without variance outside, the ratio would be rounding divided by rounding.
        if self.outside > 0.0 {
            for left in &self.squared_norm {
                let left = if left.is_nan() { f32::MAX } else { *left };
                let share = (f64::from(left) / self.outside).max(0.0);
                squared_norm += share.min(f64::from(CLIP * CLIP));
                reported_norm += share.min(f64::from(CLIP_REPORTED * CLIP_REPORTED));
            }
        }
        let products = |to: &mut Mat<f32>, z: &Mat<f32>| {
            let (n, z) = (to.nrows(), z.subrows(0, b));
            let left = z.subcols(0, n).transpose();
            matmul(to.as_mut(), Accum::Replace, left, z, 1.0, Par::Seq);
        };
        products(&mut self.products, &self.coordinates);
        products(&mut self.reported_products, &self.reported);
        let mut sums = sums.iter_mut();
        let mut put = |value: f64| {
            if let Some(sum) = sums.next() {
                *sum += value;
            }
        };
        for a in 0..c {
            (a..c).for_each(|j| put(f64::from(self.products[(a, j)])));
        }
        for j in 0..c {
            put(moments(&self.coordinates.col_as_slice(j)[..b], 1.0)[0]);
        }
        put(squared_norm);
        self.of_features.iter().for_each(|sum| put(*sum));
        self.of_squares.iter().for_each(|sum| put(*sum));
        for a in 0..k {
            (a..c).for_each(|j| put(f64::from(self.reported_products[(a, j)])));
        }
        put(reported_norm);
    }

    /// Clips the projections of b rows, and leaves of each squared norm what lies outside the
    /// components.
    #[inline(always)]
    fn clip(&mut self, b: usize) {
        for j in 0..self.width() {
            let from = &self.projected.col_as_slice(j)[..b];
            if let Some(eigenvalue) = self.eigenvalues.get(j) {
                let eigenvalue = *eigenvalue as f32;
                let norms = self.squared_norm.iter_mut().zip(from);
                norms.for_each(|(left, z)| *left -= z * z * eigenvalue);
            }
            let to = self.reported.col_as_slice_mut(j);
            for (to, z) in to.iter_mut().zip(from) {
                // An infinity less an infinity: a row that is too far out to be told apart.
                let z = if z.is_nan() { CLIP_REPORTED } else { *z };
                *to = z.clamp(-CLIP_REPORTED, CLIP_REPORTED);
            }
            let from = &self.reported.col_as_slice(j)[..b];
            let to = self.coordinates.col_as_slice_mut(j).iter_mut();
            to.zip(from).for_each(|(to, z)| *to = z.clamp(-CLIP, CLIP));
        }
    }

    /// Centred, scaled rows in the minibatch's layout without gaps; missing values are set to the
    /// mean.
    fn center(&mut self, batch: &Minibatch) {
        let (b, m) = (batch.rows(), self.mean.len());
        self.rows.resize(b * m, 0.0);
        self.squared_norm.clear();
        self.squared_norm.resize(b, 0.0);
        self.of_features.fill(0.0);
        self.of_squares.fill(0.0);
        let arch = pulp::Arch::new();
        match batch.values() {
            Values::F32(values) => arch.dispatch(|| self.center_values(values, batch)),
            Values::F64(values) => arch.dispatch(|| self.center_values(values, batch)),
        }
    }

    #[inline(always)]
    fn center_values<T: Real + Centred<f32>>(&mut self, values: &[T], batch: &Minibatch) {
        let (b, m) = (batch.rows(), self.mean.len());
        let has_missing = batch.has_missing();
        let fill = |y: f32| if has_missing && y.is_nan() { 0.0 } else { y };
        let of = self.mean.iter().zip(&self.per_scale);
        match batch.layout() {
            Layout::RowMajor => {
                let rows = values.chunks(batch.row_stride());
                let rows = rows.zip(self.rows.chunks_exact_mut(m));
                for ((x, y), squared_norm) in rows.zip(&mut self.squared_norm) {
                    let of = of.clone().zip(&self.split);
                    for ((y, x), ((mean, per_scale), (high, low))) in y.iter_mut().zip(x).zip(of) {
                        *y = fill(x.centred(*mean, *high, *low) * *per_scale as f32);
                    }
                    *squared_norm = y.iter().map(|y| y * y).sum();
                    let sums = self.of_features.iter_mut().zip(&mut self.of_squares);
                    let sums = sums.zip(&self.per_deviation);
                    for (y, ((sum, squares), unit)) in y.iter().zip(sums) {
                        let z = f64::from(clipped(*y, *unit));
                        *sum += z;
                        *squares += z * z;
                    }
                }
            }
            Layout::ColumnMajor => {
                let columns = values.chunks(batch.col_stride());
                let columns = columns.zip(self.rows.chunks_exact_mut(b));
                let sums = self.of_features.iter_mut().zip(&mut self.of_squares);
                let sums = sums.zip(&self.per_deviation);
                let columns = columns.zip(of.zip(&self.split)).zip(sums);
                for (((x, y), ((mean, per_scale), (high, low))), ((sum, squares), unit)) in columns
                {
                    let per_scale = *per_scale as f32;
                    for ((y, x), squared_norm) in y.iter_mut().zip(x).zip(&mut self.squared_norm) {
                        *y = fill(x.centred(*mean, *high, *low) * per_scale);
                        *squared_norm += *y * *y;
                    }
                    [*sum, *squares] = moments(y, *unit);
                }
            }
        }
    }

    fn project(&mut self, b: usize, layout: Layout) {
        let (m, c) = (self.mean.len(), self.width());
        if self.projected.nrows() < b {
            self.projected = Mat::zeros(b, c);
            self.coordinates = Mat::zeros(b, c);
            self.reported = Mat::zeros(b, c);
        }
        if self.products.nrows() == 0 {
            self.products = Mat::zeros(c, c);
            self.reported_products = Mat::zeros(self.components, c);
        }
        let rows = match layout {
            Layout::RowMajor => MatRef::from_row_major_slice(&self.rows, b, m),
            Layout::ColumnMajor => MatRef::from_column_major_slice(&self.rows, b, m),
        };
        let to = self.projected.as_mut().subrows_mut(0, b);
        matmul(to, Accum::Replace, rows, &self.directions, 1.0, Par::Seq);
    }

    pub(super) fn save(&self, to: &mut Encoder) {
        to.usize(self.components);
        to.usize(self.width());
        to.f64s(&self.mean);
        to.f64s(&self.per_scale);
        to.f32s(&self.per_deviation);
        to.f64s(&self.eigenvalues);
        to.f64s(&self.deviations);
        to.f64(self.outside);
        for j in 0..self.width() {
            let column: Vec<f32> = self.directions.col(j).iter().copied().collect();
            to.f32s(&column);
        }
    }

    pub(super) fn restore(from: &mut Decoder<'_>, m: usize) -> Result<Self, CodecError> {
        let (k, c) = (from.usize()?, from.usize()?);
        if k == 0 || k > c || k > m || c - k > OWN_MOST.min(m) {
            return Err(from.refuse(format!("a frame of {k} components in {c} directions")));
        }
        let of = (finites(from, m)?, finites(from, m)?);
        let per_deviation = crate::learner::saved::finites_f32(from, m)?;
        let variances = (finites(from, k)?, finites(from, c - k)?);
        let outside = finite(from)?;
        let mut directions = Mat::zeros(m, c);
        for j in 0..c {
            let column = crate::learner::saved::finites_f32(from, m)?;
            for (i, entry) in column.into_iter().enumerate() {
                directions[(i, j)] = entry;
            }
        }
        Ok(Self::new(of, per_deviation, variances, outside, directions))
    }
}

/// What a statistic is a mean of, for rows in standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    /// Squares: 1 on average.
    Variance,
    /// Products of two coordinates.
    Product,
    /// Values: 0 on average.
    Mean,
}

/// A value in standard deviations.
#[allow(clippy::manual_clamp)]
#[inline(always)]
fn clipped(y: f32, per_deviation: f32) -> f32 {
    // In this order a NaN becomes a number.
    (y * per_deviation).max(-CLIP).min(CLIP)
}

/// Values whose sums are kept apart, so that they can be added at once.
const LANES: usize = 16;
/// Values after which a sum in f32 becomes one in f64.
const AT_ONCE: usize = 64 * LANES;

/// Σ of clipped values and of their squares.
#[inline(always)]
fn moments(values: &[f32], per_deviation: f32) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for part in values.chunks(AT_ONCE) {
        let (mut lanes, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (whole, rest) = part.as_chunks::<LANES>();
        for chunk in whole {
            for l in 0..LANES {
                let z = clipped(chunk[l], per_deviation);
                lanes[l] += z;
                squares[l] += z * z;
            }
        }
        for (l, y) in rest.iter().enumerate() {
            let z = clipped(*y, per_deviation);
            lanes[l] += z;
            squares[l] += z * z;
        }
        for (sum, lanes) in sums.iter_mut().zip([lanes, squares]) {
            *sum += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
        }
    }
    sums
}
