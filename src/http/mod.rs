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

use crate::config::HttpKeys;

/// How the server listens, and what it shows.
#[derive(Clone, PartialEq)]
pub struct HttpParams {
    /// The keys of `[http]`, but for those that the next two fields stand for.
    pub keys: HttpKeys,
    /// Address and port.
    pub listen: SocketAddr,
    /// Token that a client must send as `Authorization: Bearer TOKEN`; optional on loopback.
    pub token: Option<Arc<str>>,
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
            // Another name of the same address, or another file with the same token, is no change.
            keys: HttpKeys {
                listen: None,
                token_file: None,
                ..keys.clone()
            },
            listen,
            token,
            output_dir: output_dir.to_owned(),
        }
    }

    /// Parameters of a server for public pages only, which accepts no data: plain HTTP on loopback
    /// without a token, with the default limits.
    #[cfg(feature = "page")]
    fn unnamed(listen: SocketAddr) -> Self {
        let keys = HttpKeys {
            body_mib: 0,
            score_rows: 0,
            ..HttpKeys::default()
        };
        Self::new(&keys, listen, None, Path::new(""))
    }

    /// Largest body of a request.
    fn body_bytes(&self) -> u64 {
        self.keys.body_mib << 20
    }
}

impl std::fmt::Debug for HttpParams {
    /// Omits the token, which must never be printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpParams")
            .field("listen", &self.listen)
            .field("has_token", &self.token.is_some())
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
