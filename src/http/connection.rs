//! One connection: how long it may last, and who makes room when all places are taken.
//!
//! A connection that is answered lives for as long as bytes move. One between two requests is idle, and
//! the one that has been idle longest ends when a newcomer finds no place: clients that only hold on to
//! connections keep nobody out.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, interval};

/// Over so long a time a connection that is being answered must move [`MOVED_LEAST`] bytes. Longer than
/// any answer may take to be made.
const STALL: Duration = Duration::from_mins(1);
/// Less is a client that wants to hold on to its place.
const MOVED_LEAST: u64 = 256;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    /// Bytes read and written.
    moved: AtomicU64,
    /// Requests that are not answered to their end.
    requests: AtomicUsize,
    idle_since: Mutex<Instant>,
    /// Told when it is to end.
    cut: Notify,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

impl Connections {
    /// A new one; it is known until it is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Opened {
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            moved: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            cut: Notify::new(),
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(connection.id, Arc::clone(&connection));
        Opened {
            connection,
            of: Arc::clone(self),
        }
    }

    /// Ends the one that has been idle longest; whether there was one.
    pub(super) fn make_room(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = open
            .values()
            .filter_map(|one| Some((one.idle_since()?, one)));
        let oldest = idle.min_by_key(|(since, one)| (*since, one.id));
        let Some((_, oldest)) = oldest else {
            return false;
        };
        oldest.cut.notify_one();
        true
    }
}

/// A connection that is known to the others until this is dropped.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Arc<Connection>,
    of: Arc<Connections>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.connection.id);
    }
}

impl Connection {
    /// Since when nobody has waited for an answer here.
    fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.requests.load(Ordering::Acquire) == 0;
        let since = self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        is_idle.then_some(*since)
    }

    /// A request has begun; it lasts until what this gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// Waits until the connection must end: a newcomer needs its place, or nothing has moved.
    pub(super) async fn must_end(&self) {
        let mut look = interval(STALL);
        look.tick().await;
        let mut moved = self.moved.load(Ordering::Relaxed);
        loop {
            tokio::select! {
                () = self.cut.notified() => return,
                _ = look.tick() => {}
            }
            let now = self.moved.load(Ordering::Relaxed);
            // hyper ends what is idle: that is the time of the next request's headers.
            if self.idle_since().is_none() && now - moved < MOVED_LEAST {
                return;
            }
            moved = now;
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut since = self
            .0
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
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

impl<S> Counted<S> {
    fn count(&self, bytes: usize) {
        let moved = &self.connection.moved;
        moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(buffer.filled().len() - before);
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
        if let Poll::Ready(Ok(n)) = &written {
            self.count(*n);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(n)) = &written {
            self.count(*n);
        }
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
    async fn ends_after(is_busy: bool, bytes: u64) -> Option<u64> {
        let connections = Arc::new(Connections::default());
        let opened = connections.open();
        let known = Arc::clone(&opened.connection);
        let busy = is_busy.then(|| known.begin());
        let moving = Arc::clone(&known);
        let moved = tokio::spawn(async move {
            loop {
                moving.moved.fetch_add(bytes, Ordering::Relaxed);
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
        // A body a byte a second; an answer that nobody reads.
        assert_eq!(ends_after(true, 1).await, Some(60));
        assert_eq!(ends_after(true, 0).await, Some(60));
        // Slow, but it comes to an end. hyper has its own clock for who is idle.
        assert_eq!(ends_after(true, 100).await, None);
        assert_eq!(ends_after(false, 0).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_been_idle_longest_makes_room() {
        let connections = Arc::new(Connections::default());
        let busy = connections.open();
        let _request = busy.connection.begin();
        assert!(!connections.make_room());
        let first = connections.open();
        sleep(Duration::from_secs(1)).await;
        let second = connections.open();
        sleep(Duration::from_secs(1)).await;
        // It had an answer since: the second has been idle longer.
        drop(first.connection.begin());
        assert!(connections.make_room());
        assert_eq!(
            timeout(STALL / 2, second.connection.must_end()).await,
            Ok(())
        );
        assert!(
            timeout(STALL / 2, first.connection.must_end())
                .await
                .is_err()
        );
        drop(second);
        assert!(connections.make_room());
        assert_eq!(
            timeout(STALL / 2, first.connection.must_end()).await,
            Ok(())
        );
    }
}
