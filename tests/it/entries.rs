//! What is known of each file is in a file that only grows, and checkpoints name how much of it counts.
//!
//! A checkpoint costs what changed and not what is known; whatever the disk does, the entries that are
//! found belong to the checkpoint that is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ojad::checkpoint::{Change, Checkpoint, Store, read_entries};
use ojad::disk::{Disk, RealDisk};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{Place, parquet, rows};
use crate::program::{ojad, succeeded};
use crate::simdisk::{Fault, SimDisk};

type Entries = BTreeMap<u64, Vec<u8>>;

fn directory() -> PathBuf {
    PathBuf::from("/state")
}

fn open(disk: &SimDisk) -> Store {
    let on: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open(&directory(), on).expect("a store")
}

fn checkpoint(sequence: u64) -> Checkpoint {
    Checkpoint {
        sequence,
        sections: Vec::new(),
    }
}

/// Sequence and entries of the checkpoint that is found.
fn found(store: &mut Store, disk: &dyn Disk) -> Option<(u64, Entries)> {
    let loaded = store.load().expect("whole")?;
    let mut entries = Entries::new();
    if let Some(mark) = loaded.checkpoint.mark(&loaded.path).expect("a mark") {
        read_entries(disk, &directory(), &mark, |number, payload| {
            match payload {
                Some(payload) => entries.insert(number, payload.to_vec()),
                None => entries.remove(&number),
            };
            Ok(())
        })
        .expect("entries");
        assert_eq!(mark.live, entries.len() as u64);
    }
    Some((loaded.checkpoint.sequence, entries))
}

fn apply(entries: &mut Entries, changes: &[Change]) {
    for (number, payload) in changes {
        match payload {
            Some(payload) => entries.insert(*number, payload.clone()),
            None => entries.remove(number),
        };
    }
}

/// Bytes of all files of entries and of the newest checkpoint.
fn bytes(disk: &SimDisk) -> u64 {
    let names = disk.list(&directory()).expect("names");
    let is_kept = |name: &&PathBuf| {
        let name = name.to_string_lossy();
        name.starts_with("files-") || name.starts_with("checkpoint-")
    };
    let size = |name: &PathBuf| disk.bytes(&directory().join(name)).expect("bytes");
    names.iter().filter(is_kept).map(size).sum()
}

#[test]
fn a_checkpoint_writes_what_changed_and_not_what_is_known() {
    let written = [100, 100_000].map(|known| {
        let disk = SimDisk::default();
        let mut store = open(&disk);
        store.owe((0..known).map(|n| (n, Some(vec![1; 200]))).collect());
        store.save(checkpoint(1), known).expect("saved");
        store.save(checkpoint(2), known).expect("saved");
        let before = bytes(&disk);
        store.owe(vec![(known, Some(vec![2; 200]))]);
        store.save(checkpoint(3), known + 1).expect("saved");
        // The oldest of three checkpoints went: what came is a batch of one entry.
        bytes(&disk) - before
    });
    // Length, number, length, payload, checksum; the sections of the three checkpoints are as long.
    assert_eq!(written, [4 + 8 + 4 + 200 + 32; 2]);
}

#[test]
fn a_file_of_entries_holds_at_most_twice_what_counts_and_some() {
    let disk = SimDisk::default();
    let mut store = open(&disk);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut entries = Entries::new();
    for sequence in 1..2000 {
        let changes: Vec<Change> = (0..20)
            .map(|_| {
                let payload = random.random_bool(0.8).then(|| vec![7; 50]);
                (random.random_range(0..500), payload)
            })
            .collect();
        apply(&mut entries, &changes);
        store.owe(changes);
        let live = entries.len() as u64;
        store.save(checkpoint(sequence), live).expect("saved");
    }
    // 40,000 entries of 62 bytes and 2,000 batches would be 2.5 MB. There are two files at the most,
    // each of 500 entries that count, as many and 4,096 that do not, and a batch of 36 bytes for 20.
    let most = 2 * (12 + (2 * 500 + 4096 + 20) * 64) + 2 * 300;
    assert!(bytes(&disk) < most, "{} of {most} bytes", bytes(&disk));
    assert_eq!(found(&mut open(&disk), &disk), Some((1999, entries)));
}

