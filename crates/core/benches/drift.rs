//! Time of learning with drift detection ÷ without, for 12, 60 and 784 features: the figures of `docs/statistics.md`.
//!
//! `cargo bench -p ojad-core --features internals --bench drift`

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use ojad_core::learner::drift::{Drift, DriftParams};
use ojad_core::learner::{self, LearnerParams};
use ojad_core::rows::{Layout, Minibatch, Values, Width};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// Time of learning with drift detection ÷ without: the median of seven pairs, of 10 components.
fn cost(features: usize) {
    let params = LearnerParams {
        components: 10,
        ..LearnerParams::default()
    };
    let drift = DriftParams {
        short_half_life_rows: 20_000,
        long_half_life_rows: 400_000,
        components: 10,
        false_alarms_per_row: 1e-7,
        seed: 1,
    };
    let b = params.minibatch_rows(features);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let values: Vec<f32> = (0..b * features)
        .map(|_| StandardNormal.sample(&mut random))
        .collect();
    let minibatches = 40_000_000 / (b * features).max(1);
    let seconds = |is_watched: bool| {
        let mut learner = learner::new(&params, features).expect("a learner");
        let mut drift = Drift::new(drift.clone());
        let mut batch = Minibatch::new(Width::F32, Layout::ColumnMajor, b, features);
        let began = std::time::Instant::now();
        for _ in 0..minibatches {
            if let Values::F32(into) = batch.values_mut() {
                into.copy_from_slice(&values);
            }
            batch.set_rows(b);
            if is_watched {
                drift.update(&batch, &*learner).expect("finite");
            }
            batch = learner.update(batch).expect("rows");
        }
        began.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<f64> = (0..7).map(|_| seconds(true) / seconds(false)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("| {features} | {:.2} |", ratios[3]);
}

fn main() {
    println!("| features | time with ÷ without |\n|---|---|");
    [12, 60, 784].into_iter().for_each(cost);
}
