//! Values → shares of an axis, and the round numbers that it is labelled with.
//!
//! plotters has axes of both kinds; this module adds ranges that always form an axis, one
//! coordinate for both kinds, and labels of equal length.

use plotters::coord::ranged1d::{BoldPoints, Ranged as _};
use plotters::coord::types::RangedCoordf64;

/// Values beyond this have no place: differences of two of them must be finite.
const FARTHEST: f64 = 1e300;

/// Shares beyond which positions are not distinguished: they are far outside any picture.
const FAR: f64 = 1e5;

/// An axis from `low` to `high`, linear or logarithmic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Axis {
    /// Between two values of any sign, or of positive ones where it is logarithmic. Values that
    /// make no axis (equal, reversed, no numbers) get one nearby.
    pub fn between(range: (f64, f64), is_logarithmic: bool) -> Self {
        let (low, high) = if is_logarithmic {
            positive(range)
        } else {
            apart(range)
        };
        Self {
            low,
            high,
            is_logarithmic,
        }
    }

    pub fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    /// The values at its ends.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The share of the way from low to high, possibly outside; `None` for values that are not
    /// numbers or have no logarithm.
    pub fn place(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.is_logarithmic && value <= 0.0) {
            return None;
        }
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        (!share.is_nan()).then(|| share.clamp(-FAR, FAR))
    }

    /// Round numbers along it, about `most` at most.
    pub fn ticks_up_to(&self, most: u8) -> Vec<f64> {
        if self.is_logarithmic {
            self.powers(most)
        } else {
            self.steps(most)
        }
    }

    /// The key points of plotters, which distinguishes numbers that differ by more than 2e-16: the
    /// range is passed in units of its own size.
    fn steps(&self, most: u8) -> Vec<f64> {
        let unit = 10_f64.powf((self.high - self.low).log10().floor());
        let unit = unit.max(f64::MIN_POSITIVE);
        // A border that is a tick but for its last bit has one.
        let slack = 1e-9;
        let low = self.low / unit - if self.low == 0.0 { 0.0 } else { slack };
        let high = self.high / unit + slack;
        // In units of the range: plotters finds no ticks for very small or very large numbers.
        let ticks = RangedCoordf64::from(low..high).key_points(BoldPoints(usize::from(most) + 1));
        // Zero but for its last bits, or minus zero, is labelled as zero.
        let exact = |tick: f64| if tick.abs() < slack { 0.0 } else { unit * tick };
        ticks.into_iter().map(exact).collect()
    }

    /// Powers of ten, and what is twice and five times one where there are few. plotters' own would be
    /// labelled so densely that the labels touch.
    fn powers(&self, most: u8) -> Vec<f64> {
        let first = self.low.log10().ceil() as i32;
        let last = self.high.log10().floor() as i32;
        // A label may not touch the next, however far the eigenvalues reach.
        let stride = usize::try_from((last - first) / i32::from(most.max(1)) + 1).unwrap_or(1);
        let mut ticks: Vec<f64> = (first..=last)
            .step_by(stride)
            .map(|power| 10_f64.powi(power))
            .collect();
        if last - first < 3 {
            let between = (first - 1..=last).flat_map(|power| [2, 5].map(|f| (f, power)));
            ticks.extend(
                between
                    .map(|(factor, power)| f64::from(factor) * 10_f64.powi(power))
                    .filter(|tick| *tick >= self.low && *tick <= self.high),
            );
            ticks.sort_by(f64::total_cmp);
        }
        ticks
    }

    /// The labels of ticks: powers of ten as such where there are many of them, else
    /// all with the same number of decimals.
    pub fn labels(&self, ticks: &[f64]) -> Vec<String> {
        if self.is_logarithmic {
            let is_wide = self.high / self.low >= 1e3;
            return ticks
                .iter()
                .map(|tick| if is_wide { power(*tick) } else { signed(*tick) })
                .collect();
        }
        let step = ticks.windows(2).map(|two| two[1] - two[0]).next();
        let largest = ticks
            .iter()
            .fold(0.0, |most: f64, tick| most.max(tick.abs()));
        let step = step.unwrap_or(largest);
        if largest >= 1e5 || step.is_nan() || step <= 1e-4 {
            return ticks.iter().map(|tick| scientific(*tick)).collect();
        }
        let decimals = (0..6)
            .find(|d| {
                let scaled = step * 10_f64.powi(*d);
                (scaled - scaled.round()).abs() < 1e-6 * scaled
            })
            .and_then(|d| usize::try_from(d).ok())
            .unwrap_or(6);
        ticks
            .iter()
            .map(|tick| format!("{tick:.decimals$}").replace('-', "−"))
            .collect()
    }
}

/// Two finite numbers that are apart, around or at those given.
fn apart((low, high): (f64, f64)) -> (f64, f64) {
    let fit = |v: f64, or: f64| {
        if v.is_nan() {
            or
        } else {
            v.clamp(-FARTHEST, FARTHEST)
        }
    };
    let (low, high) = (fit(low, 0.0), fit(high, 1.0));
    let (low, high) = (low.min(high), low.max(high));
    // As many digits as a label can tell apart.
    let least = 1e-9 * low.abs().max(high.abs());
    if high - low > least {
        (low, high)
    } else {
        let middle = f64::midpoint(low, high);
        let reach = if middle == 0.0 {
            1.0
        } else {
            0.1 * middle.abs()
        };
        (middle - reach, middle + reach)
    }
}

