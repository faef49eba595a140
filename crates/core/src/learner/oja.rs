//! The plain rules, for comparison and teaching: regularized Oja's rule and the matrix step.
//!
//! Both keep W (m×k, stored as its transpose) and a running k×k second moment M ≈ QᵀCQ in the
//! orthonormal Q = W(WᵀW)^(−1/2), which the read-out uses to order and rotate: the SVD of W alone
//! orders directions poorly when λ is small, because all its singular values are then near 1.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::codec::{CodecError, Decoder, Encoder};
use crate::learner::block::Block;
use crate::learner::engine::{CovarianceTotals, Directions, Engine};
use crate::learner::params::{LearnerParams, Penalty, Step};
use crate::learner::product_float::HELD_SHARE;
use crate::learner::saved::{EngineTag, expect, finites, restore_mat, save_mat};
use crate::linalg::{LinalgError, Scratch, Spectrum, product, thin_q};

/// b₀ of AdaOja's step: small against any gradient (Henriksen and Ward 2019, section 4).
const ADA_START: f64 = 1e-5;

/// W, M and the number of minibatches.
#[derive(Clone)]
struct Weights {
    /// Transposed weights, Wᵀ, k×m.
    w: Mat<f64>,
    /// Second moment M, k×k.
    moment: Mat<f64>,
    minibatches: u64,
}

/// Products of a block with W.
struct Gradient {
    /// Gradient of the trace, (C_b W)ᵀ, k×m.
    cw: Mat<f64>,
    /// Second moment in W, WᵀC_bW, k×k.
    wcw: Mat<f64>,
    /// Second moment in Q, QᵀC_bQ, k×k.
    qcq: Mat<f64>,
}

impl Weights {
    fn new(features: usize, params: &LearnerParams) -> Self {
        let k = params.components;
        let mut random = ChaCha8Rng::seed_from_u64(params.seed);
        let w = Mat::from_fn(k, features, |_, _| StandardNormal.sample(&mut random));
        let mut weights = Self {
            w,
            moment: Mat::zeros(k, k),
            minibatches: 0,
        };
        weights.orthonormalize();
        weights
    }

    fn orthonormalize(&mut self) {
        self.w = thin_q(self.w.transpose()).transpose().to_owned();
    }

    /// C_b W in O(bmk): C_b itself is never formed.
    fn gradient(&mut self, block: &mut Block<f64>) -> Result<Gradient, LinalgError> {
        block.apply_mean_shrinkage();
        self.minibatches += 1;
        let (y, each) = (block.as_mat(), 1.0 / block.weight);
        let scores = product(y, self.w.transpose()); // b×k
        let k = self.w.nrows();
        let mut cw = Mat::zeros(k, self.w.ncols());
        matmul(
            cw.as_mut(),
            Accum::Replace,
            scores.transpose(),
            y,
            each,
            Par::Seq,
        );
        let mut wcw = Mat::zeros(k, k);
        matmul(
            wcw.as_mut(),
            Accum::Replace,
            scores.transpose(),
            &scores,
            each,
            Par::Seq,
        );
        let root = self.inverse_root()?;
        // Measured in Q and not in W, because the penalty shrinks W and the moment must not shrink
        // with it.
        let qcq = product(product(&root, &wcw), &root);
        Ok(Gradient { cw, wcw, qcq })
    }

    /// (WᵀW)^(−1/2), k×k, leaving out directions of zero weight.
    fn inverse_root(&self) -> Result<Mat<f64>, LinalgError> {
        let gram = product(&self.w, self.w.transpose());
        inverse_power(&gram, 0.0, 0.5)
    }

    fn average_moment(&mut self, new: &Mat<f64>, share: f64) {
        let k = self.moment.nrows();
        for j in 0..k {
            for i in 0..k {
                self.moment[(i, j)] += share * (new[(i, j)] - self.moment[(i, j)]);
            }
        }
    }

    fn check(&self) -> Result<(), LinalgError> {
        let square = self.w.as_ref().squared_norm_l2();
        if square.is_finite() {
            Ok(())
        } else {
            Err(LinalgError::NoConvergence)
        }
    }

