//! Two generations of a checkpoint in a directory.
//!
//! Names carry an increasing number, `checkpoint-NUMBER`, and the newest readable one counts: no
//! rename ever replaces a file, so the generations on disk are intact at every instant. A new one
//! is written next to them (`.new`), fsynced, renamed, and its name fsynced, before the oldest is
//! removed. Data about individual files is in a separate file that only grows: a checkpoint appends
//! the changes and records how much of it counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::log::{self, Change, EntryLog, Mark};
use crate::checkpoint::{Checkpoint, CheckpointError, Section};
use crate::disk::Disk;

/// Generations kept.
const GENERATIONS: usize = 2;
const PREFIX: &str = "checkpoint-";
const TEMPORARY: &str = "checkpoint.new";

/// Checkpoints in a directory.
pub struct Store {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    /// Generations known to be intact, oldest first.
    whole: Vec<Generation>,
    next: u64,
    log: EntryLog,
}

/// An intact checkpoint.
struct Generation {
    number: u64,
    sequence: u64,
    /// Number of the file of entries that it refers to.
    entries: Option<u64>,
}

/// A checkpoint that was found.
#[derive(Debug)]
pub struct Loaded {
    /// Its content.
    pub checkpoint: Checkpoint,
    /// Its file.
    pub path: PathBuf,
    /// Why a newer one could not be read, if there was one.
    pub fell_back: Option<String>,
}

impl Store {
    /// Checkpoints in `directory`, which is created if necessary.
    ///
    /// # Errors
    /// If it cannot be created or listed.
    pub fn open(directory: &Path, disk: Arc<dyn Disk>) -> Result<Self, CheckpointError> {
        let failed = |action| CheckpointError::io(directory, action);
        disk.create_dir_all(directory)
            .map_err(failed("cannot create the directory"))?;
        let mut store = Self {
            directory: directory.to_owned(),
            log: EntryLog::open(directory, Arc::clone(&disk))?,
            disk,
            whole: Vec::new(),
            next: 1,
        };
        store.next = store.numbers()?.last().map_or(1, |last| last + 1);
        let temporary = store.directory.join(TEMPORARY);
        match store.disk.remove_file(&temporary) {
            Ok(()) => {}
            // The usual case: the last save was not interrupted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(CheckpointError::io(&temporary, "cannot remove")(error)),
        }
        Ok(store)
    }

    fn numbers(&self) -> Result<Vec<u64>, CheckpointError> {
        let names = self.disk.list(&self.directory);
        let names = names.map_err(CheckpointError::io(&self.directory, "cannot list"))?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{PREFIX}{number:012}"))
    }

    /// The newest readable checkpoint, with the entries that it refers to; `None` if none was ever
    /// written. The next save continues after it.
    ///
    /// # Errors
    /// If there are some and none can be read.
    pub fn load(&mut self) -> Result<Option<Loaded>, CheckpointError> {
        let loaded = self.load_into(|_| (), |(), _, _| Ok(()))?;
        Ok(loaded.map(|(loaded, ())| loaded))
    }

