//! Maintenance over HTTP.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/maintenance` | | all nodes that operators have in maintenance |
//! | `POST /v1/maintenance` | `{"nodes": ["db-1"], "seconds": 3600, "reason": "new disks"}` | 201, these |
//! | `DELETE /v1/maintenance/db-1` | | 204 |
//! | `POST /v1/maintenance/end` | `{"nodes": ["db-1", "db-2"]}` | how many were in maintenance |
//!
//! Instead of `seconds` there may be `until_unix_s`. A node that never described itself is named by its id: `"node_ids"`
//! instead of, or beside, `"nodes"`; in a path, 16 hexadecimal digits are an id. Refusals, and who may ask, are as in
//! `orders.rs`. Of a change that is kept and not confirmed by all shards yet, the answer is a 503 that says so.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use pulsegate_codec::NodeId;
use pulsegate_codec::limits::NAME_BYTES_MAX;
use pulsegate_engine::Duration;
use pulsegate_engine::limits::MAINTENANCE_MAX;
use serde::Deserialize;
use serde_json::json;

use super::orders::{Refusal, refused};
use crate::io::Clock;
use crate::operator::{MaintenanceDesk, NodeRef, NotDone};

/// Most nodes of one request.
const NODES_PER_REQUEST_MAX: usize = 1_000;

/// Longest body: so many names, with their quotes and commas.
const BODY_BYTES_MAX: usize = NODES_PER_REQUEST_MAX * (NAME_BYTES_MAX + 4) + 4_096;

/// Longest reason.
const REASON_BYTES_MAX: usize = 1_024;

pub(super) fn router(desk: Arc<MaintenanceDesk>) -> Router {
    Router::new()
        .route("/v1/maintenance", get(list).post(begin))
        .route("/v1/maintenance/end", post(end))
        .route("/v1/maintenance/{node}", delete(end_one))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

impl From<NotDone> for Refusal {
    fn from(not_done: NotDone) -> Self {
        let status = match not_done {
            NotDone::Full { .. } => StatusCode::CONFLICT,
            NotDone::Book(_) => StatusCode::INTERNAL_SERVER_ERROR,
            NotDone::Queued | NotDone::Busy { .. } | NotDone::Unanswered => StatusCode::SERVICE_UNAVAILABLE,
        };
        refused(status, not_done.to_string())
    }
}

fn bad(words: impl Into<String>) -> Refusal {
    refused(StatusCode::BAD_REQUEST, words)
}

/// The body that begins a maintenance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginOrder {
    #[serde(default)]
    nodes: Vec<String>,
    #[serde(default)]
    node_ids: Vec<String>,
    seconds: Option<u64>,
    until_unix_s: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// The body that ends some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOrder {
    #[serde(default)]
    nodes: Vec<String>,
    #[serde(default)]
    node_ids: Vec<String>,
}

fn node_refs(names: Vec<String>, ids: Vec<String>) -> Result<Vec<NodeRef>, Refusal> {
    let count = names.len() + ids.len();
    if !(1..=NODES_PER_REQUEST_MAX).contains(&count) {
        let words = format!(
            "`nodes` and `node_ids` name {count} nodes; a request is about 1 to {NODES_PER_REQUEST_MAX}, so send several"
        );
        return Err(bad(words));
    }
    let by_name = names.into_iter().map(|name| {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let words = format!(
                "`nodes`: a name has 1 to {NAME_BYTES_MAX} bytes, {:?} has {}",
                name.chars().take(40).collect::<String>(),
                name.len()
            );
            return Err(bad(words));
        }
        Ok(NodeRef::Name(name))
    });
    let by_id = ids.into_iter().map(|id| {
        id_of(&id).map(NodeRef::Id).ok_or_else(|| {
            bad(format!(
                "`node_ids`: {:?} is not 16 hexadecimal digits",
                id.chars().take(40).collect::<String>()
            ))
        })
    });
    by_name.chain(by_id).collect()
}

fn id_of(text: &str) -> Option<NodeId> {
    if text.len() == 16 { text.parse().ok() } else { None }
}

impl BeginOrder {
    fn checked(self) -> Result<(Vec<NodeRef>, Duration, String), Refusal> {
        let max = MAINTENANCE_MAX.as_secs();
        let seconds = match (self.seconds, self.until_unix_s) {
            (Some(seconds), None) => seconds,
            (None, Some(until)) => until.saturating_sub(Clock::new().unix_us() / 1_000_000),
            _ => return Err(bad("give exactly one of `seconds` and `until_unix_s`")),
        };
        if !(1..=max).contains(&seconds) {
            let words =
                format!("the maintenance would last {seconds} s from now; 1 to {max} (30 days) are possible");
            return Err(bad(words));
        }
        if self.reason.len() > REASON_BYTES_MAX {
            return Err(bad(format!("`reason` has {} bytes; at most {REASON_BYTES_MAX}", self.reason.len())));
        }
        Ok((node_refs(self.nodes, self.node_ids)?, Duration::from_secs(seconds), self.reason))
    }
}

async fn list(State(desk): State<Arc<MaintenanceDesk>>) -> Response {
    Json(json!({ "maintenance": desk.list().await })).into_response()
}

async fn begin(
    State(desk): State<Arc<MaintenanceDesk>>,
    order: Result<Json<BeginOrder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(order) = order.map_err(|rejection| Refusal::of_body(&rejection, BODY_BYTES_MAX))?;
    let (nodes, length, reason) = order.checked()?;
    let begun = desk.begin(&nodes, length, &reason).await?;
    tracing::info!(nodes = nodes.len(), seconds = length.as_secs(), reason, "maintenance by an operator");
    Ok((StatusCode::CREATED, Json(json!({ "maintenance": begun }))).into_response())
}

async fn end(
    State(desk): State<Arc<MaintenanceDesk>>,
    order: Result<Json<EndOrder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(order) = order.map_err(|rejection| Refusal::of_body(&rejection, BODY_BYTES_MAX))?;
    let were = desk.end(&node_refs(order.nodes, order.node_ids)?).await?;
    let ended = were.into_iter().filter(|was| *was).count();
    tracing::info!(nodes = ended, "maintenance ended by an operator");
    Ok(Json(json!({ "ended": ended })).into_response())
}

async fn end_one(
    State(desk): State<Arc<MaintenanceDesk>>,
    node: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let Path(node) =
        node.map_err(|_rejection| bad("the name in the path is not UTF-8 with percent signs"))?;
    let node_ref = id_of(&node).map_or_else(|| NodeRef::Name(node.clone()), NodeRef::Id);
    if desk.end(&[node_ref]).await? == [true] {
        tracing::info!(node, "maintenance ended by an operator");
        return Ok(StatusCode::NO_CONTENT);
    }
    let words =
        format!("{node:?} is not in maintenance; GET /v1/maintenance lists what operators have ordered");
    Err(refused(StatusCode::NOT_FOUND, words))
}
