//! One connection: its state, its lifetime and its byte counts.
//!
//! A connection being answered stays open as long as bytes move, and while a body arrives as long
//! as that is fast enough (`pace.rs`). `room.rs` decides which connections make room for others.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, interval};

use super::pace::Pace;
use super::rate::{Bucket, network};

/// A connection being answered must move [`MOVED_LEAST`] bytes within this time, which is longer
/// than any answer takes to compute.
pub(super) const STALL: Duration = Duration::from_mins(1);
/// A client that moves fewer bytes is only holding on to its place.
const MOVED_LEAST: u64 = 256;
/// When room is short, a connection whose client has read nothing of its answer for this long makes
/// way.
const BLOCKED: Duration = Duration::from_secs(1);

/// State of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    /// The client's network: see [`network`].
    pub(super) network: IpAddr,
    /// Bytes read and written.
    moved: AtomicU64,
    state: Mutex<State>,
    /// Notified when the connection must end.
    cut: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests not yet fully answered.
    requests: usize,
    /// When it was opened, or its last request began or ended.
    since: Instant,
    /// Since when the client has been reading nothing of an answer.
    blocked_since: Option<Instant>,
    /// Pace of the arriving body.
    pace: Option<Pace>,
    /// Its place among the connections being answered.
    place: Option<OwnedSemaphorePermit>,
    uses: Uses,
    stage: Stage,
    is_cut: bool,
    /// Its remaining requests for health and metrics.
    watching: Option<Bucket>,
}

/// Scarce resource that a request needs in addition to its connection's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Uses {
    /// Nothing.
    #[default]
    Nothing,
    /// Memory for a pushed body.
    Push,
    /// A place among the requests being scored.
    Score,
}

/// Stage of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Requests arrive and are answered.
    #[default]
    Open,
    /// A request waits for a place.
    Waiting,
    /// Everything was answered; further input is discarded.
    Ending,
}

/// Order in which connections make room: idle ones first, then those with unread answers, then
/// those with slow bodies; within each kind the smallest number first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// Negated seconds since the last answer.
    Idle(f64),
    /// Negated seconds in which nothing was read.
    Blocked(f64),
    /// Bytes per second.
    Slow(f64),
}

impl Standing {
    /// Sort key.
    pub(super) fn order(self) -> (u8, f64) {
        match self {
            Self::Idle(seconds) => (0, seconds),
            Self::Blocked(seconds) => (1, seconds),
            Self::Slow(rate) => (2, rate),
        }
    }
}

impl Connection {
    /// A newly accepted connection.
    pub(super) fn new(id: u64, peer: IpAddr) -> Self {
        Self {
            id,
            network: network(peer),
            moved: AtomicU64::new(0),
            state: Mutex::new(State {
                requests: 0,
                since: Instant::now(),
                blocked_since: None,
                pace: None,
                place: None,
                uses: Uses::Nothing,
                stage: Stage::Open,
                is_cut: false,
                watching: None,
            }),
            cut: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a request as begun; it lasts until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.since = Instant::now();
        Busy(Arc::clone(self))
    }

    /// Sets the resource that the current request uses from now on.
    pub(super) fn uses(&self, what: Uses) {
        self.state().uses = what;
    }

    /// Sets the pace when a body starts to arrive, and clears it at its end.
    pub(super) fn set_pace(&self, pace: Option<Pace>) {
        let mut state = self.state();
        // Until now the client may have sent first and read later, as many do.
        if let (None, Some(since)) = (&pace, &mut state.blocked_since) {
            *since = Instant::now();
        }
        state.pace = pace;
    }

    /// Accesses the pace of the arriving body, if there is one.
    pub(super) fn with_pace<T>(&self, look: impl FnOnce(&mut Pace) -> T) -> Option<T> {
        self.state().pace.as_mut().map(look)
    }

    /// Gives it a place among the connections being answered.
    pub(super) fn take_place(&self, place: OwnedSemaphorePermit) {
        self.state().place = Some(place);
    }

    /// True if it has one.
    pub(super) fn has_place(&self) -> bool {
        self.state().place.is_some()
    }

    /// Its stage.
    pub(super) fn stage(&self) -> Stage {
        self.state().stage
    }

    /// Sets its stage; a connection that is ending gives up its place.
    pub(super) fn set_stage(&self, stage: Stage) {
        let mut state = self.state();
        state.stage = stage;
        if stage == Stage::Ending {
            state.since = Instant::now();
            state.place = None;
        }
    }

    /// Since when no request has begun or ended here; `None` if the connection must end.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        (!state.is_cut).then_some(state.since)
    }

