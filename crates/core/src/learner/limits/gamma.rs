//! Upper tail of the gamma distribution on a logarithmic scale, for any shape.
//!
//! In: shape a > 0, value x ≥ 0 in units of the scale. Out: ln Q(a, x), relative accuracy 1e-12 of Q, also where Q is
//! too small for a float. A χ² variable of h degrees of freedom exceeds v with probability Q(h/2, v/2); h need not be
//! an integer.
//!
//! Source: Abramowitz and Stegun 1964, 6.5.29 (series) and 6.5.31 (continued fraction, by the method of Lentz 1976);
//! 6.1.41 for the remainder of Stirling's formula.

use std::f64::consts::PI;

/// Terms at most: enough for shapes of 10⁹, where √a of them count.
const TERMS_AT_MOST: usize = 1 << 18;

/// Shape from which five terms of Stirling's series are exact to rounding.
const LARGE: f64 = 15.0;

/// ln Q(a, x); 0 for x ≤ 0, NaN for NaN.
pub(super) fn ln_upper(a: f64, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 0.0;
    }
    if x.is_infinite() {
        return f64::NEG_INFINITY;
    }
    // ln(x^a·e^(−x)/Γ(a+1))
    let front = -deviance(a, x) - stirling(a) - 0.5 * (2.0 * PI * a).ln();
    if x < a + 1.0 {
        let lower = (front + series(a, x).ln()).exp();
        return (-lower.min(1.0)).ln_1p();
    }
    front + a.ln() + fraction(a, x).ln()
}

/// Σ xⁿ/((a+1)…(a+n)), n ≥ 0.
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..TERMS_AT_MOST {
        term *= x / (a + n as f64);
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
    }
    sum
}

/// Γ(a, x)·e^x·x^(−a).
fn fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / f64::MIN_POSITIVE;
    let mut d = 1.0 / b;
    let mut product = d;
    for n in 1..TERMS_AT_MOST {
        let n = n as f64;
        let factor = -n * (n - a);
        b += 2.0;
        d = 1.0 / away_from_zero(factor * d + b);
        c = away_from_zero(b + factor / c);
        let step = d * c;
        product *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    product
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < f64::MIN_POSITIVE {
        f64::MIN_POSITIVE
    } else {
        value
    }
}

/// ln Γ(a+1) − (a·ln a − a + ½·ln 2πa).
fn stirling(a: f64) -> f64 {
    if a >= LARGE {
        let (inverse, square) = (1.0 / a, 1.0 / (a * a));
        let last = 1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0);
        return inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * last));
    }
    // Γ(a+1) = Γ(b+1)/((a+1)…b), b = a plus a whole number.
    let (mut b, mut product) = (a, 1.0);
    while b < LARGE {
        b += 1.0;
        product *= b;
    }
    let whole = |a: f64| a * a.ln() - a + 0.5 * (2.0 * PI * a).ln();
    whole(b) + stirling(b) - product.ln() - whole(a)
}

/// a·(t − 1 − ln t) with t = x/a, exact near t = 1 too.
fn deviance(a: f64, x: f64) -> f64 {
    let difference = x - a;
    let v = difference / (x + a);
    if v.abs() >= 0.1 {
        return difference - a * (x / a).ln();
    }
    // With v = (x−a)/(x+a), ln t = 2·artanh v, and the series of the difference has no cancellation.
    let (mut power, mut sum) = (2.0 * a * v, difference * v);
    for odd in (3..40).step_by(2) {
        power *= v * v;
        sum -= power / f64::from(odd);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::ln_upper;

    /// Made by mpmath: `mpmath.log(mpmath.gammainc(a, x, regularized=True))`, 40 digits.
    #[test]
    fn tails_are_those_of_the_incomplete_gamma_function() {
        let expected: &[(f64, f64, f64)] = &[
            (0.05, 0.001, -1.298_940_216_075_992_6),
            (0.05, 30.0, -36.230_257_153_363_31),
            (0.5, 0.3, -0.824_217_544_387_922_2),
            (0.73, 5.0, -5.705_281_623_504_037),
            (1.6, 1.6, -0.928_814_358_568_620_4),
            (2.25, 40.0, -35.482_814_767_495_71),
            (7.3, 2.0, -0.003_003_090_542_049_397),
            (12.4, 13.6, -1.091_798_837_453_065_4),
            (12.4, 400.0, -350.154_710_778_136_06),
            (14.99, 15.0, -0.766_539_942_785_600_1),
            (389.3, 389.3, -0.706_718_636_410_966_2),
            (389.3, 450.0, -6.432_928_851_265_108),
            (389.3, 2000.0, -978.912_398_133_974_4),
            (12_345.6, 12_000.0, -0.000_854_056_375_457_865_3),
            (12_345.6, 12_500.0, -2.492_007_171_173_728_6),
            (250_000.0, 252_000.0, -10.318_099_917_337_342),
            (30.2, 100_000.0, -99_735.756_887_351_54),
        ];
        for &(a, x, expected) in expected {
            let found = ln_upper(a, x);
            let scale = f64::max(1.0, expected.abs());
            assert!(
                (found - expected).abs() < 2e-12 * scale,
                "{a} {x}: {found} {expected}"
            );
        }
        assert_eq!(ln_upper(2.5, 0.0).to_bits(), 0.0_f64.to_bits());
        assert!(ln_upper(2.5, f64::NAN).is_nan());
        assert!(ln_upper(2.5, f64::INFINITY) < -1e308);
    }
}
