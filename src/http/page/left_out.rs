//! The answer in the page's place where the program was built without it.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::problem;

/// `GET /`
pub(super) async fn index() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "the page was left out of this program; build one with the feature `page`. The API is there: \
         /openapi.json says what can be asked",
    )
}

/// `GET /assets/{name}`
pub(super) async fn assets() -> Response {
    index().await
}
