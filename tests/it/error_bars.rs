//! Error bars cover the truth as often as they say, on Gaussian and on heavy-tailed rows.
//!
//! 200 data sets of 3,000 rows: the share of data sets in which λᵢ ± 1.96 stderr holds the truth
//! has a standard error of √(0.95·0.05/200) = 0.015; three of them and the n = 3,000 bias of a
//! fourth moment are allowed for.

use ojad::learner::{LearnerParams, Penalty, Scale, Summary, merge_all};
use ojad::rows::{Features, RowCounts, Watermark};
use ojad::snapshot::{Provenance, Snapshot, summary_of};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};

use crate::reference::{Rows, distance, fitted, learned, planted, spikes, vectors};

/// Unit variance from a law of variance `variance`.
struct Unit<D>(D, f64);

impl<D: Distribution<f64>> Distribution<f64> for Unit<D> {
    fn sample<R: rand::Rng + ?Sized>(&self, random: &mut R) -> f64 {
        self.0.sample(random) / self.1.sqrt()
    }
}

/// Coverage of the eigenvalues' intervals, and mean θ² ÷ mean angle_stderr², per component.
fn coverage(
    law: &impl Distribution<f64>,
    m: usize,
    params: &LearnerParams,
) -> ([f64; 3], [f64; 3]) {
    let runs = 200;
    let spectrum: Vec<f64> = [12.0, 8.0, 5.0]
        .into_iter()
        .chain(vec![1.0; m - 3])
        .collect();
    let (mut covered, mut square, mut bar) = ([0.0; 3], [0.0; 3], [0.0; 3]);
    for seed in 0..runs {
        let (rows, basis) = planted(3_000, &spectrum, 0.0, 1_000 + seed, law);
        let estimate = fitted(&rows, params);
        let u = vectors(&estimate);
        for i in 0..3 {
            let off = (estimate.eigenvalues[i] - spectrum[i]).abs();
            covered[i] += f64::from(u8::from(off <= 1.96 * estimate.eigenvalue_stderr[i]));
            let cosine: f64 = (0..m).map(|j| u[(i, j)] * basis[(i, j)]).sum();
            square[i] += 1.0 - cosine * cosine;
            bar[i] += estimate.angle_stderr_rad[i].powi(2);
        }
    }
    let ratio = [0, 1, 2].map(|i| square[i] / bar[i]);
    (
        covered.map(|c| c / f64::from(u32::try_from(runs).expect("few runs"))),
        ratio,
    )
}

#[test]
fn bars_cover_on_gaussian_rows() {
    let params = LearnerParams {
        components: 3,
        ..LearnerParams::default()
    };
    let (covered, angle) = coverage(&StandardNormal, 24, &params);
    assert!(
        covered.iter().all(|c| (0.90..=0.99).contains(c)),
        "{covered:?}"
    );
    assert!(angle.iter().all(|a| (0.8..=1.25).contains(a)), "{angle:?}");
}

#[test]
fn bars_cover_on_heavy_tailed_rows() {
    // Student's t with 9 degrees of freedom: kurtosis 4.2 and a finite eighth moment, which the
    // error bar's own error bar needs. A Gaussian bar would cover 88%.
    let law = Unit(StudentT::new(9.0).expect("valid law"), 9.0 / 7.0);
    let params = LearnerParams {
        components: 3,
        ..LearnerParams::default()
    };
    let (covered, angle) = coverage(&law, 24, &params);
    assert!(
        covered.iter().all(|c| (0.88..=0.99).contains(c)),
        "{covered:?}"
    );
    assert!(angle.iter().all(|a| (0.75..=1.25).contains(a)), "{angle:?}");
}

#[test]
fn the_planted_number_of_components_is_found() {
    for (n, m, k) in [(400, 100, 4), (2_000, 200, 5), (8_000, 200, 5)] {
        let (rows, _) = planted(n, &spikes(m, k, 20.0, 6.0), 0.0, n as u64, &StandardNormal);
        let estimate = fitted(&rows, &LearnerParams::default());
        assert_eq!(estimate.components_above_noise, Some(k), "n = {n}, m = {m}");
        assert!(!estimate.above_noise_is_lower_bound);
        assert_eq!(estimate.active.iter().filter(|a| **a).count(), k);
    }
}

