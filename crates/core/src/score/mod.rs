//! Rows → scores, residual, T², likelihood, by the components of a snapshot.
//!
//! Everything is in f64, also for f32 rows: the products are bound by memory as much as by
//! arithmetic, and a residual that is a small part of a row keeps its precision. Rows are taken in
//! blocks that stay in the second-level cache: centred and scaled once, then one product with the
//! components.

mod cells;
mod copy;
mod laws;
mod probability;
mod tail;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

pub use crate::rows::Cells;
pub use cells::{Lane, Rows};

use crate::learner::{Estimate, Limits, NoiseModel, UnequalNoise};
use crate::linalg::product;
#[cfg(feature = "internals")]
use crate::rows::Minibatch;
use cells::Shifts;
use laws::Laws;
use probability::Probability;

/// Values of a block of centred rows: half a megabyte.
const BLOCK_VALUES: usize = 1 << 16;
/// Rows per block: with fewer the product waits for the components, and more gain nothing.
const BLOCK_ROWS: (usize, usize) = (32, 1024);
/// Most values of a block; wider rows give blocks of fewer rows.
const BLOCK_VALUES_MAX: usize = 1 << 23;
/// ‖z‖² − ‖s‖² loses digits when the residual is small; below this share of ‖z‖² the residual row
/// itself is computed, so that the residual is accurate to at least 1e-9.
const SHARE_MIN: f64 = 1e-4;
/// Components that are orthonormal to within this are taken as orthonormal.
const ORTHONORMAL: f64 = 1e-14;

/// Components prepared for scoring rows, whose columns may be in another order.
///
/// ```
/// use ojad_core::{Pca, Projection, ScoreBuffers, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut pca = Pca::builder().components(2).build(3)?;
/// pca.update(&Rows::from_f64(&values, 3))?;
/// let projection = Projection::of(&pca.estimate()?);
/// let mut buffers = ScoreBuffers::default();
/// for piece in values.chunks(300) {
///     let scores = projection.score_rows(&Rows::from_f64(piece, 3), &mut buffers);
///     assert_eq!(scores.residual.len(), 100);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Projection {
    /// Column of the minibatch for each feature, length m; `None` where it is the same.
    order: Option<Vec<usize>>,
    shifts: Shifts,
    /// Transposed components, Vᵀ, m×k.
    vectors: Mat<f64>,
    /// VVᵀ − I, k×k, unless negligible.
    skew: Option<Mat<f64>>,
    eigenvalues: Vec<f64>,
    probability: Option<Probability>,
    unequal_noise: Option<UnequalNoise>,
    laws: Laws,
}

/// Scores of b rows.
///
/// ```
/// use ojad_core::{Pca, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// let rows = Rows::from_f64(&values, 3);
/// let mut pca = Pca::builder().components(1).build(3)?;
/// pca.update(&rows)?;
/// let scores = pca.score(&rows)?;
/// // A row's squared length is that of its scores and of the rest.
/// let length = scores.components[0][7].powi(2) + scores.residual[7];
/// assert!((length - scores.squared_norm[7]).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// k columns of b scores.
    pub components: Vec<Vec<f64>>,
    /// ‖z − VᵀVz‖² of the centred, scaled row z, length b; squared scaled units.
    pub residual: Vec<f64>,
    /// Σ scoreᵢ²/eigenvalueᵢ over the components with a positive eigenvalue, length b.
    ///
    /// Source: Hotelling 1931; Jackson 1991, chapter 2.
    pub t2: Vec<f64>,
    /// Log-density of z under the model of the active components and the noise beyond them
    /// ([`Estimate::noise_model`]: equal, or unequal where the rows speak for it), length b; NaN
    /// where the estimate has no density (nothing varies, or nothing outside the active
    /// components).
    pub log_likelihood: Vec<f64>,
    /// Chance that a row lies as far out or farther by its Mahalanobis distance under equal noise, length b; NaN
    /// the same. [`Limits`] says by which distribution.
    pub p_value: Vec<f64>,
    /// Chance that a row has such a residual or a larger one, length b; NaN where there is nothing beyond the
    /// components.
    pub residual_p_value: Vec<f64>,
    /// Chance that a row has such a T² or a larger one, length b; NaN without components.
    pub t2_p_value: Vec<f64>,
    /// Squared Mahalanobis distance under equal noise, length b; NaN where the estimate has no density.
    pub distance: Vec<f64>,
    /// Squared length of each row, ‖z‖², length b.
    pub squared_norm: Vec<f64>,
}

impl Scores {
    /// Names of the columns beside the scores, in the order of [`Scores::into_columns`].
    #[cfg(feature = "internals")]
    pub const OTHERS: [&str; 6] = [
        "residual",
        "t2",
        "log_likelihood",
        "p_value",
        "residual_p_value",
        "t2_p_value",
    ];

    /// The columns: k of scores, and the others.
    #[cfg(feature = "internals")]
    pub fn into_columns(self) -> (Vec<Vec<f64>>, [Vec<f64>; 6]) {
        let others = [
            self.residual,
            self.t2,
            self.log_likelihood,
            self.p_value,
            self.residual_p_value,
            self.t2_p_value,
        ];
        (self.components, others)
    }

