//! The server: a thread of its own, with limits on connections and on the time of everything.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::HttpParams;
use super::api::{Shared, router};
use super::connection::{Answering, Connections, Counted, Opened};
use super::live::Live;
use super::tls::{self, TlsError};

/// Time for the headers of a request; also how long a connection may be idle between two.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Time for a TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Time that answers under way have at the end of a run.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of the headers of a request, and of what is read ahead of a body.
const BUFFER_BYTES: usize = 64 << 10;
/// Files that the rest of the daemon has open: feeds, state, snapshots.
const FILES_BESIDE: u64 = 256;
/// Priority of the server's thread: below that of learning, above that of scoring. Thousands of small
/// requests, or bodies of gigabytes, then slow each other down and not the learner.
const NICE: i32 = 10;
/// Threads for answers that take long or wait for the disk.
const BLOCKING_THREADS: usize = 8;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be had.
    #[error("http.listen {listen}: {source}; choose an address of this machine and a free port")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
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

/// Refuses a certificate or key that does not fit, before anything else is done.
///
/// # Errors
/// Names the file and the remedy.
pub fn check(params: &HttpParams) -> Result<(), HttpError> {
    acceptor(params)?;
    Ok(())
}

fn acceptor(params: &HttpParams) -> Result<Option<TlsAcceptor>, TlsError> {
    let tls = params.tls.as_ref();
    tls.map(|(certificate, key)| tls::acceptor(certificate, key))
        .transpose()
}

/// Starts to show a run.
///
/// # Errors
/// If the address cannot be had, or there is a certificate that does not fit.
pub fn start(params: &HttpParams, live: Arc<Live>) -> Result<Server, HttpError> {
    let shared = Shared::new(params.clone(), live);
    serve(params, move || router(shared))
}

/// Starts to listen; what is answered is made on the server's own thread, at its priority.
pub(super) fn serve(
    params: &HttpParams,
    make: impl FnOnce() -> Router + Send + 'static,
) -> Result<Server, HttpError> {
    let failed = |source| HttpError::Listen {
        listen: params.listen,
        source,
    };
    let tls = acceptor(params)?;
    allow_files(params.connections);
    let listener = TcpListener::bind(params.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("ojad-http-work")
        .build();
    let runtime = runtime.map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let places = params.connections;
    let thread = thread::Builder::new()
        .name("ojad-http".into())
        .spawn(move || {
            // On Linux a priority is a thread's, and no process id means the thread that asks.
            if let Err(error) = setpriority_process(None, NICE) {
                tracing::debug!(%error, "the HTTP server runs at the priority of learning");
            }
            let listening = Listening {
                router: make(),
                tls,
                connections: Arc::default(),
                places: Arc::new(Semaphore::new(places)),
            };
            if let Err(error) = listening.run(&runtime, listener, stopped) {
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

/// A connection is an open file, and many systems allow a process 1024 until it asks for more.
fn allow_files(connections: usize) {
    let wanted = connections as u64 + FILES_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return;
    };
    let allowed = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = Rlimit {
        current: Some(allowed.max(current)),
        maximum: limit.maximum,
    };
    let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
    if !is_raised || allowed < wanted {
        tracing::warn!(
            connections,
            files = if is_raised { allowed } else { current },
            "fewer files may be open than `http.connections` needs; raise the limit (LimitNOFILE=) or \
             lower the key"
        );
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

struct Listening {
    router: Router,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    places: Arc<Semaphore>,
}

impl Listening {
    fn run(
        &self,
        runtime: &Runtime,
        listener: TcpListener,
        mut stopped: oneshot::Receiver<()>,
    ) -> io::Result<()> {
        let (ending, _) = watch::channel(());
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::select! {
                _ = &mut stopped => {}
                () = self.accept(&listener, &ending) => {}
            }
            drop(listener);
            // Each connection holds a receiver: it hears of the end, and is gone when it is through.
            ending.send_replace(());
            let _ = timeout(END_PATIENCE, ending.closed()).await;
            Ok(())
        })
    }

    /// Takes connections for ever.
    async fn accept(&self, listener: &tokio::net::TcpListener, ending: &watch::Sender<()>) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Too many open files, or a client that went away: others may do better.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let places = Arc::clone(&self.places);
            if places.available_permits() == 0 {
                // Where all are being answered, the newcomer waits for the first that is through.
                self.connections.make_room();
            }
            let Ok(place) = places.acquire_owned().await else {
                return;
            };
            // Small answers are not to wait for more.
            let _ = stream.set_nodelay(true);
            let opened = self.connections.open();
            let (router, tls, ending) = (self.router.clone(), self.tls.clone(), ending.subscribe());
            tokio::spawn(async move {
                let peer = Peer(peer.ip());
                match tls {
                    Some(tls) => {
                        let shaken = timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await;
                        if let Ok(Ok(stream)) = shaken {
                            converse(stream, peer, &opened, router, ending).await;
                        }
                    }
                    None => converse::<TcpStream>(stream, peer, &opened, router, ending).await,
                }
                drop(place);
            });
        }
    }
}

/// Answers the requests of one connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    opened: &Opened,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    let known = &opened.connection;
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let busy = known.begin();
        let mut router = router.clone();
        async move {
            request.extensions_mut().insert(peer);
            let answer = router.call(request.map(Body::new)).await?;
            Ok::<_, Infallible>(answer.map(|body| Answering { body, _busy: busy }))
        }
    });
    let counted = Counted {
        stream,
        connection: Arc::clone(known),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(counted), service);
    let mut connection = std::pin::pin!(connection);
    // A client that breaks off is its own affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = known.must_end() => return,
        _ = ending.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
