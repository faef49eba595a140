//! Whoever dies while rows are pushed: a client that repeats himself has every body learned once.
//!
//! The daemon is killed at random moments and within every write; the power goes at every operation,
//! and the disk keeps what it likes of what was not fsynced. An answer that was given holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ojad::disk::Disk as _;
use ojad::source::SourceParams;
use ojad::source::follow::{IngestState, Kept, PushName, Spool, SpoolInput, Stage};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{rows, stream};
use crate::pusher::{Daemon, as_files, bodies, pushing, try_push};
use crate::simdisk::{Fault, SimDisk};

#[test]
fn kills_at_any_moment_repeat_and_lose_no_pushed_row() {
    const BODIES: usize = 60;
    let bodies = bodies(BODIES);
    let expected = as_files(&bodies);
    let place = pushing("state.checkpoint_s = 1");
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut daemon = Daemon::start(&place);
    let (mut kills, mut unanswered, mut duplicates) = (0, 0, 0);
    for (i, body) in bodies.iter().enumerate() {
        let key = format!("batch-{i}");
        let query = if i % 4 == 3 { "?ack=durable" } else { "" };
        loop {
            let delay = Duration::from_micros(random.random_range(0..25_000));
            let is_fatal = random.random_bool(0.6);
            let is_over = AtomicBool::new(false);
            let (address, child) = (daemon.address.clone(), &mut daemon.child);
            let answer = std::thread::scope(|scope| {
                if is_fatal {
                    scope.spawn(|| {
                        std::thread::sleep(delay);
                        child.kill().expect("a kill");
                        child.wait().expect("an end");
                        is_over.store(true, Ordering::Release);
                    });
                }
                try_push(&address, query, &key, body)
            });
            if is_over.load(Ordering::Acquire) {
                kills += 1;
                daemon = Daemon::start(&place);
            }
            let Some(answer) = answer else {
                unanswered += 1;
                continue;
            };
            assert!(matches!(answer.status, 200 | 202), "{answer:?}");
            duplicates += u32::from(answer.body["status"] == "duplicate");
            break;
        }
    }
    drop(daemon);
    println!("{kills} kills, {unanswered} without an answer, {duplicates} found to be kept");
    assert!(kills > 30 && unanswered > 5, "{kills} {unanswered}");
    assert_eq!(place.learned(), expected);
    assert_eq!(place.inspect()["pushed"], BODIES);
}

#[test]
fn a_kill_within_every_write_repeats_and_loses_no_pushed_row() {
    let bodies = bodies(3);
    let expected = as_files(&bodies);
    let push_all = |daemon: &Daemon| {
        bodies.iter().enumerate().all(|(i, body)| {
            let query = if i == 1 { "?ack=durable" } else { "" };
            let answer = try_push(&daemon.address, query, &format!("batch-{i}"), body);
            answer.is_some_and(|answer| matches!(answer.status, 200 | 202))
        })
    };
    let (mut kills, mut at) = (0, 1);
    loop {
        let place = pushing("source.isolation = \"none\"");
        let variables = [("OJAD_TEST_KILL_AT", at.to_string())];
        let daemon = Daemon::start_with(&place, &variables);
        if daemon.is_some_and(|daemon| push_all(&daemon)) {
            break;
        }
        kills += 1;
        // The client knows nothing, and begins anew.
        let daemon = Daemon::start(&place);
        assert!(push_all(&daemon), "killed at step {at}");
        drop(daemon);
        assert_eq!(place.learned(), expected, "killed at step {at}");
        assert_eq!(place.inspect()["pushed"], 3, "killed at step {at}");
        at += 1;
        assert!(at < 1000, "a run has no end");
    }
    println!("{kills} steps of the write paths, killed at each");
    assert!(kills >= 40, "{kills}");
}

/// The bodies in a spool on the simulated disk; each that has its name must be whole.
fn spooled(disk: &SimDisk, directory: &Path, body: &[u8]) -> usize {
    let names = disk.list(directory).expect("names");
    let names = names.iter().filter(|name| PushName::of(name).is_some());
    names
        .map(|name| {
            let found = disk.read(&directory.join(name)).expect("a file");
            assert!(found == body, "{} of {} bytes", found.len(), body.len());
        })
        .count()
}

#[test]
fn what_was_answered_for_outlives_a_power_loss_at_every_operation() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("spool");
    let body = stream(&rows(100, 1));
    let open = |disk: &SimDisk| {
        let inputs = [SpoolInput::Push];
        let (is_ours, wake) = (Box::new(|| true), Box::new(|| {}));
        let mut spool = Spool::start(&directory, &inputs, 1 << 20, is_ours, wake).expect("a spool");
        let (disk, source) = (Arc::new(disk.clone()), SourceParams::default());
        let push = spool.take_pushed(disk, &IngestState::default(), &source);
        push.map(|push| (spool, push))
    };
    let (mut losses, mut sure, mut there) = (0, 0, 0);
    for fault in [
        Fault::Power,
        Fault::Io,
        Fault::Full,
        Fault::Short,
        Fault::Late,
    ] {
        for at in 1.. {
            let disk = SimDisk::default();
            let (_spool, push) = open(&disk).expect("a push");
            disk.failing(at, fault);
            let mut answer = push.keep("key", &body);
            let is_over = disk.operations() < at;
            if fault != Fault::Power && matches!(answer, Kept::Failed(_)) {
                // The client comes again, and the disk is well.
                answer = push.keep("key", &body);
            }
            let is_sure = match &answer {
                Kept::Accepted(known) | Kept::Duplicate(known) => known.stage == Stage::Kept,
                Kept::Failed(_) => false,
                other => panic!("{other:?}"),
            };
            for seed in 0..40 {
                let after = disk.after_power_loss(seed);
                let kept = spooled(&after, &directory, &body);
                assert!(
                    kept <= 1 && (kept == 1 || !is_sure),
                    "{fault:?} {at} {seed}"
                );
                // The client, who may know nothing, repeats himself: one body stays one.
                let (_spool, push) = open(&after).expect("a push");
                let again = push.keep("key", &body);
                match again {
                    Kept::Duplicate(_) => assert_eq!(kept, 1, "{fault:?} {at} {seed}"),
                    Kept::Accepted(_) => assert_eq!(kept, 0, "{fault:?} {at} {seed}"),
                    other => panic!("{other:?}"),
                }
                assert_eq!(spooled(&after, &directory, &body), 1);
                losses += 1;
                sure += usize::from(is_sure);
                there += kept;
            }
            if is_over {
                break;
            }
        }
    }
    println!("{losses} power losses, {sure} after an answer, {there} with the body there");
    assert!(losses > 600 && there > sure, "{losses} {sure} {there}");
}
