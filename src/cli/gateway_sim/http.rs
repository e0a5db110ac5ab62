//! HTTP/1.1 in front of the desk: routes, headers, and the ways to break off an answer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::desk::{Desk, Told};
use crate::adapters::memory::gateway::replies;
use crate::domain::answer;

const BODY_BYTES_MAX: usize = 64 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Serves every connection until it is dropped.
pub(super) async fn accept(
    listener: &TcpListener,
    desk: Arc<Desk>,
    credentials: Option<Arc<Path>>,
) {
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of files, most likely: those in use will be free again.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        socket.set_nodelay(true).ok();
        let (desk, credentials) = (Arc::clone(&desk), credentials.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let known = credentials.as_deref().is_none_or(|file| is_known(&request, file));
                serve(Arc::clone(&desk), request, known)
            });
            // Clients that leave, and answers cut on purpose, end here as errors.
            http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok();
        });
    }
}

/// Ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

/// Whether the file has a line that says who asks as the request does.
fn is_known(request: &Request<Incoming>, file: &Path) -> bool {
    let Some(given) = request.headers().get(AUTHORIZATION) else { return false };
    let known = std::fs::read_to_string(file).unwrap_or_default();
    known.lines().any(|line| !line.is_empty() && line.as_bytes() == given.as_bytes())
}

async fn serve(
    desk: Arc<Desk>,
    request: Request<Incoming>,
    is_known: bool,
) -> Result<Response<Reply>, Cut> {
    if !is_known {
        return Ok(response(replies::error(401, "unauthorized"), Reply::whole));
    }
    let path = request.uri().path();
    let told = match (request.method(), path) {
        (&Method::POST, "/charges") => charge(&desk, request).await,
        (&Method::GET, "/ledger") => return Ok(file(desk.ledger())),
        (&Method::GET, "/healthz") => return Ok(Response::new(Reply::whole(Bytes::from("ok\n")))),
        (&Method::GET, path) => match path.strip_prefix("/charges/").and_then(percent_decoded) {
            Some(id) => desk.lookup(&id).await,
            None => Told::Response(replies::error(404, "no_such_path")),
        },
        _ => Told::Response(replies::error(404, "no_such_path")),
    };
    match told {
        Told::Response(answer) => Ok(response(answer, Reply::whole)),
        Told::CutMidway(answer) => Ok(response(answer, Reply::cut)),
        Told::Cut | Told::Silence => Err(Cut),
    }
}

async fn charge(desk: &Arc<Desk>, request: Request<Incoming>) -> Told {
    let key = request.headers().get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let key = key.map(str::to_owned).filter(|key| (1..=255).contains(&key.len()));
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    match (key, body) {
        (Some(key), Ok(body)) => desk.charge(key, body.to_bytes()).await,
        _ => Told::Response(replies::error(400, "invalid_request")),
    }
}

fn response(answer: answer::Response, body: fn(Bytes) -> Reply) -> Response<Reply> {
    let mut response = Response::new(body(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let html = answer.status == 403;
    let kind = if html { "text/html" } else { "application/json" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if answer.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(after) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    response
}

/// The ledger as it stands. What is appended meanwhile may be in it, down to a torn last line.
fn file(path: &Path) -> Response<Reply> {
    let opened = File::open(path);
    let length = opened.as_ref().ok().and_then(|file| file.metadata().ok()).map(|it| it.len());
    match (opened, length) {
        (Ok(file), Some(left)) => Response::new(Reply::File { file, left }),
        _ => response(replies::error(500, "no_ledger"), Reply::whole),
    }
}

/// `None` where it is no UTF-8, or an escape is broken.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// The body of an answer.
enum Reply {
    Whole(Option<Bytes>),
    /// Announces everything, sends half of it, and fails.
    Cut {
        announced: u64,
        half: Option<Bytes>,
        flushed: bool,
    },
    File {
        file: File,
        left: u64,
    },
}

impl Reply {
    fn whole(body: Bytes) -> Self {
        Self::Whole((!body.is_empty()).then_some(body))
    }

    fn cut(body: Bytes) -> Self {
        let half = Some(body.slice(..body.len() / 2));
        Self::Cut { announced: body.len() as u64, half, flushed: false }
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Whole(body) => body.take().map(Ok),
            Self::Cut { half, .. } => {
                Some(half.take().ok_or_else(|| io::Error::other("cut on purpose")))
            }
            Self::File { left: 0, .. } => None,
            Self::File { file, left } => {
                let mut chunk = Vec::with_capacity(64 * 1024);
                let read = file.by_ref().take((*left).min(64 * 1024)).read_to_end(&mut chunk);
                *left -= (chunk.len() as u64).min(*left);
                match read {
                    Ok(0) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                    Ok(_) => Some(Ok(chunk.into())),
                    Err(error) => Some(Err(error)),
                }
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The half has to leave before the connection breaks, so the break waits for one more turn.
        if let Self::Cut { half: None, flushed: flushed @ false, .. } = &mut *self {
            *flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.next().map(|data| data.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Self::Cut { announced, .. } => SizeHint::with_exact(*announced),
            Self::File { left, .. } => SizeHint::with_exact(*left),
        }
    }
}
