//! The gateway over HTTP/1.1, plain or TLS: one request a call, within a deadline, on connections of its own that
//! are kept alive. It never sends a request twice, follows no redirect, and doesn't read what an answer says.
//!
//! What it promises about failures: [`Answer::NotSent`] only where not one byte of the request can have left;
//! everything else that is no whole response is [`Answer::Lost`].

mod connect;
mod line;
mod pool;
mod retry_after;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use self::connect::Connector;
use self::line::{Line, Whole};
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
    charge_uri: Uri,
    charge_headers: HeaderMap,
    /// Before and behind the id.
    lookup: Option<(String, String)>,
    lookup_headers: HeaderMap,
    key_header: HeaderName,
    replay_header: Option<HeaderName>,
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
        let marked = self.shape.replay_header.as_ref().and_then(|name| whole.headers.get(name));
        Response {
            status: whole.status.as_u16(),
            replayed: marked.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
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
        let Ok(key) = HeaderValue::from_str(charge.id.as_str()) else {
            return Answer::NotSent("the id does not fit in a header".to_owned());
        };
        let request = || {
            let mut request = Request::new(Full::new(charge.body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.shape.charge_uri.clone();
            let headers = request.headers_mut();
            headers.clone_from(&self.shape.charge_headers);
            headers.insert(&self.shape.key_header, key);
            request
        };
        self.call(request).await
    }

    async fn lookup(&self, id: &TransactionId) -> Answer {
        let Some((before, behind)) = &self.shape.lookup else {
            return Answer::NotSent("the gateway's profile has no lookup".to_owned());
        };
        let Ok(uri) = Uri::try_from(format!("{before}{}{behind}", percent_encoded(id.as_str())))
        else {
            return Answer::NotSent("the id does not fit in a path".to_owned());
        };
        let request = || {
            let mut request = Request::new(Full::new(Bytes::new()));
            *request.uri_mut() = uri;
            request.headers_mut().clone_from(&self.shape.lookup_headers);
            request
        };
        self.call(request).await
    }
}

/// One path segment: everything but letters, digits and `- _ . ~` is encoded.
fn percent_encoded(segment: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)].into());
            out.push(HEX[usize::from(byte & 15)].into());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn ids_can_not_leave_their_path_segment() {
        assert_eq!(percent_encoded("tx_1.2-3"), "tx_1.2-3");
        assert_eq!(percent_encoded("a:b"), "a%3Ab");
        assert_eq!(percent_encoded("../é?#%"), "..%2F%C3%A9%3F%23%25");
    }
}
