//! Who may ask: names of the host, tokens, and the headers that keep a browser in bounds.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::HttpParams;
use super::answer::problem;

/// What a page of this server may do in a browser: run its own scripts and styles, none of them inline,
/// show pictures that it made itself, ask this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Lets a request through, or answers it.
pub(super) async fn guard(
    State(params): State<Arc<HttpParams>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match refusal(&params, request.headers(), request.uri().path()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request is refused, if it is.
fn refusal(params: &HttpParams, headers: &HeaderMap, path: &str) -> Option<Response> {
    if !is_known_host(params, headers) {
        let why = "this server is not called so; set `http.hosts` to the names it has";
        return Some(problem(StatusCode::MISDIRECTED_REQUEST, why));
    }
    if let Some(token) = &params.token
        && !is_open(path)
        && !bears(headers, token)
    {
        let why = "send the token as `Authorization: Bearer TOKEN`";
        let mut response = problem(StatusCode::UNAUTHORIZED, why).into_response();
        let how = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, how);
        return Some(response);
    }
    None
}

/// What says nothing of the run: whoever starts the process must see whether it lives, and the page
/// must come before it can ask for a token.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/openapi.json" | "/-/healthy") || path.starts_with("/assets/")
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let sent = sent.and_then(|value| value.strip_prefix(b"Bearer "));
    // The comparison takes as long for a wrong token as for a right one of its length.
    sent.is_some_and(|sent| sent.ct_eq(token.as_bytes()).into())
}

/// A page of another site may call this server by a name that it gave to its address: names that
/// nobody gave to this server are refused.
fn is_known_host(params: &HttpParams, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    // An address cannot be rebound.
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || params
            .hosts
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
}
