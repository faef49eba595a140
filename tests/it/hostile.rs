//! No input takes the daemon down: what cannot be read is refused, with a reason, and the feed goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ojad::source::follow::{FollowParams, Follower, IngestState};
use ojad::source::worker::{Decode, Job, Next, Subprocess, SubprocessParams};
use ojad::source::{SegmentRead, SourceParams};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{Place, ipc, parquet, rows, stream};
use crate::program::{ojad, stderr, succeeded};

/// Mutants of each format; `OJAD_TEST_MUTANTS` says another number for a longer run.
const MUTANTS: usize = 20_000;
/// A mutant that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn odd_things_in_the_directory_are_passed_over() {
    let place = Place::new("source.incomplete_age_s = 1");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(500, 1));
    fs::create_dir(feed.join("dir.parquet")).expect("a directory");
    parquet(&feed.join("dir.parquet/part.parquet"), &rows(200, 2));
    let made = std::process::Command::new("mkfifo")
        .arg(feed.join("pipe.parquet"))
        .status();
    assert!(made.expect("mkfifo").success());
    symlink("/dev/zero", feed.join("zero.parquet")).expect("a link");
    symlink("/etc/passwd", feed.join("outside.parquet")).expect("a link");
    symlink(feed.join("a.parquet"), feed.join("inside.parquet")).expect("a link");
    symlink(&feed, feed.join("loop")).expect("a link");
    fs::write(feed.join("empty.parquet"), []).expect("a file");
    fs::write(feed.join("text.parquet"), "these are no rows").expect("a file");
    let output = place.learn();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("source.symlinks"),
        "{}",
        stderr(&output)
    );
    assert_eq!(place.result().rows_read, 700);
}

#[test]
fn a_bad_file_is_listed_set_aside_and_tried_again() {
    let place = Place::new("");
    let aside = place.path("aside");
    let keys = format!(
        "source.quarantine = \"copy\"\nsource.quarantine_dir = \"{}\"",
        aside.display()
    );
    place.configure(&keys);
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(1400, 1));
    let sound = fs::read(feed.join("a.parquet")).expect("bytes");
    let mut bad = sound.clone();
    let middle = bad.len() / 2 + 2000;
    bad[middle..middle + 64].fill(0x5A);
    fs::write(feed.join("a.parquet"), &bad).expect("a bad file");
    parquet(&feed.join("b.parquet"), &rows(300, 2));
    let result = place.learned();
    assert_eq!(result.quarantined, 1);
    assert!(result.rows_read >= 300 && result.rows_read < 1700);
    let listed = place.quarantine();
    assert_eq!(listed[0]["file"], 0, "{listed}");
    assert!(
        listed[0]["reason"]
            .as_str()
            .is_some_and(|r| r.contains("a.parquet"))
    );
    assert_eq!(fs::read_dir(&aside).expect("a directory").count(), 1);
    let output = ojad()
        .args(["quarantine", "retry", "0", "--state"])
        .arg(place.state())
        .output()
        .expect("the program starts");
    succeeded(&output);
    // It is as bad as it was: refused again, and no row is taken twice.
    assert_eq!(place.learned().rows_read, result.rows_read);
    assert_eq!(place.quarantine().as_array().map(Vec::len), Some(1));
}

/// A file of each format.
fn samples(directory: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let batch = rows(64, 1);
    parquet(&directory.join("s.parquet"), &batch);
    ipc(&directory.join("s.arrow"), &batch);
    let read = |name: &str| fs::read(directory.join(name)).expect("bytes");
    vec![
        ("parquet", read("s.parquet")),
        ("arrow", read("s.arrow")),
        ("arrows", stream(&batch)),
    ]
}

/// A worker, and what it is asked to read.
struct Bench {
    worker: Subprocess,
    follower: Follower,
    path: PathBuf,
    batch: Option<ojad::rows::Minibatch>,
    refused: usize,
    deaths: usize,
    slowest: Duration,
}

