//! A TCP proxy on a loopback port that passes bytes on, holds them back in one direction, delays them,
//! swallows them, or cuts connections. It deliberately understands no protocol: a test decides by the
//! moment, not by the message.

use crate::error::{Doing, Result};
use crate::ports::free_port;
use crate::wait::{lock, wait_until};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// One side of every connection holds back at most this much; the sender's own buffers hold the rest.
const CHUNK_BYTES: usize = 64 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REBIND_AFTER: Duration = Duration::from_millis(20);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the service: requests.
    ToService,
    /// From the service to clients: replies.
    ToClient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gate {
    #[default]
    Open,
    Held,
    Swallows,
}

#[derive(Debug, Default, Clone, Copy)]
struct Lane {
    gate: Gate,
    delay: Duration,
    held_bytes: u64,
    passed_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    lanes: [Lane; 2],
    refuses: bool,
    /// Nobody listens on the port.
    is_gone: bool,
    ended: bool,
    next_connection: u64,
    /// Connections below this number are held in this direction, later ones are not.
    stranded: Option<(Direction, u64)>,
    /// Both ends of each living connection.
    connections: Vec<(u64, TcpStream, TcpStream)>,
}

impl State {
    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToService => &mut self.lanes[0],
            Direction::ToClient => &mut self.lanes[1],
        }
    }

    fn sever(&mut self) {
        for (_, client, service) in self.connections.drain(..) {
            drop(client.shutdown(Shutdown::Both));
            drop(service.shutdown(Shutdown::Both));
        }
    }

    fn is_stranded(&self, direction: Direction, connection: u64) -> bool {
        self.stranded.is_some_and(|(of, below)| of == direction && connection <= below)
    }

    fn is_alive(&self, connection: u64) -> bool {
        self.connections.iter().any(|(number, _, _)| *number == connection)
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy. Dropping it cuts what goes through it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy in front of this address, on a port of its own. The service need not run yet.
    ///
    /// # Errors
    /// When the address cannot be understood or the port not be opened.
    pub fn start(target: impl ToSocketAddrs) -> Result<Self> {
        let mut addresses = target.to_socket_addrs().doing(|| "understand the address".into())?;
        let target = addresses.next().ok_or("no address").doing(|| "start a proxy".into())?;
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port));
        let listener = listener.doing(|| format!("listen on port {port}"))?;
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || serve(listener, target, &ours));
        Ok(Self { port, shared })
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` that clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Back to normal: nothing held, delayed, swallowed or refused. What was held goes on its way;
    /// connections that lost bytes are cut, since nobody could make sense of what follows.
    pub fn pass(&self) {
        self.change(|state| {
            if state.lanes.iter().any(|lane| lane.gate == Gate::Swallows) {
                state.sever();
            }
            state.refuses = false;
            state.is_gone = false;
            state.stranded = None;
            for lane in &mut state.lanes {
                (lane.gate, lane.delay) = (Gate::Open, Duration::ZERO);
            }
        });
    }

    /// Holds bytes of this direction back, in their order, until [`Proxy::release`].
    pub fn hold(&self, direction: Direction) {
        self.change(|state| state.lane(direction).gate = Gate::Held);
    }

    /// Holds this direction of the connections that live now, until [`Proxy::pass`]; those that come pass. So what a
    /// client has given up on arrives after what it did next.
    pub fn strand(&self, direction: Direction) {
        self.change(|state| state.stranded = Some((direction, state.next_connection)));
    }

    /// Lets what was held, and all that follows, go on.
    pub fn release(&self, direction: Direction) {
        self.change(|state| state.lane(direction).gate = Gate::Open);
    }

    /// Delays each chunk of this direction. The chunks of one connection wait one after another.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|state| state.lane(direction).delay = delay);
    }

    /// Swallows all bytes of both directions; connections stay open. [`Proxy::pass`] ends it.
    pub fn black_hole(&self) {
        self.change(|state| state.lanes.iter_mut().for_each(|lane| lane.gate = Gate::Swallows));
    }

    /// Cuts every connection and closes new ones at once, until [`Proxy::pass`].
    pub fn cut(&self) {
        self.change(|state| {
            state.refuses = true;
            state.sever();
        });
    }

    /// Cuts every connection and closes the port, until [`Proxy::pass`]: new ones are refused, as by a host on which
    /// nothing runs.
    pub fn vanish(&self) {
        self.change(|state| {
            state.is_gone = true;
            state.sever();
        });
        self.wake();
    }

    /// Cuts every connection; new ones are served.
    pub fn sever(&self) {
        self.change(State::sever);
    }

    /// Living connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.state).connections.len()
    }

    /// Bytes that went through in this direction.
    #[must_use]
    pub fn passed_bytes(&self, direction: Direction) -> u64 {
        lock(&self.shared.state).lane(direction).passed_bytes
    }

    /// Bytes that are held back in this direction now.
    #[must_use]
    pub fn held_bytes(&self, direction: Direction) -> u64 {
        lock(&self.shared.state).lane(direction).held_bytes
    }

    /// Waits until something is held back in this direction: the moment to strike.
    ///
    /// # Errors
    /// When nothing has come within `limit`.
    pub fn wait_held(&self, direction: Direction, limit: Duration) -> Result<()> {
        wait_until("bytes to hold back", limit, || self.held_bytes(direction) > 0)
    }

    /// The accepting thread looks around.
    fn wake(&self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.shared.state));
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| {
            state.ended = true;
            state.sever();
        });
        // Then it closes the port.
        self.wake();
    }
}

/// Listens, but for the times in which nobody shall.
fn serve(first: TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    let Ok(address) = first.local_addr() else { return };
    let mut listener = Some(first);
    loop {
        if let Some(listener) = listener.take() {
            accept(&listener, target, shared);
        }
        let mut state = lock(&shared.state);
        while state.is_gone && !state.ended {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended {
            return;
        }
        drop(state);
        listener = TcpListener::bind(address).ok();
        if listener.is_none() {
            std::thread::sleep(REBIND_AFTER);
        }
    }
}

/// Until the end, or until the port shall be closed.
fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let refuses = {
            let state = lock(&shared.state);
            if state.ended || state.is_gone {
                return;
            }
            state.refuses
        };
        let Ok(client) = client else { continue };
        if !refuses {
            let shared = Arc::clone(shared);
            // On a thread of its own: a slow connect must not hold up other clients.
            std::thread::spawn(move || drop(connect(client, target, &shared)));
        }
    }
}

fn connect(client: TcpStream, target: SocketAddr, shared: &Arc<Shared>) -> std::io::Result<()> {
    let service = TcpStream::connect_timeout(&target, CONNECT_LIMIT)?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    let ends = (client.try_clone()?, service.try_clone()?);
    let number = {
        let mut state = lock(&shared.state);
        if state.refuses || state.is_gone || state.ended {
            return Ok(());
        }
        state.next_connection += 1;
        let number = state.next_connection;
        state.connections.push((number, client.try_clone()?, service.try_clone()?));
        number
    };
    let ours = Arc::clone(shared);
    std::thread::spawn(move || pump(number, Direction::ToService, (client, service), &ours));
    pump(number, Direction::ToClient, (ends.1, ends.0), shared);
    Ok(())
}

/// Moves bytes one way until one side closes or the connection is cut.
fn pump(
    connection: u64,
    direction: Direction,
    (mut from, mut to): (TcpStream, TcpStream),
    shared: &Shared,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).unwrap_or(0);
        let Some(gate) = pass_gate(connection, direction, length, shared) else { return };
        if length == 0 {
            break;
        }
        if gate == Gate::Swallows {
            continue;
        }
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    // The end of one direction is passed on; the other may still have something to say.
    drop(to.shutdown(Shutdown::Write));
    if direction == Direction::ToClient {
        let mut state = lock(&shared.state);
        state.connections.retain(|(number, _, _)| *number != connection);
        drop(to.shutdown(Shutdown::Both));
        drop(from.shutdown(Shutdown::Both));
    }
}

/// Waits while the direction is held (the end of a stream is held too), then for its delay. Gives how
/// the chunk goes on, or nothing when the connection was cut meanwhile.
fn pass_gate(
    connection: u64,
    direction: Direction,
    length: usize,
    shared: &Shared,
) -> Option<Gate> {
    let length = u64::try_from(length).unwrap_or(0);
    let mut state = lock(&shared.state);
    let delay = state.lane(direction).delay;
    if !delay.is_zero() {
        drop(state);
        std::thread::sleep(delay);
        state = lock(&shared.state);
    }
    state.lane(direction).held_bytes += length;
    while (state.lane(direction).gate == Gate::Held || state.is_stranded(direction, connection))
        && state.is_alive(connection)
    {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.lane(direction).held_bytes -= length;
    let gate = state.lane(direction).gate;
    let alive = state.is_alive(connection);
    if alive && gate == Gate::Open {
        // Counted before it is written, so that whoever has received a byte also finds it counted.
        state.lane(direction).passed_bytes += length;
    }
    alive.then_some(gate)
}
