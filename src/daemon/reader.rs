//! Fills minibatches: on request of the trainer, or ahead of it on a separate thread.

use std::io;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};

use crate::daemon::shutdown::Shutdown;
use crate::rows::Minibatch;
use crate::source::{Extent, Reader, SourceError};

/// A filled minibatch and the reading progress at that point.
pub(super) struct Filled {
    pub(super) batch: Minibatch,
    pub(super) extent: Extent,
    pub(super) rows_read: u64,
}

/// Results of a thread that finished by itself.
pub(super) struct Ended {
    pub(super) reader: Reader,
    pub(super) error: Option<SourceError>,
}

/// Fills a minibatch; `None` at the end of the inputs.
pub(super) fn fill(
    reader: &mut Reader,
    mut batch: Minibatch,
) -> Result<Option<Filled>, SourceError> {
    Ok((reader.fill(&mut batch)? > 0).then(|| Filled {
        batch,
        extent: reader.extent(),
        rows_read: reader.counts().rows_read,
    }))
}

/// Takes empty minibatches from `empty`, fills them and passes them on, until the inputs end, an
/// error occurs, the trainer is gone or `shutdown` is raised.
pub(super) fn spawn(
    mut reader: Reader,
    empty: Receiver<Minibatch>,
    filled: Sender<Filled>,
    shutdown: Shutdown,
) -> io::Result<JoinHandle<Ended>> {
    thread::Builder::new()
        .name("ojad-reader".into())
        .spawn(move || {
            let mut error = None;
            while !shutdown.is_requested() {
                let Ok(batch) = empty.recv() else { break };
                match fill(&mut reader, batch) {
                    Ok(Some(more)) => {
                        if filled.send(more).is_err() {
                            break;
                        }
                    }
                    Ok(None) => break,
                    Err(refused) => {
                        error = Some(refused);
                        break;
                    }
                }
            }
            Ended { reader, error }
        })
}
