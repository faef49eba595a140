//! The answer in place of the page if the program was built without it.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::problem;

/// `GET /`
pub(super) async fn index() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "the page is not part of this build; build with the feature `page`. The API works: see /openapi.json",
    )
}

/// `GET /assets/{name}`
pub(super) async fn assets() -> Response {
    index().await
}
