//! The queues in Redis: two hashes a partition, id to value, and a key for the owner's epoch. Each operation is
//! one Lua script for many entries, which Redis runs as one step; nothing is asked again from here.
//!
//! What a caller should know:
//! - An operation over more than 500 entries or 4 MiB is several scripts, one after the other. Each entry is moved
//!   whole or not at all; where a later script fails, what the earlier ones did stands, and running the operation
//!   again gives the same end. The epoch isn't looked at for no entries at all.
//! - A value is the offset (8 bytes, big-endian) and then the body. What is too short to hold a place, or stands
//!   under something that is no transaction id, was not written by us: a scan skips it with a warning (once), and
//!   admission writes over it. It is never deleted.
//! - A call that was given up as `Transient` may still reach Redis, later than the calls after it.
//! - In a cluster all keys of a partition are in one slot. While that moves from one node to another, its scripts are
//!   refused as `Transient`: each wants all of its keys in one place, and the key of an empty queue is in none.

pub mod answers;
mod client;
mod connection;
mod errors;
mod keys;
mod link;
mod scripts;
mod sentinel;
mod setup;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::{ErrorKind, FromRedisValue, Pipeline, ServerErrorKind, Value};
use tracing::{debug, warn};

use crate::domain::id::{Epoch, Offset, Partition, TransactionId};
use crate::ports::queue::{
    Admission, Depth, Entry, EntryKey, Found, Moved, Page, Queue, QueueError, QueueHealth,
};
use keys::{KeySpace, Keys};
use link::{Held, Link};
use scripts::{Call, Claim, Line, Lines, Scan, Script, Scripts};
pub use setup::{Kind, Misfit};

/// Where the queues are.
#[derive(Clone)]
pub struct Settings {
    /// `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. Of Sentinels and of a cluster's nodes
    /// several, or all: `host:port,host:port`.
    pub url: String,
    pub topology: Topology,
    /// Certificates (PEM) that are trusted for `rediss://` in place of the public roots.
    pub ca_file: Option<PathBuf>,
    /// What all keys begin with, so that others may use the same Redis.
    pub prefix: String,
    /// The consumer group; groups don't see each other's queues.
    pub group: String,
    /// The source topic.
    pub topic: String,
    /// For connecting, TLS and log-in included.
    pub connect_timeout: Duration,
    /// From a call to its answer.
    pub response_timeout: Duration,
}

/// How the servers at the URL's addresses belong together.
#[derive(Clone)]
pub enum Topology {
    /// There is one.
    Single,
    /// They are Sentinels, which know the master of this name. User and password are for them; the URL's are for
    /// the master.
    Sentinel { master: String, user: Option<String>, password: Option<String> },
    /// They are nodes of one cluster; they know the others.
    Cluster,
}

impl Topology {
    /// As in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// The URL may hold a password and stays out of logs.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("topology", &self.topology.name())
            .field("ca_file", &self.ca_file)
            .field("prefix", &self.prefix)
            .field("group", &self.group)
            .field("topic", &self.topic)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

/// An entry that was found by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub partition: Partition,
    /// It stands in the archive queue, else in the temp queue.
    pub archived: bool,
    pub offset: Offset,
    /// `wire::queue_entry`
    pub body: Bytes,
}

/// The queues of one group on one topic. Cheap to clone; all clones share one connection, on which their calls
/// follow each other without waiting for answers.
#[derive(Clone)]
pub struct RedisQueue {
    room: Arc<Room>,
}

struct Room {
    link: Link,
    topology: Topology,
    keys: KeySpace,
    scripts: Scripts,
    warned: AtomicBool,
}

/// A password stays out of logs.
impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisQueue").field("keys", &self.room.keys).finish_non_exhaustive()
    }
}

impl RedisQueue {
    /// Connects with the first call, not before; each later call connects again where the connection was lost. For
    /// `rediss://` the process must have installed a rustls crypto provider.
    ///
    /// # Errors
    /// `Permanent` where the URL or the certificates can't be read.
    pub fn new(settings: &Settings) -> Result<Self, QueueError> {
        let way = client::open(settings)?;
        let room = Room {
            topology: settings.topology.clone(),
            link: Link::new(way, settings.connect_timeout, settings.response_timeout),
            keys: KeySpace::new(&settings.prefix, &settings.group, &settings.topic),
            scripts: Scripts::new(),
            warned: AtomicBool::new(false),
        };
        Ok(Self { room: Arc::new(room) })
    }

