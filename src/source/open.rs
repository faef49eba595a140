//! An open input of any format whose schema is known but of which no row has been read.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::SourceError;
use super::batches::{FileDecoder, Task};
use super::catch_panic;
use super::discover::Input;
use super::error::unreadable;
use super::format::Format;
use super::ipc::IpcFile;
use super::parquet::ParquetFile;
use super::positioned::{Positioned, Witness};
use super::select::Leaf;
use super::stream::Stream;

/// An input whose schema is known.
pub(super) enum Opened {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Stream(Stream),
}

impl Opened {
    /// Reads the schema of an input.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(input: &Input) -> Result<Self, SourceError> {
        let path = &input.path;
        if input.format == Format::Stdin {
            return catch_panic::catch(path, || Ok(Self::Stream(Stream::stdin()?)));
        }
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        let unseen = &mut Witness::default();
        Self::of(path, input.format, &Arc::new(file), None, unseen)
    }

    /// Reads the schema of an open file; `part` is the range of messages of a growing stream.
    /// `witness` records system errors from here on.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(
        path: &Path,
        format: Format,
        file: &Arc<File>,
        part: Option<(u64, u64)>,
        witness: &mut Witness,
    ) -> Result<Self, SourceError> {
        catch_panic::catch(path, || {
            let positioned = Positioned::of(Arc::clone(file));
            let positioned = positioned.map_err(|source| unreadable(path, source))?;
            *witness = positioned.witness();
            Ok(match format {
                Format::Parquet => Self::Parquet(ParquetFile::of(path, positioned)?),
                Format::IpcFile => Self::Ipc(IpcFile::of(path, positioned)?),
                Format::IpcStream | Format::Stdin => Self::Stream(match part {
                    Some(part) => Stream::open_part(path, file, part, witness)?,
                    None => Stream::open(path, file)?,
                }),
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

    /// Its number of rows, if the input states it.
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(file) => Some(file.rows()),
            Self::Ipc(file) => file.rows(),
            Self::Stream(_) => None,
        }
    }

    pub fn into_decoder(self, task: Task) -> Result<Box<dyn FileDecoder>, SourceError> {
        Ok(match self {
            Self::Parquet(file) => Box::new(file.into_decoder(task)?),
            Self::Ipc(file) => Box::new(file.into_decoder(task)?),
            Self::Stream(stream) => Box::new(stream.into_decoder(task)),
        })
    }

    /// Refuses encrypted columns.
    pub fn check(&self, path: &Path, leaves: &[Leaf]) -> Result<(), SourceError> {
        match self {
            Self::Parquet(file) => file.check(path, leaves),
            Self::Ipc(_) | Self::Stream(_) => Ok(()),
        }
    }

    /// Finds the lengths of lists from the first non-null one.
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

/// Sets the lengths known from this batch; returns whether all are known.
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
