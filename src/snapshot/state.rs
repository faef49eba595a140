//! Snapshot → learner state, as far as a snapshot contains it.

use faer::Mat;

use crate::learner::{LongRun, Penalty, Summary};
use crate::snapshot::Snapshot;

/// The state with the k components of a snapshot: everything outside them is its tail.
///
/// Variances of the products of scores are recovered from the error bars: for an eigenvalue, n·(stderr/λ)²; for a
/// direction with all others, which a snapshot does not hold one by one, those of Gaussian rows times the factor that
/// yields its angle.
pub fn summary_of(snapshot: &Snapshot) -> Summary {
    let estimate = &snapshot.estimate;
    let m = estimate.features;
    let positive = estimate.eigenvalues.iter().take_while(|v| **v > 0.0);
    // Those that rounding hides have a variance and no direction.
    let h = positive.count().min(estimate.determined);
    let active = (0..m)
        .filter(|j| {
            !estimate.constant[*j] || (!snapshot.provenance.center && estimate.mean[*j] != 0.0)
        })
        .count();
    let eigenvalues = estimate.eigenvalues[..h].to_vec();
    let outside = estimate.total_variance - eigenvalues.iter().sum::<f64>();
    // Where the rows vary in no other direction, rounding is left.
    let is_there = outside > m as f64 * f64::EPSILON * estimate.total_variance;
    let outside = if is_there { outside } else { 0.0 };
    let noise = match estimate.unresolved {
        // The total has no digits left of it.
        Some(found) => found.variance,
        None if active > h => outside / (active - h) as f64,
        None => 0.0,
    };
    let sample = estimate.effective_rows * estimate.effective_rows
        / snapshot.provenance.squared_weight.max(f64::MIN_POSITIVE);
    let square = |i: usize| {
        let relative = estimate.eigenvalue_stderr[i] / eigenvalues[i];
        if relative.is_finite() {
            sample * relative * relative
        } else {
            2.0
        }
    };
    let mut summary = Summary {
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
        long_run: LongRun::from_diagonal((0..h).map(square).collect()),
        eigenvalues,
        is_widened: estimate.is_widened,
        limits: estimate.limits.clone(),
    };
    let gaussian = summary.estimate(h, Penalty::Auto).angle_stderr_rad;
    let told = estimate.angle_stderr_rad.iter();
    let factors = told.zip(&gaussian).map(|(told, gaussian)| {
        // A right angle is as far as a direction can be off: it tells no variance.
        let is_told = *told < std::f64::consts::FRAC_PI_2 && *gaussian > 0.0;
        if is_told {
            (told / gaussian).powi(2)
        } else {
            1.0
        }
    });
    let factors: Vec<f64> = factors.collect();
    summary.long_run.scale_directions(&factors);
    for (i, one) in estimate.certainty.iter().take(h).enumerate() {
        if let Some(independent) = one.independent_rows {
            summary.long_run.alone[i] *= (independent / sample).min(1.0);
        }
    }
    let heavy = estimate.certainty.iter().map(|one| one.is_heavy_tailed);
    summary.long_run.heavy = heavy.take(h).collect();
    summary
}
