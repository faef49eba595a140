//! Inputs → a reader: footers are read, features agreed on, before the first row.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::batches::{Feed, Task};
use super::discover::{Format, Input, discover, unreadable};
use super::guard;
use super::ipc::IpcFile;
use super::parquet::ParquetFile;
use super::positioned::{Positioned, Witness};
use super::preflight;
use super::reader::Reader;
use super::segment::Segment;
use super::select::{self, Globs, Leaf, Plan, Shape, Wanted};
use super::stream::Stream;
use super::{Selection, SourceError, SourceParams};
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

/// Bytes of the names of all features: a list gives its own to each of its values.
const NAME_BYTES_MAX: u64 = 1 << 28;

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

    /// Finds the lengths of lists by their first values.
    pub fn lengths(&mut self, path: &Path, leaves: &mut [Leaf]) -> Result<(), SourceError> {
        let unknown: Vec<Leaf> = leaves.iter().filter(|l| l.len.is_none()).cloned().collect();
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
    for leaf in leaves.iter_mut().filter(|leaf| leaf.len.is_none()) {
        let mut array = batch.column_by_name(&leaf.path[0]).cloned();
        for name in &leaf.path[1..] {
            array = array.and_then(|a| a.as_struct_opt()?.column_by_name(name).cloned());
        }
        let Some(array) = array else { continue };
        let first = (0..array.len()).find(|&row| array.is_valid(row));
        leaf.len = first.and_then(|row| match array.data_type() {
            DataType::List(_) => usize::try_from(array.as_list::<i32>().value_length(row)).ok(),
            DataType::LargeList(_) => {
                usize::try_from(array.as_list::<i64>().value_length(row)).ok()
            }
            _ => None,
        });
    }
    leaves.iter().all(|leaf| leaf.len.is_some())
}

/// Finds the files of `inputs` and agrees on the features.
///
/// The first file fixes them; the footers of the others are checked against it before the first
/// row is read, so that a third file of another schema does not end a run of hours.
///
/// # Errors
/// When an input cannot be found, told or read, or gives no feature; when the files disagree.
pub fn open(inputs: &[OsString], params: &SourceParams) -> Result<Reader, SourceError> {
    let inputs = discover(inputs)?;
    let globs = Globs::new(params)?;
    let path = inputs[0].path.clone();
    let mut first = Opened::open(&inputs[0])?;
    let schema = first.schema();
    let (mut leaves, mut selection) = select::choose(&path, &schema, params, &globs)?;
    if leaves.is_empty() {
        return Err(no_feature(path, &selection));
    }
    guard::catch(&path, || first.lengths(&path, &mut leaves))?;
    later_lengths(&inputs, params, &globs, &mut leaves)?;
    let wanted = leaves
        .iter()
        .map(wanted(&path))
        .collect::<Result<Vec<_>, _>>()?;
    check_width(&path, &wanted, params)?;
    selection.taken = wanted.iter().map(|w| (w.name.clone(), w.len)).collect();
    let mut width = widest(&leaves);
    let mut plan = Plan {
        first: path,
        wanted,
        chunk_rows: 1,
        params: params.clone(),
    };
    let mut rows = first.rows();
    if inputs.len() > FOOTERS_MAX {
        rows = None;
    }
    for input in inputs.iter().take(FOOTERS_MAX).skip(1) {
        if input.format == Format::Stdin {
            rows = None;
            continue;
        }
        let opened = Opened::open(input)?;
        let leaves = select::agree(&input.path, &opened.schema(), &plan)?;
        if widest(&leaves) == Width::F64 {
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
}

/// The error for a file without a numeric column.
pub(super) fn no_feature(path: PathBuf, selection: &Selection) -> SourceError {
    let left = selection.left.iter();
    SourceError::NoFeature {
        path,
        columns: select::shorten(left.map(|(name, why)| format!("`{name}` ({why})"))),
    }
}

/// Lists that are null throughout the first file take their lengths from a later one.
fn later_lengths(
    inputs: &[Input],
    params: &SourceParams,
    globs: &Globs,
    leaves: &mut [Leaf],
) -> Result<(), SourceError> {
    for input in inputs.iter().take(FOOTERS_MAX).skip(1) {
        if leaves.iter().all(|leaf| leaf.len.is_some()) {
            break;
        }
        if matches!(input.format, Format::Stdin | Format::IpcStream) {
            continue;
        }
        let mut opened = Opened::open(input)?;
        let (mut theirs, _) = select::choose(&input.path, &opened.schema(), params, globs)?;
        guard::catch(&input.path, || opened.lengths(&input.path, &mut theirs))?;
        let lengths: HashMap<&str, Option<usize>> =
            theirs.iter().map(|l| (l.name.as_str(), l.len)).collect();
        for leaf in leaves.iter_mut().filter(|leaf| leaf.len.is_none()) {
            leaf.len = lengths.get(leaf.name.as_str()).copied().flatten();
        }
    }
    Ok(())
}

pub(super) fn wanted(path: &Path) -> impl Fn(&Leaf) -> Result<Wanted, SourceError> {
    move |leaf| match leaf.len {
        Some(len) if len > 0 => Ok(Wanted {
            name: leaf.name.clone(),
            shape: leaf.shape,
            len,
        }),
        _ => Err(SourceError::UnknownLength {
            path: path.to_owned(),
            column: leaf.name.clone(),
        }),
    }
}

/// Refuses rows that no model can be made of: fewer values than components, or so many that the names
/// alone would fill the memory.
pub(super) fn check_width(
    path: &Path,
    wanted: &[Wanted],
    params: &SourceParams,
) -> Result<(), SourceError> {
    let sum = |each: fn(&Wanted) -> usize| {
        let each = wanted.iter().map(|column| each(column) as u64);
        each.fold(0, u64::saturating_add)
    };
    let features = sum(|column| column.len);
    let name_bytes = sum(|column| column.len.saturating_mul(column.name.len()));
    if features < params.features_least as u64 {
        return Err(SourceError::TooFewFeatures {
            path: path.to_owned(),
            components: params.features_least,
            features: features as usize,
        });
    }
    if features <= preflight::FEATURES_MAX as u64 && name_bytes <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(SourceError::TooWide {
        path: path.to_owned(),
        features,
        limit: preflight::FEATURES_MAX,
    })
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

pub(super) fn widest(leaves: &[Leaf]) -> Width {
    let wide = |leaf: &Leaf| select::width(&leaf.value) == Some(Width::F64);
    if leaves.iter().any(wide) {
        Width::F64
    } else {
        Width::F32
    }
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