impl Bench {
    fn new(directory: &Path) -> Self {
        let source = SourceParams::default();
        let params = FollowParams {
            places: vec![directory.join("m")],
            incomplete_age: Duration::from_hours(1),
            ..FollowParams::default()
        };
        let mut bench = Self {
            worker: Subprocess::new(SubprocessParams {
                program: PathBuf::from(env!("CARGO_BIN_EXE_ojad")),
                argument: "decode-worker",
                memory_mib: 256,
                deadline: DEADLINE,
                source,
            }),
            follower: Follower::new(params),
            path: directory.join("m"),
            batch: None,
            refused: 0,
            deaths: 0,
            slowest: Duration::ZERO,
        };
        parquet(&directory.join("first.parquet"), &rows(8, 1));
        fs::rename(directory.join("first.parquet"), &bench.path).expect("a name");
        let segment = bench.take().expect("a whole file");
        let feature_schema = bench.worker.resolve(&segment).expect("features");
        bench.worker.use_schema(&feature_schema, 64).expect("room");
        bench.batch = Some(feature_schema.new_minibatch(64));
        bench
    }

    /// The segment that a look at the file gives, if it gives one.
    fn take(&mut self) -> Option<ojad::source::Segment> {
        let now = Instant::now();
        let found = self
            .follower
            .scan(&IngestState::default(), &mut self.worker, now, 0);
        found
            .next_segments
            .into_iter()
            .next()
            .map(|take| take.segment)
    }

    /// Reads the bytes as a file, whatever comes of it.
    fn try_bytes(&mut self, bytes: &[u8], ticket: u64) {
        fs::write(&self.path, bytes).expect("a file");
        let began = Instant::now();
        let Some(segment) = self.take() else {
            self.refused += 1;
            return;
        };
        let job = Job {
            ticket,
            read: SegmentRead {
                file: 0,
                segment,
                rows: 0,
                is_final: true,
            },
            until: None,
        };
        self.worker.queue(job, 64);
        let mut batch = self.batch.take().expect("made at first");
        loop {
            batch.set_rows(0);
            match self.worker.next(&mut batch, 0) {
                Next::Rows { is_last: true, .. } => break,
                Next::Rows { .. } => {}
                Next::Failed { refusal, .. } => {
                    self.refused += 1;
                    let is_death = refusal.reason.contains("died");
                    self.deaths += usize::from(is_death);
                    if is_death {
                        println!("{}", refusal.reason);
                    }
                    assert!(!refusal.reason.contains("was silent"), "{}", refusal.reason);
                    break;
                }
            }
        }
        self.batch = Some(batch);
        self.slowest = self.slowest.max(began.elapsed());
    }
}

#[test]
fn truncations_and_mutants_are_read_or_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let mutants = std::env::var("OJAD_TEST_MUTANTS").ok();
    let mutants = mutants.and_then(|n| n.parse().ok()).unwrap_or(MUTANTS);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut bench = Bench::new(place.path());
    for (name, whole) in samples(place.path()) {
        let before = bench.refused;
        let mut tried = 0;
        for end in (0..whole.len()).step_by(64) {
            bench.try_bytes(&whole[..end], tried);
            tried += 1;
        }
        for _ in 0..mutants {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..5) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = match random.random_range(0..3) {
                    0 => random.random(),
                    1 => 0xFF,
                    _ => bytes[at] ^ (1 << random.random_range(0..8)),
                };
            }
            bench.try_bytes(&bytes, tried);
            tried += 1;
        }
        println!(
            "{name}: {tried} tried, {} refused, {} workers died so far, slowest {:?}",
            bench.refused - before,
            bench.deaths,
            bench.slowest
        );
        assert!(bench.refused - before < tried as usize, "nothing was read");
        assert_eq!(bench.deaths, 0);
        // What the mutants left of the worker reads a sound file.
        let before = bench.refused;
        bench.try_bytes(&whole, tried);
        assert_eq!(bench.refused, before);
    }
    let id = bench.worker.id().expect("a worker");
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("peak memory of the worker: {}", peak.unwrap_or_default());
}
