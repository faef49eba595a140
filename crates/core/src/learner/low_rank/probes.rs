//! Probes: random directions that collect what each minibatch's truncation discards, until it
//! becomes significant.
//!
//! A direction that is always just below the cut of each minibatch ("drip") never enters U, however
//! much it accumulates. A few probes V outside U therefore run the block power method over long
//! epochs: Z = mean of ỹ(ỹᵀV) over the epoch has no cut at all, and its Nyström form gives
//! directions with their variance. An epoch is half as long as everything before it. At its end,
//! directions that outweigh the weakest held ones replace them; the rest start the next epoch, so
//! that the power iteration continues.
//!
//! Source: Mitliagkas, Caramanis, Jain 2013, Algorithm 1 (block-stochastic power method).

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::low_rank::scores::rows_of;
use crate::learner::product_float::{ProductFloat, converted};
use crate::learner::saved::{finite, finites};
use crate::learner::state::WITH_RECENT;
use crate::linalg::{LinalgError, Scratch, Spectrum, product};

/// c: the number of columns that the microkernels of f32 products process at a time.
const PROBES: usize = 4;

/// Once an epoch is this many blocks long, a quarter of its blocks is enough: sampling all of them
/// would cost a sixth of an update with four probes and twenty held directions.
const LONG_EPOCH_BLOCKS: f64 = 32.0;

/// 2⁶⁴ ÷ the golden ratio: its multiples modulo 2⁶⁴ are evenly spread and aperiodic, so that no
/// rhythm of the feed can hide from the sampled blocks.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Weight of an epoch relative to everything before it.
const EPOCH_SHARE: f64 = 0.5;

/// Range of the probes' squared lengths that changes of units may lead to within an epoch.
const UNIT_LENGTHS: std::ops::Range<f64> = 0.5..2.0;

/// c probes outside the held directions, and what the epoch has gathered with them.
#[derive(Clone)]
pub struct Probes<T> {
    features: usize,
    count: usize,
    is_active: bool,
    /// Seed of the next random start; it counts up, so that the state is plain data.
    seed: u64,
    /// Z, c×m: mean of P̃ᵀỸ over the epoch's rows.
    gathered: Vec<T>,
    /// Weight of the rows sampled in this epoch.
    weight: f64,
    /// Weight of all rows of this epoch.
    elapsed: f64,
    /// Σ(weight of a block)² over the blocks sampled in this epoch.
    squared_weight: f64,
    /// ΣkₛₜKᵤᵥ over the blocks sampled, k = P̃ᵀP̃ of a block: how unevenly the blocks share what was
    /// found. p×p for the p = c(c+1)/2 pairs s ≤ t, column by column.
    unevenness: Vec<f64>,
    weight_at_start: f64,
    is_sampling: bool,
    blocks: u64,
    scratch: Scratch,
    spectrum: Spectrum,
}

/// Directions found in an epoch: j rows of m entries, and their variance over the epoch.
pub struct Found<T> {
    /// Row-major, unit length, orthogonal to the held directions.
    pub vectors: Vec<T>,
    /// Variance along each, descending.
    pub variances: Vec<f64>,
    /// The factors' combination that each is, a column each.
    combination: Mat<f64>,
    /// Share of the epoch in which each is certain to have had that variance.
    pub shares: Vec<f64>,
    /// Weight of the epoch.
    pub weight: f64,
}

impl<T: ProductFloat> Probes<T> {
    /// Probes for `features` features of which `max_rank` directions are held.
    pub fn new(features: usize, max_rank: usize, seed: u64) -> Self {
        let count = PROBES.min(features.saturating_sub(max_rank));
        Self {
            features,
            count,
            is_active: false,
            seed,
            gathered: vec![T::of(0.0); count * features],
            weight: 0.0,
            elapsed: 0.0,
            squared_weight: 0.0,
            unevenness: vec![0.0; pairs(count) * pairs(count)],
            weight_at_start: 0.0,
            is_sampling: false,
            blocks: 0,
            scratch: Scratch::default(),
            spectrum: Spectrum::default(),
        }
    }

