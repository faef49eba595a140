//! One connection: what is known of it, how long it may last, and its bytes, which are counted.
//!
//! A connection that is answered lives for as long as bytes move, and a body for as long as it comes fast
//! enough (`pace.rs`). Who makes room when others need it: `room.rs`.

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

/// Over so long a time a connection that is being answered must move [`MOVED_LEAST`] bytes. Longer than
/// any answer may take to be made.
pub(super) const STALL: Duration = Duration::from_mins(1);
/// Less is a client that wants to hold on to its place.
const MOVED_LEAST: u64 = 256;
/// Where room is short, an answer of which a client has taken nothing for so long is no answer any more.
const BLOCKED: Duration = Duration::from_secs(1);

/// State of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    /// Whose it is: see [`network`].
    pub(super) network: IpAddr,
    /// Bytes read and written.
    moved: AtomicU64,
    state: Mutex<State>,
    /// Told when it is to end.
    cut: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests that are not answered to their end.
    requests: usize,
    /// When it was opened, or its last request began or ended.
    since: Instant,
    /// Since when the client takes nothing of an answer.
    blocked_since: Option<Instant>,
    /// How fast the body that comes does so.
    pace: Option<Pace>,
    /// Its place among those that are answered.
    place: Option<OwnedSemaphorePermit>,
    uses: Uses,
    stage: Stage,
    is_cut: bool,
    /// Requests for health and metrics that are left to it.
    watching: Option<Bucket>,
}

/// Scarce resource that a request needs, beside its connection's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Uses {
    /// Nothing.
    #[default]
    Nothing,
    /// Memory for a pushed body.
    Push,
    /// A place among the requests that are scored.
    Score,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Requests come and are answered.
    #[default]
    Open,
    /// A request waits for a place.
    Waiting,
    /// All was answered; what the client still sends is passed over.
    Ending,
}

/// Who makes room first: idle connections, then answers that nobody reads, then slow bodies; among them
/// the ones with the smallest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// Seconds below zero since the last answer.
    Idle(f64),
    /// Seconds below zero in which nothing was taken.
    Blocked(f64),
    /// Bytes per second.
    Slow(f64),
}

impl Standing {
    /// To be compared.
    pub(super) fn order(self) -> (u8, f64) {
        match self {
            Self::Idle(seconds) => (0, seconds),
            Self::Blocked(seconds) => (1, seconds),
            Self::Slow(rate) => (2, rate),
        }
    }
}

impl Connection {
    /// One that was just accepted.
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

    /// A request has begun; it lasts until what this gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.since = Instant::now();
        Busy(Arc::clone(self))
    }

    /// Sets the resource that the request under way uses from now on.
    pub(super) fn uses(&self, what: Uses) {
        self.state().uses = what;
    }

    /// A body begins to come, or comes no more.
    pub(super) fn set_pace(&self, pace: Option<Pace>) {
        let mut state = self.state();
        // Until now the client may have sent first and read later, as many do.
        if let (None, Some(since)) = (&pace, &mut state.blocked_since) {
            *since = Instant::now();
        }
        state.pace = pace;
    }

    /// Looks at the pace of the body that comes, if one does.
    pub(super) fn with_pace<T>(&self, look: impl FnOnce(&mut Pace) -> T) -> Option<T> {
        self.state().pace.as_mut().map(look)
    }

    /// Gives it a place among those that are answered.
    pub(super) fn take_place(&self, place: OwnedSemaphorePermit) {
        self.state().place = Some(place);
    }

    /// True if it has one.
    pub(super) fn has_place(&self) -> bool {
        self.state().place.is_some()
    }

    /// How far it is.
    pub(super) fn stage(&self) -> Stage {
        self.state().stage
    }

    /// It is so far now; one that ends needs no place.
    pub(super) fn set_stage(&self, stage: Stage) {
        let mut state = self.state();
        state.stage = stage;
        if stage == Stage::Ending {
            state.since = Instant::now();
            state.place = None;
        }
    }

    /// Since when nothing has begun or ended here; `None` where it is to end.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        (!state.is_cut).then_some(state.since)
    }

    /// Whether and when it has to make room for others that need what it has: a place, where `what` is
    /// [`Uses::Nothing`], or that.
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

    /// Ends it: at once, or, where a body comes, with an answer.
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

    /// Takes one of the requests for health and metrics that it may make, so many a second; seconds until
    /// there is one if there is none.
    pub(super) fn watch(&self, per_s: f64) -> Result<(), u64> {
        let now = Instant::now().into_std();
        let mut state = self.state();
        let bucket = state
            .watching
            .get_or_insert_with(|| Bucket::new(per_s, now));
        bucket.take(per_s, now)
    }

    /// Waits until the connection must end: others need its place, or nothing has moved.
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

    /// Notes whether the client takes what is written.
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

/// A request under way.
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
