//! The largest eigenvalue of noise whose features have different variances and whose rows depend on each other.
//!
//! In: the variances of the features and those of the rows in time, as [`Profile`]s. Out: where the eigenvalues of the
//! covariance of such noise end, and how far the largest of them strays from there.
//!
//! Rows A^½ Z D^½ with Z independent. For z beyond all eigenvalues, there are s, t > 0 with
//!
//!   z = (1/ns)·Σ dⱼ/(1 − dⱼt) = (1/nt)·Σ aᵢ/(1 − aᵢs),
//!
//! and the edge is the least z that such a pair has. With A = 1 this is the Marchenko–Pastur law of a population with
//! the eigenvalues d, whose edge parallel analysis without permutations uses.
//!
//! Sources: Couillet and Hachem 2014, theorem 2 and section 3 (the pair); Silverstein and Choi 1995 (the edge as an
//! extremum); El Karoui 2007, equation (1), and Lee and Schnelli 2016 (the law at the edge); Dobriban and Owen 2019
//! (deterministic parallel analysis).

/// Bins of a profile: of variances, 4% wide.
const BINS: usize = 256;

/// Variances below this share of the largest fall into one bin: they show nothing beside it.
const SMALLEST: f64 = 1e-4;

/// Halvings of an interval: beyond f64 digits that a threshold needs.
const HALVINGS: usize = 60;

/// Values with their numbers, as few of them as a sum over all needs.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// (value, how many), values above 0.
    bins: Vec<(f64, f64)>,
}

impl Profile {
    /// Of values that are divided by their mean; those of 0 or less count with the mean but show nothing.
    ///
    /// `None` where none is above 0.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().map(|v| v.max(0.0)).sum::<f64>() / count;
        let top = values.iter().copied().fold(0.0, f64::max) / mean;
        if !(mean > 0.0 && top.is_finite()) {
            return None;
        }
        // Each bin is as wide as every other in the logarithm, from the largest down.
        let mut sums = [(0.0, 0.0); BINS];
        for value in values {
            let value = (value / mean).max(0.0);
            let place = (value / top).ln() / SMALLEST.ln();
            let bin = (place * BINS as f64).min((BINS - 1) as f64) as usize;
            sums[bin].0 += value;
            sums[bin].1 += 1.0;
        }
        let bins = sums.iter().filter(|(sum, _)| *sum > 0.0);
        Some(Self {
            bins: bins.map(|(sum, count)| (sum / count, *count)).collect(),
        })
    }

    /// Variances in time of `rows` rows whose autocorrelations have the sum of squares `dependence` over all lags, as if
    /// each followed the last by ρ: (1 − ρ²)/(1 − 2ρ cos ω + ρ²), dependence = (1 + ρ²)/(1 − ρ²).
    pub(super) fn of_rows(rows: f64, dependence: f64) -> Self {
        if dependence <= 1.0 {
            return Self {
                bins: vec![(1.0, rows)],
            };
        }
        let square = (dependence - 1.0) / (dependence + 1.0);
        let rho = square.sqrt();
        // The mean over a bin of frequencies is that of an arc tangent.
        let primitive = |omega: f64| {
            let half = (0.5 * omega).sin() / (0.5 * omega).cos().max(f64::MIN_POSITIVE);
            2.0 * ((1.0 + rho) / (1.0 - rho) * half).atan()
        };
        let edge = |i: usize| std::f64::consts::PI * (i as f64 / BINS as f64).powi(2);
        let bins = (0..BINS).map(|i| {
            let (from, to) = (edge(i), edge(i + 1));
            let mean = (primitive(to) - primitive(from)) / (to - from);
            (mean, rows * (to - from) / std::f64::consts::PI)
        });
        Self {
            bins: bins.collect(),
        }
    }

    fn largest(&self) -> f64 {
        self.bins
            .iter()
            .map(|(value, _)| *value)
            .fold(0.0, f64::max)
    }

    /// Σ v/(1 − vt).
    fn sum(&self, t: f64) -> f64 {
        let each = self.bins.iter().map(|(v, count)| count * v / (1.0 - v * t));
        each.sum()
    }

    /// Σ v/(1 − vt)².
    fn slope(&self, t: f64) -> f64 {
        let each = |(v, count): &(f64, f64)| count * v / (1.0 - v * t).powi(2);
        self.bins.iter().map(each).sum()
    }
}

/// Where the eigenvalues of noise end, for a mean variance of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edge {
    /// Where the law of many ends.
    pub(super) position: f64,
    /// Unit in which the largest follows Tracy and Widom about it.
    pub(super) spread: f64,
}

