//! What appears at once is learned from its first row, and bursts leave no variance that was never there.

use faer::Mat;
use ojad::learner::{Estimate, Forgetting, LearnerParams};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};

use crate::reference::{Rows, batch, distance, fitted, incremental, planted, spikes, vectors};

/// White noise with a weak direction of variance 4, and every `every` rows a burst of `length` rows along a random direction of its
/// own, with about `variance`.
fn bursts(n: usize, m: usize, every: usize, length: usize, variance: f64) -> Rows {
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let weak = direction(m, &mut random);
    let mut values = Vec::with_capacity(n * m);
    let (mut burst, mut size) = (Vec::new(), 0.0);
    for i in 0..n {
        if i % every == 0 {
            burst = direction(m, &mut random);
            size = (variance * random.random_range(0.5..1.5)).sqrt();
        }
        let size = if i % every < length { size } else { 0.0 };
        let a: f64 = StandardNormal.sample(&mut random);
        let b: f64 = StandardNormal.sample(&mut random);
        for (w, v) in weak.iter().zip(&burst) {
            let noise: f64 = StandardNormal.sample(&mut random);
            values.push(noise + 3.0_f64.sqrt() * a * w + size * b * v);
        }
    }
    Rows::new(values, m)
}

fn direction(m: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    let v: Vec<f64> = (0..m).map(|_| StandardNormal.sample(random)).collect();
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter().map(|x| x / length).collect()
}

/// Variance of the rows along each row of `components`.
fn variances(rows: &Rows, components: faer::MatRef<'_, f64>) -> Vec<f64> {
    let (n, x) = (rows.n() as f64, rows.as_mat());
    let scores: Mat<f64> = x * components.transpose();
    let variance = |col: faer::ColRef<'_, f64>| {
        let mean = col.iter().sum::<f64>() / n;
        col.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n
    };
    (0..components.nrows())
        .map(|i| variance(scores.col(i)))
        .collect()
}

#[test]
fn bursts_leave_no_variance_that_is_not_there() {
    // Far more bursts than directions held, each cut off again by the next ones.
    for (every, length) in [(200, 50), (200, 150), (500, 50)] {
        let rows = bursts(16_000, 200, every, length, 3_000.0);
        let params = LearnerParams {
            components: 5,
            minibatch: Some(60),
            ..LearnerParams::default()
        };
        let estimate = fitted(&rows, &params);
        let real = variances(&rows, vectors(&estimate));
        for (said, real) in estimate.eigenvalues.iter().zip(&real) {
            let error = said / real - 1.0;
            assert!((-0.1..0.02).contains(&error), "{said} for {real}");
        }
        let (values, _) = batch(&rows, 5, |_| 1.0);
        let best: f64 = values.iter().sum();
        let (_, theirs) = incremental(&rows, 15, 60);
        let theirs: f64 = variances(&rows, theirs.subrows(0, 5)).iter().sum();
        let ours: f64 = real.iter().sum();
        let (ours, theirs) = (1.0 - ours / best, 1.0 - theirs / best);
        println!("every {every}, {length} long: {ours:.4} lost, IncrementalPCA {theirs:.4}");
        assert!(ours <= theirs, "{ours} against {theirs}");
    }
}

/// All `k` components turn into new directions midway, and the mean drifts.
fn turned(n: usize, m: usize, k: usize, top: f64, last: f64) -> Rows {
    let half = |seed| planted(n / 2, &spikes(m, k, top, last), 0.0, seed, &StandardNormal).0;
    let mut values = [half(31).values, half(32).values].concat();
    let drift = direction(m, &mut ChaCha8Rng::seed_from_u64(33));
    for (i, row) in values.chunks_exact_mut(m).enumerate() {
        let far = 10.0 * i as f64 / n as f64;
        row.iter_mut().zip(&drift).for_each(|(v, d)| *v += far * d);
    }
    Rows::new(values, m)
}

fn forgetting(components: usize, half_life: f64) -> LearnerParams {
    LearnerParams {
        components,
        forgetting: Forgetting::HalfLifeRows(half_life),
        ..LearnerParams::default()
    }
}

#[test]
fn a_rotation_is_learned_from_its_first_rows() {
    for (k, top, last) in [(10, 20.0, 6.0), (6, 10.0, 4.0)] {
        let rows = turned(24_000, 200, k, top, last);
        for half_life in [200.0, 2_000.0, 12_000.0] {
            let end = rows.n() - 1;
            let weight = |i: usize| 0.5_f64.powf((end - i) as f64 / half_life);
            let (values, components) = batch(&rows, k, weight);
            let estimate: Estimate = fitted(&rows, &forgetting(k, half_life));
            let sin2 = distance(&estimate, &components);
            let pairs = estimate.eigenvalues.iter().zip(&values);
            let worst = pairs.map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
            println!(
                "{top} to {last}, half-life {half_life}: sin² {sin2:.1e}, eigenvalues {worst:.4}"
            );
            assert!(
                sin2 <= 1e-3,
                "{top} to {last}, half-life {half_life}: {sin2}"
            );
            assert!(
                worst <= 0.02,
                "{top} to {last}, half-life {half_life}: {worst}"
            );
        }
    }
}
