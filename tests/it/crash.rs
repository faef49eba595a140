//! The machine says no, at every moment: killed within every write, and at any time.
//!
//! A daemon that writes a checkpoint and dies halfway must find the one before; one that dies between
//! the rename and the fsync must find one of the two; and whichever it finds, the rows that follow
//! are read again, once, and end in the bits of a run that nobody disturbed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{Place, foreign, ipc, parquet, rows, stream};
use crate::program::stderr;

/// Steps of the write paths that are tried; a run has fewer.
const STEPS_MOST: u64 = 2000;
/// Kills at random moments.
const KILLS: u32 = 200;

/// Files of every format, one that is refused after its first rows, and before all of them two that
/// fix no features: one is refused at its first row, one has none.
fn fill(place: &Place) {
    let feed = place.feed();
    parquet(&feed.join("0.parquet"), &foreign(3));
    parquet(&feed.join("1.parquet"), &foreign(0));
    parquet(&feed.join("a.parquet"), &rows(2100, 1));
    ipc(&feed.join("b.arrow"), &rows(1500, 2));
    std::fs::write(feed.join("c.arrows"), stream(&rows(1300, 3))).expect("a file");
    parquet(&feed.join("d.parquet"), &rows(1000, 4));
    let mut bytes = std::fs::read(feed.join("d.parquet")).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0x5A);
    std::fs::write(feed.join("d.parquet"), bytes).expect("a file");
    parquet(&feed.join("e.parquet"), &rows(1700, 5));
}

#[test]
fn a_kill_within_every_write_changes_no_bit() {
    let calm = Place::new("source.isolation = \"none\"");
    fill(&calm);
    let expected = calm.learned();
    let (mut kills, mut at) = (0, 1);
    loop {
        let place = Place::new("source.isolation = \"none\"");
        fill(&place);
        let output = place
            .daemon()
            .arg("--until-idle")
            .env("OJAD_TEST_KILL_AT", at.to_string())
            .output()
            .expect("the program starts");
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), None, "{}", stderr(&output));
        kills += 1;
        assert_eq!(place.learned(), expected, "killed at step {at}");
        at += 1;
        assert!(at < STEPS_MOST, "a run has no end");
    }
    println!("{kills} steps of the write paths, killed at each");
    assert!(kills >= 60, "{kills}");
}

#[test]
fn kills_at_any_moment_change_no_bit() {
    let extra = "state.checkpoint_s = 1\ndrift.short_half_life_rows = 2000";
    let calm = Place::new(extra);
    let fill = |place: &Place| {
        for seed in 0..40 {
            let name = format!("{seed:03}.parquet");
            parquet(
                &place.feed().join(name),
                &rows(3000 + 7 * seed, seed as u64),
            );
        }
    };
    fill(&calm);
    let began = Instant::now();
    let expected = calm.learned();
    let whole = began.elapsed();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        let place = Place::new(extra);
        fill(&place);
        loop {
            let mut child = place
                .daemon()
                .arg("--until-idle")
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts");
            let patience = whole.mul_f64(random.random_range(0.02..0.6));
            let until = Instant::now() + patience.max(Duration::from_millis(5));
            let mut ended = None;
            while ended.is_none() && Instant::now() < until {
                ended = child.try_wait().expect("a status");
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(status) = ended {
                assert!(status.success());
                break;
            }
            child.kill().expect("a kill");
            child.wait().expect("a status");
            kills += 1;
        }
        runs += 1;
        assert_eq!(place.result(), expected);
    }
    println!("{kills} kills at random moments over {runs} runs");
}
