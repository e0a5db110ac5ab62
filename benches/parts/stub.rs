//! A gateway for measurements, as a process of its own (the bench starts itself anew), so that its CPU time can be told
//! apart. What it does stands in [`super::server`].

use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollbridge_rig::{Error, Launch, Process, Result, free_port, http, wait_until};

use super::delay::Delay;
use super::input;
use super::server::serve;

/// For lists of all that it was asked for, ten million at the most.
const LISTING_LIMIT: Duration = Duration::from_secs(120);

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
    /// Of the first one after the last [`Stub::mark`].
    pub marked_us: u64,
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
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(requests)), Some(Ok(first_us)), Some(Ok(marked_us))) => {
                Ok(Totals { requests, first_us, marked_us })
            }
            _ => Err(Error::new(format!("the stub's totals: {text:?}"))),
        }
    }

    /// The next request is noted.
    pub fn mark(&self) -> Result<()> {
        http::get(self.port, "/mark").map(|_| ())
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
        let (_, text) = http::get_within(self.port, "/arrivals", LISTING_LIMIT)?;
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
        http::get_within(self.port, "/charges", LISTING_LIMIT).map(|(_, text)| text)
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

/// The wall clock, which the bench can compare with its own.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