    /// Becomes a copy of `other`'s state; allocates nothing where it was one before.
    pub(super) fn copy_from(&mut self, other: &Self) {
        (self.features, self.count) = (other.features, other.count);
        (self.is_active, self.is_sampling) = (other.is_active, other.is_sampling);
        (self.seed, self.blocks) = (other.seed, other.blocks);
        self.gathered.clone_from(&other.gathered);
        (self.weight, self.elapsed) = (other.weight, other.elapsed);
        self.squared_weight = other.squared_weight;
        self.unevenness.clone_from(&other.unevenness);
        self.weight_at_start = other.weight_at_start;
    }

    /// Converts the probes to the other float width; the engine converts their directions.
    pub(super) fn converted<W: ProductFloat>(&self) -> Probes<W> {
        Probes {
            features: self.features,
            count: self.count,
            is_active: self.is_active,
            seed: self.seed,
            gathered: converted(&self.gathered),
            weight: self.weight,
            elapsed: self.elapsed,
            squared_weight: self.squared_weight,
            unevenness: self.unevenness.clone(),
            weight_at_start: self.weight_at_start,
            is_sampling: self.is_sampling,
            blocks: self.blocks,
            scratch: Scratch::default(),
            spectrum: Spectrum::default(),
        }
    }

    /// Writes what later blocks depend on.
    pub(super) fn save(&self, to: &mut Encoder) {
        to.u64(self.seed);
        to.bool(self.is_active);
        to.bool(self.is_sampling);
        to.u64(self.blocks);
        to.f64(self.weight);
        to.f64(self.elapsed);
        to.f64(self.weight_at_start);
        T::save(if self.is_active { &self.gathered } else { &[] }, to);
        to.f64(self.squared_weight);
        to.f64s(&self.unevenness);
    }

    /// Reads what was written in this `version`; `has_weights` says whether their rows are there.
    pub(super) fn restore(
        &mut self,
        from: &mut Decoder<'_>,
        version: u8,
        has_weights: bool,
    ) -> Result<(), CodecError> {
        self.seed = from.u64()?;
        self.is_active = from.bool()?;
        self.is_sampling = from.bool()?;
        self.blocks = from.u64()?;
        self.weight = finite(from)?;
        self.elapsed = finite(from)?;
        self.weight_at_start = finite(from)?;
        let len = if self.is_active {
            self.gathered.len()
        } else {
            0
        };
        let gathered = T::restore(from, len)?;
        (self.squared_weight, self.unevenness) = (0.0, vec![0.0; self.unevenness.len()]);
        if version >= WITH_RECENT {
            self.squared_weight = finite(from)?;
            self.unevenness = finites(from, self.unevenness.len())?;
        }
        self.gathered.fill(T::of(0.0));
        self.gathered[..len].copy_from_slice(&gathered);
        if self.is_active != has_weights {
            return Err(from.refuse("probes without weights"));
        }
        Ok(())
    }

    /// Number of probes, c.
    pub fn count(&self) -> usize {
        self.count
    }

    /// True during an epoch.
    pub fn are_active(&self) -> bool {
        self.is_active
    }

    /// True if the block that [`Probes::advance`] was given is one to sample.
    pub fn are_sampling(&self) -> bool {
        self.is_active && self.is_sampling
    }

    /// Never to start.
    pub fn retire(&mut self) {
        self.count = 0;
        self.is_active = false;
        self.gathered.clear();
        self.unevenness.clear();
    }

    /// Ends the epoch without a result.
    pub fn stop(&mut self) {
        self.is_active = false;
    }

