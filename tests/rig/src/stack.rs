//! Everything at once: Kafka with its topics, Redis, a store, the gateway simulator, and processors of one
//! consumer group, all on loopback ports of their own. It drives the product by its command line alone.

pub use crate::backlog::{backlog, wait_worked_off};
use crate::error::{Doing, Error, Result};
use crate::process::{Launch, Process};
use crate::processor::{Processor, answers};
use crate::queues::{self, Queues, Together};
use crate::store::Store;
use crate::temp::TempDir;
use crate::wait::lock;
use crate::{Clickhouse, Kafka, KafkaOptions, Postgres, Proxy, Redis, RedisOptions};
use crate::{Secured, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// The consumer group.
pub const GROUP: &str = "tollbridge";
/// The source topic.
pub const TRANSACTIONS: &str = "transactions";
/// Where events go, in the configuration's order.
pub const OUTCOMES: [&str; 4] = ["tx-archived", "tx-declined", "tx-dead-letter", "tx-alerts"];
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What is started.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The product's binary.
    pub tollbridge: PathBuf,
    /// Where rows are stored.
    pub store: Store,
    /// Partitions of the source topic.
    pub partitions: u32,
    /// The simulator's script of faults (TOML); empty for none.
    pub faults: String,
    /// How long every answer of the simulator takes at least, such as `20ms`.
    pub latency: String,
    /// Lines for each processor's configuration: a section, a key, a value as TOML; an empty value takes the
    /// rig's own line away.
    pub settings: Vec<(String, String, String)>,
    /// More arguments for the simulator.
    pub simulator: Vec<String>,
    /// How many brokers.
    pub brokers: usize,
    /// Lines for each broker's `server.properties`.
    pub kafka: Vec<(String, String)>,
    /// Who may come in by a listener that asks: processors come by it then, and what they may do is asked.
    pub secured: Option<Secured>,
    /// Whether brokers spend less on starting, at the cost of their speed later.
    pub thrifty_broker: bool,
    /// Lines for PostgreSQL's `postgresql.conf`.
    pub postgres: Vec<(String, String)>,
    /// The size of a small disk for PostgreSQL, such as `256m`. Only root can have one.
    pub store_disk: Option<String>,
    /// How Redis is started.
    pub redis: RedisOptions,
    /// Whether it is several servers.
    pub queues: Queues,
    /// Whether processors reach each service through a proxy: each broker's own, and [`Links`].
    pub linked: bool,
    /// Where configurations, logs and the ledger go; without it a folder that vanishes.
    pub folder: Option<PathBuf>,
}

impl StackOptions {
    /// SQLite, four partitions, a flawless and immediate gateway.
    #[must_use]
    pub fn new(tollbridge: impl Into<PathBuf>) -> Self {
        Self {
            tollbridge: tollbridge.into(),
            store: Store::Sqlite,
            partitions: 4,
            faults: String::new(),
            latency: "0ms".into(),
            settings: Vec::new(),
            simulator: Vec::new(),
            brokers: 1,
            kafka: Vec::new(),
            secured: None,
            thrifty_broker: false,
            postgres: Vec::new(),
            store_disk: None,
            redis: RedisOptions::default(),
            queues: Queues::Single,
            linked: false,
            folder: None,
        }
    }
}

/// Proxies between the processors and what they speak to. Those before Kafka are the brokers' own.
#[derive(Debug)]
pub struct Links {
    /// Before Redis.
    pub redis: Proxy,
    /// Before the gateway.
    pub gateway: Proxy,
    /// Before the store, where it is a server; else it leads nowhere.
    pub store: Proxy,
}