#[test]
fn a_covariance_held_whole_tells_the_number_where_noise_is_alike() {
    // Eight sensors, two of eight directions above equal noise: one false count in 200 is allowed by
    // the tests' level, and 3 of 40 are seen once in a thousand.
    let mut right = 0;
    for seed in 0..40 {
        let (rows, _) = planted(3_000, &spikes(8, 2, 9.0, 4.0), 5.0, seed, &StandardNormal);
        let params = LearnerParams {
            components: 2,
            ..LearnerParams::default()
        };
        let estimate = fitted(&rows, &params);
        right += usize::from(estimate.components_above_noise == Some(2));
        if estimate.components_above_noise == Some(2) {
            // The mean of six eigenvalues of unit noise: standard error √(2/(6n)).
            assert!((estimate.noise_variance - 1.0).abs() < 5.0 * (2.0 / 18_000.0_f64).sqrt());
            assert_eq!(estimate.active, [true, true]);
        }
    }
    assert!(right >= 38, "{right} of 40");
}

#[test]
fn a_covariance_held_whole_whose_sensors_differ_says_that_it_cannot_be_told() {
    // Each sensor has noise of its own size: nothing says which of the eight are components.
    let own: Vec<f64> = (0..8).map(|j| 2.0_f64.powi(7 - j)).collect();
    for (n, k) in [(200, 8), (3_000, 2), (3_000, 8)] {
        let (rows, _) = planted(n, &own, 0.0, 3, &StandardNormal);
        let params = LearnerParams {
            components: k,
            ..LearnerParams::default()
        };
        let estimate = fitted(&rows, &params);
        assert_eq!(estimate.components_above_noise, None, "n = {n}");
        assert_eq!(estimate.known_noise_variance(), None);
        assert!(!estimate.above_noise_is_lower_bound);
    }
}

