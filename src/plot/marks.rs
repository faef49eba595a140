//! Lines in pixels: what of them is within a frame, dashes, and what can be seen of very many points.

use super::Frame;

/// Pixels of a dash and of the gap behind it.
const DASH: f64 = 7.0;
const GAP: f64 = 5.0;

/// Points that fall on one column of pixels, as its first, lowest, highest and last: all that a line
/// shows of them.
pub(super) fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in
        points.chunk_by(|a, b| (a.0 * 2.0).round().total_cmp(&(b.0 * 2.0).round()).is_eq())
    {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let lowest = (0..column.len()).min_by(by_height).unwrap_or(0);
        let highest = (0..column.len()).max_by(by_height).unwrap_or(0);
        let mut places = [0, lowest, highest, column.len() - 1];
        places.sort_unstable();
        kept.extend(places.map(|place| column[place]));
    }
    kept
}

/// The parts of a line that are within the frame (Liang and Barsky 1984, segment by segment).
pub(super) fn clip(points: &[(f64, f64)], frame: Frame) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = segment(pair[0], pair[1], frame) else {
            continue;
        };
        match pieces.last_mut() {
            Some(piece) if piece.last().is_some_and(|last| is_same(*last, from)) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

fn is_same(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9
}

fn segment(a: (f64, f64), b: (f64, f64), frame: Frame) -> Option<((f64, f64), (f64, f64))> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    let edges = [
        (-dx, a.0 - f64::from(frame.left)),
        (dx, f64::from(frame.right) - a.0),
        (-dy, a.1 - f64::from(frame.top)),
        (dy, f64::from(frame.bottom) - a.1),
    ];
    for (speed, room) in edges {
        if speed.abs() < f64::MIN_POSITIVE {
            if room < 0.0 {
                return None;
            }
        } else if speed < 0.0 {
            from = from.max(room / speed);
        } else {
            to = to.min(room / speed);
        }
    }
    let at = |share: f64| (a.0 + share * dx, a.1 + share * dy);
    (from <= to).then(|| (at(from), at(to)))
}

/// The dashes of a line, each as a line.
pub(super) fn dashes(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let mut dashes: Vec<Vec<(f64, f64)>> = Vec::new();
    // What is left of the dash or gap that the pen is in.
    let (mut is_down, mut left) = (true, DASH);
    let mut current: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let at = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
            if is_down {
                current.push(at);
                dashes.push(std::mem::take(&mut current));
            } else {
                current = vec![at];
            }
            is_down = !is_down;
            left = if is_down { DASH } else { GAP };
        }
        left -= length - done;
        if is_down {
            current.push(b);
        }
    }
    if is_down && current.len() > 1 {
        dashes.push(current);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::{clip, dashes, thin};
    use crate::plot::Frame;

    #[test]
    fn a_line_ends_at_the_border_and_comes_back() {
        let frame = Frame::new(0, 0, 10, 10);
        let pieces = clip(
            &[
                (-5.0, 5.0),
                (5.0, 5.0),
                (5.0, 20.0),
                (8.0, 20.0),
                (8.0, 5.0),
            ],
            frame,
        );
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0], [(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)]);
        assert_eq!(pieces[1], [(8.0, 10.0), (8.0, 5.0)]);
        assert!(clip(&[(20.0, 0.0), (20.0, 9.0)], frame).is_empty());
    }

    #[test]
    fn dashes_and_gaps_fill_the_line() {
        let parts = dashes(&[(0.0, 0.0), (20.0, 0.0), (40.0, 0.0)]);
        assert_eq!(parts[0], [(0.0, 0.0), (7.0, 0.0)]);
        assert_eq!(parts[1], [(12.0, 0.0), (19.0, 0.0)]);
        assert_eq!(parts.len(), 4);
        assert!(dashes(&[]).is_empty());
    }

    #[test]
    fn many_points_keep_their_extremes() {
        let points: Vec<(f64, f64)> = (0..10_000)
            .map(|i| (f64::from(i) / 1_000.0, if i == 5_003 { 99.0 } else { 1.0 }))
            .collect();
        let kept = thin(&points);
        assert!(kept.len() < 100);
        assert!(kept.iter().any(|point| point.1 > 98.0));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[9_999]));
    }
}
