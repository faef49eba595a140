//! How often the number of components above noise is right: the table of `docs/statistics.md`.
//!
//! Each line draws data sets of noise of one kind, with no or three components in random directions, learns each in one
//! pass, and counts in how many the number is right, cannot be told, or is wrong.
//!
//! `cargo bench -p ojad-core --bench ranks [-- WORD] [NUMBER]`: only the noise whose name has WORD in it, NUMBER data sets.

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use ojad_core::{Pca, Rows};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution as _, StandardNormal, StudentT};

/// Data sets a cell, unless another number is given.
const RUNS: u64 = 100;

/// Variances of the components, in mean variances of noise.
const COMPONENTS: [f64; 3] = [20.0, 14.0, 10.0];

/// Features and rows: whole covariances in the first two.
const SHAPES: [(usize, usize); 4] = [(20, 4_000), (100, 500), (320, 400), (400, 100)];

#[derive(Clone, Copy)]
enum Noise {
    Gaussian,
    /// Each value is Student's t of so many degrees of freedom.
    Student(f64),
    /// Deviations of the features spread over this ratio.
    Levels(f64),
    /// Each feature follows the last by ρ.
    Correlated(f64),
    /// Each row follows the last by ρ, components too.
    Following(f64),
    /// Whole rows are Student's t.
    Sizes(f64),
}

const NOISES: [(&str, Noise); 7] = [
    ("Gaussian", Noise::Gaussian),
    ("t(5)", Noise::Student(5.0)),
    ("unequal × 3", Noise::Levels(3.0)),
    ("unequal × 10", Noise::Levels(10.0)),
    ("correlated 0.5", Noise::Correlated(0.5)),
    ("AR 0.9 in time", Noise::Following(0.9)),
    ("whole rows t(5)", Noise::Sizes(5.0)),
];

fn main() {
    let arguments = || std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    let runs = arguments().find_map(|a| a.parse().ok()).unwrap_or(RUNS);
    let only = arguments().find(|a| a.parse::<u64>().is_err());
    println!("right / cannot be told / wrong, of {runs}\n");
    println!("| noise | m | n | none | 3 |\n|---|---|---|---|---|");
    for (name, noise) in NOISES {
        if only
            .as_ref()
            .is_some_and(|word| !name.contains(word.as_str()))
        {
            continue;
        }
        for (m, n) in SHAPES {
            let [none, three] = [0, 3].map(|truth| {
                let mut counts = [0; 3];
                for seed in 0..runs {
                    let values = draw(noise, (m, n), truth, seed);
                    let mut pca = Pca::builder().build(m).expect("k <= m");
                    pca.update(&Rows::from_f64(&values, m)).expect("finite");
                    let found = pca.estimate().expect("finite").components_above_noise;
                    counts[match found {
                        Some(count) if count == truth => 0,
                        None => 1,
                        Some(_) => 2,
                    }] += 1;
                }
                counts.map(|count| count.to_string()).join(" / ")
            });
            println!("| {name} | {m} | {n} | {none} | {three} |");
        }
    }
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// Orthonormal vectors of `m` entries.
fn directions(m: usize, count: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut vectors: Vec<Vec<f64>> = Vec::new();
    for _ in 0..count {
        let mut vector: Vec<f64> = (0..m).map(|_| normal(random)).collect();
        for other in &vectors {
            let along: f64 = other.iter().zip(&vector).map(|(a, b)| a * b).sum();
            vector
                .iter_mut()
                .zip(other)
                .for_each(|(v, o)| *v -= along * o);
        }
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v /= length);
        vectors.push(vector);
    }
    vectors
}

/// Follows `last` by ρ.
fn follow(last: &mut f64, rho: f64, random: &mut ChaCha8Rng) -> f64 {
    *last = rho * *last + (1.0 - rho * rho).sqrt() * normal(random);
    *last
}

/// Rows with `truth` components, row by row.
fn draw(noise: Noise, (m, n): (usize, usize), truth: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let level = |j: usize| match noise {
        Noise::Levels(ratio) => ratio.powf(j as f64 / (m - 1) as f64),
        _ => 1.0,
    };
    let square = (0..m).map(|j| level(j).powi(2)).sum::<f64>() / m as f64;
    let vectors = directions(m, truth, &mut random);
    let mut last: Vec<f64> = (0..m + truth).map(|_| normal(&mut random)).collect();
    let strength = (m as f64 / n as f64).sqrt().max(1.0) * square;
    let mut values = vec![0.0; n * m];
    for row in values.chunks_exact_mut(m) {
        let common = match noise {
            Noise::Sizes(freedom) => {
                let square: f64 = ChiSquared::new(freedom).expect("a law").sample(&mut random);
                ((freedom - 2.0) / square).sqrt()
            }
            _ => 1.0,
        };
        let mut before = normal(&mut random);
        for (j, v) in row.iter_mut().enumerate() {
            let unit = match noise {
                Noise::Student(freedom) => {
                    let law = StudentT::new(freedom).expect("a law");
                    law.sample(&mut random) / (freedom / (freedom - 2.0)).sqrt()
                }
                Noise::Correlated(rho) => follow(&mut before, rho, &mut random),
                Noise::Following(rho) => follow(&mut last[j], rho, &mut random),
                _ => normal(&mut random),
            };
            *v = common * level(j) * unit;
        }
        for (i, vector) in vectors.iter().enumerate() {
            let score = match noise {
                Noise::Following(rho) => follow(&mut last[m + i], rho, &mut random),
                _ => normal(&mut random),
            };
            let size = score * (COMPONENTS[i] * strength).sqrt();
            row.iter_mut().zip(vector).for_each(|(v, e)| *v += size * e);
        }
    }
    values
}
