//! Nothing depends on faer's global parallelism, which any crate of a program may set.
//!
//! A program of its own: the global is one for the whole process. faer panics where a disabled global is
//! read, so that a product which follows it is found without threads.

#![allow(clippy::expect_used)]

use ojad_core::{
    Estimate, Missing, Pca, PcaBuilder, Penalty, Precision, Rows, Rule, Scale, Scores, Step,
};

/// Rows of `m` features that turn from one direction to another halfway; one in nine hundred is wild.
fn rows(n: usize, m: usize) -> Vec<f64> {
    let value = |i: usize, j: usize| {
        let (t, at) = (i as f64, j as f64);
        let lead = if j.is_multiple_of(2) == (i < n / 2) {
            4.0
        } else {
            0.5
        };
        let wild = if i % 900 == 899 { 1e6 } else { 1.0 };
        let noise = ((i * m + j) as f64 * 12.9898).sin() * 43_758.545_3;
        wild * (lead * (t * 0.61).sin() + (at * 0.3).cos() * (t * 0.17).cos() + noise.fract())
    };
    (0..n)
        .flat_map(|i| (0..m).map(move |j| (i, j)))
        .map(|(i, j)| value(i, j))
        .collect()
}

/// Every way to learn: on held directions in both widths, on all of them, in full precision, by the rules.
fn builders() -> Vec<PcaBuilder> {
    let plain = || {
        Pca::builder()
            .components(3)
            .oversampling(2)
            .missing(Missing::Mean)
    };
    vec![
        plain(),
        plain().scale(Scale::Standard),
        plain().oversampling(40),
        plain().precision(Precision::F64),
        plain().precision(Precision::F64).scale(Scale::Standard),
        plain().rule(Rule::Oja(Step::AdaOja)),
        plain()
            .rule(Rule::Oja(Step::COverT(0.01)))
            .scale(Scale::Standard),
        plain().rule(Rule::MatrixStep { c: 2.0 }),
    ]
}

/// All that the library says of some rows, and its states.
fn everything() -> Vec<(Vec<u8>, String)> {
    const M: usize = 60;
    let mut values = rows(6000, M);
    values[17 * M + 3] = f64::NAN;
    builders()
        .into_iter()
        .map(|builder| {
            let mut parts: Vec<Pca> = values
                .chunks(2000 * M)
                .map(|piece| {
                    let mut pca = builder.clone().build(M).expect("a model");
                    pca.update(&Rows::from_f64(piece, M)).expect("rows");
                    pca
                })
                .collect();
            let merged = Pca::merge(&parts).expect("parts of one kind");
            let merged: Estimate = merged.estimate(3, Penalty::Auto);
            let pca = &mut parts[0];
            pca.update(&Rows::from_f64(&values[2000 * M..], M))
                .expect("rows");
            let scores: Scores = pca
                .score(&Rows::from_f64(&values, M))
                .expect("as many features");
            let said = format!(
                "{merged:?} {:?} {scores:?}",
                pca.estimate().expect("finite")
            );
            (pca.to_bytes(), said)
        })
        .collect()
}

#[test]
fn a_disabled_global_parallelism_changes_no_bit() {
    let before = everything();
    faer::disable_global_parallelism();
    assert!(before == everything());
}

/// What only the program uses: drift and angles between subspaces.
#[cfg(feature = "internals")]
#[test]
fn drift_does_without_it_too() {
    use ojad_core::learner::drift::{Drift, DriftParams};
    use ojad_core::learner::{LearnerParams, new};
    use ojad_core::rows::Minibatch;

    const M: usize = 60;
    faer::disable_global_parallelism();
    let params = DriftParams {
        short_half_life_rows: 64,
        long_half_life_rows: 640,
        components: 2,
        false_alarms_per_row: 1e-6,
        seed: 0,
    };
    let mut drift = Drift::new(params);
    let mut learner = new(&LearnerParams::default(), M).expect("k <= m");
    let mut reports = 0;
    for piece in rows(6000, M).chunks(8 * M) {
        let batch = Minibatch::from_rows(piece, M);
        drift.update(&batch, learner.as_ref()).expect("finite");
        reports += usize::from(drift.report().is_some());
        learner.update(batch).expect("finite");
    }
    assert!(reports > 0, "nothing was compared");
}
