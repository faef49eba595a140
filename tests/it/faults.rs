//! The disk says no: the n-th operation fails, for every n; the power goes, at every n.
//!
//! In the way SQLite tests itself: a whole run on a disk in memory, again and again, each time with
//! another operation that fails. Whatever the run says, the one after it ends in the bits of a run
//! that nothing disturbed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use ojad::checkpoint::Store;
use ojad::config::load;
use ojad::daemon::run::{
    Command, Restored, RunError, RunParams, Surroundings, Until, inspect, run,
};
use ojad::disk::Disk;
use ojad::source::worker::{Decode, InProcess};

use crate::feeds::{Place, foreign, ipc, parquet, rows, stream};
use crate::simdisk::{Fault, SimDisk};

/// Operations that are tried; a run has fewer.
const OPERATIONS_MOST: u64 = 1000;
/// Power losses at each operation, each keeping another part of what was not fsynced.
const LOSSES: u64 = 16;

pub fn params(place: &Place) -> RunParams {
    let loaded = load(Some(&place.config()), std::iter::empty()).expect("a configuration");
    let mut params = RunParams::try_from(&loaded.config).expect("a plan");
    params.until = Until::Idle;
    params
}

/// Learns what is there on this disk; a disk whose power is out is not waited for.
pub fn learn(place: &Place, disk: &SimDisk) -> bool {
    learn_by(place, disk, Box::new(InProcess::new(params(place).source)))
}

/// The same by a decoder of one's own.
pub fn learn_by(place: &Place, disk: &SimDisk, decode: Box<dyn Decode>) -> bool {
    learn_as(params(place), disk, decode).is_ok()
}

/// The same with parameters of one's own, and what it ends with.
pub fn learn_with(params: RunParams, disk: &SimDisk) -> Result<(), RunError> {
    let here = InProcess::new(params.source.clone());
    learn_as(params, disk, Box::new(here))
}

fn learn_as(params: RunParams, disk: &SimDisk, decode: Box<dyn Decode>) -> Result<(), RunError> {
    let (to, commands) = bounded(1);
    let watched = disk.clone();
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let watcher = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            if watched.is_dead() || Instant::now() > deadline {
                let _ = to.try_send(Command::Stop);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let on: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut never = || Err("no reload".to_owned());
    let ended = run(
        params,
        Surroundings::unseen(&on, decode, &commands, &mut never),
    );
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    watcher.join().expect("a watcher");
    ended.map(drop)
}

/// What the newest checkpoint says.
pub fn restored(place: &Place, disk: &SimDisk) -> Restored {
    let on: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut store = Store::open(&place.state(), on).expect("a store");
    let loaded = store.load().expect("a checkpoint").expect("one");
    inspect(&loaded.checkpoint).expect("a state").0
}

/// State hash and rows of the newest checkpoint.
fn result(place: &Place, disk: &SimDisk) -> (String, u64) {
    let found = restored(place, disk);
    (found.state_sha256, found.rows_read)
}

/// Before the others, one that is refused at its first row and fixes no features.
fn fill(feed: &Path) {
    parquet(&feed.join("0.parquet"), &foreign(3));
    parquet(&feed.join("a.parquet"), &rows(900, 1));
    ipc(&feed.join("b.arrow"), &rows(700, 2));
    std::fs::write(feed.join("c.arrows"), stream(&rows(600, 3))).expect("a file");
}

#[test]
fn every_operation_may_fail_and_no_bit_changes() {
    let place = Place::new("");
    fill(&place.feed());
    let calm = SimDisk::default();
    assert!(learn(&place, &calm));
    let expected = result(&place, &calm);
    assert_eq!(expected.1, 2200);
    let mut runs = 0;
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        for at in 1..OPERATIONS_MOST {
            let disk = SimDisk::default();
            disk.failing(at, fault);
            let is_fine = learn(&place, &disk);
            if disk.operations() < at {
                break;
            }
            runs += 1;
            if is_fine {
                let found = result(&place, &disk);
                assert_eq!(
                    found, expected,
                    "{fault:?} at {at}, and it said it was fine"
                );
            }
            assert!(
                disk.has_whole_latest(&place.path("model")),
                "{fault:?} at {at}"
            );
            assert!(learn(&place, &disk), "{fault:?} at {at}: the next run");
            assert_eq!(result(&place, &disk), expected, "{fault:?} at {at}");
        }
    }
    println!("{runs} runs with a failing operation");
    assert!(runs > 100, "{runs}");
}

#[test]
fn the_power_may_go_at_every_operation_and_no_bit_changes() {
    let place = Place::new("");
    fill(&place.feed());
    let calm = SimDisk::default();
    assert!(learn(&place, &calm));
    let expected = result(&place, &calm);
    let mut losses = 0;
    for at in 1..OPERATIONS_MOST {
        let disk = SimDisk::default();
        disk.failing(at, Fault::Power);
        learn(&place, &disk);
        if !disk.is_dead() {
            break;
        }
        for seed in 0..LOSSES {
            let disk = disk.after_power_loss(seed);
            assert!(
                disk.has_whole_latest(&place.path("model")),
                "{at}, seed {seed}"
            );
            assert!(learn(&place, &disk), "{at}, seed {seed}: the next run");
            assert_eq!(result(&place, &disk), expected, "{at}, seed {seed}");
            losses += 1;
        }
    }
    println!("{losses} power losses");
    assert!(losses > 100, "{losses}");
}
