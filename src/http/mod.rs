//! What a run shows over HTTP: its status, its components, its metrics. Off unless `http.listen` is set.
//!
//! In: a [`Live`] view that the trainer renews, never more than a fiftieth of its time. Out: JSON,
//! and Prometheus' text. Nothing here can stall learning: a request reads an immutable copy. The
//! server listens on loopback unless told otherwise, and then only with a token.

mod answer;
mod api;
mod guard;
mod live;
mod metrics;
mod model;
mod page;
mod serve;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use live::{Ask, Latest, Live};
pub use serve::{HttpError, Server, start};
pub use status::{Convergence, RunState, Status};

use crate::config::ControlKey;

/// How the server listens, and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpParams {
    /// Address and port.
    pub listen: SocketAddr,
    /// What a client must send as `Authorization: Bearer TOKEN`; nothing on loopback, if so wished.
    pub token: Option<Arc<str>>,
    /// Names by which the server is called, beside its address and `localhost`.
    pub hosts: Vec<String>,
    /// Certificate chain and private key, PEM files; nothing for plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Connections at a time.
    pub connections: usize,
    /// Requests a second of one client address.
    pub requests_per_s: u32,
    /// Largest body of a request.
    pub body_bytes: u64,
    /// Rows that one request may have scored.
    pub score_rows: u64,
    /// Whether snapshots and reloads can be asked for.
    pub control: ControlKey,
    /// Id column by which rows are coloured.
    pub label: Option<String>,
    /// Height and width of the image that the features are.
    pub feature_shape: Option<[usize; 2]>,
    /// Standard error of directions at which a run counts as converged, radians.
    pub target_angle_rad: f64,
    /// Directory of snapshots.
    pub output_dir: PathBuf,
}
