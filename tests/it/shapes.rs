//! Awkward shapes: each ends in the answer that theory or numpy gives, none in a panic.

use ojad::learner::{self, LearnerParams, Precision, Scale};
use ojad::rows::{Layout, Minibatch, Values, Width};
use rand_distr::StandardNormal;

use crate::reference::{Rows, batch, distance, fitted, planted, spikes};

fn default(components: usize) -> LearnerParams {
    LearnerParams {
        components,
        ..LearnerParams::default()
    }
}

/// Every engine: all directions held, some held, full precision.
fn engines(components: usize) -> [LearnerParams; 3] {
    let few = LearnerParams {
        oversampling: Some(2),
        ..default(components)
    };
    let full = LearnerParams {
        precision: Precision::F64,
        ..default(components)
    };
    [default(components), few, full]
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs().max(1e-300)
}

#[test]
fn one_row_has_a_mean_and_no_variance() {
    for params in engines(3) {
        let estimate = fitted(&Rows::new(vec![1.0, 2.0, 3.0, 4.0, 5.0], 5), &params);
        assert_eq!(estimate.mean, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(estimate.eigenvalues, [0.0; 3]);
        assert_eq!(estimate.active, [false; 3]);
        assert!(
            estimate
                .eigenvalue_stderr
                .iter()
                .all(|se| se.is_nan() || se.abs() < 1e-300)
        );
    }
}

#[test]
fn one_feature_is_its_variance() {
    // numpy: var([1, 2, 4, 7]) = 5.25
    for params in engines(1) {
        let estimate = fitted(&Rows::new(vec![1.0, 2.0, 4.0, 7.0], 1), &params);
        assert!(
            close(estimate.eigenvalues[0], 5.25, 1e-12),
            "{:?}",
            estimate.eigenvalues
        );
        assert_eq!(estimate.vectors, [1.0]);
    }
}

#[test]
fn equal_rows_have_zero_eigenvalues_and_constant_features() {
    for params in engines(2) {
        let row = [0.1, -3.3, 1e6 + 0.1, 0.0];
        let estimate = fitted(&Rows::new(row.repeat(500), 4), &params);
        assert!(
            estimate.eigenvalues.iter().all(|v| *v < 1e-18),
            "{:?}",
            estimate.eigenvalues
        );
        assert_eq!(estimate.constant, [true; 4]);
        assert_eq!(estimate.components_above_noise, Some(0));
    }
}

#[test]
fn fewer_rows_than_components_leave_the_rest_at_zero() {
    // Three rows span two directions about their mean.
    let (rows, _) = planted(3, &spikes(30, 5, 9.0, 3.0), 0.0, 1, &StandardNormal);
    let (values, truth) = batch(&rows, 2, |_| 1.0);
    for params in engines(5) {
        let estimate = fitted(&rows, &params);
        for (ours, numpy) in estimate.eigenvalues.iter().zip(&values) {
            assert!(close(*ours, *numpy, 1e-5), "{ours} {numpy}");
        }
        assert!(
            estimate.eigenvalues[2..]
                .iter()
                .all(|v| *v < 1e-6 * values[0])
        );
        assert!(distance(&estimate, &truth) < 1e-10);
    }
}

#[test]
fn minibatches_smaller_than_k_reach_the_same_place() {
    let (rows, _) = planted(600, &spikes(120, 5, 40.0, 10.0), 3.0, 2, &StandardNormal);
    let (_, truth) = batch(&rows, 5, |_| 1.0);
    for params in engines(5) {
        for b in [1, 3] {
            let params = LearnerParams {
                minibatch: Some(b),
                ..params.clone()
            };
            let sin2 = distance(&fitted(&rows, &params), &truth);
            assert!(sin2 < 2e-2, "b = {b}: {sin2}");
        }
    }
}

#[test]
fn k_above_the_rank_finds_the_rank() {
    let mut spectrum = vec![0.0; 200];
    spectrum[..3].copy_from_slice(&[9.0, 4.0, 1.0]);
    let (rows, _) = planted(2_000, &spectrum, 1.0, 3, &StandardNormal);
    let (values, truth) = batch(&rows, 3, |_| 1.0);
    for params in engines(8) {
        let estimate = fitted(&rows, &params);
        for (ours, numpy) in estimate.eigenvalues.iter().zip(&values) {
            assert!(close(*ours, *numpy, 1e-4), "{ours} {numpy}");
        }
        // f32 products leave 1e-7 of the top in directions that hold nothing.
        assert!(
            estimate.eigenvalues[3..].iter().all(|v| *v < 1e-5),
            "{:?}",
            estimate.eigenvalues
        );
        let three = ojad::linalg::mean_sin2(crate::reference::vectors(&estimate), truth.as_ref());
        assert!(three < 1e-9, "{three}");
    }
}

#[test]
fn one_component_and_all_components() {
    let (rows, _) = planted(1_000, &spikes(12, 3, 9.0, 3.0), 0.0, 4, &StandardNormal);
    for k in [1, 12] {
        let (values, truth) = batch(&rows, k, |_| 1.0);
        for params in [
            default(k),
            LearnerParams {
                precision: Precision::F64,
                ..default(k)
            },
        ] {
            let estimate = fitted(&rows, &params);
            assert!(distance(&estimate, &truth) < 1e-12);
            for (ours, numpy) in estimate.eigenvalues.iter().zip(&values) {
                assert!(close(*ours, *numpy, 1e-9), "{ours} {numpy}");
            }
        }
    }
}

#[test]
fn more_components_than_features_are_refused_with_the_number_that_fits() {
    let error = learner::new(&default(7), 5)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("components = 7") && error.contains("at most 5"),
        "{error}"
    );
}

