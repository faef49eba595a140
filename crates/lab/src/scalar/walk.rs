//! Four algorithms on a scalar loss, with minibatches of rows that were made.

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::index::sample;
use rand_distr::{Distribution as _, StandardNormal};
use serde::Serialize;

use super::{Kind, Landscape, Loss};

/// The most iterations of a trajectory.
pub const ITERATIONS_MAX: usize = 2_000;
/// An iteration that moves (w₁, w₂) by less is the last one.
///
/// The distance of w₁ from w₂ would end nothing: the synchronized and the tied algorithm have w₁ = w₂
/// from the first step on.
pub const UPDATE_MIN: f64 = 1e-8;
/// n, the rows from which minibatches are drawn.
pub const ROWS: usize = 1_000;
/// Weights beyond this have diverged; the loss of such weights is still a finite number.
const FAR: f64 = 1e30;
/// An algorithm that learns the two weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Gradient descent on w₁, then on w₂ with the new w₁.
    Untied,
    /// Gradient descent on both at once from w₁ = w₂, then both at their average.
    Synchronized,
    /// w₁ = w₂ = w throughout: Oja's rule with a penalty.
    Tied,
    /// The best w₁ for this w₂, then the best w₂ for that w₁.
    Alternating,
}

impl Algorithm {
    /// The four algorithms, in the order of the answer.
    pub const ALL: [Self; 4] = [
        Self::Untied,
        Self::Synchronized,
        Self::Tied,
        Self::Alternating,
    ];
}

/// The end of a trajectory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The last update was below [`UPDATE_MIN`].
    Converged,
    /// The weights left all bounds; the points are those before.
    Diverged,
    /// It moved on when the iterations were used up.
    Moving,
}

/// The course of an algorithm from a start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trajectory {
    /// The algorithm that ran.
    pub algorithm: Algorithm,
    /// (w₁, w₂) from the start to the end: one more than the iterations.
    pub points: Vec<[f64; 2]>,
    /// L at the last point, of all rows.
    pub loss: f64,
    /// The end of the trajectory.
    pub outcome: Outcome,
    /// The critical point that the end is near.
    pub near: Option<Kind>,
}

/// The start and the step size of a trajectory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walk {
    /// (w₁, w₂) at first.
    pub start: [f64; 2],
    /// Step size α, one over the unit of x².
    pub step: f64,
}

/// Runs one algorithm; iteration t sees the scatter `scatters[t]`.
pub fn run(
    algorithm: Algorithm,
    landscape: &Landscape,
    walk: Walk,
    scatters: &[f64],
) -> Trajectory {
    let steps: fn(&Landscape, f64, [f64; 2]) -> [f64; 2] = match algorithm {
        Algorithm::Untied => descend,
        Algorithm::Synchronized => synchronize,
        Algorithm::Tied => tie,
        Algorithm::Alternating => alternate,
    };
    let [w1, w2] = walk.start;
    let mut here = match algorithm {
        Algorithm::Untied | Algorithm::Alternating => [w1, w2],
        Algorithm::Synchronized | Algorithm::Tied => [w2, w2],
    };
    let mut points = vec![here];
    let mut outcome = Outcome::Moving;
    for scatter in scatters.iter().take(ITERATIONS_MAX) {
        let next = steps(&landscape.on(*scatter), walk.step, here);
        // A number that is none is not below either.
        if !next.iter().all(|weight| weight.abs() < FAR) {
            outcome = Outcome::Diverged;
            break;
        }
        let moved = (next[0] - here[0]).hypot(next[1] - here[1]);
        here = next;
        points.push(here);
        if moved < UPDATE_MIN {
            outcome = Outcome::Converged;
            break;
        }
    }
    let near = landscape.near(here);
    Trajectory {
        algorithm,
        points,
        loss: landscape.value(here),
        outcome,
        near: near.filter(|_| outcome != Outcome::Diverged),
    }
}

/// w₁ ← w₁ − α(w₂(w₂w₁ − 1)x² + λw₁), then w₂ ← w₂ − α((w₂w₁ − 1)x²w₁ + λw₂): Kunin 2019's program.
fn descend(landscape: &Landscape, step: f64, [w1, w2]: [f64; 2]) -> [f64; 2] {
    let w1 = w1 - step * landscape.half_gradient([w1, w2])[0];
    let w2 = w2 - step * landscape.half_gradient([w1, w2])[1];
    [w1, w2]
}

