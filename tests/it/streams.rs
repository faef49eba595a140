//! Pipes and sockets: what reached the spool is learned, whoever dies while a writer is connected.
//!
//! A decision names a file of the spool and where its messages end. The daemon is killed with writers
//! connected, in the middle of their messages; the power goes at every operation, and of the bytes that
//! nobody waited for the disk keeps what it likes. Every row that is left must be learned, none refused.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::ipc::writer::StreamWriter;
use crossbeam_channel::bounded;
use ojad::checkpoint::{Journal, Recorded, Store};
use ojad::daemon::run::{Command, Surroundings, Until, inspect, run};
use ojad::disk::{Disk, RealDisk};
use ojad::source::worker::InProcess;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::faults::{learn, params};
use crate::feeds::{Place, rows};
use crate::simdisk::{Fault, SimDisk};

/// Rows of a message.
const STEP: usize = 200;

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A stream without an end, and where its messages end.
fn messages(count: usize, seed: u64) -> (Vec<u8>, Vec<usize>) {
    let batch = rows(count * STEP, seed);
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    let mut ends = Vec::new();
    for i in 0..count {
        writer.write(&batch.slice(i * STEP, STEP)).expect("rows");
        ends.push(writer.get_ref().len());
    }
    (writer.get_ref().clone(), ends)
}

/// The first `count` messages and half of the next one.
fn cut(count: usize, seed: u64) -> Vec<u8> {
    let (bytes, ends) = messages(count + 1, seed);
    let middle = usize::midpoint(ends[count - 1], ends[count]);
    bytes[..middle].to_vec()
}

fn listen(place: &Place, input: &str) {
    place.configure("state.checkpoint_s = 100000");
    let text = fs::read_to_string(place.config()).expect("text");
    let (_, rest) = text.split_once('\n').expect("lines");
    let text = format!("source.inputs = [\"{input}\"]\n{rest}");
    fs::write(place.config(), text).expect("a file");
}

struct Daemon(Child, PathBuf);

impl Drop for Daemon {
    /// Killed without a word.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            println!("{}", fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.path("log")).unwrap_or_default()
}

/// Rows taken by segments that went on, of all streams.
fn taken(place: &Place) -> usize {
    let log = log(place);
    let lines = log.lines().filter(|line| line.contains("messages taken"));
    let rows = lines.filter_map(|line| line.split_once("rows=")?.1.trim().parse::<usize>().ok());
    rows.sum()
}

fn start(place: &Place) -> Daemon {
    let to = fs::File::create(place.path("log")).expect("a log");
    let mut command = place.daemon();
    command.env("OJAD_LOG_LEVEL", "debug").env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stderr(to);
    Daemon(command.spawn().expect("a daemon"), place.path("log"))
}

/// A daemon and writers that are connected to it.
fn connected(place: &Place, kind: &str, count: usize) -> (Daemon, Vec<Box<dyn Write>>) {
    let path = place.path("in");
    match kind {
        "stdin" => {
            listen(place, "-");
            let mut daemon = start(place);
            let to = daemon.0.stdin.take().expect("a pipe");
            (daemon, vec![Box::new(to)])
        }
        "fifo" => {
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo").success());
            listen(place, &format!("fifo:{}", path.display()));
            let daemon = start(place);
            let to = fs::File::options().write(true).open(&path);
            (daemon, vec![Box::new(to.expect("a reader"))])
        }
        _ => {
            listen(place, &format!("unix:{}", path.display()));
            let daemon = start(place);
            let mut writers: Vec<Box<dyn Write>> = Vec::new();
            while writers.len() < count {
                wait_for("the socket", || {
                    UnixStream::connect(&path).is_ok_and(|to| {
                        writers.push(Box::new(to));
                        true
                    })
                });
            }
            (daemon, writers)
        }
    }
}

/// Kills a daemon that has taken so many messages of each of its writers, who stay connected.
fn killed(place: &Place, kind: &str, count: usize, each: usize) {
    let (daemon, mut writers) = connected(place, kind, count);
    for (writer, seed) in writers.iter_mut().zip(0..) {
        writer.write_all(&cut(each, seed)).expect("rows");
        writer.flush().expect("rows");
    }
    wait_for("the rows", || taken(place) == count * each * STEP);
    if count * each * STEP > 640 {
        wait_for("a checkpoint", || log(place).contains("checkpoint written"));
    }
    drop(daemon);
}

