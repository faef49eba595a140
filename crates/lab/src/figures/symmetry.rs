//! 4. What each loss leaves free, for k = 2: the ellipses of G₁ = W₁W₁ᵀ and G₂ = W₂ᵀW₂.

use faer::{Mat, MatRef};

use super::runs::minimum;
use super::{Experiment, Filled, Made, Setting, series, three};
use crate::LabError;
use crate::problem::{Problem, spectrum_of};
use crate::theory::{inverse, shrunk};
use ojad_plot::{Chart, Legend, Mark, Sheet};

/// Points of an ellipse.
const POINTS: usize = 121;

/// The image of the unit circle under G^½, 2×2 symmetric positive semidefinite.
fn ellipse(g: MatRef<'_, f64>) -> Result<Vec<(f64, f64)>, LabError> {
    let spectrum = spectrum_of(g)?;
    let axis = |i: usize| spectrum.values[i].max(0.0).sqrt();
    let point = |step: usize| {
        let turn = std::f64::consts::TAU * step as f64 / (POINTS - 1) as f64;
        let (a, b) = (axis(0) * turn.cos(), axis(1) * turn.sin());
        let of = |i: usize| a * spectrum.vectors[(i, 0)] + b * spectrum.vectors[(i, 1)];
        (of(0), of(1))
    };
    Ok((0..POINTS).map(point).collect())
}

/// Trains k = 2 to the minimum of each loss from two starts.
///
/// # Errors
/// If the rows are not finite or have one feature.
pub fn symmetry(setting: &Setting<'_>) -> Made {
    let problem = Problem::new(setting.rows);
    let spectrum = problem.spectrum()?;
    let mut data = Filled::new(&["loss", "matrix"], &["start", "g11", "g12", "g22"]);
    let (mut worst, mut apart) = (Vec::new(), Vec::new());
    let mut sheet = Sheet::new("4. What the losses leave free, k = 2", 3)
        .note(
            "Images of the unit circle under the square roots of G₁ and G₂ at the minima from two starts. \
             Dashed: G₂ as the theory gives it.",
        )
        .panel_size(460, 380);
    for loss in three(setting.lambda.min(0.5 * spectrum.values[1])) {
        let mut chart = Chart::new(loss.name(), "z₁", "z₂")
            .square()
            .legend(Legend::Right);
        let (mut most, mut far) = (0.0_f64, 0.0_f64);
        for start in 0..2_u64 {
            let weights = minimum(&problem, &loss, 2, setting.seed + start)?;
            let (w1, w2) = (&weights.encoder, &weights.decoder);
            let (g1, g2) = (w1 * w1.transpose(), w2.transpose() * w2);
            // W₂W₁ = P = UDUᵀ at the minimum; the encoder then leaves the decoder no choice.
            let lengths = [0, 1].map(|i| shrunk(&loss, i, spectrum.values[i]).powi(2));
            let u = spectrum.vectors.subcols(0, 2);
            let p = u
                * Mat::from_fn(2, 2, |i, j| if i == j { lengths[i] } else { 0.0 })
                * u.transpose();
            let back = w1.transpose() * inverse(g1.as_ref()); // m×2: W₁'s pseudoinverse
            let decoder = p * back;
            let predicted = decoder.transpose() * &decoder;
            most = most.max((&g2 - &predicted).norm_max() / predicted.norm_max());
            far = far.max((&g1 - &g2).norm_max());
            for (name, g) in [("G1", &g1), ("G2", &g2), ("G2 predicted", &predicted)] {
                data.row(
                    [loss.name(), name],
                    [start as f64, g[(0, 0)], g[(0, 1)], g[(1, 1)]],
                );
            }
            let color = usize::from(start == 1) * 2;
            let of = |name: &str| {
                if start == 0 {
                    name.to_owned()
                } else {
                    String::new()
                }
            };
            chart
                .series
                .push(series(of("G₁"), Mark::Line, color, ellipse(g1.as_ref())?));
            chart.series.push(series(
                of("G₂"),
                Mark::Line,
                color + 1,
                ellipse(g2.as_ref())?,
            ));
            let theory = ellipse(predicted.as_ref())?;
            chart
                .series
                .push(series(of("theory"), Mark::Dashed, 6, theory));
        }
        sheet = sheet.panel(chart);
        worst.push(most);
        apart.push(far);
    }
    Ok(Experiment {
        name: "4-symmetry",
        predicted: "G₁ = W₁W₁ᵀ decides G₂ = W₂ᵀW₂ under every loss (W₂ = UDUᵀW₁⁺); under none and product \
                    any G in GL₂ may stand between them, under the sum loss only rotations, so that \
                    G₁ = G₂ (section 2.3)"
            .into(),
        found: format!(
            "largest relative difference of G₂ from the prediction: {:.1e}, {:.1e}, {:.1e}; ‖G₁ − G₂‖ none \
             {:.3}, product {:.3}, sum {:.1e}",
            worst[0], worst[1], worst[2], apart[0], apart[1], apart[2]
        ),
        holds: worst.iter().all(|most| *most < 1e-4)
            && apart[2] < 1e-5
            && apart[..2].iter().all(|far| *far > 1e-3),
        data: data.done(),
        sheet,
    })
}
