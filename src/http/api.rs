//! Paths → answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::guard::guard;
use super::live::Live;
use super::{HttpParams, metrics};
use crate::snapshot::Snapshot;

type Shared = State<Arc<Live>>;

/// Everything that can be asked.
pub(super) fn router(params: HttpParams, live: Arc<Live>) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/components", get(components))
        .route("/api/v1/features", get(features))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "nothing is here") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this can only be read")
        })
        .with_state(live)
        .layer(from_fn_with_state(Arc::new(params), guard))
}

/// What is wrong, as RFC 9457 has it.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = (status, body.to_string()).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(CONTENT_TYPE, "application/json")];
    (status, kind, format!("{body}\n")).into_response()
}

async fn ready(State(live): Shared) -> Response {
    let status = live.status();
    let code = if status.is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "is_ready": status.is_ready, "reasons": status.reasons });
    answer(code, &body)
}

async fn status(State(live): Shared) -> Response {
    match serde_json::to_value(live.status().as_ref()) {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn metrics(State(live): Shared) -> Response {
    let text = metrics::text(&live.status(), live.snapshot().as_deref());
    match text {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn components(State(live): Shared, headers: HeaderMap) -> Response {
    of_snapshot(&live, &headers, |snapshot| {
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

async fn features(State(live): Shared, headers: HeaderMap) -> Response {
    of_snapshot(&live, &headers, |snapshot| {
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
    live: &Live,
    headers: &HeaderMap,
    body: impl FnOnce(&Snapshot) -> Value,
) -> Response {
    let Some(snapshot) = live.snapshot() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "no row was learned yet");
    };
    let tag = format!("\"rows-{}\"", snapshot.estimate.rows);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| {
        let known = known.to_str().unwrap_or_default();
        known.split(',').any(|one| one.trim() == tag)
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(StatusCode::OK, &body(&snapshot))
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
