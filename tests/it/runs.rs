//! State, spool and output are one run's: none is written where another may own it by now, none is taken
//! for that of another, and a state that was lost begins nothing anew without being told to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use ojad::daemon::run::{Begin, RunParams};

use crate::faults::{learn_with, params, restored};
use crate::feeds::{Place, parquet, rows, stream};
use crate::program::{ojad, refused, run, stderr, succeeded};
use crate::pusher::{Daemon, pushing, try_push};
use crate::simdisk::{Fault, SimDisk};

/// What waits longer than this hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that follows a place until it is told to end, its log in a file.
struct Following {
    child: Child,
    log: PathBuf,
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Following {
    fn start(place: &Place) -> Self {
        let (child, log) = (place.spawn(), place.path("log"));
        Self { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_for(&self, what: &str, times: usize) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = self.said();
            if text.matches(what).count() >= times {
                return text;
            }
            assert!(Instant::now() < until, "no {what:?} in:\n{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has ended by itself; its exit code.
    fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            assert!(Instant::now() < until, "it goes on:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").arg(pid).status();
        assert!(sent.expect("kill").success());
        assert_eq!(self.ended(), Some(0), "{}", self.said());
    }
}

/// Everything in a directory but who holds it: hashes of files, by their paths, and where links lead.
fn content(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).expect("a link");
                found.insert(path, target.display().to_string());
            } else if entry.file_name() != "lock" && entry.file_name() != ".lock" {
                let bytes = fs::read(&path).expect("bytes");
                let hash = ojad::rows::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
                found.insert(path, hash);
            }
        }
    }
    found
}

/// A place whose state is a directory below another one.
fn nested() -> (Place, PathBuf) {
    let place = Place::new("");
    let text = fs::read_to_string(place.config()).expect("text");
    let text = text.replace("/state\"", "/deep/state\"");
    fs::write(place.config(), text).expect("a file");
    let state = place.path("deep/state");
    (place, state)
}

type Deed = fn(&Place);

/// What may become of a state directory, with the words that tell it.
fn displacements() -> Vec<(&'static str, Deed, Vec<&'static str>)> {
    fn made_anew(place: &Place) {
        fs::create_dir_all(place.path("deep/state/spool")).expect("a directory");
        for name in ["lock", "checkpoint-000000000007", "journal", "opening"] {
            fs::write(place.path("deep/state").join(name), "another run's").expect("a file");
        }
    }
    let renamed: Deed = |place| {
        fs::rename(place.path("deep/state"), place.path("away")).expect("a name");
    };
    let above: Deed = |place| fs::rename(place.path("deep"), place.path("other")).expect("a name");
    let removed: Deed = |place| fs::remove_dir_all(place.path("deep/state")).expect("removed");
    let replaced: Deed = |place| {
        fs::rename(place.path("deep/state"), place.path("away")).expect("a name");
        made_anew(place);
    };
    let begun_anew: Deed = |place| {
        fs::remove_dir_all(place.path("deep/state")).expect("removed");
        made_anew(place);
    };
    let unlocked: Deed = |place| fs::remove_file(place.path("deep/state/lock")).expect("removed");
    let restore = "restore it from a backup";
    vec![
        (
            "renamed",
            renamed,
            vec!["was renamed", "/away)", "rename it back"],
        ),
        (
            "above",
            above,
            vec!["was renamed", "other/state)", "rename it back"],
        ),
        (
            "removed",
            removed,
            vec!["was removed", restore, "--reset-state"],
        ),
        (
            "replaced",
            replaced,
            vec!["was renamed", "another one is in its place", "move it back"],
        ),
        (
            "begun anew",
            begun_anew,
            vec!["was removed, and another one", restore, "--reset-state"],
        ),
        (
            "unlocked",
            unlocked,
            vec!["its lock file was removed", "no other ojad"],
        ),
    ]
}

