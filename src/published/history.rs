//! History in bounded space: points that grow further apart as a run grows older.
//!
//! In: a [`Point`] now and then, and drifts as they occur. Out: at most [`POINTS_MAX`] points. When
//! they are full, neighbours are merged and the interval doubles, so that the whole life of a run
//! fits. It is kept in a file beside the checkpoint, for people only: a run whose file is lost
//! learns the same.

use faer::MatRef;
use serde::{Deserialize, Serialize};

use crate::learner::Estimate;
use crate::learner::drift::DriftReport;
use crate::linalg::mean_sin2;

/// Most points kept: as many as a wide screen shows.
pub const POINTS_MAX: usize = 1024;
/// Most drifts kept: the newest.
const DRIFTS_MAX: usize = 100;
/// Most eigenvalues per point.
const EIGENVALUES_MAX: usize = 16;
/// Version of the file.
const VERSION: u32 = 1;

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Time in seconds since 1970.
    pub unix_s: u64,
    /// Number of rows learned.
    pub rows: u64,
    /// Rows learned per second since the previous point.
    pub rows_per_s: f64,
    /// The first eigenvalues, squared (scaled) feature units.
    pub eigenvalues: Vec<f64>,
    /// Sum of the explained variance ratios of the components.
    pub explained: f64,
    /// Mean variance of the directions that are not above noise.
    pub noise_variance: f64,
    /// √Σsin² of the principal angles to the components of the previous point; `None` for the
    /// first.
    pub subspace_distance: Option<f64>,
    /// Largest difference between the latest rows and the earlier ones, in standard errors.
    pub drift_score: Option<f64>,
    /// Alarm level of the score.
    pub drift_threshold: Option<f64>,
}

/// A drift, and when it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drifted {
    /// Time in seconds since 1970.
    pub unix_s: u64,
    /// Rows learned before it.
    pub rows: u64,
    /// Report of the change.
    pub report: DriftReport,
}

/// The whole history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    version: u32,
    /// Minimum seconds between two points.
    pub interval_s: u64,
    /// The oldest first.
    pub points: Vec<Point>,
    /// Drifts, the oldest first.
    pub drifts: Vec<Drifted>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            version: VERSION,
            interval_s: 1,
            points: Vec::new(),
            drifts: Vec::new(),
        }
    }
}

impl History {
    /// Reads what [`History::to_json`] wrote.
    ///
    /// # Errors
    /// If it is not a history.
    pub fn of_json(bytes: &[u8]) -> Result<Self, String> {
        let history: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if history.version > VERSION {
            return Err(format!(
                "version {}; this program reads version {VERSION}",
                history.version
            ));
        }
        if history.points.len() > POINTS_MAX || history.interval_s == 0 {
            return Err("its content is not what was written".into());
        }
        Ok(history)
    }

