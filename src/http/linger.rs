//! Closes a connection whose client may still be sending.
//!
//! Closing a socket with unread bytes from the client resets the connection, and the client may
//! never see the answer on its way. So its input is read and discarded for a while: until it ends,
//! pauses, or its time is up.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::connection::{Connection, Counted};
use super::room::Connections;

/// Longest total time.
const LINGER: Duration = Duration::from_secs(10);
/// A client silent for this long has stopped sending.
const PAUSE: Duration = Duration::from_secs(2);
/// Most bytes read: a few times the default limit of a body. A client with more to send should read
/// the answer first.
const BYTES_MAX: usize = 256 << 20;
/// Bytes read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// Ends the connection so that its client can read what was answered.
pub(super) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Counted<S>,
    known: &Connection,
    connections: &Connections,
) {
    connections.ending(known);
    let ended = async {
        // A client that has gone needs no shutdown. The write side is shut down first, which
        // flushes the answer and tells the client that nothing follows.
        let shut = poll_fn(|context| Pin::new(&mut *stream).poll_shutdown(context));
        shut.await.ok()?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = BYTES_MAX;
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut buffer));
            timeout(PAUSE, read).await.ok()?.ok()?;
            left = match buffer.filled().len() {
                0 => return None,
                n => left.saturating_sub(n),
            };
        }
        None::<()>
    };
    tokio::select! {
        _ = timeout(LINGER, ended) => {}
        () = known.must_end() => {}
    }
}
