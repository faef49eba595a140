//! Formats of answers: JSON, problems, and answers that change with the rows learned.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::text::{MESSAGE_BYTES_MAX, bounded};

/// A problem in the form of RFC 9457. The detail is bounded, because it may quote names chosen by a
/// client or a file.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let detail = bounded(detail.to_owned(), MESSAGE_BYTES_MAX);
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = (status, body.to_string()).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A value as JSON.
pub fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => {
            let kind = [(CONTENT_TYPE, "application/json")];
            (status, kind, body + "\n").into_response()
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The query of a request; an invalid one is answered with an explanation.
#[derive(Debug)]
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let refused = |error: QueryRejection| {
            let why = format!("{}; see /openapi.json", error.body_text());
            problem(StatusCode::BAD_REQUEST, &why)
        };
        query.map(|Query(asked)| Self(asked)).map_err(refused)
    }
}

/// The last part of a request's path.
#[derive(Debug)]
pub(super) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        let refused = |error: PathRejection| problem(error.status(), &error.body_text());
        name.map(|Path(name)| Self(name)).map_err(refused)
    }
}

/// Computes an answer that is slow or waits for the disk on a separate thread, so that other
/// answers need not wait.
pub async fn blocking(make: impl FnOnce() -> Response + Send + 'static) -> Response {
    tokio::task::spawn_blocking(make).await.unwrap_or_else(|_| {
        let why = "this answer could not be produced; see the log";
        problem(StatusCode::INTERNAL_SERVER_ERROR, why)
    })
}

/// An answer that stays the same while `tag` does: it is neither computed nor sent again for a
/// client that has it.
pub(super) async fn tagged(
    headers: &HeaderMap,
    tag: &str,
    body: impl Future<Output = Response>,
) -> Response {
    let response = if is_known(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body.await
    };
    with_tag(response, tag)
}

/// The same for an answer that is available at once.
#[cfg(feature = "page")]
pub(super) fn tagged_now(
    headers: &HeaderMap,
    tag: &str,
    body: impl FnOnce() -> Response,
) -> Response {
    let response = if is_known(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body()
    };
    with_tag(response, tag)
}

/// True if the client says that it has the version with this tag.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(IF_NONE_MATCH).map(|known| known.to_str());
    let known = known.and_then(Result::ok).unwrap_or_default();
    known.split(',').any(|one| {
        let one = one.trim();
        let one = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || one.trim_matches('"') == tag
    })
}

fn with_tag(mut response: Response, tag: &str) -> Response {
    let is_tagged = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    if is_tagged {
        let headers = response.headers_mut();
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
            headers.insert(ETAG, tag);
        }
    }
    response
}
