//! Components and features: what was learned.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{answer, problem, tagged};
use super::api::Shared;
use crate::snapshot::Snapshot;

/// `GET /api/v1/components`
pub(super) async fn components(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    of_snapshot(&shared, &headers, |snapshot| {
        let estimate = &snapshot.estimate;
        let all = (0..estimate.components()).map(|i| {
            json!({
                "component": i + 1,
                "eigenvalue": estimate.eigenvalues[i],
                "eigenvalue_stderr": estimate.eigenvalue_stderr[i],
                "explained_variance_ratio": estimate.explained_variance_ratio(i),
                "angle_stderr_rad": estimate.angle_stderr_rad[i],
                "active": estimate.active[i],
                "vector": estimate.vector(i),
            })
        });
        json!({
            "rows": estimate.rows,
            "effective_rows": estimate.effective_rows,
            "penalty": estimate.penalty,
            "noise_variance": estimate.noise_variance,
            "total_variance": estimate.total_variance,
            "components_above_noise": estimate.components_above_noise,
            "features": snapshot.features.names(),
            "components": all.collect::<Vec<_>>(),
        })
    })
}

/// `GET /api/v1/features`
pub(super) async fn features(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    of_snapshot(&shared, &headers, |snapshot| {
        let estimate = &snapshot.estimate;
        let all = snapshot
            .features
            .names()
            .iter()
            .enumerate()
            .map(|(j, name)| {
                json!({
                    "feature": name,
                    "mean": estimate.mean[j],
                    "scale": estimate.scale[j],
                    "variance": estimate.variance[j],
                    "constant": estimate.constant[j],
                })
            });
        json!({ "rows": estimate.rows, "features": all.collect::<Vec<_>>() })
    })
}

/// An answer that changes with the rows learned, and only with them.
fn of_snapshot(
    shared: &Shared,
    headers: &HeaderMap,
    body: impl FnOnce(&Snapshot) -> Value,
) -> Response {
    let Some(snapshot) = shared.live.snapshot.get().as_ref().clone() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "no row was learned yet");
    };
    let tag = format!("rows-{}", snapshot.estimate.rows);
    tagged(headers, &tag, || answer(StatusCode::OK, &body(&snapshot)))
}
