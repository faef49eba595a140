//! How far chance alone moves a measured number: what a table's verdicts allow.
//!
//! In: a right value or range, the number of data sets, and a small probability. Out: bounds that a right program
//! crosses with at most that probability.

/// Terms of ln n! that are added up.
fn ln_factorial(n: u64) -> f64 {
    (2..=n).map(|i| (i as f64).ln()).sum()
}

/// The probability that a binomial count of `n` is at most `count`.
fn binomial_at_most(count: u64, n: u64, p: f64) -> f64 {
    if p >= 1.0 {
        return f64::from(u8::from(count >= n));
    }
    if p <= 0.0 {
        return 1.0;
    }
    let all = ln_factorial(n);
    let term = |k: u64| {
        let choose = all - ln_factorial(k) - ln_factorial(n - k);
        (choose + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp()
    };
    (0..=count.min(n)).map(term).sum::<f64>().min(1.0)
}

/// The least count of `n` that is not too small for probability `p`: below it lies at most `tail`.
pub(super) fn least(n: u64, p: f64, tail: f64) -> u64 {
    (0..n)
        .find(|count| binomial_at_most(*count, n, p) > tail)
        .unwrap_or(n)
}

/// The largest count of `n` that is not too large for probability `p`.
pub(super) fn most(n: u64, p: f64, tail: f64) -> u64 {
    n - least(n, 1.0 - p, tail)
}

/// Bounds of a measured share of `n` whose right value lies in `right`.
pub(super) fn share(n: u64, right: [f64; 2], tail: f64) -> [f64; 2] {
    let of = n.max(1) as f64;
    [
        least(n, right[0], tail) as f64 / of,
        most(n, right[1], tail) as f64 / of,
    ]
}

/// The largest count that is not too large for a Poisson law of this mean.
pub(super) fn most_events(mean: f64, tail: f64) -> u64 {
    let mut term = (-mean).exp();
    let mut at_most = term;
    let mut count = 0;
    while 1.0 - at_most > tail && count < 1_000_000 {
        count += 1;
        term *= mean / count as f64;
        at_most += term;
    }
    count
}

/// Intervals of Simpson's rule.
const INTERVALS: u32 = 4_000;

/// The value that Student's t with `freedom` degrees of freedom exceeds with probability `tail`.
///
/// With t = √ν·tan θ the density is proportional to cos^(ν−1) θ.
pub(super) fn student(tail: f64, freedom: f64) -> f64 {
    let integral = |from: f64| {
        let to = std::f64::consts::FRAC_PI_2;
        let step = (to - from) / f64::from(INTERVALS);
        let at = |i: u32| {
            let theta = from + f64::from(i) * step;
            theta.cos().max(0.0).powf(freedom - 1.0)
        };
        let inner = (1..INTERVALS).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 });
        step / 3.0 * (at(0) + inner.sum::<f64>() + at(INTERVALS))
    };
    let whole = 2.0 * integral(0.0);
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if integral(middle) / whole > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    freedom.sqrt() * (0.5 * (low + high)).tan()
}

/// Mean and standard error of numbers that were drawn independently of each other.
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    // One value says nothing of its error.
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Bounds of a mean of `n` whose standard error was measured to be `error`, and whose right value lies in `right`.
pub(super) fn of_mean(n: usize, error: f64, right: [f64; 2], tail: f64) -> [f64; 2] {
    if n < 2 {
        return [f64::NEG_INFINITY, f64::INFINITY];
    }
    let far = error * student(tail, n as f64 - 1.0);
    [right[0] - far, right[1] + far]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_scipy() {
        // scipy.stats: binom.cdf(85, 100, 0.92).
        assert!((binomial_at_most(85, 100, 0.92) - 0.013_297_180_314).abs() < 1e-9);
        // binom.ppf(1e-4, 200, 0.92), 200 - binom.ppf(1e-4, 200, 1 - 0.98).
        assert_eq!(least(200, 0.92, 1e-4), 168);
        assert_eq!(most(200, 0.98, 1e-4), 200);
        assert_eq!(most(11, 0.5, 1e-3), 10);
        // poisson.isf(1e-3, 2), poisson.isf(1e-3, 0.1).
        assert_eq!([most_events(2.0, 1e-3), most_events(0.1, 1e-3)], [8, 2]);
        // t.isf.
        for (tail, freedom, right) in [
            (0.025, 1.0, 12.706_204_736),
            (1e-4, 5.0, 9.677_566_3),
            (1e-5, 39.0, 4.851_314),
            (0.05, 400.0, 1.648_672),
        ] {
            let found = student(tail, freedom);
            assert!(
                (found / right - 1.0).abs() < 1e-3,
                "{tail} {freedom} {found}"
            );
        }
    }

    #[test]
    fn a_mean_of_one_number_is_not_judged() {
        let (_, error) = mean(&[0.3]);
        assert_eq!(
            of_mean(1, error, [0.1, 0.2], 0.01)[1].to_bits(),
            f64::INFINITY.to_bits()
        );
    }
}