#[test]
fn a_state_directory_that_is_not_there_any_more_ends_the_run_loudly() {
    for (case, deed, words) in displacements() {
        let (place, state) = nested();
        parquet(&place.feed().join("a.parquet"), &rows(700, 1));
        let mut daemon = Following::start(&place);
        daemon.wait_for("checkpoint written", 1);
        daemon.wait_for("file taken", 1);
        deed(&place);
        let before = state.exists().then(|| content(&state));
        // More rows than make a checkpoint and a snapshot due.
        parquet(&place.feed().join("b.parquet"), &rows(3000, 2));
        assert_eq!(daemon.ended(), Some(1), "{case}: {}", daemon.said());
        let said = daemon.said();
        let last = said.lines().last().expect("a line");
        let mut checkpoint = said
            .lines()
            .filter(|line| line.contains("checkpoint written"));
        let learned = checkpoint.next_back().expect("one").split("rows=").nth(1);
        let learned = learned
            .expect("rows")
            .split_whitespace()
            .next()
            .expect("a number");
        let path = state.display().to_string();
        let expected = format!("the last checkpoint has {learned} rows");
        for word in words.into_iter().chain([path.as_str(), expected.as_str()]) {
            assert!(last.contains(word), "{case}: no {word:?} in {last}");
        }
        // Nothing was written into what may be somebody else's.
        assert_eq!(state.exists().then(|| content(&state)), before, "{case}");
        // What was to be snapshots would be ahead of every state: there is none.
        assert!(!place.path("model/latest").exists(), "{case}");
    }
}

#[test]
fn a_state_directory_that_is_put_back_is_gone_on_with() {
    let (place, state) = nested();
    let calm = Place::new("");
    for (name, seed) in [("a.parquet", 1), ("b.parquet", 2)] {
        parquet(&calm.feed().join(name), &rows(3000, seed));
    }
    let expected = calm.learned();
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    let mut daemon = Following::start(&place);
    daemon.wait_for("file taken", 1);
    fs::rename(&state, place.path("away")).expect("a name");
    parquet(&place.feed().join("b.parquet"), &rows(3000, 2));
    assert_eq!(daemon.ended(), Some(1));
    fs::rename(place.path("away"), &state).expect("a name");
    succeeded(&place.learn());
    let output = ojad()
        .args(["state", "inspect", "--json"])
        .arg(&state)
        .output();
    let found: serde_json::Value =
        serde_json::from_slice(&output.expect("it starts").stdout).expect("JSON");
    assert_eq!(found["rows_read"], 6000);
    assert_eq!(found["state_sha256"], expected.state.as_str());
}

#[test]
fn a_link_that_leads_to_another_state_by_now_ends_the_run() {
    let (place, state) = nested();
    fs::create_dir_all(place.path("deep")).expect("a directory");
    fs::create_dir_all(place.path("one")).expect("a directory");
    fs::create_dir_all(place.path("two")).expect("a directory");
    symlink(place.path("one"), &state).expect("a link");
    parquet(&place.feed().join("a.parquet"), &rows(700, 1));
    let mut daemon = Following::start(&place);
    daemon.wait_for("checkpoint written", 1);
    fs::remove_file(&state).expect("removed");
    symlink(place.path("two"), &state).expect("a link");
    parquet(&place.feed().join("b.parquet"), &rows(3000, 2));
    assert_eq!(daemon.ended(), Some(1), "{}", daemon.said());
    assert!(content(&place.path("two")).is_empty());
}

