//! `GET /api/v1/recent`: rows of late in the plane of the components, and those that stand out.
//!
//! In: copies of minibatches, as many as the trainer has time to make. A thread of the lowest priority
//! scores them with the components that are shown. Out: the rows that were kept, scored anew with the
//! components of the moment, so that all pictures of a page are of the same model. Learning waits for
//! none of it: what comes while that thread is busy is passed over, and `rows_examined` says so.

mod kept;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::setpriority_process;
use serde::Serialize;

use self::kept::{Kept, Row, TOP_MAX};
use super::answer::{answer, blocking, tagged};
use super::api::Shared;
use super::live::{Latest, Live};
use super::score::NICE;
use crate::rows::{Minibatch, Tags};
use crate::snapshot::{Projection, Snapshot};

/// Copies that wait to be looked at.
const WAITING_MAX: usize = 4096;
/// Bytes of all of them; larger minibatches wait alone.
const WAITING_BYTES: usize = 32 << 20;
/// Copying may take one part in so many of the trainer's time.
const COPY_SHARE: f64 = 50.0;
/// Seconds of copying that may come at once: the minibatches of a small file.
const COPY_BURST_S: f64 = 0.1;
/// The first minibatches come before the first components are shown: they wait for these.
const COMPONENTS_PATIENCE: Duration = Duration::from_secs(3);
/// Scores of a row that an answer has.
const SCORES_MAX: usize = 10;

/// A minibatch to be looked at.
struct Copied {
    batch: Minibatch,
    tags: Option<Tags>,
}

/// The trainer's side: copies what there is time for.
#[derive(Debug)]
pub struct Sampler {
    to: Sender<Copied>,
    /// Seconds of copying that are paid for.
    budget_s: f64,
    at: Instant,
}

/// Id columns, and which of them is the label.
type Columns = (Vec<String>, Option<usize>);

/// Rows kept for the page.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Mutex<Kept>,
    /// Id columns, and which of them is the label.
    columns: Latest<Columns>,
}

/// Starts to look at rows with the components of `live`; `ids` are the id columns, `label` one of them.
///
/// # Errors
/// If no thread can be had.
pub fn sample(live: Arc<Live>, ids: &[String], label: Option<&str>) -> io::Result<Sampler> {
    let at = label.and_then(|label| ids.iter().position(|id| id == label));
    live.recent.columns.set((ids.to_vec(), at));
    let (to, copies) = bounded(WAITING_MAX);
    let thread = thread::Builder::new().name("ojad-rows".into());
    thread.spawn(move || look(&live, &copies))?;
    Ok(Sampler {
        to,
        budget_s: COPY_BURST_S,
        at: Instant::now(),
    })
}

impl Sampler {
    /// Copies a minibatch, if there is time and room.
    pub fn offer(&mut self, batch: &Minibatch, tags: Option<Tags>) {
        let now = Instant::now();
        let since = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.budget_s = (self.budget_s + since / COPY_SHARE).min(COPY_BURST_S);
        let values = batch.capacity() * batch.features() * size_of::<f64>();
        let bytes = values + tags.as_ref().map_or(0, Tags::bytes);
        let may_wait = (WAITING_BYTES / bytes.max(1)).clamp(1, WAITING_MAX);
        if self.budget_s <= 0.0 || self.to.len() >= may_wait {
            return;
        }
        let batch = batch.clone();
        // Nobody else sends: there is room.
        let _ = self.to.try_send(Copied { batch, tags });
        self.budget_s -= now.elapsed().as_secs_f64();
    }
}

/// Looks at copies until nobody makes any.
fn look(live: &Live, copies: &Receiver<Copied>) {
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "rows are looked at with the priority of the rest");
    }
    let mut model: Option<(u64, Projection)> = None;
    for Copied { batch, tags } in copies {
        let until = Instant::now() + COMPONENTS_PATIENCE;
        let mut snapshot = live.snapshot.get();
        while snapshot.is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
            snapshot = live.snapshot.get();
        }
        let Some(snapshot) = snapshot.as_ref() else {
            continue;
        };
        let estimate = &snapshot.estimate;
        if estimate.features != batch.features() {
            continue;
        }
        if model
            .as_ref()
            .is_none_or(|(rows, _)| *rows != estimate.rows)
        {
            let order: Vec<usize> = (0..estimate.features).collect();
            model = Some((estimate.rows, Projection::new(estimate, &order)));
        }
        if let Some((_, projection)) = &model {
            let scores = projection.score(&batch);
            let mut kept = live.recent.lock();
            kept.take(&batch, tags.as_ref(), &scores, unix_s());
        }
    }
}

