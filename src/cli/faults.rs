//! Faults on demand, for the crash tests: in builds with debug assertions alone.
//!
//! `OJAD_TEST_KILL_AT=N` ends the process by SIGKILL at the N-th step of the write paths; a step lies
//! before and behind every operation.

use std::sync::Arc;

use crate::disk::Disk;

#[cfg(not(debug_assertions))]
pub(super) fn disk() -> Option<Arc<dyn Disk>> {
    None
}

#[cfg(debug_assertions)]
pub(super) fn disk() -> Option<Arc<dyn Disk>> {
    let at = std::env::var("OJAD_TEST_KILL_AT").ok()?.parse().ok()?;
    Some(Arc::new(crate::disk::killing::KillingDisk::new(at)))
}
