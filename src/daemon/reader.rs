//! The reader thread: fills minibatches ahead of the trainer.

use std::io;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};

use crate::daemon::shutdown::Shutdown;
use crate::rows::Minibatch;
use crate::source::{Extent, Reader, SourceError};

/// A filled minibatch and how far reading had come with it.
pub(super) struct Filled {
    pub(super) batch: Minibatch,
    pub(super) extent: Extent,
    pub(super) rows_read: u64,
}

/// What the thread leaves when it ends by itself.
pub(super) struct Ended {
    pub(super) reader: Reader,
    pub(super) error: Option<SourceError>,
}

/// Takes empty minibatches from `empty`, fills them and passes them on, until the inputs end, an
/// error comes, the trainer is gone or `shutdown` is raised.
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
                let Ok(mut batch) = empty.recv() else { break };
                match reader.fill(&mut batch) {
                    Ok(0) => break,
                    Ok(_) => {
                        let extent = reader.extent();
                        let rows_read = reader.tally().rows_read;
                        if filled
                            .send(Filled {
                                batch,
                                extent,
                                rows_read,
                            })
                            .is_err()
                        {
                            break;
                        }
                    }
                    Err(refused) => {
                        error = Some(refused);
                        break;
                    }
                }
            }
            Ended { reader, error }
        })
}
