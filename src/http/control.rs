//! Requests that control a run: snapshots and reloads. Off unless configured, and then only for
//! clients with the token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::answer::{answer, problem};
use super::shared::Shared;
use crate::config::ControlKey;
use crate::published::ControlRequest;

/// `POST /api/v1/snapshot`
pub(super) async fn snapshot(State(shared): State<Shared>) -> Response {
    ask(&shared, ControlRequest::Snapshot, "snapshot")
}

/// `POST /api/v1/reload`
pub(super) async fn reload(State(shared): State<Shared>) -> Response {
    ask(&shared, ControlRequest::Reload, "reload")
}

/// If this is configured, the server does not start without a token, so a request that gets here
/// has sent it.
fn ask(shared: &Shared, what: ControlRequest, name: &str) -> Response {
    if shared.params.keys.control != ControlKey::Token {
        let why = "control requests are off; set `http.control = \"token\"` to allow them";
        return problem(StatusCode::NOT_FOUND, why);
    }
    if !shared.live.request(what) {
        let why = "the run is busy with an earlier request; try again in a second";
        return problem(StatusCode::TOO_MANY_REQUESTS, why);
    }
    answer(StatusCode::ACCEPTED, &json!({ "asked": name }))
}