#[test]
fn the_penalty_switches_components_off_and_says_so() {
    let (rows, _) = planted(2_000, &spikes(40, 3, 9.0, 4.0), 0.0, 1, &StandardNormal);
    let params = LearnerParams {
        components: 5,
        penalty: Penalty::Fixed(3.0),
        ..LearnerParams::default()
    };
    let estimate = fitted(&rows, &params);
    assert_eq!(estimate.active, [true, true, true, false, false]);
    for (s, value) in estimate
        .weight_singular_values
        .iter()
        .zip(&estimate.eigenvalues)
    {
        // eigenvalue = λ/(1 − s²) where active (Kunin et al. 2019).
        let back = if *s > 0.0 {
            3.0 / (1.0 - s * s)
        } else {
            *value
        };
        assert!((back / value - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_truth_is_where_the_formula_says() {
    // Σ(l+1)/l²·(m−k)/(nk), l = λᵢ − 1: DESIGN's distance of any one-pass method to the truth.
    let (m, n, k) = (200, 8_000, 5);
    let spectrum = spikes(m, k, 20.0, 8.0);
    let (rows, basis) = planted(n, &spectrum, 0.0, 3, &StandardNormal);
    let estimate = fitted(
        &rows,
        &LearnerParams {
            components: k,
            ..LearnerParams::default()
        },
    );
    let truth = basis.subrows(0, k).to_owned();
    let predicted: f64 = spectrum[..k]
        .iter()
        .map(|v| v / ((v - 1.0) * (v - 1.0)))
        .sum::<f64>()
        * (m - k) as f64
        / (n * k) as f64;
    let sin2 = distance(&estimate, &truth);
    assert!((sin2 / predicted - 1.0).abs() < 0.15, "{sin2} {predicted}");
}

#[test]
fn merged_snapshots_carry_the_bars_of_one_pass() {
    // Parts on other scales: what their mean is off by is what each is off by, and not how they differ.
    let params = LearnerParams {
        components: 6,
        ..LearnerParams::default()
    };
    let (runs, m) = (40_u32, 12);
    let spectrum: Vec<f64> = [12.0, 8.0, 5.0]
        .into_iter()
        .chain(vec![1.0; m - 3])
        .collect();
    let (mut eigenvalues, mut angles) = ([0.0; 3], [0.0; 3]);
    for seed in 0..runs {
        let (mut rows, _) = planted(4_000, &spectrum, 0.0, u64::from(seed), &StandardNormal);
        for (part, scale) in rows.values.chunks_mut(1_000 * m).zip([0.5, 1.0, 1.5, 2.0]) {
            part.iter_mut().for_each(|v| *v *= scale);
        }
        let one = fitted(&rows, &params);
        let parts: Vec<Summary> = (0..4)
            .map(|i| summary_of(&snapshot(&rows.range(i * 1_000, (i + 1) * 1_000), &params)))
            .collect();
        let merged = merge_all(&parts.iter().collect::<Vec<_>>()).expect("same features");
        let merged = merged.estimate(6, Penalty::Auto);
        for i in 0..3 {
            eigenvalues[i] +=
                merged.eigenvalue_stderr[i] / one.eigenvalue_stderr[i] / f64::from(runs);
            angles[i] += merged.angle_stderr_rad[i] / one.angle_stderr_rad[i] / f64::from(runs);
        }
    }
    let is_near = |ratio: &f64| (0.9..=1.1).contains(ratio);
    assert!(
        eigenvalues.iter().all(is_near) && angles.iter().all(is_near),
        "{eigenvalues:?} {angles:?}"
    );
}

#[test]
fn merged_snapshots_know_how_many_rows_are_independent() {
    // AR(1) with ρ = 0.8: n(1 − ρ²)/(1 + ρ²) rows would tell as much of a variance, here 0.22 n.
    let (n, rho) = (8_000, 0.8_f64);
    let (mut rows, _) = planted(n, &[9.0, 4.0, 1.0, 1.0, 1.0], 0.0, 1, &StandardNormal);
    for i in 5..rows.values.len() {
        rows.values[i] = rho * rows.values[i - 5] + (1.0 - rho * rho).sqrt() * rows.values[i];
    }
    let params = LearnerParams {
        components: 2,
        ..LearnerParams::default()
    };
    let parts: Vec<Summary> = [(0, n / 2), (n / 2, n)]
        .map(|(from, to)| summary_of(&snapshot(&rows.range(from, to), &params)))
        .into();
    let merged = merge_all(&parts.iter().collect::<Vec<_>>()).expect("same features");
    let right = n as f64 * (1.0 - rho * rho) / (1.0 + rho * rho);
    for one in merged.estimate(2, Penalty::Auto).certainty {
        let ratio = one.independent_rows.expect("known") / right;
        assert!((0.6..1.7).contains(&ratio), "{ratio}");
    }
}

/// A snapshot of these rows.
fn snapshot(rows: &Rows, params: &LearnerParams) -> Snapshot {
    let summary = learned(rows, params).summary().expect("finite");
    let m = summary.features();
    Snapshot {
        estimate: summary.estimate(params.components, params.penalty),
        features: Features::new((0..m).map(|j| format!("x{j}")).collect()),
        counts: RowCounts::default(),
        watermark: Watermark::default(),
        provenance: Provenance::new(params, m, summary.squared_weight),
    }
}

#[test]
fn with_a_scale_the_bars_are_those_of_a_correlation_matrix() {
    // Six features, each pair correlated by 0.7: the first eigenvalue λ of the correlation matrix has the variance
    // 2(m − 1)(1 − ρ)²λ²/(mn) (Lawley 1963; Konishi 1979), that of a covariance matrix 2λ²/n, 3.6² times as much.
    let (m, n, rho) = (6_u32, 8_000_u32, 0.7_f64);
    let (features, rows) = (f64::from(m), f64::from(n));
    let value = 1.0 + (features - 1.0) * rho;
    let right = (2.0 * (features - 1.0) / (features * rows)).sqrt() * (1.0 - rho) * value;
    let params = LearnerParams {
        components: 1,
        scale: Scale::Standard,
        ..LearnerParams::default()
    };
    let runs = 10_u8;
    let mut sum = 0.0;
    for seed in 0..runs {
        let mut random = ChaCha8Rng::seed_from_u64(u64::from(seed));
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let mut values = Vec::new();
        for _ in 0..n {
            let common = normal() * rho.sqrt();
            // Each in its own unit, about its own mean.
            values.extend((1..=m).map(|j| {
                let own = common + normal() * (1.0 - rho).sqrt();
                f64::from(j) * (5.0 + own)
            }));
        }
        sum += fitted(&Rows::new(values, m as usize), &params).eigenvalue_stderr[0];
    }
    let ratio = sum / f64::from(runs) / right;
    assert!((ratio - 1.0).abs() < 0.06, "{ratio}");
}
