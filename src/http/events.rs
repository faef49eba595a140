//! `GET /api/v1/events`: the status and changes of the components, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use http_body_util::channel::{Channel, Sender};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::problem;
use super::shared::Shared;
use super::streams::Place;

/// Shortest time between two statuses in a stream.
const EVERY: Duration = Duration::from_secs(1);
/// Longest silence in a stream, so that both sides notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A client that reads nothing for this long is considered gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Milliseconds after which a disconnected client reconnects.
const RETRY_MS: u32 = 1000;

/// `GET /api/v1/events`
pub(super) async fn events(State(shared): State<Shared>) -> Response {
    let Some(place) = Place::of(&shared.streams) else {
        let why = "too many event streams are open; close one, or poll /api/v1/status";
        return problem(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(8);
    tokio::spawn(async move {
        // A client that went away has seen enough.
        let _ = feed(sender, &shared).await;
        drop(place);
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::new(body)).into_response()
}

/// Sends until the client disconnects or stops reading.
async fn feed(mut to: Sender<Bytes, Infallible>, shared: &Shared) -> Option<()> {
    let mut renewed = shared.live.renewed.subscribe();
    let mut rows = None;
    say(&mut to, format!("retry: {RETRY_MS}\n\n")).await?;
    loop {
        renewed.borrow_and_update();
        let now = Instant::now();
        let status = serde_json::to_string(shared.live.status.get().as_ref()).ok()?;
        say(&mut to, format!("event: status\ndata: {status}\n\n")).await?;
        let shown = shared
            .live
            .snapshot
            .get()
            .as_ref()
            .as_ref()
            .map(|s| s.estimate.rows);
        if shown != rows {
            rows = shown;
            let rows = serde_json::to_string(&serde_json::json!({ "rows": shown })).ok()?;
            say(&mut to, format!("event: components\ndata: {rows}\n\n")).await?;
        }
        loop {
            match timeout(HEARTBEAT, renewed.changed()).await {
                Ok(Ok(())) => break,
                // The run has ended: nothing new will come.
                Ok(Err(_)) => return None,
                Err(_) => say(&mut to, ": still here\n\n".into()).await?,
            }
        }
        // Changes in between are reported together, with the newest values.
        sleep_until(now + EVERY).await;
    }
}

async fn say(to: &mut Sender<Bytes, Infallible>, text: String) -> Option<()> {
    timeout(PATIENCE, to.send_data(text.into()))
        .await
        .ok()?
        .ok()
}
