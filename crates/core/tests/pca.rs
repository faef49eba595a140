//! The face of the library against batch PCA in f64, and its promises.

#![allow(clippy::expect_used)]

use faer::Mat;
use ojad_core::{BuildError, Missing, Pca, Penalty, Rows, Scale, UpdateError};

/// Rows of `m` features with planted variances 9, 4, 1 along fixed directions, noise 0.01.
fn rows(n: usize, m: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // Sum of twelve uniforms: near enough to a normal.
        (0..12)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1_u64 << 53) as f64
            })
            .sum::<f64>()
            - 6.0
    };
    let mut values = Vec::with_capacity(n * m);
    for _ in 0..n {
        let z = [3.0 * next(), 2.0 * next(), next()];
        for j in 0..m {
            let at = j as f64 + 0.5;
            let planted: f64 = (0..3)
                .map(|a| z[a] * (std::f64::consts::PI * (a + 1) as f64 * at / m as f64).cos())
                .sum();
            values.push(planted + 0.1 * next() + j as f64);
        }
    }
    values
}

/// Eigenvalues (descending) and vectors of the covariance with divisor n.
fn batch(values: &[f64], m: usize) -> (Vec<f64>, Mat<f64>) {
    let n = values.len() / m;
    let mean: Vec<f64> = (0..m)
        .map(|j| (0..n).map(|i| values[i * m + j]).sum::<f64>() / n as f64)
        .collect();
    let x = Mat::from_fn(n, m, |i, j| values[i * m + j] - mean[j]);
    let c = x.transpose() * &x / (n as f64);
    let eigen = c
        .self_adjoint_eigen(faer::Side::Lower)
        .expect("a finite matrix");
    let values: Vec<f64> = eigen.S().column_vector().iter().rev().copied().collect();
    let vectors = Mat::from_fn(m, m, |j, i| eigen.U()[(j, m - 1 - i)]);
    (values, vectors)
}

fn fitted(values: &[f64], m: usize, piece: usize) -> Pca {
    let mut pca = Pca::builder().components(3).build(m).expect("a model");
    for piece in values.chunks(piece * m) {
        pca.update(&Rows::from_f64(piece, m)).expect("rows");
    }
    pca
}

#[test]
fn components_are_those_of_batch_pca() {
    for m in [8, 60] {
        let values = rows(5000, m, 1);
        let estimate = fitted(&values, m, 137).estimate().expect("an estimate");
        let (eigenvalues, vectors) = batch(&values, m);
        assert_eq!(estimate.rows, 5000);
        for i in 0..3 {
            let ratio = estimate.eigenvalues[i] / eigenvalues[i];
            assert!((ratio - 1.0).abs() < 1e-4, "m {m}, {i}: {ratio}");
            let overlap: f64 = (0..m)
                .map(|j| estimate.vector(i)[j] * vectors[(j, i)])
                .sum();
            assert!(1.0 - overlap * overlap < 1e-5, "m {m}, {i}: {overlap}");
        }
        let explained: f64 = (0..3).map(|i| estimate.explained_variance_ratio(i)).sum();
        let expected = eigenvalues[..3].iter().sum::<f64>() / eigenvalues.iter().sum::<f64>();
        assert!((explained - expected).abs() < 1e-4);
    }
}

#[test]
fn the_cuts_between_calls_change_no_bit() {
    let values = rows(3001, 20, 2);
    let whole = fitted(&values, 20, 3001).to_bytes();
    for piece in [1, 7, 500] {
        assert_eq!(
            fitted(&values, 20, piece).to_bytes(),
            whole,
            "{piece} rows a call"
        );
    }
}

#[test]
fn rows_are_read_and_never_written() {
    let values = rows(2000, 6, 3);
    let before = values.clone();
    let mut pca = Pca::builder().components(2).build(6).expect("a model");
    let once = {
        pca.update(&Rows::from_f64(&values, 6)).expect("rows");
        pca.estimate().expect("an estimate").eigenvalues
    };
    // Three passes over the same values are three times as many rows of the same distribution.
    pca.update(&Rows::from_f64(&values, 6)).expect("rows");
    pca.update(&Rows::from_f64(&values, 6)).expect("rows");
    let thrice = pca.estimate().expect("an estimate").eigenvalues;
    assert_eq!(values, before);
    assert!(
        (thrice[0] / once[0] - 1.0).abs() < 1e-9,
        "{once:?} {thrice:?}"
    );
}

