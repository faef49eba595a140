//! Paths → answers.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::json;

use super::answer::{Asked, answer, problem};
use super::events;
use super::guard::{Guard, guard};
use super::push::{self, Bodies};
use super::score::{self, Scoring, What};
use super::shared::Shared;
use super::{control, metrics, model, page, recent, snapshots};
use crate::published::{Drifted, Page, QUARANTINE_MAX};

/// All routes.
pub(super) fn router(shared: Shared) -> Router {
    let bodies = Arc::new(Bodies::new(shared.params.body_bytes()));
    let judge = Arc::new(Guard::new(Arc::clone(&shared.params)));
    let scoring = Scoring::start();
    let scored = |what| {
        let scoring = Arc::clone(&scoring);
        post(move |State(shared): State<Shared>, request: Request| {
            score::post(Arc::clone(&scoring), what, shared, request)
        })
    };
    Router::new()
        .route("/api/v1/transform", scored(What::Transform))
        .route("/api/v1/score", scored(What::Score))
        .route("/", get(page::index))
        .route("/assets/{name}", get(page::assets))
        .route("/openapi.json", get(openapi))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/components", get(model::components))
        .route("/api/v1/components/{component}", get(model::component))
        .route("/api/v1/features", get(model::features))
        .route("/api/v1/snapshots", get(snapshots::all))
        .route("/api/v1/snapshots/{id}", get(snapshots::one))
        .route("/api/v1/history", get(history))
        .route("/api/v1/drift", get(drift))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/quarantine", get(quarantine))
        .route("/api/v1/recent", get(recent::recent))
        .route("/api/v1/log", get(log))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/snapshot", post(control::snapshot))
        .route("/api/v1/reload", post(control::reload))
        .route("/api/v1/rows", post(push::rows))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            let why = "this path does not allow that method; see /openapi.json";
            problem(StatusCode::METHOD_NOT_ALLOWED, why)
        })
        .with_state(shared)
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(bodies))
        .layer(from_fn_with_state(judge, guard))
}

/// Description of all paths and answers; a test keeps it consistent with the router.
const OPENAPI: &str = include_str!("openapi.json");

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
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
    match metrics::text(&shared.live) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn history(State(shared): State<Shared>) -> Response {
    let history = shared.live.history.get();
    let body = json!({ "interval_s": history.interval_s, "points": history.points });
    answer(StatusCode::OK, &body)
}

async fn drift(State(shared): State<Shared>) -> Response {
    let (status, history) = (shared.live.status.get(), shared.live.history.get());
    let params = shared.live.drift_params.get();
    let events: Vec<&Drifted> = history.drifts.iter().rev().collect();
    let body = json!({
        "is_watched": params.is_some(),
        "params": params.as_ref(),
        "report": status.drift,
        "events": events,
    });
    answer(StatusCode::OK, &body)
}

async fn sources(State(shared): State<Shared>) -> Response {
    answer(StatusCode::OK, shared.live.sources.get().as_ref())
}

async fn quarantine(State(shared): State<Shared>, Asked(page): Asked<Page>) -> Response {
    let quarantine = shared.live.quarantine.get();
    let Some(page) = quarantine.page(page) else {
        let why = format!("`limit` must be 1 to {QUARANTINE_MAX}; see /openapi.json");
        return problem(StatusCode::BAD_REQUEST, &why);
    };
    answer(StatusCode::OK, &page)
}

async fn log(State(shared): State<Shared>) -> Response {
    answer(StatusCode::OK, &json!({ "lines": shared.live.log.lines() }))
}
