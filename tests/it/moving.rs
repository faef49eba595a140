//! The world moves under a run: files, directories, rights and disks between a decision and its turn,
//! and between a kill and the next start. Each row is learned once, and no file is blamed for it.

use std::collections::VecDeque;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use ojad::rows::Minibatch;
use ojad::source::worker::{Decode, Fault as Blame, InProcess, Job, Next, Refusal};
use ojad::source::{FeatureSchema, Frames, Segment};

use crate::faults::{learn_by, params, restored};
use crate::feeds::{Place, parquet, rows, stream};
use crate::simdisk::{Fault, SimDisk};

/// Rows of the file that is read while the others wait for their turn, and of each of those.
const FIRST: usize = 2000;
const EACH: usize = 100;
const OTHERS: usize = 6;

type Deed = Box<dyn FnMut() + Send>;

/// A decoder in whose way the world gets: before the n-th call for rows something happens, and so many
/// jobs fail with what the system says.
struct Meddled {
    here: InProcess,
    calls: u32,
    before: u32,
    deed: Deed,
    jobs: VecDeque<u64>,
    refusals: VecDeque<Refusal>,
}

impl Meddled {
    /// `deed` happens before the second piece: then all that was seen is decided.
    fn new(place: &Place, deed: impl FnMut() + Send + 'static) -> Box<Self> {
        Box::new(Self {
            here: InProcess::new(params(place).source),
            calls: 0,
            before: 2,
            deed: Box::new(deed),
            jobs: VecDeque::new(),
            refusals: VecDeque::new(),
        })
    }
}

impl Decode for Meddled {
    fn resolve(&mut self, segment: &Segment) -> Result<FeatureSchema, Refusal> {
        self.here.resolve(segment)
    }

    fn frames(&mut self, path: &Path) -> Result<Frames, Refusal> {
        self.here.frames(path)
    }

    fn use_schema(&mut self, feature_schema: &FeatureSchema, rows: usize) -> Result<(), Refusal> {
        self.here.use_schema(feature_schema, rows)
    }

    fn queue(&mut self, job: Job, want: usize) {
        self.jobs.push_back(job.ticket);
        self.here.queue(job, want);
    }

    fn queued(&self) -> usize {
        self.here.queued()
    }

    fn drop_first(&mut self) {
        self.jobs.pop_front();
        self.here.drop_first();
    }

    fn next(&mut self, batch: &mut Minibatch, at: usize) -> Next {
        self.calls += 1;
        if self.calls == self.before {
            (self.deed)();
        }
        if self.calls > self.before
            && let Some(refusal) = self.refusals.pop_front()
        {
            self.here.drop_first();
            let ticket = self.jobs.pop_front().expect("a job");
            return Next::Failed { ticket, refusal };
        }
        let next = self.here.next(batch, at);
        if !matches!(&next, Next::Rows { is_last: false, .. }) {
            self.jobs.pop_front();
        }
        next
    }
}

/// A feed of one long file and several short ones behind it.
fn fill(feed: &Path) {
    parquet(&feed.join("a.parquet"), &rows(FIRST, 1));
    for i in 0..OTHERS {
        let path = feed.join(format!("in/b{i}.parquet"));
        parquet(&path, &rows(EACH, 2 + i as u64));
    }
}

fn place() -> Place {
    let place = Place::new("source.incomplete_age_s = 1");
    fs::create_dir(place.feed().join("in")).expect("a directory");
    fill(&place.feed());
    place
}

/// Rows read and files refused when `deed` happens while the first file is read.
fn learned(place: &Place, deed: impl FnMut() + Send + 'static) -> (u64, u64) {
    let disk = SimDisk::default();
    assert!(learn_by(place, &disk, Meddled::new(place, deed)));
    counts(place, &disk)
}

fn counts(place: &Place, disk: &SimDisk) -> (u64, u64) {
    let found = restored(place, disk);
    (found.rows_read, found.quarantined)
}

const ALL: u64 = (FIRST + OTHERS * EACH) as u64;

#[test]
fn a_file_renamed_between_its_decision_and_its_turn_is_learned_under_its_new_name() {
    let place = place();
    let feed = place.feed();
    let found = learned(&place, move || {
        for i in 0..OTHERS {
            let (from, to) = (format!("in/b{i}.parquet"), format!("c{i}.parquet"));
            fs::rename(feed.join(from), feed.join(to)).expect("a name");
        }
    });
    assert_eq!(found, (ALL, 0));
}

#[test]
fn a_directory_renamed_between_decision_and_turn_is_found_again() {
    let place = place();
    let feed = place.feed();
    let found = learned(&place, move || {
        fs::rename(feed.join("in"), feed.join("in2")).expect("a name");
    });
    assert_eq!(found, (ALL, 0));
}

