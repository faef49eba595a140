//! One pass over finite inputs.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::daemon::reader::{self, Ended, Filled};
use crate::daemon::shutdown::Shutdown;
use crate::learner::{LearnError, Learner, Monitor};
use crate::rows::{Features, Minibatch, RowCounts, Values, Watermark};
use crate::source::{Extent, Reader, SourceError};

/// How often the trainer checks the shutdown flag while no minibatch arrives.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a reader may take to notice a shutdown; after that, one blocked on a silent stream is
/// abandoned.
const READER_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes of waiting minibatches: pages of all columns tend to end together, and these keep the
/// trainer busy while the reader fetches the next page of each.
const CHANNEL_BYTES: usize = 32 << 20;

/// Most minibatches that wait, if they are small.
const CHANNEL_MOST: usize = 64;

/// Queue length and number of threads for filling minibatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Rows in a full minibatch.
    pub minibatch_rows: usize,
    /// Minibatches that may wait between reader and trainer; `None`: chosen from their size.
    pub channel_minibatches: Option<usize>,
    /// 1: read and learn in turn; 2: read ahead on a second thread.
    pub threads: usize,
}

/// Progress of a fit.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Rows read, accepted or rejected.
    pub rows_read: u64,
    /// Total amount to read.
    pub extent: Extent,
}

/// Why a fit ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// An input could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A minibatch could not be learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The reader thread could not be started, or died.
    #[error("the reader thread {what}: {cause}; set `run.threads = 1` to do without it")]
    Thread {
        /// "could not be started" or "died".
        what: &'static str,
        /// The error of the system.
        cause: String,
    },
}

/// Results of a fit besides the learner.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Counts of rows and values.
    pub counts: RowCounts,
    /// The position after the last row learned.
    pub watermark: Watermark,
    /// True if a shutdown stopped it before the end of the inputs.
    pub is_interrupted: bool,
    /// How the features moved.
    pub monitor: Monitor,
}

/// Learns every row of `reader`, calling `progress` after each minibatch.
///
/// Raising `shutdown` ends it cleanly: everything read so far is learned, and the result says that
/// it was interrupted.
///
/// # Errors
/// If an input cannot be read or a minibatch cannot be learned.
pub fn fit(
    reader: Reader,
    learner: &mut dyn Learner,
    room: Room,
    shutdown: &Shutdown,
    progress: &mut dyn FnMut(Progress, &dyn Learner),
) -> Result<Fitted, FitError> {
    let learning = Learning {
        names: reader.features().clone(),
        monitor: Monitor::new(reader.features().len()),
        learner,
        progress,
    };
    if room.threads <= 1 {
        in_turn(reader, learning, room, shutdown)
    } else {
        ahead(reader, learning, room, shutdown)
    }
}

/// The learner and its observers.
struct Learning<'a> {
    learner: &'a mut dyn Learner,
    names: Features,
    monitor: Monitor,
    progress: &'a mut dyn FnMut(Progress, &dyn Learner),
}

impl Learning<'_> {
    /// Learns a minibatch and returns its memory.
    fn learn(&mut self, filled: Filled) -> Result<Minibatch, FitError> {
        self.monitor.update(&filled.batch);
        let learned = self.learner.update(filled.batch);
        let mut batch = learned.map_err(|error| error.of(self.names.names()))?;
        // A worker continues as soon as its memory is back, not when this is filled again.
        batch.give_back();
        let now = Progress {
            rows_read: filled.rows_read,
            extent: filled.extent,
        };
        (self.progress)(now, &*self.learner);
        Ok(batch)
    }

    /// The results once the reader has finished or was stopped.
    fn fitted(self, reader: &Reader, shutdown: &Shutdown) -> Fitted {
        Fitted {
            counts: reader.counts().clone(),
            watermark: reader.watermark(),
            is_interrupted: shutdown.is_requested(),
            monitor: self.monitor,
        }
    }
}