    /// The same, reading its entries once: `begin` makes room for their number, `take` stores each;
    /// the last one of a number counts. An entry that `take` refuses counts as damaged.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_into<T>(
        &mut self,
        begin: impl Fn(u64) -> T,
        mut take: impl FnMut(&mut T, u64, Option<&[u8]>) -> Result<(), CheckpointError>,
    ) -> Result<Option<(Loaded, T)>, CheckpointError> {
        let numbers = self.numbers()?;
        let mut reasons: Vec<String> = Vec::new();
        let mut found: Option<(Loaded, T)> = None;
        let mut newest = None;
        self.whole.clear();
        for number in numbers.into_iter().rev() {
            let path = self.path(number);
            let is_first = found.is_none();
            let mut entries = None;
            let read = self.read(&path, newest.as_ref(), |live, number, payload| {
                if !is_first {
                    return Ok(());
                }
                let entries = entries.get_or_insert_with(|| begin(live));
                take(entries, number, payload)
            });
            match read {
                Ok((checkpoint, mark)) => {
                    let generation = Generation {
                        number,
                        sequence: checkpoint.sequence,
                        entries: mark.as_ref().map(|mark| mark.number),
                    };
                    self.whole.insert(0, generation);
                    if found.is_none() {
                        newest = mark;
                        let loaded = Loaded {
                            checkpoint,
                            path,
                            fell_back: (!reasons.is_empty()).then(|| reasons.join("; ")),
                        };
                        found = Some((loaded, entries.unwrap_or_else(|| begin(0))));
                    }
                }
                // A newer program's state is not to be written over.
                Err(error @ CheckpointError::Version { .. }) => return Err(error),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if found.is_none() && !reasons.is_empty() {
            return Err(CheckpointError::NoneReadable {
                path: self.directory.clone(),
                reasons: reasons.join("; "),
            });
        }
        self.log.resume(newest);
        Ok(found)
    }

    /// A checkpoint whose entries are intact too, and the mark of these. If an older generation
    /// refers to the same file as `newer`, its entries are a prefix of those.
    fn read(
        &self,
        path: &Path,
        newer: Option<&Mark>,
        mut visit: impl FnMut(u64, u64, Option<&[u8]>) -> Result<(), CheckpointError>,
    ) -> Result<(Checkpoint, Option<Mark>), CheckpointError> {
        let bytes = self.disk.read(path);
        let bytes = bytes.map_err(CheckpointError::io(path, "cannot read"))?;
        let checkpoint = Checkpoint::decode(&bytes, path)?;
        let mark = checkpoint.mark(path)?;
        let is_part = |mark: &&Mark| newer.is_some_and(|newer| newer.number == mark.number);
        if let Some(mark) = mark.as_ref().filter(|mark| !is_part(mark)) {
            let visit = |number, payload: Option<&[u8]>| visit(mark.live, number, payload);
            log::read(self.disk.as_ref(), &self.directory, mark, visit)?;
        }
        Ok((checkpoint, mark))
    }

    /// Notes changes of entries: the next checkpoint writes them first.
    pub fn owe(&mut self, changes: Vec<Change>) {
        self.log.owe(changes);
    }

    /// Writes a checkpoint and waits until it is on disk; returns the path of its file. `live` is
    /// the number of entries that then count.
    ///
    /// # Errors
    /// If an operation fails: the new file is abandoned, because its state is unknown, and the
    /// earlier generations remain. The changes stay pending.
    pub fn save(
        &mut self,
        mut checkpoint: Checkpoint,
        live: u64,
    ) -> Result<PathBuf, CheckpointError> {
        // The entries are written first, because a checkpoint must never name bytes that are not
        // on disk.
        let mark = self.log.save(live)?;
        if let Some(mark) = &mark {
            checkpoint.put(Section::Files, mark.encode());
        }
        let temporary = self.directory.join(TEMPORARY);
        let number = self.next;
        // A number is never used twice: after a failed fsync of the directory its name may be there.
        self.next += 1;
        let written = self.write(&temporary, &checkpoint, number);
        if written.is_err() {
            // What is left of it is removed at the next start otherwise.
            let _ = self.disk.remove_file(&temporary);
        }
        let path = written?;
        self.whole.push(Generation {
            number,
            sequence: checkpoint.sequence,
            entries: mark.map(|mark| mark.number),
        });
        self.remove_old();
        Ok(path)
    }

    fn write(
        &self,
        temporary: &Path,
        checkpoint: &Checkpoint,
        number: u64,
    ) -> Result<PathBuf, CheckpointError> {
        let path = self.path(number);
        let failed = |action| CheckpointError::io(temporary, action);
        let disk = &self.disk;
        let mut file = disk.create(temporary).map_err(failed("cannot create"))?;
        let bytes = checkpoint.encode();
        file.write(&bytes).map_err(failed("cannot write"))?;
        file.sync().map_err(failed("cannot fsync"))?;
        drop(file);
        disk.rename(temporary, &path)
            .map_err(CheckpointError::io(&path, "cannot rename to"))?;
        disk.sync_dir(&self.directory)
            .map_err(CheckpointError::io(&self.directory, "cannot fsync"))?;
        Ok(path)
    }

    /// Removes files older than the generations kept, and unreadable ones.
    fn remove_old(&mut self) {
        while self.whole.len() > GENERATIONS {
            self.whole.remove(0);
        }
        let Ok(numbers) = self.numbers() else { return };
        for number in numbers {
            if !self.whole.iter().any(|whole| whole.number == number)
                && self.whole.len() == GENERATIONS
            {
                // It is tried again after the next checkpoint.
                let _ = self.disk.remove_file(&self.path(number));
            }
        }
        if self.whole.len() == GENERATIONS {
            let named = self.whole.iter().filter_map(|whole| whole.entries);
            self.log.remove_others(&named.collect::<Vec<u64>>());
        }
    }

    /// Number of the last journal entry that every generation contains.
    pub fn contained(&self) -> u64 {
        // With only one generation, a fallback goes back to the beginning and needs every journal
        // entry.
        if self.whole.len() < GENERATIONS {
            return 0;
        }
        self.whole
            .iter()
            .map(|whole| whole.sequence)
            .min()
            .unwrap_or(0)
    }
}
