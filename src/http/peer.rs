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
    /// Takes `units` of what there is only so much of for its request, for which slower ones may
    /// have to go; `None` if there was no room in two seconds.
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

/// True if this asks for health or metrics: answered whoever holds all places, and by a rate of its own.
pub(super) fn is_watching<T>(request: &hyper::Request<T>) -> bool {
    let is_asking = matches!(*request.method(), Method::GET | Method::HEAD);
    is_asking && matches!(request.uri().path(), "/-/healthy" | "/-/ready" | "/metrics")
}

/// The rest of the request is not waited for.
pub(super) fn hang_up(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}
