//! The stub's side of the wire: HTTP/1.1 by hand, one thread over epoll, one request at a time on a connection, delays
//! by a wheel of one-millisecond slots. It speaks charge and lookup of the generic profile.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

use super::book::{Book, Read as Got, answer, read};
use super::delay::{Delay, Dice, LONGEST_MS};
use super::input;
use super::stub::now_us;

/// What it says of those that are still running.
const RUNNING: &[u8] = b"{\"error\":{\"code\":\"in_progress\"}}";
/// Before the first of them and the one behind the last.
const STUCK: &[u8] = b"/stuck/";
/// What it says while it is away.
const AWAY: &[u8] = b"{\"error\":{\"code\":\"unavailable\"}}";
/// The listener's token; connections are counted from 0.
const LISTENER: u64 = u64::MAX;
const EVENTS_MAX: usize = 256;
/// Of one charge; what follows is its id.
const CHARGE: &[u8] = b"/charges/";
/// Slots of the wheel; with room for what is a little late.
const SLOTS: usize = LONGEST_MS + 96;

struct Connection {
    stream: TcpStream,
    /// Tells it from others that had its token.
    number: u64,
    got: Vec<u8>,
}

/// A response that waits for its time.
struct Late {
    token: usize,
    number: u64,
    response: Vec<u8>,
}

struct Server {
    poll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    welcomed: u64,
    book: Book,
    first_us: u64,
    marked_us: u64,
    /// Requests by the second in which they came.
    seconds: Vec<u32>,
    is_away: bool,
    /// Transactions that are still running, whenever they are asked for.
    stuck: Range<u32>,
    start: Instant,
    dice: Dice,
    /// Responses by the millisecond in which they are due.
    wheel: Vec<Vec<Late>>,
    /// The next millisecond to be looked at.
    turned: usize,
    waiting: usize,
    out: Vec<u8>,
}

/// Never comes back.
pub fn serve(port: u16, delay: Delay) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut server = Server {
        poll,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
        welcomed: 0,
        book: Book::default(),
        first_us: 0,
        marked_us: 0,
        seconds: Vec::new(),
        is_away: false,
        stuck: 0..0,
        start: Instant::now(),
        dice: Dice::new(delay),
        wheel: (0..SLOTS).map(|_| Vec::new()).collect(),
        turned: 0,
        waiting: 0,
        out: Vec::with_capacity(1024),
    };
    let tick = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        let wait = (server.waiting > 0).then_some(&tick);
        events.clear();
        match epoll::wait(&server.poll, rustix::buffer::spare_capacity(&mut events), wait) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept()?,
                token => server.hear(usize::try_from(token).unwrap_or(usize::MAX)),
            }
        }
        server.turn();
    }
}