    /// Whether, and how soon, it has to make room for others that need `what`, or its place if that
    /// is [`Uses::Nothing`].
    pub(super) fn standing(&self, what: Uses, now: Instant) -> Option<Standing> {
        let state = self.state();
        let has = match what {
            Uses::Nothing => state.place.is_some(),
            other => state.uses == other,
        };
        if !has || state.is_cut || state.stage != Stage::Open {
            return None;
        }
        if state.requests == 0 {
            let idle = now.saturating_duration_since(state.since);
            return Some(Standing::Idle(-idle.as_secs_f64()));
        }
        if let Some(pace) = &state.pace {
            return pace.slowness(now).map(Standing::Slow);
        }
        let blocked = now.saturating_duration_since(state.blocked_since?);
        (blocked >= BLOCKED).then_some(Standing::Blocked(-blocked.as_secs_f64()))
    }

    /// Ends it: at once, or with an answer if a body is arriving.
    pub(super) fn end(&self) {
        let mut state = self.state();
        if let Some(pace) = &mut state.pace {
            // The connection is not closed: the reader of the body fails, and the client gets a
            // 408 that says why.
            return pace.cut();
        }
        // It no longer counts among those that could make room.
        state.is_cut = true;
        self.cut.notify_one();
    }

    /// Takes one of the `per_s` requests per second for health and metrics that it may make, or
    /// returns the seconds until one is available.
    pub(super) fn watch(&self, per_s: f64) -> Result<(), u64> {
        let now = Instant::now().into_std();
        let mut state = self.state();
        let bucket = state
            .watching
            .get_or_insert_with(|| Bucket::new(per_s, now));
        bucket.take(per_s, now)
    }

    /// Waits until the connection must end: because others need its place or nothing has moved.
    pub(super) async fn must_end(&self) {
        let mut look = interval(STALL);
        // An interval ticks at once the first time, when nothing can have moved.
        look.tick().await;
        let mut moved = self.moved.load(Ordering::Relaxed);
        loop {
            tokio::select! {
                () = self.cut.notified() => return,
                _ = look.tick() => {}
            }
            let now = self.moved.load(Ordering::Relaxed);
            // hyper ends what is idle: that is the time of the next request's headers.
            if self.state().requests > 0 && now - moved < MOVED_LEAST {
                return;
            }
            moved = now;
        }
    }

    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records whether the client reads what is written.
    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        match polled {
            Poll::Ready(Ok(bytes)) => {
                self.count(*bytes);
                self.state().blocked_since = None;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.state().blocked_since.get_or_insert_with(Instant::now);
            }
        }
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests = state.requests.saturating_sub(1);
        state.since = Instant::now();
        state.blocked_since = None;
        // The resource was for this request alone; the next one asks again.
        state.uses = Uses::Nothing;
    }
}

/// An answer whose connection is busy until its end.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) body: Body,
    pub(super) _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted<S> {
    pub(super) stream: S,
    pub(super) connection: Arc<Connection>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.connection.count(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.connection.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.connection.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Seconds until a connection must end that moves `bytes` a second, of at most an hour.
    async fn ends_after(is_busy: bool, bytes: usize) -> Option<u64> {
        let known = Arc::new(Connection::new(0, [192, 0, 2, 1].into()));
        let busy = is_busy.then(|| known.begin());
        let moving = Arc::clone(&known);
        let moved = tokio::spawn(async move {
            loop {
                moving.count(bytes);
                sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        let ended = timeout(Duration::from_hours(1), known.must_end()).await;
        moved.abort();
        drop(busy);
        ended.ok().map(|()| begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn who_moves_nothing_or_next_to_nothing_is_cut_off() {
        // An answer a byte a second, or one that nobody reads.
        assert_eq!(ends_after(true, 1).await, Some(60));
        assert_eq!(ends_after(true, 0).await, Some(60));
        // Slow, but it comes to an end. hyper has its own clock for who is idle.
        assert_eq!(ends_after(true, 100).await, None);
        assert_eq!(ends_after(false, 0).await, None);
    }
}