/// All services, and what is needed to start processors.
#[derive(Debug)]
pub struct Stack {
    options: StackOptions,
    /// The broker, or several.
    pub kafka: Kafka,
    /// The queues' server, where it is one.
    pub redis: Redis,
    /// Their servers, where they are several.
    pub together: Option<Together>,
    /// The store, where it is PostgreSQL.
    pub postgres: Option<Postgres>,
    /// The store, where it is ClickHouse.
    pub clickhouse: Option<Clickhouse>,
    /// Where [`StackOptions::linked`] asks for them.
    pub links: Option<Links>,
    simulator: Mutex<Option<Process>>,
    simulator_port: u16,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Stack {
    /// Starts the services side by side, makes the topics, starts the simulator and migrates the store.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(options: StackOptions) -> Result<Self> {
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(TempDir::new("stack")?),
        };
        let folder = match (&options.folder, &temporary) {
            (Some(folder), _) => std::path::absolute(folder).doing(|| "find the folder".into())?,
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(Error::new("a stack needs a folder")),
        };
        fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
        let (kafka, redis, postgres, clickhouse) = std::thread::scope(|scope| {
            let kafka = scope.spawn(|| start_kafka(&options));
            let redis = scope.spawn(|| queues::start(options.queues, &options.redis));
            let disk = options.store_disk.as_deref();
            let lines: Vec<_> =
                options.postgres.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let is = |store| options.store == store;
            let postgres = is(Store::Postgres).then(|| Postgres::start_on(disk, &lines));
            let clickhouse = is(Store::Clickhouse).then(Clickhouse::start);
            (kafka.join(), redis.join(), postgres, clickhouse)
        });
        let panicked = |_| Error::new("a service's start panicked");
        let (redis, together) = redis.map_err(panicked)??;
        let (postgres, clickhouse) = (postgres.transpose()?, clickhouse.transpose()?);
        let store_port = postgres.as_ref().map(Postgres::port);
        let store_port = store_port.or(clickhouse.as_ref().map(Clickhouse::port));
        let simulator_port = free_port();
        let links = match options.linked {
            true => Some(link(&redis, store_port.unwrap_or(1), simulator_port)?),
            false => None,
        };
        let stack = Self {
            kafka: kafka.map_err(panicked)??,
            redis,
            together,
            postgres,
            clickhouse,
            links,
            simulator: Mutex::new(None),
            simulator_port,
            options,
            folder,
            temporary,
        };
        stack.start_simulator()?;
        let config = stack.write_config("setup", "off")?;
        stack.command("migrate", &config).run(COMMAND_LIMIT)?;
        Ok(stack)
    }

    /// Starts the simulator (again): its ledger goes on.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_simulator(&self) -> Result<()> {
        let port = self.simulator_port;
        let script = self.file("faults.toml");
        fs::write(&script, &self.options.faults).doing(|| "write faults.toml".into())?;
        let simulator = Launch::new(&self.options.tollbridge)
            .args(["gateway-sim", "--listen", &format!("127.0.0.1:{port}"), "--ledger"])
            .arg(self.ledger())
            .arg("--faults")
            .arg(script)
            .args(["--latency", &self.options.latency])
            .args(&self.options.simulator)
            .log(self.file("gateway-sim.log"))
            .start()?;
        answers(&simulator, port, "/healthz")?;
        *lock(&self.simulator) = Some(simulator);
        Ok(())
    }

    /// SIGKILL to the simulator.
    pub fn kill_simulator(&self) {
        lock(&self.simulator).take();
    }

    /// The simulator's process id, where it runs.
    #[must_use]
    pub fn simulator_pid(&self) -> Option<u32> {
        lock(&self.simulator).as_ref().map(Process::pid)
    }

    /// The simulator's port.
    #[must_use]
    pub fn simulator_port(&self) -> u16 {
        self.simulator_port
    }

    /// The simulator's ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.file("ledger.jsonl")
    }

    /// A file of this name beside configurations and logs.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Partitions of the source topic.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.options.partitions
    }

    /// Writes a configuration: `instance` names the process, `listen` is its HTTP address or `off`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, instance: &str, listen: &str) -> Result<PathBuf> {
        let file = self.file(&format!("{instance}.toml"));
        let text = render(&self.settings(instance, listen));
        fs::write(&file, text).doing(|| format!("write {}", file.display()))?;
        Ok(file)
    }

    /// As processors reach it: through its proxy, where there is one.
    fn store_url(&self) -> String {
        let (direct, port) = match (&self.postgres, &self.clickhouse) {
            (Some(postgres), _) => (postgres.url(), postgres.port()),
            (None, Some(clickhouse)) => (clickhouse.url(), clickhouse.port()),
            (None, None) => return format!("sqlite:{}", self.file("tollbridge.db").display()),
        };
        match &self.links {
            None => direct,
            Some(links) => direct.replace(&format!("127.0.0.1:{port}"), &links.store.address()),
        }
    }

    fn settings(&self, instance: &str, listen: &str) -> Vec<(String, String, String)> {
        let quoted = |text: String| format!("{text:?}");
        let store = self.store_url();
        let (brokers, redis, gateway) = match &self.links {
            None => {
                let gateway = format!("127.0.0.1:{}", self.simulator_port);
                let asks = self.options.secured.is_some();
                let brokers =
                    if asks { self.kafka.secured_bootstrap() } else { self.kafka.bootstrap() };
                (brokers, self.redis.url(), gateway)
            }
            Some(links) => {
                let redis = format!("redis://{}", links.redis.address());
                (self.kafka.proxied_bootstrap(), redis, links.gateway.address())
            }
        };
        let settings = [
            ("kafka", "brokers", quoted(brokers)),
            ("kafka", "group_id", quoted(GROUP.into())),
            ("kafka", "instance_id", quoted(instance.into())),
            ("kafka", "session_timeout", quoted("6s".into())),
            ("kafka", "transaction_timeout", quoted("5s".into())),
            ("redis", "url", quoted(redis)),
            ("gateway", "url", quoted(format!("http://{gateway}"))),
            ("gateway", "key_ttl", quoted("24h".into())),
            ("gateway", "connect_timeout", quoted("500ms".into())),
            ("gateway", "timeout", quoted("1s".into())),
            ("store", "url", quoted(store)),
            ("sweep", "interval", quoted("500ms".into())),
            ("sweep", "min_age", quoted("2s".into())),
            ("http", "listen", quoted(listen.into())),
            ("log", "format", quoted("text".into())),
        ];
        let own = settings.map(|(section, key, value)| (section.into(), key.into(), value));
        let mut all: Vec<(String, String, String)> = own.into();
        if self.clickhouse.is_some() {
            // As the runbook says: each insert is a part, and parts want to be few and large.
            let large = [("interval", quoted("500ms".into())), ("max_rows", "10000".into())];
            all.extend(large.map(|(key, value)| ("flush".into(), key.into(), value)));
        }
        let together = self.together.iter().flat_map(Together::settings);
        for (section, key, value) in together.chain(self.options.settings.clone()) {
            let (section, key, value) = (&section, &key, &value);
            all.retain(|(s, k, _)| (s, k) != (section, key));
            if !value.is_empty() {
                all.push((section.clone(), key.clone(), value.clone()));
            }
        }
        all
    }

    /// A command of the product with a configuration, to be run or started.
    #[must_use]
    pub fn command(&self, command: &str, config: &Path) -> Launch {
        Launch::new(&self.options.tollbridge).args([command, "--config"]).arg(config)
    }

    /// A processor of this name, not started yet.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn processor(&self, name: &str) -> Result<Processor> {
        let port = free_port();
        let config = self.write_config(name, &format!("127.0.0.1:{port}"))?;
        let log = self.file(&format!("{name}.log"));
        Ok(Processor::new(name, config, log, port, &self.options.tollbridge))
    }

    /// Keeps the folder with configurations, logs and ledger, and gives its path.
    pub fn keep(&mut self) -> PathBuf {
        if let Some(temporary) = &mut self.temporary {
            temporary.keep();
        }
        self.folder.clone()
    }
}

