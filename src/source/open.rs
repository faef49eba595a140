//! Inputs → a reader: footers are read, features agreed on, before the first row.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::batches::{Feed, Task};
use super::discover::{Format, Input, discover, unreadable};
use super::fix::{self, Fixed, Later};
use super::guard;
use super::ipc::IpcFile;
use super::parquet::ParquetFile;
use super::positioned::{Positioned, Witness};
use super::reader::Reader;
use super::segment::Segment;
use super::select::{self, Leaf, Plan, Shape, Wanted};
use super::stream::Stream;
use super::{SourceError, SourceParams};
use crate::rows::{Features, Layout, Width};

/// Footers that are read ahead, for the number of rows, the width and the schema: beyond, a file
/// is looked at when its turn comes.
const FOOTERS_MAX: usize = 4096;
/// Bytes of values decoded at once: with the pages they come from they stay within a cache that
/// two threads share.
const CHUNK_BYTES: usize = 4 << 20;
/// The same for rows that lie in lists.
const CHUNK_BYTES_IN_ROWS: usize = 1 << 19;
/// Rows decoded at once where they are narrow.
const CHUNK_ROWS_MAX: usize = 8192;
/// Rows decoded at once even where they are wide, for as long as they fit [`CHUNK_BYTES_MAX`].
const CHUNK_ROWS_MIN: usize = 1024;
/// Bytes that the chunk of wide rows may take.
const CHUNK_BYTES_MAX: usize = 32 << 20;

/// An input whose schema is known.
pub(super) enum Opened {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Stream(Stream),
}

impl Opened {
    pub fn open(input: &Input) -> Result<Self, SourceError> {
        guard::catch(&input.path, || {
            Ok(match input.format {
                Format::Parquet => Self::Parquet(ParquetFile::open(&input.path)?),
                Format::IpcFile => Self::Ipc(IpcFile::open(&input.path)?),
                Format::IpcStream => Self::Stream(Stream::open(&input.path)?),
                Format::Stdin => Self::Stream(Stream::stdin()?),
            })
        })
    }

