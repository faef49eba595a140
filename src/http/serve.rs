//! The server: a thread of its own, with limits on connections and on the time of everything.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::HttpParams;
use super::api::{Shared, router};
use super::live::Live;

/// Connections at a time; the next one waits to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// Time for the headers of a request; also how long a connection may be idle between two.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Longest life of a connection: what reads its answer too slowly ends too.
const CONNECTION_MAX: Duration = Duration::from_mins(5);
/// Bytes of the headers of a request.
const HEADER_BYTES: usize = 16 << 10;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[error("http.listen {listen}: {source}; choose an address of this machine and a free port")]
pub struct HttpError {
    /// The address.
    listen: SocketAddr,
    /// What the system said.
    source: io::Error,
}

/// A server that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Where it listens: the port that was given, or the one that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A server that panicked is told by the log.
            let _ = thread.join();
        }
    }
}

/// Starts to listen.
///
/// # Errors
/// If the address cannot be had.
pub fn start(params: &HttpParams, live: Arc<Live>) -> Result<Server, HttpError> {
    let failed = |source| HttpError {
        listen: params.listen,
        source,
    };
    let listener = TcpListener::bind(params.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let params = params.clone();
    let thread = thread::Builder::new()
        .name("ojad-http".into())
        .spawn(move || {
            if let Err(error) = run(&runtime, listener, params, live, stopped) {
                tracing::error!(%error, "the HTTP server ended");
            }
            // Whoever still reads an answer is not waited for.
            runtime.shutdown_background();
        })
        .map_err(failed)?;
    Ok(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

fn run(
    runtime: &Runtime,
    listener: TcpListener,
    params: HttpParams,
    live: Arc<Live>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = Shared::new(params, live);
        let service = TowerToHyperService::new(router(shared));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = tokio::select! {
                _ = &mut stopped => return Ok(()),
                place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
            };
            let accepted = tokio::select! {
                _ = &mut stopped => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Too many open files, or a client that went away: others may do better.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_PATIENCE)
                .max_buf_size(HEADER_BYTES)
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(async move {
                // A client that breaks off is its own affair.
                let _ = timeout(CONNECTION_MAX, connection).await;
                drop(place);
            });
        }
    })
}