#[test]
fn columns_and_rows_and_both_widths_say_the_same() {
    let (n, m) = (1500, 12);
    let values = rows(n, m, 4);
    let columns: Vec<Vec<f64>> = (0..m)
        .map(|j| (0..n).map(|i| values[i * m + j]).collect())
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let single: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let by_rows = fitted(&values, m, n).estimate().expect("an estimate");
    for rows in [Rows::from_columns(&columns), Rows::from_f32(&single, m)] {
        let mut pca = Pca::builder().components(3).build(m).expect("a model");
        pca.update(&rows).expect("rows");
        let estimate = pca.estimate().expect("an estimate");
        for i in 0..3 {
            let ratio = estimate.eigenvalues[i] / by_rows.eigenvalues[i];
            assert!((ratio - 1.0).abs() < 1e-6, "{i}: {ratio}");
        }
    }
    // f32 rows first, f64 rows into the same minibatch.
    let mut pca = Pca::builder().components(3).build(m).expect("a model");
    pca.update(&Rows::from_f32(&single[..10 * m], m))
        .expect("rows");
    pca.update(&Rows::from_f64(&values[10 * m..], m))
        .expect("rows");
    let ratio = pca.estimate().expect("an estimate").eigenvalues[0] / by_rows.eigenvalues[0];
    assert!((ratio - 1.0).abs() < 1e-6, "{ratio}");
}

#[test]
fn a_model_goes_on_where_its_bytes_were_written() {
    let values = rows(2500, 30, 5);
    let (first, second) = values.split_at(1234 * 30);
    for scale in [Scale::None, Scale::Standard] {
        let build = || Pca::builder().components(4).scale(scale).seed(9).build(30);
        let mut whole = build().expect("a model");
        whole.update(&Rows::from_f64(&values, 30)).expect("rows");
        let mut half = build().expect("a model");
        half.update(&Rows::from_f64(first, 30)).expect("rows");
        let mut restored = Pca::from_bytes(&half.to_bytes()).expect("a saved model");
        assert_eq!(restored.rows(), 1234);
        restored.update(&Rows::from_f64(second, 30)).expect("rows");
        assert_eq!(restored.to_bytes(), whole.to_bytes());
    }
}

