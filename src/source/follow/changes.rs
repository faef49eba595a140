//! A count of changes that threads raise and tasks wait for, whatever runs the tasks.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Changes so far, and who waits for the next.
#[derive(Debug, Default)]
struct Count {
    changes: u64,
    waiting: Vec<Waker>,
}

/// The end that raises the count.
#[derive(Debug, Default)]
pub(super) struct Changes(Arc<Mutex<Count>>);

/// The end that waits.
#[derive(Debug)]
pub struct ChangeListener {
    count: Arc<Mutex<Count>>,
    seen: u64,
}

fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    /// Something changed: wakes everybody who waits.
    pub fn raise(&self) {
        let mut count = lock(&self.0);
        count.changes += 1;
        let waiting = std::mem::take(&mut count.waiting);
        drop(count);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A listener that has seen what changed so far.
    pub fn listener(&self) -> ChangeListener {
        ChangeListener {
            count: Arc::clone(&self.0),
            seen: lock(&self.0).changes,
        }
    }
}

impl ChangeListener {
    /// Counts what changed so far as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = lock(&self.count).changes;
    }

    /// Waits until something changes that was not seen.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let mut count = lock(&self.count);
        if count.changes != self.seen {
            self.seen = count.changes;
            return Poll::Ready(());
        }
        // One task that gave up and comes again is woken once.
        let waker = context.waker();
        if !count.waiting.iter().any(|other| other.will_wake(waker)) {
            count.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_change_since_the_last_look_is_heard_and_none_before() {
        let changes = Changes::default();
        changes.raise();
        let mut listener = changes.listener();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        assert_eq!(listener.poll(&context), Poll::Pending);
        assert_eq!(listener.poll(&context), Poll::Pending);
        changes.raise();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(listener.poll(&context), Poll::Ready(()));
        assert_eq!(listener.poll(&context), Poll::Pending);
        // What came between two looks needs no waiting.
        changes.raise();
        listener.mark_unchanged();
        assert_eq!(listener.poll(&context), Poll::Pending);
    }
}