    fn save(&self, to: &mut Encoder) {
        to.u64(self.minibatches);
        save_mat(&self.w, to);
        save_mat(&self.moment, to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>) -> Result<(), CodecError> {
        self.minibatches = from.u64()?;
        self.w = restore_mat(from, self.w.nrows(), self.w.ncols())?;
        self.moment = restore_mat(from, self.moment.nrows(), self.moment.ncols())?;
        Ok(())
    }

    fn rescale(&mut self, ratios: &[f64]) {
        // W lives in scaled units; a unit that shrinks by D stretches the direction by D.
        for (j, ratio) in ratios.iter().enumerate() {
            self.w.col_mut(j).iter_mut().for_each(|v| *v *= ratio);
        }
    }

    /// U and eigenvalues: the second moment's eigenvectors, in Q.
    fn directions(&self) -> Result<Directions, LinalgError> {
        let k = self.w.nrows();
        let q = product(self.inverse_root()?, &self.w); // k×m
        let mut spectrum = Spectrum::default();
        Scratch::default().eigen(self.moment.as_ref(), &mut spectrum)?;
        let vectors = product(spectrum.vectors.transpose(), &q);
        // Round-off of the products leaves this much in a direction that holds nothing.
        let top = spectrum.values.first().copied().unwrap_or(0.0);
        let floor = top * HELD_SHARE.max(f64::EPSILON * q.ncols() as f64);
        let held = |v: &f64| if *v > floor { *v } else { 0.0 };
        let eigenvalues = spectrum.values.iter().map(held).collect();
        Ok(Directions {
            vectors,
            eigenvalues,
            noise: 0.0,
            max_rank: k,
        })
    }
}

/// (A + λI)^(−power) of a symmetric A, leaving out the null space of A.
fn inverse_power(a: &Mat<f64>, penalty: f64, power: f64) -> Result<Mat<f64>, LinalgError> {
    let mut spectrum = Spectrum::default();
    Scratch::default().eigen(a.as_ref(), &mut spectrum)?;
    let floor = 1e-12
        * spectrum
            .values
            .first()
            .copied()
            .unwrap_or(0.0)
            .max(f64::MIN_POSITIVE);
    let (q, k) = (&spectrum.vectors, a.nrows());
    Ok(Mat::from_fn(k, k, |i, j| {
        (0..k)
            .filter(|&l| spectrum.values[l] > floor)
            .map(|l| q[(i, l)] * q[(j, l)] * (spectrum.values[l] + penalty).powf(-power))
            .sum::<f64>()
    }))
}

/// Regularized Oja's rule, W ← W − α[(WWᵀ − I)C_bW + λW].
///
/// λ is the fixed penalty, 0 with `penalty = "auto"`. Source: Kunin et al. 2019, equation of the
/// tied gradient; AdaOja: Henriksen and Ward 2019, Algorithm 1.
#[derive(Clone)]
pub struct Oja {
    weights: Weights,
    step: Step,
    penalty: f64,
    ada: Vec<f64>,
}

fn fixed_penalty(params: &LearnerParams) -> f64 {
    match params.penalty {
        Penalty::Auto => 0.0,
        Penalty::Fixed(value) => value,
    }
}

impl Oja {
    /// Creates a learner with random orthonormal weights.
    pub fn new(features: usize, params: &LearnerParams, step: Step) -> Self {
        Self {
            weights: Weights::new(features, params),
            step,
            penalty: fixed_penalty(params),
            ada: vec![ADA_START * ADA_START; params.components],
        }
    }

    fn gradient_step(&mut self, gradient: &Gradient, alpha: f64) {
        let w = &mut self.weights.w;
        // ((WWᵀ − I)CW + λW)ᵀ = (WᵀCW)Wᵀ − (CW)ᵀ + λWᵀ, k×m.
        let mut change = product(&gradient.wcw, &*w);
        change -= &gradient.cw;
        for j in 0..w.ncols() {
            for i in 0..w.nrows() {
                w[(i, j)] -= alpha * (change[(i, j)] + self.penalty * w[(i, j)]);
            }
        }
    }

