//! Startup: from now on streams and pushed rows are stored.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::checkpoint::StateLock;
use crate::daemon::run::belonging::Belonging;
use crate::daemon::run::messages::RunError;
use crate::daemon::run::params::RunParams;
use crate::disk::Disk;
use crate::source::follow::{IngestState, Push, Spool, SpoolInput};

/// Starts to store streams, and follows the directory where they are stored.
pub(super) fn start_spool(
    params: &mut RunParams,
    wake: &Sender<()>,
    disk: &Arc<dyn Disk>,
    (lock, belonging): (&StateLock, &Belonging),
    state: &IngestState,
) -> Result<(Option<Spool>, Option<Arc<Push>>), RunError> {
    let directory = params.state_dir.join("spool");
    if params.streams.is_empty() && !directory.is_dir() {
        return Ok((None, None));
    }
    belonging.claim_spool(&directory, disk.as_ref())?;
    let lock = lock.clone();
    let is_ours = Box::new(move || lock.displaced().is_none());
    let wake = wake.clone();
    let woken = Box::new(move || {
        // A wake that is on its way is enough.
        let _ = wake.try_send(());
    });
    let bytes = params.keys.source.spool_mib << 20;
    let mut spool = Spool::start(&directory, &params.streams, bytes, is_ours, woken)?;
    params.follow.places.push(directory);
    let is_pushed = params.streams.contains(&SpoolInput::Push);
    let push = is_pushed.then(|| spool.take_pushed(Arc::clone(disk), state, &params.source));
    let push = push.transpose()?;
    Ok((Some(spool), push))
}