    /// True if the column of this name may lack values: where the estimate has no density, log-likelihood and p-values
    /// are NaN, which tables show as null.
    #[cfg(feature = "internals")]
    pub fn may_lack(column: &str) -> bool {
        column == "log_likelihood" || column.ends_with("p_value")
    }
}

/// Memory that is reused between calls.
///
/// ```
/// use ojad_core::{Pca, Projection, ScoreBuffers, Rows};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let values: Vec<f64> = (0..900).map(|i| (i as f64 * 0.7).sin()).collect();
/// # let mut pca = Pca::builder().components(2).build(3)?;
/// # pca.update(&Rows::from_f64(&values, 3))?;
/// let projection = Projection::of(&pca.estimate()?);
/// let mut buffers = ScoreBuffers::default(); // one for each thread that scores
/// let first = projection.score_rows(&Rows::from_f64(&values[..300], 3), &mut buffers);
/// let again = projection.score_rows(&Rows::from_f64(&values[..300], 3), &mut buffers);
/// assert_eq!(first.t2, again.t2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ScoreBuffers {
    z: Vec<f64>,
    outside: Vec<f64>,
    squared_norm: Vec<f64>,
    scores: Mat<f64>,
}

impl Default for ScoreBuffers {
    fn default() -> Self {
        Self {
            z: Vec::new(),
            outside: Vec::new(),
            squared_norm: Vec::new(),
            scores: Mat::new(),
        }
    }
}

/// The first `b` centred rows in `z`, b×m, in the layout of `rows`.
fn of_block<'a>(z: &'a [f64], rows: &Rows<'_>, b: usize, m: usize) -> MatRef<'a, f64> {
    if rows.is_row_major() {
        MatRef::from_row_major_slice(&z[..b * m], b, m)
    } else {
        MatRef::from_column_major_slice(&z[..b * m], b, m)
    }
}

impl UnequalNoise {
    /// Appends the log-likelihoods −½(m·ln 2π + ln|C| + zᵀΨ⁻¹z − ‖Gᵀz‖²) of the rows `z` (b×m).
    fn add(&self, z: MatRef<'_, f64>, to: &mut Vec<f64>) {
        let (b, m) = z.shape();
        let mut distance = vec![0.0; b];
        for (j, precision) in self.precision.iter().enumerate().take(m) {
            let both = distance.iter_mut().zip(z.col(j).iter());
            both.for_each(|(sum, v)| *sum += v * v * precision);
        }
        let within = product(z, &self.factors); // b×q
        for col in within.col_iter() {
            let both = distance.iter_mut().zip(col.iter());
            both.for_each(|(sum, v)| *sum -= v * v);
        }
        to.extend(
            distance
                .iter()
                .map(|distance| -0.5 * (self.norm + distance)),
        );
    }
}

impl Projection {
    /// Components of `estimate`; `order[j]` is the column of feature j in a minibatch.
    #[cfg(feature = "internals")]
    pub fn new(estimate: &Estimate, order: &[usize]) -> Self {
        let is_the_same = order.iter().copied().eq(0..estimate.features);
        Self {
            order: (!is_the_same).then(|| order.to_vec()),
            ..Self::of(estimate)
        }
    }

    /// Components of `estimate`, for rows of its features in their order.
    pub fn of(estimate: &Estimate) -> Self {
        Self {
            unequal_noise: estimate.unequal_noise(),
            ..Self::with_equal_noise(estimate)
        }
    }

    /// The same without the model of unequal noise, which only log-likelihoods need.
    pub(crate) fn with_equal_noise(estimate: &Estimate) -> Self {
        let (k, m) = (estimate.components(), estimate.features);
        let vectors = Mat::from_fn(m, k, |j, i| estimate.vector(i)[j]);
        let mut skew = product(vectors.transpose(), &vectors); // k×k
        for i in 0..k {
            // A row of zeros stands for a component that there is not yet: its scores are zero.
            if estimate.vector(i).iter().any(|entry| *entry != 0.0) {
                skew[(i, i)] -= 1.0;
            }
        }
        Self {
            order: None,
            shifts: Shifts::of(estimate),
            skew: (skew.norm_max() > ORTHONORMAL).then_some(skew),
            vectors,
            eigenvalues: estimate.eigenvalues.clone(),
            probability: Probability::new(estimate),
            unequal_noise: None,
            laws: Laws::of(estimate),
        }
    }

    /// The model of noise behind `log_likelihood`.
    pub fn noise_model(&self) -> NoiseModel {
        match self.unequal_noise {
            Some(_) => NoiseModel::Unequal,
            None => NoiseModel::Equal,
        }
    }

    /// Number of features, m.
    pub fn features(&self) -> usize {
        self.vectors.nrows()
    }

    /// Number of components, k.
    pub fn components(&self) -> usize {
        self.vectors.ncols()
    }

    /// The distributions behind the p-values.
    pub fn limits(&self) -> &Limits {
        &self.laws.limits
    }

