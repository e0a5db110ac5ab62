//! A way to a server that keeps what is sent over it, so that a request can be sent once more, byte for byte. Not the
//! rig's proxy, which keeps nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What each connection has sent.
type Sent = Arc<Mutex<Vec<Vec<u8>>>>;

#[derive(Debug)]
pub struct Recorder {
    pub port: u16,
    server: u16,
    sent: Sent,
}

fn lock(sent: &Sent) -> MutexGuard<'_, Vec<Vec<u8>>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Before the server on this port.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Sent::default();
        let kept = Arc::clone(&sent);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let at = {
                    let mut kept = lock(&kept);
                    kept.push(Vec::new());
                    kept.len() - 1
                };
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    pass(client, server, |bytes| lock(&kept)[at].extend_from_slice(bytes));
                });
                std::thread::spawn(move || pass(back, forth, |_| {}));
            }
        });
        Self { port, server, sent }
    }

    /// The first request that has this in its first line, as it was sent.
    pub fn request(&self, needle: &str) -> Vec<u8> {
        const BEGIN: &[u8] = b"POST /";
        let sent = lock(&self.sent);
        let requests = sent.iter().flat_map(|connection| {
            let begins = |at: &usize| connection[*at..].starts_with(BEGIN);
            let starts: Vec<usize> = (0..connection.len()).filter(begins).collect();
            let ends = starts.iter().skip(1).copied().chain([connection.len()]);
            let each: Vec<_> = starts.iter().copied().zip(ends).collect();
            each.into_iter().map(|(start, end)| &connection[start..end])
        });
        let is_it = |request: &&[u8]| {
            let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
            String::from_utf8_lossy(line).contains(needle)
        };
        requests.into_iter().find(is_it).unwrap().to_vec()
    }

    /// Sends a request to the server over a connection of its own, and waits for a good answer.
    pub fn send(&self, request: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8])) {
    let mut bytes = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        note(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other side may have ended first.
    to.shutdown(Shutdown::Both).ok();
}