    /// Accounts for a new block and decides whether to sample it.
    pub fn advance(&mut self, block: &Block<T>) {
        self.blocks += 1;
        self.weight *= block.decay;
        let decay = block.decay * block.decay;
        self.squared_weight *= decay;
        self.unevenness.iter_mut().for_each(|v| *v *= decay);
        self.elapsed = self.elapsed * block.decay + block.weight;
        let is_long = EPOCH_SHARE * self.weight_at_start > LONG_EPOCH_BLOCKS * block.weight;
        self.is_sampling = !is_long || self.blocks.wrapping_mul(GOLDEN) >> 62 == 0;
    }

    /// Adds `products` = P̃ᵀỸ/N of a block, c×m, whose scores in the probes are `scores`, P̃ (b×c).
    pub fn add(&mut self, products: &[T], scores: MatRef<'_, T>, block: &Block<T>) {
        self.add_unevenness(scores);
        self.squared_weight += block.weight * block.weight;
        let before = self.weight;
        self.weight += block.weight;
        let (old, new) = (before / self.weight, block.total() / self.weight);
        for (sum, v) in self.gathered.iter_mut().zip(products) {
            *sum = *sum * T::of(old) + *v * T::of(new);
        }
    }

    /// Adds the second moments of a block's `scores` (b×c) among each other.
    fn add_unevenness(&mut self, scores: MatRef<'_, T>) {
        let mut second = [0.0; pairs(PROBES)];
        let of_pairs = &mut second[..pairs(self.count)];
        for (v, (s, t)) in of_pairs.iter_mut().zip(each_pair(self.count)) {
            let both = scores.col(s).iter().zip(scores.col(t).iter());
            *v = both.map(|(a, b)| a.wide() * b.wide()).sum();
        }
        let columns = self.unevenness.chunks_exact_mut(of_pairs.len().max(1));
        for (column, v) in columns.zip(&*of_pairs) {
            for (sum, w) in column.iter_mut().zip(&*of_pairs) {
                *sum += v * w;
            }
        }
    }

    /// The share of `elapsed` that a variance counts for that was seen in the sampled blocks
    /// through the combination `a` of the probes, aᵀKa = 1 (length c).
    ///
    /// The sampled blocks stand for all of them only as far as they agree: what they saw happened
    /// at least in them, and at most, but for one standard error, everywhere.
    fn certain(&self, a: &[f64]) -> f64 {
        let sampled = self.weight / self.elapsed;
        if sampled >= 1.0 || self.weight <= 0.0 {
            return 1.0;
        }
        let weights: Vec<f64> = each_pair(self.count)
            .map(|(s, t)| {
                if s == t {
                    a[s] * a[t]
                } else {
                    2.0 * a[s] * a[t]
                }
            })
            .collect();
        let p = weights.len();
        let squares: f64 = (0..p)
            .flat_map(|j| (0..p).map(move |i| (i, j)))
            .map(|(i, j)| weights[i] * weights[j] * self.unevenness[j * p + i])
            .sum();
        // Blocks, as if all weighed the same, and the squared coefficient of variation of theirs.
        let of_mean = self.squared_weight / (self.weight * self.weight);
        let variation = (squares / (self.weight * self.weight) / of_mean - 1.0).max(0.0);
        let error = ((1.0 - sampled) * variation * of_mean).sqrt();
        (1.0 - error).max(sampled)
    }

    /// True if the epoch is complete.
    pub fn have_finished(&self) -> bool {
        self.is_active && self.weight > 0.0 && self.elapsed >= EPOCH_SHARE * self.weight_at_start
    }

