//! Numbers → colours: dark for much, and blue and vermilion for what has a sign.

use plotters::style::RGBColor;
use plotters::style::colors::colormaps::{ColorMap as _, DerivedColorMap};

use crate::canvas::{BLUE, VERMILION, WHITE};

/// The colour of a cell that has no number.
pub(crate) const NOTHING: RGBColor = RGBColor(214, 205, 190);

/// A way from numbers to colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ramp {
    /// From white to black.
    Grey,
    /// White to dark blue.
    Blue,
    /// Vermilion below zero, white, blue above.
    Diverging,
}

/// Numbers between two ends as colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shades {
    ramp: Ramp,
    low: f64,
    high: f64,
}

impl Shades {
    /// From the least of `values` to the largest; to both sides of zero alike where they diverge.
    pub fn of<'a>(ramp: Ramp, values: impl IntoIterator<Item = &'a f64>) -> Self {
        let (low, high) = values
            .into_iter()
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(*v), high.max(*v))
            });
        // The values include no finite number at all.
        if low > high {
            return Self::between(ramp, 0.0, 1.0);
        }
        let reach = low.abs().max(high.abs());
        match ramp {
            Ramp::Diverging => Self::between(ramp, -reach, reach),
            Ramp::Grey | Ramp::Blue => Self::between(ramp, low, high),
        }
    }

    pub fn between(ramp: Ramp, low: f64, high: f64) -> Self {
        Self { ramp, low, high }
    }

    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The colour of a value; beyond the ends that of the end.
    pub fn color(&self, value: f64) -> RGBColor {
        if !value.is_finite() {
            return NOTHING;
        }
        // Halves, so that a range of all numbers has a width.
        let width = self.high / 2.0 - self.low / 2.0;
        let share = if width > 0.0 {
            ((value / 2.0 - self.low / 2.0) / width).clamp(0.0, 1.0)
        } else {
            0.5
        };
        // Few enough colours that neighbours share one, and an SVG stays small.
        let share = (share * 64.0).round() / 64.0;
        let stops: &[RGBColor] = match self.ramp {
            Ramp::Grey => &[WHITE, RGBColor(0, 0, 0)],
            Ramp::Blue => &[
                RGBColor(247, 251, 255),
                RGBColor(190, 222, 242),
                RGBColor(86, 160, 210),
                RGBColor(0, 96, 160),
                RGBColor(6, 36, 84),
            ],
            Ramp::Diverging => &[
                RGBColor(140, 45, 0),
                VERMILION,
                RGBColor(247, 190, 150),
                WHITE,
                RGBColor(158, 205, 232),
                BLUE,
                RGBColor(0, 50, 100),
            ],
        };
        DerivedColorMap::new(stops).get_color(share)
    }
}

/// Returns true if white text is the one that can be read on this colour.
pub(crate) fn is_dark(color: RGBColor) -> bool {
    // Luminance as the eye has it, in thousandths.
    let weighed = 299 * u32::from(color.0) + 587 * u32::from(color.1) + 114 * u32::from(color.2);
    weighed < 140 * 1000
}

#[cfg(test)]
mod tests {
    use super::{NOTHING, Ramp, Shades, is_dark};
    use plotters::style::RGBColor;

    #[test]
    fn zero_is_white_where_signs_matter() {
        let shades = Shades::of(Ramp::Diverging, &[-1.0, 3.0, f64::NAN]);
        assert_eq!(shades.range(), (-3.0, 3.0));
        assert_eq!(shades.color(0.0), RGBColor(255, 255, 255));
        assert!(shades.color(-3.0).0 > 100 && shades.color(3.0).2 >= 100);
        assert_eq!(shades.color(f64::NAN), NOTHING);
    }

    #[test]
    fn more_is_darker() {
        let shades = Shades::of(Ramp::Grey, &[2.0, 4.0]);
        assert_eq!(shades.color(2.0), RGBColor(255, 255, 255));
        assert_eq!(shades.color(9.0), RGBColor(0, 0, 0));
        assert!(is_dark(Shades::of(Ramp::Blue, &[0.0, 1.0]).color(1.0)));
        for values in [&[][..], &[5.0], &[f64::MIN, f64::MAX]] {
            let _ = Shades::of(Ramp::Blue, values).color(5.0);
        }
    }
}
