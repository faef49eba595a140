//! Whether the components have reached the chosen accuracy, and how many more rows that takes.

use serde::Serialize;

use crate::snapshot::Snapshot;

/// How far the components are from a chosen error.
///
/// Standard errors of directions fall with the root of the effective sample size S = (Σw)²/Σw² of
/// the row weights w (Anderson 1963, theorem 2: variance ∝ 1/n): an error of `angle` now falls to
/// `target` at S·(angle/target)².
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Convergence {
    /// Chosen standard error of a direction, radians.
    pub target_angle_rad: f64,
    /// Largest standard error of an active component's direction, radians; `None` while unknown.
    pub angle_stderr_rad: Option<f64>,
    /// The component with that error, counted from 1.
    pub component: Option<usize>,
    /// True if it is at most the target.
    pub is_converged: bool,
    /// Further rows needed if the feed stays the same; `None` if forgetting keeps the target out of
    /// reach, or if unknown.
    pub rows_more: Option<u64>,
}

impl Convergence {
    /// For the active components of `snapshot`, learned with weights that decay by
    /// `factor_per_row`.
    pub fn of(snapshot: &Snapshot, factor_per_row: f64, target_angle_rad: f64) -> Self {
        let estimate = &snapshot.estimate;
        let active = (0..estimate.components()).filter(|i| estimate.active[*i]);
        let worst = active.map(|i| (i, estimate.angle_stderr_rad[i]));
        // One that is not known yet is the worst of all.
        let worst = worst.reduce(|worst, next| {
            if next.1.is_nan() || next.1 > worst.1 {
                next
            } else {
                worst
            }
        });
        let known = worst.filter(|(_, angle)| angle.is_finite());
        let sample = estimate.effective_rows * estimate.effective_rows
            / snapshot.provenance.squared_weight.max(f64::MIN_POSITIVE);
        let is_converged = known.is_some_and(|(_, angle)| angle <= target_angle_rad);
        let rows_more = known.and_then(|(_, angle)| {
            let ratio = angle / target_angle_rad;
            rows_until(sample, sample * ratio * ratio, factor_per_row)
        });
        Self {
            target_angle_rad,
            angle_stderr_rad: known.map(|(_, angle)| angle),
            component: worst.map(|(i, _)| i + 1),
            is_converged,
            rows_more: if is_converged { Some(0) } else { rows_more },
        }
    }
}

/// Rows until a sample of `now` effective rows has grown to `wanted`; `None` if it never does.
///
/// t rows of weights γ^0 … γ^(t−1) are S(t) = (1 − γᵗ)(1 + γ)/((1 + γᵗ)(1 − γ)) effective ones, at most
/// L = (1 + γ)/(1 − γ); solved for t: γᵗ = (1 − S/L)/(1 + S/L).
fn rows_until(now: f64, wanted: f64, factor_per_row: f64) -> Option<u64> {
    if wanted <= now {
        return Some(0);
    }
    if factor_per_row >= 1.0 {
        return Some((wanted - now).ceil() as u64);
    }
    let most = (1.0 + factor_per_row) / (1.0 - factor_per_row);
    let rows = |sample: f64| {
        let share = sample / most;
        ((1.0 - share) / (1.0 + share)).ln() / factor_per_row.ln()
    };
    (wanted < most).then(|| (rows(wanted) - rows(now.min(wanted))).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::rows_until;

    /// Σw and Σw² summed row by row.
    fn sample(rows: u64, factor: f64) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..rows {
            sum = sum * factor + 1.0;
            squares = squares * factor * factor + 1.0;
        }
        sum * sum / squares
    }

    #[test]
    fn that_many_rows_bring_the_sample_that_is_wanted() {
        assert_eq!(rows_until(100.0, 400.0, 1.0), Some(300));
        assert_eq!(rows_until(100.0, 50.0, 1.0), Some(0));
        for (rows, wanted) in [(100, 500.0), (1000, 1900.0)] {
            let now = sample(rows, 0.999);
            let more = rows_until(now, wanted, 0.999).expect("it can be reached");
            // The first row that is enough.
            assert!(sample(rows + more, 0.999) >= wanted - 1e-6);
            assert!(sample(rows + more - 1, 0.999) < wanted);
        }
        // No more than 1,999 of these are ever remembered.
        assert_eq!(rows_until(1000.0, 1999.1, 0.999), None);
    }
}
