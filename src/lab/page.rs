//! The lab's page by the daemon's own server, with its limits and its content security policy.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use ojad_lab::page::{INDEX, SCRIPTS, STYLE, answer};

use crate::http::{self, Asset, HttpError, PageFiles, Server};

static FILES: PageFiles = PageFiles {
    index: Asset::html(INDEX),
    assets: &[
        Asset::css("lab.css", STYLE),
        script(0),
        script(1),
        script(2),
        script(3),
    ],
};

const fn script(i: usize) -> Asset {
    Asset::javascript(SCRIPTS[i].0, SCRIPTS[i].1)
}

/// Serves the page to anyone who can connect until the server is dropped, so `listen` must be on
/// loopback.
///
/// # Errors
/// If the address cannot be bound.
pub fn serve(listen: SocketAddr) -> Result<Server, HttpError> {
    let routes = Router::new().route("/api/v1/scalar", get(scalar_case));
    http::serve_page(listen, &FILES, routes)
}

/// `GET /api/v1/scalar?…`: computed on a separate thread, so that other answers need not wait.
async fn scalar_case(RawQuery(query): RawQuery) -> Response {
    http::blocking(move || match answer(query.as_deref().unwrap_or_default()) {
        Ok(answer) => http::answer(StatusCode::OK, &answer),
        Err(why) => http::problem(StatusCode::BAD_REQUEST, &why.to_string()),
    })
    .await
}
