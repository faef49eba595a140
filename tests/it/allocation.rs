//! An update allocates nothing after the first ones.
//!
//! A counting allocator wraps the system's and counts the calls of the current thread only, so
//! that tests beside this one do not disturb it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ojad::learner::{self, LearnerParams};
use ojad::rows::{Minibatch, Values};
use rand_distr::StandardNormal;

use crate::reference::{planted, spikes};

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code)]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// the counter is a thread-local Cell without a destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_settled_update_allocates_nothing() {
    for m in [50, 200] {
        let params = LearnerParams {
            components: 4,
            ..LearnerParams::default()
        };
        let b = params.minibatch_rows(m);
        let (rows, _) = planted(b, &spikes(m, 4, 30.0, 10.0), 0.0, 1, &StandardNormal);
        let mut batch = Minibatch::from_rows(&rows.values, m);
        let mut learner = learner::new(&params, m).expect("k <= m");
        let mut update = || {
            if let Values::F64(values) = batch.values_mut() {
                values.copy_from_slice(&rows.values);
            }
            batch.set_rows(b);
            batch = learner.update(batch.take()).expect("finite");
        };
        (0..400).for_each(|_| update());
        let before = CALLS.with(Cell::get);
        (0..20).for_each(|_| update());
        let calls = CALLS.with(Cell::get) - before;
        assert_eq!(calls, 0, "m = {m}: {calls} allocations in 20 updates");
    }
}
