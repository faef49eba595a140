//! The body of a request, ended if it arrives too slowly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::Connection;
use super::pace::Pace;

/// The body arrived too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body arrived too slowly")]
struct TooSlow;

/// True if reading a body failed because it arrived too slowly.
pub(super) fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut chain = Some(error);
    // axum and hyper wrap the error of a body in their own.
    while let Some(error) = chain {
        if error.is::<TooSlow>() {
            return true;
        }
        chain = error.source();
    }
    false
}

/// Answer to a client whose body arrived too slowly.
pub(super) const TOO_SLOW: &str = "the body arrived too slowly: below \
    `http.body_least_bytes_per_s`, or slower than others while there was no room for more; send \
    the request again";

/// The body of a request, ended if it arrives too slowly.
pub(super) struct Paced {
    body: Incoming,
    connection: Arc<Connection>,
    alarm: Pin<Box<Sleep>>,
}

impl Paced {
    /// Wraps `body`, which arrives over `connection`.
    pub(super) fn new(body: Incoming, connection: &Arc<Connection>, least_per_s: u64) -> Self {
        let now = Instant::now();
        let pace = Pace::new(now, least_per_s, body.size_hint().exact());
        connection.set_pace(Some(pace));
        Self {
            body,
            connection: Arc::clone(connection),
            alarm: Box::pin(sleep_until(now)),
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.connection.set_pace(None);
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let now = Instant::now();
        let connection = Arc::clone(&self.connection);
        let until = connection.with_pace(|pace| match &polled {
            // Even if a frame is ready, because the room was promised to somebody else.
            _ if pace.is_cut() => Err(TooSlow),
            Poll::Ready(frame) => {
                let frame = frame.as_ref().and_then(|frame| frame.as_ref().ok());
                let data = frame.and_then(Frame::data_ref);
                pace.came(now, data.map_or(0, Bytes::len) as u64);
                Ok(None)
            }
            Poll::Pending => {
                pace.set_waker(context.waker().clone());
                Ok(Some(pace.wait(now)))
            }
        });
        let until = match until {
            None | Some(Ok(None)) => {
                return polled.map(|frame| frame.map(|frame| frame.map_err(BoxError::from)));
            }
            Some(Ok(Some(until))) => until,
            Some(Err(slow)) => return Poll::Ready(Some(Err(slow.into()))),
        };
        // Needs its own timer, because a client that sends nothing never wakes the body.
        self.alarm.as_mut().reset(until);
        let is_over = self.alarm.as_mut().poll(context).is_ready();
        if is_over {
            connection.with_pace(Pace::cut);
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