fn in_turn(
    mut reader: Reader,
    mut learning: Learning<'_>,
    room: Room,
    shutdown: &Shutdown,
) -> Result<Fitted, FitError> {
    let mut batch = reader.new_minibatch(room.minibatch_rows);
    while !shutdown.is_requested() {
        let Some(filled) = reader::fill(&mut reader, batch)? else {
            break;
        };
        batch = learning.learn(filled)?;
    }
    Ok(learning.fitted(&reader, shutdown))
}

fn ahead(
    reader: Reader,
    mut learning: Learning<'_>,
    room: Room,
    shutdown: &Shutdown,
) -> Result<Fitted, FitError> {
    let first = reader.new_minibatch(room.minibatch_rows);
    let waiting = room
        .channel_minibatches
        .unwrap_or_else(|| channel_minibatches(&first));
    // One more than may wait: the reader fills it while the others do.
    let buffers = waiting.max(1) + 1;
    let (to_reader, empty) = bounded(buffers + 1);
    let (to_trainer, filled) = bounded(buffers);
    // The channel has room for all of them.
    let _ = to_reader.send(first);
    for _ in 1..buffers {
        let _ = to_reader.send(reader.new_minibatch(room.minibatch_rows));
    }
    let thread = reader::spawn(reader, empty, to_trainer, shutdown.clone()).map_err(
        |cause: io::Error| FitError::Thread {
            what: "could not be started",
            cause: cause.to_string(),
        },
    )?;
    let mut rows_read = 0;
    let mut deadline = None;
    while let Some(arrived) = next(&filled, shutdown, &mut deadline) {
        rows_read = arrived.rows_read;
        let batch = learning.learn(arrived)?;
        // A reader that has ended needs no more minibatches.
        let _ = to_reader.send(batch);
    }
    // Dropping both ends wakes a reader that waits for either channel.
    drop((to_reader, filled));
    match finish(thread, shutdown)? {
        Some(Ended {
            error: Some(error), ..
        }) => Err(error.into()),
        Some(Ended {
            reader,
            error: None,
        }) => Ok(learning.fitted(&reader, shutdown)),
        None => Ok(Fitted {
            counts: RowCounts {
                rows_read,
                // The reader has the exact counts but is still blocked, so only what the learner
                // saw is known.
                rows_accepted: learning.learner.rows(),
                rows_rejected: rows_read.saturating_sub(learning.learner.rows()),
                ..RowCounts::default()
            },
            watermark: Watermark::default(),
            is_interrupted: true,
            monitor: learning.monitor,
        }),
    }
}

/// How many minibatches like `one` may wait: one decoded chunk fills several, and the trainer needs
/// work until the next chunk is decoded.
fn channel_minibatches(one: &Minibatch) -> usize {
    let values = one.capacity() * one.features();
    let bytes = match one.values() {
        Values::F32(_) => 4 * values,
        Values::F64(_) => 8 * values,
    };
    (CHANNEL_BYTES / bytes.max(1)).clamp(1, CHANNEL_MOST)
}

/// The next filled minibatch; `None` when the reader has finished, or has not noticed a shutdown in
/// time.
fn next(
    filled: &Receiver<Filled>,
    shutdown: &Shutdown,
    deadline: &mut Option<Instant>,
) -> Option<Filled> {
    loop {
        match filled.recv_timeout(LOOK_EVERY) {
            Ok(arrived) => return Some(arrived),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if shutdown.is_requested() => {
                let until = *deadline.get_or_insert_with(|| Instant::now() + READER_PATIENCE);
                if Instant::now() >= until {
                    return None;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Joins the reader; `None` if a shutdown finds it blocked on its input.
fn finish(thread: JoinHandle<Ended>, shutdown: &Shutdown) -> Result<Option<Ended>, FitError> {
    let until = Instant::now() + READER_PATIENCE;
    while shutdown.is_requested() && !thread.is_finished() {
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY / 10);
    }
    thread.join().map(Some).map_err(|panic| FitError::Thread {
        what: "died",
        cause: panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "no reason given".to_owned()),
    })
}