fn has_checkpoint(place: &Place) -> bool {
    let mut names = fs::read_dir(place.state()).expect("a state").flatten();
    names.any(|name| {
        name.file_name()
            .to_string_lossy()
            .starts_with("checkpoint-")
    })
}

#[test]
fn a_kill_loses_no_row_of_writers_that_stay_connected() {
    // The first checkpoint comes with 640 rows.
    for (each, is_late) in [(1, false), (7, true)] {
        for (kind, count) in [("stdin", 1), ("fifo", 1), ("unix", 1), ("unix", 3)] {
            let place = Place::new("");
            killed(&place, kind, count, each);
            assert_eq!(has_checkpoint(&place), is_late, "{kind}");
            // The same state directory, with nothing to wait for.
            place.configure("");
            let found = place.learned();
            let all = (count * each * STEP) as u64;
            assert_eq!(
                (found.rows_read, found.quarantined),
                (all, 0),
                "{kind} {count} {each}"
            );
            assert_eq!(place.learned(), found, "{kind}: a second time");
            if count == 1 {
                let calm = Place::new("");
                let (bytes, _) = messages(each, 0);
                fs::write(calm.feed().join("a.arrows"), bytes).expect("a file");
                assert_eq!(calm.learned(), found, "{kind} {each}");
            }
        }
    }
}

/// Calls the spool's file in the journal as the first version did, which did not say either which run
/// anything is of.
fn rewrite_journal(state: &Path, now: &Path, then: &Path) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let recorded = Recorded::read(state, disk.as_ref()).expect("a journal");
    let (run, entries) = (recorded.run.expect("a run"), recorded.entries);
    let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
    let (now, then) = (bytes(now), bytes(then));
    let mut replaced = 0;
    let payloads: Vec<Vec<u8>> = entries
        .iter()
        .map(|entry| {
            let mut payload = entry.bytes.clone();
            let at = payload.windows(now.len()).position(|part| part == now);
            if let Some(at) = at {
                let mut named = (then.len() as u64).to_le_bytes().to_vec();
                named.extend_from_slice(&then);
                payload.splice(at - 8..at + now.len(), named);
                replaced += 1;
            }
            payload
        })
        .collect();
    assert!(replaced > 0, "no decision names the file");
    fs::remove_file(state.join("journal")).expect("removed");
    let mut journal = Journal::resume(state, disk, run, Recorded::default(), 0);
    journal.append(&payloads).expect("a journal");
    let mut bytes = fs::read(state.join("journal")).expect("a journal");
    bytes[8] = 1;
    bytes.drain(12..28);
    fs::write(state.join("journal"), bytes).expect("a journal");
    for name in ["run", "spool/_run"] {
        fs::remove_file(state.join(name)).expect("removed");
    }
}

#[test]
fn decisions_of_the_first_version_and_of_a_moved_state_are_carried_out() {
    // Whether the first version has been started again meanwhile, which gave the file its other name.
    for was_renamed in [false, true] {
        let place = Place::new("");
        killed(&place, "unix", 1, 3);
        let now = place.state().join("spool/socket-000000000000.arrows");
        let then = now.with_extension("open");
        rewrite_journal(&place.state(), &now, &then);
        if !was_renamed {
            fs::rename(&now, &then).expect("a name");
        }
        place.configure("");
        let found = place.learned();
        let all = (3 * STEP) as u64;
        assert_eq!(
            (found.rows_read, found.quarantined),
            (all, 0),
            "{was_renamed}"
        );
    }
    let place = Place::new("");
    killed(&place, "unix", 1, 3);
    let moved = place.path("moved");
    fs::rename(place.state(), &moved).expect("a name");
    let text = fs::read_to_string(place.config()).expect("text");
    let text = text.replace(
        &place.state().display().to_string(),
        &moved.display().to_string(),
    );
    let (_, rest) = text.split_once('\n').expect("lines");
    let text = format!("source.inputs = [\"{}\"]\n{rest}", place.feed().display());
    fs::write(place.config(), text).expect("a file");
    let output = place.learn();
    assert!(
        output.status.success(),
        "{}",
        crate::program::stderr(&output)
    );
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    assert_eq!(counts(&moved, disk), ((3 * STEP) as u64, 0));
}