    /// Where this id stands, in the queues of these partitions. For people who look for it; no epoch is checked.
    ///
    /// # Errors
    /// As for the port's calls.
    pub async fn find(
        &self,
        partitions: &[Partition],
        id: &TransactionId,
    ) -> Result<Vec<Standing>, QueueError> {
        let look = |commands: &mut Pipeline, keys: Keys| {
            for hash in [keys.temp, keys.archive] {
                commands.cmd("HMGET").arg(hash).arg(id.as_str());
            }
        };
        let values: Vec<[Option<Vec<u8>>; 1]> = self.ask_of(partitions, look).await?;
        let queues =
            partitions.iter().flat_map(|partition| [(partition, false), (partition, true)]);
        type Place<'a> = (&'a Partition, bool);
        let standing = |((partition, archived), [value]): (Place<'_>, [Option<Vec<u8>>; 1])| {
            let value = value?;
            let (offset, body) = (answers::offset(&value)?, value.get(8..)?);
            let body = Bytes::copy_from_slice(body);
            Some(Standing { partition: *partition, archived, offset, body })
        };
        Ok(queues.zip(values).filter_map(standing).collect())
    }

    fn keys(&self, partition: Partition) -> Keys {
        self.room.keys.of(partition)
    }

    fn scripts(&self) -> &Scripts {
        &self.room.scripts
    }

    /// Runs a script. A Redis that doesn't know it has done nothing, and is sent its text.
    async fn run(&self, script: &Script, call: &impl Call) -> Result<Value, QueueError> {
        let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
        match self.send(&script.by_hash(call)).await {
            Err(e) if e.kind() == unknown => self.send(&script.in_full(call)).await,
            answer => answer,
        }
        .map_err(|e| self.class(&e))
    }

    fn class(&self, error: &redis::RedisError) -> QueueError {
        errors::class(error, &self.room.topology)
    }

    async fn send(&self, cmd: &redis::Cmd) -> redis::RedisResult<Value> {
        let mut held = self.room.link.hold().await?;
        let answer = cmd.query_async(&mut held.connection).await;
        self.room.link.ended(&held, &answer);
        answer
    }

    /// Sends commands that only read, in one go.
    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, QueueError> {
        let asked = async {
            let mut held = self.room.link.hold().await?;
            let answer = commands.query_async(&mut held.connection).await;
            self.room.link.ended(&held, &answer);
            answer
        };
        asked.await.map_err(|e| self.class(&e))
    }

    /// The same for what is asked of each partition: all at once of a server; of a cluster, where each may be
    /// elsewhere, side by side. The answers are in order.
    async fn ask_of<T: FromRedisValue>(
        &self,
        partitions: &[Partition],
        put: impl Fn(&mut Pipeline, Keys),
    ) -> Result<Vec<T>, QueueError> {
        let together = if self.room.link.is_to_cluster() { 1 } else { partitions.len().max(1) };
        let each = partitions.chunks(together).map(|some| {
            let mut commands = redis::pipe();
            some.iter().for_each(|partition| put(&mut commands, self.keys(*partition)));
            async move { self.ask::<Vec<T>>(&commands).await }
        });
        let answers = futures_util::future::try_join_all(each).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Runs a script over all lines, part by part, and joins what `read` makes of the answers.
    async fn run_parts<L: Line + Sync, T>(
        &self,
        script: &Script,
        (partition, epoch): (Partition, Epoch),
        lines: &[L],
        read: impl Fn(Value, &[L]) -> Result<Vec<T>, QueueError>,
    ) -> Result<Vec<T>, QueueError> {
        let keys = self.keys(partition);
        let mut all = Vec::with_capacity(lines.len());
        for part in scripts::parts(lines) {
            let reply = self.run(script, &Lines { keys: &keys, epoch, lines: part }).await?;
            all.extend(read(reply, part)?);
        }
        Ok(all)
    }

    fn skip_unreadable(&self, hash: &str, name: &[u8]) {
        let entry = name[..name.len().min(64)].escape_ascii();
        if self.room.warned.swap(true, Ordering::Relaxed) {
            debug!(hash, %entry, "an entry in redis can't be read; skipped");
        } else {
            warn!(hash, %entry, "an entry in redis can't be read; skipped, as are more of its kind");
        }
    }
}

