//! Standard input, FIFOs and sockets → growing stream files. Pushed bodies: `push.rs`.
//!
//! Data from a pipe cannot be read again, so it is kept in a file until a checkpoint contains its
//! rows: the other guarantees then follow from those for growing files. Each connection gets one
//! file, `NAME-NUMBER.arrows`, whose name never changes because decisions refer to it. Only this
//! process knows whether a connection is open, because none outlives it. When the limit of waiting
//! bytes is reached, nothing more is read, and the producer has to wait.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::pull::{self, Connect};
use super::push::Push;
use super::shared::Shared;
use super::state::IngestState;
use crate::disk::Disk;
use crate::source::SourceParams;

mod connections;
mod owner;
mod progress;
mod sockets;

pub use connections::Connections;

/// Name prefixes of files that do not come from a source.
const PIPES: [&str; 4] = ["stdin-", "fifo-", "socket-", "push-"];

/// Origin of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolInput {
    /// Standard input, once.
    Stdin,
    /// A FIFO, writer after writer.
    Fifo(PathBuf),
    /// A Unix socket to listen on.
    Socket(PathBuf),
    /// A pull source.
    Source(Connect),
    /// Bodies that clients push: see [`Spool::take_pushed`].
    Push,
}

/// Why streams cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {action}: {source}; {remedy}", path.display())]
#[non_exhaustive]
pub struct SpoolError {
    /// The FIFO, socket or directory.
    path: PathBuf,
    /// The operation that failed.
    action: &'static str,
    /// The error of the system.
    source: io::Error,
    /// The remedy.
    remedy: &'static str,
}

/// Streams on their way into files.
pub struct Spool {
    shared: Arc<Shared>,
    push: Option<Arc<Push>>,
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Spool {
    /// Starts to read `inputs` into `directory`, at most `bytes_max` ahead of [`Spool::release`];
    /// `is_ours` says whether the directory still belongs to this process, and `wake` is called
    /// when something arrives.
    ///
    /// # Errors
    /// If the directory cannot be created, or an input cannot be opened.
    pub fn start(
        directory: &Path,
        inputs: &[SpoolInput],
        bytes_max: u64,
        is_ours: Box<dyn Fn() -> bool + Send + Sync>,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, SpoolError> {
        let (held, next) = owner::recover(directory).map_err(|source| SpoolError {
            path: directory.to_owned(),
            action: "cannot keep streams here",
            source,
            remedy: "make `state.dir` writable",
        })?;
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            bytes_max,
            held: AtomicU64::new(held),
            next: AtomicU64::new(next),
            live: AtomicUsize::new(inputs.iter().filter(|i| **i != SpoolInput::Push).count()),
            stop: AtomicBool::new(false),
            failures: Mutex::default(),
            made_way: AtomicU64::new(0),
            open: Mutex::default(),
            is_ours,
            wake,
        });
        for input in inputs {
            spawn(input, &shared)?;
        }
        Ok(Self { shared, push: None })
    }

