//! One look after another at a directory, without a daemon around it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow::array::{Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use rustix::io::Errno;
use tempfile::TempDir;

use super::*;
use crate::source::SourceParams;
use crate::source::follow::{Event, OnCopy, Reading};
use crate::source::worker::Here;

struct World {
    directory: TempDir,
    follower: Follower,
    state: FeedState,
    decode: Here,
    now: Instant,
}

impl World {
    fn new(on_copy: OnCopy) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let params = FollowParams {
            places: vec![directory.path().to_owned()],
            on_copy,
            incomplete_age: Duration::from_secs(1),
            ..FollowParams::default()
        };
        Self {
            directory,
            follower: Follower::new(params),
            state: FeedState::default(),
            decode: Here::new(SourceParams::default()),
            now: Instant::now(),
        }
    }

    fn parquet(&self, name: &str, value: f32) {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float32, false)]));
        let values = Arc::new(Float32Array::from(vec![value; 5]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).expect("a batch");
        let file = File::create(self.directory.path().join(name)).expect("a file");
        let mut writer = ArrowWriter::try_new(file, schema, None).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("a footer");
    }

    /// Looks at everything, an hour later.
    fn look(&mut self) -> Found {
        self.now += Duration::from_hours(1);
        let (now, wall_ns) = (self.now, 0);
        self.follower
            .scan(&self.state, &mut self.decode, now, wall_ns)
    }

    /// Looks, and takes all there is to take; how many files that were.
    fn take(&mut self) -> usize {
        let found = self.look();
        for (file, entry) in found.refreshed {
            self.state.apply(&Event::Refreshed(file, entry));
        }
        let many = found.takes.len();
        for take in found.takes {
            let file = take.file.unwrap_or(self.state.next_file);
            self.state.apply(&Event::Began {
                sequence: self.state.sequence + 1,
                rows_before: self.state.rows_before(file),
                reading: Reading {
                    file,
                    segment: take.segment,
                    rows: take.skip,
                    is_final: take.is_final,
                },
            });
            self.state.apply(&Event::Ended);
        }
        many
    }

    /// What a reboot or a remount does to what is remembered.
    fn renumber(&mut self, change: impl Fn(&mut Stamp)) {
        let entries: Vec<(u64, FileEntry)> = self.state.files.iter().collect();
        for (file, mut entry) in entries {
            change(&mut entry.identity.stamp);
            self.state.apply(&Event::Refreshed(file, entry));
        }
    }
}

#[test]
fn a_disk_with_another_number_holds_the_same_files() {
    for on_copy in [OnCopy::Leave, OnCopy::Learn] {
        let mut world = World::new(on_copy);
        for i in 0..4 {
            world.parquet(&format!("{i}.parquet"), i as f32);
        }
        // Two of one content: each keeps its own place.
        world.parquet("4.parquet", 3.0);
        assert_eq!(world.take(), 5);
        world.renumber(|stamp| stamp.device += 1);
        assert_eq!(world.take(), 0, "another device");
        assert_eq!(world.take(), 0);
        world.renumber(|stamp| {
            stamp.device += 1;
            stamp.inode += 1_000_000;
            stamp.born_ns = 0;
        });
        assert_eq!(world.take(), 0, "another device, inode and birth");
        assert_eq!(world.state.files.len(), 5);
        world.parquet("5.parquet", 5.0);
        assert_eq!(world.take(), 1);
    }
}

#[test]
fn another_file_with_the_inode_and_name_of_one_that_was_learned_is_learned() {
    let mut world = World::new(OnCopy::Leave);
    world.parquet("a.parquet", 1.0);
    assert_eq!(world.take(), 1);
    // Removed and made anew: the system gives the number of the inode again, but not its birth.
    world.parquet("a.parquet", 2.0);
    world.renumber(|stamp| stamp.born_ns -= 5_000_000_000);
    assert_eq!(world.take(), 1);
    assert_eq!(world.take(), 0);
}

#[test]
fn a_file_that_the_system_does_not_let_be_read_is_never_refused() {
    let mut world = World::new(OnCopy::Leave);
    world.parquet("a.parquet", 1.0);
    let path = world.directory.path().join("a.parquet");
    let stamp = Stamp::of(&std::fs::metadata(&path).expect("a file"));
    let seen = Seen {
        path,
        stamp,
        is_named: false,
    };
    for errno in [
        Errno::NOENT,
        Errno::ACCESS,
        Errno::IO,
        Errno::STALE,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
    ] {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        for _ in 0..5 {
            world.now += Duration::from_hours(1);
            let verdict = world.follower.unreadable(&seen, world.now, &error);
            assert!(matches!(verdict, Verdict::Wait), "{errno}");
        }
        let is_told = world.follower.trouble().is_some();
        assert_eq!(is_told, errno != Errno::NOENT, "{errno}");
        world.follower.unreadable.clear();
    }
    assert_eq!(world.take(), 1);
}
