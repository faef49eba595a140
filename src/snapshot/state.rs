//! Snapshot → learner state, as far as a snapshot contains it.

use faer::Mat;

use crate::learner::{FourthMoments, Summary};
use crate::snapshot::Snapshot;

/// The state with the k components of a snapshot: everything outside them is its tail.
///
/// Fourth moments are recovered from the error bars: E z⁴/λ² = 1 + n·(stderr/λ)²; those between
/// components, which a snapshot does not hold, count as Gaussian.
pub fn summary_of(snapshot: &Snapshot) -> Summary {
    let estimate = &snapshot.estimate;
    let m = estimate.features;
    let positive = estimate.eigenvalues.iter().take_while(|v| **v > 0.0);
    // Those that rounding hides have a variance and no direction.
    let told = estimate.unresolved.map_or(usize::MAX, |found| found.held);
    let h = positive.count().min(told);
    let active = (0..m)
        .filter(|j| {
            !estimate.constant[*j] || (!snapshot.provenance.center && estimate.mean[*j] != 0.0)
        })
        .count();
    let eigenvalues = estimate.eigenvalues[..h].to_vec();
    let outside = (estimate.total_variance - eigenvalues.iter().sum::<f64>()).max(0.0);
    let noise = match estimate.unresolved {
        // The total has no digits left of it.
        Some(found) => found.variance,
        None if active > h => outside / (active - h) as f64,
        None => 0.0,
    };
    let sample = estimate.effective_rows * estimate.effective_rows
        / snapshot.provenance.squared_weight.max(f64::MIN_POSITIVE);
    let fourth = |i: usize| {
        let relative = estimate.eigenvalue_stderr[i] / eigenvalues[i];
        if relative.is_finite() {
            1.0 + sample * relative * relative
        } else {
            3.0
        }
    };
    Summary {
        rows: estimate.rows,
        weight: estimate.effective_rows,
        squared_weight: snapshot.provenance.squared_weight,
        mean: estimate.mean.clone(),
        variance: estimate.variance.clone(),
        observed: estimate.observed.clone(),
        scale: estimate.scale.clone(),
        constant: estimate.constant.clone(),
        is_centered: snapshot.provenance.center,
        is_scaled: snapshot.provenance.standard_scale,
        vectors: Mat::from_fn(h, m, |i, j| estimate.vector(i)[j]),
        noise: noise.min(eigenvalues.last().copied().unwrap_or(0.0)),
        max_rank: estimate.components(),
        total: estimate.total_variance,
        active,
        typical_variance: estimate
            .unresolved
            .map(|found| found.variance * active as f64),
        fourth_moments: FourthMoments::from_relative(
            h,
            |i, j| if i == j { fourth(i) } else { 1.0 },
        ),
        eigenvalues,
        is_widened: estimate.is_widened,
    }
}
