//! Is everything there that the configuration names, and is it set up so that the promise can hold? Asks each part
//! once, in bounded time; changes nothing, joins no group, charges nothing.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use super::settings;
use super::store::AnyStore;
use crate::adapters::kafka::{self, Admin};
use crate::adapters::redis::{Misfit, RedisQueue};
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::domain::hex::hex;
use crate::domain::time::Wall;
use crate::ports::queue::{Queue, QueueError, QueueHealth};
use crate::ports::store::{Store, StoreError};
use crate::ports::time::Clock;

mod registry;
mod topics;

pub(super) use topics::Brokers;

/// What came of looking at one part. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub part: String,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is as it should be; what was seen.
    Fine(String),
    /// It works, and someone should know: the remark and what could be done.
    Remark(String, String),
    /// It does not answer, or is not set up as it has to be: why, and the remedy.
    Wrong(String, String),
    /// A key is to blame: why, and the remedy.
    BadKey(String, String),
}

impl Finding {
    fn new(part: impl Into<String>, state: State) -> Self {
        Self { part: part.into(), state }
    }

    fn fine(part: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(part, State::Fine(seen.into()))
    }

    fn remark(part: impl Into<String>, remark: impl Into<String>, remedy: &str) -> Self {
        Self::new(part, State::Remark(remark.into(), remedy.to_owned()))
    }

    fn wrong(part: impl Into<String>, why: impl fmt::Display, remedy: &str) -> Self {
        Self::new(part, State::Wrong(why.to_string(), remedy.to_owned()))
    }

    fn bad_key(part: impl Into<String>, why: impl fmt::Display, remedy: &str) -> Self {
        Self::new(part, State::BadKey(why.to_string(), remedy.to_owned()))
    }
}

impl Finding {
    /// `redis: what was seen`, `redis: why. What to do.`
    #[must_use]
    pub fn told(&self) -> String {
        let (text, remedy) = match &self.state {
            State::Fine(seen) => return format!("{}: {seen}", self.part),
            State::Remark(why, remedy) | State::Wrong(why, remedy) | State::BadKey(why, remedy) => {
                (why, remedy)
            }
        };
        format!("{}: {}. {remedy}", self.part, text.trim_end_matches('.'))
    }
}

impl fmt::Display for Finding {
    /// `ok    redis: what was seen`, `wrong redis: why. What to do.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.state {
            State::Fine(_) => "ok   ",
            State::Remark(..) => "note ",
            State::Wrong(..) | State::BadKey(..) => "wrong",
        };
        write!(f, "{word} {}", self.told())
    }
}

/// The longest look at one part.
const PART_MAX: Duration = Duration::from_secs(15);

/// Looks at every part; calls `each` with what it finds, as it finds it.
pub async fn connections(config: &Config, mut each: impl FnMut(Finding)) {
    look_at_brokers(config).told(&mut each).await;
    within("redis", redis(config)).await.into_iter().for_each(&mut each);
    within("store", store(config)).await.into_iter().for_each(&mut each);
    within("schema registry", registry::look(config)).await.into_iter().for_each(&mut each);
    each(gateway(config).await);
    plaintext(config).into_iter().for_each(each);
}

/// Tokens and money over an open wire, to another host.
fn plaintext(config: &Config) -> Option<Finding> {
    let url = &config.gateway.url;
    let (host, _) = address(url.scheme(), url.authority())?;
    let is_here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (url.scheme() == "http" && !is_here).then(|| {
        let remark = "payment methods and keys go over the network unencrypted";
        Finding::remark(
            format!("gateway {url}"),
            remark,
            "Use https:// where the network is not yours alone.",
        )
    })
}

/// Looks at what a processor needs to begin: Redis, the store, the brokers and topics. The gateway is not among them:
/// where it is down, transactions wait in Kafka.
pub(super) async fn before_running(
    config: &Config,
    queue: &RedisQueue,
    store: &AnyStore,
    mut each: impl FnMut(Finding),
) -> Option<Brokers> {
    // They take longest.
    let brokers = look_at_brokers(config);
    within("redis", async { vec![of_queue(config, queue).await] })
        .await
        .into_iter()
        .chain(within("store", of_store(config, store)).await)
        .chain(within("schema registry", registry::look(config)).await)
        .for_each(&mut each);
    brokers.told(&mut each).await
}

/// A look at the brokers that is under way.
struct Looking {
    found: UnboundedReceiver<Finding>,
    brokers: oneshot::Receiver<Option<Brokers>>,
    /// The longest that one answer is waited for.
    longest: Duration,
}

