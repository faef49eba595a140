//! Admission of requests: host names, other sites, rates, sizes, tokens, and the headers that
//! restrict a browser.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HOST, ORIGIN,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as _;
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use super::HttpParams;
use super::answer::problem;
use super::peer::{Peer, hang_up, is_watching};
use super::rate::Rates;

/// Nothing but this server's own files and answers; images may also be created by the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// Bytes of the headers of a request: hyper's own limit is its buffer, whose size suits bodies.
const HEADER_BYTES: usize = 16 << 10;
/// Limits in bytes and time for reading the body of a refused request, so that its connection stays
/// usable. After a longer body the connection is closed once the client has seen the reason.
const PASSED_OVER_BYTES: u64 = 64 << 10;
const PASSED_OVER_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes over the limit after which a body is cut off, whoever is reading it.
const BEYOND_BYTES: u64 = 1 << 20;
/// A browser that connected over TLS keeps using it for half a year.
const TRANSPORT: &str = "max-age=15552000";

/// Rules by which requests are admitted.
#[derive(Debug)]
pub(super) struct Guard {
    params: Arc<HttpParams>,
    rates: Rates,
}

impl Guard {
    /// A guard that has seen no requests.
    pub(super) fn new(params: Arc<HttpParams>) -> Self {
        Self {
            rates: Rates::new(params.keys.requests_per_s),
            params,
        }
    }
}

/// Lets a request through, or answers it.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if let Some(mut refusal) = refusal(&guard, &request) {
        if !pass_over(request.into_body()).await {
            hang_up(&mut refusal);
        }
        refusal
    } else {
        // A handler that counts finds out first, and can say so; this is for those that do not.
        let most = guard.params.body_bytes().saturating_add(BEYOND_BYTES);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let request = request.map(|body| Body::new(Limited::new(body, most)));
        next.run(request).await
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
    if guard.params.keys.tls().is_some() {
        let transport = HeaderValue::from_static(TRANSPORT);
        headers.insert(STRICT_TRANSPORT_SECURITY, transport);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Reads and discards a short body; returns whether that was all of it.
async fn pass_over(body: Body) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if body
        .size_hint()
        .exact()
        // A small body is read to its end, so that the connection can be used again after the
        // refusal.
        .is_none_or(|len| len > PASSED_OVER_BYTES)
    {
        return false;
    }
    let mut body = body;
    let read = async {
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok::<_, axum::Error>(())
    };
    matches!(timeout(PASSED_OVER_PATIENCE, read).await, Ok(Ok(())))
}

/// The refusal of a request, if it is refused.
fn refusal(guard: &Guard, request: &Request) -> Option<Response> {
    let (params, headers) = (&guard.params, request.headers());
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    if headers.iter().map(bytes).sum::<usize>() > HEADER_BYTES {
        let why = "more than 16 KiB of headers";
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(problem(status, why));
    }
    let path = request.uri().path();
    if !is_known_host(params, headers) {
        let why = "unknown Host header; set `http.hosts` to the names of this server";
        return Some(problem(StatusCode::MISDIRECTED_REQUEST, why));
    }
    // Whoever starts the process must see whether it lives, token or not, and however often.
    let is_alive = path == "/-/healthy";
    let taken = match request.extensions().get::<Peer>() {
        Some(peer) if is_watching(request) => {
            peer.connection.watch(params.keys.requests_per_s.into())
        }
        Some(peer) => guard.rates.take(peer.ip, Instant::now()),
        None => Ok(()),
    };
    if let (Err(wait_s), false) = (taken, is_alive) {
        let why = "more requests per second than `http.requests_per_s` allows; try again later";
        return Some(later(StatusCode::TOO_MANY_REQUESTS, why, wait_s));
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    // Browsers let a page of any site send a form here, but not read what comes back.
    if !is_reading && is_of_another_site(headers) {
        let why = "requests from pages of other sites are refused";
        return Some(problem(StatusCode::FORBIDDEN, why));
    }
    if let Some(token) = &params.token
        && !is_alive
        && !is_open(path)
        && !bears(headers, token)
    {
        let why = "send the token as `Authorization: Bearer TOKEN`";
        let mut response = problem(StatusCode::UNAUTHORIZED, why).into_response();
        let how = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, how);
        return Some(response);
    }
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > params.body_bytes()) {
        return Some(too_large(params));
    }
    None
}

/// True for the page and the API description, which contain no secrets.
fn is_open(path: &str) -> bool {
    path == "/" || path == "/openapi.json" || path.starts_with("/assets/")
}

/// The answer to a body over the limit.
pub(super) fn too_large(params: &HttpParams) -> Response {
    let most = params.body_bytes();
    let why =
        format!("the body has more than {most} bytes; send it in parts, or raise `http.body_mib`");
    problem(StatusCode::PAYLOAD_TOO_LARGE, &why)
}

/// A temporary refusal that says when to retry.
pub(super) fn later(status: StatusCode, why: &str, wait_s: u64) -> Response {
    let mut response = problem(status, why);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let sent = sent.and_then(|value| value.strip_prefix(b"Bearer "));
    // The comparison takes as long for a wrong token as for a right one of its length.
    sent.is_some_and(|sent| sent.ct_eq(token.as_bytes()).into())
}

/// True if a browser says that the request was made by a page that is not this server's: its origin
/// differs from the host it addresses.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let text = |value: &'_ HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let site = headers.get("sec-fetch-site").map(text);
    // `none` is a request that the user made, by the address bar or a bookmark.
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN).map(text) else {
        return false;
    };
    let host = headers.get(HOST).map(text).unwrap_or_default();
    let authority = origin
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
        .map(|(_, authority)| authority);
    authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(&host))
}

/// Another site can point a host name of its own at this server's address (DNS rebinding), so only
/// known names of this server are accepted.
fn is_known_host(params: &HttpParams, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    // With two Host headers, a proxy in front of this server may have trusted the other one.
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let Some(name) = name_of(host) else {
        return false;
    };
    // An address cannot be rebound.
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || params
            .keys
            .hosts
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
}

/// The name or address of `NAME`, `NAME:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`; `None` if it is
/// none of them.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        (
            address,
            rest.is_empty().then_some("").or(rest.strip_prefix(':'))?,
        )
    } else {
        host.rsplit_once(':').unwrap_or((host, ""))
    };
    (port.is_empty() || port.parse::<u16>().is_ok()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_host_is_a_name_and_a_port_and_nothing_else() {
        for (host, name) in [
            ("localhost", Some("localhost")),
            ("localhost:80", Some("localhost")),
            ("[::1]", Some("::1")),
            ("[::1]:65535", Some("::1")),
            ("[::1]evil.com", None),
            ("[::1]:80evil.com", None),
            ("[::1", None),
            ("127.0.0.1:99999", None),
        ] {
            assert_eq!(name_of(host), name, "{host}");
        }
    }
}
