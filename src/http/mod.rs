//! What a run shows over HTTP: its status, its components, its metrics. Off unless `http.listen` is set.
//!
//! In: a [`Live`] view that the trainer renews, never more than a fiftieth of its time. Out: JSON,
//! and Prometheus' text. Nothing here can stall learning: a request reads an immutable copy. The
//! server listens on loopback unless told otherwise, and then only with a token.

mod api;
mod guard;
mod live;
mod metrics;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

pub use live::{Live, Status};
pub use serve::{HttpError, Server, start};

/// How the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpParams {
    /// Address and port.
    pub listen: SocketAddr,
    /// What a client must send as `Authorization: Bearer TOKEN`; nothing on loopback, if so wished.
    pub token: Option<Arc<str>>,
    /// Names by which the server is called, beside its address and `localhost`.
    pub hosts: Vec<String>,
}
