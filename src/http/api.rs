//! Paths → answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;

use super::answer::{answer, problem};
use super::guard::guard;
use super::live::Live;
use super::{HttpParams, metrics, model, page};

/// What every answer may look at.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub params: Arc<HttpParams>,
    pub live: Arc<Live>,
}

/// Everything that can be asked.
pub(super) fn router(shared: Shared) -> Router {
    let params = Arc::clone(&shared.params);
    Router::new()
        .route("/", get(page::index))
        .route("/assets/{name}", get(page::assets))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/components", get(model::components))
        .route("/api/v1/features", get(model::features))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "nothing is here") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this can only be read")
        })
        .with_state(shared)
        .layer(from_fn_with_state(params, guard))
}

async fn ready(State(shared): State<Shared>) -> Response {
    let status = shared.live.status.get();
    let code = if status.is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "is_ready": status.is_ready, "reasons": status.reasons });
    answer(code, &body)
}

async fn status(State(shared): State<Shared>) -> Response {
    answer(StatusCode::OK, shared.live.status.get().as_ref())
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let snapshot = shared.live.snapshot.get();
    let text = metrics::text(&shared.live.status.get(), snapshot.as_ref().as_deref());
    match text {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
