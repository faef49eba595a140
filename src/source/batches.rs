//! Record batches → chunks: code shared by the two Arrow IPC formats.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::SourceError;
use super::column::Chunk;
use super::select::{Leaf, Plan};
use super::values::{self, Misfit};

/// Rows of one file on their way into minibatches.
pub(super) trait FileDecoder: Send {
    /// Decodes the next rows into `chunk`; `false` at the end of the file.
    fn next_chunk(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError>;
    /// Before the first chunk, skips as many of the next `rows` rows as is possible without
    /// decoding; returns their number. The ends of chunks do not change.
    fn skip(&mut self, _rows: u64) -> Result<u64, SourceError> {
        Ok(0)
    }
    /// Bytes of the file that have been read, as stored.
    fn bytes_read(&self) -> u64;
}

/// File and columns that a decoder reads.
#[derive(Clone)]
pub(super) struct Task {
    /// Path of the file.
    pub path: PathBuf,
    /// The features of all files.
    pub plan: Arc<Plan>,
    /// The columns of this file, in the order of the plan.
    pub leaves: Vec<Leaf>,
    /// True if the id columns are wanted.
    pub with_ids: bool,
}

impl Task {
    /// The error for a column that could not be taken; `row` is where the batch starts.
    pub fn misfit(&self, leaf: &Leaf, row: u64, misfit: Misfit) -> SourceError {
        match misfit {
            Misfit::Length { row: at, found } => SourceError::ListLength {
                path: self.path.clone(),
                row: row + at as u64,
                column: leaf.name.clone(),
                found,
                expected: leaf.len.unwrap_or(0),
            },
            Misfit::Other(reason) => SourceError::Corrupt {
                path: self.path.clone(),
                reason,
            },
        }
    }

    /// The error for anything a decoder reports.
    pub fn corrupt(&self, error: impl std::fmt::Display) -> SourceError {
        SourceError::Corrupt {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }

    /// The id columns of a batch, when wanted.
    pub fn ids(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>, SourceError> {
        if !self.with_ids || self.plan.params.ids.is_empty() {
            return Ok(None);
        }
        let mut at = Vec::new();
        for id in &self.plan.params.ids {
            at.push(
                batch
                    .schema_ref()
                    .index_of(id)
                    .map_err(|e| self.corrupt(e))?,
            );
        }
        batch.project(&at).map(Some).map_err(|e| self.corrupt(e))
    }
}

/// Cuts record batches into chunks.
pub(super) struct Cutter {
    pub task: Task,
    batch: Option<RecordBatch>,
    at: usize,
    /// Positions of the leaves in the batches.
    roots: Vec<usize>,
    /// Rows of the file before `batch`.
    row: u64,
}

impl Cutter {
    pub fn new(task: Task) -> Self {
        Self {
            task,
            batch: None,
            at: 0,
            roots: Vec::new(),
            row: 0,
        }
    }

    /// Takes the next batch; the previous one must be used up.
    pub fn put(&mut self, batch: RecordBatch) {
        if self.roots.is_empty() {
            self.roots = values::roots(&batch, &self.task.leaves);
        }
        self.batch = Some(batch);
        self.at = 0;
    }

    /// The next chunk of the batch, or `false` when it is used up.
    pub fn cut(&mut self, chunk: &mut Chunk) -> Result<bool, SourceError> {
        let Some(batch) = &self.batch else {
            return Ok(false);
        };
        let rows = (batch.num_rows() - self.at).min(self.task.plan.chunk_rows);
        if rows == 0 {
            self.row += batch.num_rows() as u64;
            self.batch = None;
            return Ok(false);
        }
        let part = batch.slice(self.at, rows);
        let limit = self.task.plan.params.limit.magnitude();
        let leaves = self.task.leaves.iter().zip(&self.roots);
        for ((leaf, &root), column) in leaves.zip(&mut chunk.columns) {
            values::load(&part, root, leaf, column)
                .map_err(|misfit| self.task.misfit(leaf, self.row + self.at as u64, misfit))?;
            column.is_integer = leaf.is_integer();
            column.scan(limit);
        }
        chunk.ids = self.task.ids(&part)?;
        chunk.rows = rows;
        self.at += rows;
        Ok(true)
    }
}
