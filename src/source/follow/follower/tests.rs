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
use crate::source::SegmentRead;
use crate::source::SourceParams;
use crate::source::follow::{Event, OnCopy};
use crate::source::worker::InProcess;

struct World {
    directory: TempDir,
    follower: Follower,
    state: IngestState,
    decode: InProcess,
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
            state: IngestState::default(),
            decode: InProcess::new(SourceParams::default()),
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
    fn look(&mut self) -> ScanResult {
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
        let many = found.next_segments.len();
        for next in found.next_segments {
            let file = next.file.unwrap_or(self.state.next_file);
            self.state.apply(&Event::Began {
                sequence: self.state.sequence + 1,
                rows_before: self.state.rows_before(file),
                reading: SegmentRead {
                    file,
                    segment: next.segment,
                    rows: next.skip,
                    is_final: next.is_final,
                },
            });
            self.state.apply(&Event::Ended);
        }
        many
    }

    /// Simulates a reboot or a remount.
    fn renumber(&mut self, change: impl Fn(&mut FileMeta)) {
        let entries: Vec<(u64, FileEntry)> = self.state.files.iter().collect();
        for (file, mut entry) in entries {
            change(&mut entry.fingerprint.meta);
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
        world.renumber(|meta| meta.device += 1);
        assert_eq!(world.take(), 0, "another device");
        assert_eq!(world.take(), 0);
        world.renumber(|meta| {
            meta.device += 1;
            meta.inode += 1_000_000;
            meta.born_ns = 0;
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
    world.renumber(|meta| meta.born_ns -= 5_000_000_000);
    assert_eq!(world.take(), 1);
    assert_eq!(world.take(), 0);
}

#[test]
fn a_file_that_the_system_does_not_let_be_read_is_never_refused() {
    let mut world = World::new(OnCopy::Leave);
    world.parquet("a.parquet", 1.0);
    let path = world.directory.path().join("a.parquet");
    let meta = FileMeta::of(&std::fs::metadata(&path).expect("a file"));
    let seen = ScannedFile {
        path,
        meta,
        is_named: false,
        is_link: false,
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
            let status = world.follower.unreadable(&seen, world.now, &error);
            assert!(matches!(status, FileStatus::Wait), "{errno}");
        }
        let is_told = world.follower.trouble().is_some();
        assert_eq!(is_told, errno != Errno::NOENT, "{errno}");
        world.follower.unreadable.clear();
    }
    assert_eq!(world.take(), 1);
}

#[test]
fn files_of_one_look_come_in_order_over_the_looks_that_take_them() {
    let mut world = World::new(OnCopy::Leave);
    let many = SEGMENTS_MAX + 300;
    let path = world.directory.path().to_owned();
    let mark = 1.25e30_f32;
    world.parquet("template", mark);
    let template = std::fs::read(path.join("template")).expect("bytes");
    std::fs::remove_file(path.join("template")).expect("removed");
    let is_value = |at: &usize| template[*at..].starts_with(&mark.to_le_bytes());
    let values: Vec<usize> = (0..template.len()).filter(is_value).collect();
    assert!(!values.is_empty());
    for i in 0..many {
        let mut bytes = template.clone();
        for at in &values {
            bytes[*at..at + 4].copy_from_slice(&(i as f32 + 1.0).to_le_bytes());
        }
        std::fs::write(path.join(format!("{i:06}.parquet")), bytes).expect("a file");
    }
    let mut names = Vec::new();
    for expected in [SEGMENTS_MAX, 300, 0] {
        let before = world.state.files.len();
        assert_eq!(world.take(), expected);
        let new = world.state.files.iter().skip(before);
        names.extend(new.map(|(_, entry)| entry.path));
    }
    assert_eq!(names.len(), many);
    assert!(names.is_sorted());
}

#[test]
fn between_two_listings_only_names_with_news_are_looked_at() {
    let mut world = World::new(OnCopy::Leave);
    world
        .follower
        .listen(Box::new(|| {}))
        .expect("notification");
    for i in 0..20 {
        world.parquet(&format!("{i:02}.parquet"), i as f32);
    }
    assert_eq!(world.take(), 20);
    let near = |world: &mut World| {
        world.now += Duration::from_secs(2);
        let (now, wall_ns) = (world.now, i64::MAX);
        world
            .follower
            .scan(&world.state, &mut world.decode, now, wall_ns)
    };
    let path = |world: &World, name: &str| world.directory.path().join(name);
    // One is replaced, one removed, one renamed, one copied, and a directory comes with one more.
    world.parquet("_aside", 103.0);
    std::fs::rename(path(&world, "_aside"), path(&world, "03.parquet")).expect("a name");
    std::fs::remove_file(path(&world, "04.parquet")).expect("removed");
    std::fs::rename(path(&world, "05.parquet"), path(&world, "95.parquet")).expect("a name");
    std::fs::copy(path(&world, "06.parquet"), path(&world, "96.parquet")).expect("a copy");
    std::fs::create_dir(path(&world, "in")).expect("a directory");
    world.parquet("in/97.parquet", 197.0);
    let before = world.follower.full;
    let found = near(&mut world);
    assert_eq!(world.follower.full, before, "everything was listed");
    let name = |path: &std::path::Path| path.file_name().expect("a name").to_owned();
    let next_segments = found
        .next_segments
        .iter()
        .map(|next| name(&next.segment.path));
    assert_eq!(
        next_segments.collect::<Vec<_>>(),
        ["03.parquet", "96.parquet", "97.parquet"]
    );
    let refreshed = found.refreshed.iter().map(|(_, entry)| name(&entry.path));
    assert_eq!(refreshed.collect::<Vec<_>>(), ["95.parquet"]);
    for (file, entry) in found.refreshed {
        world.state.apply(&Event::Refreshed(file, entry));
    }
    // What was removed and comes back under another name is known.
    world.parquet("98.parquet", 4.0);
    let found = near(&mut world);
    let copies = found
        .copies
        .iter()
        .map(|(now, before)| (name(now), name(before)));
    let expected = ("98.parquet".into(), "04.parquet".into());
    assert_eq!(copies.collect::<Vec<_>>(), [expected]);
    assert_eq!(world.follower.full, before, "everything was listed");
}
