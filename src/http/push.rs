//! `POST /api/v1/rows`: rows that a client pushes, each body once.
//!
//! A body is collected in memory, within a bound shared by all bodies, and handed to [`Push`] on a
//! thread that may wait for the disk. It takes up memory only for what has arrived, not for what
//! was announced, so clients that announce much and send little keep nobody out. The answer is sent
//! when the rows are on disk, or with `?ack=durable` when a checkpoint contains them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{answer, problem};
use super::connection::Uses;
use super::paced::{TOO_SLOW, is_too_slow};
use super::peer::Peer;
use super::shared::Shared;
use crate::published::{ControlRequest, Published};
use crate::source::follow::{Flaw, Kept, Known, Push, Stage};

/// Content type of a body.
const STREAM: &str = "application/vnd.apache.arrow.stream";
/// Longest key: a UUID has 36 characters, a path with a date somewhat more.
const KEY_MAX: usize = 200;
/// Memory for all bodies in transit, as a multiple of the largest body.
const BODIES_LARGEST: u64 = 4;
/// Unit of that memory.
const UNIT: u64 = 1 << 10;
/// Most bodies being written at once; more wait, because the disk's queue is hardly longer.
const WRITERS_MAX: usize = 8;
/// Longest time for a body to arrive.
const BODY_PATIENCE: Duration = Duration::from_mins(1);
/// Longest time that `?ack=durable` waits for a checkpoint; one takes a few seconds at most on a
/// healthy disk.
const ACK_PATIENCE: Duration = Duration::from_secs(30);
/// How often a checkpoint is requested while waiting for one, and while the spool is crowded.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Room for bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    memory: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    most: u64,
    /// When a checkpoint was last requested because of a crowded spool.
    hurried: Mutex<Option<Instant>>,
}

impl Bodies {
    /// Room for a few bodies of at most `most` bytes.
    pub fn new(most: u64) -> Self {
        let units = BODIES_LARGEST * units(most);
        let units = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            memory: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            writers: Arc::new(Semaphore::new(WRITERS_MAX)),
            most,
            hurried: Mutex::default(),
        }
    }

    /// True if the last request was long enough ago: clients that keep retrying while there is no
    /// room must not make the daemon write checkpoints without a pause.
    fn may_hurry(&self) -> bool {
        let mut hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        let may = hurried.is_none_or(|at| at.elapsed() >= ASK_EVERY);
        if may {
            *hurried = Some(Instant::now());
        }
        may
    }
}

fn units(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT).max(1)
}

/// `POST /api/v1/rows`
pub(super) async fn rows(
    State(shared): State<Shared>,
    Extension(bodies): Extension<Arc<Bodies>>,
    request: Request,
) -> Response {
    let Some(push) = shared.live.push().cloned() else {
        let why = "this run does not accept pushed rows; add \"push:\" to `source.inputs`";
        return problem(StatusCode::NOT_FOUND, why);
    };
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.remove::<Peer>();
    let asked = (parts.uri.query(), &parts.headers);
    let (key, is_patient) = match asked_for(asked.0, asked.1) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_answer(),
    };
    let (body, place) = match collect(&bodies, peer.as_ref(), &parts.headers, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_answer(),
    };
    let kept = {
        let (push, key) = (Arc::clone(&push), key.clone());
        let Ok(writer) = Arc::clone(&bodies.writers).acquire_owned().await else {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is shutting down",
            );
        };
        // The body's memory is given back there, even if the client has gone meanwhile.
        tokio::task::spawn_blocking(move || {
            let kept = push.keep(&key, &body);
            drop((body, place, writer));
            kept
        })
        .await
    };
    // Files go when two checkpoints have their rows.
    if push.is_crowded() && bodies.may_hurry() {
        shared.live.request(ControlRequest::Checkpoint);
    }
    let (status, known) = match kept {
        Ok(Kept::Accepted(known)) => ("accepted", known),
        Ok(Kept::Duplicate(known)) => ("duplicate", known),
        Ok(other) => return refused(other),
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    // What the disk may not have is sure only when a checkpoint has it.
    let must_wait = is_patient || known.stage == Stage::Unsure;
    let known = if must_wait {
        settle(&push, &shared.live, &key, known).await
    } else {
        known
    };
    tell(status, known, is_patient)
}

/// The early refusal of a request.
struct Refusal {
    status: StatusCode,
    why: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
            retry_after: None,
        }
    }

    fn into_answer(self) -> Response {
        match self.retry_after {
            None => problem(self.status, &self.why),
            Some(when) => later(self.status, &self.why, when),
        }
    }
}

