//! Merges two states of disjoint rows into the state of all of them.
//!
//! Mean, variance and trace add exactly (Chan, Golub, LeVeque 1983), each feature's by the weight
//! of its observed values. The directions are the best rank-r part of both shrunk histories,
//! weighted by their rows, and the row that accounts for the distance of the means; each side's σ²
//! is subtracted before and its weighted sum added back, as in an update. Truncation loses at most
//! the eigenvalue that is cut, so the order of merging changes an eigenvalue by no more than the
//! sum of all that was cut.

use faer::Mat;

use crate::learner::limits::Limits;
use crate::learner::merge_bars::{Parts, merged_bars};
use crate::learner::moments::CONSTANT_SHARE;
use crate::learner::summary::Summary;
use crate::linalg::{ThinSvd, thin_svd};

/// Why states cannot be merged.
///
/// ```
/// use ojad_core::{MergeError, Pca};
///
/// let (one, other) = (Pca::builder().build(20)?, Pca::builder().build(30)?);
/// let error = Pca::merge([&one, &other]).unwrap_err();
/// assert_eq!(error, MergeError::Features { left: 20, right: 30 });
/// # Ok::<(), ojad_core::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no state to merge; name at least one")]
    Empty,
    /// Their features differ.
    #[error(
        "one state has {left} features, the other {right}; only states with the same features can be merged"
    )]
    Features {
        /// m of the first.
        left: usize,
        /// m of the second.
        right: usize,
    },
    /// Their settings differ.
    #[error(
        "`learner.{key}` differs between the states; \
         fit both with the same setting and merge again"
    )]
    Setting {
        /// Name of the setting.
        key: &'static str,
    },
    /// A value is not finite.
    #[error("a state holds a value that is not finite; fit it again")]
    NotFinite,
}

/// The state of both sets of rows: [`merge_all`] of two.
///
/// # Errors
/// As [`merge_all`].
pub fn merge(a: &Summary, b: &Summary) -> Result<Summary, MergeError> {
    merge_all(&[a, b])
}

/// The state of the rows of all: one cut for all of them, where merging in pairs cuts each time.
///
/// # Errors
/// If the states differ in features or settings, if one holds a NaN, or if there is none.
pub fn merge_all(states: &[&Summary]) -> Result<Summary, MergeError> {
    let first = *states.first().ok_or(MergeError::Empty)?;
    for state in states {
        check(first, state)?;
    }
    let m = first.features();
    let weight: f64 = states.iter().map(|state| state.weight).sum();
    if weight <= 0.0 {
        return Ok(first.clone());
    }
    let shares: Vec<f64> = states.iter().map(|state| state.weight / weight).collect();
    let sum = |of: &dyn Fn(&Summary) -> f64| -> f64 {
        states
            .iter()
            .zip(&shares)
            .map(|(state, share)| share * of(state))
            .sum()
    };
    let observed: Vec<f64> = (0..m)
        .map(|j| states.iter().map(|state| state.observed[j]).sum())
        .collect();
    let mean: Vec<f64> = (0..m).map(|j| mean_of(states, j, observed[j])).collect();
    let variance: Vec<f64> = (0..m)
        .map(|j| {
            let moved = |state: &Summary| state.mean[j] - mean[j];
            sum(&|state| state.variance[j] + state.share_observed(j) * moved(state).powi(2))
        })
        .collect();
    let constant: Vec<bool> = (0..m)
        .map(|j| {
            states.iter().all(|state| state.constant[j])
                && variance[j] <= CONSTANT_SHARE * mean[j] * mean[j] * observed[j] / weight
        })
        .collect();
    let scale = scale_of(first, &variance, &constant);
    let carries = |j: usize| !constant[j] || (!first.is_centered && mean[j] != 0.0);
    let second = |j: usize| {
        let square = if first.is_centered {
            0.0
        } else {
            mean[j] * mean[j]
        };
        (variance[j] + square) / (scale[j] * scale[j])
    };
    // If the parts held different numbers of directions, the result holds as many as the best of
    // them.
    let max_rank = states.iter().map(|state| state.max_rank).max().unwrap_or(0);
    let noise = sum(&|state| state.noise);
    let rows = factor_rows(states, &shares, &mean, &scale);
    let (vectors, eigenvalues) = best_part(&rows, max_rank, noise)?;
    let parts = Parts {
        states,
        shares: &shares,
        scale: &scale,
    };
    let long_run = merged_bars(&parts, &vectors, &eigenvalues);
    let total = (0..m).filter(|j| carries(*j)).map(second).sum();
    let active = (0..m).filter(|j| carries(*j)).count();
    let limits = merged_limits(states, &shares, total, &eigenvalues);
    Ok(Summary {
        limits,
        rows: states.iter().map(|state| state.rows).sum(),
        weight,
        squared_weight: states.iter().map(|state| state.squared_weight).sum(),
        total,
        active,
        mean,
        variance,
        observed,
        scale,
        constant,
        is_centered: first.is_centered,
        is_scaled: first.is_scaled,
        vectors,
        eigenvalues,
        noise,
        max_rank,
        typical_variance: typical_variance(states, &shares),
        long_run,
        is_widened: states.iter().any(|state| state.is_widened),
    })
}

