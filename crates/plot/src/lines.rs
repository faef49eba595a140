//! Lines: broken at missing numbers, thinned to what is visible, cut at the border.
//!
//! plotters draws everything it is given, even outside the axes, and a gap as a point at their end.

use crate::plane::Place;

/// Points of a line from which it is thinned.
const MANY: usize = 2000;

/// The borders that something is cut at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub left: f64,
    pub right: f64,
    pub low: f64,
    pub high: f64,
}

/// The place between the axes.
pub(crate) const INSIDE: Bounds = Bounds {
    left: 0.0,
    right: 1.0,
    low: 0.0,
    high: 1.0,
};

impl Bounds {
    /// Returns true if a point is inside or on the border.
    pub fn hold(self, at: Place) -> bool {
        (self.left..=self.right).contains(&at.0) && (self.low..=self.high).contains(&at.1)
    }
}

/// The parts of a line between the points without a place.
pub(crate) fn runs(points: impl IntoIterator<Item = Option<Place>>) -> Vec<Vec<Place>> {
    let mut runs = vec![Vec::new()];
    for point in points {
        match (point, runs.last_mut()) {
            (Some(point), Some(run)) => run.push(point),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Of the points that follow each other in one of `columns` the first, the lowest, the highest and the last:
/// the same picture with a few points a column.
pub(crate) fn thin(run: Vec<Place>, columns: f64) -> Vec<Place> {
    // Thinning is invisible, but short runs are left alone so that the data in an SVG stay exact.
    if run.len() < MANY {
        return run;
    }
    let column = |point: &Place| (columns * point.0).floor();
    let mut kept = Vec::new();
    for group in run.chunk_by(|a, b| column(a).total_cmp(&column(b)).is_eq()) {
        let by = |a: &usize, b: &usize| group[*a].1.total_cmp(&group[*b].1);
        let last = group.len() - 1;
        let low = (0..=last).min_by(by).unwrap_or(0);
        let high = (0..=last).max_by(by).unwrap_or(0);
        // First and last join the line to its neighbours; the extremes are what a column of pixels
        // shows.
        let mut few = [0, low, high, last];
        few.sort_unstable();
        kept.extend(few.map(|i| group[i]));
        kept.dedup();
    }
    kept
}

/// The parts of a line that are inside of the frame, each cut exactly at its border.
pub(crate) fn clip(run: &[Place], frame: Bounds) -> Vec<Vec<Place>> {
    let mut parts: Vec<Vec<Place>> = Vec::new();
    let mut is_open = false;
    for two in run.windows(2) {
        let Some((a, b)) = inside(two[0], two[1], frame) else {
            is_open = false;
            continue;
        };
        match parts.last_mut() {
            Some(part) if is_open => part.push(b),
            _ => parts.push(vec![a, b]),
        }
        is_open = b == two[1];
    }
    parts
}

/// The part of a straight line that is inside of the frame (Liang and Barsky).
fn inside(a: Place, b: Place, frame: Bounds) -> Option<(Place, Place)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let borders = [
        (-dx, a.0 - frame.left),
        (dx, frame.right - a.0),
        (-dy, a.1 - frame.low),
        (dy, frame.high - a.1),
    ];
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (step, room) in borders {
        if step < 0.0 {
            from = from.max(room / step);
        } else if step > 0.0 {
            to = to.min(room / step);
        } else if room < 0.0 {
            return None;
        }
    }
    let at = |share: f64| (a.0 + share * dx, a.1 + share * dy);
    // The ends themselves where they are inside: no rounding.
    let start = if from > 0.0 { at(from) } else { a };
    let end = if to < 1.0 { at(to) } else { b };
    (from <= to).then_some((start, end))
}

/// The distance of a point from a border, positive inside.
type Depth = fn(Place, f64) -> f64;

/// The part of a surface that is inside of the frame (Sutherland and Hodgman).
pub(crate) fn crop(corners: Vec<Place>, frame: Bounds) -> Vec<Place> {
    let depths: [(Depth, f64); 4] = [
        (|at, border| at.0 - border, frame.left),
        (|at, border| border - at.0, frame.right),
        (|at, border| at.1 - border, frame.low),
        (|at, border| border - at.1, frame.high),
    ];
    let mut corners = corners;
    for (depth, border) in depths {
        let depth = |at: Place| depth(at, border);
        let mut kept = Vec::with_capacity(corners.len() + 4);
        for (i, here) in corners.iter().enumerate() {
            let before = corners[(i + corners.len() - 1) % corners.len()];
            let (was, is) = (depth(before), depth(*here));
            if (was < 0.0) != (is < 0.0) {
                let share = was / (was - is);
                kept.push((
                    before.0 + share * (here.0 - before.0),
                    before.1 + share * (here.1 - before.1),
                ));
            }
            if is >= 0.0 {
                kept.push(*here);
            }
        }
        corners = kept;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::{Bounds, clip, crop, runs, thin};

    const FRAME: Bounds = Bounds {
        left: 0.0,
        right: 100.0,
        low: 0.0,
        high: 50.0,
    };

    #[test]
    fn a_line_is_cut_at_the_border() {
        // In from the left, up and out, back in.
        let line = [(-50.0, 25.0), (50.0, 25.0), (50.0, -25.0), (60.0, 25.0)];
        let parts = clip(&line, FRAME);
        assert_eq!(
            parts,
            [
                vec![(0.0, 25.0), (50.0, 25.0), (50.0, 0.0)],
                vec![(55.0, 0.0), (60.0, 25.0)]
            ]
        );
        // Both ends outside: across, and past a corner.
        assert_eq!(
            clip(&[(-10.0, 10.0), (110.0, 10.0)], FRAME),
            [vec![(0.0, 10.0), (100.0, 10.0)]]
        );
        assert!(clip(&[(-10.0, 5.0), (5.0, -20.0)], FRAME).is_empty());
        assert!(clip(&[(1.0, 1.0)], FRAME).is_empty());
    }

    #[test]
    fn a_gap_breaks_a_line() {
        let runs = runs([
            Some((0.0, 0.0)),
            None,
            None,
            Some((1.0, 1.0)),
            Some((2.0, 2.0)),
        ]);
        assert_eq!(runs, [vec![(0.0, 0.0)], vec![(1.0, 1.0), (2.0, 2.0)]]);
    }

    #[test]
    fn a_thinned_line_keeps_its_extremes() {
        let point = |i: i32| (f64::from(i) / 1000.0, f64::from((i * 7919) % 1000));
        let thick: Vec<_> = (0..100_000).map(point).collect();
        let thin = thin(thick.clone(), 2.0);
        assert!(thin.len() <= 4 * 200 && thin.len() > 200, "{}", thin.len());
        assert_eq!((thin[0], thin[thin.len() - 1]), (thick[0], thick[99_999]));
        let extremes = |line: &[(f64, f64)]| {
            line.iter()
                .fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)))
        };
        assert_eq!(extremes(&thin), extremes(&thick));
    }

    #[test]
    fn a_surface_is_cut_at_the_border() {
        let inside = crop(
            vec![(-10.0, 10.0), (50.0, 10.0), (50.0, 90.0), (-10.0, 90.0)],
            FRAME,
        );
        let (l, r) = inside
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, r), p| (l.min(p.0), r.max(p.0)));
        let bottom = inside.iter().fold(f64::MIN, |most, p| most.max(p.1));
        assert_eq!((l, r, bottom), (0.0, 50.0, 50.0));
        assert!(crop(vec![(-9.0, 0.0), (-5.0, 9.0), (-5.0, 0.0)], FRAME).is_empty());
    }
}
