//! The server: a separate thread, with limits on connections and on the duration of everything.
//!
//! `room.rs` decides who gets a place and who makes way, `pace.rs` how fast bodies must arrive, and
//! `linger.rs` how a connection ends so that its client sees the answer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use super::HttpParams;
use super::api::router;
use super::connection::{Answering, Counted};
use super::guard::later;
use super::linger::linger;
use super::paced::Paced;
use super::peer::{Peer, hang_up, is_watching};
use super::room::{Connections, ENDING_MAX, LOBBY_MAX, Opened};
use super::shared::Shared;
use super::tls::{self, TlsAcceptor, TlsError};
use crate::published::Published;

/// Time for the headers of a request; also how long a connection may be idle between two.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Time for a TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Time allowed for answers in progress at the end of a run.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of the headers of a request, and of what is read ahead of a body.
const BUFFER_BYTES: usize = 64 << 10;
/// Backlog of connections not yet accepted; the system may have a lower limit.
const UNACCEPTED_MAX: u32 = 4096;
/// System errors that mean there is no room for another connection.
const SHORTAGES: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
/// Pause before accepting again after these and any other errors.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(1);
/// Open files reserved for the rest of the daemon: feeds, state, snapshots.
const FILES_BESIDE: u64 = 256;
/// Priority of the server's thread: below that of learning, above that of scoring. Thousands of
/// small requests, or gigabytes of bodies, then slow down each other rather than the learner.
const NICE: i32 = 10;
/// Threads for answers that take long or wait for the disk.
const BLOCKING_THREADS: usize = 8;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be bound.
    #[error("http.listen {listen}: {source}; choose an address of this machine and a free port")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The certificate or its key does not fit.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Address that it listens on: the port that was given, or the one that was free.
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

/// Refuses an unusable certificate or key before anything else is done.
///
/// # Errors
/// Names the file and the remedy.
pub fn check(params: &HttpParams) -> Result<(), HttpError> {
    acceptor(params)?;
    Ok(())
}

fn acceptor(params: &HttpParams) -> Result<Option<TlsAcceptor>, TlsError> {
    let tls = params.keys.tls();
    tls.map(|(certificate, key)| tls::acceptor(certificate, key))
        .transpose()
}

/// Starts to serve a run.
///
/// # Errors
/// If the address cannot be bound, or the certificate is unusable.
pub fn start(params: &HttpParams, live: Arc<Published>) -> Result<Server, HttpError> {
    let shared = Shared::new(params.clone(), live);
    serve(params, move || router(shared))
}