#[test]
fn rows_that_are_pushed_behind_a_renamed_state_are_not_answered_for() {
    let place = pushing("");
    let body = stream(&rows(200, 1));
    let mut daemon = Daemon::start(&place);
    let answer = daemon.push("?ack=durable", "first", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (state, away) = (place.state(), place.path("away"));
    fs::rename(&state, &away).expect("a name");
    // As another run would find it.
    fs::create_dir_all(state.join("spool")).expect("a directory");
    let until = Instant::now() + PATIENCE;
    let mut key = 0;
    while daemon.child.try_wait().expect("a status").is_none() {
        key += 1;
        if let Some(answer) = try_push(&daemon.address, "", &format!("key-{key}"), &body) {
            assert_eq!(answer.status, 503, "{answer:?}");
        }
        assert!(Instant::now() < until, "it goes on");
        // Below the rate that one client may ask at.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(content(&state).is_empty(), "{:?}", content(&state));
    fs::remove_dir_all(&state).expect("removed");
    fs::rename(&away, &state).expect("a name");
    assert_eq!(place.learned().rows_read, 200);
}

#[test]
fn an_output_directory_that_is_gone_is_made_again_and_that_is_said() {
    let deeds: [(Deed, &str); 2] = [
        (
            |place| fs::remove_dir_all(place.path("model")).expect("removed"),
            "was removed",
        ),
        (
            |place| fs::rename(place.path("model"), place.path("old")).expect("a name"),
            "was renamed (to ",
        ),
    ];
    for (deed, word) in deeds {
        let place = Place::new("");
        parquet(&place.feed().join("a.parquet"), &rows(2100, 1));
        let daemon = Following::start(&place);
        daemon.wait_for("snapshot published", 1);
        deed(&place);
        parquet(&place.feed().join("b.parquet"), &rows(2100, 2));
        let said = daemon.wait_for("snapshot published", 2);
        assert!(
            said.contains(word) && said.contains("created again"),
            "{said}"
        );
        daemon.stop();
        let shown = run(&["show", place.path("model").to_str().expect("text")]);
        succeeded(&shown);
        assert!(String::from_utf8_lossy(&shown.stdout).contains("4200 rows"));
        assert_eq!(place.learned().rows_read, 4200);
    }
}

#[test]
fn the_output_of_another_run_in_the_place_of_ones_own_is_not_published_into() {
    let [place, other] = [1, 2].map(|seed| {
        let place = Place::new("");
        parquet(&place.feed().join("a.parquet"), &rows(2100, seed));
        place
    });
    other.learned();
    let daemon = Following::start(&place);
    daemon.wait_for("snapshot published", 1);
    fs::rename(place.path("model"), place.path("own")).expect("a name");
    copy(&other.path("model"), &place.path("model"));
    let before = content(&place.path("model"));
    parquet(&place.feed().join("b.parquet"), &rows(2100, 2));
    let said = daemon.wait_for("snapshot could not be written", 1);
    assert!(said.contains(&run_of(&other)), "{said}");
    assert_eq!(content(&place.path("model")), before);
    // Put right, it goes on by itself.
    fs::rename(place.path("model"), place.path("others")).expect("a name");
    fs::rename(place.path("own"), place.path("model")).expect("a name");
    daemon.wait_for("snapshot written again", 1);
    daemon.stop();
    assert_eq!(metadata(&place)["rows"], 4200);
}

/// A place with a feed and a state of its own, and the output of another one.
fn beside(other: &Place) -> Place {
    let place = Place::new("");
    let text = fs::read_to_string(place.config()).expect("text");
    let (own, theirs) = (place.path("model"), other.path("model"));
    let text = text.replace(&own.display().to_string(), &theirs.display().to_string());
    fs::write(place.config(), text).expect("a file");
    place
}

#[test]
fn one_daemon_at_a_time_publishes_into_a_directory() {
    let first = Place::new("");
    parquet(&first.feed().join("a.parquet"), &rows(2100, 1));
    let daemon = Following::start(&first);
    daemon.wait_for("snapshot published", 1);
    let model = first.path("model");
    let published = fs::read_link(model.join("latest")).expect("a snapshot");
    let second = beside(&first);
    parquet(&second.feed().join("a.parquet"), &rows(500, 2));
    let (process, state) = (daemon.child.id().to_string(), first.state());
    let told = [
        model.to_str(),
        Some("output.dir"),
        Some(&process),
        state.to_str(),
    ];
    let told = told.map(|part| part.expect("text"));
    refused(&second.learn(), 1, &told);
    // Not even when it is told to start over: the output is in use.
    let output = second
        .daemon()
        .args(["--until-idle", "--reset-state"])
        .output();
    refused(&output.expect("it starts"), 1, &told);
    // Nor does a fit get in, and it says so before it reads: there is no such column.
    let input = second.feed().join("a.parquet");
    let mut fit = ojad();
    fit.arg("fit").arg(&input).arg("--output").arg(&model);
    refused(
        &fit.args(["--exclude", "none"]).output().expect("it starts"),
        1,
        &told,
    );
    let merge = || {
        let mut merge = ojad();
        merge.arg("merge").arg(&model).arg("--output").arg(&model);
        merge.output().expect("it starts")
    };
    refused(&merge(), 1, &told);
    assert_eq!(
        fs::read_link(model.join("latest")).expect("a snapshot"),
        published
    );
    // Readers see nothing of it.
    succeeded(&run(&["show", model.to_str().expect("text")]));
    daemon.stop();
    succeeded(&merge());
}

fn run_of(place: &Place) -> String {
    let found = place.inspect();
    found["meta"]["run_id"].as_str().expect("an id").to_owned()
}

fn metadata(place: &Place) -> serde_json::Value {
    let text = fs::read(place.path("model/latest/snapshot.json")).expect("a snapshot");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn everything_says_which_run_it_is_of_and_equal_feeds_end_in_equal_states() {
    let places = [Place::new(""), Place::new("")];
    let results = places.each_ref().map(|place| {
        parquet(&place.feed().join("a.parquet"), &rows(1000, 1));
        place.learned()
    });
    assert_eq!(results[0], results[1]);
    let ids = places.each_ref().map(run_of);
    assert_ne!(ids[0], ids[1]);
    let (place, id) = (&places[0], &ids[0]);
    assert!(
        id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(metadata(place)["run_id"], id.as_str());
    let (state, model) = (place.state(), place.path("model"));
    let said = |args: &[&str], path: &Path| {
        let output = ojad().args(args).arg(path).output().expect("it starts");
        succeeded(&output);
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(said(&["state", "inspect"], &state).contains(&format!("run           {id}\n")));
    let verified = said(&["state", "verify"], &state);
    assert!(
        verified.contains(&format!("rows learned, run {id}\n")),
        "{verified}"
    );
    assert!(said(&["show"], &model).contains(&format!("\nrun {id}\n")));
    let shown: serde_json::Value =
        serde_json::from_str(&said(&["show", "--json"], &model)).unwrap();
    assert_eq!(shown["run_id"], id.as_str());
    // It stays, over restarts and more rows.
    parquet(&place.feed().join("b.parquet"), &rows(1000, 2));
    place.learned();
    assert_eq!(&run_of(place), id);
    assert_eq!(metadata(place)["run_id"], id.as_str());
}

/// A copy of a directory and of those in it.
fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copied(&path, &to);
        } else {
            fs::copy(path, to).expect("a copy");
        }
    }
}

#[test]
fn a_state_that_was_lost_begins_nothing_anew_without_being_told_to() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    let expected = place.learned();
    let (state, id) = (place.state(), run_of(&place));
    let latest = || fs::read_link(place.path("model/latest")).expect("a snapshot");
    let published = latest();
    // All of it, or what it is made of.
    let losses: [fn(&Path); 3] = [
        |state| fs::remove_dir_all(state).expect("removed"),
        |state| {
            for entry in fs::read_dir(state).expect("a directory").flatten() {
                if entry.path().is_file() && entry.file_name() != "run" {
                    fs::remove_file(entry.path()).expect("removed");
                }
            }
        },
        |state| {
            fs::remove_dir_all(state).expect("removed");
            fs::create_dir(state).expect("a directory");
        },
    ];
    let kept = place.path("kept");
    copied(&state, &kept);
    for lose in losses {
        let _ = fs::remove_dir_all(&state);
        copied(&kept, &state);
        lose(&state);
        let was_there = state.exists();
        for _ in 0..2 {
            let told = [
                "--reset-state",
                "3000 rows",
                id.as_str(),
                state.to_str().expect("text"),
            ];
            refused(&place.learn(), 1, &told);
            assert_eq!(latest(), published);
            // Who puts it back finds its place free.
            assert_eq!(state.exists(), was_there);
        }
    }
    let reset = place
        .daemon()
        .args(["--until-idle", "--reset-state"])
        .output();
    succeeded(&reset.expect("it starts"));
    assert_ne!(run_of(&place), id);
    // The same rows, and a snapshot of its own: the one of the run before stays as it is.
    assert_eq!(place.result(), expected);
    assert_ne!(latest(), published);
    assert_eq!(metadata(&place)["run_id"], run_of(&place).as_str());
    // Told once is told: the next start needs no word.
    assert_eq!(place.learned(), expected);
}

#[test]
fn starting_over_is_agreed_to_once_wherever_the_run_ends_meanwhile() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(3000, 1));
    place.learned();
    fs::remove_dir_all(place.state()).expect("removed");
    let killed = |at: u64, flags: &[&str]| {
        let mut daemon = place.daemon();
        daemon.arg("--until-idle").args(flags);
        let output = daemon.env("OJAD_TEST_KILL_AT", at.to_string()).output();
        output.expect("it starts")
    };
    let (mut at, mut began) = (1, 0);
    loop {
        let _ = fs::remove_dir_all(place.state());
        let output = killed(at, &["--reset-state"]);
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), None, "{}", stderr(&output));
        // Killed again before its first snapshot is there, it is asked no more than before.
        let mut plain = killed(at, &[]);
        if plain.status.code().is_none() {
            plain = place.learn();
        }
        if plain.status.success() {
            began += 1;
        } else {
            assert_eq!(began, 0, "step {at}: {}", stderr(&plain));
            refused(&plain, 1, &["--reset-state"]);
        }
        at += 5;
        assert!(at < 3000, "a run has no end");
    }
    println!(
        "{began} runs that began before they were killed, of {}",
        at / 5
    );
    assert!(began > 3, "{began}");
    assert_eq!(place.learned().rows_read, 3000);
}