/// The key, and whether the answer waits for a checkpoint.
fn asked_for(query: Option<&str>, headers: &HeaderMap) -> Result<(String, bool), Refusal> {
    let is_patient = match query {
        None | Some("") => false,
        Some("ack=durable") => true,
        Some(_) => {
            let why = "the only parameter allowed is `ack=durable`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
        }
    };
    let mut keys = headers.get_all("idempotency-key").iter();
    let key = keys.next().map(HeaderValue::as_bytes).unwrap_or_default();
    let is_fine = (1..=KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if !is_fine || keys.next().is_some() {
        let why = "send one `Idempotency-Key` of 1 to 200 visible ASCII characters, new for every \
                   body and the same whenever a body is sent again";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("");
    if !kind.trim().eq_ignore_ascii_case(STREAM) {
        let why = format!("send an Arrow IPC stream, with `Content-Type: {STREAM}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    Ok((String::from_utf8_lossy(key).into_owned(), is_patient))
}

/// The whole body, and its share of the memory.
async fn collect(
    bodies: &Bodies,
    peer: Option<&Peer>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Refusal> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok());
    let declared = declared.and_then(|len| len.parse::<u64>().ok());
    if declared.is_some_and(|len| len > bodies.most) {
        return Err(too_large(bodies));
    }
    // What could not be held in the end is not to be sent in vain: there must be room for all of it now.
    drop(room(bodies, peer, units(declared.unwrap_or(1))).await?);
    let Ok(collected) = timeout(BODY_PATIENCE, arrive(bodies, peer, body)).await else {
        let why = "the body took longer than a minute to arrive; push it in parts";
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, why));
    };
    collected
}

/// Receives a body; memory is reserved before each piece is kept.
async fn arrive(
    bodies: &Bodies,
    peer: Option<&Peer>,
    mut body: Body,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Refusal> {
    let mut bytes = Vec::new();
    let mut place: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_too_slow(&error) {
                return Refusal::new(StatusCode::REQUEST_TIMEOUT, TOO_SLOW);
            }
            let why = "the body ended too soon; send the request again";
            Refusal::new(StatusCode::BAD_REQUEST, why)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let len = (bytes.len() + data.len()) as u64;
        if len > bodies.most {
            return Err(too_large(bodies));
        }
        let held = place.as_ref().map_or(0, |place| place.num_permits() as u64);
        let more = units(len).saturating_sub(held);
        if more > 0 {
            let more = room(bodies, peer, more).await?;
            match &mut place {
                None => place = Some(more),
                Some(place) => place.merge(more),
            }
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, place))
}

fn too_large(bodies: &Bodies) -> Refusal {
    let why = format!(
        "a body may have at most {} bytes (`http.body_mib`); push it in parts, each with its own key",
        bodies.most
    );
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// Takes memory, for which bodies that arrive too slowly have to make way.
async fn room(
    bodies: &Bodies,
    peer: Option<&Peer>,
    units: u64,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    let place = match peer {
        Some(peer) => peer.room(Uses::Push, &bodies.memory, units).await,
        None => Arc::clone(&bodies.memory)
            .try_acquire_many_owned(units)
            .ok(),
    };
    place.ok_or_else(|| {
        let why = "too many bodies are being received; send the request again";
        Refusal {
            retry_after: Some(Duration::from_secs(1)),
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, why)
        }
    })
}

/// Waits until a checkpoint contains the rows or they are refused; returns what is then known.
async fn settle(push: &Push, live: &Published, key: &str, mut known: Known) -> Known {
    let deadline = Instant::now() + ACK_PATIENCE;
    let mut changes = live.settled.subscribe();
    let mut asked: Option<Instant> = None;
    loop {
        // Marked before looking, so that a change after the look is not missed.
        changes.mark_unchanged();
        if let Some(now) = push.look(key) {
            known = now;
        }
        let now = Instant::now();
        let is_settled = matches!(known.stage, Stage::Durable | Stage::Refused { .. });
        if is_settled || now >= deadline {
            return known;
        }
        // A checkpoint from before the rows were taken is of no use.
        if matches!(known.stage, Stage::Taken { .. })
            && asked.is_none_or(|at| now >= at + ASK_EVERY)
            // Recorded only if the request was accepted; otherwise it is made again at the next
            // look.
            && live.request(ControlRequest::Checkpoint)
        {
            asked = Some(now);
        }
        // Nothing changed, or it did: both are looked at.
        let _ = timeout_at(deadline.min(now + ASK_EVERY), changes.changed()).await;
    }
}

/// The answer for a body that is kept, now or before.
fn tell(status: &str, known: Known, is_patient: bool) -> Response {
    let is_durable = match known.stage {
        Stage::Refused { reason } => {
            let reason = reason.unwrap_or_else(|| "see /api/v1/quarantine".to_owned());
            let rows = known.rows;
            let why = format!(
                "the rows after the first {rows}, which were learned, were refused: {reason}. \
                 Correct the rest and send it with a new key"
            );
            return problem(StatusCode::UNPROCESSABLE_ENTITY, &why);
        }
        Stage::Unsure => {
            let why =
                "the rows may not be on disk yet and are in no checkpoint; send the request again";
            let soon = Duration::from_secs(1);
            return later(StatusCode::SERVICE_UNAVAILABLE, why, soon);
        }
        Stage::Durable => true,
        Stage::Writing | Stage::Kept | Stage::Taken { .. } => false,
    };
    let mut body = json!({ "status": status, "rows": known.rows, "is_durable": is_durable });
    if !is_patient {
        return answer(StatusCode::ACCEPTED, &body);
    }
    if is_durable {
        return answer(StatusCode::OK, &body);
    }
    let reason = format!(
        "the rows are on disk and will be learned, but no checkpoint had them within {} s; send \
         the request again to check",
        ACK_PATIENCE.as_secs()
    );
    body["reason"] = reason.into();
    answer(StatusCode::ACCEPTED, &body)
}

fn refused(kept: Kept) -> Response {
    match kept {
        Kept::OtherBody => problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the key belongs to another body; use a new key for every body",
        ),
        Kept::Flawed(Flaw::NoStream(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Kept::Flawed(Flaw::Disagrees(why)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Kept::Full(when) => {
            let why = "the spool of rows waiting to be learned is full (`source.spool_mib`); send the request again";
            later(StatusCode::TOO_MANY_REQUESTS, why, when)
        }
        Kept::Failed(why) => later(
            StatusCode::SERVICE_UNAVAILABLE,
            &why,
            Duration::from_secs(1),
        ),
        // Answered where they come from.
        Kept::Accepted(known) | Kept::Duplicate(known) => tell("duplicate", known, false),
    }
}

/// A refusal that says when to retry.
fn later(status: StatusCode, why: &str, when: Duration) -> Response {
    let mut response = problem(status, why);
    let seconds = when.as_millis().div_ceil(1000) as u64;
    let seconds = HeaderValue::from(seconds);
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}
