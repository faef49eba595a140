//! Parquet files → chunks.
//!
//! Plain numbers, flat or in lists, are read leaf by leaf ([`super::leaf`]); everything else
//! (decimals, half floats, dictionaries, binary rows, ids) by the crate's Arrow reader, in step
//! with them. Unused columns are never touched. Pages are decoded one at a time per column, so that
//! a row group of any size needs only one page of memory per column.

use std::path::Path;
use std::thread;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::schema::types::SchemaDescriptor;

use super::SourceError;
use super::batches::{FileDecoder, Task};
use super::catch_panic;
use super::column::{Chunk, Column};
use super::leaf::{self, LeafReader, Scratch};
use super::params::Decoders;
use super::positioned::Positioned;
use super::preflight;
use super::select::{Leaf, Shape};
use super::values;

/// Number of columns above which two threads decode them: fewer would not repay starting a thread
/// per chunk.
const MANY_COLUMNS: usize = 32;

/// A Parquet file whose footer has been read.
pub(super) struct ParquetFile {
    file: Positioned,
    meta: ArrowReaderMetadata,
    /// Leaf columns that are encrypted, in order.
    encrypted: Vec<usize>,
}

impl ParquetFile {
    /// Reads the footer.
    pub fn of(path: &Path, file: Positioned) -> Result<Self, SourceError> {
        let read = preflight::read_footer(path, &file)?;
        let meta = ArrowReaderMetadata::try_new(read.meta, ArrowReaderOptions::new());
        Ok(Self {
            file,
            meta: meta.map_err(|error| corrupt(path, error))?,
            encrypted: read.encrypted,
        })
    }

    pub fn schema(&self) -> &SchemaRef {
        self.meta.schema()
    }

    pub fn rows(&self) -> u64 {
        let groups = self.meta.metadata().row_groups().iter();
        groups
            .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
            .sum()
    }

    /// Refuses columns that are encrypted.
    pub fn check(&self, path: &Path, leaves: &[Leaf]) -> Result<(), SourceError> {
        let is_encrypted = |leaf: &&Leaf| self.encrypted.binary_search(&leaf.index).is_ok();
        match leaves.iter().find(is_encrypted) {
            Some(leaf) => Err(SourceError::encrypted_column(path.to_owned(), &leaf.name)),
            None => Ok(()),
        }
    }

    /// Sets the unknown lengths of lists from the first list of each column.
    pub fn lengths(&self, path: &Path, leaves: &mut [Leaf]) -> Result<(), SourceError> {
        let schema = self.meta.parquet_schema();
        let unknown = leaves.iter_mut().filter(|leaf| leaf.len.is_none());
        for leaf in unknown.filter(|leaf| !leaf.is_void()) {
            // The Arrow schema in the metadata and the Parquet schema are written independently: a
            // file can make them disagree.
            if leaf.index >= schema.num_columns() {
                return Err(corrupt(path, "its two schemas disagree"));
            }
            let list_def = leaf::list_def(schema, leaf.index).cast_unsigned();
            let meta = self.meta.metadata();
            let len = preflight::first_length(&self.file, meta, leaf.index, list_def);
            leaf.len = len.map_err(|error| corrupt(path, error))?;
        }
        Ok(())
    }

    /// Decodes the file to its end as `task` specifies.
    pub fn into_decoder(self, task: Task) -> Result<ParquetDecoder, SourceError> {
        self.check(&task.path, &task.leaves)?;
        let schema = self.meta.parquet_schema();
        let plain: Vec<_> = task.leaves.iter().map(|leaf| plain(leaf, schema)).collect();
        let decoded = task.leaves.iter().filter(|leaf| !leaf.is_blank());
        let wanted: Vec<_> = decoded.map(|l| (l.index, l.len)).collect();
        let mut ids = Vec::new();
        if task.with_ids {
            for (leaf, root) in (0..schema.num_columns()).map(|i| (i, schema.get_column_root(i))) {
                if task.plan.params.ids.iter().any(|id| id == root.name()) {
                    if self.encrypted.binary_search(&leaf).is_ok() {
                        let path = task.path.clone();
                        return Err(SourceError::encrypted_column(path, root.name()));
                    }
                    ids.push(leaf);
                }
            }
        }
        let mut others = ids.clone();
        let leaves = task.leaves.iter().zip(&plain);
        others.extend(
            leaves
                .filter(|(leaf, plain)| plain.is_none() && !leaf.is_blank())
                .map(|(l, _)| l.index),
        );
        let others = if others.is_empty() {
            None
        } else {
            let mask = ProjectionMask::leaves(schema, others);
            let hint = Some(self.meta.schema().fields());
            let levels = parquet_to_arrow_field_levels(schema, mask, hint);
            Some(levels.map_err(|error| task.corrupt(error))?)
        };
        Ok(ParquetDecoder {
            file: self.file,
            meta: self.meta,
            task,
            plain,
            others,
            wanted,
            ids,
            group: 0,
            open: None,
            roots: Vec::new(),
            row: 0,
            scratch: Scratch::default(),
            second_scratch: Scratch::default(),
            bytes_before: 0,
        })
    }
}