#[test]
fn rows_that_wait_keep_their_width_layout_and_gaps() {
    let (n, m) = (700, 12);
    let mut values = rows(n, m, 11);
    values[5 * m + 3] = f64::NAN;
    let column = |j: usize| (0..n).map(|i| values[i * m + j]).collect::<Vec<_>>();
    let columns: Vec<Vec<f64>> = (0..m).map(column).collect();
    let part = |from: usize, to: usize| {
        let parts = columns.iter().map(|column| &column[from..to]);
        parts.collect::<Vec<&[f64]>>()
    };
    let single: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let build = || {
        let builder = Pca::builder().components(3).missing(Missing::Mean);
        builder.build(m).expect("a model")
    };
    for cut in [7, 650] {
        let by_columns = (part(0, cut), part(cut, n));
        let pieces = [
            (
                Rows::from_columns(&by_columns.0),
                Rows::from_columns(&by_columns.1),
            ),
            (
                Rows::from_f32(&single[..cut * m], m),
                Rows::from_f32(&single[cut * m..], m),
            ),
        ];
        for (first, second) in pieces {
            let (mut whole, mut half) = (build(), build());
            half.update(&first).expect("rows");
            let mut restored = Pca::from_bytes(&half.to_bytes()).expect("a saved model");
            for pca in [&mut half, &mut restored] {
                pca.update(&second).expect("rows");
            }
            whole.update(&first).expect("rows");
            whole.update(&second).expect("rows");
            assert_eq!(restored.to_bytes(), half.to_bytes());
            assert_eq!(restored.to_bytes(), whole.to_bytes());
        }
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let bytes = fitted(&rows(400, 9, 6), 9, 400).to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Pca::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Pca::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn a_value_that_cannot_be_learned_is_named_and_nothing_is_taken() {
    let mut values = rows(50, 5, 7);
    let mut pca = Pca::builder().components(2).build(5).expect("a model");
    for (value, place) in [(f64::NAN, 13), (f64::INFINITY, 13), (1e16, 13)] {
        values[place] = value;
        let error = pca
            .update(&Rows::from_f64(&values, 5))
            .expect_err("refused");
        assert!(
            matches!(
                error,
                UpdateError::Value {
                    row: 2,
                    feature: 3,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(pca.rows(), 0);
    }
    let error = pca
        .update(&Rows::from_f64(&values[..40], 4))
        .expect_err("another width");
    assert!(matches!(
        error,
        UpdateError::Features {
            expected: 5,
            found: 4
        }
    ));
}

#[test]
fn a_missing_value_adds_no_variance() {
    let mut values = rows(4000, 6, 8);
    for (i, value) in values.iter_mut().enumerate() {
        if i % 7 == 3 {
            *value = f64::NAN;
        }
    }
    let mut pca = Pca::builder()
        .components(6)
        .missing(Missing::Mean)
        .build(6)
        .expect("a model");
    pca.update(&Rows::from_f64(&values, 6)).expect("rows");
    let estimate = pca.estimate().expect("an estimate");
    for j in 0..6 {
        let seen: Vec<f64> = values
            .chunks(6)
            .map(|row| row[j])
            .filter(|v| !v.is_nan())
            .collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let squares: f64 = seen.iter().map(|v| (v - mean).powi(2)).sum();
        assert!((estimate.mean[j] - mean).abs() < 1e-9 * mean.abs().max(1.0));
        assert!((estimate.variance[j] / (squares / 4000.0) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn parts_merge_to_the_whole() {
    let values = rows(6000, 40, 9);
    let (first, second) = values.split_at(2500 * 40);
    let build = || {
        let mut pca = Pca::builder()
            .components(3)
            .oversampling(20)
            .build(40)
            .expect("a model");
        move |rows: &[f64]| {
            pca.update(&Rows::from_f64(rows, 40)).expect("rows");
            pca
        }
    };
    let (first, second) = (build()(first), build()(second));
    let merged = Pca::merge([&first, &second])
        .expect("alike")
        .estimate(3, Penalty::Auto);
    let (eigenvalues, _) = batch(&values, 40);
    assert_eq!(merged.rows, 6000);
    for i in 0..3 {
        assert!((merged.eigenvalues[i] / eigenvalues[i] - 1.0).abs() < 1e-4);
    }
    let other = Pca::builder().components(3).build(39).expect("a model");
    assert!(Pca::merge([&first, &other]).is_err());
    assert!(Pca::merge([]).is_err());
}

#[test]
fn scores_are_projections() {
    let values = rows(1000, 10, 10);
    let pca = fitted(&values, 10, 1000);
    let estimate = pca.estimate().expect("an estimate");
    let scores = pca.score(&Rows::from_f64(&values, 10)).expect("scores");
    for (r, row) in values.chunks(10).enumerate() {
        let z: Vec<f64> = row
            .iter()
            .zip(&estimate.mean)
            .map(|(x, mean)| x - mean)
            .collect();
        let mut left: f64 = z.iter().map(|z| z * z).sum();
        for i in 0..3 {
            let score: f64 = z.iter().zip(estimate.vector(i)).map(|(z, v)| z * v).sum();
            assert!((scores.components[i][r] - score).abs() < 1e-9);
            left -= score * score;
        }
        assert!((scores.residual[r] - left).abs() < 1e-9);
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    let too_many = Pca::builder().components(4).build(3).expect_err("refused");
    assert!(too_many.to_string().contains("at most 3"), "{too_many}");
    for (builder, name) in [
        (Pca::builder().components(0), "components"),
        (Pca::builder().minibatch(0), "minibatch"),
        (Pca::builder().penalty(Penalty::Fixed(f64::NAN)), "penalty"),
        (
            Pca::builder().forgetting(ojad_core::Forgetting::PerRow(1.0)),
            "forgetting",
        ),
    ] {
        let error = builder.build(20).expect_err(name);
        assert!(
            matches!(error, BuildError::Parameter { parameter, .. } if parameter == name),
            "{error}"
        );
    }
}

#[test]
fn a_model_may_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Pca>();
}
