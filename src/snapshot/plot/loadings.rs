//! The strongest loadings of a component, as bars to either side of zero.

use super::scree::short;
use crate::learner::Estimate;
use crate::plot::{Bar, Bars};
use crate::rows::Features;

/// Panels per row.
pub(super) const ACROSS: usize = 3;

/// Components that get a panel.
const PANELS_MAX: usize = 6;

/// Bars of a panel.
const BARS_MAX: usize = 8;

/// Characters of a feature's name that fit beside its bar.
const NAME_MAX: usize = 17;

/// The number of panels of an estimate.
pub(super) fn panels(estimate: &Estimate) -> usize {
    estimate.components().min(PANELS_MAX)
}

/// The loadings (component × √eigenvalue) of component `i` that are largest in magnitude.
pub(super) fn component(estimate: &Estimate, features: &Features, i: usize) -> Bars {
    let vector = estimate.vector(i);
    let root = estimate.eigenvalues[i].max(0.0).sqrt();
    let mut order: Vec<usize> = (0..vector.len()).collect();
    order.sort_by(|a, b| vector[*b].abs().total_cmp(&vector[*a].abs()));
    order.truncate(BARS_MAX);
    let bar = |j: usize| Bar {
        name: cut(features.names().get(j).map_or("", String::as_str)),
        value: vector[j],
        number: short(vector[j] * root),
    };
    Bars {
        title: format!(
            "component {}: loadings ({:.1}% of the variance)",
            i + 1,
            100.0 * estimate.explained_variance_ratio(i)
        ),
        bars: order.into_iter().map(bar).collect(),
    }
}

/// Shortens a name to its beginning and end, which distinguish `plant.line3.t1` from
/// `plant.line3.t2`.
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
