//! The closed form on r held directions, in products of one width and O(m·r) memory.
//!
//! State: U (h×m, orthonormal rows), the h×h core D with C ≈ Uᵀ(D − σ²I)U + σ²I, h ≤ r. The
//! isotropic tail σ² represents everything outside U. With H = (n₀/N)·D − σ²I and the block's rows
//! Ỹ, the regularized rule's fixed point on [history; minibatch] is the best rank-r part of
//!
//!   A = UᵀHU + ỸᵀỸ/N
//!
//! and D = that + σ²I: λ = σ² is subtracted and added back, never left off. There are two ways to
//! compute it:
//!
//! * **Matrix step** (`step.rs`). One product with Ỹ and back; it agrees with the best rank-r
//!   part to first order in the block's share of all rows, so it is what runs for ever.
//! * **Exact** (`exact.rs`). Where the step gains so much that its second order matters (the
//!   first minibatches, a drift, rows sorted by class), the Gram matrix of the h + b factor rows
//!   gives the answer itself. The step's own gain decides, so the choice is a function of the rows.
//!
//! Sources: Kunin et al. 2019 (the fixed point); Gittens and Mahoney 2016 (Nyström); Mitliagkas,
//! Caramanis, Jain 2013 (the block power method of the probes).

mod exact;
mod probes;
mod recent;
mod scores;
mod step;

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatRef, Par};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::engine::{CovarianceTotals, Directions, Engine};
use crate::learner::low_rank::probes::Probes;
use crate::learner::low_rank::recent::Recent;
use crate::learner::low_rank::scores::{
    History, Remembered, Rounded, Scores, rows_of, rows_of_mut, squared_length,
};
use crate::learner::low_rank::step::{StepFactors, accumulate};
use crate::learner::product_float::{ProductFloat, converted};
use crate::learner::saved::{expect, finite, finites};
use crate::learner::state::WITH_RECENT;
use crate::linalg::{LinalgError, Scratch, Spectrum, product};

/// Steps between two rotations of U to the core's eigenvectors; only round-off asks for them.
const STEPS_BETWEEN_ROTATIONS: u32 = 16;

/// State and buffers of the closed form.
#[derive(Clone)]
pub struct LowRank<T> {
    features: usize,
    max_rank: usize,
    components: usize,
    rank: usize,
    /// U, then the probes: (r + c)×m, row-major.
    weights: Vec<T>,
    next: Vec<T>,
    /// U after the first of two matrix steps, r×m.
    between: Vec<T>,
    /// Squared lengths of U's rows: in f32 they are 1 only to within 1e-7, and an error made at
    /// every step would add up over thousands of steps.
    lengths: Vec<f64>,
    core: Mat<f64>,
    probes: Probes<T>,
    recent: Recent<T>,
    steps_since_rotation: u32,
    buffers: Buffers<T>,
}

/// Scratch storage of an update; nothing in it is kept.
#[derive(Clone, Default)]
struct Buffers<T> {
    scores: Scores<T>,
    history: Remembered,
    /// The first matrix step, or the final one.
    factors: StepFactors<T>,
    /// The history in the form that a second matrix step needs.
    second: History,
    rounded: Rounded<T>,
    scratch: Scratch,
    spectrum: Spectrum,
}

impl<T: ProductFloat> Engine for LowRank<T> {
    type Float = T;

    fn update(
        &mut self,
        block: &mut Block<T>,
        totals: CovarianceTotals,
    ) -> Result<(), LinalgError> {
        self.learn(block, totals)
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        self.rescale_state(ratios)
    }

    fn basis(&self) -> MatRef<'_, T> {
        rows_of(&self.weights, self.rank, self.features)
    }

    fn scores(&self) -> Option<MatRef<'_, T>> {
        let scores = &self.buffers.scores;
        (scores.means.len() >= self.rank).then(|| scores.leading(self.rank))
    }

    fn save(&self, to: &mut Encoder) {
        self.save_held(to);
        self.recent.save(to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>, version: u8) -> Result<(), CodecError> {
        self.restore_held(from, version)?;
        self.recent = if version >= WITH_RECENT {
            Recent::restore(from, version, || {
                LowRank::of_recent(self.features, self.components, self.max_rank)
            })?
        } else {
            Recent::default()
        };
        Ok(())
    }
    fn directions(&self, totals: CovarianceTotals) -> Result<Directions, LinalgError> {
        // Works on a copy, because reading an estimate must not change what is learned next.
        let mut copy = self.clone();
        copy.absorb(totals)?;
        copy.absorb_recent(totals)?;
        copy.rotate()?;
        let (h, sum) = (copy.rank, trace(copy.core()));
        let outside = (totals.total - sum).max(0.0);
        let noise = if copy.is_full() && totals.active > h {
            outside / (totals.active - h) as f64
        } else {
            0.0
        };
        let (vectors, eigenvalues) = copy.in_f64()?;
        Ok(Directions {
            vectors,
            eigenvalues,
            noise,
            max_rank: self.max_rank,
        })
    }
}

