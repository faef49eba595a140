//! Inputs that grow: every row once, in a stated order, whatever becomes of names and files.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::feeds::{Place, ipc, parquet, rows, stream};
use crate::program::{ojad, refused, stderr, succeeded};

/// Waits until `is_so`, for as long as a slow machine may take.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A daemon that is stopped when the test ends.
struct Daemon(Child);

impl Daemon {
    fn start(place: &Place) -> Self {
        Self(place.spawn())
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// SIGTERM, and its exit code.
    fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.0.wait().expect("a status").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(place: &Place) -> String {
    place.log()
}

fn add(place: &Place, name: &str, bytes: &[u8]) {
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .open(place.feed().join(name))
        .expect("a file");
    file.write_all(bytes).expect("bytes");
}

/// Rows read in all.
fn read(place: &Place) -> u64 {
    place.learned().rows_read
}

#[test]
fn each_file_is_taken_once_whatever_its_name_becomes() {
    let place = Place::new("");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(500, 1));
    ipc(&feed.join("b.arrow"), &rows(400, 2));
    assert_eq!(read(&place), 900);
    fs::rename(feed.join("a.parquet"), feed.join("z.parquet")).expect("a name");
    assert_eq!(read(&place), 900, "renamed");
    // A second name of the same file, and another file under the old name.
    fs::hard_link(feed.join("b.arrow"), feed.join("c.arrow")).expect("a link");
    parquet(&feed.join("a.parquet"), &rows(300, 3));
    assert_eq!(read(&place), 1200, "linked, and a name used again");
    fs::remove_file(feed.join("z.parquet")).expect("removed");
    parquet(&feed.join("d.parquet"), &rows(200, 4));
    assert_eq!(read(&place), 1400, "removed, and one more");
}

#[test]
fn a_growing_stream_gives_its_complete_messages() {
    let place = Place::new("");
    let bytes = stream(&rows(1500, 1));
    // Within the third record batch.
    let cut = bytes.len() / 2;
    add(&place, "live.arrows", &bytes[..cut]);
    let first = read(&place);
    assert!(
        first > 0 && first < 1500 && first.is_multiple_of(300),
        "{first}"
    );
    add(&place, "live.arrows", &bytes[cut..cut + 10]);
    assert_eq!(read(&place), first);
    // Rotated by its name while it grows: the rest comes to the new name.
    let (old, new) = (
        place.feed().join("live.arrows"),
        place.feed().join("live.1.arrows"),
    );
    fs::rename(&old, &new).expect("a name");
    add(&place, "live.1.arrows", &bytes[cut + 10..]);
    add(&place, "live.arrows", &stream(&rows(600, 2)));
    assert_eq!(read(&place), 2100);
}

#[test]
fn rotation_by_copy_repeats_no_row() {
    let place = Place::new("");
    let bytes = stream(&rows(900, 1));
    add(&place, "live.arrows", &bytes[..bytes.len() - 8]);
    assert_eq!(read(&place), 900);
    let live = place.feed().join("live.arrows");
    fs::copy(&live, place.feed().join("live.1.arrows")).expect("a copy");
    fs::write(&live, []).expect("emptied");
    add(&place, "live.arrows", &stream(&rows(300, 2)));
    assert_eq!(read(&place), 1200);
}

#[test]
fn a_file_that_is_being_written_waits() {
    let place = Place::new("");
    parquet(&place.feed().join("whole.parquet"), &rows(300, 1));
    let bytes = fs::read(place.feed().join("whole.parquet")).expect("bytes");
    fs::rename(place.feed().join("whole.parquet"), place.path("aside")).expect("a name");
    add(&place, "slow.parquet", &bytes[..bytes.len() / 2]);
    add(&place, "other.tmp", b"not looked at");
    parquet(&place.feed().join("next.parquet"), &rows(400, 2));
    assert_eq!(read(&place), 400);
    add(&place, "slow.parquet", &bytes[bytes.len() / 2..]);
    assert_eq!(read(&place), 700);
    assert_eq!(place.result().quarantined, 0);
}

#[test]
fn a_changed_prefix_stops_the_run_or_is_refused() {
    let place = Place::new("source.on_changed = \"stop\"");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(500, 1));
    assert_eq!(read(&place), 500);
    let mut bytes = fs::read(feed.join("a.parquet")).expect("bytes");
    bytes[100] ^= 0xFF;
    fs::write(feed.join("a.parquet"), &bytes).expect("changed in its place");
    refused(&place.learn(), 1, &["a.parquet", "on_changed"]);
    // By default it takes nobody down.
    place.configure("");
    parquet(&feed.join("b.parquet"), &rows(300, 2));
    assert_eq!(read(&place), 800);
    assert_eq!(place.result().quarantined, 1);
}

