//! 7. Probabilistic PCA: the minimum of the sum loss as its estimate.
//!
//! x = Wz + ε, z ~ N(0, I), ε ~ N(0, σ²I). With eigenvalues Λ of the covariance S the likelihood is
//! highest at σ² = mean of the m − k smallest and W = U(Λ − σ²)^½R (Tipping and Bishop 1999,
//! equations 7 and 8). Put λ = nσ² into the sum loss: its minimum has s² = 1 − σ²/Λ, so that
//! W = U(Λ)^½diag(s) is read off the decoder, and its reconstruction W₂W₁x = U(1 − σ²/Λ)Uᵀx is
//! W·E[z|x], the reconstruction from the MAP estimate of z (Kunin 2019, on probabilistic PCA).

use faer::{Mat, MatRef, Scale};

use super::runs::balanced_minimum;
use super::{Experiment, Filled, Made, Setting, series};
use crate::LabError;
use crate::loss::by_columns;
use crate::problem::{Problem, spectrum_of};
use crate::theory::inverse;
use crate::weights::Weights;
use ojad_plot::{Chart, Mark, Sheet};

/// λ/(nσ²) that are tried.
const RATIOS: [f64; 13] = [
    0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.45, 1.7, 2.0, 2.5,
];

/// Mean log-likelihood of a row under N(0, WWᵀ + σ²I) when the covariance is `s`, m×m:
/// −½(m ln 2π + ln det M + tr M⁻¹S). Source: Tipping and Bishop 1999, equation 4.
fn log_likelihood(w: MatRef<'_, f64>, noise: f64, s: MatRef<'_, f64>) -> Result<f64, LabError> {
    let m = s.nrows();
    let mut model = w * w.transpose();
    (0..m).for_each(|i| model[(i, i)] += noise);
    let spectrum = spectrum_of(model.as_ref())?;
    let turned = spectrum.vectors.transpose() * s * &spectrum.vectors;
    let sum: f64 = (0..m)
        .map(|i| spectrum.values[i].ln() + turned[(i, i)] / spectrum.values[i])
        .sum();
    Ok(-0.5 * (m as f64 * std::f64::consts::TAU.ln() + sum))
}

/// The loadings that the weights stand for at penalty λ: column i is uᵢ√(λ/(1 − s²) − λ)/√n =
/// uᵢ·s·√(λ/(1 − s²))/√n.
fn loadings(weights: &Weights, lambda: f64, n: f64) -> Result<Mat<f64>, LabError> {
    let found = weights.found()?;
    let eigenvalues = found.eigenvalues(lambda);
    let lengths: Vec<f64> = found
        .singular
        .iter()
        .zip(eigenvalues)
        .map(|(s, eigenvalue)| s * (eigenvalue / n).sqrt())
        .collect();
    Ok(by_columns(found.directions.as_ref(), &lengths))
}

/// Trains under the sum loss around λ = nσ².
///
/// # Errors
/// If the rows are not finite.
pub fn likelihood(setting: &Setting<'_>) -> Made {
    let problem = Problem::new(setting.rows);
    let (n, m, k) = (
        problem.count() as f64,
        problem.features(),
        setting.components,
    );
    let k = k.min(m.saturating_sub(1)).max(1);
    let covariance = problem.scatter() * Scale(1.0 / n);
    let eigenvalues: Vec<f64> = problem.spectrum()?.values.iter().map(|v| v / n).collect();
    let noise = eigenvalues[k..].iter().sum::<f64>() / (m - k).max(1) as f64;
    let best: Vec<f64> = (0..k)
        .map(|i| (eigenvalues[i] - noise).max(0.0).sqrt())
        .collect();
    let ml = by_columns(problem.spectrum()?.vectors.subcols(0, k), &best);
    let at_ml = log_likelihood(ml.as_ref(), noise, covariance.as_ref())?;
    let mut data = Filled::new(
        &[],
        &[
            "lambda_over_n_noise",
            "log_likelihood",
            "log_likelihood_by_formula",
        ],
    );
    let (mut found, mut theory) = (Vec::new(), Vec::new());
    let (mut highest, mut worst) = ((f64::NEG_INFINITY, 0.0), 0.0_f64);
    for ratio in RATIOS {
        let lambda = ratio * n * noise;
        let weights = balanced_minimum(&problem, lambda, k, setting.seed)?;
        let w = loadings(&weights, lambda, n)?;
        let own = log_likelihood(w.as_ref(), ratio * noise, covariance.as_ref())?;
        let formula = by_formula(&eigenvalues, k, ratio * noise);
        worst = worst.max((own - formula).abs());
        data.row([], [ratio, own, formula]);
        found.push((ratio, own));
        theory.push((ratio, formula));
        if own > highest.0 {
            highest = (own, ratio);
        }
    }
    let (apart, bars) = reconstruction(&problem, &ml, noise, k, setting.seed)?;
    let (likelihood, shrunk) = panels(found, theory, at_ml, bars, &eigenvalues[..k], noise);
    Ok(Experiment {
        name: "7-likelihood",
        predicted: "the minimum of the sum loss at λ = nσ² is the maximum-likelihood solution of \
                    probabilistic PCA, and reconstructs each row from the MAP estimate of its latent \
                    variables (section 3; Tipping and Bishop 1999)"
            .into(),
        found: format!(
            "log-likelihood of a row: {at_ml:.9} at the closed form; {:.9} at best over λ, at λ/(nσ²) = {}; \
             every point within {worst:.1e} of its formula; reconstructions differ by at most {apart:.1e} of \
             the largest value",
            highest.0, highest.1
        ),
        // The likelihood is flat at its maximum: σ² comes from an average, loadings from a run.
        holds: (highest.0 - at_ml).abs() < 1e-6
            && (highest.1 - 1.0).abs() < 1e-9
            && worst < 1e-6
            && apart < 1e-5,
        data: data.done(),
        sheet: Sheet::new("7. The minimum of the sum loss is probabilistic PCA", 2)
            .note(format!("k = {k}, σ² = {noise:.5} per row, the mean of the rest"))
            .panel(likelihood)
            .panel(shrunk),
    })
}