#[test]
fn what_belongs_to_another_run_is_refused_and_stays_as_it_is() {
    let [a, b] = [1, 2].map(|seed| {
        let place = Place::new("");
        parquet(&place.feed().join("a.parquet"), &rows(2500, seed));
        place.learned();
        place
    });
    let (of_a, of_b) = (run_of(&a), run_of(&b));
    // The output of another run.
    let mixed = beside(&b);
    copy(&a.state(), &mixed.state());
    let before = content(&b.path("model"));
    let output = mixed.learn();
    refused(&output, 1, &[&of_a, &of_b, "output.dir", "state.dir"]);
    assert_eq!(content(&b.path("model")), before);
    // Parts of another run in one state.
    for part in ["journal", "run"] {
        let state = a.path("mixed");
        copy(&a.state(), &state);
        fs::copy(b.state().join(part), state.join(part)).expect("a copy");
        let verified = ojad().args(["state", "verify"]).arg(&state).output();
        refused(&verified.expect("it starts"), 1, &[&of_a, &of_b]);
        fs::rename(a.state(), a.path("whole")).expect("a name");
        fs::rename(&state, a.state()).expect("a name");
        let before = content(&a.state());
        refused(&a.learn(), 1, &[&of_a, &of_b, part]);
        assert_eq!(content(&a.state()), before, "{part}");
        fs::remove_dir_all(a.state()).expect("removed");
        fs::rename(a.path("whole"), a.state()).expect("a name");
    }
    assert_eq!(a.learned().rows_read, 2500);
}

