//! Lines in pixels: broken where there is no number, thinned to what is seen, cut at the border.

use super::canvas::{Frame, Point};

/// Points of a line from which it is thinned.
const MANY: usize = 2000;

/// Columns of a pixel that a thinned line tells apart.
const COLUMNS: f64 = 2.0;

/// What lies between the points without a place.
pub(super) fn runs(points: impl IntoIterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
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

/// Of the points that follow each other in one column of pixels the first, the lowest, the highest
/// and the last: the same picture with a few points a column.
pub(super) fn thin(run: Vec<Point>) -> Vec<Point> {
    if run.len() < MANY {
        return run;
    }
    let column = |point: &Point| (COLUMNS * point.0).floor();
    let mut kept = Vec::new();
    for group in run.chunk_by(|a, b| column(a).total_cmp(&column(b)).is_eq()) {
        let by = |a: &usize, b: &usize| group[*a].1.total_cmp(&group[*b].1);
        let last = group.len() - 1;
        let low = (0..=last).min_by(by).unwrap_or(0);
        let high = (0..=last).max_by(by).unwrap_or(0);
        let mut few = [0, low, high, last];
        few.sort_unstable();
        kept.extend(few.map(|i| group[i]));
        kept.dedup();
    }
    kept
}

/// The parts of a line that are inside of the frame, each cut exactly at its border.
pub(super) fn clip(run: &[Point], frame: Frame) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
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
fn inside(a: Point, b: Point, frame: Frame) -> Option<(Point, Point)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let borders = [
        (-dx, a.0 - f64::from(frame.left)),
        (dx, f64::from(frame.right) - a.0),
        (-dy, a.1 - f64::from(frame.top)),
        (dy, f64::from(frame.bottom) - a.1),
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

/// Whether a point is inside of the frame.
pub(super) fn holds(frame: Frame, at: Point) -> bool {
    (f64::from(frame.left)..=f64::from(frame.right)).contains(&at.0)
        && (f64::from(frame.top)..=f64::from(frame.bottom)).contains(&at.1)
}

/// How far inside of a border a point is.
type Depth = fn(Point, f64) -> f64;

/// The part of a surface that is inside of the frame (Sutherland and Hodgman).
pub(super) fn crop(corners: Vec<Point>, frame: Frame) -> Vec<Point> {
    let depths: [(Depth, i32); 4] = [
        (|at, border| at.0 - border, frame.left),
        (|at, border| border - at.0, frame.right),
        (|at, border| at.1 - border, frame.top),
        (|at, border| border - at.1, frame.bottom),
    ];
    let mut corners = corners;
    for (depth, border) in depths {
        let depth = |at: Point| depth(at, f64::from(border));
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

/// A line's pieces of `on` pixels with gaps of `off` pixels, in whatever direction it runs.
pub(super) fn dashes(line: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = line.first().copied().into_iter().collect();
    let (mut is_on, mut left) = (true, on);
    for two in line.windows(2) {
        let (a, b) = (two[0], two[1]);
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let at = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
            if is_on {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            is_on = !is_on;
            left = if is_on { on } else { off };
        }
        left -= length - done;
        if is_on {
            piece.push(b);
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::{clip, crop, dashes, runs, thin};
    use crate::canvas::Frame;

    const FRAME: Frame = Frame {
        left: 0,
        top: 0,
        right: 100,
        bottom: 50,
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
        let thin = thin(thick.clone());
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

    #[test]
    fn dashes_go_around_corners() {
        let pieces = dashes(&[(0.0, 0.0), (10.0, 0.0), (10.0, 20.0)], 8.0, 4.0);
        assert_eq!(
            pieces,
            [
                vec![(0.0, 0.0), (8.0, 0.0)],
                vec![(10.0, 2.0), (10.0, 10.0)],
                vec![(10.0, 14.0), (10.0, 20.0)]
            ]
        );
    }
}