/// Two positive numbers that are apart, around or at those given.
fn positive((low, high): (f64, f64)) -> (f64, f64) {
    // The ratio of two of them must be finite.
    let fit = |v: f64| (v.is_finite() && v > 0.0).then(|| v.clamp(1e-150, 1e150));
    let (low, high) = match (fit(low), fit(high)) {
        (Some(low), Some(high)) => (low.min(high), low.max(high)),
        (Some(low), None) => (low, 10.0 * low),
        (None, Some(high)) => (1e-3 * high, high),
        (None, None) => (0.1, 10.0),
    };
    if high / low > 1.001 {
        (low, high)
    } else {
        (low / 2.0, high * 2.0)
    }
}

/// A power of ten as such, 2·10⁻³ between them.
fn power(value: f64) -> String {
    let exponent = value.log10().round() as i32;
    let exact = 10_f64.powi(exponent);
    if (value / exact - 1.0).abs() > 1e-6 {
        let below = value.log10().floor() as i32;
        let factor = (value / 10_f64.powi(below)).round();
        return format!("{factor}·{}", power(10_f64.powi(below)));
    }
    let digits = exponent.to_string().chars().map(raised).collect::<String>();
    format!("10{digits}")
}

fn raised(character: char) -> char {
    match character {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => character
            .to_digit(10)
            .and_then(|digit| char::from_u32(0x2070 + digit))
            .unwrap_or(character),
        other => other,
    }
}

/// 8e4 beside 1e5: all labels of an axis in one notation.
fn scientific(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // As many digits as there are, up to four.
    let text = format!("{value:.3e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}e{exponent}").replace('-', "−")
}

/// The same as [`label`], with the sign that is as wide as a digit.
pub(crate) fn signed(value: f64) -> String {
    label(value).replace('-', "−")
}

/// A tick's number, short: 0.25, 40, 1.5e6.
pub(crate) fn label(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e5).contains(&magnitude) {
        // Steps of 0.1 are not quite tenths in binary.
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        let text = format!("{value:.1e}");
        text.replace(".0e", "e")
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, label};

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::between((0.0, 1.4e6), false);
        assert_eq!(
            axis.ticks_up_to(8)
                .into_iter()
                .map(label)
                .collect::<Vec<_>>(),
            ["0", "2e5", "4e5", "6e5", "8e5", "1e6", "1.2e6", "1.4e6"]
        );
        let axis = Axis::between((0.6, 1440.0), true);
        assert!(axis.is_logarithmic());
        assert!(
            axis.ticks_up_to(8)
                .iter()
                .all(|tick| *tick > 0.6 && *tick < 1441.0)
        );
    }

    #[test]
    fn what_is_no_number_has_no_place() {
        for range in [(0.0, f64::NAN), (0.0, 0.0), (0.0, 5.0)] {
            let axis = Axis::between(range, false);
            assert_eq!(axis.place(f64::NAN), None);
            assert!(axis.place(0.0).is_some());
            assert!(axis.ticks_up_to(8).len() > 1, "{range:?}");
        }
    }

    #[test]
    fn tiny_and_distant_ranges_have_ticks_too() {
        let axis = Axis::between((0.0, 4e-21), false);
        let ticks = axis.ticks_up_to(8);
        assert_eq!(axis.labels(&ticks)[..3], ["0", "5e−22", "1e−21"]);
        assert_eq!(words((-0.5, 0.5), false)[2], "0.0");
        let axis = Axis::between((1e9, 1e9 + 10.0), false);
        let ticks = axis.ticks_up_to(6);
        assert!(ticks.len() > 4, "{ticks:?}");
        assert!(
            ticks.iter().all(|tick| tick.fract().abs() < 1e-6),
            "{ticks:?}"
        );
    }

    fn words(range: (f64, f64), is_logarithmic: bool) -> Vec<String> {
        let axis = Axis::between(range, is_logarithmic);
        axis.labels(&axis.ticks_up_to(6))
    }

    #[test]
    fn any_sign_has_round_labels_of_one_length() {
        assert_eq!(
            words((-1.0, 1.0), false),
            ["−1.0", "−0.5", "0.0", "0.5", "1.0"]
        );
        assert_eq!(
            words((-0.31, -0.11), false),
            ["−0.30", "−0.25", "−0.20", "−0.15"]
        );
        assert_eq!(
            words((0.0, 50.0), false),
            ["0", "10", "20", "30", "40", "50"]
        );
        assert_eq!(
            words((-3e6, 1e6), false),
            ["−3e6", "−2e6", "−1e6", "0", "1e6"]
        );
        assert_eq!(words((0.1, 0.3), false)[0], "0.10");
        assert_eq!(words((0.0, 1e5), false)[4..], ["8e4", "1e5"]);
    }

    #[test]
    fn powers_of_ten_are_written_as_such() {
        assert_eq!(
            words((1e-3, 10.0), true),
            ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]
        );
        assert_eq!(words((1.0, 10.0), true), ["1", "2", "5", "10"]);
        assert!(words((1e-300, 1e300), true).len() <= 8);
    }

    #[test]
    fn no_axis_is_empty() {
        let odd = [
            f64::NAN,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            0.0,
            1e-310,
            -5.0,
            5.0,
        ];
        for low in odd {
            for high in odd {
                for is_logarithmic in [false, true] {
                    let axis = Axis::between((low, high), is_logarithmic);
                    let (from, to) = axis.range();
                    assert!(from < to && (to - from).is_finite(), "{low} {high}");
                    assert!(axis.ticks_up_to(8).len() < 30);
                    let middle = if is_logarithmic {
                        (from * to).sqrt()
                    } else {
                        f64::midpoint(from, to)
                    };
                    assert!(
                        (axis.place(middle).unwrap_or(0.5) - 0.5).abs() < 0.01,
                        "{low} {high}"
                    );
                }
            }
        }
        assert_eq!(Axis::between((1.0, 2.0), true).place(0.0), None);
    }
}
