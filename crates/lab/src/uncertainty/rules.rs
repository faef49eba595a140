//! Published rules for the number of components, as they stand in their papers: batch, in full precision.
//!
//! In: rows. Out: how many components each rule sees. What ojad tells of the same rows is measured beside them.

use faer::{Mat, MatRef};
use ojad_core::learner::{noise, noise_gap};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use super::bema::Null;
use super::spectrum::eigenvalues;
use crate::LabError;

/// The rules in the order of [`counts`].
pub(super) const NAMES: [&str; 5] = [
    "Kritchman–Nadler",
    "Onatski",
    "Gavish–Donoho",
    "FlipPA",
    "BEMA",
];

/// The most components that Onatski's rule looks for: the r_max of his tables.
const ONATSKI_MOST: usize = 8;

/// Copies with random signs. A component counts if its singular value exceeds those of all of them: a level of
/// 1 in 21.
const FLIPS: usize = 20;

/// How many components each rule of [`NAMES`] sees in rows (row by row, of `features` each); `None` if it cannot tell.
pub(super) fn counts(
    values: &[f64],
    features: usize,
    null: &Null,
    random: &mut ChaCha8Rng,
) -> Result<[Option<usize>; 5], LabError> {
    let n = values.len() / features;
    let column = |j: usize| values.iter().skip(j).step_by(features);
    let means: Vec<f64> = (0..features)
        .map(|j| column(j).sum::<f64>() / n as f64)
        .collect();
    let rows = Mat::from_fn(n, features, |i, j| values[i * features + j] - means[j]);
    let known = eigenvalues(rows.as_ref())?;
    Ok([
        kritchman_nadler(&known, features, n),
        noise_gap::before_gap(&known, ONATSKI_MOST),
        Some(gavish_donoho(&known, features, n)),
        Some(flip_pa(rows.as_ref(), &known, random)?),
        Some(null.above(&known)?),
    ])
}

/// Kritchman and Nadler 2008: eigenvalues beyond the largest of equal Gaussian noise.
fn kritchman_nadler(eigenvalues: &[f64], features: usize, rows: usize) -> Option<usize> {
    let total = eigenvalues.iter().sum();
    // Of all p eigenvalues of many rows the core would take Bartlett's test instead: the smallest is never a component.
    let most = eigenvalues.len().min(features - 1);
    let rank = features.min(rows - 1);
    noise::above_noise(&eigenvalues[..most], total, features, rank, rows as f64).count
}

/// Gavish and Donoho 2014: singular values beyond ω(β) times their median, for noise of unknown size.
fn gavish_donoho(eigenvalues: &[f64], features: usize, rows: usize) -> usize {
    let beta = features.min(rows) as f64 / features.max(rows) as f64;
    let mut singular: Vec<f64> = eigenvalues.iter().map(|v| v.sqrt()).collect();
    singular.sort_by(f64::total_cmp);
    let middle = singular.len() / 2;
    let median = if singular.len().is_multiple_of(2) {
        0.5 * (singular[middle - 1] + singular[middle])
    } else {
        singular[middle]
    };
    let threshold = omega(beta) * median;
    singular.iter().filter(|value| **value > threshold).count()
}

/// λ(β)/√μ_β, equation (11) over the root of the median of the Marchenko–Pastur law.
fn omega(beta: f64) -> f64 {
    let root = (beta * beta + 14.0 * beta + 1.0).sqrt();
    let lambda = (2.0 * (beta + 1.0) + 8.0 * beta / (beta + 1.0 + root)).sqrt();
    lambda / median_of_noise(beta).sqrt()
}

/// The median of the Marchenko–Pastur law of ratio β ≤ 1.
///
/// With x = 1 + β − 2√β·cos φ the density is 2·sin² φ/(π·x), without an edge to integrate over.
fn median_of_noise(beta: f64) -> f64 {
    const STEPS: u32 = 20_000;
    let at = |i: u32| {
        let phi = std::f64::consts::PI * (f64::from(i) + 0.5) / f64::from(STEPS);
        1.0 + beta - 2.0 * beta.sqrt() * phi.cos()
    };
    let mut below = 0.0;
    for i in 0..STEPS {
        let phi = std::f64::consts::PI * (f64::from(i) + 0.5) / f64::from(STEPS);
        below += 2.0 * phi.sin().powi(2) / at(i) / f64::from(STEPS);
        if below >= 0.5 {
            return at(i);
        }
    }
    at(STEPS - 1)
}