/// Rows read and files refused, of the newest checkpoint.
fn counts(state: &Path, disk: Arc<dyn Disk>) -> (u64, u64) {
    let mut store = Store::open(state, disk).expect("a store");
    let loaded = store.load().expect("a checkpoint").expect("one");
    let (found, state) = inspect(&loaded.checkpoint).expect("a state");
    for refused in &state.quarantine {
        // Seen when the test fails.
        println!("{refused:?}");
    }
    (found.rows_read, found.quarantined)
}

#[test]
fn a_connection_that_ends_before_its_first_row_is_refused_and_kept_no_longer() {
    let place = Place::new("");
    let (_daemon, mut writers) = connected(&place, "unix", 2);
    let (bytes, ends) = messages(1, 1);
    // Within the schema, and behind it.
    writers[0].write_all(&bytes[..100]).expect("bytes");
    writers[1].write_all(&bytes[..ends[0] - 1]).expect("bytes");
    drop(writers);
    wait_for("the refusal", || {
        log(&place).contains("its connection has ended")
    });
    // Rows come, checkpoints are written, and the spool is empty again.
    let path = place.path("in");
    let mut to = UnixStream::connect(&path).expect("a connection");
    let (bytes, _) = messages(8, 2);
    to.write_all(&bytes).expect("rows");
    drop(to);
    let spool = place.state().join("spool");
    let mut sent = 0;
    wait_for("an empty spool", || {
        // Two checkpoints must have what was taken, and they come with rows.
        if sent < 20 && taken(&place) >= (8 + sent) * STEP {
            let mut to = UnixStream::connect(&path).expect("a connection");
            to.write_all(&messages(1, 3 + sent as u64).0).expect("rows");
            sent += 1;
        }
        let names = fs::read_dir(&spool).expect("a spool").flatten();
        let numbers = names.map(|name| name.file_name().to_string_lossy().into_owned());
        let mut of_sockets = numbers.filter(|name| name.starts_with("socket-"));
        !of_sockets.any(|name| name.as_str() <= "socket-000000000002.arrows")
    });
}

#[test]
fn a_connection_of_nonsense_ends_nothing_however_it_goes_on() {
    let place = Place::new("");
    let (mut daemon, mut writers) = connected(&place, "unix", 1);
    for part in 0..3 {
        writers[0]
            .write_all(b"no stream of any kind\n")
            .expect("bytes");
        wait_for("the refusal", || log(&place).contains("file quarantined"));
        // Rows of another connection come through, behind every part.
        let mut to = UnixStream::connect(place.path("in")).expect("a connection");
        to.write_all(&messages(1, part).0).expect("rows");
        drop(to);
        wait_for("its rows", || taken(&place) == (1 + part as usize) * STEP);
        assert!(
            daemon.0.try_wait().expect("a status").is_none(),
            "{}",
            log(&place)
        );
    }
    let log = log(&place);
    assert_eq!(log.matches("file quarantined").count(), 1, "{log}");
}

/// Connections of a socket at a time.
const CONNECTIONS: usize = 64;

#[test]
fn silent_connections_make_way_and_one_that_sends_rows_does_not() {
    let schema = {
        let batch = rows(1, 1);
        let writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
        writer.get_ref().clone()
    };
    // Nothing at all; a schema without a row; half of it.
    for sent in [&[][..], &schema, &schema[..schema.len() / 2]] {
        let place = Place::new("");
        let (_daemon, mut writers) = connected(&place, "unix", 1);
        // Two messages and half of the third: this one goes on when all others have come and gone.
        let (bytes, ends) = messages(3, 1);
        let middle = usize::midpoint(ends[1], ends[2]);
        writers[0].write_all(&bytes[..middle]).expect("rows");
        wait_for("its rows", || taken(&place) == 2 * STEP);
        let silent = (1..CONNECTIONS).map(|_| {
            let mut to = UnixStream::connect(place.path("in")).expect("a connection");
            to.write_all(sent).expect("bytes");
            to
        });
        let silent: Vec<UnixStream> = silent.collect();
        for i in 0..3 {
            let mut to = UnixStream::connect(place.path("in")).expect("a connection");
            to.write_all(&messages(1, 2 + i).0).expect("rows");
            wait_for("rows of one more", || {
                taken(&place) == (3 + i as usize) * STEP
            });
        }
        let log = log(&place);
        let told = log.matches("closed silent connections to a socket");
        assert_eq!(told.count(), 1, "{log}");
        writers[0].write_all(&bytes[middle..]).expect("it goes on");
        wait_for("the rest", || taken(&place) == 6 * STEP);
        drop(silent);
    }
}

