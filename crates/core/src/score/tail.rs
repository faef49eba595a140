//! Upper tail of the χ² distribution, for many values at once, to some 1e-13 of its own size.
//!
//! In: degrees of freedom, then values. Out: P(χ² ≥ value), down to the smallest normal number. The
//! textbook way, 1 − P, has no digits left below 1e-16, where outliers are; a continued fraction
//! takes a microsecond per row, as long as the products. The tail is a finite sum instead:
//!
//! Q(a, x) = x^(a−1)·e^(−x)/Γ(a) · [1 + (a−1)/x + (a−1)(a−2)/x² + …] (+ erfc(√x) for odd degrees)
//!
//! with a = degrees/2, x = value/2; all terms are positive. The factor before it is e^(−deviance) so
//! that no large numbers cancel.
//! Source: Abramowitz and Stegun 1964, 26.4.4 and 26.4.5; Loader 2000 for the factor.

use std::f64::consts::PI;

/// Values that are summed in parallel: one or two vectors of the machine.
const LANES: usize = 8;
/// A lower tail of e^(−this) is negligible next to one.
const SURE: f64 = 40.0;
/// Terms between two checks whether more are needed.
const STRIDE: usize = 16;

/// χ² distribution with given degrees of freedom.
#[derive(Clone, Debug)]
pub(super) struct ChiSquared {
    /// Half the degrees of freedom, a.
    half: f64,
    /// Terms of the sum, ⌊a⌋.
    terms: usize,
    is_odd: bool,
    /// ln Γ(a+1) − its Stirling approximation.
    stirling: f64,
}

impl ChiSquared {
    /// The distribution of the squared length of `degrees` unit Gaussians, at least one.
    pub fn new(degrees: usize) -> Self {
        let degrees = degrees.max(1);
        let half = degrees as f64 / 2.0;
        let stirling = if half < 15.0 {
            let leading = half * half.ln() - half + 0.5 * (2.0 * PI * half).ln();
            // Γ(a+1) = a·(a−1)·…, down to Γ(1) = 1 or Γ(½) = √π.
            let last = if degrees % 2 == 1 { PI.sqrt() } else { 1.0 };
            let factors = (0..degrees.div_ceil(2)).map(|i| half - f64::from(i as u8));
            let gamma = factors.filter(|factor| *factor > 0.0).product::<f64>() * last;
            gamma.ln() - leading
        } else {
            let (inverse, square) = (1.0 / half, 1.0 / (half * half));
            inverse
                * (1.0 / 12.0
                    - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0))))
        };
        Self {
            half,
            terms: degrees / 2,
            is_odd: degrees % 2 == 1,
            stirling,
        }
    }

    /// P(χ² ≥ value) for every value; NaN for NaN.
    pub fn upper(&self, values: &[f64]) -> Vec<f64> {
        let mut tails = Vec::with_capacity(values.len());
        for block in values.chunks(LANES) {
            let mut lanes = [f64::NAN; LANES];
            lanes[..block.len()].copy_from_slice(block);
            let lanes = self.block(&lanes.map(|value| 0.5 * value));
            tails.extend_from_slice(&lanes[..block.len()]);
        }
        tails
    }

    fn block(&self, x: &[f64; LANES]) -> [f64; LANES] {
        let a = self.half;
        let deviance = x.map(|x| deviance(a, x));
        // A lane that needs no sum counts none: its first term is nothing.
        let is_summed =
            |l: usize| x[l] > 0.0 && x[l].is_finite() && !self.is_sure(x[l], deviance[l]);
        let mut term: [f64; LANES] = std::array::from_fn(|l| f64::from(u8::from(is_summed(l))));
        let inverse: [f64; LANES] =
            std::array::from_fn(|l| if is_summed(l) { 1.0 / x[l] } else { 0.0 });
        let mut sum = [0.0; LANES];
        let mut done = 0;
        while done < self.terms {
            for i in done..self.terms.min(done + STRIDE) {
                let left = a - 1.0 - i as f64;
                for l in 0..LANES {
                    sum[l] += term[l];
                    term[l] *= left * inverse[l];
                }
            }
            done += STRIDE;
            // Terms fall once they have begun to, so that the rest is below the last digit.
            let left = a - done as f64;
            let is_over = |l: usize| {
                term[l] <= 1e-18 * sum[l] && left * inverse[l] < 0.5 || term[l] <= 1e-22 * sum[l]
            };
            if (0..LANES).all(is_over) {
                break;
            }
        }
        std::array::from_fn(|l| {
            if x[l].is_nan() {
                return f64::NAN;
            }
            if x[l] <= 0.0 || self.is_sure(x[l], deviance[l]) {
                return 1.0;
            }
            if x[l].is_infinite() {
                return 0.0;
            }
            let density = (-deviance[l] - self.stirling).exp() / (2.0 * PI * a).sqrt();
            let rest = if self.is_odd { half_tail(x[l]) } else { 0.0 };
            (density * (a / x[l]) * sum[l] + rest).min(1.0)
        })
    }

    /// True if the lower tail is negligible: the value is far below the mean.
    fn is_sure(&self, x: f64, deviance: f64) -> bool {
        x < self.half && deviance > SURE
    }
}