impl Server {
    fn accept(&mut self) -> std::io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let token = self.free.pop().unwrap_or(self.connections.len());
        epoll::add(&self.poll, &stream, EventData::new_u64(token as u64), EventFlags::IN)?;
        self.welcomed += 1;
        let got = Vec::with_capacity(1024);
        let connection = Connection { stream, number: self.welcomed, got };
        if token == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[token] = Some(connection);
        Ok(())
    }

    /// Takes in what has come, and answers, now or later.
    fn hear(&mut self, token: usize) {
        let Some(Some(connection)) = self.connections.get_mut(token) else { return };
        let mut piece = [0; 4096];
        match connection.stream.read(&mut piece) {
            Ok(0) => return self.hang_up(token),
            Ok(count) => connection.got.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.hang_up(token),
        }
        let got = std::mem::take(&mut connection.got);
        let mut out = std::mem::take(&mut self.out);
        match read(&got) {
            Got::Whole(request) if request.is_post => {
                self.count();
                if self.is_away {
                    answer(&mut out, "503 Service Unavailable", false, AWAY);
                } else if self.is_stuck(request.key) {
                    answer(&mut out, "409 Conflict", false, RUNNING);
                } else {
                    self.book.charge(&request, now_us(), &mut out);
                }
                self.reply(token, &out);
                self.keep(token, got, true);
            }
            Got::Whole(request) => match request.path.strip_prefix(CHARGE) {
                Some(id) => {
                    self.book.look_up(id, &mut out);
                    self.reply(token, &out);
                    self.keep(token, got, true);
                }
                None => self.tell(token, request.path),
            },
            Got::More => self.keep(token, got, false),
            Got::Nonsense => self.hang_up(token),
        }
        out.clear();
        self.out = out;
    }

    fn is_stuck(&self, key: &[u8]) -> bool {
        !self.stuck.is_empty()
            && std::str::from_utf8(key)
                .ok()
                .and_then(input::number)
                .is_some_and(|number| self.stuck.contains(&number))
    }

    fn count(&mut self) {
        for noted in [&mut self.first_us, &mut self.marked_us] {
            if *noted == 0 {
                *noted = now_us();
            }
        }
        let second = self.elapsed_ms() / 1_000;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        self.seconds[second] += 1;
    }

    fn keep(&mut self, token: usize, mut got: Vec<u8>, done: bool) {
        if done {
            got.clear();
        }
        if let Some(Some(connection)) = self.connections.get_mut(token) {
            connection.got = got;
        }
    }

    fn reply(&mut self, token: usize, out: &[u8]) {
        let delay_ms = self.dice.draw();
        if delay_ms == 0 {
            return self.send(token, out);
        }
        // Never early: a millisecond that has begun counts as a whole one.
        let due = self.elapsed_ms() + 1 + delay_ms;
        let Some(number) = self.number(token) else { return };
        self.wheel[due % SLOTS].push(Late { token, number, response: out.to_owned() });
        self.waiting += 1;
    }

    fn send(&mut self, token: usize, bytes: &[u8]) {
        let Some(Some(connection)) = self.connections.get_mut(token) else { return };
        // An answer is far smaller than a socket's buffer.
        if connection.stream.write_all(bytes).is_err() {
            self.hang_up(token);
        }
    }

    /// Sends what is due.
    fn turn(&mut self) {
        let now = self.elapsed_ms();
        while self.waiting > 0 && self.turned <= now {
            let slot = self.turned % SLOTS;
            let mut due = std::mem::take(&mut self.wheel[slot]);
            for late in due.drain(..) {
                self.waiting -= 1;
                if self.number(late.token) == Some(late.number) {
                    self.send(late.token, &late.response);
                }
            }
            self.wheel[slot] = due;
            self.turned += 1;
        }
        self.turned = self.turned.max(now);
    }

    /// Answers the bench itself, and hangs up.
    fn tell(&mut self, token: usize, path: &[u8]) {
        let body = match path {
            b"/arrivals" => self.book.arrivals(),
            _ if path.starts_with(STUCK) => {
                let text = String::from_utf8_lossy(&path[STUCK.len()..]);
                let mut numbers = text.split('/').filter_map(|number| number.parse().ok());
                self.stuck = numbers.next().unwrap_or(0)..numbers.next().unwrap_or(0);
                Vec::new()
            }
            b"/totals" => {
                format!("{} {} {}", self.book.requests, self.first_us, self.marked_us).into_bytes()
            }
            b"/mark" => {
                self.marked_us = 0;
                Vec::new()
            }
            b"/away" | b"/back" => {
                self.is_away = path == b"/away";
                Vec::new()
            }
            b"/seconds" => {
                let now = self.elapsed_ms() / 1_000 + 1;
                let counts = self.seconds.iter().copied().chain(std::iter::repeat(0)).take(now);
                counts.map(|count| format!("{count} ")).collect::<String>().into_bytes()
            }
            _ => self.book.listing(),
        };
        let mut out = Vec::with_capacity(body.len() + 256);
        answer(&mut out, "200 OK", false, &body);
        if let Some(Some(connection)) = self.connections.get_mut(token)
            && connection.stream.set_nonblocking(false).is_ok()
            && let Err(error) = connection.stream.write_all(&out)
        {
            eprintln!("stub: {error}");
        }
        self.hang_up(token);
    }

    fn hang_up(&mut self, token: usize) {
        if self.connections.get_mut(token).and_then(Option::take).is_some() {
            self.free.push(token);
        }
    }

    fn number(&self, token: usize) -> Option<u64> {
        Some(self.connections.get(token)?.as_ref()?.number)
    }

    fn elapsed_ms(&self) -> usize {
        usize::try_from(self.start.elapsed().as_millis()).unwrap_or(usize::MAX)
    }
}
