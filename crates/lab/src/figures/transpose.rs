//! 1. The transpose theorem: ‖W₁ − W₂ᵀ‖² over training.

use super::runs::descent;
use super::{Experiment, Filled, Made, Setting, series, three};
use crate::problem::Problem;
use crate::weights::Weights;
use ojad_plot::{Chart, Mark, Sheet};

/// Share of the first eigenvalue's inverse that a step is: short enough that the balance of the
/// weights is kept as by a flow.
const STEP: f64 = 0.02;

/// Factors of e by which the flow's own rate has fallen at the end.
const DECAYS: f64 = 22.0;

/// The most iterations of a run.
const ITERATIONS_MAX: usize = 100_000;

/// The theorem that the experiment is about.
const PREDICTED: &str = "‖W₁ − W₂ᵀ‖² → 0 under the sum loss, and only there (theorem 2.1); W₁W₁ᵀ − \
     W₂ᵀW₂ falls as e^(−2αλt) there and stays under the others";

/// ‖W₁W₁ᵀ − W₂ᵀW₂‖², which a flow along the gradient keeps under losses that GLₖ leaves alone and
/// which falls as e^(−4αλt) under the sum loss.
fn imbalance(weights: &Weights) -> f64 {
    let (w1, w2) = (&weights.encoder, &weights.decoder);
    (w1 * w1.transpose() - w2.transpose() * w2).squared_norm_l2()
}

/// Trains untied weights under the three losses.
///
/// # Errors
/// If the rows are not finite.
pub fn transpose(setting: &Setting<'_>) -> Made {
    let problem = Problem::new(setting.rows);
    let first = problem.spectrum()?.values.first().copied().unwrap_or(1.0);
    let (alpha, lambda) = (STEP / first, setting.lambda);
    let predicted_rate = 4.0 * alpha * lambda;
    let iterations = (DECAYS / (alpha * lambda)).clamp(100.0, ITERATIONS_MAX as f64) as usize;
    let mut data = Filled::new(
        &["loss"],
        &[
            "iteration",
            "asymmetry_squared",
            "imbalance_squared",
            "imbalance_predicted",
        ],
    );
    let mut left = Chart::new("‖W₁ − W₂ᵀ‖²", "iterations", "").log_y();
    let mut right = Chart::new("‖W₁W₁ᵀ − W₂ᵀW₂‖², dashed: theory", "iterations", "").log_y();
    let (mut ends, mut is_falling) = (Vec::new(), false);
    for (color, loss) in three(lambda).iter().enumerate() {
        let start = Weights::random(problem.features(), setting.components, 0.5, setting.seed);
        let began = imbalance(&start);
        let run = descent(&problem, loss, start, alpha, iterations)?;
        let rate = if color == 2 { predicted_rate } else { 0.0 };
        let (mut found, mut balance, mut theory) = (Vec::new(), Vec::new(), Vec::new());
        for iterate in &run.iterates {
            let t = iterate.iteration as f64;
            let of = (
                iterate.weights.asymmetry().powi(2),
                imbalance(&iterate.weights),
                began * (-rate * t).exp(),
            );
            data.row([loss.name()], [t, of.0, of.1, of.2]);
            found.push((t, of.0));
            balance.push((t, of.1));
            theory.push((t, of.2));
        }
        ends.push((found.last().map_or(f64::NAN, |p| p.1), mean_rate(&balance)));
        is_falling = falls(&found);
        left.series
            .push(series(loss.name(), Mark::Line, color, found));
        right
            .series
            .push(series(loss.name(), Mark::Line, color, balance));
        right.series.push(series("", Mark::Dashed, color, theory));
    }
    let ratio = ends[2].1 / predicted_rate;
    Ok(Experiment {
        name: "1-transpose",
        predicted: PREDICTED.into(),
        found: format!(
            "‖W₁ − W₂ᵀ‖² after {iterations} iterations: none {:.3}, product {:.3}, sum {:.1e}{}; the \
             rate is {ratio:.3} of the predicted one under the sum loss, {:.3} and {:.3} of it under \
             none and product",
            ends[0].0,
            ends[1].0,
            ends[2].0,
            if ends[2].0 >= 1e-6 && is_falling {
                " and falling"
            } else {
                ""
            },
            ends[0].1 / predicted_rate,
            ends[1].1 / predicted_rate,
        ),
        // Directions with a small gap are slow, whatever the penalty: then it must still fall.
        holds: (ends[2].0 < 1e-6 || is_falling)
            && ends[0].0 > 1e-3
            && ends[1].0 > 1e-3
            && (0.9..1.1).contains(&ratio),
        data: data.done(),
        sheet: Sheet::new("1. Encoder and decoder become transposes", 2)
            .note(format!(
                "Untied gradient descent, k = {}, α = {alpha:.2e}, λ = {lambda:.4}",
                setting.components
            ))
            .panel(left)
            .panel(right),
    })
}

/// Returns true if y falls by a tenth in the second half of the time.
fn falls(points: &[(f64, f64)]) -> bool {
    let Some(last) = points.last() else {
        return false;
    };
    let half = points.iter().find(|point| point.0 >= 0.5 * last.0);
    half.is_some_and(|half| last.1 < 0.9 * half.1)
}

/// −d ln(y)/dt while y falls to a thousandth: later the second order of the steps shows.
fn mean_rate(points: &[(f64, f64)]) -> f64 {
    let Some(first) = points.first() else {
        return f64::NAN;
    };
    let edge = 1e-3 * first.1;
    let last = points.iter().take_while(|point| point.1 > edge).last();
    last.map_or(f64::NAN, |last| {
        (first.1 / last.1).ln() / (last.0 - first.0).max(1.0)
    })
}