impl<T: ProductFloat> LowRank<T> {
    /// Writes all but the second state.
    fn save_held(&self, to: &mut Encoder) {
        let (h, m, r) = (self.rank, self.features, self.max_rank);
        to.u8(T::ENGINE as u8);
        to.usize(h);
        to.u32(self.steps_since_rotation);
        to.f64s(&self.lengths);
        // All of the core: an update may read what an earlier, larger one left.
        for j in 0..r {
            for i in 0..r {
                to.f64(self.core[(i, j)]);
            }
        }
        let is_active = if self.probes.are_active() {
            self.probes.count()
        } else {
            0
        };
        T::save(&self.weights[..(h + is_active) * m], to);
        self.probes.save(to);
    }

    /// Reads what [`LowRank::save_held`] wrote.
    fn restore_held(&mut self, from: &mut Decoder<'_>, version: u8) -> Result<(), CodecError> {
        expect(from, T::ENGINE)?;
        let (m, r) = (self.features, self.max_rank);
        self.rank = from.usize()?;
        if self.rank > r {
            return Err(from.refuse(format!("{} directions held of {r}", self.rank)));
        }
        self.steps_since_rotation = from.u32()?;
        self.lengths = finites(from, r)?;
        for j in 0..r {
            for i in 0..r {
                self.core[(i, j)] = finite(from)?;
            }
        }
        // Read from a copy of the decoder, because the length of the weights says whether active
        // probes follow.
        let len = from.clone().usize()?;
        let rows = len / m.max(1);
        let is_active = rows.checked_sub(self.rank);
        let is_fine = len.is_multiple_of(m.max(1))
            && is_active
                .is_some_and(|is_active| is_active == 0 || is_active == self.probes.count());
        if !is_fine {
            return Err(from.refuse(format!("{len} entries of weights")));
        }
        let weights = T::restore(from, len)?;
        self.weights.fill(T::of(0.0));
        self.weights[..len].copy_from_slice(&weights);
        self.probes.restore(
            from,
            version,
            is_active.is_some_and(|is_active| is_active > 0),
        )
    }

    /// An empty state that reports `components` and holds up to `max_rank` directions.
    pub fn new(features: usize, components: usize, max_rank: usize, seed: u64) -> Self {
        let probes = Probes::new(features, max_rank, seed);
        let rows = max_rank + probes.count();
        Self {
            features,
            max_rank,
            components,
            rank: 0,
            weights: vec![T::of(0.0); rows * features],
            next: vec![T::of(0.0); rows * features],
            between: vec![T::of(0.0); max_rank * features],
            lengths: vec![1.0; max_rank],
            core: Mat::zeros(max_rank, max_rank),
            probes,
            recent: Recent::default(),
            steps_since_rotation: 0,
            buffers: Buffers::default(),
        }
    }

    /// An empty second state, which learns only recent rows and has neither probes nor a third.
    fn of_recent(features: usize, components: usize, max_rank: usize) -> Self {
        let mut state = Self::new(features, components, max_rank, 0);
        state.probes.retire();
        state
    }