/// Copies a directory in the place of another one.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(status.expect("cp").success());
}

/// A state with a body in its spool that nobody has learned.
fn with_body(seed: u64) -> Place {
    let place = pushing("state.checkpoint_s = 3600");
    let mut daemon = Daemon::start(&place);
    let answer = daemon.push("", "key", &stream(&rows(150, seed)));
    assert_eq!(answer.status, 202, "{answer:?}");
    daemon.child.kill().expect("a kill");
    daemon.child.wait().expect("an end");
    place
}

fn bodies(place: &Place) -> usize {
    let names = fs::read_dir(place.state().join("spool"))
        .expect("a spool")
        .flatten();
    names
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("push-"))
        .count()
}

#[test]
fn a_spool_of_another_run_is_neither_learned_nor_removed() {
    let (a, b) = (with_body(1), with_body(2));
    assert_eq!((bodies(&a), bodies(&b)), (1, 1));
    let id = |place: &Place| fs::read_to_string(place.state().join("spool/_run")).expect("an id");
    let (of_a, of_b) = (id(&a), id(&b));
    copy(&b.state().join("spool"), &a.state().join("spool"));
    let spool = a.state().join("spool");
    let told = [
        of_a.trim(),
        of_b.trim(),
        "--reset-state",
        spool.to_str().expect("text"),
    ];
    for _ in 0..2 {
        refused(&a.learn(), 1, &told);
        assert_eq!((bodies(&a), id(&a)), (1, of_b.clone()));
    }
    // A state that was lost is another run, too.
    fs::rename(a.state(), a.path("away")).expect("a name");
    fs::create_dir(a.state()).expect("a directory");
    copy(&b.state().join("spool"), &a.state().join("spool"));
    refused(&a.learn(), 1, &[of_b.trim(), "--reset-state"]);
    assert_eq!(bodies(&a), 1);
    // Told to, it begins with what is there.
    let reset = a.daemon().args(["--until-idle", "--reset-state"]).output();
    succeeded(&reset.expect("it starts"));
    assert_eq!(a.inspect()["rows_read"], 150);
    // An empty one is nobody's; that of the run itself goes on.
    assert_eq!(b.learned().rows_read, 150);
    copy(&a.path("away"), &a.state());
    fs::write(a.state().join("spool/_run"), &of_b).expect("a file");
    for entry in fs::read_dir(a.state().join("spool"))
        .expect("a spool")
        .flatten()
    {
        if entry.file_name() != "_run" {
            fs::remove_file(entry.path()).expect("removed");
        }
    }
    fs::remove_dir_all(a.path("model")).expect("removed");
    // The decision about what was in it, if it came to one.
    let _ = fs::remove_file(a.state().join("journal"));
    succeeded(&a.learn());
    assert_eq!(id(&a), of_a);
}