#[test]
fn signals_drain_snapshot_and_reload() {
    let place = Place::new("output.every_s = 100000");
    place.configure("state.checkpoint_s = 100000");
    let daemon = Daemon::start(&place);
    parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
    wait_for("the file", || log(&place).contains("file taken"));
    daemon.signal("-USR1");
    wait_for("a snapshot", || log(&place).contains("snapshot published"));
    fs::write(place.config(), "nonsense = 1\n").expect("a file");
    daemon.signal("-HUP");
    wait_for("a refusal", || {
        log(&place).contains("the old one stays in force")
    });
    place.configure("learner.seed = 5");
    daemon.signal("-HUP");
    wait_for("another", || log(&place).contains("learner.seed"));
    place.configure("state.checkpoint_s = 2");
    daemon.signal("-HUP");
    wait_for("the reload", || {
        log(&place).contains("configuration reloaded")
    });
    parquet(&place.feed().join("b.parquet"), &rows(300, 2));
    wait_for("one more", || {
        log(&place).matches("file taken").count() == 2
    });
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(place.result().rows_read, 1300);
}

#[test]
fn a_second_daemon_and_another_configuration_are_refused() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(500, 1));
    let daemon = Daemon::start(&place);
    wait_for("the file", || log(&place).contains("file taken"));
    refused(&place.learn(), 1, &["another ojad", "state.dir"]);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(read(&place), 500);
    place.configure("learner.scale = \"standard\"");
    let output = place.learn();
    refused(&output, 1, &["learner.scale", "--reset-state", "state.dir"]);
    let output = place
        .daemon()
        .args(["--until-idle", "--reset-state"])
        .output();
    succeeded(&output.expect("the program starts"));
    assert_eq!(place.result().rows_read, 500);
}

#[test]
fn a_short_minibatch_is_flushed_and_repeats() {
    let place = Place::new("source.latency_max_ms = 30");
    parquet(&place.feed().join("a.parquet"), &rows(100, 1));
    let daemon = Daemon::start(&place);
    wait_for("the flush", || log(&place).contains("short minibatch"));
    parquet(&place.feed().join("b.parquet"), &rows(64, 2));
    wait_for("the next file", || {
        log(&place).matches("file taken").count() == 2
    });
    std::thread::sleep(Duration::from_millis(100));
    daemon.signal("-KILL");
    drop(daemon);
    let output = place.learn();
    succeeded(&output);
    let found = place.inspect();
    assert_eq!(found["rows_read"], 164);
    assert!(found["flushes"].as_u64().is_some_and(|n| n >= 1), "{found}");
}

