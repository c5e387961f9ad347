//! The admin port: `/metrics`, `/v1/status`, `/healthz` and the page, over HTTP/1.1, and what operators may ask for
//! (`admin/orders.rs`, `admin/maintenance.rs`).
//!
//! It runs on the control thread and reads numbers that others keep, so a slow reader cannot slow detection.

mod maintenance;
mod orders;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Json};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::io::Clock;
use crate::metrics_page::MetricsPage;
use crate::operator::{Desk, MaintenanceDesk};
use crate::status::Observed;

/// What the handlers read.
struct Sources {
    metrics: MetricsPage,
    observed: Observed,
}

/// Serves until the task is dropped.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    observed: Observed,
    desk: Desk,
    maintenance: Arc<MaintenanceDesk>,
) -> std::io::Result<()> {
    let sources = Sources { metrics: MetricsPage::new(observed.clone()), observed };
    let router = Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Arc::new(sources))
        .merge(orders::router(desk))
        .merge(maintenance::router(maintenance));
    axum::serve(listener, router).await
}

async fn page() -> Html<&'static str> {
    Html(include_str!("admin/page.html"))
}

async fn metrics(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        sources.metrics.render(Clock::new().process_cpu_us()),
    )
}

async fn status(State(sources): State<Arc<Sources>>) -> impl IntoResponse {
    Json(sources.observed.status(Clock::new().process_cpu_us()))
}