    /// Accepts pushed bodies from now on, continuing after those known to `state`; they are checked
    /// according to `source`.
    ///
    /// # Errors
    /// If the spool cannot be listed or synced.
    pub fn take_pushed(
        &mut self,
        disk: Arc<dyn Disk>,
        state: &IngestState,
        source: &SourceParams,
    ) -> Result<Arc<Push>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        let push = Push::open(shared, disk, state, source).map_err(|source| SpoolError {
            path: self.shared.directory.clone(),
            action: "cannot keep pushed rows here",
            source,
            remedy: "make `state.dir` writable",
        })?;
        let push = Arc::new(push);
        self.push = Some(Arc::clone(&push));
        Ok(push)
    }

    /// True if clients may push something at any time.
    pub fn takes_pushed(&self) -> bool {
        self.push.is_some()
    }

    /// True if no input will ever deliver anything again; pushing clients do not count.
    pub fn is_ended(&self) -> bool {
        self.shared.live.load(Ordering::Acquire) == 0
    }

    /// Errors since the last call.
    pub fn failures(&self) -> Vec<String> {
        self.shared
            .failures
            .lock()
            .map(|mut failures| std::mem::take(&mut *failures))
            .unwrap_or_default()
    }

    /// Silent connections that made way for new ones since the last call.
    pub fn made_way(&self) -> u64 {
        self.shared.made_way.swap(0, Ordering::Relaxed)
    }

    /// Removes a file whose rows are all in a checkpoint; returns its size in bytes.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn release(&self, path: &Path) -> io::Result<u64> {
        let bytes = fs::metadata(path)?.len();
        // Only files of sources name a position; what others sent is not looked into here.
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if !PIPES.iter().any(|pipe| stem.starts_with(pipe)) {
            pull::before_removal(path)?;
        }
        fs::remove_file(path)?;
        if let Some(push) = &self.push {
            push.released(path);
        }
        self.shared.held.fetch_sub(bytes, Ordering::Relaxed);
        Ok(bytes)
    }

    /// The connections open now.
    pub fn connections(&self) -> Connections {
        // The lock is held while the next number is read, so that a connection that begins now is
        // either in both or in neither.
        let open = self.shared.open();
        Connections {
            open: open.clone(),
            next: self.shared.next.load(Ordering::Acquire),
        }
    }

    /// True if `path` holds bytes that cannot be sent again: from a pipe or a socket, as opposed to
    /// pushed bodies and sources, which are on disk before they are acknowledged.
    pub fn is_pipe(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut pipes = PIPES.iter().filter(|pipe| **pipe != "push-");
        pipes.any(|pipe| name.starts_with(pipe))
    }

    /// The current name in `directory` of a file that a state calls `path`: states of the first
    /// version use `.open` while its connection is open, and the state directory may have been
    /// moved. `None` if the name has not changed or the file is not in a spool.
    pub fn name_now(directory: &Path, path: &Path) -> Option<PathBuf> {
        if path.parent()?.file_name() != directory.file_name() {
            return None;
        }
        let there = directory.join(path.file_name()?);
        let mut now = there.clone();
        if now.extension().is_some_and(|e| e == "open") {
            now.set_extension("arrows");
        }
        let has_moved = || {
            let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
            !is_there(path) && (is_there(&there) || is_there(&now))
        };
        (now != path && (there == path || has_moved())).then_some(now)
    }
}

fn spawn(input: &SpoolInput, shared: &Arc<Shared>) -> Result<(), SpoolError> {
    let failed = |path: &Path, action, remedy| {
        let path = path.to_owned();
        move |source| SpoolError {
            path,
            action,
            source,
            remedy,
        }
    };
    let shared = Arc::clone(shared);
    let started = match input {
        // Whoever pushes does it on a thread of his own.
        SpoolInput::Push => return Ok(()),
        SpoolInput::Stdin => thread::Builder::new()
            .name("ojad-stdin".into())
            .spawn(move || {
                shared.session("stdin", &mut io::stdin());
                shared.leave();
            }),
        SpoolInput::Fifo(path) => {
            let meta = fs::metadata(path);
            let is_fifo = meta.and_then(|meta| {
                if meta.file_type().is_fifo() {
                    Ok(())
                } else {
                    Err(io::Error::other("it is not a FIFO"))
                }
            });
            is_fifo.map_err(failed(path, "cannot be read", "make it with mkfifo"))?;
            let path = path.clone();
            thread::Builder::new()
                .name("ojad-fifo".into())
                .spawn(move || {
                    fifo(&path, &shared);
                    shared.leave();
                })
        }
        SpoolInput::Socket(path) => {
            let listener = listen(path).map_err(failed(
                path,
                "cannot listen",
                "choose a path in a writable directory that no other program listens on",
            ))?;
            thread::Builder::new()
                .name("ojad-socket".into())
                .spawn(move || {
                    sockets::accept(&listener, &shared);
                    shared.leave();
                })
        }
        SpoolInput::Source(connect) => {
            let connect = connect.clone();
            thread::Builder::new()
                .name("ojad-source".into())
                .spawn(move || {
                    pull::pull(&connect, &shared);
                    shared.leave();
                })
        }
    };
    started.map(drop).map_err(failed(
        Path::new("-"),
        "cannot start a thread",
        "raise the limit of threads",
    ))
}

fn fifo(path: &Path, shared: &Shared) {
    while !shared.is_stopped() {
        // Waits until there is a writer.
        match File::open(path) {
            Ok(mut from) => shared.session("fifo", &mut from),
            Err(error) => return shared.fail(format!("{}: {error}", path.display())),
        }
    }
}

/// Listens on a socket; one left by a dead daemon is taken over, but not one that is in use.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    // Connecting is the only way to tell a socket in use from one that a dead process left.
    if is_socket && UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
