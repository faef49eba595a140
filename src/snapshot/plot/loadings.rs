//! What a component is made of: its strongest loadings, as bars to either side of zero.

use crate::plot::DrawingBackend;

use super::scree::short;
use crate::learner::Estimate;
use crate::plot::canvas::{Anchor, BLUE, Canvas, Frame, GREY, INK, VERMILION};
use crate::rows::Features;

/// Panels side by side.
pub(super) const ACROSS: usize = 3;

/// Components that get a panel.
const PANELS_MAX: usize = 6;

/// Bars of a panel.
const BARS_MAX: usize = 8;

/// Characters of a feature's name that fit beside its bar.
const NAME_MAX: usize = 17;

/// Pixels from a bar to the next.
const BAR_STEP: i32 = 20;

/// How many panels an estimate has.
pub(super) fn panels(estimate: &Estimate) -> usize {
    estimate.components().min(PANELS_MAX)
}

/// The loadings (component × √eigenvalue) of component `i` that are largest in magnitude.
pub(super) fn component<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: Frame,
    estimate: &Estimate,
    features: &Features,
    i: usize,
) -> Result<(), String> {
    let plot = frame.inside(150, 36, 78, 0);
    let heading = format!(
        "component {}: loadings ({:.1}% of the variance)",
        i + 1,
        100.0 * estimate.explained_variance_ratio(i)
    );
    canvas.text(
        &heading,
        (frame.left + 24, plot.top - 12),
        Anchor::Above,
        INK,
    )?;
    let vector = estimate.vector(i);
    let root = estimate.eigenvalues[i].max(0.0).sqrt();
    let mut order: Vec<usize> = (0..vector.len()).collect();
    order.sort_by(|a, b| vector[*b].abs().total_cmp(&vector[*a].abs()));
    order.truncate(BARS_MAX);
    let largest = order.first().map_or(0.0, |&j| vector[j].abs());
    let half = (plot.right - plot.left) / 2;
    let zero = plot.left + half;
    for (row, &j) in order.iter().enumerate() {
        let y = plot.top + BAR_STEP * i32::try_from(row).unwrap_or(0) + BAR_STEP / 2;
        let share = if largest > 0.0 {
            vector[j] / largest
        } else {
            0.0
        };
        let end = zero + (share * f64::from(half)) as i32;
        let color = if share < 0.0 { VERMILION } else { BLUE };
        canvas.bar((zero, y - 6), (end, y + 6), color)?;
        let name = features.names().get(j).map_or("", String::as_str);
        canvas.text(&cut(name), (plot.left - 8, y), Anchor::Right, INK)?;
        let value = short(vector[j] * root);
        canvas.text(&value, (plot.right + 8, y), Anchor::Left, GREY)?;
    }
    let bottom = plot.top + BAR_STEP * i32::try_from(order.len()).unwrap_or(0);
    canvas.line(vec![(zero, plot.top), (zero, bottom)], GREY, 1)
}

/// A name that fits: its beginning and its end, which tell `plant.line3.t1` from `plant.line3.t2`.
fn cut(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= NAME_MAX {
        return name.to_owned();
    }
    let (head, tail) = (NAME_MAX / 2, NAME_MAX - NAME_MAX / 2 - 1);
    let head: String = characters[..head].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, cut};

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(cut("t4"), "t4");
        let short = cut("plant.line3.section_seven.temperature_14");
        assert_eq!(short, "plant.li…rature_14".replace("rature", "ature"));
        assert_eq!(short.chars().count(), NAME_MAX);
    }
}