    /// Starts an epoch: writes V (c×m) orthonormal and outside `basis`, from what was gathered or,
    /// at first and where that does not suffice, at random.
    pub fn start(&mut self, basis: MatRef<'_, T>, probes: &mut [T], weight: f64) {
        let was_active = self.is_active;
        self.is_active = self.count > 0;
        self.weight = 0.0;
        self.elapsed = 0.0;
        self.squared_weight = 0.0;
        self.unevenness.fill(0.0);
        self.weight_at_start = weight;
        if was_active {
            probes.copy_from_slice(&self.gathered);
        }
        self.gathered.fill(T::of(0.0));
        if was_active && self.orthonormalize(basis, probes) {
            return;
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        self.seed = self.seed.wrapping_add(1);
        for v in probes.iter_mut() {
            *v = T::of(StandardNormal.sample(&mut random));
        }
        if !self.orthonormalize(basis, probes) {
            self.is_active = false;
        }
    }

    /// Orthonormalizes twice, which is enough (Kahan, in Parlett 1980); false if the rows are not
    /// independent.
    fn orthonormalize(&mut self, basis: MatRef<'_, T>, rows: &mut [T]) -> bool {
        (0..2).all(|_| {
            deflate(basis, rows, self.count, self.features);
            self.normalize(rows)
        })
    }

    fn normalize(&mut self, rows: &mut [T]) -> bool {
        let (c, m) = (self.count, self.features);
        let mut gram = Mat::<f64>::zeros(c, c);
        for i in 0..c {
            for j in 0..=i {
                gram[(i, j)] = dot(&rows[i * m..(i + 1) * m], &rows[j * m..(j + 1) * m]);
            }
        }
        // The factor holds the roots of the pivots. A pivot that is only rounding means that a row
        // depends on the others.
        let largest = (0..c).map(|i| gram[(i, i)]).fold(0.0, f64::max);
        if self.scratch.cholesky(gram.as_mut()).is_err()
            || (0..c).any(|i| gram[(i, i)] * gram[(i, i)] <= 1e-10 * largest)
        {
            return false;
        }
        for i in 0..c {
            let (done, rest) = rows.split_at_mut(i * m);
            let row = &mut rest[..m];
            for (j, other) in done.chunks_exact(m).enumerate() {
                let share = T::of(gram[(i, j)]);
                row.iter_mut()
                    .zip(other)
                    .for_each(|(v, o)| *v = *v - share * *o);
            }
            let factor = T::of(1.0 / gram[(i, i)]);
            row.iter_mut().for_each(|v| *v = *v * factor);
        }
        true
    }

    /// Directions that the epoch found outside `basis`; `probes` is V.
    ///
    /// # Errors
    /// If a gathered value is not finite.
    pub fn extract(&mut self, basis: MatRef<'_, T>, probes: &[T]) -> Result<Found<T>, LinalgError> {
        let (c, m) = (self.count, self.features);
        // K = ZVᵀ, c×c; F = K^(−1/2)Z, so that FᵀF ≤ C is the Nyström form of all of the epoch's
        // covariance. U has moved since V was chosen, so only F may lose what U holds now: taken
        // from Z, where K keeps it, it would leave directions with more variance than there is.
        let k = Mat::<f64>::from_fn(c, c, |i, j| {
            let half = |i: usize, j: usize| {
                dot(
                    &self.gathered[i * m..(i + 1) * m],
                    &probes[j * m..(j + 1) * m],
                )
            };
            // Symmetric but for rounding, and the solver reads only one triangle.
            0.5 * (half(i, j) + half(j, i))
        });
        self.scratch.eigen(k.as_ref(), &mut self.spectrum)?;
        let top = self.spectrum.values.first().copied().unwrap_or(0.0);
        let kept = self
            .spectrum
            .values
            .iter()
            // The rest is rounding, which K^(−1/2) would blow up.
            .filter(|v| **v > 1e-6 * top && **v > 0.0)
            .count();
        let inverse_root = Mat::<f64>::from_fn(c, kept, |i, j| {
            self.spectrum.vectors[(i, j)] / self.spectrum.values[j].sqrt()
        });
        let factors = combine(&self.gathered, m, inverse_root.as_ref());
        // What the next epoch goes on from.
        deflate(basis, &mut self.gathered, c, m);
        let mut found = Found::outside(basis, factors, kept, self.elapsed)?;
        let of_probes = product(&inverse_root, &found.combination);
        found.shares = (0..kept)
            .map(|i| self.certain(&of_probes.col(i).iter().copied().collect::<Vec<f64>>()))
            .collect();
        Ok(found)
    }

    /// Follows a change of units: with D = diag(`ratios`), C becomes DCD, V becomes D⁻¹V.
    ///
    /// If the units have changed so much that V is far from orthonormal, the epoch ends without a
    /// result: the small remainder of U's own directions in V would be amplified by as much as V
    /// has grown, and pass for a discovery.
    pub fn rescale(&mut self, probes: &mut [T], ratios: &[f64]) {
        let m = self.features;
        for (v, z) in probes
            .chunks_exact_mut(m)
            .zip(self.gathered.chunks_exact_mut(m))
        {
            for ((v, z), ratio) in v.iter_mut().zip(z).zip(ratios) {
                *v = T::of(v.wide() / ratio);
                *z = T::of(z.wide() * ratio);
            }
            if !UNIT_LENGTHS.contains(&dot(v, v)) {
                self.is_active = false;
            }
        }
    }
}

impl<T: ProductFloat> Found<T> {
    /// The directions of FᵀF outside `basis`, for F (`count`×m, row-major) of rows that weigh `weight`.
    pub(super) fn outside(
        basis: MatRef<'_, T>,
        mut factors: Vec<T>,
        count: usize,
        weight: f64,
    ) -> Result<Self, LinalgError> {
        let m = basis.ncols();
        if count == 0 {
            return Ok(Self {
                vectors: Vec::new(),
                variances: Vec::new(),
                combination: Mat::new(),
                shares: Vec::new(),
                weight,
            });
        }
        deflate(basis, &mut factors, count, m);
        let gram = Mat::<f64>::from_fn(count, count, |i, j| {
            dot(&factors[i * m..(i + 1) * m], &factors[j * m..(j + 1) * m])
        });
        let mut spectrum = Spectrum::default();
        Scratch::default().eigen(gram.as_ref(), &mut spectrum)?;
        let Spectrum { values, vectors } = spectrum;
        let scaled = Mat::<f64>::from_fn(count, count, |i, j| {
            vectors[(i, j)] / values[j].max(f64::MIN_POSITIVE).sqrt()
        });
        Ok(Self {
            vectors: combine(&factors, m, scaled.as_ref()),
            shares: vec![1.0; count],
            variances: values,
            combination: vectors,
            weight,
        })
    }
}

/// QᵀF, row-major, for Q (c×j) and F (c×m, row-major).
fn combine<T: ProductFloat>(rows: &[T], m: usize, q: MatRef<'_, f64>) -> Vec<T> {
    let mut out = vec![T::of(0.0); q.ncols() * m];
    for (i, into) in out.chunks_exact_mut(m).enumerate() {
        for (j, row) in rows.chunks_exact(m).enumerate().take(q.nrows()) {
            let share = T::of(q[(j, i)]);
            into.iter_mut()
                .zip(row)
                .for_each(|(v, r)| *v = *v + share * *r);
        }
    }
    out
}

/// Pairs s ≤ t of `count` probes.
const fn pairs(count: usize) -> usize {
    count * (count + 1) / 2
}

/// The pairs (s, t), s ≤ t, of `count` probes.
fn each_pair(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(|t| (0..=t).map(move |s| (s, t)))
}

/// rows ← rows − (rows·Uᵀ)U.
fn deflate<T: ProductFloat>(basis: MatRef<'_, T>, rows: &mut [T], count: usize, features: usize) {
    let inside = product(rows_of(rows, count, features), basis.transpose());
    let mut rows = MatMut::from_row_major_slice_mut(rows, count, features);
    matmul(
        rows.as_mut(),
        Accum::Add,
        inside.as_ref(),
        basis,
        T::of(-1.0),
        Par::Seq,
    );
}

fn dot<T: ProductFloat>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.wide() * b.wide()).sum()
}