/// Operations that are tried; a run has fewer.
const OPERATIONS_MOST: u64 = 1000;
/// Power losses at each operation, each keeping another part of what was not fsynced.
const LOSSES: u64 = 3;
/// Messages that the writer sends.
const MESSAGES: usize = 7;

/// Follows a socket until the power goes or all messages were decided on; bytes that were sent.
fn follow(place: &Place, disk: &SimDisk, kept: &Path) -> usize {
    let socket = place.path("in");
    listen(place, &format!("unix:{}", socket.display()));
    let mut params = params(place);
    params.until = Until::Stopped;
    let decode = Box::new(InProcess::new(params.source.clone()));
    let (to, commands) = bounded(1);
    let on: Arc<dyn Disk> = Arc::new(disk.clone());
    let (bytes, ends) = messages(MESSAGES, 1);
    let mut sent = 0;
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            let mut never = || Err("no reload".to_owned());
            // It may end as it likes: what it leaves is looked at.
            let _ = run(
                params,
                Surroundings::unseen(&on, decode, &commands, &mut never),
            );
        });
        let mut writer = None;
        wait_for("the socket", || {
            writer = UnixStream::connect(&socket).ok();
            writer.is_some() || runner.is_finished()
        });
        if let Some(writer) = &mut writer {
            for (i, end) in ends.iter().enumerate() {
                // Half of the next message comes along.
                let next = ends.get(i + 1).unwrap_or(end);
                let until = usize::midpoint(*end, *next);
                writer.write_all(&bytes[sent..until]).expect("a socket");
                sent = until;
                wait_for("a decision", || {
                    disk.is_dead() || disk.outside(kept) >= *end as u64
                });
            }
        }
        // A run that has ended needs no word.
        let _ = to.send(Command::Stop);
        wait_for("the end", || runner.is_finished());
    });
    // What was sent comes through, whoever has died.
    wait_for("the bytes", || {
        sent == 0 || fs::metadata(kept).is_ok_and(|meta| meta.len() == sent as u64)
    });
    sent
}

#[test]
fn a_power_cut_loses_no_row_that_a_decision_names() {
    let (mut losses, mut learned) = (0, 0);
    let (_, ends) = messages(MESSAGES, 1);
    for at in 1..OPERATIONS_MOST {
        let place = Place::new("");
        let kept = place.state().join("spool/socket-000000000000.arrows");
        let disk = SimDisk::default();
        disk.failing(at, Fault::Power);
        let sent = follow(&place, &disk, &kept);
        if !disk.is_dead() {
            break;
        }
        // A second name keeps the inode when a run removes the first.
        let aside = place.path("aside");
        let bytes = fs::read(&kept).unwrap_or_default();
        if sent > 0 {
            fs::hard_link(&kept, &aside).expect("a link");
        }
        place.configure("");
        for seed in 0..LOSSES {
            let after = disk.after_power_loss(seed);
            let mut random = ChaCha8Rng::seed_from_u64(1000 * at + seed);
            let sure = usize::try_from(disk.outside(&kept)).expect("a size");
            let len = random.random_range(sure..=bytes.len());
            remake(&kept, &aside, &bytes[..len]);
            assert!(learn(&place, &after), "{at}, seed {seed}: the next run");
            losses += 1;
            let whole = ends.iter().filter(|end| **end <= len).count();
            if whole > 0 {
                let found = counts(&place.state(), Arc::new(after));
                let expected = ((whole * STEP) as u64, 0);
                assert_eq!(found, expected, "{at}, seed {seed}: {len} of {sent} bytes");
                learned += 1;
            }
        }
    }
    println!("{losses} power losses, {learned} with rows");
    assert!(losses > 60 && learned > 30, "{losses} {learned}");
}

/// Gives a file these bytes, under its name and with its inode; none where nothing is left.
fn remake(path: &PathBuf, aside: &Path, bytes: &[u8]) {
    if path.exists() {
        fs::remove_file(path).expect("removed");
    }
    if !bytes.is_empty() {
        fs::write(aside, bytes).expect("bytes");
        fs::hard_link(aside, path).expect("a link");
    }
}