    /// A segment of an open file: all of it, or complete messages of a growing one. What the system
    /// refuses from here on, `witness` sees.
    pub fn open_part(
        segment: &Segment,
        file: &Arc<File>,
        witness: &mut Witness,
    ) -> Result<Self, SourceError> {
        let path = &segment.path;
        guard::catch(path, || {
            let positioned = Positioned::of(Arc::clone(file));
            let positioned = positioned.map_err(|source| unreadable(path, source))?;
            *witness = positioned.witness();
            let part = (segment.start, segment.identity.bytes);
            Ok(match segment.format {
                Format::Parquet => Self::Parquet(ParquetFile::of(path, positioned)?),
                Format::IpcFile => Self::Ipc(IpcFile::of(path, positioned)?),
                Format::IpcStream | Format::Stdin => {
                    Self::Stream(Stream::open_part(path, file, part, witness)?)
                }
            })
        })
    }

    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Parquet(file) => file.schema().clone(),
            Self::Ipc(file) => file.schema().clone(),
            Self::Stream(stream) => stream.schema(),
        }
    }

    fn rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(file) => Some(file.rows()),
            Self::Ipc(file) => file.rows(),
            Self::Stream(_) => None,
        }
    }

    pub fn into_feed(self, task: Task) -> Result<Box<dyn Feed>, SourceError> {
        Ok(match self {
            Self::Parquet(file) => Box::new(file.into_feed(task)?),
            Self::Ipc(file) => Box::new(file.into_feed(task)?),
            Self::Stream(stream) => Box::new(stream.into_feed(task)),
        })
    }

    /// Refuses columns that only a key opens.
    pub fn check(&self, path: &Path, leaves: &[Leaf]) -> Result<(), SourceError> {
        match self {
            Self::Parquet(file) => file.check(path, leaves),
            Self::Ipc(_) | Self::Stream(_) => Ok(()),
        }
    }

    /// Finds the lengths of lists by the first that holds values.
    pub fn lengths(&mut self, path: &Path, leaves: &mut [Leaf]) -> Result<(), SourceError> {
        self.check(path, leaves)?;
        let is_unknown = |leaf: &&Leaf| leaf.len.is_none() && !leaf.is_void();
        let unknown: Vec<Leaf> = leaves.iter().filter(is_unknown).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        match self {
            Self::Parquet(file) => file.lengths(path, leaves)?,
            Self::Ipc(file) => {
                let names: Vec<&str> = unknown.iter().map(|leaf| leaf.path[0].as_str()).collect();
                for batch in file.record_batches(&names)? {
                    if measure(&batch?, leaves) {
                        break;
                    }
                }
            }
            Self::Stream(stream) => {
                while let Some(batch) = stream.look_ahead()? {
                    if measure(batch, leaves) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Sets the lengths that this batch tells; whether all are known.
fn measure(batch: &RecordBatch, leaves: &mut [Leaf]) -> bool {
    let unknown = leaves.iter_mut().filter(|leaf| leaf.len.is_none());
    for leaf in unknown.filter(|leaf| !leaf.is_void()) {
        let mut array = batch.column_by_name(&leaf.path[0]).cloned();
        for name in &leaf.path[1..] {
            array = array.and_then(|a| a.as_struct_opt()?.column_by_name(name).cloned());
        }
        let Some(array) = array else { continue };
        let length = |row: usize| match array.data_type() {
            DataType::List(_) => usize::try_from(array.as_list::<i32>().value_length(row)).ok(),
            DataType::LargeList(_) => {
                usize::try_from(array.as_list::<i64>().value_length(row)).ok()
            }
            _ => None,
        };
        let valid = (0..array.len()).filter(|&row| array.is_valid(row));
        leaf.len = valid.filter_map(length).find(|len| *len > 0);
    }
    leaves
        .iter()
        .all(|leaf| leaf.len.is_some() || leaf.is_void())
}

/// Finds the files of `inputs` and agrees on the features.
///
/// The first file fixes them; the footers of the others are checked against it before the first
/// row is read, so that a third file of another schema does not end a run of hours.
///
/// # Errors
/// When an input cannot be found, told or read, or gives no feature; when the files disagree.
pub fn open(inputs: &[OsString], params: &SourceParams) -> Result<Reader, SourceError> {
    open_for(inputs, params, None)
}

/// The same for rows that a model is to score: its features are taken where they have no values, and
/// where they would be left out as an index.
///
/// # Errors
/// As [`open`].
pub fn open_for_model(
    inputs: &[OsString],
    params: &SourceParams,
    model: &Features,
) -> Result<Reader, SourceError> {
    open_for(inputs, params, Some(model))
}

fn open_for(
    inputs: &[OsString],
    params: &SourceParams,
    model: Option<&Features>,
) -> Result<Reader, SourceError> {
    let (inputs, left_out) = discover(inputs)?;
    let path = inputs[0].path.clone();
    let mut first = Opened::open(&inputs[0])?;
    let looked_at = &inputs[1..inputs.len().min(FOOTERS_MAX)];
    let is_stdin = |input: &Input| input.format == Format::Stdin;
    let later = if inputs.len() > FOOTERS_MAX || looked_at.iter().any(is_stdin) {
        Later::Some(looked_at)
    } else {
        Later::All(looked_at)
    };
    let Fixed {
        wanted,
        selection,
        mut width,
        null_lists,
    } = fix::fix(&path, &mut first, later, params, model)?;
    let mut plan = Plan {
        first: path,
        wanted,
        null_lists,
        has_durations: model.is_none(),
        chunk_rows: 1,
        params: params.clone(),
    };
    let mut rows = first.rows();
    if inputs.len() > FOOTERS_MAX {
        rows = None;
    }
    for input in looked_at {
        if is_stdin(input) {
            rows = None;
            continue;
        }
        let opened = Opened::open(input)?;
        let leaves = select::agree(&input.path, &opened.schema(), &plan)?;
        opened.check(&input.path, &leaves)?;
        if fix::widest(&leaves) == Width::F64 {
            width = Width::F64;
        }
        rows = rows.zip(opened.rows()).map(|(a, b)| a + b);
    }
    let features = names(&plan.wanted);
    let layout = layout(&plan.wanted);
    plan.chunk_rows = chunk_rows(features.len(), width, layout);
    Reader::new(
        inputs,
        first,
        Arc::new(plan),
        features,
        selection,
        (width, layout),
        rows,
    )
    .map(|reader| reader.with_left_out(left_out))
}

pub(super) fn names(wanted: &[Wanted]) -> Features {
    let mut names = Vec::new();
    for column in wanted {
        if column.shape == Shape::Scalar {
            names.push(column.name.clone());
        } else {
            names.extend((0..column.len).map(|i| format!("{}.{i}", column.name)));
        }
    }
    Features::new(names)
}

pub(super) fn layout(wanted: &[Wanted]) -> Layout {
    let all: usize = wanted.iter().map(|w| w.len).sum();
    let in_rows = wanted.iter().filter(|w| w.shape != Shape::Scalar);
    let in_rows: usize = in_rows.map(|w| w.len).sum();
    if 2 * in_rows > all {
        Layout::RowMajor
    } else {
        Layout::ColumnMajor
    }
}

pub(super) fn chunk_rows(features: usize, width: Width, layout: Layout) -> usize {
    let row_bytes = features
        * match width {
            Width::F32 => 4,
            Width::F64 => 8,
        };
    match layout {
        // One call of the decoder a column: the more rows, the fewer calls.
        Layout::ColumnMajor => (CHUNK_BYTES / row_bytes)
            .clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX)
            .min((CHUNK_BYTES_MAX / row_bytes).max(1)),
        // One call for all values: few rows stay in a core's own cache.
        Layout::RowMajor => (CHUNK_BYTES_IN_ROWS / row_bytes).clamp(16, CHUNK_ROWS_MAX),
    }
}
