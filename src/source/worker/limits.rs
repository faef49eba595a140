//! Limits of a worker process, and its termination.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// Environment variable with the limit of the worker's address space, in MiB.
pub(super) const MEMORY_VARIABLE: &str = "OJAD_WORKER_MEMORY_MIB";

/// Environment variable with the size that the allocator reserves at a time, in KiB.
pub(super) const RESERVE_VARIABLE: &str = "MIMALLOC_ARENA_RESERVE";
/// A fraction of the smallest limit that the configuration allows.
pub(super) const RESERVE_KIB: &str = "32768";

/// Environment variables of the daemon that a worker inherits: for library paths and debugging
/// tools. A file might take over the worker, so the rest, such as the token of the HTTP server and
/// other secrets, is withheld.
const SEEN: [&str; 7] = [
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "LLVM_PROFILE_FILE",
    "ASAN_OPTIONS",
    "TZ",
];

/// The variables of this process that a worker inherits.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| SEEN.iter().any(|seen| name == seen))
}

/// Makes the worker die with the daemon, ignore signals meant for it, and respect its memory limit.
pub(super) fn apply() -> io::Result<()> {
    // The kernel must do this, because a daemon that is killed cannot end its worker itself.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Ctrl-C and the service manager reach all processes of the group: the daemon drains first.
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
        flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let mib = std::env::var(MEMORY_VARIABLE).ok();
    if let Some(mib) = mib.and_then(|mib| mib.parse::<u64>().ok()) {
        limit(Resource::As, mib << 20)?;
    }
    // A crash is expected here; a core file of it would fill the disk.
    limit(Resource::Core, 0)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    // The limit that the process was started with cannot be raised, and asking for more would
    // fail.
    let most = hard.map_or(most, |hard| hard.min(most));
    setrlimit(
        resource,
        Rlimit {
            current: Some(most),
            maximum: hard,
        },
    )?;
    Ok(())
}