#[test]
fn streams_are_kept_until_a_checkpoint_holds_them() {
    let place = Place::new("state.checkpoint_s = 1");
    let socket = place.path("in.sock");
    let text = fs::read_to_string(place.config()).expect("text");
    let inputs = format!("source.inputs = [\"unix:{}\"]", socket.display());
    let lines: Vec<&str> = text.lines().skip(1).collect();
    fs::write(place.config(), format!("{inputs}\n{}\n", lines.join("\n"))).expect("a file");
    let daemon = Daemon::start(&place);
    wait_for("the socket", || UnixStream::connect(&socket).is_ok());
    let mut to = UnixStream::connect(&socket).expect("a connection");
    to.write_all(&stream(&rows(1200, 1))).expect("rows");
    drop(to);
    wait_for("the rows", || log(&place).contains("rows=1200"));
    // Killed without a word: what came through the socket is still there.
    daemon.signal("-KILL");
    drop(daemon);
    let mut child = place.daemon();
    let log_file = fs::File::create(place.path("log")).expect("a log");
    let child = Daemon(
        child
            .stderr(Stdio::from(log_file))
            .spawn()
            .expect("a daemon"),
    );
    wait_for("the socket again", || UnixStream::connect(&socket).is_ok());
    // A stop drains what was read, not what could be.
    let has_checkpoint = || {
        let mut names = fs::read_dir(place.state()).expect("a state").flatten();
        names.any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("checkpoint-")
        })
    };
    wait_for("the rows again", || {
        has_checkpoint() && place.inspect()["rows_read"] == 1200
    });
    assert_eq!(child.stop(), Some(0), "{}", log(&place));
    let found = place.inspect();
    assert_eq!(found["rows_read"], 1200);
}

#[test]
fn standard_input_is_learned_to_its_end() {
    let place = Place::new("");
    let text = fs::read_to_string(place.config()).expect("text");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let text = format!("source.inputs = [\"-\"]\n{}\n", lines.join("\n"));
    fs::write(place.config(), text).expect("a file");
    let mut child = place
        .daemon()
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a daemon");
    let mut to = child.stdin.take().expect("a pipe");
    to.write_all(&stream(&rows(1000, 1))).expect("rows");
    drop(to);
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(place.inspect()["rows_read"], 1000);
}

#[test]
fn the_state_can_be_looked_at_and_verified() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    place.learned();
    let verify = |path: &Path| ojad().args(["state", "verify"]).arg(path).output();
    let output = verify(&place.state()).expect("the program starts");
    succeeded(&output);
    let newest = fs::read_dir(place.state())
        .expect("a directory")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("checkpoint-"))
        .max()
        .expect("a checkpoint");
    let mut bytes = fs::read(&newest).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).expect("damaged");
    let output = verify(&place.state()).expect("the program starts");
    refused(&output, 1, &["checkpoint-", "checksum"]);
    // The one before takes its place, says so, and the rows after it are read again.
    let output = place.learn();
    succeeded(&output);
    assert!(
        stderr(&output).contains("using the one before"),
        "{}",
        stderr(&output)
    );
    assert_eq!(place.result().rows_read, 3000);
}

/// Replaces a file: by a new one under the name of the old, which went first, or in one rename.
fn replace(place: &Place, name: &str, batch: &arrow::array::RecordBatch, is_renamed: bool) {
    let path = place.feed().join(name);
    if is_renamed {
        return parquet(&path, batch);
    }
    let aside = place.path("aside.parquet");
    parquet(&aside, batch);
    let bytes = fs::read(&aside).expect("bytes");
    fs::remove_file(&path).expect("removed");
    // The system likes to give the inode of the file that went.
    fs::write(&path, bytes).expect("a file");
}

#[test]
fn a_file_replaced_under_its_name_is_learned_at_once() {
    for is_renamed in [false, true] {
        // No look but those that notification asks for.
        let place = Place::new("");
        let text = fs::read_to_string(place.config()).expect("a file");
        let text = text.replace("rescan_ms = 20", "rescan_ms = 60000");
        fs::write(place.config(), text).expect("a file");
        parquet(&place.feed().join("live.parquet"), &rows(200, 1));
        let daemon = Daemon::start(&place);
        for turn in 1..=7 {
            wait_for("its rows", || {
                log(&place).matches("file taken").count() == turn
            });
            if turn < 7 {
                replace(
                    &place,
                    "live.parquet",
                    &rows(200, turn as u64 + 1),
                    is_renamed,
                );
            }
        }
        assert_eq!(daemon.stop(), Some(0));
        let result = place.result();
        assert_eq!((result.rows_read, result.quarantined), (1400, 0));
    }
}

