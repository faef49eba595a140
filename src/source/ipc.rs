//! Arrow IPC files (Feather version 2) → chunks: one record batch in memory at a time, in a reused
//! buffer, with columns not copied until the minibatch.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileDecoder as ArrowDecoder, read_footer_length};
use arrow::ipc::{Block, MetadataVersion, root_as_footer, root_as_message};

use super::SourceError;
use super::batches::{Cutter, FileDecoder, Task};
use super::column::Chunk;
use super::error::unreadable;
use super::framing;
use super::positioned::Positioned;
use super::preflight;

/// Bytes after the footer: its length and the magic.
const TRAILER: u64 = 10;
/// Most record batches whose lengths are added up in advance; for a file with more, the number of
/// rows is unknown.
const COUNTED_MAX: usize = 100_000;

/// An Arrow IPC file whose footer has been read.
pub(super) struct IpcFile {
    path: PathBuf,
    file: Positioned,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
    rows: Option<u64>,
}

impl IpcFile {
    /// Reads the footer.
    pub fn of(path: &Path, file: Positioned) -> Result<Self, SourceError> {
        let corrupt = |reason: String| SourceError::Corrupt {
            path: path.to_owned(),
            reason,
        };
        let short = || corrupt("the file ends before its footer".to_owned());
        let trailer_at = file.bytes().checked_sub(TRAILER).ok_or_else(short)?;
        let mut trailer = [0; TRAILER as usize];
        let read = |to: &mut [u8], at: u64| {
            file.read_exact_at(to, at)
                .map_err(|source| unreadable(path, source))
        };
        read(&mut trailer, trailer_at)?;
        let len = read_footer_length(trailer)
            .map_err(|error| corrupt(format!("no footer at its end ({error})")))?;
        let footer_at = trailer_at.checked_sub(len as u64).ok_or_else(short)?;
        if len > preflight::METADATA_BYTES_MAX {
            let max = preflight::METADATA_BYTES_MAX;
            return Err(corrupt(format!(
                "a footer of {len} bytes, above the limit of {max}"
            )));
        }
        let mut footer = vec![0; len];
        read(&mut footer, footer_at)?;
        let footer = root_as_footer(&footer).map_err(|error| {
            corrupt(format!(
                "its footer cannot be read: {}",
                preflight::brief(error)
            ))
        })?;
        let schema = footer
            .schema()
            .ok_or_else(|| corrupt("its footer has no schema".to_owned()))?;
        let schema = framing::read_schema(schema, len).map_err(|error| error.at(path))?;
        let mut ipc = Self {
            path: path.to_owned(),
            version: footer.version(),
            dictionaries: footer.dictionaries().iter().flatten().copied().collect(),
            batches: footer.recordBatches().iter().flatten().copied().collect(),
            schema,
            file,
            rows: None,
        };
        ipc.check_blocks()?;
        ipc.rows = ipc.count()?;
        Ok(ipc)
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// Checks that the blocks fit into the file without overlap.
    fn check_blocks(&self) -> Result<(), SourceError> {
        let mut bytes = 0_u64;
        for block in self.dictionaries.iter().chain(&self.batches) {
            let (_, _, len) = self.bounds(block)?;
            bytes = bytes.saturating_add(len as u64);
        }
        if bytes > self.file.bytes() {
            return Err(self.corrupt("its record batches overlap".to_owned()));
        }
        Ok(())
    }

    /// Adds up the rows that the headers of the record batches state.
    fn count(&self) -> Result<Option<u64>, SourceError> {
        if self.batches.len() > COUNTED_MAX {
            return Ok(None);
        }
        let mut rows = 0;
        let mut head = Vec::new();
        for block in &self.batches {
            let (at, meta, _) = self.bounds(block)?;
            head.resize(meta, 0);
            self.read(&mut head, at)?;
            let header = preflight::block_header(&head).unwrap_or_default();
            let message =
                root_as_message(header).map_err(|error| self.corrupt(preflight::brief(error)))?;
            let length = message.header_as_record_batch().map_or(0, |b| b.length());
            rows += u64::try_from(length).unwrap_or(0);
        }
        Ok(Some(rows))
    }

    fn corrupt(&self, reason: String) -> SourceError {
        SourceError::Corrupt {
            path: self.path.clone(),
            reason,
        }
    }

    fn read(&self, to: &mut [u8], at: u64) -> Result<(), SourceError> {
        let read = self.file.read_exact_at(to, at);
        read.map_err(|source| unreadable(&self.path, source))
    }

    /// Offset, header bytes, total bytes.
    fn bounds(&self, block: &Block) -> Result<(u64, usize, usize), SourceError> {
        let inside = || {
            let at = u64::try_from(block.offset()).ok()?;
            let meta = usize::try_from(block.metaDataLength()).ok()?;
            let len = meta.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
            let end = at.checked_add(len as u64)?;
            let is_inside = meta <= preflight::METADATA_BYTES_MAX && end <= self.file.bytes();
            is_inside.then_some((at, meta, len))
        };
        inside().ok_or_else(|| self.corrupt("a record batch lies outside the file".to_owned()))
    }

    /// The bytes of a block, in `spare`'s memory when nothing else uses it any more; its header
    /// has been checked.
    fn block(&self, block: &Block, spare: Option<Buffer>) -> Result<Buffer, SourceError> {
        let (at, meta, len) = self.bounds(block)?;
        let mut bytes = spare
            .and_then(|buffer| buffer.into_mutable().ok())
            .unwrap_or_default();
        framing::resize(&mut bytes, len).map_err(|reason| self.corrupt(reason))?;
        self.read(bytes.as_slice_mut(), at)?;
        let checked = preflight::check_block(&bytes, meta, &self.schema);
        checked.map_err(|reason| self.corrupt(reason))?;
        Ok(bytes.into())
    }

    /// A decoder of these root columns with the dictionaries loaded.
    fn decoder(&self, columns: Vec<usize>) -> Result<ArrowDecoder, SourceError> {
        let mut decoder =
            ArrowDecoder::new(self.schema.clone(), self.version).with_projection(columns);
        for block in &self.dictionaries {
            let bytes = self.block(block, None)?;
            decoder
                .read_dictionary(block, &bytes)
                .map_err(|error| self.corrupt(error.to_string()))?;
        }
        Ok(decoder)
    }

    /// Root columns of these names, in the order of the file.
    fn columns(&self, names: &[&str]) -> Vec<usize> {
        let fields = self.schema.fields().iter().enumerate();
        fields
            .filter(|(_, field)| names.contains(&field.name().as_str()))
            .map(|(i, _)| i)
            .collect()
    }

    /// The root columns of these names, from the start of the file.
    pub fn record_batches(
        &self,
        names: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, SourceError>>, SourceError> {
        let decoder = self.decoder(self.columns(names))?;
        Ok(self.batches.iter().filter_map(move |block| {
            let bytes = match self.block(block, None) {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            let batch = decoder.read_record_batch(block, &bytes);
            batch
                .map_err(|error| self.corrupt(error.to_string()))
                .transpose()
        }))
    }

    /// Decodes the file to its end as `task` specifies.
    pub fn into_decoder(self, task: Task) -> Result<IpcDecoder, SourceError> {
        let mut names: Vec<&str> = task
            .leaves
            .iter()
            .map(|leaf| leaf.path[0].as_str())
            .collect();
        if task.with_ids {
            names.extend(task.plan.params.ids.iter().map(String::as_str));
        }
        let names: std::collections::HashSet<&str> = names.into_iter().collect();
        let fields = self.schema.fields().iter().enumerate();
        let columns = fields
            .filter(|(_, field)| names.contains(field.name().as_str()))
            .map(|(i, _)| i)
            .collect();
        let decoder = self.decoder(columns)?;
        Ok(IpcDecoder {
            ipc: self,
            decoder,
            cutter: Cutter::new(task),
            next: 0,
            spare: None,
            bytes: 0,
        })
    }
}

/// Reads one Arrow IPC file, record batch after record batch.
pub(super) struct IpcDecoder {
    ipc: IpcFile,
    decoder: ArrowDecoder,
    cutter: Cutter,
    next: usize,
    spare: Option<Buffer>,
    bytes: u64,
}

impl FileDecoder for IpcDecoder {
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        while !self.cutter.cut(chunk)? {
            let Some(block) = self.ipc.batches.get(self.next) else {
                return Ok(false);
            };
            // The last users of the buffer let go of it.
            for column in &mut chunk.columns {
                column.clear::<f32>();
            }
            chunk.ids = None;
            let bytes = self.ipc.block(block, self.spare.take())?;
            let batch = self
                .decoder
                .read_record_batch(block, &bytes)
                .map_err(|error| self.cutter.task.corrupt(error))?;
            self.bytes += bytes.len() as u64;
            self.spare = Some(bytes);
            self.next += 1;
            if let Some(batch) = batch {
                self.cutter.put(batch);
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}
