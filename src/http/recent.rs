//! `GET /api/v1/recent`: recent rows in the plane of the components, and rows that stand out.
//!
//! Kept rows are scored again with the current components, so that all charts of the page show the
//! same model.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::answer::{answer, blocking, tagged};
use super::shared::Shared;
use crate::published::{Columns, Kept, Row, TOP_MAX};
use crate::rows::Minibatch;
use crate::snapshot::{Projection, Snapshot};

/// Scores per row in an answer.
const SCORES_MAX: usize = 10;

#[derive(Debug, Serialize)]
struct RecentView<'a> {
    ids: &'a [String],
    label: Option<&'a str>,
    components: usize,
    rows_examined: u64,
    rows: Vec<RowView<'a>>,
    largest_residual: Vec<RowView<'a>>,
    largest_t2: Vec<RowView<'a>>,
}

#[derive(Debug, Serialize)]
struct RowView<'a> {
    row: u64,
    unix_s: u64,
    scores: Vec<f64>,
    residual: f64,
    t2: f64,
    label: Option<&'a str>,
    ids: Vec<Option<&'a str>>,
}

/// `GET /api/v1/recent`
pub(super) async fn recent(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let snapshot = shared.live.snapshot.get();
    // A copy of pointers: the answer and its tag are of the same moment.
    let kept = shared.live.recent.kept();
    let examined = kept.examined;
    let rows = snapshot.as_ref().as_ref().map_or(0, |s| s.estimate.rows);
    let started = shared.live.status.get().started_unix_s;
    let tag = format!("{started}-{rows}-{examined}");
    let live = Arc::clone(&shared.live);
    tagged(
        &headers,
        &tag,
        blocking(move || view(&kept, &live.recent.columns(), snapshot.as_ref().as_deref())),
    )
    .await
}

/// The rows that are kept, in the plane of `snapshot`; nothing before there is one.
fn view(kept: &Kept, columns: &Columns, snapshot: Option<&Snapshot>) -> Response {
    let (ids, label) = columns;
    let [ring, residual, t2] = kept.rows();
    let mut shown = RecentView {
        ids,
        label: label.map(|at| ids[at].as_str()),
        components: 0,
        rows_examined: kept.examined,
        rows: Vec::new(),
        largest_residual: Vec::new(),
        largest_t2: Vec::new(),
    };
    let Some(snapshot) = snapshot else {
        return answer(StatusCode::OK, &shown);
    };
    let estimate = &snapshot.estimate;
    let order: Vec<usize> = (0..estimate.features).collect();
    let projection = Projection::new(estimate, &order);
    shown.components = estimate.components().min(SCORES_MAX);
    shown.rows = scored(&projection, &ring, *label);
    shown.largest_residual = scored(&projection, &residual, *label);
    shown.largest_t2 = scored(&projection, &t2, *label);
    let by = |list: &mut Vec<RowView<'_>>, measure: fn(&RowView<'_>) -> f64| {
        list.sort_by(|a, b| measure(b).total_cmp(&measure(a)));
        list.truncate(TOP_MAX);
    };
    by(&mut shown.largest_residual, |row| row.residual);
    by(&mut shown.largest_t2, |row| row.t2);
    answer(StatusCode::OK, &shown)
}

/// Rows with their scores; rows with other features do not belong to this model and are left out.
fn scored<'a>(
    projection: &Projection,
    rows: &'a [Arc<Row>],
    label: Option<usize>,
) -> Vec<RowView<'a>> {
    let m = projection.features();
    let rows: Vec<&Row> = rows.iter().map(AsRef::as_ref).collect();
    let rows: Vec<&Row> = rows
        .into_iter()
        .filter(|row| row.values.len() == m)
        .collect();
    if rows.is_empty() || m == 0 {
        return Vec::new();
    }
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.values.iter().copied())
        .collect();
    let scores = projection.score(&Minibatch::from_rows(&values, m));
    let components = &scores.components[..scores.components.len().min(SCORES_MAX)];
    let views = rows.iter().enumerate().map(|(i, row)| {
        let ids: Vec<Option<&str>> = row.ids.iter().map(Option::as_deref).collect();
        RowView {
            row: row.number,
            unix_s: row.unix_s,
            scores: components.iter().map(|of| of[i]).collect(),
            residual: scores.residual[i],
            t2: scores.t2[i],
            label: label.and_then(|at| ids.get(at).copied().flatten()),
            ids,
        }
    });
    views.collect()
}