/// Both by their own half of the gradient, then both at the average. Of two numbers that are equal the
/// halves are too: what tells it from [`tie`] needs a matrix.
fn synchronize(landscape: &Landscape, step: f64, [w1, w2]: [f64; 2]) -> [f64; 2] {
    let [g1, g2] = landscape.half_gradient([w1, w2]);
    let w = 0.5 * ((w1 - step * g1) + (w2 - step * g2));
    [w, w]
}

/// w ← w − α((w² − 1)x²w + λw): Oja's rule with the penalty of Kunin 2019, appendix A.
fn tie(landscape: &Landscape, step: f64, [w, _]: [f64; 2]) -> [f64; 2] {
    let w = w - step * landscape.half_gradient([w, w])[0];
    [w, w]
}

/// w₁ = w₂x²/(w₂²x² + λ), then w₂ the same way: each the exact minimum of L over one weight.
fn alternate(landscape: &Landscape, _: f64, [w1, w2]: [f64; 2]) -> [f64; 2] {
    let w1 = best_for(landscape, w2).unwrap_or(w1);
    let w2 = best_for(landscape, w1).unwrap_or(w2);
    [w1, w2]
}

/// The weight at which L is least beside `other`; none if L does not depend on it.
fn best_for(landscape: &Landscape, other: f64) -> Option<f64> {
    let (scatter, lambda) = (landscape.scatter, landscape.lambda);
    let square = other * other;
    let curved = match landscape.loss {
        Loss::None | Loss::Product => square * (scatter + lambda),
        Loss::Sum => square * scatter + lambda,
    };
    (curved > 0.0).then(|| other * scatter / curved)
}