/// What asks the brokers blocks, until a moment of the wall clock: where that is set back meanwhile, for as long. So it
/// does on a thread of its own, which nobody waits for longer than an answer may take.
fn look_at_brokers(config: &Config) -> Looking {
    let (sender, found) = unbounded_channel();
    let (tell, brokers) = oneshot::channel();
    let (handle, of_thread, failed) = (Handle::current(), config.clone(), sender.clone());
    let looking = std::thread::Builder::new().name("kafka-looks".into()).spawn(move || {
        let mut each = |finding| drop(sender.send(finding));
        let brokers = handle.block_on(topics::look(&of_thread, &mut each));
        // Nobody listens any more where this took too long.
        drop(tell.send(brokers));
    });
    if let Err(error) = looking {
        drop(failed.send(Finding::wrong("kafka", error, "May this process start threads?")));
    }
    Looking { found, brokers, longest: config.kafka.request_timeout * 2 + PART_MAX }
}

impl Looking {
    /// `None` where something was not there: it was told.
    async fn told(mut self, each: &mut impl FnMut(Finding)) -> Option<Brokers> {
        loop {
            match tokio::time::timeout(self.longest, self.found.recv()).await {
                Ok(Some(finding)) => each(finding),
                Ok(None) => return self.brokers.await.ok().flatten(),
                Err(_) => {
                    let why = format!("no answer within {} s", self.longest.as_secs());
                    let remedy = "Was a clock set back? Start it again.";
                    each(Finding::wrong("kafka", why, remedy));
                    return None;
                }
            }
        }
    }
}

async fn within(part: &str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(PART_MAX, look).await.unwrap_or_else(|_| {
        let why = format!("no answer within {} s", PART_MAX.as_secs());
        vec![Finding::wrong(part, why, "Is it overloaded, or is a firewall between?")]
    })
}

async fn redis(config: &Config) -> Vec<Finding> {
    let part = format!("redis {}", config.redis.url);
    let queue = match RedisQueue::new(&settings::redis(config)) {
        Ok(queue) => queue,
        Err(error) => {
            return vec![Finding::bad_key(part, error, "Correct redis.url or redis.ca_file.")];
        }
    };
    vec![of_queue(config, &queue).await]
}

async fn of_queue(config: &Config, queue: &RedisQueue) -> Finding {
    let part = format!("redis {}", config.redis.url);
    match look_at_queue(config, &part, queue).await {
        Ok(finding) => finding,
        Err(error @ QueueError::Permanent(_)) => {
            Finding::wrong(part, error, "Check user, password and permissions.")
        }
        Err(error) => Finding::wrong(part, error, "Start it, or correct redis.url."),
    }
}

/// What kind of server it is comes first: what others tell of themselves is something else. Only a new one can tell
/// what its user may do.
async fn look_at_queue(
    config: &Config,
    part: &str,
    queue: &RedisQueue,
) -> Result<Finding, QueueError> {
    let misfit = |misfit: Misfit| match misfit.is_of_a_key() {
        true => Finding::bad_key(part, misfit.why(), misfit.remedy()),
        false => Finding::wrong(part, misfit.why(), misfit.remedy()),
    };
    if let Some(found) = queue.misfit().await? {
        return Ok(misfit(found));
    }
    let asked_at = SystemClock.now().wall;
    let finding = of_redis(config, part.to_owned(), asked_at, &queue.health().await?);
    if !matches!(finding.state, State::Fine(_)) {
        return Ok(finding);
    }
    Ok(queue.rights().await?.map_or(finding, misfit))
}

fn of_redis(config: &Config, part: String, asked_at: Wall, health: &QueueHealth) -> Finding {
    let QueueHealth { version, eviction_policy, .. } = health;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 7) {
        let why = format!("it has version {version}, and at least 7.0 is needed");
        return Finding::wrong(part, why, "Upgrade it.");
    }
    if eviction_policy != "noeviction" {
        let why = format!("maxmemory-policy is {eviction_policy}: it would throw entries away");
        return Finding::wrong(part, why, "On the server, set it to noeviction.");
    }
    clock(config, &part, asked_at, health.now)
        .unwrap_or_else(|| Finding::fine(part, format!("version {version}, noeviction")))
}