#[test]
fn the_place_of_a_file_taken_by_another_one_loses_neither() {
    // The names of b0 and b1 are changed for one another, and b2 makes room for a new file.
    let place = place();
    let feed = place.feed();
    let found = learned(&place, move || {
        let at = |name: &str| feed.join("in").join(name);
        fs::rename(at("b0.parquet"), at("x")).expect("a name");
        fs::rename(at("b1.parquet"), at("b0.parquet")).expect("a name");
        fs::rename(at("x"), at("b1.parquet")).expect("a name");
        fs::rename(at("b2.parquet"), at("z.parquet")).expect("a name");
        parquet(&at("b2.parquet"), &rows(50, 77));
    });
    assert_eq!(found, (ALL + 50, 0));
}

#[test]
fn a_file_removed_before_its_turn_is_nobodys_fault() {
    let place = place();
    let feed = place.feed();
    let found = learned(&place, move || {
        fs::remove_file(feed.join("in/b1.parquet")).expect("removed");
        fs::remove_file(feed.join("in/b4.parquet")).expect("removed");
    });
    assert_eq!(found, (ALL - 2 * EACH as u64, 0));
}

#[test]
fn an_error_of_the_system_makes_files_wait_and_refuses_none() {
    let place = place();
    let mut decode = Meddled::new(&place, || {});
    let refusal = Refusal {
        fault: Blame::Unreadable,
        reason: "Too many open files".to_owned(),
    };
    // It fails within the first file already, and for some looks.
    decode.refusals = vec![refusal; 5].into();
    let disk = SimDisk::default();
    assert!(learn_by(&place, &disk, decode));
    let found = counts(&place, &disk);
    assert_eq!(found, (ALL, 0));
}

/// What a rotation does to a stream that grows, and what its writer goes on with.
#[derive(Clone, Copy, Debug)]
enum Rotation {
    /// The file gets another name, and a new one begins in its place.
    Rename,
    /// It is copied and emptied; a new stream begins in it.
    Copy,
}

/// Grows in place: no end of the stream.
fn growing(path: &Path, count: usize, seed: u64) {
    let bytes = stream(&rows(count, seed));
    fs::write(path, &bytes[..bytes.len() - 8]).expect("a file");
}

fn rotate(feed: &Path, how: Rotation, more: usize) {
    let (live, old) = (feed.join("live.arrows"), feed.join("live.1.arrows"));
    match how {
        Rotation::Rename => fs::rename(&live, &old).expect("a name"),
        Rotation::Copy => {
            fs::copy(&live, &old).expect("a copy");
            fs::write(&live, []).expect("emptied");
        }
    }
    let mut file = fs::File::options();
    let mut file = file.append(true).create(true).open(live).expect("a file");
    file.write_all(&stream(&rows(more, 9))).expect("rows");
}

#[test]
fn a_stream_emptied_and_filled_past_its_length_before_its_turn_is_two_files() {
    for how in [Rotation::Copy, Rotation::Rename] {
        let place = place();
        growing(&place.feed().join("live.arrows"), 20, 1);
        let feed = place.feed();
        let found = learned(&place, move || rotate(&feed, how, 300));
        assert_eq!(found, (ALL + 320, 0), "{how:?}");
    }
}

/// The power goes at every operation, and a rotation comes before the next start.
#[test]
fn rotation_between_a_loss_of_power_and_the_next_start_repeats_and_loses_no_row() {
    let mut losses = 0;
    for (how, count) in [
        (Rotation::Rename, 900),
        (Rotation::Copy, 900),
        (Rotation::Copy, 20),
    ] {
        for at in 1.. {
            let place = Place::new("");
            growing(&place.feed().join("live.arrows"), count, 1);
            let disk = SimDisk::default();
            disk.failing(at, Fault::Power);
            let here = Box::new(InProcess::new(params(&place).source));
            learn_by(&place, &disk, here);
            if !disk.is_dead() {
                break;
            }
            rotate(&place.feed(), how, 300);
            let disk = disk.after_power_loss(at);
            let here = Box::new(InProcess::new(params(&place).source));
            assert!(learn_by(&place, &disk, here), "{how:?} at {at}");
            let expected = (count as u64 + 300, 0);
            let list = restored(&place, &disk);
            assert_eq!(counts(&place, &disk), expected, "{how:?} at {at}: {list:?}");
            losses += 1;
        }
    }
    println!("{losses} losses of power with a rotation behind them");
    assert!(losses > 60, "{losses}");
}