#[test]
fn scales_from_1e_minus_12_to_1e12_keep_every_feature_when_standardized() {
    let (rows, _) = planted(3_000, &spikes(200, 4, 30.0, 10.0), 0.0, 5, &StandardNormal);
    let unit = |j: usize| 10.0_f64.powf(-12.0 + 24.0 * j as f64 / 199.0);
    let values = rows
        .values
        .iter()
        .enumerate()
        .map(|(at, v)| v * unit(at % 200))
        .collect();
    let scaled = Rows::new(values, 200);
    let standard = LearnerParams {
        scale: Scale::Standard,
        ..default(4)
    };
    let plain = fitted(&rows, &standard);
    let wild = fitted(&scaled, &standard);
    for (a, b) in plain.eigenvalues.iter().zip(&wild.eigenvalues) {
        assert!(close(*a, *b, 1e-4), "{a} {b}");
    }
    // Without scaling the largest feature is the first component.
    let first = fitted(&scaled, &default(1));
    assert!(first.vector(0)[199].abs() > 0.7, "{}", first.vector(0)[199]);
}

#[test]
fn a_mean_a_million_times_the_signal_costs_nothing() {
    let spectrum = spikes(200, 4, 30.0, 10.0);
    let (near, _) = planted(3_000, &spectrum, 0.0, 6, &StandardNormal);
    let (far, _) = planted(3_000, &spectrum, 1e6, 6, &StandardNormal);
    let (_, truth) = batch(&near, 4, |_| 1.0);
    for params in engines(4) {
        let near = distance(&fitted(&near, &params), &truth);
        let far = distance(&fitted(&far, &params), &truth);
        assert!(far <= 1.05 * near + 1e-9, "{far} {near}");
    }
}

