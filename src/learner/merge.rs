//! Two states of disjoint rows become the state of all of them.
//!
//! Mean, variance and trace add exactly (Chan, Golub, LeVeque 1983). The directions are the best
//! rank-r part of both shrunk histories, weighted by their rows, and the row that accounts for the
//! distance of the means; each side's σ² is subtracted before and its weighted sum added back, as
//! in an update. What truncation loses is at most the eigenvalue cut, so the order of merging
//! changes an eigenvalue by no more than the sum of what was cut.

use faer::Mat;

use crate::learner::quartics::Quartics;
use crate::learner::summary::Summary;

/// Why two states do not merge.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// They have seen other features.
    #[error("one state has {left} features, the other {right}; only states of the same features merge")]
    Features {
        /// m of the first.
        left: usize,
        /// m of the second.
        right: usize,
    },
    /// They see features in other ways.
    #[error(
        "`learner.{key}` differs between the states; \
         fit both with the same setting and merge again"
    )]
    Setting {
        /// The config key.
        key: &'static str,
    },
    /// A value is no finite number.
    #[error("a state holds a value that is no finite number; fit it again")]
    NotFinite,
}

/// The state of the rows of both.
///
/// # Errors
/// If the states have other features or settings, or hold a NaN.
pub fn merge(a: &Summary, b: &Summary) -> Result<Summary, MergeError> {
    let m = a.features();
    if m != b.features() {
        return Err(MergeError::Features { left: m, right: b.features() });
    }
    if a.is_centered != b.is_centered {
        return Err(MergeError::Setting { key: "center" });
    }
    if a.is_scaled != b.is_scaled {
        return Err(MergeError::Setting { key: "scale" });
    }
    let weight = a.weight + b.weight;
    if weight <= 0.0 {
        return Ok(a.clone());
    }
    let (wa, wb) = (a.weight / weight, b.weight / weight);
    let between = (wa * wb).sqrt();
    let moved: Vec<f64> = b.mean.iter().zip(&a.mean).map(|(b, a)| b - a).collect();
    let mean: Vec<f64> = a.mean.iter().zip(&moved).map(|(a, d)| a + wb * d).collect();
    let variance: Vec<f64> = (0..m)
        .map(|j| wa * a.variance[j] + wb * b.variance[j] + wa * wb * moved[j] * moved[j])
        .collect();
    let constant: Vec<bool> =
        (0..m).map(|j| a.constant[j] && b.constant[j] && variance[j] <= 1e-26 * mean[j] * mean[j]).collect();
    let scale: Vec<f64> = (0..m)
        .map(|j| if a.is_scaled && !constant[j] { variance[j].sqrt() } else { 1.0 })
        .collect();
    let second = |j: usize| {
        let square = if a.is_centered { 0.0 } else { mean[j] * mean[j] };
        (variance[j] + square) / (scale[j] * scale[j])
    };
    let limit = a.limit.max(b.limit);
    let noise = wa * a.noise + wb * b.noise;
    let shift = a.is_centered.then_some(moved.as_slice());
    let (vectors, eigenvalues) =
        combine(&[(a, wa), (b, wb)], &scale, shift.map(|d| (d, between)), limit, noise)?;
    Ok(Summary {
        rows: a.rows + b.rows,
        weight,
        squared_weight: a.squared_weight + b.squared_weight,
        total: (0..m).filter(|j| !constant[*j] || !a.is_centered).map(second).sum(),
        active: (0..m)
            .filter(|j| !constant[*j] || (!a.is_centered && mean[*j] != 0.0))
            .count(),
        mean,
        variance,
        scale,
        constant,
        is_centered: a.is_centered,
        is_scaled: a.is_scaled,
        vectors,
        eigenvalues,
        noise,
        limit,
        quartics: average(&a.quartics, &b.quartics, wa, wb),
    })
}

/// Best rank-`limit` part of the weighted histories and the row between the means.
fn combine(
    sides: &[(&Summary, f64)],
    scale: &[f64],
    between: Option<(&[f64], f64)>,
    limit: usize,
    noise: f64,
) -> Result<(Mat<f64>, Vec<f64>), MergeError> {
    let m = scale.len();
    let held: usize = sides.iter().map(|(side, _)| side.eigenvalues.len()).sum();
    let mut rows = Mat::<f64>::zeros(held + 1, m);
    let mut at = 0;
    for (side, share) in sides {
        for (i, value) in side.eigenvalues.iter().enumerate() {
            let root = (share * (value - side.noise).max(0.0)).sqrt();
            for j in 0..m {
                rows[(at, j)] = root * side.vectors[(i, j)] * side.scale[j] / scale[j];
            }
            at += 1;
        }
    }
    if let Some((moved, factor)) = between {
        for j in 0..m {
            rows[(at, j)] = factor * moved[j] / scale[j];
        }
    }
    let svd = rows.transpose().thin_svd().map_err(|_| MergeError::NotFinite)?;
    let s = svd.S().column_vector();
    let top = s.iter().copied().fold(0.0, f64::max);
    let found = s.iter().take(limit).take_while(|v| **v > 1e-14 * top && **v > 0.0).count();
    let eigenvalues = s.iter().take(found).map(|v| v * v + noise).collect();
    Ok((svd.U().subcols(0, found).transpose().to_owned(), eigenvalues))
}

/// Weighted averages of what both have; components of the same rank stand for each other.
fn average(a: &Quartics, b: &Quartics, wa: f64, wb: f64) -> Quartics {
    let h = a.square.len().min(b.square.len());
    if h == 0 {
        return if a.square.is_empty() { b.clone() } else { a.clone() };
    }
    let mut out = a.clone();
    out.square = (0..h).map(|i| wa * a.square[i] + wb * b.square[i]).collect();
    out.with_outside = (0..h).map(|i| wa * a.with_outside[i] + wb * b.with_outside[i]).collect();
    out.outside = wa * a.outside + wb * b.outside;
    out.quartic = Mat::from_fn(h, h, |i, j| wa * a.quartic[(i, j)] + wb * b.quartic[(i, j)]);
    out
}
