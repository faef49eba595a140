//! Pull sources, which deliver record batches on request and can replay them: logs, object stores,
//! files of other formats.
//!
//! What a [`Source`] delivers is stored in the spool, in files that record the position after their
//! last row: rows and position become durable in one rename. From then on the guarantees for files
//! apply; after a restart the source continues from the position of the newest file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::shared::Shared;
use crate::rows::hex;

/// Bytes of record batches that go into one file.
const FILE_BYTES: usize = 8 << 20;
/// Longest time that rows wait for more to fill a file.
const FILE_PATIENCE: Duration = Duration::from_millis(200);
/// Pause before a source that failed is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(30);
/// The key of the schema's metadata that holds the position, in hexadecimal digits.
const POSITION_KEY: &str = "ojad.position";

/// An input whose rows can be read again from a position.
///
/// A source whose positions are stable (offsets of a log, keys of an object store, row numbers of a
/// file) is followed exactly once, bit for bit. The methods run on a separate thread and may block.
pub trait Source: Send {
    /// Moves to just after `position`, which [`Source::next`] returned in this run or an earlier
    /// one; to the beginning if there is none.
    ///
    /// # Errors
    /// Why that is impossible now; it will be retried.
    fn seek(&mut self, position: Option<&[u8]>) -> Result<(), String>;

    /// The next arrival. Must return within a second or so, with [`Arrival::Nothing`] if need be.
    ///
    /// # Errors
    /// Why nothing is available now; the source is repositioned and asked again.
    fn next(&mut self) -> Result<Arrival, String>;
}

/// An arrival of a source.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Rows.
    Batch {
        /// The rows. Columns are judged like those of a file.
        batch: RecordBatch,
        /// Position of the next ones: any bytes that [`Source::seek`] understands.
        position: Vec<u8>,
    },
    /// Nothing yet.
    Nothing,
    /// Nothing ever again.
    End,
}

/// A source by name, and how to open it.
#[derive(Clone)]
pub struct Connect {
    /// Unique, and the same in every run: letters, digits, `_`.
    pub name: String,
    /// Opens it; called again after an error.
    pub open: Arc<dyn Fn() -> Result<Box<dyn Source>, String> + Send + Sync>,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connect").field(&self.name).finish()
    }
}

impl PartialEq for Connect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Connect {}

/// Rows that are not yet in a file.
#[derive(Default)]
struct Pending {
    batches: Vec<RecordBatch>,
    position: Vec<u8>,
    bytes: usize,
    since: Option<Instant>,
}