/// The type of the leaf's values, if it is read directly.
fn plain(leaf: &Leaf, schema: &SchemaDescriptor) -> Option<DataType> {
    let value = match &leaf.value {
        DataType::Dictionary(_, value) => value.as_ref(),
        value => value,
    };
    let is_plain = !matches!(leaf.shape, Shape::Binary(_))
        && leaf.index < schema.num_columns()
        && leaf::is_plain(value, &schema.column(leaf.index));
    is_plain.then(|| value.clone())
}

fn corrupt(path: &Path, error: impl std::fmt::Display) -> SourceError {
    SourceError::Corrupt {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Reads one Parquet file, row group after row group.
pub(super) struct ParquetDecoder {
    file: Positioned,
    meta: ArrowReaderMetadata,
    task: Task,
    /// For each leaf of the task, its type if it is read directly.
    plain: Vec<Option<DataType>>,
    /// Fields that the Arrow reader decodes.
    others: Option<FieldLevels>,
    /// Leaves of the task, with the lengths of lists.
    wanted: Vec<(usize, Option<usize>)>,
    /// Leaves of the ids.
    ids: Vec<usize>,
    /// The next row group.
    group: usize,
    open: Option<Group>,
    /// Positions of the leaves in the Arrow reader's batches.
    roots: Vec<usize>,
    /// Rows of the file decoded so far.
    row: u64,
    scratch: Scratch,
    second_scratch: Scratch,
    /// Bytes of the row groups that are done.
    bytes_before: u64,
}

/// A row group being read.
struct Group {
    rows: usize,
    left: usize,
    bytes: u64,
    /// True if any of its columns is compressed.
    is_compressed: bool,
    leaves: Vec<Option<LeafReader>>,
    others: Option<ParquetRecordBatchReader>,
}

impl ParquetDecoder {
    fn open_group(&self, index: usize) -> Result<Group, SourceError> {
        let corrupt = |error: ParquetError| self.task.corrupt(error);
        let meta = self.meta.metadata();
        let group = meta.row_group(index);
        let rows = usize::try_from(group.num_rows()).map_err(|e| self.task.corrupt(e))?;
        // The Arrow reader gets the size of a chunk as that of its batches, so that both readers
        // stay in step.
        let at_once = self.task.plan.chunk_rows;
        let (wanted, ids) = (&self.wanted, &self.ids);
        let checked = preflight::Group::new(&self.file, meta, index, at_once, wanted, ids);
        let checked = checked.map_err(corrupt)?;
        let (mut bytes, mut is_compressed) = (0, false);
        let mut leaves = Vec::with_capacity(self.plain.len());
        for (leaf, value) in self.task.leaves.iter().zip(&self.plain) {
            let Some(value) = value else {
                leaves.push(None);
                continue;
            };
            let column = group.column(leaf.index);
            bytes += u64::try_from(column.compressed_size()).unwrap_or(0);
            is_compressed |= column.compression() != Compression::UNCOMPRESSED;
            let pages = checked.pages(leaf.index).map_err(corrupt)?;
            let schema = self.meta.parquet_schema();
            leaves.push(Some(LeafReader::new(schema, leaf.index, value, pages)));
        }
        let others = match &self.others {
            None => None,
            Some(levels) => Some(
                ParquetRecordBatchReader::try_new_with_row_groups(levels, &checked, at_once, None)
                    .map_err(corrupt)?,
            ),
        };
        Ok(Group {
            rows,
            left: rows,
            bytes,
            is_compressed,
            leaves,
            others,
        })
    }

    fn decode(&mut self, chunk: &mut Chunk) -> Result<(), SourceError> {
        let Some(group) = &mut self.open else {
            return Ok(());
        };
        let task = &self.task;
        let rows = group.left.min(task.plan.chunk_rows);
        let batch = match &mut group.others {
            None => None,
            Some(reader) => match reader.next() {
                Some(Ok(batch)) if batch.num_rows() == rows => Some(batch),
                Some(Err(error)) => return Err(task.corrupt(error)),
                Some(Ok(_)) | None => {
                    return Err(task.corrupt("a column ends before its row group does"));
                }
            },
        };
        if let (Some(batch), true) = (&batch, self.roots.is_empty()) {
            self.roots = values::roots(batch, &task.leaves);
        }
        let part = Part {
            task,
            batch: batch.as_ref(),
            rows,
            row: self.row,
        };
        let all = task.leaves.len();
        // Plain values are copies: a second thread would only wait for the same memory.
        let is_shared = task.plan.params.decoders == Decoders::Two
            && group.is_compressed
            && all >= MANY_COLUMNS;
        let half = if is_shared { all / 2 } else { all };
        let (first, second) = task.leaves.split_at(half);
        let (first_readers, second_readers) = group.leaves.split_at_mut(half);
        let (first_columns, second_columns) = chunk.columns.split_at_mut(half);
        let (first_roots, second_roots) = self.roots.split_at(half.min(self.roots.len()));
        let scratch = &mut self.second_scratch;
        thread::scope(|scope| {
            let other = (!second.is_empty()).then(|| {
                let work = || {
                    catch_panic::catch(&task.path, || {
                        part.decode(
                            second,
                            second_readers,
                            second_columns,
                            second_roots,
                            scratch,
                        )
                    })
                };
                thread::Builder::new()
                    .name("ojad-decoder".into())
                    .spawn_scoped(scope, work)
            });
            let scratch = &mut self.scratch;
            // An error here still waits for the other thread: the scope joins it.
            part.decode(first, first_readers, first_columns, first_roots, scratch)?;
            match other {
                None => Ok(()),
                Some(Err(error)) => Err(task.corrupt(format!("no thread to decode it: {error}"))),
                // The panics of a decoder are caught in the thread.
                Some(Ok(other)) => other
                    .join()
                    .unwrap_or_else(|_| Err(task.corrupt("decoder"))),
            }
        })?;
        chunk.ids = match &batch {
            Some(batch) => task.ids(batch)?,
            None => None,
        };
        chunk.rows = rows;
        group.left -= rows;
        self.row += rows as u64;
        Ok(())
    }
}

/// The rows that a chunk takes from a row group.
struct Part<'a> {
    task: &'a Task,
    batch: Option<&'a RecordBatch>,
    rows: usize,
    /// Rows of the file before these.
    row: u64,
}

impl Part<'_> {
    /// Decodes these columns one after the other.
    fn decode(
        &self,
        leaves: &[Leaf],
        readers: &mut [Option<LeafReader>],
        columns: &mut [Column],
        roots: &[usize],
        scratch: &mut Scratch,
    ) -> Result<(), SourceError> {
        let limit = self.task.plan.params.limit.magnitude();
        let leaves = leaves.iter().zip(readers).enumerate();
        for ((i, (leaf, reader)), column) in leaves.zip(columns) {
            let read = match (reader, self.batch) {
                _ if leaf.is_blank() => {
                    column.set_all_null(self.rows);
                    Ok(())
                }
                (Some(reader), _) => reader.read(self.rows, column, scratch),
                (None, Some(batch)) => values::load(batch, roots[i], leaf, column),
                (None, None) => Ok(()),
            };
            read.map_err(|misfit| self.task.misfit(leaf, self.row, misfit))?;
            column.is_integer = leaf.is_integer();
            column.scan(limit);
        }
        Ok(())
    }
}