/// Three checkpoints of a growing file of entries in `place`.
fn three_of(place: &Path, disk: &Arc<dyn Disk>) -> PathBuf {
    let mut store = Store::open(place, Arc::clone(disk)).expect("a store");
    for n in 1..=3 {
        store.owe(vec![(n, Some(vec![9; 100]))]);
        store.save(checkpoint(n), n).expect("saved");
    }
    place.join("files-000000000001")
}

#[test]
fn a_damaged_generation_falls_back_to_the_entries_of_the_one_before() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    // A changed byte of the last batch, a file that ends within it, and one that ends before it: as
    // old as the checkpoint before.
    let batch = 4 + 8 + 4 + 100 + 32;
    for cut in [0, 1, batch] {
        let place = tempfile::tempdir().expect("a directory");
        let open = || Store::open(place.path(), Arc::clone(&disk)).expect("a store");
        let entries = |store: &mut Store| {
            let loaded = store.load().expect("whole").expect("one");
            let mark = loaded.checkpoint.mark(&loaded.path).expect("a mark");
            let mut count = 0;
            read_entries(&RealDisk, place.path(), &mark.expect("one"), |_, _| {
                count += 1;
                Ok(())
            })
            .expect("entries");
            (loaded.checkpoint.sequence, count)
        };
        let log = three_of(place.path(), &disk);
        let mut bytes = fs::read(&log).expect("bytes");
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
        bytes.truncate(bytes.len() - cut);
        fs::write(&log, bytes).expect("a file");
        let mut store = open();
        assert_eq!(entries(&mut store), (2, 2));
        // What comes next is written to a new file, unless this one ends where the checkpoint says.
        let is_new = cut < batch;
        store.owe(vec![(8, Some(vec![8; 100]))]);
        store.save(checkpoint(4), 3).expect("saved");
        let second = place.path().join("files-000000000002");
        assert_eq!(second.exists(), is_new);
        assert!(log.exists(), "a generation names it still");
        assert_eq!(entries(&mut open()), (4, 3));
        store.save(checkpoint(5), 3).expect("saved");
        assert_eq!(log.exists(), !is_new, "one that no generation names goes");
    }
}

#[test]
fn a_lost_file_of_entries_is_told_and_nothing_begins_anew() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let place = tempfile::tempdir().expect("a directory");
    let log = three_of(place.path(), &disk);
    fs::remove_file(&log).expect("removed");
    let mut store = Store::open(place.path(), disk).expect("a store");
    let reason = store.load().expect_err("it is lost").to_string();
    assert!(reason.contains("files-000000000001"), "{reason}");
    assert!(reason.contains("--reset-state"), "{reason}");
}

/// Saves until something fails or all is saved; the last sequence that was acknowledged.
fn save_all(store: &mut Store, history: &[Vec<Change>], lives: &[u64], from: u64) -> u64 {
    let mut acknowledged = from;
    for sequence in from + 1..=history.len() as u64 {
        let at = (sequence - 1) as usize;
        store.owe(history[at].clone());
        if store.save(checkpoint(sequence), lives[at]).is_ok() {
            acknowledged = sequence;
        }
    }
    acknowledged
}

