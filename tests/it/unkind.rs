//! The world is unkind to a run: bombs, workers that die, poison, slow and full disks, files that
//! change or cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::feeds::{Place, parquet, rows};
use crate::handmade::{Chunk, column, file, float_list, group, levels, root, zeros};
use crate::program::{ojad, stderr, succeeded};

/// Parquet's numbers.
const FLOAT: i32 = 4;
const DICTIONARY: i32 = 8;
/// What waits longer than this hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A schema 1,500 groups deep, which overflows the stack of a reader that follows it.
fn deep() -> Vec<u8> {
    let mut schema = vec![root(1)];
    schema.extend(vec![group("g", 0, None); 1_500]);
    schema.push(column("x", FLOAT, 0));
    file(&schema, 0, &[Chunk::new(FLOAT, 0)])
}

/// One row, a list of 200 million values in some hundred bytes: 800 MB.
fn unfolding() -> Vec<u8> {
    let many = 200_000_000_u64;
    let count = i32::try_from(many).expect("small");
    let page = [
        levels(&[(0, 1), (1, many - 1)]),
        levels(&[(1, many)]),
        zeros(many),
    ]
    .concat();
    let chunk = Chunk::new(FLOAT, i64::from(count))
        .dictionary(1, &1_f32.to_le_bytes())
        .data(
            count,
            DICTIONARY,
            i32::try_from(page.len()).expect("small"),
            &page,
        );
    file(&float_list(), 1, &[chunk])
}

fn quarantined(place: &Place) -> Vec<(String, String)> {
    let list = place.quarantine();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let entries = list.as_array().expect("a list").iter();
    entries
        .map(|entry| (text(&entry["path"]), text(&entry["reason"])))
        .collect()
}

#[test]
fn bombs_are_refused_and_the_feed_goes_on() {
    for isolation in ["process", "none"] {
        let place = Place::new(&format!("source.isolation = \"{isolation}\""));
        let feed = place.feed();
        parquet(&feed.join("a.parquet"), &rows(700, 1));
        fs::write(feed.join("b.parquet"), deep()).expect("a file");
        let bomb = unfolding();
        assert!(bomb.len() < 1000, "{} bytes", bomb.len());
        fs::write(feed.join("c.parquet"), bomb).expect("a file");
        parquet(&feed.join("d.parquet"), &rows(500, 2));
        let result = place.learned();
        assert_eq!((result.rows_read, result.quarantined), (1200, 2));
        let list = quarantined(&place);
        assert!(
            list[0].0.ends_with("b.parquet") && list[0].1.contains("nests deeper"),
            "{list:?}"
        );
    }
}

#[test]
fn a_bomb_that_comes_first_of_all_is_refused() {
    let place = Place::new("");
    fs::write(place.feed().join("a.parquet"), deep()).expect("a file");
    fs::write(place.feed().join("b.parquet"), unfolding()).expect("a file");
    parquet(&place.feed().join("c.parquet"), &rows(500, 2));
    let result = place.learned();
    assert_eq!((result.rows_read, result.quarantined), (500, 2));
    let list = quarantined(&place);
    assert!(list[0].1.contains("nests deeper"), "{list:?}");
    assert!(list[1].1.contains("4194304"), "{list:?}");
}

/// The worker process of a daemon.
pub fn worker_of(daemon: &Child) -> Option<i32> {
    let children = format!("/proc/{0}/task", daemon.id());
    let tasks = fs::read_dir(children).ok()?;
    tasks.flatten().find_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    })
}

