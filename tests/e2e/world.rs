//! What a test stands on: topics, a group, a key prefix, a store and a gateway of its own, with a proxy before each
//! service that may have to be held back, and processors as real processes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use tollbridge_rig::kafka::Kafka;
use tollbridge_rig::{
    KafkaOptions, Launch, Process, Proxy, Redis, RedisOptions, TempDir, free_port, shared_postgres,
    shared_redis,
};

/// How long anything may take that is expected, on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(90);
/// What the broker keeps of an offset's metadata, in characters.
pub const METADATA_MAX: usize = 128;
pub const TOPICS: [&str; 5] = ["transactions", "archived", "declined", "dead_letter", "alerts"];

/// What a world is made of; the default suits most tests.
#[derive(Debug, Default)]
pub struct Plan {
    /// 0 stands for 1.
    pub partitions: u32,
    /// Rows go to PostgreSQL instead of SQLite.
    pub postgres: bool,
    /// Processors reach the broker through its proxy, which is this test's alone meanwhile.
    pub kafka_link: bool,
    /// A Redis of its own, for tests that change its settings or wipe it. It keeps what it is told to save.
    pub own_redis: bool,
    /// A Valkey of its own in its place.
    pub valkey: bool,
    /// The script of the gateway's faults.
    pub faults: &'static str,
    /// How long each answer of the gateway takes at least.
    pub latency: Option<&'static str>,
    /// The gateway asks who is there: a file as its `--credentials` wants it.
    pub credentials: Option<PathBuf>,
    /// Members without an identity leave the group when they end.
    pub nameless: bool,
    /// Keys and TOML values, over those of the world.
    pub settings: Vec<(&'static str, String)>,
    /// Keys of the world that are left out.
    pub without: Vec<&'static str>,
}

impl Plan {
    /// Calls end soon and are asked for again soon. A new owner waits that long with what an owner before it may have
    /// asked for, and the first few thousand offsets after a restart count as that.
    pub fn quick(self) -> Self {
        self.set("gateway.timeout", "\"1s\"")
            .set("gateway.connect_timeout", "\"500ms\"")
            .set("sweep.min_age", "\"1500ms\"")
    }

    /// A member that is silent is soon taken for dead. Elsewhere a machine that stands still shall not look like that.
    pub fn soon_lost(self) -> Self {
        self.set("kafka.session_timeout", "\"6s\"")
            .set("kafka.transaction_timeout", "\"5s\"")
            .set("kafka.request_timeout", "\"5s\"")
    }

    /// An answer may be held back for long without being given up.
    pub fn patient(self) -> Self {
        self.set("gateway.timeout", "\"30s\"")
            .set("sweep.min_age", "\"31s\"")
            .set("shutdown.timeout", "\"61s\"")
    }

    pub fn set(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }
}

/// The broker of all tests. It keeps far less metadata of an offset than brokers do by default, so that the list of
/// unfinished offsets reaches its limit with hundreds of them.
fn broker() -> &'static Kafka {
    static BROKER: OnceLock<Kafka> = OnceLock::new();
    BROKER.get_or_init(|| {
        let properties = vec![("offset.metadata.max.bytes".to_owned(), METADATA_MAX.to_string())];
        let options = KafkaOptions { proxied: true, properties, ..KafkaOptions::default() };
        Kafka::start_with(options).unwrap()
    })
}

/// The right to hold back what goes through the broker's proxy. One test has it at a time.
struct KafkaLink {
    _turn: MutexGuard<'static, ()>,
}

impl KafkaLink {
    fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        Self { _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Drop for KafkaLink {
    fn drop(&mut self) {
        broker().proxy().pass();
    }
}

pub use crate::processor::Processor;

pub struct World {
    pub plan: Plan,
    pub number: u32,
    /// Where the plan asks for it.
    kafka_link: Option<KafkaLink>,
    redis: Option<Redis>,
    pub redis_link: Proxy,
    pub gateway_link: Proxy,
    /// Leads nowhere where the store is a file.
    pub store_link: Proxy,
    /// Of the database itself.
    pub store_url: String,
    pub folder: TempDir,
    gateway_port: u16,
    gateway: Mutex<Option<Process>>,
    /// Of the topics, made when first needed.
    pub reader: OnceLock<BaseConsumer>,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = TempDir::new("e2e").unwrap();
        let kafka_link = plan.kafka_link.then(KafkaLink::take);
        let redis = (plan.own_redis || plan.valkey).then(|| {
            let program =
                if plan.valkey { RedisOptions::valkey().unwrap() } else { RedisOptions::default() };
            Redis::start_with(RedisOptions { appendonly: false, ..program }).unwrap()
        });
        let redis_port = redis.as_ref().map_or_else(|| shared_redis().port(), Redis::port);
        let gateway_port = free_port();
        let (store_url, store_port) = if plan.postgres {
            (shared_postgres().fresh_url().unwrap(), shared_postgres().port())
        } else {
            (format!("sqlite:{}", folder.join("rows.db").display()), 1)
        };
        let world = Self {
            plan,
            number,
            kafka_link,
            redis,
            redis_link: Proxy::start(("127.0.0.1", redis_port)).unwrap(),
            gateway_link: Proxy::start(("127.0.0.1", gateway_port)).unwrap(),
            store_link: Proxy::start(("127.0.0.1", store_port)).unwrap(),
            store_url,
            folder,
            gateway_port,
            gateway: Mutex::new(None),
            reader: OnceLock::new(),
        };
        world.create_topics();
        world.start_gateway();
        world.command("migrate", "setup", &[]).run(LIMIT).unwrap();
        world
    }

    fn create_topics(&self) {
        std::thread::scope(|scope| {
            for topic in TOPICS {
                let partitions = if topic == "transactions" { self.partitions() } else { 1 };
                let name = self.topic(topic);
                scope.spawn(move || self.kafka().create_topic(&name, partitions).unwrap());
            }
        });
    }

    pub fn kafka(&self) -> &'static Kafka {
        broker()
    }