#[test]
fn duplicated_rows_change_nothing_but_their_count() {
    let (rows, _) = planted(500, &spikes(60, 3, 30.0, 10.0), 0.0, 7, &StandardNormal);
    let twice = Rows::new([rows.values.clone(), rows.values.clone()].concat(), 60);
    let (once, twice) = (fitted(&rows, &default(3)), fitted(&twice, &default(3)));
    for (a, b) in once.eigenvalues.iter().zip(&twice.eigenvalues) {
        assert!(close(*a, *b, 1e-10), "{a} {b}");
    }
    assert_eq!(twice.rows, 1_000);
}

#[test]
fn a_minibatch_comes_back_empty_and_can_be_filled_with_the_same_rows() {
    let m = 200;
    let (rows, _) = planted(3_000, &spikes(m, 4, 30.0, 10.0), 7.0, 9, &StandardNormal);
    // Three passes see three times the rows of one distribution: with divisor n, the same covariance.
    let (truth, _) = batch(&rows, 4, |_| 1.0);
    for params in engines(4) {
        let b = params.minibatch_rows(m);
        for width in [Width::F32, Width::F64] {
            let mut learner = learner::new(&params, m).expect("k <= m");
            let mut minibatch = Minibatch::new(width, Layout::RowMajor, b, m);
            for _ in 0..3 {
                for chunk in rows.values.chunks(b * m) {
                    match minibatch.values_mut() {
                        Values::F32(to) => {
                            to.iter_mut().zip(chunk).for_each(|(to, v)| *to = *v as f32);
                        }
                        Values::F64(to) => to[..chunk.len()].copy_from_slice(chunk),
                    }
                    minibatch.set_rows(chunk.len() / m);
                    minibatch = learner.update(minibatch).expect("finite");
                    assert_eq!(minibatch.rows(), 0, "its rows are used up");
                }
            }
            minibatch = learner.update(minibatch).expect("no row is no error");
            assert_eq!((minibatch.rows(), learner.rows()), (0, 9_000));
            let found = learner.estimate().expect("finite").eigenvalues;
            for (ours, truth) in found.iter().zip(&truth) {
                assert!((ours / truth - 1.0).abs() < 2e-3, "{ours} {truth}");
            }
        }
    }
}

#[test]
fn a_minibatch_of_another_width_is_refused() {
    let mut learner = learner::new(&default(2), 5).expect("k <= m");
    let error = learner
        .update(Minibatch::from_rows(&[1.0; 8], 4))
        .expect_err("refused");
    assert!(
        error.to_string().contains("4 features, the learner 5"),
        "{error}"
    );
}

#[test]
fn eigenvalues_1e_minus_18_below_the_top_keep_digits_in_f64() {
    let spectrum: Vec<f64> = (0..7).map(|i| 10.0_f64.powi(-3 * i)).collect();
    // Exactly orthogonal scores, so that the spectrum is the truth and not an estimate.
    let (rows, _) = planted(400, &[1.0; 7], 0.0, 8, &StandardNormal);
    let x = rows.as_mat();
    let mean: Vec<f64> = (0..7)
        .map(|j| x.col(j).iter().sum::<f64>() / 400.0)
        .collect();
    let q = faer::Mat::<f64>::from_fn(400, 7, |i, j| x[(i, j)] - mean[j])
        .qr()
        .compute_thin_Q();
    let (_, basis) = planted(1, &[1.0; 40], 0.0, 9, &StandardNormal);
    let z = faer::Mat::<f64>::from_fn(400, 7, |i, j| q[(i, j)] * (400.0 * spectrum[j]).sqrt());
    let x = z * basis.subrows(0, 7);
    let values = (0..400)
        .flat_map(|i| (0..40).map(move |j| (i, j)))
        .map(|at| x[at])
        .collect();
    let full = LearnerParams {
        precision: Precision::F64,
        minibatch: Some(50),
        ..default(7)
    };
    let estimate = fitted(&Rows::new(values, 40), &full);
    for (ours, truth) in estimate.eigenvalues.iter().zip(&spectrum) {
        assert!(close(*ours, *truth, 1e-3), "{ours} {truth}");
    }
}
