//! A gateway for measurements: HTTP/1.1 by hand, one thread over epoll, one request at a time on a connection, an
//! optional delay by a wheel of one-millisecond slots. It speaks charge and lookup of the generic profile.
//!
//! It runs as a process of its own (the bench starts itself anew), so that its CPU time can be told apart.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use tollbridge_rig::{Error, Launch, Process, Result, free_port, http, wait_until};

use super::book::{Book, Read as Got, answer, read};
use super::delay::{Delay, Dice, LONGEST_MS};
use super::input;

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

/// A stub that runs; it ends with its handle.
#[derive(Debug)]
pub struct Stub {
    process: Process,
    pub port: u16,
}

/// What the stub counted.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    pub requests: u64,
    /// Of the first request; microseconds since 1970, 0 before it.
    pub first_us: u64,
}

impl Stub {
    /// Starts this very program as a stub.
    pub fn start(delay: Delay) -> Result<Self> {
        let program = std::env::current_exe().map_err(|e| Error::new(format!("who am I: {e}")))?;
        let port = free_port();
        let arguments = ["stub".to_owned(), port.to_string(), delay.to_string()];
        let process = Launch::new(program).args(arguments).start()?;
        let stub = Self { process, port };
        wait_until("the stub", Duration::from_secs(5), || stub.totals().is_ok())?;
        Ok(stub)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn totals(&self) -> Result<Totals> {
        let (_, text) = http::get(self.port, "/totals")?;
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(requests)), Some(Ok(first_us))) => Ok(Totals { requests, first_us }),
            _ => Err(Error::new(format!("the stub's totals: {text:?}"))),
        }
    }

    /// From now on every request is refused with 503, or answered again.
    pub fn set_away(&self, away: bool) -> Result<()> {
        http::get(self.port, if away { "/away" } else { "/back" }).map(|_| ())
    }

    /// From now on these are still running whenever they are asked for.
    pub fn set_stuck(&self, numbers: &Range<u32>) -> Result<()> {
        let path = format!("/stuck/{}/{}", numbers.start, numbers.end);
        http::get(self.port, &path).map(|_| ())
    }

    /// Of each transaction that was charged, its number and when it was first asked for.
    pub fn arrivals(&self) -> Result<Vec<(u32, u64)>> {
        let (_, text) = http::get(self.port, "/arrivals")?;
        let read = |line: &str| {
            let (id, first_us) = line.split_once(' ')?;
            Some((input::number(id)?, first_us.parse().ok()?))
        };
        Ok(text.lines().filter_map(read).collect())
    }

    /// Requests in each second since the stub began.
    pub fn seconds(&self) -> Result<Vec<u32>> {
        let (_, text) = http::get(self.port, "/seconds")?;
        Ok(text.split_whitespace().filter_map(|count| count.parse().ok()).collect())
    }

    /// Ids with how often each was charged.
    pub fn charges(&self) -> Result<String> {
        http::get(self.port, "/charges").map(|(_, text)| text)
    }
}

/// Where the arguments say so, this process is the stub; it then never comes back.
pub fn is_asked_for() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, word, port, delay] = arguments.as_slice() else { return None };
    if word != "stub" {
        return None;
    }
    let served = match (port.parse(), delay.parse()) {
        (Ok(port), Ok(delay)) => serve(port, delay),
        _ => Err(std::io::Error::other("stub PORT DELAY")),
    };
    match served {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("stub: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

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

fn serve(port: u16, delay: Delay) -> std::io::Result<()> {
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
        if self.first_us == 0 {
            self.first_us = now_us();
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
            b"/totals" => format!("{} {}", self.book.requests, self.first_us).into_bytes(),
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

/// The wall clock, which the bench can compare with its own.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
