//! Threads that score, of the lowest priority.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use rustix::process::setpriority_process;
use tokio::sync::oneshot;

use crate::published::NICE;

/// More threads would only take the memory's bandwidth from the learner.
const THREADS_MAX: usize = 2;

type Task = Box<dyn FnOnce() + Send>;

/// A queue of tasks and the threads that take from it, until it is dropped.
pub(super) struct Pool {
    tasks: Sender<Task>,
}

impl Pool {
    /// A pool with a queue of this many tasks and one thread per core, two at most.
    pub fn start(queue: usize) -> Self {
        let (tasks, waiting) = bounded::<Task>(queue);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores.min(THREADS_MAX) {
            let waiting = waiting.clone();
            let spawned = thread::Builder::new()
                .name("ojad-score".into())
                .spawn(move || {
                    // On Linux a priority is a thread's, and no process id means the thread that asks.
                    if let Err(error) = setpriority_process(None, NICE) {
                        tracing::warn!(%error, "could not lower the priority of scoring threads");
                    }
                    for task in waiting {
                        task();
                    }
                });
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start a scoring thread");
            }
        }
        Self { tasks }
    }

    /// Runs `task` and returns its result; `None` if the queue is full, no thread could start or
    /// the task panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let task: Task = Box::new(move || {
            // Whoever waited and went away needs no result; a panic is told by its hook.
            if !done.is_closed()
                // The thread serves all requests, so a request that panics must not end it.
                && let Ok(value) = catch_unwind(AssertUnwindSafe(task))
            {
                let _ = done.send(value);
            }
        });
        self.tasks.try_send(task).ok()?;
        result.await.ok()
    }
}
