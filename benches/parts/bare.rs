//! The bound of the route: the product's own HTTP client, on as many threads as the product has for it, and nothing
//! around it. A process of its own, as the processor is.

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::LocalSet;
use tollbridge::adapters::http_gateway::{HttpGateway, Settings};
use tollbridge::domain::id::TransactionId;
use tollbridge::ports::gateway::{Answer, Charge, Gateway};
use tollbridge::wire::gateway::Profile;
use tollbridge_rig::{Error, Launch, Result};

use super::cost::{Watched, us_of_each};
use super::input;
use super::steady::steady_rate;
use super::stub::Stub;

const ROLE: &str = "bare";
const LIMIT: Duration = Duration::from_secs(200);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// Answers a second between the first and the last twentieth.
    pub rate: f64,
    /// CPU time of the client, microseconds a request.
    pub client_us: f64,
    /// CPU time of the stub, microseconds a request.
    pub stub_us: f64,
}

/// Asks a stub of its own for so many charges.
pub fn run(count: u32, in_flight: u32, delay: super::delay::Delay) -> Result<Bare> {
    let stub = Stub::start(delay)?;
    let watched = Watched(vec![("stub", stub.pid())]);
    let before = watched.spent()?;
    let program = std::env::current_exe().map_err(|e| Error::new(format!("who am I: {e}")))?;
    let arguments =
        [ROLE.to_owned(), stub.port.to_string(), in_flight.to_string(), count.to_string()];
    let said = Launch::new(program).args(arguments).run(LIMIT)?;
    let spent = watched.spent()?.since(&before).of("stub");
    let mut numbers = said.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(rate)), Some(Ok(client_us))) = (numbers.next(), numbers.next()) else {
        return Err(Error::new(format!("the bare loop said {said:?}")));
    };
    let asked = stub.totals()?.requests;
    if asked != u64::from(count) {
        return Err(Error::new(format!("the bare loop asked {asked} times, not {count}")));
    }
    Ok(Bare { rate, client_us, stub_us: us_of_each(spent, count) })
}

/// Where the arguments say so, this process is the loop; it prints its rate and its CPU time a request.
pub fn is_asked_for() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, role, port, in_flight, count] = arguments.as_slice() else { return None };
    if role != ROLE {
        return None;
    }
    let asked = (port.parse(), in_flight.parse(), count.parse());
    let (Ok(port), Ok(in_flight), Ok(count)) = asked else {
        eprintln!("{ROLE} PORT IN_FLIGHT COUNT");
        return Some(ExitCode::FAILURE);
    };
    match ask(port, in_flight, count) {
        Ok((rate, client_us)) => {
            println!("{rate} {client_us}");
            Some(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn ask(port: u16, in_flight: usize, count: u32) -> Result<(f64, f64)> {
    let failed = |e: &dyn std::fmt::Display| Error::new(format!("the bare loop: {e}"));
    let watched = Watched(vec![(ROLE, std::process::id())]);
    let before = watched.spent()?;
    let mut settings =
        Settings::new(&format!("http://127.0.0.1:{port}"), Profile::generic().endpoints);
    settings.max_in_flight = in_flight;
    let gateway = Rc::new(HttpGateway::new(&settings).map_err(|e| failed(&e))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| failed(&e))?;
    let (next, start) = (Rc::new(Cell::new(0_u32)), Instant::now());
    let ended = runtime.block_on(LocalSet::new().run_until(async {
        let lanes = (0..in_flight).map(|_| {
            let (gateway, next) = (Rc::clone(&gateway), Rc::clone(&next));
            tokio::task::spawn_local(lane(gateway, next, count, start))
        });
        let lanes: Vec<_> = lanes.collect();
        let mut ended = Vec::with_capacity(count as usize);
        for lane in lanes {
            ended.extend(lane.await.map_err(|e| failed(&e))??);
        }
        Ok::<_, Error>(ended)
    }))?;
    let spent = watched.spent()?.since(&before).of(ROLE);
    let rate = steady_rate(ended).ok_or_else(|| failed(&"too few requests for a rate"))?;
    Ok((rate, us_of_each(spent, count)))
}

/// One call after another; when each was answered, in microseconds since the start.
async fn lane(
    gateway: Rc<HttpGateway>,
    next: Rc<Cell<u32>>,
    count: u32,
    start: Instant,
) -> Result<Vec<u64>> {
    let mut ended = Vec::new();
    while next.get() < count {
        let number = next.replace(next.get() + 1);
        let id = TransactionId::parse(&input::id(number))
            .map_err(|e| Error::new(format!("an id: {e}")))?;
        let body = Bytes::from(input::charge(number));
        match gateway.charge(&Charge { id, body }).await {
            Answer::Response(response) if response.status == 200 => {
                ended.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            other => return Err(Error::new(format!("the bare loop was answered {other:?}"))),
        }
    }
    Ok(ended)
}