/// Starts to listen; answers are computed on the server's thread, at its priority.
pub(super) fn serve(
    params: &HttpParams,
    make: impl FnOnce() -> Router + Send + 'static,
) -> Result<Server, HttpError> {
    let failed = |source| HttpError::Listen {
        listen: params.listen,
        source,
    };
    let tls = acceptor(params)?;
    let places = allow_files(params.keys.connections);
    // One thread for all connections, so that one priority holds for all of them; slow work goes
    // to the few blocking threads.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("ojad-http-work")
        .build();
    let runtime = runtime.map_err(failed)?;
    let listener = {
        // A socket registers with the runtime that it is made in. Listening here reports an
        // address that is taken before the run begins.
        let _entered = runtime.enter();
        listen(params.listen).map_err(failed)?
    };
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let least_per_s = params.keys.body_least_bytes_per_s;
    let thread = thread::Builder::new()
        .name("ojad-http".into())
        .spawn(move || {
            // On Linux a priority is a thread's, and no process id means the thread that asks.
            if let Err(error) = setpriority_process(None, NICE) {
                tracing::debug!(%error, "could not lower the priority of the HTTP server");
            }
            let listening = Listening {
                router: make(),
                tls,
                connections: Arc::new(Connections::new(places)),
                sockets: Arc::new(Semaphore::new(places + LOBBY_MAX + ENDING_MAX)),
                least_per_s,
            };
            listening.run(&runtime, listener, stopped);
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

/// Listens with a long backlog, so that many simultaneous connections do not force others to retry.
fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A daemon that starts again has its port at once.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(UNACCEPTED_MAX)
}

/// Raises the limit of open files, which is often 1024, and returns how many connections it allows.
fn allow_files(connections: usize) -> usize {
    let beside = FILES_BESIDE + (LOBBY_MAX + ENDING_MAX) as u64;
    let wanted = connections as u64 + beside;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return connections;
    };
    let allowed = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = Rlimit {
        current: Some(allowed.max(current)),
        maximum: limit.maximum,
    };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    let files = if is_raised { allowed } else { current };
    if files >= wanted {
        return connections;
    }
    // The daemon needs its own files more than clients need connections.
    let fewer = usize::try_from(files.saturating_sub(beside)).unwrap_or(connections);
    let fewer = fewer.clamp(1, connections);
    tracing::warn!(
        connections,
        files,
        places = fewer,
        "the limit on open files is below what `http.connections` needs, so fewer connections are \
         served at a time; raise the limit (LimitNOFILE=) or lower the key"
    );
    fewer
}

struct Listening {
    router: Router,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    /// Permits for open connections, whatever their stage.
    sockets: Arc<Semaphore>,
    /// Minimum bytes per second of a body.
    least_per_s: u64,
}

impl Listening {
    fn run(&self, runtime: &Runtime, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let (ending, _) = watch::channel(());
        runtime.block_on(async {
            tokio::select! {
                _ = &mut stopped => {}
                () = self.accept(&listener, &ending) => {}
            }
            // Dropped first, so that the port is free for the next daemon while the last answers
            // are sent.
            drop(listener);
            // Each connection holds a receiver: it hears of the end, and is gone when it is through.
            ending.send_replace(());
            let _ = timeout(END_PATIENCE, ending.closed()).await;
        });
    }

    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener, ending: &watch::Sender<()>) {
        loop {
            // Those that were told to end do so at once: this is not waited for in earnest.
            let Ok(socket) = Arc::clone(&self.sockets).acquire_owned().await else {
                return;
            };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    let errno = Errno::from_io_error(&error);
                    if errno.is_some_and(|errno| SHORTAGES.contains(&errno)) {
                        self.connections.shed();
                        sleep(SHORTAGE_PAUSE).await;
                    } else {
                        // A client that went away: another one may do better.
                        sleep(PAUSE).await;
                    }
                    continue;
                }
            };
            // Small answers are not to wait for more.
            let _ = stream.set_nodelay(true);
            let opened = self.connections.open(peer.ip());
            let talk = Talk {
                router: self.router.clone(),
                peer: Peer {
                    ip: peer.ip(),
                    connection: Arc::clone(&opened.connection),
                    connections: Arc::clone(&self.connections),
                },
                least_per_s: self.least_per_s,
                ending: ending.subscribe(),
            };
            let tls = self.tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        let shaken = tokio::select! {
                            shaken = timeout(HANDSHAKE_PATIENCE, tls.accept(stream)) => shaken,
                            // A client that does not finish its handshake may be pushed out of the
                            // lobby as well.
                            () = opened.connection.must_end() => return,
                        };
                        if let Ok(Ok(stream)) = shaken {
                            talk.converse(stream, &opened).await;
                        }
                    }
                    None => talk.converse::<TcpStream>(stream, &opened).await,
                }
                drop((opened, socket));
            });
            // Whoever was taken before is heard before the next one may push it out of the lobby.
            yield_now().await;
        }
    }
}

/// Everything that is needed to answer a connection.
struct Talk {
    router: Router,
    peer: Peer,
    least_per_s: u64,
    ending: watch::Receiver<()>,
}

impl Talk {
    /// Answers the requests of one connection.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S, opened: &Opened) {
        let known = &opened.connection;
        let mut counted = Counted {
            stream,
            connection: Arc::clone(known),
        };
        {
            let talk = (self.router.clone(), self.peer.clone(), self.least_per_s);
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let (router, peer, least_per_s) = talk.clone();
                async move { Ok::<_, Infallible>(answered(router, peer, least_per_s, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_PATIENCE)
                .max_buf_size(BUFFER_BYTES)
                .serve_connection(TokioIo::new(&mut counted), service);
            let mut connection = std::pin::pin!(connection);
            // A client that breaks off is its own affair.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = known.must_end() => return,
                _ = self.ending.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                    return;
                }
            }
        }
        tokio::select! {
            () = linger(&mut counted, known, &self.peer.connections) => {}
            _ = self.ending.changed() => {}
        }
    }
}

/// Answers a request, if its connection has a place or needs none.
async fn answered(
    mut router: Router,
    peer: Peer,
    least_per_s: u64,
    request: hyper::Request<Incoming>,
) -> Response<Answering> {
    let busy = peer.connection.begin();
    let is_watching = is_watching(&request);
    if !is_watching && !peer.connections.claim(&peer.connection).await {
        // The answer needs no place; the connection ends after it.
        let why = "all connections are in use (`http.connections`); try again";
        let mut response = later(StatusCode::SERVICE_UNAVAILABLE, why, 1);
        hang_up(&mut response);
        return response.map(|body| Answering { body, _busy: busy });
    }
    let connection = Arc::clone(&peer.connection);
    let mut request = request.map(|body| {
        if is_watching || body.is_end_stream() {
            Body::new(body)
        } else {
            Body::new(Paced::new(body, &connection, least_per_s))
        }
    });
    request.extensions_mut().insert(peer);
    let mut response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        hang_up(&mut response);
    }
    response.map(|body| Answering { body, _busy: busy })
}