/// The likelihood over λ, and s² at its best.
fn panels(
    found: Vec<(f64, f64)>,
    theory: Vec<(f64, f64)>,
    at_ml: f64,
    bars: Vec<(f64, f64)>,
    eigenvalues: &[f64],
    noise: f64,
) -> (Chart, Chart) {
    let mut chart = Chart::new("log-likelihood of a row", "λ/(nσ²)", "");
    chart.series.push(series(
        "at the minimum of the sum loss",
        Mark::Dots,
        0,
        found,
    ));
    chart
        .series
        .push(series("by formula", Mark::Dashed, 0, theory));
    let top = vec![(RATIOS[0], at_ml), (RATIOS[RATIOS.len() - 1], at_ml)];
    chart
        .series
        .push(series("maximum likelihood", Mark::Dashed, 1, top));
    let mut shrunk = Chart::new("s² at λ = nσ²", "component", "");
    shrunk.y.range = Some((0.0, 1.05));
    let line = eigenvalues.iter().enumerate();
    let line = line.map(|(i, value)| ((i + 1) as f64, (1.0 - noise / value).max(0.0)));
    shrunk.series.push(series("found", Mark::Dots, 0, bars));
    shrunk
        .series
        .push(series("1 − σ²/Λ", Mark::Dashed, 1, line.collect()));
    (chart, shrunk)
}

/// The log-likelihood of a row at W = U(Λ − v)₊^½ with noise v, from the eigenvalues alone.
fn by_formula(eigenvalues: &[f64], k: usize, v: f64) -> f64 {
    let term = |(i, value): (usize, &f64)| {
        if i < k && *value > v {
            value.ln() + 1.0
        } else {
            v.ln() + value / v
        }
    };
    let sum: f64 = eigenvalues.iter().enumerate().map(term).sum();
    -0.5 * (eigenvalues.len() as f64 * std::f64::consts::TAU.ln() + sum)
}

/// At λ = nσ²: the largest difference between W₂W₁x and W·E[z|x] over all rows, as a share of the
/// largest value, and s² by component.
fn reconstruction(
    problem: &Problem<'_>,
    ml: &Mat<f64>,
    noise: f64,
    k: usize,
    seed: u64,
) -> Result<(f64, Vec<(f64, f64)>), LabError> {
    let lambda = noise * problem.count() as f64;
    let weights = balanced_minimum(problem, lambda, k, seed)?;
    let own = problem.rows() * weights.encoder.transpose() * weights.decoder.transpose();
    let mut inner = ml.transpose() * ml;
    (0..k).for_each(|i| inner[(i, i)] += noise);
    // E[z|x] = (WᵀW + σ²I)⁻¹Wᵀx.
    let map = problem.rows() * ml * inverse(inner.as_ref()) * ml.transpose();
    let apart = (own - &map).norm_max() / map.norm_max().max(f64::MIN_POSITIVE);
    let singular = weights.found()?.singular;
    let bars = singular.iter().enumerate();
    Ok((apart, bars.map(|(i, s)| ((i + 1) as f64, s * s)).collect()))
}