/// erfc(√x), for x ≥ 0: statrs' version is accurate only to 4e-11.
///
/// Source: Abramowitz and Stegun 1964, 6.5.29 for small x, 6.5.31 beyond.
fn half_tail(x: f64) -> f64 {
    if x < 1.0 {
        // P(½, x) = 2·√(x/π)·e^(−x)·Σ (2x)ⁱ/(1·3·5·…·(2i+1))
        let (mut term, mut sum, mut odd) = (1.0, 0.0, 1.0);
        while term > 1e-18 * sum {
            sum += term;
            odd += 2.0;
            term *= 2.0 * x / odd;
        }
        return 1.0 - 2.0 * (x / PI).sqrt() * (-x).exp() * sum;
    }
    // The fraction from its end: the rest falls as e^(−4√(n·x)).
    let terms = (90.0 / x) as u32 + 10;
    let step = |n: f64| (n * (n - 0.5), x + 2.0 * n + 0.5);
    let below = (1..=terms).rev().fold(0.0, |below, n| {
        let (above, here) = step(f64::from(n));
        above / (here - below)
    });
    (x / PI).sqrt() * (-x).exp() / (x + 0.5 - below)
}

/// a·(t − 1 − ln t) with t = x/a, exact near t = 1 too.
fn deviance(a: f64, x: f64) -> f64 {
    let difference = x - a;
    if difference.abs() >= 0.1 * (x + a) {
        return difference - a * (x / a).ln();
    }
    // With v = (x−a)/(x+a), ln t = 2·artanh v, and the series of the difference has no cancellation.
    let v = difference / (x + a);
    let mut power = 2.0 * a * v;
    let mut sum = difference * v;
    for odd in (3..40).step_by(2) {
        power *= v * v;
        let term = -power / f64::from(odd);
        sum += term;
        if term.abs() <= 1e-17 * sum.abs() {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::ChiSquared;

    /// Made by `benches/peers/make_scores.py`: mpmath's incomplete gamma function in 40 digits.
    #[test]
    fn tails_are_right_to_twelve_digits_as_far_as_numbers_go() {
        for (degrees, value, tail) in [
            (1, 3.0, 0.083_264_516_663_550_4),
            (1, 1200.0, 6.099_568_814_808_433e-263),
            (2, 6.0, 0.049_787_068_367_863_944),
            (3, 0.03, 0.998_630_394_818_808_7),
            (12, 36.0, 0.000_323_993_451_101_169_6),
            (12, 1000.0, 1.874_061_346_464_702_7e-206),
            (29, 43.5, 0.040_906_005_012_933_19),
            (31, 500.0, 4.983_227_280_433_512e-86),
            (100, 50.0, 0.999_993_046_694_752_4),
            (100, 300.0, 7.412_100_857_322_876e-22),
            (784, 700.0, 0.985_563_220_815_058_5),
            (784, 1176.0, 3.197_565_478_298_171e-18),
            (784, 2352.0, 3.523_503_633_837_743e-156),
            (784, 3000.0, 1.299_393_964_848_846e-255),
            (785, 2355.0, 2.243_702_340_212_79e-156),
            (20_000, 20_000.0, 0.498_670_191_660_044_8),
            (20_000, 21_000.0, 4.275_872_455_059_647e-7),
            (20_000, 26_000.0, 4.712_347_177_485_643e-166),
            (400_001, 402_000.0, 0.012_808_143_370_881_944),
        ] {
            let found = ChiSquared::new(degrees).upper(&[value])[0];
            assert!(
                (found / tail - 1.0).abs() < 1e-12,
                "{degrees} {value}: {found} {tail}"
            );
        }
    }

    #[test]
    fn tails_have_ends() {
        for degrees in [1, 2, 5, 784] {
            let found = ChiSquared::new(degrees).upper(&[0.0, f64::INFINITY, f64::NAN, 1e300]);
            assert_eq!(
                (found[0].to_bits(), found[1].to_bits()),
                (1.0_f64.to_bits(), 0)
            );
            assert!(found[2].is_nan() && found[3] < 1e-300);
        }
        // Lanes do not see each other.
        let values: Vec<f64> = (0..100).map(|i| f64::from(i) * 17.0).collect();
        let law = ChiSquared::new(784);
        let together = law.upper(&values);
        for (value, tail) in values.iter().zip(together) {
            let alone = law.upper(&[*value])[0];
            assert!((alone - tail).abs() <= 1e-14 * alone);
        }
    }
}
