//! 2. Left singular vectors of X against those of the decoder.

use faer::Mat;

use super::runs::minimum;
use super::{Experiment, Filled, Made, Setting, three};
use crate::problem::Problem;
use ojad_plot::{Heat, Sheet};

/// Trains to the minimum of each loss and compares directions.
///
/// # Errors
/// If the rows are not finite.
pub fn singular_vectors(setting: &Setting<'_>) -> Made {
    let problem = Problem::new(setting.rows);
    let truth = problem.spectrum()?.vectors.as_ref();
    let k = setting.components;
    let mut data = Filled::new(&["loss"], &["principal", "decoder", "cosine"]);
    let mut errors = Vec::new();
    let mut sheet = Sheet::new(
        "2. Left singular vectors of X against those of the decoder",
        3,
    )
    .note("Predicted for the sum loss: ones on the diagonal, zeros beside it.")
    .panel_size(440, 400);
    for loss in three(setting.lambda) {
        let weights = minimum(&problem, &loss, k, setting.seed)?;
        let found = weights.found()?;
        let cosines: Mat<f64> = truth.subcols(0, k).transpose() * &found.directions;
        for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
            let numbers = [(i + 1) as f64, (j + 1) as f64, cosines[(i, j)].abs()];
            data.row([loss.name()], numbers);
        }
        errors.push((found.axis_error(truth), found.subspace_error(truth)));
        let names = || (1..=k).map(|i| i.to_string()).collect::<Vec<_>>();
        let values = (0..k).flat_map(|i| (0..k).map(move |j| (i, j)));
        let values = values.map(|at| cosines[at].abs()).collect();
        let mut heat = Heat::new(format!("{}: |cosine|", loss.name()), k, k, values)
            .range(0.0, 1.0)
            .labels("principal direction", "left singular vector of W₂")
            .names(names(), names());
        if k <= 8 {
            heat = heat.numbers();
        }
        sheet = sheet.panel(heat);
    }
    Ok(Experiment {
        name: "2-singular-vectors",
        predicted:
            "the left singular vectors of W₂ are the principal directions under the sum loss \
                    (landscape theorem: a diagonal of ones); under the others only their span is"
                .into(),
        found: format!(
            "mean sin² one by one: none {:.3}, product {:.3}, sum {:.1e}; of the span: {:.1e}, {:.1e}, \
             {:.1e}",
            errors[0].0, errors[1].0, errors[2].0, errors[0].1, errors[1].1, errors[2].1
        ),
        holds: errors[2].0 < 1e-6
            && errors.iter().all(|error| error.1 < 1e-6)
            && (k == 1 || errors[..2].iter().all(|error| error.0 > 1e-4)),
        data: data.done(),
        sheet,
    })
}
