//! One connection, and one exchange on it at a time. The caller's own task drives the socket, so that nothing runs
//! on behind a call that is over: who drops the exchange closes the connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The longest head of a response, in bytes and in headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

type Driver = Pin<Box<Connection<TokioIo<Wire>, Full<Bytes>>>>;

pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended: it must not be polled again.
    connection: Option<Driver>,
    touched: Arc<AtomicBool>,
}

/// A response with its whole body.
pub(super) struct Whole {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) async fn over(socket: Socket) -> Result<Self, String> {
        let touched = Arc::new(AtomicBool::new(false));
        let wire = TokioIo::new(Wire { socket, touched: Arc::clone(&touched) });
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            // Requests are small: one buffer costs the kernel less than a list of two.
            .writev(false)
            .handshake(wire)
            .await
            .map_err(|error| reason(&error))?;
        Ok(Self { sender, connection: Some(Box::pin(connection)), touched })
    }

    /// Set as soon as a byte of the present request may have left.
    pub(super) fn touched(&self) -> &Arc<AtomicBool> {
        &self.touched
    }

    /// Takes another request, as far as was seen when it was last looked at.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Looks whether the other end has closed or has spoken unasked, without waiting.
    pub(super) async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.is_ready())
        })
        .await
    }

    /// Sends the request and reads the whole answer. The line comes back, open or not. The request is made only
    /// when it is handed over, so that no waiting future has to hold it.
    pub(super) async fn exchange(
        mut self,
        request: impl FnOnce() -> Request<Full<Bytes>>,
        body_max: usize,
    ) -> Result<(Whole, Self), String> {
        self.touched.store(false, Ordering::Relaxed);
        let response = self.head(request).await?;
        let (parts, body) = response.into_parts();
        let body = self.body(body, body_max).await?;
        let whole = Whole { status: parts.status, headers: parts.headers, body };
        Ok((whole, self))
    }

    async fn head(
        &mut self,
        request: impl FnOnce() -> Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let mut response = pin!(self.sender.send_request(request()));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            drive(connection, cx);
            match response.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(|error| reason(&error))),
                Poll::Pending if connection.is_none() => Poll::Ready(Err(CLOSED.to_owned())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn body(&mut self, mut body: Incoming, max: usize) -> Result<Bytes, String> {
        let over = || format!("a body of more than {max} bytes");
        if body.size_hint().lower() > max as u64 {
            return Err(over());
        }
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while let Some(frame) = self.frame(&mut body).await {
            let Ok(data) = frame.map_err(|error| reason(&error))?.into_data() else { continue };
            if first.len() + more.len() + data.len() > max {
                return Err(over());
            }
            // Nearly every answer is one piece, and is kept as it came.
            if first.is_empty() {
                first = data;
            } else {
                more.extend_from_slice(&data);
            }
        }
        if more.is_empty() {
            return Ok(first);
        }
        Ok([&first[..], &more[..]].concat().into())
    }

    async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
        poll_fn(|cx| {
            let frame = Pin::new(&mut *body).poll_frame(cx);
            if frame.is_ready() {
                return frame;
            }
            self.drive(cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }
}

const CLOSED: &str = "the connection was closed";

fn drive(connection: &mut Option<Driver>, cx: &mut Context<'_>) {
    let ended = connection.as_mut().is_some_and(|open| open.as_mut().poll(cx).is_ready());
    if ended {
        *connection = None;
    }
}

/// An error with its causes, which hyper leaves out of its texts.
fn reason(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The socket, plain or TLS.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A socket that notes whether anything may have been written.
struct Wire {
    socket: Socket,
    touched: Arc<AtomicBool>,
}

impl Wire {
    /// A failed write to a plain socket took nothing. TLS may fail after its record has left.
    fn note(&self, written: &Poll<io::Result<usize>>) {
        let maybe = match written {
            Poll::Ready(Ok(bytes)) => *bytes > 0,
            Poll::Ready(Err(_)) => matches!(self.socket, Socket::Tls(_)),
            Poll::Pending => false,
        };
        if maybe {
            self.touched.store(true, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Socket::Tls(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Socket::Tls(socket) => Pin::new(socket).poll_write(cx, buf),
        };
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Socket::Tls(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
        };
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