#[test]
fn an_older_state_that_is_put_back_is_told_and_goes_on() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(2500, 1));
    place.learned();
    copy(&place.state(), &place.path("backup"));
    parquet(&place.feed().join("b.parquet"), &rows(2500, 2));
    let expected = place.learned();
    copy(&place.path("backup"), &place.state());
    let output = place.learn();
    succeeded(&output);
    let said = stderr(&output);
    for word in ["ahead of the state", "5000", "2500"] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(place.result(), expected);
    let said = stderr(&place.learn());
    assert!(!said.contains("ahead of the state"), "{said}");
}

#[test]
fn outputs_of_before_ids_were_known_are_taken_up() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(2500, 1));
    place.learned();
    let without_id = || {
        let latest = place.path("model/latest/snapshot.json");
        let mut found = metadata(&place);
        found.as_object_mut().expect("an object").remove("run_id");
        fs::write(latest, found.to_string()).expect("a file");
    };
    without_id();
    parquet(&place.feed().join("b.parquet"), &rows(500, 2));
    assert_eq!(place.learned().rows_read, 3000);
    assert_eq!(metadata(&place)["run_id"], run_of(&place).as_str());
    // Of whatever run: over a model that is there, nothing is begun anew unasked.
    without_id();
    fs::remove_dir_all(place.state()).expect("removed");
    refused(&place.learn(), 1, &["--reset-state", "3000 rows"]);
    let reset = place
        .daemon()
        .args(["--until-idle", "--reset-state"])
        .output();
    succeeded(&reset.expect("it starts"));
    succeeded(&place.learn());
}

