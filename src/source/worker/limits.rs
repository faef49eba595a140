//! Limits of a worker process, and its end.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// Names the limit for the worker's address space, in MiB.
pub(super) const MEMORY_VARIABLE: &str = "OJAD_WORKER_MEMORY_MIB";

/// Names what the allocator reserves at a time, in KiB.
pub(super) const RESERVE_VARIABLE: &str = "MIMALLOC_ARENA_RESERVE";
/// A part of the least limit that the configuration allows.
pub(super) const RESERVE_KIB: &str = "32768";

/// Variables of the daemon that a worker sees: where libraries are, what a debugging tool wants. A file
/// may take the worker over; the rest, the token of the HTTP server and whatever else the daemon was given
/// in secret, is not for it.
const SEEN: [&str; 7] = [
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "LLVM_PROFILE_FILE",
    "ASAN_OPTIONS",
    "TZ",
];

/// The variables of this process that a worker sees.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| SEEN.iter().any(|seen| name == seen))
}

/// Dies with the daemon, leaves its signals to it, and takes no more memory than it may.
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