fn unix_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Recent {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Serialize)]
struct RecentView<'a> {
    ids: &'a [String],
    label: Option<&'a str>,
    components: usize,
    rows_examined: u64,
    rows: Vec<RowView<'a>>,
    largest_residual: Vec<RowView<'a>>,
    largest_t2: Vec<RowView<'a>>,
}

#[derive(Debug, Serialize)]
struct RowView<'a> {
    row: u64,
    unix_s: u64,
    scores: Vec<f64>,
    residual: f64,
    t2: f64,
    label: Option<&'a str>,
    ids: Vec<Option<&'a str>>,
}

/// `GET /api/v1/recent`
pub(super) async fn recent(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let snapshot = shared.live.snapshot.get();
    // A copy of pointers: the answer and its tag are of the same moment.
    let kept = shared.live.recent.lock().clone();
    let examined = kept.examined;
    let rows = snapshot.as_ref().as_ref().map_or(0, |s| s.estimate.rows);
    let started = shared.live.status.get().started_unix_s;
    let tag = format!("{started}-{rows}-{examined}");
    let live = Arc::clone(&shared.live);
    tagged(
        &headers,
        &tag,
        blocking(move || {
            view(
                &kept,
                &live.recent.columns.get(),
                snapshot.as_ref().as_deref(),
            )
        }),
    )
    .await
}

/// What is kept, in the plane of `snapshot`; nothing before there is one.
fn view(kept: &Kept, columns: &Columns, snapshot: Option<&Snapshot>) -> Response {
    let (ids, label) = columns;
    let [ring, residual, t2] = kept.rows();
    let mut shown = RecentView {
        ids,
        label: label.map(|at| ids[at].as_str()),
        components: 0,
        rows_examined: kept.examined,
        rows: Vec::new(),
        largest_residual: Vec::new(),
        largest_t2: Vec::new(),
    };
    let Some(snapshot) = snapshot else {
        return answer(StatusCode::OK, &shown);
    };
    let estimate = &snapshot.estimate;
    let order: Vec<usize> = (0..estimate.features).collect();
    let projection = Projection::new(estimate, &order);
    shown.components = estimate.components().min(SCORES_MAX);
    shown.rows = scored(&projection, &ring, *label);
    shown.largest_residual = scored(&projection, &residual, *label);
    shown.largest_t2 = scored(&projection, &t2, *label);
    let by = |list: &mut Vec<RowView<'_>>, measure: fn(&RowView<'_>) -> f64| {
        list.sort_by(|a, b| measure(b).total_cmp(&measure(a)));
        list.truncate(TOP_MAX);
    };
    by(&mut shown.largest_residual, |row| row.residual);
    by(&mut shown.largest_t2, |row| row.t2);
    answer(StatusCode::OK, &shown)
}

/// Rows with their scores; those of other features are none of this model's.
fn scored<'a>(
    projection: &Projection,
    rows: &'a [Arc<Row>],
    label: Option<usize>,
) -> Vec<RowView<'a>> {
    let m = projection.features();
    let rows: Vec<&Row> = rows.iter().map(AsRef::as_ref).collect();
    let rows: Vec<&Row> = rows
        .into_iter()
        .filter(|row| row.values.len() == m)
        .collect();
    if rows.is_empty() || m == 0 {
        return Vec::new();
    }
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.values.iter().copied())
        .collect();
    let scores = projection.score(&Minibatch::from_rows(&values, m));
    let components = &scores.components[..scores.components.len().min(SCORES_MAX)];
    let views = rows.iter().enumerate().map(|(i, row)| {
        let ids: Vec<Option<&str>> = row.ids.iter().map(Option::as_deref).collect();
        RowView {
            row: row.number,
            unix_s: row.unix_s,
            scores: components.iter().map(|of| of[i]).collect(),
            residual: scores.residual[i],
            t2: scores.t2[i],
            label: label.and_then(|at| ids.get(at).copied().flatten()),
            ids,
        }
    });
    views.collect()
}