#[test]
fn a_worker_that_dies_is_replaced_and_no_bit_changes() {
    let fill = |place: &Place| {
        for seed in 0..30 {
            let name = format!("{seed:03}.parquet");
            parquet(&place.feed().join(name), &rows(4000, seed));
        }
    };
    let calm = Place::new("");
    fill(&calm);
    let expected = calm.learned();
    let place = Place::new("");
    fill(&place);
    let mut daemon = place
        .daemon()
        .arg("--until-idle")
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let (mut kills, mut last) = (0, 0);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    while daemon.try_wait().expect("a status").is_none() {
        // The same worker is not killed twice: it might die over one file again and again.
        if let Some(worker) = worker_of(&daemon).filter(|worker| *worker != last)
            && let Some(process) = rustix::process::Pid::from_raw(worker)
        {
            std::thread::sleep(Duration::from_millis(random.random_range(20..60)));
            // It may have ended by itself.
            let kill = rustix::process::Signal::KILL;
            kills += u32::from(rustix::process::kill_process(process, kill).is_ok());
            last = worker;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(daemon.wait().expect("a status").success());
    println!("{kills} workers killed");
    let found = place.result();
    if found.quarantined == 0 {
        assert_eq!(found, expected);
    }
    assert!(kills > 0);
}

#[test]
fn a_file_that_kills_the_daemon_again_and_again_is_refused() {
    let place = Place::new("source.isolation = \"none\"");
    parquet(&place.feed().join("a.parquet"), &rows(700, 1));
    parquet(&place.feed().join("b.parquet"), &rows(500, 2));
    // What three runs leave that died while they opened the first file.
    fs::create_dir_all(place.state()).expect("a directory");
    fs::write(place.state().join("opening"), "1 0 2\n").expect("a note");
    let result = place.learned();
    assert_eq!((result.rows_read, result.quarantined), (500, 1));
    let list = quarantined(&place);
    assert!(list[0].0.ends_with("a.parquet"), "{list:?}");
    // The next run opens no such file, and remembers nothing of it.
    assert!(!place.state().join("opening").exists());
    assert_eq!(place.learned(), result);
}

/// Most memory that a process has taken so far, MiB.
fn peak_mib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib >> 10)
}

