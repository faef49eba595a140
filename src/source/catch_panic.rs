//! Calls into the decoders, which panic on some corrupt files: a panic becomes an error that
//! names the file.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use super::SourceError;

thread_local! {
    /// Nesting depth of [`catch`] on this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Suppresses the default message of a decoder's panic on stderr; every other panic is still
/// reported.
///
/// To be called at program start: a panic hook is global, so a library must not set it unasked.
pub fn quiet_decoder_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                before(info);
            }
        }));
    });
}

/// Runs `decode`; a panic in it is an error that names `path`.
///
/// The caller must drop whatever `decode` was modifying when it panicked.
pub(super) fn catch<T>(
    path: &Path,
    decode: impl FnOnce() -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    DEPTH.set(DEPTH.get() + 1);
    let ended = panic::catch_unwind(AssertUnwindSafe(decode));
    DEPTH.set(DEPTH.get() - 1);
    ended.unwrap_or_else(|panic| {
        Err(SourceError::Corrupt {
            path: path.to_owned(),
            reason: format!("the decoder gave up ({})", message(panic.as_ref())),
        })
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