/// The edge of noise with `features` variances (mean 1) in `rows` (of `count`).
pub(super) fn edge(features: &Profile, rows: &Profile, count: f64) -> Edge {
    let top = 1.0 / features.largest();
    let z = |t: f64| features.sum(t) / (count * partner(features, rows, t));
    // z falls and rises again between 0 and 1 ÷ the largest: the least of it by thirds.
    let (mut low, mut high) = (0.0, top);
    for _ in 0..HALVINGS {
        let third = (high - low) / 3.0;
        let (a, b) = (low + third, high - third);
        if z(a) < z(b) {
            high = b;
        } else {
            low = a;
        }
    }
    let t = 0.5 * (low + high);
    let position = z(t);
    // Near the edge z = E + ½z″(t − t₀)², so the density of eigenvalues is (C/π)√(E − x), and C^(−2/3) is the unit.
    let step = 1e-3 * t.min(top - t);
    let bend = (z(t + step) - 2.0 * position + z(t - step)) / (step * step);
    let turn =
        (partner(features, rows, t + step) - partner(features, rows, t - step)) / (2.0 * step);
    let s = partner(features, rows, t);
    let density = rows.slope(s) * turn * (2.0 / bend).sqrt() / position;
    Edge {
        position,
        spread: density.powf(-2.0 / 3.0),
    }
}

/// s of t: t·Σ d/(1 − dt) = s·Σ a/(1 − as).
fn partner(features: &Profile, rows: &Profile, t: f64) -> f64 {
    let wanted = t * features.sum(t);
    if let [(value, count)] = rows.bins[..] {
        return wanted / (value * (count + wanted));
    }
    let (mut low, mut high) = (0.0, 1.0 / rows.largest());
    for _ in 0..HALVINGS {
        let half = 0.5 * (low + high);
        if half * rows.sum(half) < wanted {
            low = half;
        } else {
            high = half;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(rows: f64) -> Profile {
        Profile::of_rows(rows, 1.0)
    }

    #[test]
    fn equal_noise_ends_where_marchenko_and_pastur_say() {
        for (features, rows) in [(100, 500.0), (400, 100.0), (20, 4_000.0)] {
            let found = edge(
                &Profile::of(&vec![3.0; features]).unwrap(),
                &alone(rows),
                rows,
            );
            let (m, n) = ((features as f64).sqrt(), rows.sqrt());
            let right = (m + n) * (m + n) / rows;
            assert!((found.position / right - 1.0).abs() < 1e-6, "{found:?}");
            // Johnstone 2001: (√n + √p)(1/√n + 1/√p)^(1/3)/n.
            let right = (m + n) * (1.0 / m + 1.0 / n).cbrt() / rows;
            assert!(
                (found.spread / right - 1.0).abs() < 1e-3,
                "{found:?} {right}"
            );
        }
    }

    #[test]
    fn unequal_noise_ends_where_el_karoui_says() {
        // scipy's brentq on his equation (1): ∫(λc/(1 − λc))²dH = n/p, variances 10^(2j/99), n = 500, p = 100.
        let variances: Vec<f64> = (0..100)
            .map(|j| 100.0_f64.powf(f64::from(j) / 99.0))
            .collect();
        let found = edge(&Profile::of(&variances).unwrap(), &alone(500.0), 500.0);
        assert!((found.position / POSITION - 1.0).abs() < 2e-3, "{found:?}");
        assert!((found.spread / SPREAD - 1.0).abs() < 2e-2, "{found:?}");
    }

    const POSITION: f64 = 5.554_215;
    const SPREAD: f64 = 0.185_623;

    #[test]
    fn rows_that_follow_each_other_count_as_features_that_differ() {
        // ZᵀAZ and A^½ZZᵀA^½ have the same eigenvalues: 200 rows of 50 features are 50 rows of 200.
        let rows = Profile::of_rows(200.0, 4.0);
        let mean: f64 = rows.bins.iter().map(|(v, count)| v * count).sum::<f64>() / 200.0;
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        let one = edge(&Profile::of(&[1.0; 50]).unwrap(), &rows, 200.0);
        let other = edge(&rows, &Profile::of_rows(50.0, 1.0), 200.0);
        assert!(
            (one.position / other.position - 1.0).abs() < 1e-6,
            "{one:?} {other:?}"
        );
        assert!(
            (one.spread / other.spread - 1.0).abs() < 1e-2,
            "{one:?} {other:?}"
        );
    }

    #[test]
    fn rows_that_follow_each_other_show_larger_eigenvalues() {
        // The mean of the largest eigenvalue ÷ the mean variance in 20 simulations by numpy, ρ = 0.9.
        for (features, rows, right) in [
            (100, 500.0, 6.47),
            (320, 400.0, 18.8),
            (400, 100.0, 75.5),
            (20, 4_000.0, 1.441),
        ] {
            let found = edge(
                &Profile::of(&vec![1.0; features]).unwrap(),
                &Profile::of_rows(rows, 1.81 / 0.19),
                rows,
            );
            // The mean of Tracy and Widom's law is −1.21.
            let mean = found.position - 1.21 * found.spread;
            assert!((mean / right - 1.0).abs() < 0.05, "{found:?} {right}");
        }
    }
}