fn start_kafka(options: &StackOptions) -> Result<Kafka> {
    let proxied = options.linked;
    let properties = options.kafka.clone();
    let full_speed = !options.thrifty_broker;
    let (brokers, secured) = (options.brokers, options.secured.clone());
    let jvm = Vec::new();
    let kafka = KafkaOptions { brokers, full_speed, proxied, properties, jvm, secured };
    let kafka = Kafka::start_with(kafka)?;
    kafka.create_topic(TRANSACTIONS, options.partitions)?;
    for topic in OUTCOMES {
        kafka.create_topic(topic, options.partitions)?;
    }
    Ok(kafka)
}

fn link(redis: &Redis, store_port: u16, simulator_port: u16) -> Result<Links> {
    Ok(Links {
        redis: Proxy::start(("127.0.0.1", redis.port()))?,
        gateway: Proxy::start(("127.0.0.1", simulator_port))?,
        store: Proxy::start(("127.0.0.1", store_port))?,
    })
}

fn render(settings: &[(String, String, String)]) -> String {
    let mut sections: Vec<&str> = settings.iter().map(|(section, _, _)| section.as_str()).collect();
    sections.sort_unstable();
    sections.dedup();
    let mut text = String::new();
    for section in sections {
        text += &format!("[{section}]\n");
        for (_, key, value) in settings.iter().filter(|(of, _, _)| of == section) {
            text += &format!("{key} = {value}\n");
        }
    }
    text
}
