//! 3. Shrinkage of the singular values of W₂W₁ over a range of λ.

use super::runs::minimum;
use super::{Experiment, Filled, Made, Setting, series, three};
use crate::problem::Problem;
use crate::theory::shrunk;
use ojad_plot::{Chart, Legend, Mark, Sheet};

/// λ from a hundredth of the k-th eigenvalue to twice the first one, so that every component is seen
/// to switch off.
const STEPS: usize = 25;

/// Trains to the minimum of each loss at each λ.
///
/// # Errors
/// If the rows are not finite.
pub fn shrinkage(setting: &Setting<'_>) -> Made {
    let problem = Problem::new(setting.rows);
    let values = problem.spectrum()?.values.clone();
    let k = setting.components;
    let (low, high) = (0.01 * values[k - 1], 2.0 * values[0]);
    let lambdas: Vec<f64> = (0..STEPS)
        .map(|step| low * (high / low).powf(step as f64 / (STEPS - 1) as f64))
        .collect();
    let mut data = Filled::new(&["loss"], &["lambda", "component", "found", "predicted"]);
    let mut worst = Vec::new();
    let mut sheet = Sheet::new("3. How much each component is shrunk", 3)
        .note("Dots: found by exact minimisation. Dashed: theory.")
        .panel_size(440, 380);
    let formulas = ["none: 1", "product: 1/(1 + λ/σ²)", "sum: (1 − λ/σ²)₊"];
    for (number, formula) in formulas.into_iter().enumerate() {
        let mut found = vec![Vec::new(); k];
        let mut theory = vec![Vec::new(); k];
        let mut most = 0.0_f64;
        for lambda in &lambdas {
            let loss = &three(*lambda)[number];
            let weights = minimum(&problem, loss, k, setting.seed)?;
            let product = &weights.decoder * &weights.encoder;
            let singular = product
                .singular_values()
                .map_err(|_| crate::LabError::NotFinite)?;
            for i in 0..k {
                let predicted = shrunk(loss, i, values[i]).powi(2);
                data.row(
                    [loss.name()],
                    [*lambda, (i + 1) as f64, singular[i], predicted],
                );
                found[i].push((*lambda, singular[i]));
                theory[i].push((*lambda, predicted));
                most = most.max((singular[i] - predicted).abs());
            }
        }
        let mut chart = Chart::new(formula, "λ", "singular value of W₂W₁")
            .log_x()
            .y_range(0.0, 1.05)
            .legend(Legend::BottomLeft);
        for (i, (found, theory)) in found.into_iter().zip(theory).enumerate() {
            chart
                .series
                .push(series(format!("component {}", i + 1), Mark::Dots, i, found));
            chart.series.push(series("", Mark::Dashed, i, theory));
        }
        sheet = sheet.panel(chart);
        worst.push(most);
    }
    Ok(Experiment {
        name: "3-shrinkage",
        predicted:
            "the singular values of W₂W₁ are 1 (none), 1/(1 + λ/σ²) (product), (1 − λ/σ²)₊ (sum) \
                    (landscape theorem)"
                .into(),
        found: format!(
            "largest difference over {STEPS} values of λ and {k} components: none {:.1e}, product {:.1e}, \
             sum {:.1e}",
            worst[0], worst[1], worst[2]
        ),
        // At a λ next to an eigenvalue the minimum is flat and the last digits come slowly.
        holds: worst.iter().all(|most| *most < 1e-3),
        data: data.done(),
        sheet,
    })
}
