//! A chart: series of points over two axes.

mod draw;
mod legend;
mod plot;
mod series;

pub(crate) use draw::chart as draw;

/// Series of points over two axes. Made by [`Chart::new`] and what follows it:
///
/// ```
/// # use ojad_plot::{Chart, Mark};
/// let chart = Chart::new("loss", "step", "‖X − W₂W₁X‖²")
///     .log_y()
///     .line("gradient", vec![(0.0, 10.0), (1.0, 1.0)])
///     .add("theory", Mark::Dashed, vec![(0.0, 9.0), (1.0, 0.9)]);
/// assert_eq!(chart.series.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The line above it.
    pub title: String,
    /// The axis from left to right.
    pub x: Scale,
    /// The axis from below to above.
    pub y: Scale,
    /// The series, the first at the bottom.
    pub series: Vec<Series>,
    /// The place of the series' names.
    pub legend: Legend,
    /// True if a unit has the same length on both axes, as ellipses need.
    pub is_square: bool,
}

/// An axis as it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale {
    /// The name of the quantity on it, with its unit.
    pub label: String,
    /// True if it is logarithmic; values that are not positive are left out then.
    pub is_logarithmic: bool,
    /// Its ends; `None` for a range that holds all points.
    pub range: Option<(f64, f64)>,
    /// Places and their names, instead of round numbers.
    pub ticks: Vec<(f64, String)>,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend; unnamed series are not listed.
    pub name: String,
    /// x and y. Points that are not numbers, or have no logarithm, are left out and break a line.
    pub points: Vec<(f64, f64)>,
    /// The way in which they are drawn.
    pub mark: Mark,
    /// The number of its colour in the palette, which every eye can tell apart; after the tenth comes the first.
    pub color: usize,
    /// Low and high at each point: a pale band around a line, whiskers at other marks.
    pub band: Option<Vec<(f64, f64)>>,
}

/// A way in which the points of a series are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line through them.
    #[default]
    Line,
    /// A dashed line in a darker shade: theory, prediction.
    Dashed,
    /// A disc at each point.
    Dots,
    /// A ring at each point.
    Rings,
    /// A slanted cross at each point.
    Cross,
    /// Bars from zero (from the bottom, on a logarithmic axis); several series stand side by side.
    Bars,
    /// A line with a disc at each.
    LineAndDots,
}

/// A place for the names of the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Legend {
    /// In the corner with the least in it.
    #[default]
    Best,
    /// Inside, above and left.
    TopLeft,
    /// Inside, above and right.
    TopRight,
    /// Inside, below and left.
    BottomLeft,
    /// Inside, below and right.
    BottomRight,
    /// To the right of the chart.
    Right,
    /// No legend at all.
    None,
}

impl Chart {
    /// A chart with nothing on it yet.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        let scale = |label| Scale {
            label,
            ..Scale::default()
        };
        Self {
            title: title.into(),
            x: scale(x_label.into()),
            y: scale(y_label.into()),
            ..Self::default()
        }
    }

    /// With a logarithmic axis from left to right.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.x.is_logarithmic = true;
        self
    }

    /// With a logarithmic axis from below to above.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.y.is_logarithmic = true;
        self
    }

    /// From `low` to `high` from left to right; what is outside is cut off.
    #[must_use]
    pub fn x_range(mut self, low: f64, high: f64) -> Self {
        self.x.range = Some((low, high));
        self
    }

    /// From `low` to `high` from below to above; what is outside is cut off.
    #[must_use]
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y.range = Some((low, high));
        self
    }

    /// With names at these places from left to right.
    #[must_use]
    pub fn x_ticks(mut self, ticks: Vec<(f64, String)>) -> Self {
        self.x.ticks = ticks;
        self
    }

    /// With names at these places from below to above.
    #[must_use]
    pub fn y_ticks(mut self, ticks: Vec<(f64, String)>) -> Self {
        self.y.ticks = ticks;
        self
    }

    /// With a unit of the same length on both axes.
    #[must_use]
    pub fn square(mut self) -> Self {
        self.is_square = true;
        self
    }

    /// With the names of the series there.
    #[must_use]
    pub fn legend(mut self, legend: Legend) -> Self {
        self.legend = legend;
        self
    }

    /// With one more series, in the next colour.
    #[must_use]
    pub fn add(self, name: impl Into<String>, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        let color = self.series.iter().map(|series| series.color + 1).max();
        self.with(Series {
            name: name.into(),
            points,
            mark,
            color: color.unwrap_or(0),
            band: None,
        })
    }

    /// With one more series.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// With one more line.
    #[must_use]
    pub fn line(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.add(name, Mark::Line, points)
    }

    /// With one more series of discs.
    #[must_use]
    pub fn dots(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.add(name, Mark::Dots, points)
    }

    /// With the theory of the last series: a dashed line in a darker shade of its colour.
    #[must_use]
    pub fn theory(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        let color = self.series.last().map_or(0, |series| series.color);
        self.with(Series {
            name: name.into(),
            points,
            mark: Mark::Dashed,
            color,
            band: None,
        })
    }

    /// With the last series' low and high at each of its points.
    #[must_use]
    pub fn band(mut self, band: Vec<(f64, f64)>) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.band = Some(band);
        }
        self
    }

    /// With the last series in the colour of this number.
    #[must_use]
    pub fn color(mut self, color: usize) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.color = color;
        }
        self
    }
}
