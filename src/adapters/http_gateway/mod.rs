//! The gateway over HTTP/1.1, plain or TLS: one request a call, within a deadline, on connections of its own that
//! are kept alive. It never sends a request twice, follows no redirect, and doesn't read what an answer says.
//!
//! What it promises about failures: [`Answer::NotSent`] only where not one byte of the request can have left;
//! everything else that is no whole response is [`Answer::Lost`].

mod connect;
mod line;
mod outline;
mod pool;
mod retry_after;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderName;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use self::connect::Connector;
use self::line::{Line, Whole};
use self::outline::Outline;
use self::pool::Pool;
pub use self::settings::{Settings, SettingsError};
use crate::domain::id::TransactionId;
use crate::ports::gateway::{Answer, Charge, Gateway, Response};

/// A client of one gateway. Calls may run side by side, up to `max_in_flight`; more of them wait within their own
/// deadline.
#[derive(Debug)]
pub struct HttpGateway {
    connector: Connector,
    pool: Pool,
    /// One permit a call in flight, hence a connection.
    permits: Semaphore,
    shape: Shape,
    timeout: std::time::Duration,
    body_max: usize,
}

/// What all requests have in common, made once.
#[derive(Debug)]
struct Shape {
    charge: Outline,
    lookup: Option<Outline>,
    /// The header that marks a replay, and its value then.
    replay: Option<(HeaderName, String)>,
}

impl HttpGateway {
    /// Checks the settings and reads the CA file; connects to nothing yet.
    ///
    /// # Errors
    /// Names the setting, what stands there and what belongs there.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let target = settings.target()?;
        Ok(Self {
            shape: settings.shape(&target)?,
            connector: Connector::new(target, settings)?,
            pool: Pool::new(settings.idle),
            permits: Semaphore::new(settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            timeout: settings.timeout,
            body_max: settings.body_max,
        })
    }

    /// Connects, with TLS where the URL says so, and hangs up without a request.
    ///
    /// # Errors
    /// Says what failed.
    pub async fn probe(&self) -> Result<(), String> {
        self.connector.connect().await.map(drop)
    }

    async fn call(&self, request: impl FnOnce() -> Request<Full<Bytes>>) -> Answer {
        let deadline = Instant::now() + self.timeout;
        let _permit = match self.permit(deadline).await {
            Ok(permit) => permit,
            Err(why) => return Answer::NotSent(why),
        };
        let line = match self.line(deadline).await {
            Ok(line) => line,
            Err(why) => return Answer::NotSent(why),
        };
        let touched = Arc::clone(line.touched());
        match timeout_at(deadline, line.exchange(request, self.body_max)).await {
            Ok(Ok((whole, line))) => {
                // Whether it may be used again is looked at when it is to be.
                self.pool.put(line);
                Answer::Response(self.response(whole))
            }
            Ok(Err(why)) => broken(&touched, why),
            Err(_) => broken(&touched, format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn permit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, String> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err("shutting down".to_owned()),
            Err(_) => Err("too many calls in flight".to_owned()),
        }
    }

    async fn line(&self, deadline: Instant) -> Result<Line, String> {
        if let Some(line) = self.pool.take().await {
            return Ok(line);
        }
        match timeout_at(deadline, self.connector.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {:?}", self.timeout)),
        }
    }

    fn response(&self, whole: Whole) -> Response {
        let is_marked = |(name, value): &(HeaderName, String)| {
            let found = whole.headers.get(name);
            found.is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        };
        Response {
            status: whole.status.as_u16(),
            replayed: self.shape.replay.as_ref().is_some_and(is_marked),
            retry_after: retry_after::read(&whole.headers),
            body: whole.body,
        }
    }
}

/// What a failed exchange comes to.
fn broken(touched: &AtomicBool, why: String) -> Answer {
    if touched.load(Ordering::Relaxed) { Answer::Lost(why) } else { Answer::NotSent(why) }
}

impl Gateway for HttpGateway {
    async fn charge(&self, charge: &Charge) -> Answer {
        match self.shape.charge.fill(&charge.id) {
            Ok(head) => self.call(|| head.with(charge.body.clone())).await,
            Err(why) => Answer::NotSent(why),
        }
    }

    async fn lookup(&self, id: &TransactionId) -> Answer {
        let Some(outline) = &self.shape.lookup else {
            return Answer::NotSent("the gateway's profile has no lookup".to_owned());
        };
        match outline.fill(id) {
            Ok(head) => self.call(|| head.with(outline.body_for(id))).await,
            Err(why) => Answer::NotSent(why),
        }
    }
}
