//! Recent rows, and those that stand out, for observers.
//!
//! In: copies of minibatches, as many as the trainer has time to make. A thread of the lowest
//! priority scores them with the published components. Out: the kept rows. Learning never waits for
//! this: minibatches that arrive while the thread is busy are skipped, and [`Kept::examined`] shows
//! it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::setpriority_process;

use super::kept::Kept;
use super::{Latest, NICE, Published};
use crate::rows::{Minibatch, RowIds, unix_s};
use crate::snapshot::Projection;

/// Most copies waiting to be examined.
const WAITING_MAX: usize = 4096;
/// Most bytes of all of them; a larger minibatch waits alone.
const WAITING_BYTES: usize = 32 << 20;
/// Copying may take 1/this of the trainer's time.
const COPY_SHARE: f64 = 50.0;
/// Largest burst of copying in seconds: enough for the minibatches of a small file.
const COPY_BURST_S: f64 = 0.1;
/// The first minibatches arrive before the first components are published, and wait this long for
/// them.
const COMPONENTS_PATIENCE: Duration = Duration::from_secs(3);

/// A minibatch to be examined.
struct Copied {
    batch: Minibatch,
    row_ids: Option<RowIds>,
}

/// The trainer's side: copies as many minibatches as there is time for.
#[derive(Debug)]
pub struct Sampler {
    to: Sender<Copied>,
    /// Seconds of copying left in the budget.
    budget_s: f64,
    at: Instant,
}

/// Id columns, and which of them is the label.
pub type Columns = (Vec<String>, Option<usize>);

/// Rows kept for observers.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Mutex<Kept>,
    /// Id columns, and which of them is the label.
    columns: Latest<Columns>,
}

/// Starts to examine rows with the components of `published`; `ids` are the id columns, `label` one
/// of them.
///
/// # Errors
/// If no thread can be started.
pub fn sample(
    published: Arc<Published>,
    ids: &[String],
    label: Option<&str>,
) -> io::Result<Sampler> {
    let at = label.and_then(|label| ids.iter().position(|id| id == label));
    published.recent.columns.set((ids.to_vec(), at));
    let (to, copies) = bounded(WAITING_MAX);
    let thread = thread::Builder::new().name("ojad-rows".into());
    thread.spawn(move || look(&published, &copies))?;
    Ok(Sampler {
        to,
        budget_s: COPY_BURST_S,
        at: Instant::now(),
    })
}

impl Sampler {
    /// Copies a minibatch, if there is time and room.
    pub fn offer(&mut self, batch: &Minibatch, row_ids: Option<RowIds>) {
        let now = Instant::now();
        let since = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.budget_s = (self.budget_s + since / COPY_SHARE).min(COPY_BURST_S);
        let values = batch.capacity() * batch.features() * size_of::<f64>();
        let bytes = values + row_ids.as_ref().map_or(0, RowIds::bytes);
        let may_wait = (WAITING_BYTES / bytes.max(1)).clamp(1, WAITING_MAX);
        if self.budget_s <= 0.0 || self.to.len() >= may_wait {
            return;
        }
        let batch = batch.clone();
        // Nobody else sends: there is room.
        let _ = self.to.try_send(Copied { batch, row_ids });
        self.budget_s -= now.elapsed().as_secs_f64();
    }
}

/// Examines copies until the sender is dropped.
fn look(published: &Published, copies: &Receiver<Copied>) {
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "could not lower the priority of the thread that looks at recent rows");
    }
    let mut model: Option<(u64, Projection)> = None;
    for Copied { batch, row_ids } in copies {
        let until = Instant::now() + COMPONENTS_PATIENCE;
        let mut snapshot = published.snapshot.get();
        while snapshot.is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
            snapshot = published.snapshot.get();
        }
        let Some(snapshot) = snapshot.as_ref() else {
            continue;
        };
        let estimate = &snapshot.estimate;
        if estimate.features != batch.features() {
            continue;
        }
        if model
            .as_ref()
            .is_none_or(|(rows, _)| *rows != estimate.rows)
        {
            let order: Vec<usize> = (0..estimate.features).collect();
            model = Some((estimate.rows, Projection::new(estimate, &order)));
        }
        if let Some((_, projection)) = &model {
            let scores = projection.score(&batch);
            let mut kept = published.recent.lock();
            kept.take(&batch, row_ids.as_ref(), &scores, unix_s());
        }
    }
}

impl Recent {
    /// The rows kept now; this copies only pointers.
    pub fn kept(&self) -> Kept {
        self.lock().clone()
    }

    /// Id columns, and which of them is the label.
    pub fn columns(&self) -> Arc<Columns> {
        self.columns.get()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