/// Reads a source until it ends.
pub(super) fn pull(connect: &Connect, shared: &Shared) {
    let mut pause = RETRY_FIRST;
    loop {
        match session(connect, shared, &mut pause) {
            Ok(()) => return,
            Err(reason) => shared.fail(format!("{}: {reason}; it will be retried", connect.name)),
        }
        let until = Instant::now() + pause;
        pause = (2 * pause).min(RETRY_MOST);
        while Instant::now() < until {
            if shared.is_stopped() {
                return;
            }
            thread::sleep(RETRY_FIRST.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

fn session(connect: &Connect, shared: &Shared, pause: &mut Duration) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let mut source = (connect.open)()?;
    let last = last_position(&shared.directory, &connect.name).map_err(failed)?;
    source.seek(last.as_ref().map(|(_, position)| position.as_slice()))?;
    let mut pending = Pending::default();
    while !shared.is_stopped() {
        if shared.is_full() {
            shared.wait();
            continue;
        }
        match source.next()? {
            Arrival::Batch { batch, position } => {
                *pause = RETRY_FIRST;
                let is_other = |before: &RecordBatch| before.schema() != batch.schema();
                // A stream has one schema: a batch with another one goes into the next file.
                if pending.batches.first().is_some_and(is_other) {
                    keep(&mut pending, connect, shared).map_err(failed)?;
                }
                pending.bytes += batch.get_array_memory_size();
                pending.since.get_or_insert_with(Instant::now);
                pending.batches.push(batch);
                pending.position = position;
            }
            Arrival::Nothing => {
                keep(&mut pending, connect, shared).map_err(failed)?;
                shared.wait();
            }
            Arrival::End => return keep(&mut pending, connect, shared).map_err(failed),
        }
        let is_old = |since: Instant| since.elapsed() >= FILE_PATIENCE;
        if pending.bytes >= FILE_BYTES || pending.since.is_some_and(is_old) {
            keep(&mut pending, connect, shared).map_err(failed)?;
        }
    }
    // What is pending is had again from the position of the last file.
    Ok(())
}

/// Writes the rows to a new file.
fn keep(pending: &mut Pending, connect: &Connect, shared: &Shared) -> io::Result<()> {
    let pending = std::mem::take(pending);
    let Some(first) = pending.batches.first() else {
        return Ok(());
    };
    let stem = format!("{}-{:012}", connect.name, shared.take_number());
    let temporary = shared.directory.join(format!("_{stem}.part"));
    let mut metadata = first.schema().metadata().clone();
    metadata.insert(POSITION_KEY.to_owned(), hex(&pending.position));
    let schema = Arc::new(Schema::new_with_metadata(
        first.schema().fields().clone(),
        metadata,
    ));
    shared.check_ours()?;
    let to = BufWriter::new(File::create(&temporary)?);
    let mut writer = StreamWriter::try_new(to, &schema).map_err(io::Error::other)?;
    for batch in &pending.batches {
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
        let written = batch.and_then(|batch| writer.write(&batch));
        written.map_err(io::Error::other)?;
    }
    writer.finish().map_err(io::Error::other)?;
    let mut to = writer.into_inner().map_err(io::Error::other)?;
    to.flush()?;
    let file = to.get_ref();
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    // Again, because writing took a while: the directory may have been replaced meanwhile.
    shared.check_ours()?;
    fs::rename(&temporary, shared.directory.join(format!("{stem}.arrows")))?;
    File::open(&shared.directory)?.sync_all()?;
    shared.hold(bytes);
    Ok(())
}

/// Before a file is removed, saves its position if no later file has one.
pub(super) fn before_removal(path: &Path) -> io::Result<()> {
    let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else {
        return Ok(());
    };
    let stem = stem.to_string_lossy();
    let (Some((name, number)), Some(position)) = (split(&stem), position_in(path)?) else {
        return Ok(());
    };
    let others = notes(directory, name)?;
    // A later position is already recorded; going back to an earlier one would read rows twice.
    if others.iter().any(|(other, _)| *other > number) {
        return Ok(());
    }
    let note = directory.join(format!("_{stem}.position"));
    let temporary = note.with_extension("part");
    let mut file = File::create(&temporary)?;
    file.write_all(hex(&position).as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, &note)?;
    File::open(directory)?.sync_all()?;
    for (_, other) in others {
        if other != note {
            fs::remove_file(other)?;
        }
    }
    Ok(())
}

/// `NAME-NUMBER` taken apart.
fn split(stem: &str) -> Option<(&str, u64)> {
    let (name, number) = stem.rsplit_once('-')?;
    Some((name, number.parse().ok()?))
}

/// Files that hold only a position, by number.
fn notes(directory: &Path, name: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    numbered(directory, name, "_", "position")
}

fn numbered(
    directory: &Path,
    name: &str,
    prefix: &str,
    extension: &str,
) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        let number = stem
            .as_ref()
            .and_then(|stem| split(stem.strip_prefix(prefix)?));
        if let Some((of, number)) = number
            && of == name
            && path.extension().is_some_and(|e| e == extension)
        {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// The position after the last row ever stored.
fn last_position(directory: &Path, name: &str) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut last: Option<(u64, Vec<u8>)> = None;
    let mut consider = |number: u64, position: Option<Vec<u8>>| {
        if let Some(position) = position
            && last.as_ref().is_none_or(|(last, _)| number > *last)
        {
            last = Some((number, position));
        }
    };
    for (number, path) in notes(directory, name)? {
        consider(number, unhex(&fs::read_to_string(path)?));
    }
    for (number, path) in numbered(directory, name, "", "arrows")? {
        consider(number, position_in(&path)?);
    }
    Ok(last)
}

/// The position recorded in a file.
fn position_in(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let from = BufReader::new(File::open(path)?);
    // A stream of somebody else's, which names none.
    let Ok(reader) = StreamReader::try_new(from, None) else {
        return Ok(None);
    };
    let schema = reader.schema();
    Ok(schema.metadata().get(POSITION_KEY).and_then(|t| unhex(t)))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_ascii().as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}