    fn ada_step(&mut self, gradient: &Gradient) {
        for (i, square) in self.ada.iter_mut().enumerate() {
            *square += gradient.cw.row(i).squared_norm_l2();
            let step = 1.0 / square.sqrt();
            for j in 0..self.weights.w.ncols() {
                self.weights.w[(i, j)] += step * gradient.cw[(i, j)];
            }
        }
        self.weights.orthonormalize();
    }
}

impl Engine for Oja {
    type Float = f64;

    fn update(
        &mut self,
        block: &mut Block<f64>,
        _totals: CovarianceTotals,
    ) -> Result<(), LinalgError> {
        let gradient = self.weights.gradient(block)?;
        let t = self.weights.minibatches as f64;
        match self.step {
            Step::Constant(alpha) => self.gradient_step(&gradient, alpha),
            Step::COverT(c) => self.gradient_step(&gradient, c / t),
            Step::AdaOja => self.ada_step(&gradient),
        }
        // Later weights are better: the ramp 2/(t+1) lets the early ones fade.
        self.weights.average_moment(&gradient.qcq, 2.0 / (t + 1.0));
        self.weights.check()
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        self.weights.rescale(ratios);
        Ok(())
    }

    fn basis(&self) -> MatRef<'_, f64> {
        self.weights.w.as_ref()
    }

    fn save(&self, to: &mut Encoder) {
        to.u8(EngineTag::Oja as u8);
        self.weights.save(to);
        to.f64s(&self.ada);
    }

    fn restore(&mut self, from: &mut Decoder<'_>, _version: u8) -> Result<(), CodecError> {
        expect(from, EngineTag::Oja)?;
        self.weights.restore(from)?;
        self.ada = finites(from, self.ada.len())?;
        Ok(())
    }

    fn directions(&self, _totals: CovarianceTotals) -> Result<Directions, LinalgError> {
        self.weights.directions()
    }
}

/// The preconditioned rule, W ← (1−η)W + η·C_bW(WᵀC_bW + λI)⁻¹ with η = min(1, c/t).
///
/// With η = 1 on the whole data it is the exact alternation of the tied autoencoder.
#[derive(Clone)]
pub struct MatrixStep {
    weights: Weights,
    c: f64,
    penalty: f64,
}

impl MatrixStep {
    /// Creates a learner with random orthonormal weights.
    pub fn new(features: usize, params: &LearnerParams, c: f64) -> Self {
        Self {
            weights: Weights::new(features, params),
            c,
            penalty: fixed_penalty(params),
        }
    }
}

impl Engine for MatrixStep {
    type Float = f64;

    fn update(
        &mut self,
        block: &mut Block<f64>,
        _totals: CovarianceTotals,
    ) -> Result<(), LinalgError> {
        let gradient = self.weights.gradient(block)?;
        let eta = (self.c / self.weights.minibatches as f64).min(1.0);
        let t = self.weights.minibatches as f64;
        self.weights.average_moment(&gradient.qcq, 2.0 / (t + 1.0));
        let inverse = inverse_power(&gradient.wcw, self.penalty, 1.0)?;
        let target = product(&inverse, &gradient.cw);
        let w = &mut self.weights.w;
        for j in 0..w.ncols() {
            for i in 0..w.nrows() {
                w[(i, j)] += eta * (target[(i, j)] - w[(i, j)]);
            }
        }
        self.weights.check()
    }

    fn rescale(&mut self, ratios: &[f64]) -> Result<(), LinalgError> {
        self.weights.rescale(ratios);
        Ok(())
    }

    fn basis(&self) -> MatRef<'_, f64> {
        self.weights.w.as_ref()
    }

    fn save(&self, to: &mut Encoder) {
        to.u8(EngineTag::MatrixStep as u8);
        self.weights.save(to);
    }

    fn restore(&mut self, from: &mut Decoder<'_>, _version: u8) -> Result<(), CodecError> {
        expect(from, EngineTag::MatrixStep)?;
        self.weights.restore(from)
    }

    fn directions(&self, _totals: CovarianceTotals) -> Result<Directions, LinalgError> {
        self.weights.directions()
    }
}
