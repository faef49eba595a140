//! Rows of a client → scores, by the components shown now: `POST /api/v1/transform` and `/score`.
//!
//! In: rows as an Arrow IPC stream or JSON, their features by name in any order. Out: scores in the
//! same format, piece by piece while rows still come. A request is scored with the immutable copy
//! current at its arrival. Learning does not wait for it: the arithmetic runs on threads of the
//! lowest priority ([`pool`]), which get the processor only when nothing else needs it.
//!
//! A request may hold a body of `http.body_mib`, which is read completely even if the answer is not
//! (a client that sends everything before reading anything must not wait for ever); the answer is
//! produced as it is read, a megabyte ahead. All requests together may hold [`BODIES`] such bodies.
//!
//! Refusals, before the first megabyte of the answer: 400 for invalid Arrow or JSON, 408 if it
//! takes too long, 413 for too many bytes or rows, 415 for other types, 422 for other features and
//! infinite values, 429 for too many requests, 503 before there are components. After that the
//! answer is cut off.
//!
//! Columns that are not features are refused (422, with their names); `?extra=ignore` leaves them
//! out, `?extra=keep` returns them unchanged before the scores (in JSON: texts, numbers, booleans,
//! null).

mod arrow;
mod columns;
mod drive;
mod json;
mod model;
mod parse;
mod pool;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use self::drive::{Answer, Intake, Work, drain, drive, pump};
use self::model::Model;
use self::pool::Pool;
use super::answer::problem;
use super::connection::Uses;
use super::peer::Peer;
use super::shared::Shared;
use crate::snapshot::Snapshot;

/// Most requests received, scored or answered at a time; the next one is told to retry.
const REQUESTS_MAX: usize = 64;
/// Memory for the bodies of all requests, as a multiple of the largest body.
const BODIES: u64 = 4;
/// Time for a request, from its headers to the end of its answer.
const DEADLINE: Duration = Duration::from_mins(1);
/// A JSON body is held whole, and then its numbers and scores, at some four times its size each.
const JSON_BYTES_MAX: u64 = 16 << 20;
/// Seconds that a client told to retry should wait: requests take less.
const RETRY_AFTER_S: &str = "1";

const ARROW: &str = "application/vnd.apache.arrow.stream";
const JSON: &str = "application/json";

/// The kind of answer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The scores themselves, and what [`What::Score`] gives.
    Transform,
    /// Residual, T², log-likelihood, p-value.
    Score,
}

/// Policy for columns that are not features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Extra {
    #[default]
    Refuse,
    Ignore,
    Keep,
}

/// Why rows were not scored.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    fn features(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    fn answer(&self) -> Response {
        let mut response = problem(self.status, &self.detail);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let wait = HeaderValue::from_static(RETRY_AFTER_S);
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        response
    }
}

/// How one request is to be scored.
#[derive(Clone)]
struct Order {
    what: What,
    extra: Extra,
    rows_max: u64,
    bytes_max: u64,
    snapshot: Arc<Snapshot>,
    scoring: Arc<Scoring>,
}

/// State that all requests share.
pub(super) struct Scoring {
    pool: Pool,
    places: Arc<Semaphore>,
    /// Bytes of the bodies of requests in progress.
    bytes: AtomicU64,
    /// The components of the snapshot requested last.
    model: Mutex<Option<(Arc<Snapshot>, Arc<Model>)>>,
}

impl Scoring {
    /// Starts the threads.
    pub fn start() -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::start(REQUESTS_MAX),
            places: Arc::new(Semaphore::new(REQUESTS_MAX)),
            bytes: AtomicU64::new(0),
            model: Mutex::new(None),
        })
    }

    /// The components of `snapshot`, prepared once.
    fn model(&self, snapshot: &Arc<Snapshot>) -> Arc<Model> {
        let mut known = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            // The pointer is the version: published values are replaced, never changed.
            Some((of, model)) if Arc::ptr_eq(of, snapshot) => Arc::clone(model),
            _ => {
                let model = Arc::new(Model::new(snapshot));
                *known = Some((Arc::clone(snapshot), Arc::clone(&model)));
                model
            }
        }
    }
}

/// Bytes of one body while its request is in progress.
struct Held {
    scoring: Arc<Scoring>,
    bytes: u64,
    bytes_max: u64,
}