/// Distributions of the parts' statistics together, where the parts are alike.
fn merged_limits(
    states: &[&Summary],
    shares: &[f64],
    total: f64,
    eigenvalues: &[f64],
) -> Option<Limits> {
    let parts: Vec<Option<&Limits>> = states.iter().map(|state| state.limits.as_ref()).collect();
    let totals: Vec<f64> = states.iter().map(|state| state.total).collect();
    let rest = |k: usize| total - eigenvalues.iter().take(k).sum::<f64>();
    Limits::merged(&parts, shares, rest, &totals)
}

/// Divisor of each feature, length m, where states like `first` have this variance.
fn scale_of(first: &Summary, variance: &[f64], constant: &[bool]) -> Vec<f64> {
    let features = variance.iter().zip(constant);
    features
        .map(|(variance, constant)| {
            if first.is_scaled && !constant {
                variance.sqrt()
            } else {
                1.0
            }
        })
        .collect()
}

/// Mean of all observed values of feature `j`, whose weight is `observed`; 0 if there is none.
fn mean_of(states: &[&Summary], j: usize, observed: f64) -> f64 {
    let seen = || states.iter().filter(|state| state.observed[j] > 0.0);
    let Some(first) = seen().next() else {
        return 0.0;
    };
    // About the first mean, so that means far from zero keep their digits.
    let moved = |state: &&&Summary| state.observed[j] / observed * (state.mean[j] - first.mean[j]);
    first.mean[j] + seen().map(|state| moved(&state)).sum::<f64>()
}

fn check(a: &Summary, b: &Summary) -> Result<(), MergeError> {
    if a.features() != b.features() {
        return Err(MergeError::Features {
            left: a.features(),
            right: b.features(),
        });
    }
    if a.is_centered != b.is_centered {
        return Err(MergeError::Setting { key: "center" });
    }
    if a.is_scaled != b.is_scaled {
        return Err(MergeError::Setting { key: "scale" });
    }
    Ok(())
}

/// √(share·(d − σ²))·U of every state and, where means are taken off, √share·(μᵢ − μ), by the share
/// of each feature's observed values, in the units of `scale`.
///
/// Without centring, values of a feature that a state has not seen count as that feature's mean
/// there.
fn factor_rows(states: &[&Summary], shares: &[f64], mean: &[f64], scale: &[f64]) -> Mat<f64> {
    let m = scale.len();
    let ranks: usize = states.iter().map(|state| state.eigenvalues.len()).sum();
    let mut rows = Mat::<f64>::zeros(ranks + states.len(), m);
    let mut at = 0;
    for (state, share) in states.iter().zip(shares) {
        for (i, value) in state.eigenvalues.iter().enumerate() {
            // Each side enters without its isotropic tail; the weighted sum of the tails is added
            // back at the end.
            let root = (share * (value - state.noise).max(0.0)).sqrt();
            for j in 0..m {
                rows[(at, j)] = root * state.vectors[(i, j)] * state.scale[j] / scale[j];
            }
            at += 1;
        }
        for j in 0..m {
            let moved = if state.is_centered {
                state.share_observed(j).sqrt() * (state.mean[j] - mean[j])
            } else if state.observed[j] > 0.0 {
                0.0
            } else {
                mean[j]
            };
            rows[(at, j)] = share.sqrt() * moved / scale[j];
        }
        at += 1;
    }
    rows
}

/// Best rank-`max_rank` part of `rows`ᵀ`rows`, σ² added back.
fn best_part(
    rows: &Mat<f64>,
    max_rank: usize,
    noise: f64,
) -> Result<(Mat<f64>, Vec<f64>), MergeError> {
    let svd = thin_svd(rows.transpose()).map_err(|_| MergeError::NotFinite)?;
    let ThinSvd { u, s } = svd;
    let top = s.iter().copied().fold(0.0, f64::max);
    let found = s
        .iter()
        .take(max_rank)
        .take_while(|v| **v > 1e-14 * top && **v > 0.0)
        .count();
    let eigenvalues = s.iter().take(found).map(|v| v * v + noise).collect();
    Ok((u.subcols(0, found).transpose().to_owned(), eigenvalues))
}

/// Geometric mean of the variances of ordinary rows, where known.
fn typical_variance(states: &[&Summary], shares: &[f64]) -> Option<f64> {
    let known = || {
        let all = states.iter().zip(shares);
        all.filter_map(|(state, share)| Some((state.typical_variance?.ln(), share)))
    };
    let weight: f64 = known().map(|(_, share)| share).sum();
    let sum: f64 = known().map(|(log, share)| share * log).sum();
    (weight > 0.0).then(|| (sum / weight).exp())
}
