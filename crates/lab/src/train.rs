//! A run of one algorithm: minibatches, stopping rules, the trajectory.

use std::time::{Duration, Instant};

use faer::Mat;

use crate::LabError;
use crate::algorithm::{Algorithm, Coupling};
use crate::problem::Problem;
use crate::weights::Weights;

/// A norm of the weights beyond which a run has left every minimum for good: at a minimum no
/// singular value is above 1.
const LOST: f64 = 1e8;

/// When a run is finished.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop {
    /// ‖W₁ − W₂ᵀ‖ ≤ ε, looked at before each iteration: the paper's program for untied weights.
    Symmetry(f64),
    /// √(‖ΔW₁‖² + ‖ΔW₂‖²) ≤ ε; as the paper's program has it, ‖ΔW‖ ≤ ε for tied weights and for
    /// synchronized exact ones, ‖ΔW₁‖ + ‖ΔW₂‖ ≤ ε for synchronized gradients.
    Update(f64),
    /// When the algorithm itself has nothing left to do, or at the limit.
    Limit,
}

/// The settings of a run: its end, and the iterates that are kept.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Rows an iteration; `None`: all.
    pub minibatch: Option<usize>,
    /// When it is finished.
    pub stop: Stop,
    /// Maximum number of iterations.
    pub iterations_max: usize,
}

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stopping rule held.
    Converged,
    /// The algorithm had nothing left to do.
    Done,
    /// The limit of iterations was reached.
    Limit,
    /// The weights grew without bound: the step is too long.
    Diverged,
}

impl End {
    /// One word for a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Done => "done",
            Self::Limit => "limit",
            Self::Diverged => "diverged",
        }
    }
}

/// One point of a trajectory.
#[derive(Clone, Debug)]
pub struct Iterate {
    /// 0 is the start.
    pub iteration: usize,
    /// Time in the algorithm so far, the scatter matrix included, recording left out.
    pub elapsed: Duration,
    /// The weights after it.
    pub weights: Weights,
}

/// The iterates of a run, and its end.
#[derive(Clone, Debug)]
pub struct Trajectory {
    /// Recorded iterates, the first and the last always.
    pub iterates: Vec<Iterate>,
    /// The number of iterations made.
    pub iterations: usize,
    /// The reason why it ended.
    pub end: End,
}

impl Trajectory {
    /// The last weights; `None` only for a trajectory that was emptied.
    pub fn last(&self) -> Option<&Iterate> {
        self.iterates.last()
    }
}

/// The iterates that a run keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Every iterate is kept.
    All,
    /// Every one at first, then 250 for each factor of ten: what a logarithmic axis shows.
    Thinned,
}

impl Record {
    fn keeps(self, iteration: usize) -> bool {
        match self {
            Self::All => true,
            Self::Thinned => {
                // Not every so many: a stride would fall in step with the minibatches.
                let place = |iteration: usize| (250.0 * (iteration as f64).log10()).floor();
                iteration < 2 || place(iteration) > place(iteration - 1)
            }
        }
    }
}

/// Runs `algorithm` from `start`.
///
/// The time of the first iteration holds what `problem` computes when it is first asked.
///
/// # Errors
/// If the rows or the start are not finite; a run that diverges is an end, not an error.
pub fn train(
    algorithm: &mut dyn Algorithm,
    problem: &Problem<'_>,
    start: Weights,
    course: Course,
    record: Record,
) -> Result<Trajectory, LabError> {
    if !start.is_finite() {
        return Err(LabError::NotFinite);
    }
    let mut weights = start;
    let is_symmetric = algorithm.coupling() != Coupling::Untied;
    if is_symmetric {
        weights.encoder = weights.decoder.transpose().to_owned();
    }
    let mut elapsed = Duration::ZERO;
    let mut iterates = vec![Iterate {
        iteration: 0,
        elapsed,
        weights: weights.clone(),
    }];
    let mut iteration = 0;
    let end = loop {
        if iteration == course.iterations_max {
            break End::Limit;
        }
        if matches!(course.stop, Stop::Symmetry(epsilon) if !is_symmetric && weights.asymmetry() <= epsilon)
        {
            break End::Converged;
        }
        let before = weights.clone();
        let began = Instant::now();
        let batch = problem.minibatch(iteration, course.minibatch.unwrap_or(problem.count()));
        let stepped = algorithm.step(&batch, &mut weights);
        elapsed += began.elapsed();
        iteration += 1;
        let is_lost = !weights.is_finite() || weights.decoder.norm_max() > LOST;
        let has_more = match stepped {
            Err(LabError::NotFinite) if before.is_finite() => break End::Diverged,
            stepped => stepped?,
        };
        if is_lost {
            break End::Diverged;
        }
        let moved = |after: &Mat<f64>, before: &Mat<f64>| (after - before).norm_l2();
        let distance = algorithm.size_of_update(
            moved(&weights.encoder, &before.encoder),
            moved(&weights.decoder, &before.decoder),
        );
        if record.keeps(iteration) {
            iterates.push(Iterate {
                iteration,
                elapsed,
                weights: weights.clone(),
            });
        }
        if !has_more {
            break End::Done;
        }
        let is_settled = match course.stop {
            Stop::Update(epsilon) => distance <= epsilon,
            // Of weights that start as transposes: the size of the update stands in.
            Stop::Symmetry(epsilon) => is_symmetric && distance <= epsilon,
            Stop::Limit => false,
        };
        if is_settled {
            break End::Converged;
        }
    };
    if iterates
        .last()
        .is_some_and(|last| last.iteration != iteration)
        && end != End::Diverged
    {
        iterates.push(Iterate {
            iteration,
            elapsed,
            weights,
        });
    }
    Ok(Trajectory {
        iterates,
        iterations: iteration,
        end,
    })
}
