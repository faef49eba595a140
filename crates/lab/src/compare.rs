//! Every algorithm on the same rows from the same start: error per iteration and per second.
//!
//! In: a problem and what is to be learned. Out: for each algorithm its curve of errors against the
//! full decomposition, with the time that it took; a table; two pictures. Each algorithm gets rows
//! whose scatter matrix is not computed yet, and pays for it if it uses it.

use std::time::Duration;

use faer::MatRef;

use crate::LabError;
use crate::algorithm::{Kind, Recipe, StepSize};
use crate::loss::Loss;
use crate::problem::Problem;
use crate::theory::least_loss;
use crate::train::{Course, End, Record, Stop, train};
use crate::weights::{Weights, axis_error};
use ojad_core::linalg::Spectrum;
use ojad_plot::{Chart, Legend, Mark, Sheet};

/// Below this an error is rounding: mean sin² of directions that agree to f64's last digit.
const FLOOR: f64 = 1e-32;

/// Runs of each algorithm, of which the least time counts, unless one takes longer than this.
const REPEATS: usize = 5;
const SLOW: Duration = Duration::from_millis(500);

/// The settings of a comparison.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The number of components, k.
    pub components: usize,
    /// λ of the sum and product losses, in units of C.
    pub lambda: f64,
    /// The same of the non-uniform sum.
    pub lambdas: Vec<f64>,
    /// α of the constant steps.
    pub step: f64,
    /// α of the normalized steps, which has no unit.
    pub normalized_step: f64,
    /// Rows per minibatch, for the algorithms that use them.
    pub minibatch: usize,
    /// Every algorithm ends when its weights move by less.
    pub tolerance: f64,
    /// Maximum number of iterations of an algorithm.
    pub iterations_max: usize,
    /// Of the start, and of the randomized decomposition.
    pub seed: u64,
}

/// The panel that an algorithm is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Gradient descent on all rows, under the sum loss.
    Gradient,
    /// Gradient descent with other losses, steps or rows.
    Variants,
    /// Exact minimisation, and the baselines.
    Exact,
}

/// One algorithm in the contest.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name in tables and legends.
    pub name: String,
    /// The panel that it is drawn in.
    pub family: Family,
    recipe: Recipe,
    minibatch: Option<usize>,
}

impl Entry {
    fn with_loss(mut self, loss: Loss) -> Self {
        self.recipe.loss = loss;
        self
    }

    fn with_step(mut self, step: StepSize) -> Self {
        self.recipe.step = step;
        self
    }

    fn with_minibatch(mut self, rows: usize) -> Self {
        self.minibatch = Some(rows);
        self
    }
}

/// The errors of an algorithm at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The number of iterations made.
    pub iteration: usize,
    /// Seconds taken, the scatter matrix included where it was needed.
    pub seconds: f64,
    /// Mean sin² between directions and principal directions, one by one.
    pub axis_error: f64,
    /// Mean sin² between their spans.
    pub subspace_error: f64,
    /// The same as `axis_error` for the decoder's own columns.
    pub column_error: f64,
    /// The distance between encoder and transposed decoder, ‖W₁ − W₂ᵀ‖.
    pub asymmetry: f64,
}

/// The course of one algorithm through a comparison.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The algorithm that ran.
    pub entry: Entry,
    /// From the first iteration on: a start has no error of an algorithm.
    pub points: Vec<Point>,
    /// The number of iterations made.
    pub iterations: usize,
    /// The reason why it ended.
    pub end: End,
    /// Loss above the minimum, as a share of it; NaN after a divergence.
    pub excess: f64,
}

impl Contest {
    fn entry(&self, name: &str, family: Family, kind: Kind) -> Entry {
        Entry {
            name: name.to_owned(),
            family,
            recipe: Recipe {
                kind,
                loss: Loss::Sum(self.lambda),
                step: StepSize::Constant(self.step),
                seed: self.seed,
            },
            minibatch: None,
        }
    }

    /// Every algorithm of the lab.
    pub fn entries(&self) -> Vec<Entry> {
        use Family::{Exact, Gradient, Variants};
        let entry = |name, family, kind| self.entry(name, family, kind);
        let other = |name, kind, loss| entry(name, Variants, kind).with_loss(loss);
        let rows = self.minibatch;
        vec![
            entry("untied gradient", Gradient, Kind::UntiedGradient),
            entry(
                "synchronized gradient",
                Gradient,
                Kind::SynchronizedGradient,
            ),
            entry(
                "tied gradient (regularized Oja)",
                Gradient,
                Kind::TiedGradient,
            ),
            entry("rotation-augmented", Gradient, Kind::RotationAugmented),
            entry("tied, normalized step", Gradient, Kind::TiedGradient)
                .with_step(StepSize::Normalized(self.normalized_step)),
            entry("untied, minibatches", Variants, Kind::UntiedGradient).with_minibatch(rows),
            entry("tied, minibatches", Variants, Kind::TiedGradient).with_minibatch(rows),
            other("tied, no penalty (Oja)", Kind::TiedGradient, Loss::None),
            other("untied, no penalty", Kind::UntiedGradient, Loss::None),
            other(
                "untied, product loss",
                Kind::UntiedGradient,
                Loss::Product(self.lambda),
            ),
            other(
                "untied, non-uniform sum",
                Kind::UntiedGradient,
                Loss::NonUniform(self.lambdas.clone()),
            ),
            entry("untied exact", Exact, Kind::UntiedExact),
            entry("synchronized exact", Exact, Kind::SynchronizedExact),
            entry("tied exact", Exact, Kind::TiedExact),
            entry("tied exact, minibatches", Exact, Kind::TiedExact).with_minibatch(rows),
            entry("SVD", Exact, Kind::Svd),
            entry("randomized SVD", Exact, Kind::RandomizedSvd),
            entry("streaming (ojad fit)", Exact, Kind::Streaming),
        ]
    }

