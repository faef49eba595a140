//! Runs that the experiments share.

use crate::lab::LabError;
use crate::lab::algorithm::{Kind, Recipe, StepSize};
use crate::lab::loss::Loss;
use crate::lab::problem::Problem;
use crate::lab::train::{Course, Record, Stop, Trajectory, train};
use crate::lab::weights::Weights;

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