    /// As stored in a file.
    ///
    /// # Errors
    /// If a number cannot be written.
    pub fn to_json(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    /// True if another point is due: rows have arrived, and the interval is over.
    pub fn is_due(&self, unix_s: u64, rows: u64) -> bool {
        self.points.last().is_none_or(|last| {
            let is_other = last.rows != rows;
            is_other && unix_s >= last.unix_s.saturating_add(self.interval_s)
        })
    }

    /// Adds a point; `rows_per_s` is set here.
    pub fn add(&mut self, mut point: Point) {
        if let Some(last) = self.points.last() {
            let seconds = point.unix_s.saturating_sub(last.unix_s).max(1);
            point.rows_per_s = point.rows.saturating_sub(last.rows) as f64 / seconds as f64;
        }
        self.points.push(point);
        if self.points.len() > POINTS_MAX {
            self.halve();
        }
    }

    /// Adds a drift.
    pub fn drifted(&mut self, drifted: Drifted) {
        self.drifts.push(drifted);
        if self.drifts.len() > DRIFTS_MAX {
            self.drifts.remove(0);
        }
    }

    /// Drops every second point and merges its rows, distance and score into the next one; the last
    /// point stays.
    fn halve(&mut self) {
        self.interval_s = self.interval_s.saturating_mul(2);
        let points = std::mem::take(&mut self.points);
        let is_even = points.len().is_multiple_of(2);
        let mut dropped: Option<Point> = None;
        for (at, mut point) in points.into_iter().enumerate() {
            if at.is_multiple_of(2) == is_even {
                dropped = Some(point);
                continue;
            }
            if let Some(before) = dropped.take() {
                point.absorb(&before, self.points.last());
            }
            self.points.push(point);
        }
    }
}

impl Point {
    /// A point from the current values.
    pub fn of(
        estimate: &Estimate,
        unix_s: u64,
        before: Option<&Estimate>,
        drift: Option<&DriftReport>,
    ) -> Self {
        let k = estimate.components();
        Self {
            unix_s,
            rows: estimate.rows,
            rows_per_s: 0.0,
            eigenvalues: estimate.eigenvalues[..k.min(EIGENVALUES_MAX)].to_vec(),
            explained: (0..k).map(|i| estimate.explained_variance_ratio(i)).sum(),
            noise_variance: estimate.noise_variance,
            subspace_distance: before.and_then(|before| distance(before, estimate)),
            drift_score: drift.map(DriftReport::score),
            drift_threshold: drift.and_then(|drift| drift.threshold),
        }
    }

    /// Takes over the data of a dropped point: rows per second since the previous remaining point,
    /// and the larger distance and score.
    fn absorb(&mut self, gone: &Self, before: Option<&Self>) {
        if let Some(before) = before {
            let seconds = self.unix_s.saturating_sub(before.unix_s).max(1);
            self.rows_per_s = self.rows.saturating_sub(before.rows) as f64 / seconds as f64;
        }
        let largest = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        self.subspace_distance = largest(self.subspace_distance, gone.subspace_distance);
        self.drift_score = largest(self.drift_score, gone.drift_score);
    }
}

/// √Σsin² of the principal angles between the spans of two sets of components; `None` where their
/// numbers differ.
fn distance(before: &Estimate, now: &Estimate) -> Option<f64> {
    let (k, m) = (now.components(), now.features);
    if before.features != m || before.components() != k {
        return None;
    }
    let before = MatRef::from_row_major_slice(&before.vectors, k, m);
    let now = MatRef::from_row_major_slice(&now.vectors, k, m);
    let sum = k as f64 * mean_sin2(before, now);
    sum.is_finite().then(|| sum.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(unix_s: u64) -> Point {
        Point {
            unix_s,
            rows: 10 * unix_s,
            rows_per_s: 0.0,
            eigenvalues: vec![2.0, 1.0],
            explained: 0.9,
            noise_variance: 0.1,
            subspace_distance: (unix_s == 500).then_some(0.7),
            drift_score: None,
            drift_threshold: None,
        }
    }

    #[test]
    fn the_whole_life_of_a_run_fits_and_peaks_stay() {
        let mut history = History::default();
        for unix_s in 0..100_000 {
            if history.is_due(unix_s, 10 * unix_s) {
                history.add(point(unix_s));
            }
        }
        let points = &history.points;
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points.len()));
        assert!(points[0].unix_s <= history.interval_s);
        assert!(points.last().is_some_and(|last| last.unix_s > 99_800));
        // 100,000 s ÷ 1,024 points, to the next power of two.
        assert_eq!(history.interval_s, 128);
        // Ten rows came every second, whatever was merged.
        for point in &points[1..] {
            assert!((point.rows_per_s - 10.0).abs() < 1e-9, "{point:?}");
        }
        // The one large distance was not thinned away.
        let most = points.iter().filter_map(|point| point.subspace_distance);
        assert!((most.fold(0.0, f64::max) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let mut history = History::default();
        history.add(point(1));
        history.add(point(9));
        let bytes = history.to_json().expect("JSON");
        assert_eq!(History::of_json(&bytes), Ok(history));
        assert!(History::of_json(b"{}").is_err());
        assert!(History::of_json(&bytes[..bytes.len() - 2]).is_err());
    }
}