impl FileDecoder for ParquetDecoder {
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        loop {
            if let Some(group) = &self.open {
                if group.left > 0 {
                    self.decode(chunk)?;
                    return Ok(true);
                }
                self.bytes_before += group.bytes;
                self.open = None;
            }
            if self.group == self.meta.metadata().num_row_groups() {
                return Ok(false);
            }
            // Row groups without rows are passed over.
            if self.meta.metadata().row_group(self.group).num_rows() != 0 {
                self.open = Some(self.open_group(self.group)?);
            }
            self.group += 1;
        }
    }

    fn skip(&mut self, rows: u64) -> Result<u64, SourceError> {
        let mut skipped = 0;
        while self.group < self.meta.metadata().num_row_groups() {
            let group = self.meta.metadata().row_group(self.group).num_rows();
            let here = u64::try_from(group).map_err(|e| self.task.corrupt(e))?;
            if skipped + here > rows {
                break;
            }
            skipped += here;
            self.group += 1;
        }
        self.row = skipped;
        Ok(skipped)
    }

    fn bytes_read(&self) -> u64 {
        let part = self.open.as_ref().map_or(0, |group| {
            let share = (group.rows - group.left) as f64 / group.rows as f64;
            (group.bytes as f64 * share) as u64
        });
        self.bytes_before + part
    }
}
