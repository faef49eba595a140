//! Runs that the experiments share.

use crate::LabError;
use crate::algorithm::{Kind, Recipe, StepSize};
use crate::loss::{Loss, by_columns};
use crate::problem::Problem;
use crate::train::{Course, Record, Stop, Trajectory, train};
use crate::weights::Weights;

/// Iterations of exact minimisation at most: a gap of 1% between two eigenvalues needs a few
/// thousand.
const EXACT_MAX: usize = 20_000;

/// The end of exact minimisation from a random start: a minimum, unless the start is degenerate.
pub(super) fn minimum(
    problem: &Problem<'_>,
    loss: &Loss,
    components: usize,
    seed: u64,
) -> Result<Weights, LabError> {
    let start = Weights::random(problem.features(), components, 0.5, seed);
    minimum_from(problem, loss, start, EXACT_MAX)
}

/// The same from a start, within `iterations_max`.
pub(super) fn minimum_from(
    problem: &Problem<'_>,
    loss: &Loss,
    start: Weights,
    iterations_max: usize,
) -> Result<Weights, LabError> {
    let recipe = Recipe {
        kind: Kind::UntiedExact,
        loss: loss.clone(),
        // Exact minimisation has no step size.
        step: StepSize::Constant(0.0),
        seed: 0,
    };
    let mut algorithm = recipe.make(start.components())?;
    let course = Course {
        minibatch: None,
        stop: Stop::Update(1e-12),
        iterations_max,
    };
    let trajectory = train(algorithm.as_mut(), problem, start, course, Record::Thinned)?;
    let last = trajectory.iterates.into_iter().next_back();
    last.map(|last| last.weights).ok_or(LabError::NotFinite)
}

/// The minimum of the sum loss where λ is far below the first eigenvalues.
///
/// The alternation alone needs σ²/λ iterations there to find the lengths of encoder and decoder, which
/// only the penalty tells. So each round ends with the best of all GW₁, W₂G⁻¹: the balanced factors U√D, √DVᵀ
/// of W₂W₁ = UDVᵀ, whose ‖W₁‖² + ‖W₂‖² = 2 tr D is the least that any factors of it have.
pub(super) fn balanced_minimum(
    problem: &Problem<'_>,
    lambda: f64,
    components: usize,
    seed: u64,
) -> Result<Weights, LabError> {
    let loss = Loss::Sum(lambda);
    let mut weights = Weights::random(problem.features(), components, 0.5, seed);
    let batch = problem.whole();
    for _ in 0..EXACT_MAX {
        let before = weights.clone();
        weights.encoder = loss.best_encoder(weights.decoder.as_ref(), &batch)?;
        weights.decoder = loss.best_decoder(weights.encoder.as_ref(), &batch)?;
        // W₂W₁ = (QR)(LQ'ᵀ): only the k×k middle is decomposed.
        let (left, right) = (weights.decoder.qr(), weights.encoder.transpose().qr());
        let middle = left.thin_R() * right.thin_R().transpose();
        let svd = middle.thin_svd().map_err(|_| LabError::NotFinite)?;
        let roots: Vec<f64> = svd.S().column_vector().iter().map(|d| d.sqrt()).collect();
        let decoder = left.compute_thin_Q() * by_columns(svd.U(), &roots);
        let encoder = right.compute_thin_Q() * by_columns(svd.V(), &roots);
        weights = Weights {
            encoder: encoder.transpose().to_owned(),
            decoder,
        };
        let product = |weights: &Weights| &weights.decoder * &weights.encoder;
        if (product(&weights) - product(&before)).norm_l2() <= 1e-13 {
            break;
        }
    }
    Ok(weights)
}

/// Untied gradient descent with steps of α over `iterations`, thinned.
pub(super) fn descent(
    problem: &Problem<'_>,
    loss: &Loss,
    start: Weights,
    alpha: f64,
    iterations: usize,
) -> Result<Trajectory, LabError> {
    let recipe = Recipe {
        kind: Kind::UntiedGradient,
        loss: loss.clone(),
        step: StepSize::Constant(alpha),
        seed: 0,
    };
    let mut algorithm = recipe.make(start.components())?;
    let course = Course {
        minibatch: None,
        stop: Stop::Limit,
        iterations_max: iterations,
    };
    train(algorithm.as_mut(), problem, start, course, Record::Thinned)
}