/// Where nobody tells that something happened, the times of change of names and directories do.
#[test]
fn a_file_replaced_between_two_runs_is_learned_with_the_next() {
    let place = Place::new("");
    parquet(&place.feed().join("live.parquet"), &rows(200, 1));
    assert_eq!(read(&place), 200);
    for turn in 2..=5 {
        replace(&place, "live.parquet", &rows(200, turn), turn % 2 == 0);
        assert_eq!(read(&place), 200 * turn);
    }
    assert_eq!(place.result().quarantined, 0);
}

#[test]
fn a_run_until_all_is_learned_names_what_was_not_whole() {
    let place = Place::new("");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(300, 1));
    parquet(&feed.join("b.parquet"), &rows(400, 2));
    let whole = fs::read(feed.join("b.parquet")).expect("bytes");
    fs::write(feed.join("b.parquet"), &whole[..whole.len() / 2]).expect("half a file");
    fs::write(feed.join("c.parquet"), []).expect("an empty file");
    let output = place.learn();
    succeeded(&output);
    let log = stderr(&output);
    let said = log.lines().find(|line| line.contains("incomplete"));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    for word in ["b.parquet", "files=2", "footer", "WARN"] {
        assert!(said.contains(word), "no {word}: {said}");
    }
    assert_eq!(place.result().rows_read, 300);
    fs::write(feed.join("b.parquet"), whole).expect("the whole file");
    fs::remove_file(feed.join("c.parquet")).expect("removed");
    let log = stderr(&place.learn());
    assert!(!log.contains("not whole"), "{log}");
    assert_eq!(place.result().rows_read, 700);
}

/// The process that decodes, held still.
struct Held(u32);

impl Held {
    fn of(daemon: &Daemon) -> Self {
        let pid = daemon.0.id();
        let mut children = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).expect("threads") {
            let path = task.expect("a thread").path().join("children");
            let text = fs::read_to_string(path).unwrap_or_default();
            children.extend(text.split_whitespace().map(str::to_owned));
        }
        let held = Self(children[0].parse().expect("a number"));
        held.signal("-STOP");
        held
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.to_string();
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args([signal, &pid]).status();
        assert!(sent.expect("kill").success());
    }
}

/// Prints the log of a daemon when the test fails.
struct Shown<'a>(&'a Place);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", log(self.0));
        }
    }
}

#[test]
fn what_a_file_held_that_was_replaced_before_its_turn_is_said_by_name() {
    let place = Place::new("");
    let feed = place.feed();
    parquet(&feed.join("first.parquet"), &rows(100, 1));
    let daemon = Daemon::start(&place);
    let _shown = Shown(&place);
    wait_for("the first", || log(&place).contains("file taken"));
    let held = Held::of(&daemon);
    // Both in one look: a directory that comes by its name.
    let made = place.path("made");
    fs::create_dir(&made).expect("a directory");
    parquet(&made.join("lost.parquet"), &rows(200, 2));
    parquet(&made.join("moved.parquet"), &rows(300, 3));
    fs::rename(&made, feed.join("both")).expect("a name");
    let both = feed.join("both");
    let journal = || fs::read(place.state().join("journal")).unwrap_or_default();
    let is_decided = |name: &[u8]| journal().windows(name.len()).any(|part| part == name);
    wait_for("decisions", || {
        is_decided(b"lost.parquet") && is_decided(b"moved.parquet")
    });
    parquet(&both.join("lost.parquet"), &rows(400, 4));
    fs::rename(both.join("moved.parquet"), both.join("under.parquet")).expect("a name");
    held.signal("-CONT");
    let is_said = |name: &str| {
        let text = log(&place);
        let mut lines = text.lines();
        lines.any(|line| line.contains("before it was read") && line.contains(name))
    };
    wait_for("the word about it", || is_said("lost.parquet"));
    wait_for("the others", || {
        log(&place).matches("file taken").count() == 3
    });
    assert_eq!(daemon.stop(), Some(0));
    assert!(!is_said("moved.parquet"), "{}", log(&place));
    let result = place.result();
    assert_eq!((result.rows_read, result.quarantined), (800, 0));
}
