//! Quantiles of the normal, Student's t and χ² distributions.

/// Upper tail Q(u) of the standard normal law, for u ≥ 1.
///
/// Source: Abramowitz and Stegun 1964, equation 26.2.14 (a continued fraction).
fn normal_tail(u: f64) -> f64 {
    let density = (-0.5 * u * u).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // Evaluated from the innermost term outwards; 300 terms are plenty for u ≥ 1.
    let fraction = (1..=300).rev().fold(u, |below, n| u + f64::from(n) / below);
    density / fraction
}

/// The u with Q(u) = `tail`, at least 1.
pub(super) fn normal_quantile(tail: f64) -> f64 {
    // Beyond 37 the tail is no normal number any more.
    let (mut low, mut high) = (1.0, 37.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The value that a variable of Student's law with `freedom` degrees of freedom exceeds as often as a
/// standard normal one exceeds `u`: at 97.5%, to 1% from 3 degrees of freedom on.
///
/// Source: Abramowitz and Stegun 1964, equation 26.7.5.
pub(super) fn student(u: f64, freedom: f64) -> f64 {
    let v = freedom;
    let g1 = (u.powi(3) + u) / 4.0;
    let g2 = (5.0 * u.powi(5) + 16.0 * u.powi(3) + 3.0 * u) / 96.0;
    let g3 = (3.0 * u.powi(7) + 19.0 * u.powi(5) + 17.0 * u.powi(3) - 15.0 * u) / 384.0;
    let g4 = (79.0 * u.powi(9) + 776.0 * u.powi(7) + 1482.0 * u.powi(5)
        - 1920.0 * u.powi(3)
        - 945.0 * u)
        / 92_160.0;
    u + g1 / v + g2 / v.powi(2) + g3 / v.powi(3) + g4 / v.powi(4)
}

/// The value that a variable of the χ² law with `freedom` degrees of freedom exceeds as often as a
/// standard normal one exceeds `u`: at 99.5%, to 1%.
///
/// Source: Wilson and Hilferty 1931.
pub(super) fn chi_square(u: f64, freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + u * spread.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::{chi_square, normal_quantile, student};

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // scipy.stats: norm.isf and t.isf.
        for (tail, quantile) in [
            (0.05, 1.644_853_626_951_472_7),
            (1e-3, 3.090_232_306_167_813),
            (1e-6, 4.753_424_308_822_898),
            (1e-12, 7.034_483_825_301_131),
        ] {
            assert!((normal_quantile(tail) - quantile).abs() < 1e-7, "{tail}");
        }
        for (tail, freedom, quantile) in [
            (1e-3, 63.0, 3.224_708_738_545_393),
            (1e-6, 63.0, 5.237_200_198_870_491),
            (1e-6, 400.0, 4.824_434_071_463_169),
            (1e-8, 100.0, 6.101_573_472_029_795),
        ] {
            let found = student(normal_quantile(tail), freedom);
            assert!(
                (found / quantile - 1.0).abs() < 2e-3,
                "{tail} {freedom} {found}"
            );
        }
        // scipy.stats: t.ppf(0.975, df), chi2.ppf(0.995, df).
        for (freedom, quantile) in [(3.0, 3.182_446), (10.0, 2.228_139), (60.0, 2.000_298)] {
            let found = student(1.959_964, freedom);
            assert!((found / quantile - 1.0).abs() < 0.01, "{freedom} {found}");
        }
        for (freedom, quantile) in [(2.0, 10.596_635), (5.0, 16.749_602), (35.0, 60.274_771)] {
            let found = chi_square(2.575_829, freedom);
            assert!((found / quantile - 1.0).abs() < 0.01, "{freedom} {found}");
        }
    }
}