#[test]
fn entries_belong_to_their_checkpoint_whatever_the_disk_does() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    // Many changes of few entries: the file is written anew now and then.
    let history: Vec<Vec<Change>> = (0..12)
        .map(|_| {
            (0..1000)
                .map(|_| {
                    let payload = random.random_range(1..60);
                    let number = random.random_range(0..40);
                    (number, random.random_bool(0.7).then(|| vec![3; payload]))
                })
                .collect()
        })
        .collect();
    let mut states = vec![Entries::new()];
    for changes in &history {
        let mut entries = states[states.len() - 1].clone();
        apply(&mut entries, changes);
        states.push(entries);
    }
    let lives: Vec<u64> = states[1..].iter().map(|s| s.len() as u64).collect();
    let check = |disk: &SimDisk, least: u64, what: &str| {
        let mut store = open(disk);
        let (sequence, entries) = found(&mut store, disk).unwrap_or_default();
        assert!(sequence >= least, "{what}: {sequence} of {least}");
        assert_eq!(entries, states[sequence as usize], "{what}");
        // And the run goes on to the same end.
        assert_eq!(
            save_all(&mut store, &history, &lives, sequence),
            12,
            "{what}"
        );
        let end = found(&mut open(disk), disk).expect("one");
        assert_eq!(end, (12, states[12].clone()), "{what}");
    };
    let mut tried = 0;
    for fault in [
        Fault::Io,
        Fault::Full,
        Fault::Short,
        Fault::Late,
        Fault::Power,
    ] {
        for at in 1.. {
            let disk = SimDisk::default();
            let mut store = open(&disk);
            disk.failing(at, fault);
            let acknowledged = save_all(&mut store, &history, &lives, 0);
            if disk.operations() < at {
                break;
            }
            drop(store);
            let seeds = if fault == Fault::Power { 8 } else { 1 };
            for seed in 0..seeds {
                let what = format!("{fault:?} at {at}, seed {seed}");
                check(&disk.after_power_loss(seed), acknowledged, &what);
                tried += 1;
            }
            if fault != Fault::Power {
                disk.failing(0, fault);
                check(&disk, acknowledged, &format!("{fault:?} at {at}"));
            }
        }
    }
    println!("{tried} disks");
    assert!(tried > 500, "{tried}");
}

/// A state directory as the version before left it.
fn old_state(place: &Place) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state-1");
    fs::create_dir(place.state()).expect("a directory");
    for entry in fs::read_dir(data).expect("data").flatten() {
        fs::copy(entry.path(), place.state().join(entry.file_name())).expect("a copy");
    }
}

#[test]
fn an_old_state_directory_is_taken_over_with_all_its_files() {
    let place = Place::new("");
    old_state(&place);
    let before = place.inspect();
    // As the version before printed them.
    assert_eq!(
        (&before["files"], &before["rows_read"]),
        (&4.into(), &1200.into())
    );
    assert_eq!(before["quarantined"], 1);
    assert!(before["meta"]["run_id"].is_null());
    parquet(&place.feed().join("e.parquet"), &rows(500, 1));
    let after = place.learned();
    assert_eq!(after.rows_read, 1700);
    let found = place.inspect();
    assert_eq!(found["files"], 5);
    // It is given the id of a run, and what is published from now on says the same.
    let id = found["meta"]["run_id"].as_str().expect("an id");
    let snapshot = fs::read(place.path("model/latest/snapshot.json")).expect("a snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).expect("JSON");
    assert_eq!(snapshot["run_id"], id);
    let sections = found["sections"].to_string();
    assert!(sections.contains("[\"files\","), "{sections}");
    // The files themselves, not only their number: the last twenty are named.
    let output = ojad()
        .args(["state", "inspect"])
        .arg(place.state())
        .output();
    let output = output.expect("the program starts");
    succeeded(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "/tmp/v1/feed/a.parquet, 500 rows, done",
        "/tmp/v1/feed/b.arrow, 400 rows, done",
        "/tmp/v1/feed/c.arrows, 300 rows, growing",
        "/tmp/v1/feed/d.parquet, 0 rows, refused",
        "e.parquet, 500 rows, done",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    let output = ojad().args(["state", "verify"]).arg(place.state()).output();
    succeeded(&output.expect("the program starts"));
}