    /// The core D, h×h.
    fn core(&self) -> MatRef<'_, f64> {
        self.core.as_ref().submatrix(0, 0, self.rank, self.rank)
    }

    fn learn(&mut self, block: &mut Block<T>, totals: CovarianceTotals) -> Result<(), LinalgError> {
        // Out of the state for as long as a block is learned, so that each stage names what it reads.
        let mut scores = std::mem::take(&mut self.buffers.scores);
        let mut history = std::mem::take(&mut self.buffers.history);
        let learned = self.learn_with(block, totals, &mut scores, &mut history);
        self.buffers.scores = scores;
        self.buffers.history = history;
        learned?;
        self.recent.learn(block, totals.active)?;
        let has_found = self.recent.is_due() && self.absorb_recent(totals)?;
        self.recent.end_if_done(totals, has_found);
        Ok(())
    }

    fn learn_with(
        &mut self,
        block: &Block<T>,
        totals: CovarianceTotals,
        scores: &mut Scores<T>,
        history: &mut Remembered,
    ) -> Result<(), LinalgError> {
        let CovarianceTotals { total, active, .. } = totals;
        let n = block.total();
        let kept = block.prior_weight / n;
        let met = self.rank;
        self.probes.advance(block);
        self.project(scores, block);
        // The earlier variance outside U follows by difference, because the total is known
        // exactly. Rounding can make it negative.
        let tail = (total - block.squared_norm / n - kept * trace(self.core())).max(0.0);
        // While U has room nothing has been cut, so there is no tail.
        let noise = if self.is_full() && active > self.rank {
            tail / (active - self.rank) as f64
        } else {
            0.0
        };
        // Only what is cut can be missed, and a second state has no third.
        if self.is_full() && self.probes.count() > 0 && kept > 0.0 && tail > 0.0 {
            let outside = block.squared_norm - self.inside(scores, block);
            if self.recent.begins(outside / block.weight / (tail / kept)) {
                let state = Self::of_recent(self.features, self.components, self.max_rank);
                self.recent.start(state);
            }
        }
        history.set(self.core(), &self.lengths, kept, noise);
        let may_step = self.may_step(scores, block);
        // One product serves both: the probes are stored right behind U.
        if may_step || self.probes.are_sampling() {
            let (rows, u) = (
                self.rows_in_use(),
                rows_of(&self.weights, met, self.features),
            );
            let coefficients = history.from_held.coefficients.as_ref();
            let coefficients = self.buffers.rounded.of(coefficients);
            accumulate(&mut self.next, rows, scores, block, coefficients, u);
        }
        if self.probes.are_sampling() {
            let (m, c) = (self.features, self.probes.count());
            let all = scores.leading(met + c);
            let of_probes = all.subcols(met, c);
            let products = &self.next[met * m..(met + c) * m];
            self.probes.add(products, of_probes, block);
        }
        if !(may_step && self.matrix_step(scores, history, block)?) {
            self.exact(scores, history.matrix.as_ref(), block)?;
            self.measure();
            if self.probes.are_active() && self.is_full() && self.probes_leak(noise) {
                self.probes.stop();
            }
        }
        // λ = σ² was subtracted from the history; without adding it back, every eigenvalue would
        // shrink.
        for i in 0..self.rank {
            self.core[(i, i)] += noise;
        }
        if self.steps_since_rotation >= STEPS_BETWEEN_ROTATIONS {
            self.rotate()?;
        }
        if self.is_full() {
            // Until U is full nothing is truncated, so probes would have nothing to find.
            self.update_probes(totals)?;
        } else {
            self.probes.stop();
        }
        Ok(())
    }

    /// UᵀDU in f64 with orthonormal rows: f32 rows are orthonormal only to within 1e-7. U = LQ by
    /// Cholesky of its Gram matrix, and LᵀDL is diagonalized.
    fn in_f64(&mut self) -> Result<(Mat<f64>, Vec<f64>), LinalgError> {
        let (h, m) = (self.rank, self.features);
        if h == 0 {
            return Ok((Mat::zeros(0, m), Vec::new()));
        }
        let u = rows_of(&self.weights, h, m);
        let mut rows = Mat::<f64>::from_fn(h, m, |i, j| u[(i, j)].wide());
        let mut factor = product(&rows, rows.transpose());
        let Buffers {
            scratch, spectrum, ..
        } = &mut self.buffers;
        scratch.cholesky(factor.as_mut())?;
        solve_lower_triangular_in_place(factor.as_ref(), rows.as_mut(), Par::Seq);
        let core = self.core.as_ref().submatrix(0, 0, h, h);
        let core = product(product(factor.transpose(), core), &factor);
        scratch.eigen(core.as_ref(), spectrum)?;
        let vectors = product(spectrum.vectors.transpose(), &rows);
        Ok((vectors, spectrum.values.clone()))
    }

    /// True if all wanted directions are held.
    pub(super) fn holds_all_wanted(&self) -> bool {
        self.rank >= self.components
    }

    /// True if the last wanted eigenvalue, of which `kept` is left, has this share of all.
    pub(super) fn resolves(&self, totals: CovarianceTotals, kept: f64, share: f64) -> bool {
        let wanted = self.components.min(self.rank);
        let last = (0..wanted)
            .map(|i| self.core[(i, i)])
            .fold(f64::MAX, f64::min);
        totals.total <= 0.0 || kept * last >= share * totals.total
    }

    /// As [`LowRank::resolves`], for as many components as are wanted, or as `most` rows can have.
    pub(super) fn resolves_all(&self, totals: CovarianceTotals, most: usize, share: f64) -> bool {
        let wanted = self.components.min(most).min(totals.active);
        self.rank >= wanted && self.resolves(totals, 1.0, share)
    }

    /// Becomes a copy of `other`'s state; allocates nothing if it already was one.
    pub(super) fn copy_from(&mut self, other: &Self) {
        (self.features, self.max_rank) = (other.features, other.max_rank);
        (self.components, self.rank) = (other.components, other.rank);
        self.weights.clone_from(&other.weights);
        self.lengths.clone_from(&other.lengths);
        let r = other.max_rank;
        self.core.resize_with(r, r, |_, _| 0.0);
        self.core.copy_from(&other.core);
        self.probes.copy_from(&other.probes);
        self.recent = other.recent.clone();
        self.steps_since_rotation = other.steps_since_rotation;
    }

    /// Frees the largest buffers of a copy.
    pub(super) fn release(&mut self) {
        if self.weights.capacity() > 0 {
            self.weights = Vec::new();
        }
    }

    /// Converts the state to the other float width.
    pub(super) fn converted<W: ProductFloat>(&self) -> LowRank<W> {
        let mut other = LowRank {
            features: self.features,
            max_rank: self.max_rank,
            components: self.components,
            rank: self.rank,
            weights: converted(&self.weights),
            next: vec![W::of(0.0); self.weights.len()],
            between: vec![W::of(0.0); self.max_rank * self.features],
            lengths: self.lengths.clone(),
            core: self.core.clone(),
            probes: self.probes.converted(),
            recent: self.recent.converted(),
            steps_since_rotation: self.steps_since_rotation,
            buffers: Buffers::default(),
        };
        // Rounding to the other width has changed the lengths.
        other.measure();
        other
    }

    fn is_full(&self) -> bool {
        self.rank == self.max_rank
    }

    /// Rows of `weights` in use: U and, if they sample this block, the probes.
    fn rows_in_use(&self) -> usize {
        self.rank
            + if self.probes.are_sampling() {
                self.probes.count()
            } else {
                0
            }
    }

    /// Scores of the block in the rows in use.
    fn project(&self, scores: &mut Scores<T>, block: &Block<T>) {
        let q = self.rows_in_use();
        scores.project(rows_of(&self.weights, q, self.features), block);
    }

    /// Squared lengths of U's rows, in f64.
    fn measure(&mut self) {
        let (h, m) = (self.rank, self.features);
        let rows = self.weights[..h * m].chunks_exact(m);
        pulp::Arch::new().dispatch(|| {
            for (length, row) in self.lengths.iter_mut().zip(rows) {
                *length = squared_length(row);
            }
        });
    }

    /// Rotates U to the eigenvectors of the core, descending.
    fn rotate(&mut self) -> Result<(), LinalgError> {
        let (h, m) = (self.rank, self.features);
        self.steps_since_rotation = 0;
        if h == 0 {
            return Ok(());
        }
        let core = self.core.as_ref().submatrix(0, 0, h, h);
        let Buffers {
            scratch,
            spectrum,
            rounded,
            ..
        } = &mut self.buffers;
        scratch.eigen(core, spectrum)?;
        // Products of two scores go on over a rotation: no direction changes its sign for nothing.
        for i in 0..h {
            if spectrum.vectors[(i, i)] < 0.0 {
                spectrum
                    .vectors
                    .col_mut(i)
                    .iter_mut()
                    .for_each(|v| *v = -*v);
            }
        }
        self.core.as_mut().submatrix_mut(0, 0, h, h).fill(0.0);
        for (i, value) in spectrum.values.iter().enumerate() {
            self.core[(i, i)] = *value;
        }
        let q = rounded.of(spectrum.vectors.as_ref());
        matmul(
            rows_of_mut(&mut self.next, h, m),
            Accum::Replace,
            q.transpose(),
            rows_of(&self.weights, h, m),
            T::of(1.0),
            Par::Seq,
        );
        self.weights[..h * m].copy_from_slice(&self.next[..h * m]);
        self.measure();
        Ok(())
    }
}

fn trace(a: MatRef<'_, f64>) -> f64 {
    (0..a.nrows()).map(|i| a[(i, i)]).sum()
}
