//! The HTTP server: status, components, metrics, scores and pushed rows. Off unless `http.listen` is set.
//!
//! In: the values that a run publishes ([`Published`](crate::published::Published)). Out: JSON, and
//! Prometheus' text. Nothing here can stall learning: a request reads an immutable copy. The server
//! listens on loopback by default; other addresses require a token.

mod answer;
mod api;
mod connection;
mod control;
mod events;
mod guard;
mod linger;
mod metrics;
mod model;
mod pace;
mod paced;
#[cfg(feature = "page")]
mod page;
#[cfg(not(feature = "page"))]
#[path = "page/left_out.rs"]
mod page;
#[cfg(feature = "page")]
mod pages;
mod peer;
mod push;
mod rate;
mod recent;
mod room;
mod score;
mod serve;
mod shared;
mod snapshots;
mod streams;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/left_out.rs"]
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use answer::{answer, blocking, problem};
#[cfg(feature = "page")]
pub use page::Asset;
#[cfg(feature = "page")]
pub use pages::{PageFiles, serve_page};
pub use serve::{HttpError, Server, check, start};
pub use tls::TlsError;

use crate::config::{ControlKey, HttpKeys};

/// How the server listens, and what it shows.
#[derive(Clone, PartialEq)]
pub struct HttpParams {
    /// Address and port.
    pub listen: SocketAddr,
    /// Token that a client must send as `Authorization: Bearer TOKEN`; optional on loopback.
    pub token: Option<Arc<str>>,
    /// Host names of the server, besides its address and `localhost`.
    pub hosts: Vec<String>,
    /// Certificate chain and private key, PEM files; `None` for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Most simultaneous connections.
    pub connections: usize,
    /// Most requests per second from one client address.
    pub requests_per_s: u32,
    /// Largest body of a request.
    pub body_bytes: u64,
    /// Minimum bytes per second at which a body must arrive.
    pub body_least_bytes_per_s: u64,
    /// Most rows scored per request.
    pub score_rows: u64,
    /// Whether clients can request snapshots and reloads.
    pub control: ControlKey,
    /// Directory that snapshots go to.
    pub output_dir: PathBuf,
}

impl HttpParams {
    /// Parameters from the keys, for a server on `listen` whose clients must send `token`, beside snapshots in
    /// `output_dir`.
    pub fn new(
        keys: &HttpKeys,
        listen: SocketAddr,
        token: Option<Arc<str>>,
        output_dir: &Path,
    ) -> Self {
        Self {
            listen,
            token,
            hosts: keys.hosts.clone(),
            tls: keys.tls_certificate.clone().zip(keys.tls_key.clone()),
            connections: keys.connections,
            requests_per_s: keys.requests_per_s,
            body_bytes: keys.body_mib << 20,
            body_least_bytes_per_s: keys.body_least_bytes_per_s,
            score_rows: keys.score_rows,
            control: keys.control,
            output_dir: output_dir.to_owned(),
        }
    }

    /// Parameters of a server for public pages only, which accepts no data: plain HTTP on loopback
    /// without a token, with the default limits.
    #[cfg(feature = "page")]
    fn unnamed(listen: SocketAddr) -> Self {
        Self {
            body_bytes: 0,
            score_rows: 0,
            ..Self::new(&HttpKeys::default(), listen, None, Path::new(""))
        }
    }
}

impl std::fmt::Debug for HttpParams {
    /// Omits the token, which must never be printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpParams")
            .field("listen", &self.listen)
            .field("has_token", &self.token.is_some())
            .field("hosts", &self.hosts)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