impl Held {
    fn add(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.bytes += bytes;
        // Added before it is compared, so that two requests cannot both take the last room.
        let all = self.scoring.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all > self.bytes_max {
            let why = "all request bodies together exceed what this server holds in memory";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, why));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.scoring.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Answers `POST /api/v1/transform` or `/score`.
pub(super) async fn post(
    scoring: Arc<Scoring>,
    what: What,
    shared: Shared,
    request: Request,
) -> Response {
    let body_max = shared.params.body_bytes();
    let (order, is_arrow) = match order(&scoring, what, &shared, &request) {
        Ok(order) => order,
        Err(refusal) => return refuse(&refusal, request.into_body(), body_max),
    };
    // Requests whose bodies come slowly, or whose answers nobody reads, make way for it.
    let place = match request.extensions().get::<Peer>() {
        Some(peer) => peer.room(Uses::Score, &scoring.places, 1).await,
        None => Arc::clone(&scoring.places).try_acquire_owned().ok(),
    };
    let Some(place) = place else {
        let why = format!("{REQUESTS_MAX} requests are being scored already; try again");
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, why);
        return refuse(&refusal, request.into_body(), body_max);
    };
    let held = Held {
        scoring: Arc::clone(&scoring),
        bytes: 0,
        bytes_max: BODIES * body_max,
    };
    let bytes_max = order.bytes_max;
    let work: Box<dyn Work> = if is_arrow {
        Box::new(arrow::Stream::new(order))
    } else {
        Box::new(json::Document::new(order))
    };
    let (intake, pieces) = Intake::new();
    tokio::spawn(pump(request.into_body(), bytes_max, held, intake));
    let (answer, sender) = Answer::new();
    let (head, began) = oneshot::channel();
    tokio::spawn(async move {
        // Whatever is still under way when time is over is dropped, and the answer breaks off.
        let driven = drive(work, &scoring.pool, pieces, head, sender);
        let _ = timeout(DEADLINE, driven).await;
        drop(place);
    });
    match began.await {
        Ok(Ok(())) => {
            let mut response = Response::new(Body::new(answer));
            let kind = HeaderValue::from_static(if is_arrow { ARROW } else { JSON });
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Ok(Err(refusal)) => refusal.answer(),
        Err(_) => {
            let why = format!("it took longer than {} s", DEADLINE.as_secs());
            Refusal::new(StatusCode::REQUEST_TIMEOUT, why).answer()
        }
    }
}

/// Reads the head of a request: the order, and the format.
fn order(
    scoring: &Arc<Scoring>,
    what: What,
    shared: &Shared,
    request: &Request,
) -> Result<(Order, bool), Refusal> {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_arrow = kind.eq_ignore_ascii_case(ARROW);
    if !is_arrow && !kind.eq_ignore_ascii_case(JSON) {
        let why = format!("send rows as `{ARROW}` or `{JSON}`, not as `{kind}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let extra = extra(request.uri())?;
    let bytes_max = if is_arrow {
        shared.params.body_bytes()
    } else {
        shared.params.body_bytes().min(JSON_BYTES_MAX)
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Goes by the announced length, before any of the body is sent. A body that exceeds its
    // announcement is stopped while it arrives.
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let Some(snapshot) = shared.live.snapshot.get().as_ref().clone() else {
        let why = "no rows have been learned yet";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let order = Order {
        what,
        extra,
        rows_max: shared.params.keys.score_rows,
        bytes_max,
        snapshot,
        scoring: Arc::clone(scoring),
    };
    Ok((order, is_arrow))
}

fn extra(uri: &Uri) -> Result<Extra, Refusal> {
    let mut extra = Extra::default();
    let pairs = uri.query().unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        extra = match pair {
            "extra=error" => Extra::Refuse,
            "extra=ignore" => Extra::Ignore,
            "extra=keep" => Extra::Keep,
            _ => {
                let why = "the query must be `extra=error`, `extra=ignore` or `extra=keep`";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
            }
        };
    }
    Ok(extra)
}

fn too_large(bytes_max: u64) -> Refusal {
    let why = format!("the body is larger than {bytes_max} bytes; send fewer rows at a time");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn too_many(rows_max: u64) -> Refusal {
    let why =
        format!("there are more than {rows_max} rows (`http.score_rows`); send fewer at a time");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// Refuses, but keeps reading for a while: many clients read no answer before they have sent their
/// body.
fn refuse(refusal: &Refusal, body: Body, body_max: u64) -> Response {
    tokio::spawn(drain(body, body_max));
    refusal.answer()
}
