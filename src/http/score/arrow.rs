//! Rows as an Arrow IPC stream → scores as an Arrow IPC stream.
//!
//! Record batches are scored as they arrive; those of the answer are smaller if a batch is more
//! than one step's work. The answer's schema says in its metadata how many rows the model was
//! learned from (`ojad.rows`), and how p-values were found (`ojad.limits`), and
//! the model behind the log-likelihood (`ojad.noise_model`).

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::http::StatusCode;
use bytes::Bytes;

use super::columns::{Columns, Table};
use super::drive::{Step, Work};
use super::model::{Model, parts};
use super::{Order, Refusal, too_large, too_many};
use crate::snapshot::{ScoreBuffers, Scores};
use crate::source::{Pushed, PushedError};

/// A stream that is being scored.
pub(super) struct Stream {
    order: Order,
    input: Pushed<Bytes>,
    is_over: bool,
    open: Option<Open>,
    room: ScoreBuffers,
    /// Rows scored.
    rows: u64,
}

/// A stream whose schema has arrived.
struct Open {
    model: Arc<Model>,
    columns: Columns,
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
    /// The batch being scored, its numbers, and how many of its rows are done.
    batch: Option<(RecordBatch, Table, usize)>,
    is_finished: bool,
}

impl Stream {
    pub fn new(order: Order) -> Self {
        Self {
            input: Pushed::new(order.bytes_max, order.rows_max),
            order,
            is_over: false,
            open: None,
            room: ScoreBuffers::default(),
            rows: 0,
        }
    }

    /// The next batch, if it has arrived.
    fn next(&mut self) -> Result<Option<RecordBatch>, Refusal> {
        let next = self.input.next_batch().map_err(refusal)?;
        if self.open.is_none()
            && let Some(schema) = self.input.schema()
        {
            self.open = Some(Open::new(&self.order, schema)?);
        }
        Ok(next)
    }
}

impl Work for Stream {
    fn push(&mut self, piece: Bytes) {
        self.input.push(piece);
    }

    fn end(&mut self) {
        self.is_over = true;
    }

    fn step(&mut self) -> Result<Step, Refusal> {
        let waiting = self.open.as_ref().and_then(|open| open.batch.as_ref());
        if waiting.is_none() {
            let next = self.next()?;
            match (next, &mut self.open) {
                (Some(batch), Some(open)) => {
                    let table = open.columns.table(&batch)?;
                    open.batch = Some((batch, table, 0));
                }
                (_, Some(open)) if open.is_finished => return Ok(Step::Over),
                (_, Some(open)) if self.is_over => {
                    // A body that was cut short must not get an answer that looks complete.
                    self.input.end().map_err(refusal)?;
                    open.writer.finish().map_err(failed)?;
                    open.is_finished = true;
                    return Ok(Step::Answer(open.taken()));
                }
                _ if self.is_over => {
                    self.input.end().map_err(refusal)?;
                    return Ok(Step::Over);
                }
                _ => return Ok(Step::Hungry(self.input.wanted())),
            }
        }
        match &mut self.open {
            Some(open) => open.score(&self.order, &mut self.room, &mut self.rows),
            None => Ok(Step::Over),
        }
    }
}

impl Open {
    fn new(order: &Order, schema: &SchemaRef) -> Result<Self, Refusal> {
        let model = order.scoring.model(&order.snapshot);
        let columns = Columns::new(schema, &model, order.extra)?;
        let names = model.columns(order.what);
        let kept = columns
            .kept
            .iter()
            .map(|i| Arc::clone(&schema.fields()[*i]));
        let mut fields: Vec<FieldRef> = kept.collect();
        if let Some(taken) = fields.iter().find(|field| names.contains(field.name())) {
            let why = format!(
                "column `{}` has the same name as a score column; rename it",
                taken.name()
            );
            return Err(Refusal::features(why));
        }
        let scores = names.into_iter().map(|name| {
            let is_nullable = Scores::may_lack(&name);
            Field::new(name, DataType::Float64, is_nullable)
        });
        fields.extend(scores.map(Arc::new));
        let told = [
            ("ojad.rows".to_owned(), model.rows().to_string()),
            (
                "ojad.limits".to_owned(),
                model.projection.limits().in_words(),
            ),
            (
                "ojad.noise_model".to_owned(),
                model.projection.noise_model().as_str().to_owned(),
            ),
        ];
        let told = std::collections::HashMap::from(told);
        let schema = Arc::new(Schema::new(fields).with_metadata(told));
        Ok(Self {
            writer: StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?,
            model,
            columns,
            schema,
            batch: None,
            is_finished: false,
        })
    }

    /// Takes the bytes written since the last call.
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// Scores some rows of the batch.
    fn score(
        &mut self,
        order: &Order,
        room: &mut ScoreBuffers,
        done: &mut u64,
    ) -> Result<Step, Refusal> {
        let Some((batch, table, at)) = &mut self.batch else {
            return Ok(Step::Answer(Vec::new()));
        };
        // One step's work at a time: the thread also serves other requests.
        let n = self.model.step_rows().min(table.rows - *at);
        let rows = self.columns.rows(table, *at, n);
        let scores = self.model.projection.score_rows(&rows, room);
        self.model.finite(&rows, &scores, *done)?;
        let kept = self
            .columns
            .kept
            .iter()
            .map(|i| batch.column(*i).slice(*at, n));
        let mut columns: Vec<ArrayRef> = kept.collect();
        let scores = parts(order.what, scores).into_iter();
        let fields = &self.schema.fields()[columns.len()..];
        columns.extend(scores.zip(fields).map(|(score, field)| {
            let score: Float64Array = if field.is_nullable() {
                let score = score.into_iter().map(|v| v.is_finite().then_some(v));
                score.collect()
            } else {
                Float64Array::from(score)
            };
            Arc::new(score) as ArrayRef
        }));
        let scored = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)?;
        self.writer.write(&scored).map_err(failed)?;
        *at += n;
        *done += n as u64;
        if *at == table.rows {
            self.batch = None;
        }
        Ok(Step::Answer(self.taken()))
    }
}

fn refusal(error: PushedError) -> Refusal {
    match error {
        PushedError::Corrupt(reason) => {
            let why = format!("the body is not an Arrow IPC stream: {reason}");
            Refusal::new(StatusCode::BAD_REQUEST, why)
        }
        PushedError::Bytes { limit } => too_large(limit),
        PushedError::Rows { limit } => too_many(limit),
    }
}

#[allow(clippy::needless_pass_by_value)] // What `map_err` gives.
fn failed(error: ArrowError) -> Refusal {
    let why = format!("the answer cannot be written: {error}");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
}