    /// Runs every algorithm, calling `before` with each.
    ///
    /// # Errors
    /// If the rows are not finite; a run that diverges is reported by its `end`.
    pub fn run(
        &self,
        rows: MatRef<'_, f64>,
        mut before: impl FnMut(&Entry),
    ) -> Result<Vec<Curve>, LabError> {
        let judge = Problem::new(rows);
        let spectrum = judge.spectrum()?;
        self.entries()
            .into_iter()
            .map(|entry| {
                before(&entry);
                self.curve(entry, &judge, spectrum)
            })
            .collect()
    }

    fn curve(
        &self,
        entry: Entry,
        judge: &Problem<'_>,
        spectrum: &Spectrum,
    ) -> Result<Curve, LabError> {
        let k = self.components;
        let course = Course {
            minibatch: entry.minibatch,
            stop: Stop::Update(self.tolerance),
            iterations_max: self.iterations_max,
        };
        let once = || {
            let problem = Problem::new(judge.rows());
            let mut algorithm = entry.recipe.make(k)?;
            let start = Weights::start(problem.features(), k, self.seed);
            train(algorithm.as_mut(), &problem, start, course, Record::Thinned)
        };
        let mut trajectory = once()?;
        for _ in 1..REPEATS {
            if trajectory.last().is_none_or(|last| last.elapsed > SLOW) {
                break;
            }
            // The same iterates, to the bit; other programs cost other ones of them time.
            let again = once()?.iterates;
            for (iterate, again) in trajectory.iterates.iter_mut().zip(again) {
                iterate.elapsed = iterate.elapsed.min(again.elapsed);
            }
        }
        let truth = spectrum.vectors.as_ref();
        let points: Result<Vec<Point>, LabError> = trajectory
            .iterates
            .iter()
            .filter(|iterate| iterate.iteration > 0)
            .map(|iterate| {
                let found = iterate.weights.found()?;
                Ok(Point {
                    iteration: iterate.iteration,
                    seconds: iterate.elapsed.as_secs_f64(),
                    axis_error: found.axis_error(truth).max(FLOOR),
                    subspace_error: found.subspace_error(truth).max(FLOOR),
                    column_error: axis_error(iterate.weights.decoder.as_ref(), truth).max(FLOOR),
                    asymmetry: iterate.weights.asymmetry(),
                })
            })
            .collect();
        let least = least_loss(&entry.recipe.loss, &spectrum.values, k);
        let excess = match (trajectory.end, trajectory.last()) {
            (End::Diverged, _) | (_, None) => f64::NAN,
            (_, Some(last)) => {
                entry.recipe.loss.value(&last.weights, judge.scatter()) / least - 1.0
            }
        };
        Ok(Curve {
            points: points?,
            iterations: trajectory.iterations,
            end: trajectory.end,
            excess,
            entry,
        })
    }
}

/// The abscissa of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The number of iterations.
    Iterations,
    /// The time, in milliseconds.
    Time,
}

/// The errors of all curves against iterations or time, one panel a family.
pub fn picture(curves: &[Curve], against: Against, source: &str) -> Sheet {
    let (what, label) = match against {
        Against::Iterations => ("iteration", "iterations"),
        Against::Time => ("second", "time, ms"),
    };
    let panel = |family: Family, title: &str| {
        let mut chart = Chart::new(title, label, "mean sin² of directions")
            .log_x()
            .log_y()
            .legend(Legend::Right);
        for curve in curves.iter().filter(|curve| curve.entry.family == family) {
            let points: Vec<(f64, f64)> = curve
                .points
                .iter()
                .map(|point| match against {
                    Against::Iterations => (point.iteration as f64, point.axis_error),
                    Against::Time => (1e3 * point.seconds, point.axis_error),
                })
                .collect();
            let mark = if points.len() < 3 {
                Mark::Dots
            } else {
                Mark::Line
            };
            chart = chart.add(&curve.entry.name, mark, points);
        }
        chart
    };
    Sheet::new(format!("Error per {what}: {source}"), 2)
        .note(
            "Each direction against the principal direction of its rank, by the singular vectors of the \
             decoder. Losses that leave the directions free end where chance left them.",
        )
        .panel_size(680, 380)
        .panel(panel(Family::Gradient, "gradient descent, sum loss"))
        .panel(panel(Family::Variants, "other losses, minibatches"))
        .panel(panel(Family::Exact, "exact minimisation, baselines"))
}
