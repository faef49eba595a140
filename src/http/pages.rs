//! Other pages on the same server, with the same limits: pages that show no run.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::HttpParams;
use super::answer::problem;
use super::guard::{Guard, guard};
use super::page::{self, Asset};
use super::serve::{HttpError, Server, serve};

/// Files of a page, besides Plotly.js and the files of the daemon's own page.
#[derive(Debug)]
pub struct PageFiles {
    /// The file at `/`.
    pub index: Asset,
    /// The files below `/assets/`.
    pub assets: &'static [Asset],
}

/// Serves a page and `routes` without a token, so it must be called with a loopback address.
///
/// # Errors
/// If the address cannot be bound.
pub fn serve_page(
    listen: SocketAddr,
    files: &'static PageFiles,
    routes: Router,
) -> Result<Server, HttpError> {
    let params = HttpParams::unnamed(listen);
    let judge = Arc::new(Guard::new(Arc::new(params.clone())));
    let index = move |headers: HeaderMap| async move { page::file(&files.index, &headers) };
    let assets = move |Path(name): Path<String>, headers: HeaderMap| async move {
        page::named(files.assets, &name, &headers)
    };
    let router = routes
        .route("/", get(index))
        .route("/assets/{name}", get(assets))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed")
        })
        .layer(from_fn_with_state(judge, guard));
    serve(&params, move || router)
}
