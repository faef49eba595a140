//! The update ÷ its own bare products, side by side: what learning costs beside the flops that it
//! cannot do without, and what it costs more where the run measures the limits of its scores (`limits`).
//!
//! `cargo bench --bench update`

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

mod products;

use std::time::{Duration, Instant};

use ojad::learner::{self, Learner, LearnerParams};
use ojad::prequential;
use ojad::rows::{Layout, Minibatch, Values, Width};
use products::Products;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// Minibatches that go round, filled anew outside of the clock: an update uses up what it learns.
const MINIBATCHES: usize = 16;

/// Updates before the clock starts: the exact and the second steps of the beginning are through.
const WARM_UP: usize = 1_000;

/// Runs of which the median counts.
const RUNS: usize = 9;

fn main() {
    println!(
        "{:>7} {:>4} {:>5} {:>10} {:>12} {:>12} {:>6} {:>7}",
        "m", "k", "b", "layout", "update µs", "products µs", "ratio", "limits"
    );
    let only: Option<usize> = std::env::args().find_map(|a| a.parse().ok());
    for (m, k) in [(784, 10), (784, 20), (100, 10), (20_000, 50)]
        .into_iter()
        .skip(only.unwrap_or(0))
        .take(only.map_or(4, |_| 1))
    {
        for layout in [Layout::RowMajor, Layout::ColumnMajor] {
            compare(m, k, layout);
        }
    }
}

fn compare(m: usize, k: usize, layout: Layout) {
    let params = LearnerParams {
        components: k,
        ..LearnerParams::default()
    };
    let b = params.minibatch_rows(m);
    let batches = planted(m, k, b, layout);
    let mut learner = learner::new(&params, m).expect("k <= m");
    let mut storage = batches.clone();
    let mut measuring = prequential::new(&params, m).expect("k <= m");
    let mut learn_with =
        |learner: &mut dyn Learner, count| learn(learner, &batches, &mut storage, count);
    learn_with(learner.as_mut(), WARM_UP);
    learn_with(measuring.as_mut(), WARM_UP);
    let r = params.max_rank(m);
    let mut products = Products::new(m, r, b);
    let each = (1_000_000_000 / (m * b * r)).max(4);
    let (mut updates, mut with_limits, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut timed =
            |learner: &mut dyn Learner| learn_with(learner, each).as_secs_f64() / each as f64;
        updates.push(timed(learner.as_mut()));
        with_limits.push(timed(measuring.as_mut()));
        let start = Instant::now();
        for i in 0..each {
            products.run(&batches[i % MINIBATCHES]);
        }
        bare.push(start.elapsed().as_secs_f64() / each as f64);
    }
    let (update, bare, with_limits) = (median(updates), median(bare), median(with_limits));
    println!(
        "{m:>7} {k:>4} {b:>5} {:>10} {:>12.1} {:>12.1} {:>6.2} {:>7.3}",
        format!("{layout:?}").trim_end_matches("Major"),
        update * 1e6,
        bare * 1e6,
        update / bare,
        with_limits / update,
    );
}

/// Learns `count` minibatches, all of `batches` in turn; the time without filling `storage` from them.
fn learn(
    learner: &mut dyn Learner,
    batches: &[Minibatch],
    storage: &mut [Minibatch],
    count: usize,
) -> Duration {
    let mut spent = Duration::ZERO;
    for first in (0..count).step_by(MINIBATCHES) {
        let storage = &mut storage[..MINIBATCHES.min(count - first)];
        for (to, from) in storage.iter_mut().zip(batches) {
            if let (Values::F32(to), Values::F32(from)) = (to.values_mut(), from.values()) {
                to.copy_from_slice(from);
            }
            to.set_rows(from.rows());
        }
        let start = Instant::now();
        for batch in storage {
            *batch = learner.update(batch.take()).expect("finite rows");
        }
        spent += start.elapsed();
    }
    spent
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn planted(m: usize, k: usize, b: usize, layout: Layout) -> Vec<Minibatch> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    (0..MINIBATCHES)
        .map(|_| {
            let mut batch = Minibatch::new(Width::F32, layout, b, m);
            let (row, col) = (batch.row_stride(), batch.col_stride());
            if let Values::F32(values) = batch.values_mut() {
                for i in 0..b {
                    for j in 0..m {
                        let z: f32 = StandardNormal.sample(&mut random);
                        let spread = if j < k { 5.0 } else { 1.0 };
                        values[i * row + j * col] = spread * z;
                    }
                }
            }
            batch.set_rows(b);
            batch
        })
        .collect()
}