/// What is wrong with a part's clock: off from ours by more than a quarter of the key's margin, no partition would
/// be taken over.
fn clock(config: &Config, part: &str, asked_at: Wall, theirs: Wall) -> Option<Finding> {
    let life = config.gateway.key_life();
    let off = apart(asked_at, SystemClock.now().wall, theirs);
    let most = life.apart_max();
    (off > most).then(|| {
        let why = format!(
            "its clock and ours are {} s apart, at most {} s are bearable",
            off.as_secs(),
            most.as_secs()
        );
        Finding::wrong(part, why, "Synchronise the clocks (NTP).")
    })
}

/// How far a clock is off at least, that was read at some moment while its answer was waited for: a slow answer is
/// no wrong clock.
fn apart(asked_at: Wall, answered_at: Wall, theirs: Wall) -> Duration {
    let early = asked_at.0.saturating_sub(theirs.0);
    let late = theirs.0.saturating_sub(answered_at.0);
    Duration::from_micros(early.max(late).max(0).unsigned_abs())
}

async fn store(config: &Config) -> Vec<Finding> {
    let part = format!("store {}", config.store.url);
    let store = match AnyStore::of(&config.store) {
        Ok(store) => store,
        Err(error) => return vec![Finding::bad_key(part, error, "Correct store.url.")],
    };
    let found = of_store(config, &store).await;
    store.close().await;
    found
}

async fn of_store(config: &Config, store: &AnyStore) -> Vec<Finding> {
    let part = format!("store {}", config.store.url);
    look_at_store(config, &part, store).await.unwrap_or_else(|error| {
        let remedy = match error {
            StoreError::Permanent(_) | StoreError::Poison(_) => {
                "What it needs stands in docs/operating.md."
            }
            StoreError::Transient(_) | StoreError::Unknown(_) => "Start it, or correct store.url.",
        };
        vec![Finding::wrong(part, error, remedy)]
    })
}

async fn look_at_store(
    config: &Config,
    part: &str,
    store: &AnyStore,
) -> Result<Vec<Finding>, StoreError> {
    let asked_at = SystemClock.now().wall;
    let health = store.check().await?;
    let identity = store.identity().await?;
    let id = hex(&identity.id.0);
    let seen =
        format!("{}, tables of version {}, store {id}", health.product, identity.schema_version);
    let first =
        clock(config, part, asked_at, health.now).unwrap_or_else(|| Finding::fine(part, seen));
    let lossy = health.lossy.into_iter().map(|setting| {
        let remark = format!("{setting}: it may lose rows that it acknowledged");
        Finding::remark(
            part,
            remark,
            "Set store.allow_lossy = false and the database to keep them.",
        )
    });
    Ok(std::iter::once(first).chain(lossy).collect())
}

/// Connects and says nothing: a request could be a charge.
async fn gateway(config: &Config) -> Finding {
    let url = &config.gateway.url;
    let part = format!("gateway {url}");
    let Some(address) = address(url.scheme(), url.authority()) else {
        return Finding::bad_key(part, "its address can't be read", "Correct gateway.url.");
    };
    let connecting = tokio::net::TcpStream::connect(address);
    match tokio::time::timeout(config.gateway.connect_timeout, connecting).await {
        Ok(Ok(_)) => Finding::fine(part, "accepts connections"),
        Ok(Err(error)) => Finding::wrong(part, error, "Start it, or correct gateway.url."),
        Err(_) => Finding::wrong(
            part,
            format!("no connection within {:?}", config.gateway.connect_timeout),
            "Is a firewall between? Or raise gateway.connect_timeout.",
        ),
    }
}

/// Host and port of an authority; the port is the scheme's where none is given.
fn address<'a>(scheme: &str, authority: &'a str) -> Option<(&'a str, u16)> {
    let usual = if scheme == "http" { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host, port))
}

/// Whether a property reaches librdkafka as it was given.
fn properties(settings: &kafka::Settings) -> Vec<Finding> {
    if let Err(error) = kafka::check(settings) {
        return vec![Finding::bad_key("kafka properties", error, "Correct [kafka.properties].")];
    }
    settings
        .overridden()
        .into_iter()
        .map(|o| {
            let used = o.used.map_or("is left out".to_owned(), |used| format!("is {used}"));
            let remark = format!("{} {used}, whatever [kafka.properties] says", o.property);
            Finding::remark("kafka properties", remark, "Remove it there.")
        })
        .collect()
}

/// Makes the client that asks the brokers.
fn admin(settings: &kafka::Settings) -> Result<Admin, Finding> {
    Admin::new(settings)
        .map_err(|error| Finding::bad_key("kafka", error, "Correct [kafka.properties]."))
}

#[cfg(test)]
mod tests;
