//! Quantiles → a distribution with a parametric tail.
//!
//! Beyond a threshold that the rows exceed in 2.5% to 10%, five hundred rows if there are so many, E = −ln of Box's
//! probability is taken for generalized Pareto. On that scale the tail of Gaussian rows is exponential for any rest and
//! any number of features, however few degrees of freedom, so that extrapolation needs little curvature. Scale and
//! shape are those of the probability-weighted moments
//!
//!   a₀ = E[e], a₁ = E[e·(1 − F(e))],  ξ = 2 − a₀/(a₀ − 2a₁),  σ = a₀(1 − ξ)
//!
//! of the excesses e (Hosking and Wallis 1987). ξ is made larger by 3/c for c excesses: the probability that a fresh row
//! exceeds an estimated quantile is on average larger by half the variance of its logarithm, which for ξ = 0 and two
//! decades beyond the threshold is what 3/c adds (their equation 12). ξ < 0 would give large values no probability at
//! all.

use crate::learner::limits::{ParetoTail, ReferenceDistribution};

/// Rows from which quantiles tell more than two moments: fifty beyond the threshold.
const ROWS_EMPIRICAL: f64 = 500.0;

/// Rows wanted beyond the threshold.
const EXCESSES: f64 = 500.0;

/// Least and largest share of rows beyond the threshold.
const SHARE: (f64, f64) = (0.025, 0.1);

/// Probabilities of the quantiles kept, as far as they are above the threshold's.
const PROBABILITIES: [f64; 16] = [
    0.999, 0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.035,
];

/// Quantiles beyond the threshold at most: as many as there are excesses, if they are fewer.
const POINTS_AT_MOST: f64 = 1000.0;

/// What is added to the shape, for one excess.
const UNCERTAINTY: f64 = 3.0;

/// From here on the mean of the tail would be infinite, or nearly so.
const SHAPE_AT_MOST: f64 = 0.9;