fn begun(place: &Place, begin: Begin) -> RunParams {
    RunParams {
        begin,
        ..params(place)
    }
}

/// Power losses while a run starts over, on a disk that keeps what it likes of what was not fsynced.
#[test]
fn the_power_may_go_while_a_run_starts_over() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(900, 1));
    parquet(&place.feed().join("b.parquet"), &rows(1500, 2));
    let calm = SimDisk::default();
    assert!(learn_with(begun(&place, Begin::Resume), &calm).is_ok());
    let result = |disk: &SimDisk| {
        let found = restored(&place, disk);
        (found.state_sha256, found.rows_read)
    };
    let expected = result(&calm);
    let (mut losses, mut asked) = (0, 0);
    for at in 1.. {
        let disk = calm.after_power_loss(0);
        disk.failing(at, Fault::Power);
        let _ = learn_with(begun(&place, Begin::Anew), &disk);
        if !disk.is_dead() {
            break;
        }
        for seed in 0..8 {
            let disk = disk.after_power_loss(seed);
            if let Err(error) = learn_with(begun(&place, Begin::Resume), &disk) {
                // It is asked again, and says how.
                assert!(error.to_string().contains("--reset-state"), "{at}: {error}");
                asked += 1;
                let again = learn_with(begun(&place, Begin::Anew), &disk);
                assert!(again.is_ok(), "{at}, seed {seed}");
            }
            assert!(
                disk.has_whole_latest(&place.path("model")),
                "{at}, seed {seed}"
            );
            assert_eq!(result(&disk), expected, "{at}, seed {seed}");
            losses += 1;
        }
    }
    println!("{losses} power losses while a run starts over, {asked} asked again");
    assert!(
        losses > 300 && asked > 0 && 2 * asked < losses,
        "{losses} {asked}"
    );
}

/// The environment of a process, a variable a line.
fn environment(process: i32) -> String {
    let bytes = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

#[test]
fn a_worker_sees_no_secret_of_the_daemon() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(700, 1));
    let token = "0123456789abcdef-secret";
    let log = place.path("log");
    let child = place
        .daemon()
        .env("OJAD_HTTP_TOKEN", token)
        .env("AWS_SECRET_ACCESS_KEY", token)
        .env("RUST_BACKTRACE", "1")
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("the program starts");
    let daemon = Following { child, log };
    daemon.wait_for("file taken", 1);
    let worker = crate::unkind::worker_of(&daemon.child).expect("a worker");
    let seen = environment(worker);
    assert!(seen.contains("OJAD_WORKER_MEMORY_MIB="), "{seen}");
    assert!(seen.contains("RUST_BACKTRACE=1"), "{seen}");
    assert!(!seen.contains(token) && !seen.contains("SECRET"), "{seen}");
    assert!(!seen.contains("OJAD_HTTP_TOKEN"), "{seen}");
    daemon.stop();
}

#[test]
fn readers_of_an_output_find_snapshots_and_latest_alone() {
    let place = Place::new("");
    parquet(&place.feed().join("a.parquet"), &rows(700, 1));
    place.learned();
    let output: Output = run(&[
        "show",
        place.path("model").to_str().expect("text"),
        "--json",
    ]);
    succeeded(&output);
    let names: Vec<String> = fs::read_dir(place.path("model"))
        .expect("a directory")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