/// Waits for the end; the most memory that it took meanwhile.
fn watched(command: &mut Command) -> u64 {
    let mut daemon = command
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut peak = 0;
    let ended = loop {
        peak = peak_mib(daemon.id()).unwrap_or(0).max(peak);
        if let Some(status) = daemon.try_wait().expect("a status") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(ended.success());
    peak
}

#[test]
fn a_slow_disk_makes_no_memory_grow() {
    let fill = |place: &Place| {
        for seed in 0..12 {
            let name = format!("{seed:03}.parquet");
            parquet(&place.feed().join(name), &rows(20_000, seed));
        }
    };
    let quick = Place::new("");
    fill(&quick);
    let quick_peak = watched(quick.daemon().arg("--until-idle"));
    let slow = Place::new("");
    fill(&slow);
    let began = Instant::now();
    let command = &mut slow.daemon();
    let slow_peak = watched(command.arg("--until-idle").env("OJAD_TEST_SLOW_MS", "40"));
    println!(
        "peak {quick_peak} MiB, with a slow disk {slow_peak} MiB in {:?}",
        began.elapsed()
    );
    assert_eq!(slow.result(), quick.result());
    assert!(
        slow_peak <= quick_peak + 24,
        "{slow_peak} MiB after {quick_peak} MiB"
    );
}

/// Waits until the log of a run says `what`.
fn wait_for(log: &Path, what: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.contains(what) {
            return text;
        }
        assert!(Instant::now() < until, "no {what:?} in:\n{text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_full_disk_keeps_the_old_snapshot_and_tries_again() {
    let place = Place::new("");
    let (model, log) = (place.path("model"), place.path("log"));
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    place.learned();
    let published = fs::read_link(model.join("latest")).expect("a snapshot");
    fs::write(model.with_extension("full"), []).expect("a mark");
    parquet(&place.feed().join("b.parquet"), &rows(3000, 2));
    let mut daemon = place
        .daemon()
        .env("OJAD_TEST_FULL_BELOW", &model)
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("the program starts");
    let told = wait_for(&log, "readiness changed");
    assert!(
        told.contains("is_ready=false")
            || told.contains("is_ready\u{1b}[0m\u{1b}[2m=\u{1b}[0mfalse"),
        "{told}"
    );
    assert!(told.contains("free up disk space"), "{told}");
    assert_eq!(
        fs::read_link(model.join("latest")).expect("a snapshot"),
        published
    );
    // Learning went on, and the state is safe.
    let until = Instant::now() + PATIENCE;
    while place.inspect()["rows_read"] != 6000 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(model.with_extension("full")).expect("space");
    wait_for(&log, "snapshot written again");
    let told = fs::read_to_string(&log).expect("a log");
    assert_eq!(told.matches("readiness changed").count(), 2, "{told}");
    assert_ne!(
        fs::read_link(model.join("latest")).expect("a snapshot"),
        published
    );
    assert!(
        fs::metadata(model.join(&published)).is_ok(),
        "nothing goes but by retention"
    );
    daemon.kill().expect("a kill");
    daemon.wait().expect("a status");
}

#[test]
fn a_file_that_may_not_be_read_waits_and_holds_nobody_up() {
    let place = Place::new("");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(700, 1));
    parquet(&feed.join("b.parquet"), &rows(500, 2));
    fs::set_permissions(feed.join("a.parquet"), fs::Permissions::from_mode(0o000)).expect("a mode");
    let mut command = place.daemon();
    if rustix::process::geteuid().is_root() {
        // Root reads everything: somebody else must try.
        let root = feed.parent().expect("a directory");
        for path in [root, &feed, &feed.join("b.parquet"), &place.config()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("a mode");
        }
        command.uid(65_534).gid(65_534);
    }
    let output = command
        .arg("--until-idle")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("a.parquet"), "{}", stderr(&output));
    assert_eq!(place.inspect()["rows_read"], 500);
    // It can be read at last, and nothing was held against it.
    fs::set_permissions(feed.join("a.parquet"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let mut again = place.daemon();
    if rustix::process::geteuid().is_root() {
        again.uid(65_534).gid(65_534);
    }
    let output = again
        .arg("--until-idle")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(place.inspect()["rows_read"], 1200);
}

#[test]
fn files_that_change_while_they_are_read_take_nobody_down() {
    let place = Place::new("source.on_changed = \"quarantine\"\nsource.incomplete_age_s = 1");
    let feed = place.feed();
    let sound = {
        parquet(&feed.join("changing.parquet"), &rows(30_000, 1));
        fs::read(feed.join("changing.parquet")).expect("bytes")
    };
    let is_over = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = ChaCha8Rng::seed_from_u64(5);
            while !is_over.load(Ordering::Relaxed) {
                let mut bytes = sound.clone();
                match random.random_range(0..3) {
                    0 => bytes.truncate(random.random_range(0..bytes.len())),
                    1 => {
                        let at = random.random_range(0..bytes.len() - 100);
                        bytes[at..at + 100].fill(0xA5);
                    }
                    _ => {}
                }
                fs::write(feed.join("changing.parquet"), &bytes).expect("a file");
                std::thread::sleep(Duration::from_millis(random.random_range(0..15)));
            }
        });
        for seed in 0..20 {
            parquet(&feed.join(format!("d{seed:03}.parquet")), &rows(1000, seed));
        }
        let output = place.learn();
        is_over.store(true, Ordering::Relaxed);
        output
    });
    assert!(output.status.success(), "{}", stderr(&output));
    let found = place.result();
    println!(
        "{} rows read, {} files refused",
        found.rows_read, found.quarantined
    );
    assert!((20_000..=50_000).contains(&found.rows_read), "{found:?}");
    // The state holds what it says it holds.
    let output = ojad().args(["state", "verify"]).arg(place.state()).output();
    succeeded(&output.expect("the program starts"));
}

/// So few descriptors that a worker cannot be started, or that not every file can be opened.
#[test]
fn too_few_descriptors_are_blamed_on_no_file() {
    let mut short = 0;
    for most in [10, 14, 18, 22] {
        let place = Place::new("");
        for seed in 0..20 {
            let name = format!("{seed:03}.parquet");
            parquet(&place.feed().join(name), &rows(200, seed));
        }
        let daemon = place.daemon();
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]);
        limited.arg(daemon.get_program()).args(daemon.get_args());
        // It ends by itself, and says why.
        let output = limited.arg("--until-idle").output().expect("a shell");
        let told = stderr(&output);
        assert!(!told.contains("quarantined"), "{most}: {told}");
        short += u32::from(told.contains("open files"));
        let result = place.learned();
        assert_eq!((result.rows_read, result.quarantined), (4000, 0), "{most}");
    }
    assert!(short > 0, "no limit was too low");
}