/// The distribution with these rows, mean and variance; `quantiles` gives the values that are exceeded with
/// probabilities, which descend. Of too few rows, or where nothing varies, only the moments remain.
pub(crate) fn fit(
    moments: ReferenceDistribution,
    quantiles: impl FnOnce(&[f64]) -> Vec<f64>,
) -> ReferenceDistribution {
    if moments.rows < ROWS_EMPIRICAL || !moments.is_known() {
        return moments;
    }
    let share = (EXCESSES / moments.rows).clamp(SHARE.0, SHARE.1);
    let excesses = (moments.rows * share).floor();
    let points = excesses.min(POINTS_AT_MOST);
    let kept = PROBABILITIES.iter().copied().filter(|p| *p > share * 1.01);
    let mut wanted: Vec<f64> = kept.chain([share]).collect();
    let body = wanted.len();
    // The middles of equal parts of the tail.
    wanted.extend((0..points as usize).map(|i| share * (1.0 - (i as f64 + 0.5) / points)));
    let mut values = quantiles(&wanted);
    // Rounding of an interpolation must not turn the order round.
    for i in 1..values.len() {
        values[i] = values[i].max(values[i - 1]);
    }
    let beyond = values.split_off(body);
    let threshold = moments.ln_box(values[body - 1]);
    let (mut a0, mut a1) = (0.0, 0.0);
    for (i, value) in beyond.iter().enumerate() {
        let excess = threshold - moments.ln_box(*value);
        a0 += excess / points;
        a1 += excess * (1.0 - (i as f64 + 0.5) / points) / points;
    }
    let shape = 2.0 - a0 / (a0 - 2.0 * a1) + UNCERTAINTY / excesses;
    let shape = shape.clamp(0.0, SHAPE_AT_MOST);
    let tail = ParetoTail {
        scale: a0 * (1.0 - shape),
        shape,
    };
    // Many equal values leave no tail to be fitted.
    if !(tail.scale > 0.0 && tail.scale.is_finite() && shape.is_finite()) {
        return moments;
    }
    wanted.truncate(body);
    ReferenceDistribution {
        probabilities: wanted,
        values,
        tail: Some(tail),
        ..moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::ChaCha8Rng;
    use rand_distr::{ChiSquared, Distribution as _, StudentT};

    /// The distribution of values as they are.
    fn of(mut values: Vec<f64>) -> ReferenceDistribution {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean).powi(2));
        let moments = ReferenceDistribution {
            rows: n,
            mean,
            variance: squares.sum::<f64>() / n,
            ..ReferenceDistribution::default()
        };
        values.sort_by(f64::total_cmp);
        fit(moments, |wanted| {
            let at = wanted.iter().map(|p| ((1.0 - p) * n) as usize);
            at.map(|at| values[at.min(values.len() - 1)]).collect()
        })
    }

    /// Share of 10⁶ fresh values beyond the limits at 1% and 0.1%, mean of 20 distributions of `rows` values.
    fn flagged(rows: usize, draw: impl Fn(&mut ChaCha8Rng) -> f64) -> [f64; 2] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let fresh: Vec<f64> = (0..1_000_000).map(|_| draw(&mut random)).collect();
        let mut shares = [0.0; 2];
        for _ in 0..20 {
            let law = of((0..rows).map(|_| draw(&mut random)).collect());
            for (share, probability) in shares.iter_mut().zip([0.01, 0.001]) {
                let limit = law.limit(probability);
                let beyond = fresh.iter().filter(|v| **v > limit).count();
                *share += beyond as f64 / 1e6 / 20.0;
            }
        }
        shares
    }

    #[test]
    fn limits_are_exceeded_as_often_as_they_say() {
        let gaussian = ChiSquared::new(25.0).unwrap();
        let student = StudentT::new(5.0).unwrap();
        // A rest that decays by 0.7 a direction; a sum of squares of t(5).
        let one = ChiSquared::new(1.0).unwrap();
        let decaying = |random: &mut ChaCha8Rng| -> f64 {
            (0..25).map(|i| 0.7_f64.powi(i) * one.sample(random)).sum()
        };
        let heavy = |random: &mut ChaCha8Rng| -> f64 {
            (0..25).map(|_| f64::powi(student.sample(random), 2)).sum()
        };
        for (name, [one_percent, per_mille]) in [
            ("Gaussian", flagged(6_000, |random| gaussian.sample(random))),
            ("decaying", flagged(6_000, decaying)),
            ("t(5)", flagged(6_000, heavy)),
        ] {
            // 60 and 6 rows beyond, twenty times: standard errors of 3% and 9%; two of them inside what is promised.
            assert!(
                (0.0086..0.0118).contains(&one_percent),
                "{name}: {one_percent}"
            );
            assert!(
                (0.00075..0.00135).contains(&per_mille),
                "{name}: {per_mille}"
            );
        }
    }

    #[test]
    fn gaussian_rows_are_extrapolated_by_boxs_law() {
        let draw = ChiSquared::new(25.0).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let laws: Vec<_> = (0..16)
            .map(|_| of((0..40_000).map(|_| draw.sample(&mut random)).collect()))
            .collect();
        // χ²₂₅ exceeds 76.757 once in 10⁶ (scipy.stats.chi2.isf(1e-6, 25)). Of a thousand excesses, ln p that far out
        // has a standard deviation of 1.8 (equation 12 of Hosking and Wallis), the mean of sixteen one of 0.45.
        let mean = laws.iter().map(|law| law.ln_p_value(76.757)).sum::<f64>() / 16.0;
        assert!((mean - 1e-6_f64.ln()).abs() < 3.0 * 0.45, "{mean}");
        let law = &laws[0];
        // Nothing is impossible, and farther is less probable.
        assert!(law.ln_p_value(1e4) < law.ln_p_value(1e3));
        assert_eq!(law.ln_p_value(0.0).to_bits(), 0.0_f64.to_bits());
        assert!(law.p_value(f64::INFINITY) < f64::MIN_POSITIVE);
    }

    #[test]
    fn few_rows_and_equal_values_leave_moments() {
        assert_eq!(of(vec![1.0; 5_000]).tail, None);
        let few: Vec<f64> = (0..500).map(|i| f64::from(i % 7)).collect();
        assert_eq!(of(few).method(), crate::learner::Method::Box);
    }
}
