//! The coordinates in which rows are watched: the components at some moment, plus random
//! directions.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::center::Centred;
use crate::learner::saved::{finite, finites};
use crate::learner::{Estimate, LearnError, Learner};
use crate::linalg::{LinalgError, Real, thin_q};
use crate::rows::{Layout, Minibatch, Values};

/// Number of random directions besides the components: rows that leave the subspace show up in
/// these, whichever way they turn.
const SKETCH: usize = 16;

/// Standard deviations at which a coordinate is clipped: this bounds the statistics, so that a
/// single outlier is not a drift and the means soon become normal.
const CLIP: f64 = 6.0;

/// k components and q directions orthogonal to them, scaled so that rows have unit variance.
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
    /// Eigenvalues, length k, squared scaled units.
    pub(super) eigenvalues: Vec<f64>,
    /// Variance outside the components, in squared scaled units; 0 if there is none.
    pub(super) outside: f64,
    /// m×(k+q): a centred, scaled row times it is the row's coordinates.
    directions: Mat<f32>,
    /// The centred, scaled rows of a minibatch.
    rows: Vec<f32>,
    /// Σ of their squares, one per row.
    squared_norm: Vec<f32>,
    projected: Mat<f32>,
    /// Coordinates of a minibatch's rows, b×(k+q), clipped.
    coordinates: Mat<f64>,
    /// Products of the coordinates, k×(k+q).
    products: Mat<f64>,
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
        let beside = m - k;
        // What rounding leaves is no variance.
        let varies = beside > 0 && outside > 1e-9 * estimate.total_variance;
        let q = if varies { SKETCH.min(beside) } else { 0 };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let basis = Mat::from_fn(m, k + q, |i, j| {
            if j < k {
                estimate.vector(j)[i]
            } else {
                // Random signs: the QR below turns them into directions spread evenly outside the
                // components.
                f64::from(random.random::<bool>()) - 0.5
            }
        });
        let basis = thin_q(basis.as_ref());
        let unit = |j: usize| {
            let variance = eigenvalues.get(j).copied();
            1.0 / variance.unwrap_or(outside / beside as f64).sqrt()
        };
        let directions = Mat::from_fn(m, k + q, |i, j| {
            // Not from the QR, which may have flipped the signs of the components.
            let entry = if j < k {
                estimate.vector(j)[i]
            } else {
                basis[(i, j)]
            };
            (entry * unit(j)) as f32
        });
        if !(0..k + q).all(|j| (0..m).all(|i| directions[(i, j)].is_finite())) {
            return Err(LearnError::NotFinite {
                first_row: estimate.rows,
                source: LinalgError::NoConvergence,
            });
        }
        // A feature without a value so far has no mean to deviate from.
        let both = estimate.scale.iter().zip(&estimate.observed);
        let per_scale = both.map(|(scale, seen)| if *seen > 0.0 { 1.0 / scale } else { 0.0 });
        Ok(Self::new(
            (estimate.mean.clone(), per_scale.collect()),
            eigenvalues,
            if varies { outside } else { 0.0 },
            directions,
        ))
    }

    fn new(
        (mean, per_scale): (Vec<f64>, Vec<f64>),
        eigenvalues: Vec<f64>,
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
            mean,
            per_scale,
            eigenvalues,
            outside,
            directions,
            rows: Vec::new(),
            squared_norm: Vec::new(),
            projected: Mat::new(),
            coordinates: Mat::new(),
            products: Mat::new(),
        }
    }

    /// Number of coordinates, k + q.
    pub(super) fn width(&self) -> usize {
        self.directions.ncols()
    }

    /// Statistics of a row: products of a component's coordinate with that of each component from
    /// itself on and of each other direction, the coordinates, and the squared norm outside the
    /// components.
    pub(super) fn statistics(&self) -> usize {
        let (k, c) = (self.components, self.width());
        k * c - k * (k - 1) / 2 + c + 1
    }

    /// Adds the statistics of every row of `batch` to `sums`.
    pub(super) fn add(&mut self, batch: &Minibatch, sums: &mut [f64]) {
        self.center(batch);
        self.project(batch.rows(), batch.layout());
        let (b, k, c) = (batch.rows(), self.components, self.width());
        let mut squared_norm = 0.0;
        for i in 0..b {
            let mut left = f64::from(self.squared_norm[i]);
            for j in 0..c {
                let z = f64::from(self.projected[(i, j)]);
                // An infinity less an infinity: a row that is too far out to be told apart.
                let z = if z.is_nan() { CLIP } else { z };
                if j < k {
                    left -= z * z * self.eigenvalues[j];
                }
                self.coordinates[(i, j)] = z.clamp(-CLIP, CLIP);
            }
            // Without variance outside, the ratio would be rounding divided by rounding.
            if self.outside > 0.0 {
                let left = if left.is_nan() { f64::MAX } else { left };
                squared_norm += (left / self.outside).clamp(0.0, CLIP * CLIP);
            }
        }
        let z = self.coordinates.subrows(0, b);
        matmul(
            self.products.as_mut(),
            Accum::Replace,
            z.subcols(0, k).transpose(),
            z,
            1.0,
            Par::Seq,
        );
        let mut sums = sums.iter_mut();
        let mut put = |value: f64| {
            if let Some(sum) = sums.next() {
                *sum += value;
            }
        };
        for a in 0..k {
            (a..c).for_each(|j| put(self.products[(a, j)]));
        }
        for j in 0..c {
            put((0..b).map(|i| self.coordinates[(i, j)]).sum());
        }
        put(squared_norm);
    }

    /// Centred, scaled rows in the minibatch's layout without gaps; missing values are set to the
    /// mean.
    fn center(&mut self, batch: &Minibatch) {
        let (b, m) = (batch.rows(), self.mean.len());
        self.rows.resize(b * m, 0.0);
        self.squared_norm.clear();
        self.squared_norm.resize(b, 0.0);
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
                }
            }
            Layout::ColumnMajor => {
                let columns = values.chunks(batch.col_stride());
                let columns = columns.zip(self.rows.chunks_exact_mut(b));
                for ((x, y), ((mean, per_scale), (high, low))) in columns.zip(of.zip(&self.split)) {
                    let per_scale = *per_scale as f32;
                    for ((y, x), squared_norm) in y.iter_mut().zip(x).zip(&mut self.squared_norm) {
                        *y = fill(x.centred(*mean, *high, *low) * per_scale);
                        *squared_norm += *y * *y;
                    }
                }
            }
        }
    }

    fn project(&mut self, b: usize, layout: Layout) {
        let (m, c) = (self.mean.len(), self.width());
        if self.projected.nrows() < b {
            self.projected = Mat::zeros(b, c);
            self.coordinates = Mat::zeros(b, c);
        }
        if self.products.nrows() == 0 {
            self.products = Mat::zeros(self.components, c);
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
        to.f64s(&self.eigenvalues);
        to.f64(self.outside);
        for j in 0..self.width() {
            let column: Vec<f32> = self.directions.col(j).iter().copied().collect();
            to.f32s(&column);
        }
    }

    pub(super) fn restore(from: &mut Decoder<'_>, m: usize) -> Result<Self, CodecError> {
        let (k, c) = (from.usize()?, from.usize()?);
        if k == 0 || k > c || k > m || c > k + SKETCH {
            return Err(from.refuse(format!("a frame of {k} components in {c} directions")));
        }
        let of = (finites(from, m)?, finites(from, m)?);
        let eigenvalues = finites(from, k)?;
        let outside = finite(from)?;
        let mut directions = Mat::zeros(m, c);
        for j in 0..c {
            let column = crate::learner::saved::finites_f32(from, m)?;
            for (i, entry) in column.into_iter().enumerate() {
                directions[(i, j)] = entry;
            }
        }
        Ok(Self::new(of, eigenvalues, outside, directions))
    }
}