    /// Scores every row; a missing value (NaN) counts as the mean.
    #[cfg(feature = "internals")]
    pub fn score(&self, batch: &Minibatch) -> Scores {
        let rows = Rows::of_minibatch(batch, self.order.as_deref());
        self.score_rows(&rows, &mut ScoreBuffers::default())
    }

    /// Scores every row; a missing value (NaN) counts as the mean.
    ///
    /// An infinite value makes the `squared_norm` of its row infinite or NaN.
    pub fn score_rows(&self, rows: &Rows<'_>, buffers: &mut ScoreBuffers) -> Scores {
        let mut scores = self.statistics(rows, buffers);
        scores.p_value = self.laws.distance.upper(&scores.distance);
        scores.residual_p_value = self.laws.residual.upper(&scores.residual);
        scores.t2_p_value = self.laws.t2.upper(&scores.t2);
        scores
    }

    /// Scores every row, without p-values.
    pub(crate) fn statistics(&self, rows: &Rows<'_>, buffers: &mut ScoreBuffers) -> Scores {
        let (b, m, k) = (rows.len(), self.features(), self.components());
        let mut scores = Scores {
            components: vec![Vec::with_capacity(b); k],
            residual: Vec::with_capacity(b),
            squared_norm: Vec::with_capacity(b),
            ..Scores::default()
        };
        // Very wide rows get fewer rows per block than the minimum, rather than gigabytes for a
        // block.
        let least = BLOCK_ROWS.0.min((BLOCK_VALUES_MAX / m.max(1)).max(1));
        let block = (BLOCK_VALUES / m.max(1)).clamp(least, BLOCK_ROWS.1).min(b);
        buffers.z.resize(block * m, 0.0);
        let mut unequal = Vec::new();
        for at in (0..b).step_by(block.max(1)) {
            self.block(rows, (at, block.min(b - at)), buffers, &mut scores);
            if let Some(model) = &self.unequal_noise {
                let b = block.min(b - at);
                model.add(of_block(&buffers.z, rows, b, m), &mut unequal);
            }
        }
        scores.t2 = vec![0.0; b];
        for (score, value) in scores.components.iter().zip(&self.eigenvalues) {
            if *value > 0.0 {
                let both = scores.t2.iter_mut().zip(score);
                both.for_each(|(t2, score)| *t2 += score * score / value);
            }
        }
        (scores.log_likelihood, scores.distance) = match &self.probability {
            Some(model) => model.of(&scores.components, &scores.residual),
            None => (vec![f64::NAN; b], vec![f64::NAN; b]),
        };
        if self.unequal_noise.is_some() {
            scores.log_likelihood = unequal;
        }
        scores
    }

    /// Scores the `b` rows from `at` on.
    fn block(
        &self,
        rows: &Rows<'_>,
        (at, b): (usize, usize),
        buffers: &mut ScoreBuffers,
        to: &mut Scores,
    ) {
        let (m, k) = (self.features(), self.components());
        let ScoreBuffers {
            z,
            outside,
            squared_norm,
            scores,
        } = buffers;
        let z = &mut z[..b * m];
        squared_norm.clear();
        squared_norm.resize(b, 0.0);
        rows.centre((at, b), &self.shifts, z, squared_norm);
        let z = of_block(z, rows, b, m);
        scores.resize_with(b, k, |_, _| 0.0);
        let to_scores = scores.as_mut();
        // zVᵀ: b×m · m×k
        matmul(to_scores, Accum::Replace, z, &self.vectors, 1.0, Par::Seq);
        let start = to.residual.len();
        to.residual.extend_from_slice(squared_norm);
        to.squared_norm.extend_from_slice(squared_norm);
        let residual = &mut to.residual[start..];
        for l in 0..k {
            let score = scores.col(l).try_as_col_major();
            let score = score.map_or(&[][..], |score| score.as_slice());
            let both = residual.iter_mut().zip(score);
            both.for_each(|(residual, score)| *residual -= score * score);
            to.components[l].extend_from_slice(score);
        }
        // ‖z − VᵀVz‖² = ‖z‖² − ‖s‖² + s(VVᵀ − I)sᵀ: merged or rounded components are not quite
        // orthonormal.
        if let Some(skew) = &self.skew {
            let turned = product(&*scores, skew); // b×k
            for l in 0..k {
                for i in 0..b {
                    residual[i] += turned[(i, l)] * scores[(i, l)];
                }
            }
        }
        let is_small = |i: usize| residual[i] < SHARE_MIN * squared_norm[i];
        // This is rare, so it is simplest to compute the residual rows of the whole block.
        if (0..b).any(is_small) {
            outside.resize(b * m, 0.0);
            let mut outside = MatMut::from_column_major_slice_mut(outside, b, m);
            outside.copy_from(z);
            let (by, back) = (&*scores, self.vectors.transpose());
            // z − sV: b×k · k×m
            matmul(outside.as_mut(), Accum::Add, by, back, -1.0, Par::Seq);
            for i in 0..b {
                if residual[i] < SHARE_MIN * squared_norm[i] {
                    residual[i] = outside.as_ref().row(i).squared_norm_l2();
                }
            }
        }
    }
}
