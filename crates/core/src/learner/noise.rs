//! Number of components above noise.

use crate::learner::quantile::chi_square;

/// Quantile of the Tracy–Widom law (β = 1) at 99.5%: a false component in one of 200 data sets.
/// Source: Bejan 2005, table of the quantiles of F₁.
pub(super) const TRACY_WIDOM_995: f64 = 2.4224;

/// Upper 0.5% point of the standard normal law.
const NORMAL_995: f64 = 2.575_829;

/// Rows per squared dimension from which the likelihood ratio's χ² law holds: the terms that it
/// leaves out are of the order p²/n.
const ROWS_PER_SQUARE: f64 = 4.0;

/// Outcome of the sequence of tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AboveNoise {
    /// Number of components with larger eigenvalues than noise alone would show. `None`: every
    /// direction is held, and no two of the smallest could be the same noise, so that the size of
    /// the noise is unknown.
    pub count: Option<usize>,
    /// The largest eigenvalue that noise alone would show; 0 if unknown.
    pub threshold: f64,
    /// True if every held direction was above noise, so that there may be more.
    pub is_lower_bound: bool,
}

impl AboveNoise {
    const UNKNOWN: Self = Self {
        count: None,
        threshold: 0.0,
        is_lower_bound: false,
    };
}

/// What is `left` of a total variance over so many features, where it is more than the rounding of that total.
pub fn beyond_rounding(left: f64, total: f64, features: usize) -> f64 {
    if left > features as f64 * f64::EPSILON * total {
        left
    } else {
        0.0
    }
}

/// Tests the eigenvalues in descending order until one could be noise.
///
/// Where directions are left out, they are the noise (`against_the_rest`); where all are held, few
/// of them and many rows, noise is eigenvalues that could be equal (`until_equal`). A single
/// eigenvalue has none to be equal to, so the size of the noise is then unknown.
///
/// Where the rows vary in no direction that is not held because they are few, the last of them has nothing to be
/// compared with either.
///
/// Shapes: `eigenvalues` of length h ≤ `rank` ≤ `active` = p, `rank` the most directions that the rows can vary in;
/// divisor n; `total` is the trace.
pub fn above_noise(
    eigenvalues: &[f64],
    total: f64,
    active: usize,
    rank: usize,
    sample: f64,
) -> AboveNoise {
    let (h, p) = (eigenvalues.len(), active as f64);
    // Only if all directions are held can the smallest be compared with each other; the χ² law
    // needs many rows.
    let is_whole = h > 0 && h == active;
    if is_whole && sample >= ROWS_PER_SQUARE * p * p {
        return until_equal(eigenvalues, sample);
    }
    match against_the_rest(eigenvalues, total, active, sample) {
        AboveNoise {
            count: Some(count), ..
        } if h > 0 && h == rank && count + 1 >= rank => AboveNoise::UNKNOWN,
        told => told,
    }
}

/// The j-th is compared with σ²(μ + s·τ): σ² is the mean variance of what lies below it, and μ, τ
/// centre and scale the largest eigenvalue of pure noise of n rows in p − j dimensions. Rows with
/// heavier tails than a Gaussian show larger noise eigenvalues, and then it over-counts.
///
/// Source: Kritchman and Nadler 2008, equations (6) to (8); Johnstone 2001 for μ and τ.
fn against_the_rest(eigenvalues: &[f64], total: f64, active: usize, sample: f64) -> AboveNoise {
    let mut left = total;
    let mut threshold = 0.0;
    for (j, value) in eigenvalues.iter().enumerate() {
        left = beyond_rounding(left - value, total, active);
        let dimensions = active.saturating_sub(j + 1);
        let noise = if dimensions > 0 {
            left / dimensions as f64
        } else {
            0.0
        };
        threshold = noise * largest_of_noise(sample, dimensions as f64);
        let is_above = *value > threshold && *value > 0.0;
        if !is_above {
            return AboveNoise {
                count: Some(j),
                threshold,
                is_lower_bound: false,
            };
        }
    }
    let count = eigenvalues.len();
    AboveNoise {
        count: Some(count),
        threshold,
        is_lower_bound: count < active && left > 0.0,
    }
}

/// All p eigenvalues of n ≫ p² rows: the first j are above noise if the other q = p − j are equal
/// except for chance, by the likelihood ratio (n − 1 − j − (2q² + q + 2)/6q)·(q ln λ̄ − Σ ln λ),
/// whose law is χ² with (q − 1)(q + 2)/2 degrees of freedom. Rows with heavier tails than a
/// Gaussian, or that follow each other, look less equal than they are.
///
/// Source: Bartlett 1954; Jolliffe 2002, section 6.1.4.
fn until_equal(eigenvalues: &[f64], sample: f64) -> AboveNoise {
    let p = eigenvalues.len();
    for j in 0..p.saturating_sub(1) {
        let rest = &eigenvalues[j..];
        let q = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / q;
        let apart = q * mean.ln() - rest.iter().map(|value| value.ln()).sum::<f64>();
        let rows = sample - 1.0 - j as f64 - (2.0 * q * q + q + 2.0) / (6.0 * q);
        if rows * apart > chi_square(NORMAL_995, (q - 1.0) * (q + 2.0) / 2.0) {
            continue;
        }
        let shown = mean * largest_of_noise(sample, q);
        // Between the last that is above and the first that is not, whatever Tracy and Widom say.
        let is_between = j == 0 || shown < eigenvalues[j - 1];
        return AboveNoise {
            count: Some(j),
            threshold: if is_between {
                shown.max(rest[0])
            } else {
                rest[0]
            },
            is_lower_bound: false,
        };
    }
    AboveNoise::UNKNOWN
}

/// μ + s·τ for unit noise of `n` rows in `p` dimensions.
fn largest_of_noise(n: f64, p: f64) -> f64 {
    let (n_root, p_root) = ((n - 0.5).max(0.5).sqrt(), (p - 0.5).max(0.5).sqrt());
    let sum = n_root + p_root;
    let mean = sum * sum / n.max(1.0);
    let scale = sum / n.max(1.0) * (1.0 / n_root + 1.0 / p_root).cbrt();
    mean + TRACY_WIDOM_995 * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_direction_left_tells_nothing_of_noise() {
        for (eigenvalues, active) in [
            (vec![3.0], 1),
            (vec![5.0, 3.0], 2),
            (vec![9.0, 4.0, 1.0], 3),
        ] {
            let total = eigenvalues.iter().sum();
            for sample in [10.0, 1e3, 1e6] {
                let found = above_noise(&eigenvalues, total, active, active, sample);
                let is_small = sample < 100.0;
                assert!(
                    is_small || found == AboveNoise::UNKNOWN,
                    "{eigenvalues:?} {found:?}"
                );
            }
        }
    }
}