    /// Between the processors and the broker.
    pub fn kafka_link(&self) -> &'static Proxy {
        assert!(self.kafka_link.is_some(), "the plan does not ask for it");
        broker().proxy()
    }

    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap_or_else(|| shared_redis())
    }

    pub fn partitions(&self) -> u32 {
        self.plan.partitions.max(1)
    }

    pub fn topic(&self, topic: &str) -> String {
        format!("e2e-{}-{topic}", self.number)
    }

    pub fn group(&self) -> String {
        format!("e2e-{}", self.number)
    }

    /// The name of a partition's key in Redis; `which` is `temp`, `archive` or `epoch`.
    pub fn key(&self, partition: u32, which: &str) -> String {
        let (group, topic) = (self.group(), self.topic("transactions"));
        format!("{{e2e:{group}:{topic}:{partition}}}:{which}")
    }

    fn config(&self, name: &str, port: u16) -> PathBuf {
        let quoted = |text: String| format!("{text:?}");
        let store = self.store_url.replace(
            &format!(":{}/", if self.plan.postgres { shared_postgres().port() } else { 0 }),
            &format!(":{}/", self.store_link.port()),
        );
        let brokers = match &self.kafka_link {
            Some(_) => broker().proxied_bootstrap(),
            None => broker().bootstrap(),
        };
        let mut keys: Vec<(String, String)> = [
            ("kafka.brokers", quoted(brokers)),
            ("kafka.group_id", quoted(self.group())),
            ("kafka.session_timeout", quoted("30s".into())),
            ("kafka.transaction_timeout", quoted("25s".into())),
            ("kafka.request_timeout", quoted("15s".into())),
            ("redis.url", quoted(format!("redis://{}", self.redis_link.address()))),
            ("redis.prefix", quoted("e2e".into())),
            ("redis.connect_timeout", quoted("10s".into())),
            ("redis.response_timeout", quoted("10s".into())),
            ("gateway.url", quoted(format!("http://{}", self.gateway_link.address()))),
            ("gateway.key_ttl", quoted("24h".into())),
            ("gateway.connect_timeout", quoted("500ms".into())),
            ("gateway.timeout", quoted("5s".into())),
            ("store.url", quoted(store)),
            ("store.timeout", quoted("5s".into())),
            ("sweep.interval", quoted("200ms".into())),
            ("sweep.min_age", quoted("6s".into())),
            ("http.listen", quoted(format!("127.0.0.1:{port}"))),
            ("log.format", quoted("text".into())),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        keys.extend(
            TOPICS.map(|topic| (format!("kafka.topics.{topic}"), quoted(self.topic(topic)))),
        );
        if !self.plan.nameless {
            keys.push(("kafka.instance_id".into(), quoted(name.to_owned())));
        }
        for (key, value) in &self.plan.settings {
            keys.retain(|(of, _)| of != key);
            keys.push(((*key).to_owned(), value.clone()));
        }
        keys.retain(|(of, _)| !self.plan.without.contains(&of.as_str()));
        let text: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let path = self.folder.join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command of the product, such as `trace` or `dlq list`, to be run or started.
    pub fn command(&self, command: &str, name: &str, args: &[&str]) -> Launch {
        self.command_at(command, name, free_port(), args)
    }

    fn command_at(&self, command: &str, name: &str, port: u16, args: &[&str]) -> Launch {
        Launch::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(command.split(' '))
            .arg("--config")
            .arg(self.config(name, port))
            .args(args)
    }

    /// Starts a processor; it need not be ready yet.
    pub fn launch(&self, name: &str, args: &[&str]) -> Processor {
        let port = free_port();
        let process = self.command_at("run", name, port, args).start().unwrap();
        Processor { process, port, name: name.to_owned() }
    }

    /// Starts a processor and waits until it runs.
    pub fn start(&self, name: &str) -> Processor {
        self.start_with(name, &[])
    }

    /// The same with more arguments.
    pub fn start_with(&self, name: &str, args: &[&str]) -> Processor {
        let processor = self.launch(name, args);
        processor.wait_ready();
        processor
    }

    /// Starts a processor that owns everything, and has it do one transaction, so that nothing is new to it.
    pub fn start_warm(&self, name: &str) -> Processor {
        let processor = self.start(name);
        for partition in 0..self.partitions() {
            self.publish(partition, &[&format!("warm-{partition}")]);
        }
        self.wait_done();
        processor
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }

    /// Starts the gateway (again): its ledger goes on.
    pub fn start_gateway(&self) {
        self.restart_gateway(self.plan.faults);
    }

    /// The same with another script of faults.
    pub fn restart_gateway(&self, faults: &str) {
        let script = self.folder.join("faults.toml");
        std::fs::write(&script, faults).unwrap();
        let mut gateway = self.gateway.lock().unwrap();
        gateway.take();
        let process = Launch::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(["gateway-sim", "--listen", &format!("127.0.0.1:{}", self.gateway_port)])
            .arg("--ledger")
            .arg(self.ledger())
            .arg("--faults")
            .arg(script)
            .args(["--latency", self.plan.latency.unwrap_or("0ms")])
            .args(
                self.plan
                    .credentials
                    .iter()
                    .flat_map(|file| ["--credentials".as_ref(), file.as_os_str()]),
            )
            .start()
            .unwrap();
        process.wait_for_line("listening on ", LIMIT).unwrap();
        *gateway = Some(process);
    }

    pub fn kill_gateway(&self) {
        self.gateway.lock().unwrap().take();
    }
}
