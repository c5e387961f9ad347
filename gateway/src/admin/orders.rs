//! What an operator may ask for over HTTP: silences, the end of a hold, and lists of both.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/silences` | | all silences |
//! | `POST /v1/silences` | `{"zone": "eu-1a", "seconds": 600, "comment": "moving racks"}` | 201, the silence |
//! | `DELETE /v1/silences/7` | | 204 |
//! | `GET /v1/guard` | | what is held now |
//! | `POST /v1/guard/release` | `{"zone": "eu-1a"}` or `{"all": true}` | how many failures were let go of |
//!
//! Instead of `zone` a silence takes `"node": "name"` or `"label": {"key": "rack", "value": "r17"}`. Every refusal is
//! `{"error": "what is wrong, and what to do"}`.
//!
//! **What it does not do.** It asks for no login: whoever reaches the port may do this (`listen.admin`). Pages of other
//! origins cannot: a body must be declared as `application/json`, for which a browser asks leave first and gets none.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use axum::{Router, extract::rejection::PathRejection};
use pulsegate_engine::Duration;
use pulsegate_engine::limits::SILENCES_MAX;
use pulsegate_engine::publication::{Selector, SilenceId, TooManySilences};
use serde::Deserialize;
use serde_json::json;

use crate::operator::{Ask, Desk, Unanswered};

/// Longest body.
const BODY_BYTES_MAX: usize = 4_096;

/// Longest silence: 30 days.
const SILENCE_SECONDS_MAX: u64 = 30 * 24 * 3_600;

/// Longest comment.
const COMMENT_BYTES_MAX: usize = 1_024;

pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/silences", get(silences).post(silence))
        .route("/v1/silences/{id}", delete(end_silence))
        .route("/v1/guard", get(holds))
        .route("/v1/guard/release", post(release))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

/// Why something is not done.
pub(super) struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl Refusal {
    /// A body that is none, where one has at most so many bytes.
    pub(super) fn of_body(rejection: &JsonRejection, bytes_max: usize) -> Self {
        let advice = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("a body has at most {bytes_max} bytes"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "send the header content-type: application/json".to_owned(),
            _ => "see docs/detection.md, \"When many fail at once\" and \"Maintenance\", for what a body looks \
                  like"
                .to_owned(),
        };
        // The client's mistake either way, whether its JSON is none or says something else.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        Self(status, format!("{}; {advice}", rejection.body_text()))
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::of_body(&rejection, BODY_BYTES_MAX)
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, unanswered.to_string())
    }
}

pub(super) fn refused(status: StatusCode, words: impl Into<String>) -> Refusal {
    Refusal(status, words.into())
}

/// The body that asks for a silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SilenceOrder {
    node: Option<String>,
    zone: Option<String>,
    label: Option<Label>,
    seconds: u64,
    #[serde(default)]
    comment: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    key: String,
    value: String,
}

impl SilenceOrder {
    fn checked(self) -> Result<(Selector, Duration, String), Refusal> {
        let bad = |words: String| refused(StatusCode::BAD_REQUEST, words);
        let selector = match (self.node, self.zone, self.label) {
            (Some(node), None, None) => Selector::Node(node.into()),
            (None, Some(zone), None) => Selector::Zone(zone.into()),
            (None, None, Some(Label { key, value })) => {
                Selector::Label { key: key.into(), value: value.into() }
            }
            _ => {
                let words = "a silence is about one thing: give exactly one of `node`, `zone` and `label`";
                return Err(bad(words.to_owned()));
            }
        };
        let is_empty = match &selector {
            Selector::Node(name) | Selector::Zone(name) | Selector::Label { key: name, .. } => {
                name.is_empty()
            }
        };
        if is_empty {
            return Err(bad(
                "`node`, `zone` and the `key` of a label are names; an empty one means nobody".to_owned()
            ));
        }
        if !(1..=SILENCE_SECONDS_MAX).contains(&self.seconds) {
            return Err(bad(format!(
                "`seconds` = {} is outside 1 to {SILENCE_SECONDS_MAX} (30 days)",
                self.seconds
            )));
        }
        if self.comment.len() > COMMENT_BYTES_MAX {
            return Err(bad(format!(
                "`comment` has {} bytes; at most {COMMENT_BYTES_MAX}",
                self.comment.len()
            )));
        }
        Ok((selector, Duration::from_secs(self.seconds), self.comment))
    }
}

async fn silence(
    State(desk): State<Desk>,
    order: Result<Json<SilenceOrder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(order) = order?;
    let (selector, time, comment) = order.checked()?;
    let made = desk.ask(|answer| Ask::Silence { selector, time, comment, answer }).await?;
    let silence = made.map_err(|TooManySilences| {
        let words = format!("there are {SILENCES_MAX} silences, which is the most; end one of them first");
        refused(StatusCode::CONFLICT, words)
    })?;
    Ok((StatusCode::CREATED, Json(silence)).into_response())
}

async fn silences(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let silences = desk.ask(Ask::Silences).await?;
    Ok(Json(json!({ "silences": silences })).into_response())
}

async fn end_silence(
    State(desk): State<Desk>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let Path(id) = id.map_err(|_rejection| {
        refused(StatusCode::BAD_REQUEST, "the id of a silence is a number; GET /v1/silences lists them")
    })?;
    if desk.ask(|answer| Ask::EndSilence(SilenceId(id), answer)).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let words = format!("there is no silence {id}, or it has ended; GET /v1/silences lists them");
    Err(refused(StatusCode::NOT_FOUND, words))
}

/// The body that asks for the end of a hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseOrder {
    zone: Option<String>,
    #[serde(default)]
    all: bool,
}

async fn holds(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let holds = desk.ask(Ask::Holds).await?;
    Ok(Json(json!({ "holds": holds })).into_response())
}

async fn release(
    State(desk): State<Desk>,
    order: Result<Json<ReleaseOrder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(order) = order?;
    if order.zone.is_some() == order.all {
        let words = "say whose failures to let go of: {\"zone\": \"its name\"}, or {\"all\": true}";
        return Err(refused(StatusCode::BAD_REQUEST, words));
    }
    let zone = order.zone.clone();
    let released = desk.ask(|answer| Ask::Release(zone, answer)).await?.ok_or_else(|| {
        let zone = order.zone.unwrap_or_default();
        refused(
            StatusCode::NOT_FOUND,
            format!("no node is in a zone named {zone:?}; GET /v1/guard lists what is held"),
        )
    })?;
    Ok(Json(json!({ "released": released })).into_response())
}
