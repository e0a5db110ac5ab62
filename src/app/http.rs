//! What operators and orchestrators ask over HTTP: `/metrics`, `/healthz`, `/readyz`. Read-only, without
//! authentication, meant for a private address. Runs on a thread of its own, so that it can tell of a route that hangs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};
use tokio::time::MissedTickBehavior;

use super::limits;
use super::status::{Part, Status};
use crate::adapters::system::SystemClock;
use crate::domain::time::Wall;
use crate::ports::time::Clock;
use crate::telemetry::text;

/// How often histograms are folded into their buckets; until then each sample is kept.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Everything that is served.
#[derive(Clone)]
pub struct Observed {
    pub status: Arc<Status>,
    pub metrics: PrometheusHandle,
    pub started: Wall,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observed").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Starts the thread; it ends with the process. With `listen: None` it only keeps the metrics small. Answers with
/// the address that it listens on, which names the port where port 0 was asked for.
pub fn start(listen: Option<SocketAddr>, observed: Observed) -> io::Result<Option<SocketAddr>> {
    let listener = listen.map(TcpListener::bind).transpose()?;
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = upkeep(observed.metrics.clone()) => {}
                Err(error) = serve(listener, observed) => {
                    tracing::error!(%error, "metrics and health are no longer served");
                }
            }
        });
    })?;
    Ok(address)
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

async fn serve(listener: Option<TcpListener>, observed: Observed) -> io::Result<()> {
    let Some(listener) = listener else { return std::future::pending().await };
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router(observed)).await
}

fn router(observed: Observed) -> axum::Router {
    axum::Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(observed)
}

async fn metrics(State(observed): State<Observed>) -> Response {
    let mut body = observed.metrics.render();
    text::partitions(&mut body, &observed.status.partitions());
    text::process(&mut body, observed.started, limits::open_files());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}

/// 200 while the route's loop goes round. What else may be down is no reason to be killed.
async fn healthz(State(observed): State<Observed>) -> Response {
    match observed.status.silent_for(SystemClock.now().boot) {
        None => Json(json!({ "alive": true })).into_response(),
        Some(silent) => {
            let body = json!({ "alive": false, "silent_seconds": silent.as_secs() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// 200 where every part works, else 503; either way with a line for each part.
async fn readyz(State(observed): State<Observed>) -> Response {
    let problems = observed.status.problems();
    let parts: Map<String, Value> = Part::ALL
        .iter()
        .map(|part| {
            let state = match problems.get(part) {
                None => json!({ "ok": true }),
                Some(why) => json!({ "ok": false, "why": why }),
            };
            (part.as_str().to_owned(), state)
        })
        .collect();
    let owned: Vec<i32> = observed.status.owned().iter().map(|partition| partition.0).collect();
    let body = json!({ "ready": problems.is_empty(), "parts": parts, "owned": owned });
    let code = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use crate::app::status::BEAT_MAX;
    use crate::domain::id::Partition;
    use crate::domain::outcome::Fate;
    use crate::domain::time::Boot;
    use crate::telemetry::meters::Meters;
    use crate::telemetry::text::PartitionView;

    struct Served {
        address: SocketAddr,
        status: Arc<Status>,
        meters: Meters,
    }

    fn served() -> Served {
        let (meters, metrics) = Meters::new();
        let status = Arc::new(Status::new(SystemClock.now().boot));
        let observed = Observed { status: status.clone(), metrics, started: Wall(1_000_000) };
        let address = start(Some("127.0.0.1:0".parse().unwrap()), observed).unwrap().unwrap();
        Served { address, status, meters }
    }

    /// The status and the body.
    fn ask(served: &Served, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(served.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[test]
    fn health_follows_the_beat() {
        let served = served();
        assert_eq!(ask(&served, "/healthz").0, 200);
        let now = SystemClock.now().boot;
        let long = u64::try_from(BEAT_MAX.as_micros()).unwrap() + 1_000_000;
        served.status.beat(Boot(now.0.checked_sub(long).unwrap()));
        let (code, body) = ask(&served, "/healthz");
        assert_eq!(code, 503);
        assert!(body.contains("\"alive\":false"), "{body}");
        served.status.beat(now);
        assert_eq!(ask(&served, "/healthz").0, 200);
    }

    #[test]
    fn readiness_names_the_part_that_is_not() {
        let served = served();
        assert_eq!(ask(&served, "/readyz").0, 503);
        for part in Part::ALL {
            served.status.fine(part);
        }
        assert_eq!(ask(&served, "/readyz").0, 200);
        served.status.wrong(Part::Redis, "connection refused");
        let (code, body) = ask(&served, "/readyz");
        assert_eq!(code, 503);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["ready"], false);
        assert_eq!(body["parts"]["redis"]["why"], "connection refused");
        assert_eq!(body["parts"]["kafka"]["ok"], true);
    }

    #[test]
    fn metrics_hold_route_partitions_and_process() {
        let served = served();
        served.meters.fates.of(Fate::Archived).increment(3);
        let view = PartitionView { lag: 9, ..PartitionView::default() };
        served.status.set_partitions(BTreeMap::from([(Partition(2), view)]));
        let (code, body) = ask(&served, "/metrics");
        assert_eq!(code, 200);
        for line in [
            "tollbridge_fates_total{fate=\"archived\"} 3",
            "tollbridge_consumer_lag{partition=\"2\"} 9",
            "process_start_time_seconds 1",
        ] {
            assert!(body.lines().any(|l| l == line), "{line} is missing in\n{body}");
        }
        served.status.set_partitions(BTreeMap::new());
        assert!(!ask(&served, "/metrics").1.contains("partition="));
    }
}
