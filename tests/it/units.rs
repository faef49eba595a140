//! Running scale, centring, missing values, layouts.

use ojad::learner::{self, LearnerParams, Precision, Scale};
use ojad::rows::{Layout, Minibatch, Values, Width};
use rand_distr::StandardNormal;

use crate::reference::{Rows, batch, distance, fitted, planted, spikes};

#[test]
fn standard_scale_is_batch_pca_of_standardized_rows_without_a_warm_up_pass() {
    let (rows, _) = planted(8_000, &spikes(200, 5, 60.0, 20.0), 0.0, 1, &StandardNormal);
    let unit = |j: usize| (0.05 * j as f64).exp();
    let values: Vec<f64> = rows
        .values
        .iter()
        .enumerate()
        .map(|(at, v)| v * unit(at % 200) + 7.0)
        .collect();
    let raw = Rows::new(values.clone(), 200);
    let x = raw.as_mat();
    let mut standardized = values;
    for j in 0..200 {
        let mean = x.col(j).iter().sum::<f64>() / 8_000.0;
        let variance = x
            .col(j)
            .iter()
            .map(|v| (v - mean) * (v - mean))
            .sum::<f64>()
            / 8_000.0;
        for i in 0..8_000 {
            let v = &mut standardized[i * 200 + j];
            *v = (*v - mean) / variance.sqrt();
        }
    }
    let (values, truth) = batch(&Rows::new(standardized, 200), 5, |_| 1.0);
    let params = LearnerParams {
        components: 5,
        scale: Scale::Standard,
        ..LearnerParams::default()
    };
    let estimate = fitted(&raw, &params);
    assert!(
        distance(&estimate, &truth) < 1e-4,
        "{}",
        distance(&estimate, &truth)
    );
    for (ours, batch) in estimate.eigenvalues.iter().zip(&values) {
        assert!((ours / batch - 1.0).abs() < 2e-3, "{ours} {batch}");
    }
    assert!((estimate.total_variance - 200.0).abs() < 1e-9);
}

/// Rows whose first half of the features changes its unit by `factor` at row `at`.
fn moved(rows: &Rows, factor: f64, at: usize) -> Rows {
    let m = rows.m;
    let values = rows.values.iter().enumerate();
    let moved = values.map(|(i, v)| {
        if i / m >= at && i % m < m / 2 {
            v * factor
        } else {
            *v
        }
    });
    Rows::new(moved.collect(), m)
}

/// The same rows, each feature divided by its deviation.
fn standardized(rows: &Rows) -> Rows {
    let (n, m, x) = (rows.n(), rows.m, rows.as_mat());
    let mut values = vec![0.0; n * m];
    for j in 0..m {
        let mean = x.col(j).iter().sum::<f64>() / n as f64;
        let square = |v: &f64| (v - mean) * (v - mean);
        let deviation = (x.col(j).iter().map(square).sum::<f64>() / n as f64).sqrt();
        for i in 0..n {
            values[i * m + j] = (x[(i, j)] - mean) / deviation;
        }
    }
    Rows::new(values, m)
}

#[test]
fn a_unit_that_moves_does_not_push_out_what_earlier_rows_have_shown() {
    // The mean, the row at which it moves, the factor, and how far each eigenvalue and sin² may be off. A mean moves with
    // its unit: then the rows before and after lie apart, which is a direction of its own.
    for (mean, at, factor, off, angle) in [
        (0.0, 4_000, 1_000.0, 0.03, 2e-3),
        (0.0, 4_000, 1e-3, 0.02, 3e-3),
        (3.0, 4_000, 1_000.0, 0.05, 2e-3),
        (3.0, 4_000, 1e-3, 0.03, 3e-3),
        (3.0, 7_700, 1_000.0, 0.03, 8e-3),
    ] {
        let spectrum = spikes(200, 5, 20.0, 6.0);
        let (rows, _) = planted(8_000, &spectrum, mean, 5, &StandardNormal);
        let rows = moved(&rows, factor, at);
        let (values, truth) = batch(&standardized(&rows), 5, |_| 1.0);
        for precision in [Precision::F32, Precision::F64] {
            let params = LearnerParams {
                components: 5,
                scale: Scale::Standard,
                precision,
                ..LearnerParams::default()
            };
            let estimate = fitted(&rows, &params);
            let apart = distance(&estimate, &truth);
            assert!(apart < angle, "× {factor} at {at}: {apart}");
            for (ours, batch) in estimate.eigenvalues.iter().zip(&values) {
                let ratio = ours / batch;
                assert!((ratio - 1.0).abs() < off, "× {factor} at {at}: {ratio}");
            }
        }
    }
}

