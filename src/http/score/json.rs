//! Rows as JSON → scores as JSON.
//!
//! The body is held whole, then its numbers, then the scores, whose columns come one after the other in
//! the answer: that is written as it is read.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;

use super::drive::{Step, Work};
use super::model::{Model, parts};
use super::parse::{Kept, Table, parse};
use super::{Order, Refusal};
use crate::snapshot::{LimitsView, ScoreBuffers};

/// Numbers written in one step: some milliseconds.
const STEP_NUMBERS: usize = 1 << 15;

/// A document that is being scored.
pub(super) struct Document {
    order: Order,
    body: Vec<u8>,
    is_over: bool,
    state: State,
}

enum State {
    /// Not whole yet.
    Coming,
    Scoring {
        model: Arc<Model>,
        table: Box<Table>,
        room: Box<ScoreBuffers>,
        scores: Vec<Vec<f64>>,
        at: usize,
    },
    Writing(Writing),
    Over,
}

/// The answer, column after column.
struct Writing {
    head: Vec<u8>,
    names: Vec<String>,
    kept: Vec<Kept>,
    scores: Vec<Vec<f64>>,
    rows: usize,
    /// Column and row that come next.
    at: (usize, usize),
}

impl Document {
    pub fn new(order: Order) -> Self {
        Self {
            order,
            body: Vec::new(),
            is_over: false,
            state: State::Coming,
        }
    }

    fn parse(&mut self) -> Result<State, Refusal> {
        let model = self.order.scoring.model(&self.order.snapshot);
        let body = std::mem::take(&mut self.body);
        let table = parse(&body, &model, &self.order)?;
        let names = model.columns(self.order.what);
        if let Some(taken) = table.kept.iter().find(|kept| names.contains(&kept.name)) {
            let why = format!(
                "column `{}` has the same name as a score column; rename it",
                taken.name
            );
            return Err(Refusal::features(why));
        }
        Ok(State::Scoring {
            model,
            table: Box::new(table),
            room: Box::default(),
            scores: vec![Vec::new(); names.len()],
            at: 0,
        })
    }
}

impl Work for Document {
    fn push(&mut self, piece: Bytes) {
        self.body.extend_from_slice(&piece);
    }

    fn end(&mut self) {
        self.is_over = true;
    }

    fn step(&mut self) -> Result<Step, Refusal> {
        match &mut self.state {
            State::Coming if !self.is_over => return Ok(Step::Hungry(usize::MAX)),
            State::Coming => self.state = self.parse()?,
            State::Scoring {
                model,
                table,
                room,
                scores,
                at,
            } => {
                let n = model.step_rows().min(table.rows - *at);
                let rows = table.rows(*at, n, model.features());
                let scored = model.projection.score_rows(&rows, room);
                model.finite(&rows, &scored, *at as u64)?;
                let scored = parts(self.order.what, scored);
                for (all, some) in scores.iter_mut().zip(scored) {
                    all.extend(some);
                }
                *at += n;
                if *at == table.rows {
                    let names = model.columns(self.order.what);
                    let all = table.kept.iter().map(|kept| &kept.name).chain(&names);
                    self.state = State::Writing(Writing {
                        head: head(model).map_err(failed)?,
                        names: all.cloned().collect(),
                        kept: std::mem::take(&mut table.kept),
                        scores: std::mem::take(scores),
                        rows: table.rows,
                        at: (0, 0),
                    });
                }
            }
            State::Writing(writing) => {
                let text = writing.step().map_err(failed)?;
                if writing.at.0 == writing.names.len() {
                    self.state = State::Over;
                }
                return Ok(Step::Answer(text));
            }
            State::Over => return Ok(Step::Over),
        }
        Ok(Step::Answer(Vec::new()))
    }
}

impl Writing {
    fn step(&mut self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = std::mem::take(&mut self.head);
        let mut left = STEP_NUMBERS;
        while left > 0 && self.at.0 < self.names.len() {
            let (column, row) = self.at;
            if row == 0 {
                if column > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(&mut text, &self.names[column])?;
                text.extend_from_slice(b":[");
            }
            let end = self.rows.min(row + left);
            for i in row..end {
                if i > 0 {
                    text.push(b',');
                }
                if let Some(kept) = self.kept.get(column) {
                    text.extend_from_slice(kept.cell(i));
                } else {
                    // What is no number (NaN, infinite) becomes null.
                    let score = self.scores[column - self.kept.len()][i];
                    serde_json::to_writer(&mut text, &score)?;
                }
            }
            left -= end - row;
            self.at.1 = end;
            if end == self.rows {
                text.push(b']');
                self.at = (column + 1, 0);
            }
        }
        if self.at.0 == self.names.len() {
            text.extend_from_slice(b"}}\n");
        }
        Ok(text)
    }
}

/// The answer up to its first column.
fn head(model: &Model) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = format!("{{\"rows\":{},\"limits\":", model.rows()).into_bytes();
    serde_json::to_writer(
        &mut text,
        &LimitsView::of(model.projection.limits(), model.projection.noise_model()),
    )?;
    text.extend_from_slice(b",\"columns\":{");
    Ok(text)
}

#[allow(clippy::needless_pass_by_value)] // What `map_err` gives.
fn failed(error: serde_json::Error) -> Refusal {
    let why = format!("the answer cannot be written: {error}");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
}