impl Queue for RedisQueue {
    async fn claim(&self, partition: Partition, epoch: Epoch) -> Result<(), QueueError> {
        let keys = self.keys(partition);
        self.run(&self.scripts().claim, &Claim { keys: &keys, epoch }).await.map(drop)
    }

    async fn admit(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Admission>, QueueError> {
        let read = |reply, part: &[Entry]| answers::admissions(reply, part.len());
        self.run_parts(&self.scripts().admit, (partition, epoch), entries, read).await
    }

    async fn settle(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        let read = |reply, part: &[Entry]| answers::moves(reply, part.len());
        self.run_parts(&self.scripts().settle, (partition, epoch), entries, read).await
    }

    async fn mark(
        &self,
        partition: Partition,
        epoch: Epoch,
        entries: &[Entry],
    ) -> Result<Vec<Moved>, QueueError> {
        let read = |reply, part: &[Entry]| answers::moves(reply, part.len());
        self.run_parts(&self.scripts().mark, (partition, epoch), entries, read).await
    }

    async fn remove(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<(), QueueError> {
        let read = |_, _: &[EntryKey]| Ok(Vec::<()>::new());
        self.run_parts(&self.scripts().remove, (partition, epoch), keys, read).await.map(drop)
    }

    async fn missing(
        &self,
        partition: Partition,
        epoch: Epoch,
        keys: &[EntryKey],
    ) -> Result<Vec<EntryKey>, QueueError> {
        self.run_parts(&self.scripts().missing, (partition, epoch), keys, answers::missing).await
    }

    /// The lowest bit of a cursor tells the hash, the others are Redis's own cursor. Temp comes first: an entry that
    /// moves to the archive meanwhile is still met.
    async fn scan(&self, partition: Partition, cursor: Option<u64>) -> Result<Page, QueueError> {
        let cursor = cursor.unwrap_or(0);
        let archived = cursor & 1 == 1;
        let keys = self.keys(partition);
        let hash = if archived { &keys.archive } else { &keys.temp };
        let call = Scan { hash, cursor: cursor >> 1 };
        let step = answers::step(self.run(&self.scripts().scan, &call).await?)?;
        if step.cursor > u64::MAX >> 1 {
            return Err(QueueError::Permanent("redis has a cursor beyond 63 bits".into()));
        }
        let mut found = Vec::with_capacity(step.keys.len());
        for key in step.keys {
            match key {
                Ok(key) => found.push(Found { key, archived }),
                Err(name) => self.skip_unreadable(hash, &name),
            }
        }
        let next = match (step.cursor, archived) {
            (0, false) => Some(1),
            (0, true) => None,
            (more, _) => Some(more << 1 | u64::from(archived)),
        };
        Ok(Page { found, next })
    }

    async fn depths(&self, partitions: &[Partition]) -> Result<Vec<Depth>, QueueError> {
        let count = |commands: &mut Pipeline, keys: Keys| {
            commands.cmd("HLEN").arg(keys.temp).cmd("HLEN").arg(keys.archive);
        };
        let lengths: Vec<u64> = self.ask_of(partitions, count).await?;
        Ok(answers::depths(&lengths))
    }

    async fn health(&self) -> Result<QueueHealth, QueueError> {
        let told = async {
            let mut held = self.room.link.hold().await?;
            let told = everywhere(&mut held).await;
            self.room.link.ended(&held, &told);
            told
        };
        let told = told.await.map_err(|e| self.class(&e))?;
        let each = told.into_iter().map(|(info, time)| answers::health(&info, time));
        let worst = answers::worst(each.collect::<Result<_, _>>()?);
        worst.ok_or_else(|| QueueError::Transient("no server answered".into()))
    }
}

/// What each server says of itself, and what its clock says.
async fn everywhere(held: &mut Held) -> redis::RedisResult<Vec<(String, (i64, i64))>> {
    let infos = held.connection.everywhere(&redis::cmd("INFO")).await?;
    let times = held.connection.everywhere(&redis::cmd("TIME")).await?;
    let both = infos.into_iter().zip(times);
    let read = |(info, time)| {
        Ok((String::from_redis_value(info)?, FromRedisValue::from_redis_value(time)?))
    };
    both.map(read).collect()
}
