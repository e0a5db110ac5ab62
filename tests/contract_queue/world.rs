//! The worlds that a test may run in. A world owns a queue and can do to it what happens to a Redis.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tollbridge::adapters::memory::queue::MemoryQueue;
use tollbridge::adapters::redis::{RedisQueue, Settings, Topology};
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::Queue;
use tollbridge_rig::sentinels::MASTER;
use tollbridge_rig::{
    Cluster, Redis, RedisOptions, Reply, Sentinels, shared_cluster, shared_redis, shared_sentinels,
    shared_valkey,
};

use crate::make::Make;

/// How long anything may take on a busy machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub trait World {
    type Q: Queue;
    fn queue(&self) -> &Self::Q;
    /// Everything is gone.
    fn wipe(&self);
    /// A partition's epoch is gone.
    fn lose_epoch(&self, partition: Partition);
    /// Memory runs out, or is there again.
    fn set_full(&self, full: bool);
}

#[derive(Default)]
pub struct Memory {
    queue: MemoryQueue,
}

impl World for Memory {
    type Q = MemoryQueue;
    fn queue(&self) -> &MemoryQueue {
        &self.queue
    }
    fn wipe(&self) {
        self.queue.wipe();
    }
    fn lose_epoch(&self, partition: Partition) {
        self.queue.lose_epoch(partition);
    }
    fn set_full(&self, full: bool) {
        self.queue.set_full(full);
    }
}

/// A database of the shared server, or a server of its own, which is needed to kill it or to fill it up.
pub struct Real {
    queue: RedisQueue,
    url: String,
    prefix: String,
    server: Server,
}

enum Server {
    Shared(&'static Redis),
    Own(Box<Redis>),
}

impl Real {
    pub fn shared() -> Self {
        Make::Redis.check(shared_redis());
        Self::on(shared_redis().fresh_url(), Server::Shared(shared_redis()))
    }

    pub fn valkey() -> Self {
        Make::Valkey.check(shared_valkey());
        Self::on(shared_valkey().fresh_url(), Server::Shared(shared_valkey()))
    }

    pub fn alone() -> Self {
        Self::with(RedisOptions { appendonly: false, ..RedisOptions::default() })
    }

    pub fn valkey_alone() -> Self {
        Self::own(RedisOptions::valkey().unwrap(), Make::Valkey)
    }

    /// A Redis of its own.
    pub fn with(options: RedisOptions) -> Self {
        Self::own(options, Make::Redis)
    }

    fn own(options: RedisOptions, make: Make) -> Self {
        let redis = Redis::start_with(options).unwrap();
        make.check(&redis);
        Self::on(redis.url(), Server::Own(Box::new(redis)))
    }

    fn on(url: String, server: Server) -> Self {
        let prefix = fresh_prefix();
        let queue = RedisQueue::new(&settings(&url, &prefix)).unwrap();
        Self { queue, url, prefix, server }
    }

    pub fn server(&self) -> &Redis {
        match &self.server {
            Server::Shared(redis) => redis,
            Server::Own(redis) => redis,
        }
    }

    /// What another client says to the same database.
    pub fn command(&self, words: &[&str]) -> Reply {
        self.server().command_at(&self.url, words).unwrap()
    }

    pub fn key(&self, partition: Partition, name: &str) -> String {
        key(&self.prefix, partition, name)
    }

    /// For another queue on the same keys, for instance through a proxy.
    pub fn settings(&self, url: &str) -> Settings {
        settings(url, &self.prefix)
    }

    pub fn queue_at(&self, url: &str) -> RedisQueue {
        RedisQueue::new(&self.settings(url)).unwrap()
    }
}

impl World for Real {
    type Q = RedisQueue;
    fn queue(&self) -> &RedisQueue {
        &self.queue
    }
    fn wipe(&self) {
        self.command(&["FLUSHDB"]);
    }
    fn lose_epoch(&self, partition: Partition) {
        self.command(&["DEL", &self.key(partition, "epoch")]);
    }
    fn set_full(&self, full: bool) {
        assert!(
            matches!(self.server, Server::Own(_)),
            "memory is shared by all databases of a server"
        );
        self.command(&["CONFIG", "SET", "maxmemory", if full { "1" } else { "0" }]);
    }
}

/// Several servers together, of which some are masters.
pub trait Masters {
    fn masters(&self) -> Vec<&Redis>;
    fn settings(&self, prefix: &str) -> Settings;
}

impl Masters for Sentinels {
    fn masters(&self) -> Vec<&Redis> {
        vec![self.master().unwrap()]
    }

    fn settings(&self, prefix: &str) -> Settings {
        let topology = Topology::Sentinel { master: MASTER.into(), user: None, password: None };
        Settings { topology, ..settings(&self.url(), prefix) }
    }
}

impl Masters for Cluster {
    fn masters(&self) -> Vec<&Redis> {
        Cluster::masters(self)
    }

    fn settings(&self, prefix: &str) -> Settings {
        Settings { topology: Topology::Cluster, ..settings(&self.url(), prefix) }
    }
}

/// A queue on several servers. Tests that share them keep apart by prefix.
pub struct Together<M, S> {
    pub servers: S,
    queue: RedisQueue,
    prefix: String,
    of: PhantomData<M>,
}

impl<M: Masters, S: Borrow<M>> Together<M, S> {
    pub fn on(servers: S) -> Self {
        servers.borrow().masters().into_iter().for_each(|master| Make::Redis.check(master));
        let prefix = fresh_prefix();
        let queue = RedisQueue::new(&servers.borrow().settings(&prefix)).unwrap();
        Self { servers, queue, prefix, of: PhantomData }
    }

    pub fn key(&self, partition: Partition, name: &str) -> String {
        key(&self.prefix, partition, name)
    }

    fn delete(&self, pattern: &str) {
        for master in self.servers.borrow().masters() {
            let Reply::Array(keys) = master.command(&["KEYS", pattern]).unwrap() else { continue };
            for key in keys {
                master.command(&["DEL", &key.text()]).unwrap();
            }
        }
    }
}

impl<M: Masters, S: Borrow<M>> World for Together<M, S> {
    type Q = RedisQueue;
    fn queue(&self) -> &RedisQueue {
        &self.queue
    }
    fn wipe(&self) {
        self.delete(&format!("{{{}:*", self.prefix));
    }
    fn lose_epoch(&self, partition: Partition) {
        self.delete(&self.key(partition, "epoch"));
    }
    fn set_full(&self, full: bool) {
        for master in self.servers.borrow().masters() {
            let most = if full { "1" } else { "0" };
            master.command(&["CONFIG", "SET", "maxmemory", most]).unwrap();
        }
    }
}

/// The servers that all tests of the suite share.
pub fn sentinels() -> Together<Sentinels, &'static Sentinels> {
    Together::on(shared_sentinels())
}

pub fn cluster() -> Together<Cluster, &'static Cluster> {
    Together::on(shared_cluster())
}

fn fresh_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn key(prefix: &str, partition: Partition, name: &str) -> String {
    format!("{{{prefix}:group:topic:{partition}}}:{name}")
}

pub fn settings(url: &str, prefix: &str) -> Settings {
    Settings {
        url: url.into(),
        topology: Topology::Single,
        ca_file: None,
        prefix: prefix.into(),
        group: "group".into(),
        topic: "topic".into(),
        connect_timeout: PATIENCE,
        response_timeout: PATIENCE,
    }
}

/// Runs a test as the product runs: on one thread.
pub fn run<F: Future>(test: F) -> F::Output {
    runtime().block_on(test)
}

/// A queue's connection ends with the runtime on which it was made.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
