//! One request from its body to its answer: pieces in, work by the scoring threads, pieces out.
//!
//! The server's thread only passes pieces on. The body is accepted as fast as it arrives, and the
//! answer is produced no faster than it is read; the work in between is done step by step by a
//! scoring thread, so that a slow client occupies no thread.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::pool::Pool;
use super::{DEADLINE, Held, Refusal, too_large};
use crate::http::paced::{TOO_SLOW, is_too_slow};

/// Most pieces of an answer waiting to be sent; each comes from one step, about a megabyte at most.
const PIECES_AHEAD: usize = 2;
/// Bytes of an answer held back: an error within these still gets its proper status.
const UNDECIDED_BYTES: usize = 1 << 20;
/// Longest time for reading the rest of a refused body.
const DRAIN: Duration = Duration::from_secs(10);

/// Scoring work that proceeds step by step.
pub(super) trait Work: Send {
    /// Takes a piece of the body.
    fn push(&mut self, piece: Bytes);
    /// Marks the end of the body.
    fn end(&mut self);
    /// Works for a few milliseconds.
    fn step(&mut self) -> Result<Step, Refusal>;
}

/// Outcome of a step.
pub(super) enum Step {
    /// This many more bytes of the body, or its end, are needed to continue.
    Hungry(usize),
    /// A piece of the answer.
    Answer(Vec<u8>),
    /// The answer is complete.
    Over,
}

/// Sender of the pieces of a body.
pub(super) struct Intake(mpsc::UnboundedSender<Result<Bytes, Refusal>>);

/// Receiver of the pieces; the channel holds one body at most, which `pump` bounds.
pub(super) type Pieces = mpsc::UnboundedReceiver<Result<Bytes, Refusal>>;

impl Intake {
    pub fn new() -> (Self, Pieces) {
        let (to, from) = mpsc::unbounded_channel();
        (Self(to), from)
    }
}

/// Receives a body; the rest of a refused one is read and discarded.
pub(super) async fn pump(mut body: Body, bytes_max: u64, mut held: Held, to: Intake) {
    let taken = async {
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let refusal = if is_too_slow(&error) {
                        Refusal::new(StatusCode::REQUEST_TIMEOUT, TOO_SLOW)
                    } else {
                        Refusal::new(StatusCode::BAD_REQUEST, "the body ended early")
                    };
                    let _ = to.0.send(Err(refusal));
                    return false;
                }
            };
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            let added = held.add(piece.len() as u64);
            let added = added.and_then(|()| {
                let fits = held.bytes <= bytes_max;
                fits.then_some(piece).ok_or_else(|| too_large(bytes_max))
            });
            let is_refused = added.is_err();
            if to.0.send(added).is_err() || is_refused {
                return true;
            }
        }
        false
    };
    let has_rest = timeout(DEADLINE, taken).await.unwrap_or(false);
    drop(to);
    if has_rest {
        drain(body, bytes_max).await;
    }
}

/// Reads the rest of a body, within bounds, so that its sender gets to read the answer.
pub(super) async fn drain(mut body: Body, bytes_max: u64) {
    let mut left = bytes_max;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len) as u64;
            left = left.saturating_sub(len);
            // A client that sends more than it may is cut off in the end.
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(DRAIN, read).await;
}

/// Processes a request; `head` is told whether there is an answer.
pub(super) async fn drive(
    mut work: Box<dyn Work>,
    pool: &Pool,
    mut pieces: Pieces,
    head: oneshot::Sender<Result<(), Refusal>>,
    answer: mpsc::Sender<Piece>,
) {
    let mut head = Some(head);
    let mut undecided = Vec::new();
    let mut wanted = 0;
    let mut is_over = false;
    loop {
        let mut got = Vec::new();
        let mut len = 0;
        // Without a need only what is there already.
        while !is_over {
            let piece = match pieces.try_recv() {
                Ok(piece) => Some(piece),
                Err(_) if len >= wanted => break,
                Err(_) => pieces.recv().await,
            };
            match piece {
                None => is_over = true,
                Some(Err(refusal)) => return break_off(head, refusal),
                Some(Ok(piece)) => {
                    len += piece.len();
                    got.push(piece);
                }
            }
        }
        let step = pool.run(move || {
            got.into_iter().for_each(|piece| work.push(piece));
            if is_over {
                work.end();
            }
            let step = work.step();
            // Handed back: the work moves to a scoring thread and returns for its next piece.
            (work, step)
        });
        let Some((again, step)) = step.await else {
            let why = "scoring failed; see the log";
            return break_off(head, Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why));
        };
        work = again;
        wanted = 0;
        let is_last = match step {
            Err(refusal) => return break_off(head, refusal),
            Ok(Step::Hungry(bytes)) => {
                wanted = bytes.max(1);
                continue;
            }
            Ok(Step::Answer(bytes)) => {
                undecided.extend_from_slice(&bytes);
                false
            }
            Ok(Step::Over) => true,
        };
        // While nothing is sent, an error can still be answered with its status.
        if head.is_some() && !is_last && undecided.len() < UNDECIDED_BYTES {
            continue;
        }
        if let Some(head) = head.take() {
            // Nobody waits any more: the answer's channel is closed too.
            let _ = head.send(Ok(()));
        }
        let bytes = std::mem::take(&mut undecided);
        if !bytes.is_empty() && answer.send(Some(bytes.into())).await.is_err() {
            return;
        }
        if is_last {
            let _ = answer.send(None).await;
            return;
        }
    }
}

/// Refuses, or if it is too late for that cuts the answer short.
fn break_off(head: Option<oneshot::Sender<Result<(), Refusal>>>, refusal: Refusal) {
    if let Some(head) = head {
        let _ = head.send(Err(refusal));
    } else {
        tracing::info!(reason = refusal.detail, "an answer was cut short");
    }
}

/// Bytes of an answer, or its end.
type Piece = Option<Bytes>;

/// An answer on its way.
pub(super) struct Answer(mpsc::Receiver<Piece>);

impl Answer {
    pub fn new() -> (Self, mpsc::Sender<Piece>) {
        let (to, from) = mpsc::channel(PIECES_AHEAD);
        (Self(from), to)
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|piece| match piece {
            Some(Some(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(None) => None,
            // Cut short: a client must not take it for whole.
            None => Some(Err(io::Error::other("the answer was cut short"))),
        })
    }
}
