//! The snapshots on the disk: their list, and each as JSON, Arrow or Parquet.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Asked, Named, answer, blocking, problem, tagged};
use super::model::ComponentsView;
use super::shared::Shared;
use crate::disk::RealDisk;
use crate::snapshot::{
    Listed, Snapshot, SnapshotError, components_table, features_table, list, parquet_of, read,
};

/// Media types of the two table formats.
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// The two tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Table {
    #[default]
    Components,
    Features,
}

/// Query of `/api/v1/snapshots/{id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    table: Table,
}

/// Formats of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Arrow,
    Parquet,
}

#[derive(Debug, Serialize)]
struct OneSnapshot<'a> {
    id: &'a str,
    created_unix_s: u64,
    #[serde(flatten)]
    components: ComponentsView<'a>,
}

/// `GET /api/v1/snapshots`
pub(super) async fn all(State(shared): State<Shared>) -> Response {
    blocking(move || match list(&shared.params.output_dir, &RealDisk) {
        Ok(mut snapshots) => {
            snapshots.reverse();
            answer(StatusCode::OK, &json!({ "snapshots": snapshots }))
        }
        Err(error) => failed(&error),
    })
    .await
}

/// `GET /api/v1/snapshots/{id}`
pub(super) async fn one(
    State(shared): State<Shared>,
    Named(id): Named,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(kind) = Kind::of(&headers) else {
        let why = format!("snapshots are available as application/json, {ARROW} or {PARQUET}");
        return problem(StatusCode::NOT_ACCEPTABLE, &why);
    };
    let directory = shared.params.output_dir.clone();
    let found = tokio::task::spawn_blocking(move || find(&directory, &id)).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return failed(&error),
        Err(_) => None,
    };
    let Some(listed) = found else {
        let why = "no such snapshot; /api/v1/snapshots lists them";
        return problem(StatusCode::NOT_FOUND, why);
    };
    let tag = format!(
        "{}-{}-{kind:?}-{:?}",
        listed.id, listed.created_unix_s, wanted.table
    );
    let directory = shared.params.output_dir.clone();
    let made = blocking(move || made(&directory, &listed, kind, wanted.table));
    let mut response = tagged(&headers, &tag, made).await;
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(VARY, vary);
    response
}

/// The snapshot of this name. The client's text is only compared with existing names: it never
/// becomes a path.
fn find(directory: &Path, id: &str) -> Result<Option<Listed>, SnapshotError> {
    let mut snapshots = list(directory, &RealDisk)?.into_iter();
    Ok(snapshots.find(|one| one.id == id || (id == "latest" && one.is_latest)))
}

fn made(directory: &Path, listed: &Listed, kind: Kind, table: Table) -> Response {
    let snapshot = match read(&directory.join(&listed.id)) {
        Ok(snapshot) => snapshot,
        Err(error) => return failed(&error),
    };
    let (media, bytes) = match kind {
        Kind::Json => {
            let body = OneSnapshot {
                id: &listed.id,
                created_unix_s: listed.created_unix_s,
                components: ComponentsView::of(&snapshot, true),
            };
            return answer(StatusCode::OK, &body);
        }
        Kind::Arrow => (ARROW, table_of(&snapshot, table).and_then(|t| arrow_of(&t))),
        Kind::Parquet => {
            let table = table_of(&snapshot, table);
            let bytes = table.and_then(|t| parquet_of(&t).map_err(|error| error.to_string()));
            (PARQUET, bytes)
        }
    };
    match bytes {
        Ok(bytes) => ([(CONTENT_TYPE, media)], bytes).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

fn table_of(snapshot: &Snapshot, table: Table) -> Result<RecordBatch, String> {
    let table = match table {
        Table::Components => components_table(&snapshot.estimate),
        Table::Features => features_table(snapshot),
    };
    table.map_err(|error| error.to_string())
}

fn arrow_of(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let writer = StreamWriter::try_new(&mut bytes, table.schema_ref());
    let written = writer.and_then(|mut writer| {
        writer.write(table)?;
        writer.finish()
    });
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn failed(error: &SnapshotError) -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

impl Kind {
    /// The format that a client prefers; JSON by default.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let accept = headers
            .get(ACCEPT)
            .map(|accept| accept.to_str().unwrap_or_default());
        let Some(accept) = accept else {
            return Some(Self::Json);
        };
        let weight = |parameters: &str| {
            let mut weights = parameters
                .split(';')
                .filter_map(|p| p.trim().strip_prefix("q="));
            weights
                .next_back()
                .and_then(|q| q.parse::<f32>().ok())
                .unwrap_or(1.0)
        };
        let ranges = accept.split(',').filter_map(|range| {
            let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
            let kind = match media.trim() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                ARROW => Self::Arrow,
                PARQUET => Self::Parquet,
                _ => return None,
            };
            Some((kind, weight(parameters))).filter(|(_, weight)| *weight > 0.0)
        });
        // The first of the best: `max_by` would give the last.
        ranges
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|best| best.0)
    }
}
