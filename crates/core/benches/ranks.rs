//! How often the number of components above noise is right: the table of `docs/statistics.md`.
#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use ojad_core::{Pca, Penalty, Rows};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal, StudentT};

fn spikes() -> Vec<f64> { std::env::var("SPK").unwrap_or("20,14,10".into()).split(',').map(|v| v.parse().unwrap()).collect() }

#[derive(Clone, Copy, Debug, PartialEq)]
enum Noise {
    Student(f64),
    Gaussian,
    Levels(f64),
    Correlated(f64),
    Following(f64),
    Rows(f64),
}

const SHAPES: [(usize, usize); 5] = [(20, 4_000), (100, 500), (320, 400), (400, 100), (400, 2000)];

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

fn draw(noise: Noise, (m, n): (usize, usize), truth: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = vec![0.0; n * m];
    let mut levels = vec![1.0; m];
    if let Noise::Levels(ratio) = noise {
        for (j, level) in levels.iter_mut().enumerate() {
            *level = ratio.powf(j as f64 / (m - 1) as f64);
        }
    }
    let square = levels.iter().map(|v| v * v).sum::<f64>() / m as f64;
    let mut vectors: Vec<Vec<f64>> = Vec::new();
    for _ in 0..truth {
        let mut v: Vec<f64> = (0..m).map(|_| normal(&mut random)).collect();
        for o in &vectors {
            let d: f64 = o.iter().zip(&v).map(|(a, b)| a * b).sum();
            v.iter_mut().zip(o).for_each(|(v, o)| *v -= d * o);
        }
        let l = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= l);
        vectors.push(v);
    }
    let spk = spikes();
    let mut last = vec![0.0; m + truth];
    last.iter_mut().for_each(|v| *v = normal(&mut random));
    let strength = (m as f64 / n as f64).sqrt().max(1.0) * square;
    for row in values.chunks_exact_mut(m) {
        let common = match noise {
            Noise::Rows(freedom) => {
                let c: f64 = rand_distr::ChiSquared::new(freedom).expect("law").sample(&mut random);
                ((freedom - 2.0) / c).sqrt()
            }
            _ => 1.0,
        };
        let mut before = normal(&mut random);
        for (j, v) in row.iter_mut().enumerate() {
            let unit = match noise {
                Noise::Student(f) => StudentT::new(f).expect("law").sample(&mut random) / (f / (f - 2.0)).sqrt(),
                Noise::Correlated(rho) => {
                    before = if j == 0 { before } else { rho * before + (1.0 - rho * rho).sqrt() * normal(&mut random) };
                    before
                }
                Noise::Following(rho) => {
                    last[j] = rho * last[j] + (1.0 - rho * rho).sqrt() * normal(&mut random);
                    last[j]
                }
                _ => normal(&mut random),
            };
            *v = common * levels[j] * unit;
        }
        for (i, vector) in vectors.iter().enumerate() {
            let score = match noise {
                Noise::Following(rho) => {
                    let new = (1.0 - rho * rho).sqrt() * normal(&mut random);
                    last[m + i] = rho * last[m + i] + new;
                    last[m + i]
                }
                _ => normal(&mut random),
            };
            let size = score * (spk[i] * strength).sqrt();
            row.iter_mut().zip(vector).for_each(|(v, e)| *v += size * e);
        }
    }
    values
}

fn main() {
    let runs: u64 = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(10);
    let k: usize = std::env::args().filter_map(|a| a.parse().ok()).nth(1).unwrap_or(10);
    for noise in [Noise::Gaussian, Noise::Student(5.0), Noise::Levels(3.0), Noise::Levels(10.0), Noise::Correlated(0.5), Noise::Following(0.9), Noise::Rows(5.0)] {
        for shape in SHAPES {
            for truth in [0, 3] {
                for seed in 0..runs {
                    let values = draw(noise, shape, truth, seed);
                    let params = ojad_core::learner::LearnerParams { components: k, ..Default::default() };
                    let mut l = ojad_core::learner::new(&params, shape.0).expect("f");
                    for part in values.chunks(params.minibatch_rows(shape.0) * shape.0) {
                        l.update(ojad_core::rows::Minibatch::from_rows(part, shape.0)).expect("f");
                    }
                    let su = l.summary().expect("f");
                    let nz = su.long_run.noise[truth];
                    let _cv: Vec<String> = (0..=15usize).map(|w| {
                        let rest: Vec<f64> = (0..shape.0).map(|j| su.variance[j] - (0..w.min(su.eigenvalues.len())).map(|i| su.eigenvalues[i] * su.vectors[(i, j)].powi(2)).sum::<f64>()).collect();
                        let mean = rest.iter().sum::<f64>() / shape.0 as f64;
                        format!("{:.5}", rest.iter().map(|v| (v / mean - 1.0).powi(2)).sum::<f64>() / shape.0 as f64)
                    }).collect();
                    let al: Vec<String> = su.long_run.alone.iter().map(|v| format!("{v:.3}")).collect();
                    let mut pca = Pca::builder().components(k).build(shape.0).expect("fine");
                    pca.update(&Rows::from_f64(&values, shape.0)).expect("fine");
                    let all = Pca::merge([&pca]).expect("m").estimate(400.min(shape.0), Penalty::Auto);
                    let es = pca.estimate().expect("fine"); let now = es.components_above_noise; let rule = es.above_noise_rule;
                    let e: Vec<String> = all.eigenvalues.iter().take_while(|v| **v > 0.0).map(|v| format!("{v:.5}")).collect();
                    println!("{noise:?};{rule:?};{};{};{truth};{};{};{};{};{};{};{}", shape.0, shape.1, now.map_or(-1, |v| v as i64), all.total_variance, e.join(","), nz.sizes, nz.dependence,  format!("{} {}", nz.squares, nz.squares_error), al.join(","));
                }
            }
        }
    }
}
