//! Fault injection for the crash tests, only in builds with debug assertions.
//!
//! `OJAD_TEST_KILL_AT=N` ends the process by SIGKILL at the N-th step of the write paths; there is
//! a step before and after every operation. `OJAD_TEST_SLOW_MS=T` makes every write and fsync take
//! T ms. `OJAD_TEST_FULL_BELOW=DIR` makes the disk full below DIR while a file DIR.full exists.

use std::sync::Arc;

use crate::disk::Disk;

#[cfg(not(debug_assertions))]
pub(super) fn disk() -> Option<Arc<dyn Disk>> {
    None
}

#[cfg(debug_assertions)]
pub(super) fn disk() -> Option<Arc<dyn Disk>> {
    use crate::disk::hindered::{HinderedDisk, Hindrance};
    use crate::disk::killing::KillingDisk;

    let variable = |name: &str| std::env::var(name).ok();
    if let Some(at) = variable("OJAD_TEST_KILL_AT").and_then(|at| at.parse().ok()) {
        return Some(Arc::new(KillingDisk::new(at)));
    }
    let delay = variable("OJAD_TEST_SLOW_MS").and_then(|ms| ms.parse().ok());
    let full_below = variable("OJAD_TEST_FULL_BELOW").map(std::path::PathBuf::from);
    if delay.is_none() && full_below.is_none() {
        return None;
    }
    Some(Arc::new(HinderedDisk::new(Hindrance {
        delay: std::time::Duration::from_millis(delay.unwrap_or(0)),
        full_below,
    })))
}
