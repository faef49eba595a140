//! Connections to a Unix socket: their number is limited, and silent ones make way.
//!
//! A client that connects and sends nothing could keep others out for ever. So when all places are
//! taken and another client is waiting, the connection silent longest is closed: first those that
//! have sent no rows, then those between two messages, and those within a message only after ten
//! seconds. Data sent before is read to its end, and a client that continues gets an error from the
//! system (`EPIPE`).

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::source::follow::shared::{LOOK_EVERY, Shared};

/// Most simultaneous connections per socket; one more is accepted and waits.
const CONNECTIONS_MAX: usize = 64;
/// Silence after which a connection that has sent no rows may be closed.
const SILENT_WITHOUT_ROWS: Duration = Duration::from_secs(1);
/// The same after a complete message.
const SILENT_BETWEEN: Duration = Duration::from_secs(5);
/// The same in the middle of a message, which is then lost.
const SILENT_WITHIN: Duration = Duration::from_secs(10);

/// A client.
#[derive(Debug)]
struct Client {
    from: UnixStream,
    seen: Mutex<ScannedFile>,
}

/// Its state.
#[derive(Debug, Default)]
struct ScannedFile {
    progress: Progress,
    /// Since when the daemon has been waiting for it; `None` while the daemon itself is not
    /// reading.
    waiting_since: Option<Instant>,
    is_closed: bool,
}

impl ScannedFile {
    /// Rank in the order of closing, and the required silence.
    fn standing(&self) -> (u8, Duration) {
        match (self.progress.has_rows(), self.progress.is_between()) {
            (false, _) => (0, SILENT_WITHOUT_ROWS),
            (true, true) => (1, SILENT_BETWEEN),
            (true, false) => (2, SILENT_WITHIN),
        }
    }
}

impl Client {
    fn seen(&self) -> MutexGuard<'_, ScannedFile> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its bytes, on their way into a file.
struct Bytes(Arc<Client>);

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.seen().waiting_since = Some(Instant::now());
        let read = (&self.0.from).read(buffer);
        let mut seen = self.0.seen();
        seen.waiting_since = None;
        if let Ok(n) = read {
            seen.progress.take(&buffer[..n]);
        }
        read
    }
}

/// All connected clients.
#[derive(Debug, Default)]
struct Clients(Mutex<HashMap<u64, Arc<Client>>>);

impl Clients {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection that has been silent longest within the first rank; returns whether
    /// one had been silent long enough.
    fn make_way(&self, now: Instant) -> bool {
        let all = self.all();
        let mut first: Option<(u8, Instant, Duration, &Arc<Client>)> = None;
        for client in all.values() {
            let seen = client.seen();
            if seen.is_closed {
                // Its place is free in a moment.
                return false;
            }
            let (class, silent) = seen.standing();
            let Some(since) = seen.waiting_since else {
                continue;
            };
            // Released early, because the connection's thread takes this lock for every read.
            drop(seen);
            if first.is_none_or(|(other, before, ..)| (class, since) < (other, before)) {
                first = Some((class, since, silent, client));
            }
        }
        let Some((_, since, silent, client)) = first else {
            return false;
        };
        if now.saturating_duration_since(since) < silent {
            return false;
        }
        client.seen().is_closed = true;
        // What it has sent is read first. One that is gone already needs no word.
        let _ = client.from.shutdown(Shutdown::Both);
        true
    }
}

/// Accepts connections until the spool is stopped.
pub(super) fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    let clients = Arc::new(Clients::default());
    for id in 0_u64.. {
        let from = match listener.accept() {
            _ if shared.is_stopped() => return,
            Ok((from, _)) => from,
            Err(error) => {
                shared.fail(format!("a connection could not be accepted: {error}"));
                thread::sleep(LOOK_EVERY);
                continue;
            }
        };
        // After `accept`, so that somebody is known to be waiting before anybody is closed.
        while clients.all().len() >= CONNECTIONS_MAX {
            if shared.is_stopped() {
                return;
            }
            if clients.make_way(Instant::now()) {
                shared.made_way.fetch_add(1, Ordering::Relaxed);
                shared.wake();
            }
            thread::sleep(LOOK_EVERY);
        }
        let client = Arc::new(Client {
            from,
            seen: Mutex::default(),
        });
        clients.all().insert(id, Arc::clone(&client));
        let (of, all) = (Arc::clone(shared), Arc::clone(&clients));
        let started = thread::Builder::new()
            .name("ojad-connection".into())
            .spawn(move || {
                of.session("socket", &mut Bytes(client));
                all.all().remove(&id);
            });
        if let Err(error) = started {
            clients.all().remove(&id);
            shared.fail(format!("cannot start a thread for a connection: {error}"));
        }
    }
}