/// Returns the scatter that each iteration sees: (n/b)·Σxᵢ² over `minibatch` of the [`ROWS`] rows, drawn without
/// replacement and anew for every iteration.
///
/// Rows are normal by `seed`, scaled so that all of them have the scatter `scatter`. All rows in one
/// minibatch have no noise.
pub fn minibatch_scatters(scatter: f64, minibatch: usize, seed: u64) -> Vec<f64> {
    if minibatch >= ROWS {
        return vec![scatter; ITERATIONS_MAX];
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let squares: Vec<f64> = (0..ROWS)
        .map(|_| {
            let x: f64 = StandardNormal.sample(&mut random);
            x * x
        })
        .collect();
    let total: f64 = squares.iter().sum();
    let minibatch = minibatch.max(1);
    let scale = scatter / total * (ROWS as f64 / minibatch as f64);
    (0..ITERATIONS_MAX)
        .map(|_| {
            let drawn = sample(&mut random, ROWS, minibatch);
            scale * drawn.iter().map(|i| squares[i]).sum::<f64>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WEIGHTS, landscapes};
    use super::*;

    fn full(landscape: &Landscape) -> Vec<f64> {
        minibatch_scatters(landscape.scatter(), ROWS, 0)
    }

    #[test]
    fn every_algorithm_finds_a_minimum() {
        let walk = Walk {
            start: [-0.4, 1.8],
            step: 0.1,
        };
        for landscape in landscapes() {
            // Flat to the second order: gradient descent is slow there, as it should be.
            let is_flat = landscape.curve().is_none()
                && landscape
                    .critical_points()
                    .iter()
                    .any(|point| point.kind == Kind::Degenerate);
            if is_flat {
                continue;
            }
            for algorithm in Algorithm::ALL {
                let walked = run(algorithm, &landscape, walk, &full(&landscape));
                assert_eq!(
                    walked.outcome,
                    Outcome::Converged,
                    "{algorithm:?} {landscape:?}"
                );
                let near = walked.near.expect("a critical point");
                assert_ne!(near, Kind::Saddle, "{algorithm:?} {landscape:?}");
                let least = landscape.critical_points()[0].loss;
                assert!(
                    (walked.loss - least).abs() < 1e-10,
                    "{algorithm:?} {landscape:?}"
                );
            }
        }
    }

    #[test]
    fn the_best_weight_has_no_slope() {
        for landscape in landscapes() {
            for other in WEIGHTS.into_iter().filter(|other| other.abs() > 0.0) {
                let best = best_for(&landscape, other).expect("one");
                let slope = landscape.half_gradient([best, other])[0];
                assert!(slope.abs() < 1e-12, "{landscape:?}");
            }
        }
        // Where no w₁ is better than another, none is taken.
        let none = Landscape::new(Loss::None, 1.0, 0.0);
        assert_eq!(best_for(&none, 0.0), None);
    }

    #[test]
    fn a_step_that_is_too_long_diverges_and_a_saddle_holds() {
        let landscape = Landscape::new(Loss::Sum, 4.0, 0.25);
        let walk = Walk {
            start: [2.0, 2.0],
            step: 1.0,
        };
        let walked = run(Algorithm::Untied, &landscape, walk, &full(&landscape));
        assert_eq!((walked.outcome, walked.near), (Outcome::Diverged, None));
        assert!(
            walked
                .points
                .iter()
                .flatten()
                .all(|weight| weight.is_finite())
        );
        assert!(walked.loss.is_finite());
        let walk = Walk {
            start: [0.0, 0.0],
            step: 0.1,
        };
        let walked = run(Algorithm::Untied, &landscape, walk, &full(&landscape));
        assert_eq!(
            (walked.outcome, walked.near),
            (Outcome::Converged, Some(Kind::Saddle))
        );
        assert_eq!(walked.points.len(), 2);
    }

    #[test]
    fn noise_is_that_of_the_rows() {
        let (one, same) = (
            minibatch_scatters(2.0, 100, 7),
            minibatch_scatters(2.0, 100, 7),
        );
        assert_eq!(one, same);
        assert_ne!(one, minibatch_scatters(2.0, 100, 8));
        let mean = one.iter().sum::<f64>() / one.len() as f64;
        // The variance of a minibatch's scatter: 2x⁴(1/b − 1/n), as x has four moments of a normal.
        let variance = one.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / one.len() as f64;
        let expected = 2.0 * 4.0 * (1.0 / 100.0 - 1.0 / 1000.0);
        assert!((mean - 2.0).abs() < 0.03, "{mean}");
        assert!(
            (variance / expected - 1.0).abs() < 0.25,
            "{variance} {expected}"
        );
        assert!(
            minibatch_scatters(2.0, ROWS, 1)
                .iter()
                .all(|x| (x - 2.0).abs() < 1e-15)
        );
    }

    #[test]
    fn the_steps_are_those_of_the_matrices() {
        use crate::algorithm::{Kind as Matrices, Recipe, StepSize};
        use crate::loss::Loss as Matrix;
        use crate::problem::Problem;
        use crate::train::{Course, Record, Stop, train};
        use crate::weights::Weights;
        let (start, step) = ([-0.4, 1.8], 0.05);
        for landscape in landscapes() {
            let row = faer::mat![[landscape.scatter().sqrt()]];
            let problem = Problem::new(row.as_ref());
            let lambda = landscape.lambda();
            let loss = match landscape.loss() {
                Loss::None => Matrix::None,
                Loss::Product => Matrix::Product(lambda),
                Loss::Sum => Matrix::Sum(lambda),
            };
            let kinds = [
                Matrices::UntiedGradient,
                Matrices::SynchronizedGradient,
                Matrices::TiedGradient,
                Matrices::UntiedExact,
            ];
            for (algorithm, kind) in Algorithm::ALL.into_iter().zip(kinds) {
                let walked = run(
                    algorithm,
                    &landscape,
                    Walk { start, step },
                    &full(&landscape),
                );
                let recipe = Recipe {
                    kind,
                    loss: loss.clone(),
                    step: StepSize::Constant(step),
                    seed: 0,
                };
                let mut own = recipe.make(1).expect("a recipe");
                let weights = Weights {
                    encoder: faer::mat![[start[0]]],
                    decoder: faer::mat![[start[1]]],
                };
                let course = Course {
                    minibatch: None,
                    stop: Stop::Limit,
                    iterations_max: walked.points.len() - 1,
                };
                let trained = train(own.as_mut(), &problem, weights, course, Record::All);
                let iterates = trained.expect("a run").iterates;
                assert_eq!(iterates.len(), walked.points.len());
                for (iterate, point) in iterates.iter().zip(&walked.points) {
                    let here = [
                        iterate.weights.encoder[(0, 0)],
                        iterate.weights.decoder[(0, 0)],
                    ];
                    let apart = (here[0] - point[0]).hypot(here[1] - point[1]);
                    assert!(apart < 1e-12, "{algorithm:?} {landscape:?}: {apart}");
                }
            }
        }
    }
}
