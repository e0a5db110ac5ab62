//! The two worlds that a test may run in. A world owns a queue and can do to it what happens to a Redis.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tollbridge::adapters::memory::queue::MemoryQueue;
use tollbridge::adapters::redis::{RedisQueue, Settings};
use tollbridge::domain::id::Partition;
use tollbridge::ports::queue::Queue;
use tollbridge_rig::{Redis, RedisOptions, Reply, shared_redis};

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
    own: Option<Redis>,
}

impl Real {
    pub fn shared() -> Self {
        Self::on(shared_redis().fresh_url(), None)
    }

    pub fn alone() -> Self {
        Self::with(RedisOptions { appendonly: false, ..RedisOptions::default() })
    }

    pub fn with(options: RedisOptions) -> Self {
        let redis = Redis::start_with(options).unwrap();
        Self::on(redis.url(), Some(redis))
    }

    fn on(url: String, own: Option<Redis>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let queue = RedisQueue::new(&settings(&url, &prefix)).unwrap();
        Self { queue, url, prefix, own }
    }

    pub fn server(&self) -> &Redis {
        self.own.as_ref().unwrap_or_else(|| shared_redis())
    }

    /// What another client says to the same database.
    pub fn command(&self, words: &[&str]) -> Reply {
        self.server().command_at(&self.url, words).unwrap()
    }

    pub fn key(&self, partition: Partition, name: &str) -> String {
        format!("{{{}:group:topic:{partition}}}:{name}", self.prefix)
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
        assert!(self.own.is_some(), "memory is shared by all databases of a server");
        self.command(&["CONFIG", "SET", "maxmemory", if full { "1" } else { "0" }]);
    }
}

pub fn settings(url: &str, prefix: &str) -> Settings {
    Settings {
        url: url.into(),
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