/// Hong, Sheng and Dobriban 2020, algorithm 1: as many leading singular values as exceed those of the same rank in
/// every copy whose entries have random signs.
fn flip_pa(
    rows: MatRef<'_, f64>,
    known: &[f64],
    random: &mut ChaCha8Rng,
) -> Result<usize, LabError> {
    let mut largest = vec![0.0_f64; known.len()];
    let mut flipped = rows.to_owned();
    for _ in 0..FLIPS {
        // Signs upon signs are as random as the first ones.
        for j in 0..flipped.ncols() {
            let mut bits: u64 = 0;
            for (i, value) in flipped.col_mut(j).iter_mut().enumerate() {
                if i % 64 == 0 {
                    bits = random.random();
                }
                if bits >> (i % 64) & 1 == 1 {
                    *value = -*value;
                }
            }
        }
        let values = eigenvalues(flipped.as_ref())?;
        for (most, value) in largest.iter_mut().zip(values) {
            *most = most.max(value);
        }
    }
    let pairs = known.iter().zip(&largest);
    Ok(pairs.take_while(|(value, most)| value > most).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    const N: usize = 60;
    const M: usize = 20;

    /// Noise that is the same in every language, with deviations that rise to `levels`.
    fn noise(i: usize, j: usize, levels: f64) -> f64 {
        let wild = ((i * M + j) as f64 * 12.9898).sin() * 43_758.545_3;
        (wild - wild.floor() - 0.5) * levels.powf(j as f64 / (M - 1) as f64)
    }

    fn rows(value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let places = (0..N).flat_map(|i| (0..M).map(move |j| (i, j)));
        places.map(|(i, j)| value(i, j)).collect()
    }

    #[test]
    fn rules_count_as_numpy_does() {
        let null = Null::new((M, N));
        let clear = rows(|i, j| {
            let (t, at) = (i as f64, j as f64);
            let first = 3.0 * (0.7 * t).sin() * (0.3 * at).cos();
            noise(i, j, 1.0) + first + 2.0 * (1.3 * t).cos() * (1.1 * at).sin()
        });
        let unequal = rows(|i, j| {
            let (t, at) = (i as f64, j as f64);
            noise(i, j, 5.0) + 1.5 * (0.7 * t).sin() * (0.3 * at).cos()
        });
        for (values, right) in [(clear, CLEAR), (unequal, UNEQUAL)] {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let found = counts(&values, M, &null, &mut random).unwrap();
            assert_eq!(found, right.map(Some), "{NAMES:?}");
        }
    }

    /// Made by numpy.linalg.svd and the rules of the five papers, written in Python.
    const CLEAR: [usize; 5] = [2, 2, 2, 2, 2];
    const UNEQUAL: [usize; 5] = [10, 1, 4, 1, 1];

    #[test]
    fn eigenvalues_are_those_of_numpy() {
        let values = rows(|i, j| {
            let (t, at) = (i as f64, j as f64);
            let first = 3.0 * (0.7 * t).sin() * (0.3 * at).cos();
            noise(i, j, 1.0) + first + 2.0 * (1.3 * t).cos() * (1.1 * at).sin()
        });
        let mean = |j: usize| (0..N).map(|i| values[i * M + j]).sum::<f64>() / N as f64;
        let means: Vec<f64> = (0..M).map(mean).collect();
        let centred = Mat::from_fn(N, M, |i, j| values[i * M + j] - means[j]);
        let found = eigenvalues(centred.as_ref()).unwrap();
        // numpy.linalg.svd(x - x.mean(0), compute_uv=False)**2/60
        for (i, right) in [
            (0, 42.295_763_07),
            (1, 18.933_960_73),
            (2, 0.172_581_82),
            (19, 0.020_674_24),
        ] {
            assert!((found[i] - right).abs() < 1e-7, "{i}: {}", found[i]);
        }
        // As many rows as features, and fewer: the other of the two matrices.
        let turned = eigenvalues(centred.transpose()).unwrap();
        assert!((turned[0] * M as f64 - found[0] * N as f64).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_noise_is_that_of_its_law() {
        // scipy.integrate.quad of the density, scipy.optimize.brentq; ω(1) is printed as 2.858 in the paper.
        for (beta, median, factor) in [
            (0.5, 0.830_465_8, 2.171_185_3),
            (0.2, 0.932_915_5, 1.765_046_4),
            (0.005, 0.998_333_1, 1.425_833_9),
        ] {
            assert!((median_of_noise(beta) - median).abs() < 1e-4, "{beta}");
            assert!((omega(beta) - factor).abs() < 2e-4, "{beta}");
        }
        assert!((omega(1.0) - 2.858).abs() < 1e-3);
    }
}
