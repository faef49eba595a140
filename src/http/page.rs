//! The page and its assets: files built into the program, readable by anyone who can connect.
//!
//! They contain no data of the run: the page requests that from the API, with the token if one is
//! needed. A browser caches them and revalidates them (`ETag`), so that a new version of the
//! program shows its new page at once. Plotly.js is built in as gzip, which every browser accepts;
//! for other clients it is unpacked once.

use std::io::Read as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::answer::{problem, tagged_now};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Bytes of a hash in a tag: enough that no two versions of a file share one.
const ID_BYTES: usize = 12;

/// A file of a page.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    /// The page itself, UTF-8.
    pub const fn html(bytes: &'static [u8]) -> Self {
        asset("", HTML, bytes)
    }

    /// A style sheet, UTF-8.
    pub const fn css(name: &'static str, bytes: &'static [u8]) -> Self {
        asset(name, CSS, bytes)
    }

    /// A script or a module, UTF-8.
    pub const fn javascript(name: &'static str, bytes: &'static [u8]) -> Self {
        asset(name, JAVASCRIPT, bytes)
    }
}

const fn asset(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, kind, bytes }
}

const INDEX: Asset = asset("", HTML, include_bytes!("page/index.html"));

/// Files below `/assets/`, beside Plotly.js.
const ASSETS: &[Asset] = &[
    asset("app.css", CSS, include_bytes!("page/app.css")),
    asset("icon.svg", SVG, include_bytes!("page/icon.svg")),
    asset("early.js", JAVASCRIPT, include_bytes!("page/early.js")),
    asset("app.js", JAVASCRIPT, include_bytes!("page/app.js")),
    asset("api.js", JAVASCRIPT, include_bytes!("page/api.js")),
    asset("dom.js", JAVASCRIPT, include_bytes!("page/dom.js")),
    asset("format.js", JAVASCRIPT, include_bytes!("page/format.js")),
    asset(
        "pictures.js",
        JAVASCRIPT,
        include_bytes!("page/pictures.js"),
    ),
    asset(
        "headline.js",
        JAVASCRIPT,
        include_bytes!("page/headline.js"),
    ),
    asset(
        "spectrum.js",
        JAVASCRIPT,
        include_bytes!("page/spectrum.js"),
    ),
    asset(
        "component.js",
        JAVASCRIPT,
        include_bytes!("page/component.js"),
    ),
    asset("history.js", JAVASCRIPT, include_bytes!("page/history.js")),
    asset("recent.js", JAVASCRIPT, include_bytes!("page/recent.js")),
    asset("limits.js", JAVASCRIPT, include_bytes!("page/limits.js")),
    asset("files.js", JAVASCRIPT, include_bytes!("page/files.js")),
    asset("theme.js", JAVASCRIPT, include_bytes!("page/theme.js")),
];

const PLOTLY: &str = "plotly.min.js";
static PLOTLY_GZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/plotly.min.js.gz"));
static PLOTLY_TAG: LazyLock<String> = LazyLock::new(|| tag(PLOTLY_GZIP));
/// Unpacked for the first client that does not accept gzip; `None` if that fails.
static PLOTLY_PLAIN: LazyLock<Option<Bytes>> = LazyLock::new(|| {
    let mut plain = Vec::new();
    let read = GzDecoder::new(PLOTLY_GZIP).read_to_end(&mut plain);
    read.ok().map(|_| plain.into())
});

/// `GET /`
pub(super) async fn index(headers: HeaderMap) -> Response {
    file(&INDEX, &headers)
}

/// `GET /assets/{name}`: one of the names above, never a path.
pub(super) async fn assets(Path(name): Path<String>, headers: HeaderMap) -> Response {
    named(&[], &name, &headers)
}

/// A file of `own`, or one shared by all pages.
pub(super) fn named(own: &[Asset], name: &str, headers: &HeaderMap) -> Response {
    if name == PLOTLY {
        return plotly(headers);
    }
    match own.iter().chain(ASSETS).find(|asset| asset.name == name) {
        Some(asset) => file(asset, headers),
        None => problem(StatusCode::NOT_FOUND, "no such file"),
    }
}

pub(super) fn file(asset: &Asset, headers: &HeaderMap) -> Response {
    tagged_now(headers, &tag(asset.bytes), || {
        ([(CONTENT_TYPE, asset.kind)], asset.bytes).into_response()
    })
}

fn plotly(headers: &HeaderMap) -> Response {
    let kind = [(CONTENT_TYPE, JAVASCRIPT)];
    let mut response = if takes_gzip(headers) {
        tagged_now(headers, &format!("{}-gzip", *PLOTLY_TAG), || {
            let coding = [(CONTENT_ENCODING, "gzip")];
            (kind, coding, PLOTLY_GZIP).into_response()
        })
    } else {
        tagged_now(headers, &PLOTLY_TAG, || match PLOTLY_PLAIN.as_ref() {
            Some(plain) => (kind, plain.clone()).into_response(),
            None => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this program's Plotly.js cannot be unpacked; request it with `Accept-Encoding: gzip`",
            ),
        })
    };
    let varies = HeaderValue::from_static("accept-encoding");
    response.headers_mut().insert(VARY, varies);
    response
}

/// An entity tag that changes with the program's version and with the bytes.
fn tag(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let number = hash
        .iter()
        .take(ID_BYTES)
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("{}-{number:x}", env!("CARGO_PKG_VERSION"))
}

/// True if a client accepts gzip: it names gzip or `*`, with a quality above 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let quality = |coding: &str| -> Option<f32> {
        let lists = headers.get_all(ACCEPT_ENCODING).iter();
        let mut codings = lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','));
        codings.find_map(|one| {
            let (name, rest) = one.split_once(';').unwrap_or((one, ""));
            let quality = rest.trim().strip_prefix("q=").map(str::trim);
            name.trim()
                .eq_ignore_ascii_case(coding)
                .then(|| quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
        })
    };
    quality("gzip")
        .or_else(|| quality("*"))
        .is_some_and(|quality| quality > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (sent, takes) in [
            (Some("gzip, deflate, br"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("*"), true),
            (Some("gzip;q=0, *"), false),
            (Some("identity"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(sent));
            }
            assert_eq!(takes_gzip(&headers), takes, "{sent:?}");
        }
    }
}
