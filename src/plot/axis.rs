//! Values → pixels, and the round numbers that an axis is labelled with.

/// Orders of magnitude from which an axis is logarithmic.
const LOGARITHMIC_FROM: f64 = 100.0;

/// An axis from `low` at pixel `from` to `high` at pixel `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
    is_logarithmic: bool,
}

impl Axis {
    /// From zero to a little above `high`; to 1 where that is no positive number.
    pub fn linear(high: f64, from: i32, to: i32) -> Self {
        let high = if high.is_finite() && high > 0.0 {
            high
        } else {
            1.0
        };
        Self {
            low: 0.0,
            high,
            from,
            to,
            is_logarithmic: false,
        }
    }

    /// Logarithmic where `values` are positive and span two orders of magnitude, else linear from
    /// zero; with room above and below.
    pub fn of(values: &[f64], from: i32, to: i32) -> Self {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let high = finite.clone().fold(0.0, f64::max);
        let low = finite.fold(f64::INFINITY, f64::min);
        if low > 0.0 && low.is_finite() && high / low >= LOGARITHMIC_FROM {
            Self {
                low: low / 1.6,
                high: high * 1.6,
                from,
                to,
                is_logarithmic: true,
            }
        } else {
            Self::linear(high * 1.08, from, to)
        }
    }

    /// From `low` to `high`, whatever their signs; a logarithmic axis needs both positive.
    pub fn between(low: f64, high: f64, from: i32, to: i32, is_logarithmic: bool) -> Self {
        Self {
            low,
            high,
            from,
            to,
            is_logarithmic,
        }
    }

    /// The place of a value, beyond the axis too; nothing for what has none.
    pub fn place(&self, value: f64) -> Option<f64> {
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let place = f64::from(self.from) + share * f64::from(self.to - self.from);
        place.is_finite().then_some(place)
    }

    pub fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    /// The pixel of a value, kept within the axis; nothing for what is no number, or has no
    /// logarithm.
    pub fn at(&self, value: f64) -> Option<i32> {
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let span = f64::from(self.to - self.from);
        let pixel = (share.clamp(0.0, 1.0) * span).round();
        (!pixel.is_nan()).then(|| self.from + pixel as i32)
    }

    /// Round numbers along it, four to nine.
    pub fn ticks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            self.powers()
        } else {
            self.steps()
        }
    }

    fn steps(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 8.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * magnitude)
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil();
        (0..=10_u8)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|tick| *tick <= self.high)
            .collect()
    }

    fn powers(&self) -> Vec<f64> {
        let first = self.low.log10().ceil() as i32;
        let last = self.high.log10().floor() as i32;
        // At most eight labels, however far the eigenvalues reach.
        let stride = usize::try_from((last - first) / 8 + 1).unwrap_or(1);
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
        let axis = Axis::linear(1.4e6, 100, 0);
        assert_eq!(
            axis.ticks().into_iter().map(label).collect::<Vec<_>>(),
            ["0", "2e5", "4e5", "6e5", "8e5", "1e6", "1.2e6", "1.4e6"]
        );
        let axis = Axis::of(&[1.0, 900.0], 100, 0);
        assert!(axis.is_logarithmic());
        assert!(
            axis.ticks()
                .iter()
                .all(|tick| *tick > 0.6 && *tick < 1441.0)
        );
    }

    #[test]
    fn what_is_no_number_has_no_place() {
        for values in [&[][..], &[f64::NAN], &[0.0, 0.0], &[0.0, 5.0]] {
            let axis = Axis::of(values, 100, 0);
            assert!(!axis.is_logarithmic());
            assert_eq!(axis.at(f64::NAN), None);
            assert_eq!(axis.at(0.0), Some(100));
            assert!(axis.ticks().len() > 1, "{values:?}");
        }
    }
}
