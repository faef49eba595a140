//! 6. The critical manifold: every index set, its loss, its Morse index.

use faer::Mat;

use super::{Experiment, Filled, Made, Setting, series, three};
use crate::problem::Problem;
use crate::theory::{critical_points, inertia, numerical_hessian};
use ojad_plot::{Chart, Mark, Sheet};

/// Principal directions kept: with three latent dimensions 42 index sets, and Hessians of 36 × 36.
const DIRECTIONS: usize = 6;
const COMPONENTS: usize = 3;

/// Below this share of the first, an eigenvalue is zero.
const RANK: f64 = 1e-12;

/// Visits every critical point of the three losses on the strongest principal directions.
///
/// Rows of more features are first turned into their scores on `DIRECTIONS` components, which
/// keeps these eigenvalues and drops the others.
///
/// # Errors
/// If the rows are not finite.
pub fn landscape(setting: &Setting<'_>) -> Made {
    let whole = Problem::new(setting.rows);
    // The theorem is about positive singular values: directions in which the rows do not vary are left
    // out.
    let values = &whole.spectrum()?.values;
    let varying = values
        .iter()
        .filter(|value| **value > RANK * values[0])
        .count();
    let width = DIRECTIONS.min(varying);
    let scores: Mat<f64> = setting.rows * whole.spectrum()?.vectors.subcols(0, width);
    let problem = Problem::new(scores.as_ref());
    let components = COMPONENTS.min(setting.components).min(width);
    let mut data = Filled::new(
        &["loss", "directions"],
        &[
            "loss_predicted",
            "loss_found",
            "index_predicted",
            "index_found",
            "gradient_norm",
        ],
    );
    let (mut count, mut wrong) = (0, 0);
    let mut sheet = Sheet::new("6. Every critical point, its loss and its Morse index", 3)
        .note(format!(
            "{width} principal directions, k = {components}. Dots: loss, and negative eigenvalues of the \
             numerical Hessian; crosses: both by formula. Index 0 is the minimum."
        ))
        .panel_size(440, 380);
    let (mut worst, mut steepest) = (0.0_f64, 0.0_f64);
    for loss in three(setting.lambda) {
        let points = critical_points(&problem, &loss, components)?;
        let (mut own, mut theory) = (Vec::new(), Vec::new());
        for point in &points {
            let found = loss.value(&point.weights, problem.scatter());
            let hessian = numerical_hessian(&problem, &loss, &point.weights)?;
            let (negative, _, _) = inertia(&hessian)?;
            let gradient = loss.gradient(&point.weights, &problem.whole());
            let steep = gradient.encoder.norm_l2().hypot(gradient.decoder.norm_l2());
            let set = name(&point.directions);
            data.row(
                [loss.name(), &set],
                [
                    point.loss,
                    found,
                    point.index as f64,
                    negative as f64,
                    steep,
                ],
            );
            count += 1;
            wrong += usize::from(negative != point.index);
            worst = worst.max((found - point.loss).abs() / found.abs().max(f64::MIN_POSITIVE));
            steepest = steepest.max(steep / problem.spectrum()?.values[0]);
            own.push((negative as f64, found));
            theory.push((point.index as f64, point.loss));
        }
        let mut chart = Chart::new(loss.name(), "Morse index", "loss");
        let last = theory.iter().map(|point| point.0).fold(0.0, f64::max);
        chart.x.range = Some((-0.5, last + 0.5));
        chart.series.push(series("found", Mark::Dots, 5, own));
        chart.series.push(series("theory", Mark::Cross, 1, theory));
        sheet = sheet.panel(chart);
    }
    Ok(Experiment {
        name: "6-landscape",
        predicted:
            "one critical manifold for each set of at most k directions that stand above the \
                    penalty, with loss and index by formula; one minimum, the rest are saddles \
                    (landscape theorem, appendix B)"
                .into(),
        found: format!(
            "{count} critical points of the three losses: the gradient is at most {steepest:.1e} of the first \
             eigenvalue, the loss differs by at most {worst:.1e} of itself, {wrong} indices of the numerical \
             Hessian differ"
        ),
        holds: wrong == 0 && worst < 1e-9 && steepest < 1e-9,
        data: data.done(),
        sheet,
    })
}

/// Returns the name of a set of directions, such as "{1,3}".
fn name(directions: &[usize]) -> String {
    let numbers: Vec<String> = directions.iter().map(|i| (i + 1).to_string()).collect();
    format!("{{{}}}", numbers.join(","))
}