#[test]
fn a_unit_that_moves_is_exact_where_all_directions_are_held() {
    let (rows, _) = planted(4_000, &spikes(30, 3, 9.0, 4.0), 3.0, 6, &StandardNormal);
    let rows = moved(&rows, 1_000.0, 2_000);
    let (values, truth) = batch(&standardized(&rows), 3, |_| 1.0);
    let params = LearnerParams {
        components: 3,
        scale: Scale::Standard,
        ..LearnerParams::default()
    };
    let estimate = fitted(&rows, &params);
    assert!(distance(&estimate, &truth) < 1e-12);
    for (ours, batch) in estimate.eigenvalues.iter().zip(&values) {
        assert!((ours / batch - 1.0).abs() < 1e-10, "{ours} {batch}");
    }
}

#[test]
fn without_centring_the_second_moment_is_learned() {
    let (rows, _) = planted(2_000, &spikes(40, 3, 9.0, 4.0), 2.0, 2, &StandardNormal);
    let x = rows.as_mat();
    let c = x.transpose() * x;
    let eigen = c.self_adjoint_eigen(faer::Side::Lower).expect("finite");
    let params = LearnerParams {
        components: 3,
        center: false,
        ..LearnerParams::default()
    };
    let estimate = fitted(&rows, &params);
    for i in 0..3 {
        let truth = eigen.S().column_vector()[39 - i] / 2_000.0;
        assert!((estimate.eigenvalues[i] / truth - 1.0).abs() < 1e-10);
    }
    assert_eq!(estimate.mean, vec![0.0; 40]);
}

#[test]
fn a_missing_value_counts_as_the_running_mean() {
    let (rows, _) = planted(4_000, &spikes(200, 3, 60.0, 20.0), 5.0, 3, &StandardNormal);
    let params = LearnerParams {
        components: 3,
        ..LearnerParams::default()
    };
    let b = params.minibatch_rows(200);
    let mut learner = learner::new(&params, 200).expect("k <= m");
    let mut seen = vec![(0.0, 0.0); 200];
    for (t, chunk) in rows.values.chunks(b * 200).enumerate() {
        let mut chunk = chunk.to_vec();
        for (at, v) in chunk.iter_mut().enumerate() {
            if (at * 7 + t) % 101 == 0 {
                *v = f64::NAN;
            } else {
                seen[at % 200].0 += *v;
                seen[at % 200].1 += 1.0;
            }
        }
        let mut batch = Minibatch::from_rows(&chunk, 200);
        batch.set_has_missing(true);
        learner.update(batch).expect("imputed");
    }
    let estimate = learner.estimate().expect("finite");
    for (ours, (sum, count)) in estimate.mean.iter().zip(&seen) {
        assert!(
            (ours - sum / count).abs() < 1e-9,
            "the mean of what was observed"
        );
    }
    let (_, truth) = batch(&rows, 3, |_| 1.0);
    // One value in 101 is missing: the angle it costs is of the order 1/101 of the noise's.
    assert!(distance(&estimate, &truth) < 1e-3);
}

#[test]
fn layouts_and_widths_agree() {
    let (rows, _) = planted(3_000, &spikes(200, 4, 30.0, 10.0), 0.0, 4, &StandardNormal);
    let params = LearnerParams {
        components: 4,
        ..LearnerParams::default()
    };
    let b = params.minibatch_rows(200);
    let mut eigenvalues = Vec::new();
    for layout in [Layout::RowMajor, Layout::ColumnMajor] {
        for width in [Width::F32, Width::F64] {
            let mut learner = learner::new(&params, 200).expect("k <= m");
            let mut batch = Minibatch::new(width, layout, b, 200);
            for chunk in rows.values.chunks(b * 200) {
                let (row, col) = (batch.row_stride(), batch.col_stride());
                for (at, v) in chunk.iter().enumerate() {
                    let to = at / 200 * row + at % 200 * col;
                    match batch.values_mut() {
                        Values::F32(values) => values[to] = *v as f32,
                        Values::F64(values) => values[to] = *v,
                    }
                }
                batch.set_rows(chunk.len() / 200);
                batch = learner.update(batch).expect("finite");
            }
            eigenvalues.push(learner.estimate().expect("finite").eigenvalues);
        }
    }
    for other in &eigenvalues[1..] {
        for (a, b) in eigenvalues[0].iter().zip(other) {
            // f32 products of differently ordered sums.
            assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
        }
    }
}