/// The same for files that are whole: renamed, copied over and moved while nobody looks.
#[test]
fn files_renamed_between_a_loss_of_power_and_the_next_start_are_learned_once() {
    let mut losses = 0;
    for at in 1.. {
        let place = place();
        let disk = SimDisk::default();
        disk.failing(at, Fault::Power);
        let here = Box::new(InProcess::new(params(&place).source));
        learn_by(&place, &disk, here);
        if !disk.is_dead() {
            break;
        }
        let feed = place.feed();
        fs::rename(feed.join("a.parquet"), feed.join("z.parquet")).expect("a name");
        fs::rename(feed.join("in"), feed.join("out")).expect("a name");
        copied_over(&feed.join("out/b3.parquet"));
        let disk = disk.after_power_loss(at);
        let here = Box::new(InProcess::new(params(&place).source));
        assert!(learn_by(&place, &disk, here), "at {at}");
        assert_eq!(counts(&place, &disk), (ALL, 0), "at {at}");
        losses += 1;
    }
    println!("{losses} losses of power with new names behind them");
    assert!(losses > 20, "{losses}");
}

/// What rsync and a restored backup do: the same bytes under the same name, another inode.
fn copied_over(path: &Path) {
    let temporary = path.with_extension("copy.tmp");
    fs::copy(path, &temporary).expect("a copy");
    fs::rename(temporary, path).expect("a name");
}

#[test]
fn what_was_learned_is_not_learned_again_in_new_clothes() {
    let place = place();
    let feed = place.feed();
    assert_eq!(place.learned().rows_read, ALL);
    for i in 0..OTHERS {
        copied_over(&feed.join(format!("in/b{i}.parquet")));
    }
    assert_eq!(place.learned().rows_read, ALL, "copied over");
    // To another directory by copying, and the old one removed.
    fs::create_dir(feed.join("moved")).expect("a directory");
    for i in 0..OTHERS {
        let name = format!("b{i}.parquet");
        fs::copy(
            feed.join("in").join(&name),
            feed.join("moved").join(format!("m{name}")),
        )
        .expect("a copy");
    }
    fs::remove_dir_all(feed.join("in")).expect("removed");
    assert_eq!(place.learned().rows_read, ALL, "moved by copying");
    // Away for some looks, and restored.
    fs::rename(feed.join("moved"), place.path("away")).expect("a name");
    assert_eq!(place.learned().rows_read, ALL, "away");
    fs::create_dir(feed.join("back")).expect("a directory");
    for entry in fs::read_dir(place.path("away")).expect("a directory") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), feed.join("back").join(entry.file_name())).expect("a copy");
    }
    assert_eq!(place.learned().rows_read, ALL, "restored");
    // One that is wanted is learned.
    place.configure("source.on_copy = \"learn\"");
    let path = feed.join("back/mb0.parquet");
    fs::copy(&path, feed.join("back/more.parquet")).expect("a copy");
    fs::remove_file(path).expect("removed");
    assert_eq!(place.learned().rows_read, ALL + EACH as u64, "wanted");
}

#[test]
fn equal_files_that_stand_side_by_side_are_all_learned() {
    let place = Place::new("");
    let feed = place.feed();
    parquet(&feed.join("a.parquet"), &rows(EACH, 1));
    for i in 0..20 {
        fs::copy(
            feed.join("a.parquet"),
            feed.join(format!("copy{i}.parquet")),
        )
        .expect("a copy");
    }
    assert_eq!(place.learned().rows_read, 21 * EACH as u64);
    fs::copy(feed.join("a.parquet"), feed.join("late.parquet")).expect("a copy");
    assert_eq!(place.learned().rows_read, 22 * EACH as u64);
    // As many as there were come back, and one more.
    fs::rename(&feed, place.path("away")).expect("a name");
    fs::create_dir(&feed).expect("a directory");
    assert_eq!(place.learned().rows_read, 22 * EACH as u64);
    for i in 0..23 {
        fs::copy(
            place.path("away/a.parquet"),
            feed.join(format!("n{i}.parquet")),
        )
        .expect("a copy");
    }
    assert_eq!(place.learned().rows_read, 23 * EACH as u64);
}

#[test]
fn a_byte_behind_a_learned_file_takes_nobody_down() {
    let place = Place::new("");
    let feed = place.feed();
    let path = feed.join("a.parquet");
    parquet(&path, &rows(EACH, 1));
    assert_eq!(place.learned().rows_read, EACH as u64);
    let sound = fs::read(&path).expect("bytes");
    fs::write(&path, [sound.as_slice(), b"x"].concat()).expect("one more byte");
    parquet(&feed.join("b.parquet"), &rows(300, 2));
    let result = place.learned();
    assert_eq!(
        (result.rows_read, result.quarantined),
        (EACH as u64 + 300, 1)
    );
    let list = place.quarantine();
    let reason = list[0]["reason"].as_str().expect("text");
    assert!(reason.contains("has changed"), "{reason}");
    // It stays so, whatever starts, and the one that is put back is not learned again.
    assert_eq!(place.learned().rows_read, EACH as u64 + 300);
    fs::write(&path, sound).expect("put back");
    let result = place.learned();
    assert_eq!(
        (result.rows_read, result.quarantined),
        (EACH as u64 + 300, 1)
    );
}
