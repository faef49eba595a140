//! Directory notification: a hint that a look is worth while. The periodic look is the truth.

use std::path::PathBuf;

use crossbeam_channel::Sender;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tracing::debug;

/// Wakes the feeder when something happens below a place.
pub(super) struct Watch {
    /// Held: dropping it ends the notification.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches what can be watched; what cannot is left to the periodic look.
    pub(super) fn start(places: &[PathBuf], wake: Sender<()>) -> Self {
        let handler = move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(|event| !is_news(event.kind)) {
                return;
            }
            // A wake that is on its way is enough.
            let _ = wake.try_send(());
        };
        let mut watcher = match notify::recommended_watcher(handler) {
            Ok(watcher) => watcher,
            Err(error) => {
                debug!(%error, "no directory notification");
                return Self { _watcher: None };
            }
        };
        for place in places {
            let mut folder = place.as_path();
            while !folder.is_dir() {
                let Some(parent) = folder.parent() else { break };
                folder = parent;
            }
            // A place that is not there yet must not have everything above it watched.
            let mode = if folder == place {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            if let Err(error) = watcher.watch(folder, mode) {
                debug!(%error, place = %place.display(), "no directory notification here");
            }
        }
        Self {
            _watcher: Some(watcher),
        }
    }
}

/// Reading a file is none: the feeder does it all the time.
fn is_news(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
