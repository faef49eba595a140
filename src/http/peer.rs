//! The peer of a request, and the end of its connection.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header::CONNECTION;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{Connection, Uses};
use super::room::Connections;

/// The peer of a request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The address.
    pub ip: IpAddr,
    /// The connection.
    pub connection: Arc<Connection>,
    pub(super) connections: Arc<Connections>,
}

impl Peer {
    /// Takes `units` of a scarce resource for its request, for which slower requests may have to
    /// make way; `None` if there was no room within two seconds.
    pub async fn room(
        &self,
        what: Uses,
        from: &Arc<Semaphore>,
        units: u32,
    ) -> Option<OwnedSemaphorePermit> {
        let permit = self.connections.room(what, from, units).await;
        if permit.is_some() {
            self.connection.uses(what);
        }
        permit
    }
}

/// True for requests for health or metrics, which are answered even if all places are taken, at a
/// separate rate.
pub(super) fn is_watching<T>(request: &hyper::Request<T>) -> bool {
    let is_asking = matches!(*request.method(), Method::GET | Method::HEAD);
    is_asking && matches!(request.uri().path(), "/-/healthy" | "/-/ready" | "/metrics")
}

/// Closes the connection without waiting for the rest of the request.
pub(super) fn hang_up(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}
