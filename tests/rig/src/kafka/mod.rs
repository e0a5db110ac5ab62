//! A real Apache Kafka broker of its own: one JVM, one data folder, one loopback port. It is deliberately
//! no stand-in: aborted records, committed offsets and their metadata behave as in production.

mod codec;
mod records;
mod wire;

pub use self::records::{Committed, Record};
pub use self::wire::Member;
use self::wire::NewTopic;
use crate::cache::{self, KafkaHome};
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::proxy::Proxy;
use crate::temp::TempDir;
use crate::wait::{lock, wait_for, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(180);
/// A JVM that writes its class archive at its end is busy for long.
const STOP_LIMIT: Duration = Duration::from_secs(180);
/// Ports are ours, but a foreign program may still take one at the last moment.
const START_TRIES: u32 = 3;

/// How a broker is started; the default suits tests.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    /// Compile fully, as in production: for measurements. Else the JVM compiles quickly only, which
    /// halves the processor time of a start.
    pub full_speed: bool,
    /// Put a [`Proxy`] between the broker and whoever uses [`Kafka::proxied_bootstrap`].
    pub proxied: bool,
    /// Lines for `server.properties`, over those of the rig.
    pub properties: Vec<(String, String)>,
    /// More arguments for the JVM.
    pub jvm: Vec<String>,
}

/// A broker. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Kafka {
    folder: TempDir,
    home: KafkaHome,
    options: KafkaOptions,
    port: u16,
    proxy: Option<Proxy>,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    /// Starts a broker and returns once it answers (about a second).
    ///
    /// # Errors
    /// When Kafka is not there and cannot be fetched, or the broker does not answer within three minutes.
    pub fn start() -> Result<Self> {
        Self::start_with(KafkaOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`Kafka::start`].
    pub fn start_with(options: KafkaOptions) -> Result<Self> {
        Self::start_in(cache::kafka()?, options)
    }

    pub(crate) fn start_in(home: KafkaHome, options: KafkaOptions) -> Result<Self> {
        let mut last = Error::new("no try was made");
        for _ in 0..START_TRIES {
            match Self::try_start(home.clone(), options.clone()) {
                Err(e) if e.to_string().contains("in use") => last = e,
                other => return other,
            }
        }
        Err(last)
    }

    fn try_start(home: KafkaHome, options: KafkaOptions) -> Result<Self> {
        let folder = TempDir::new("kafka")?;
        let data = folder.join("data");
        fs::create_dir(&data).doing(|| format!("make {}", data.display()))?;
        for file in fs::read_dir(home.template()).doing(|| "list the template".into())?.flatten() {
            let copy = fs::copy(file.path(), data.join(file.file_name()));
            copy.doing(|| format!("copy {}", file.path().display()))?;
        }
        let (port, behind) = (free_port(), free_port());
        let proxy = match options.proxied {
            true => Some(Proxy::start(("127.0.0.1", behind))?),
            false => None,
        };
        let advertised = proxy.as_ref().map_or(behind, Proxy::port);
        let text = properties(&data, [port, free_port(), behind, advertised], &options.properties);
        let file = folder.join("server.properties");
        fs::write(&file, text).doing(|| format!("write {}", file.display()))?;
        let kafka = Self { folder, home, options, port, proxy, process: Mutex::new(None) };
        kafka.run()?;
        Ok(kafka)
    }

    fn run(&self) -> Result<()> {
        let mut process = lock(&self.process);
        let archive = self.home.archive();
        let mut launch = Launch::new("java").args(["-Xmx512m", "-Xms128m", "-XX:-UsePerfData"]);
        if !self.options.full_speed {
            launch = launch.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        }
        if archive.exists() {
            launch = launch.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        let broker = launch
            .args(&self.options.jvm)
            .args(["-cp", self.home.classpath(), "kafka.Kafka"])
            .arg(self.folder.join("server.properties"))
            .log(self.log_path())
            .start()?;
        wait_for("Kafka to answer", READY_LIMIT, || match broker.exit_status() {
            Some(status) => {
                let tail = broker.log_tail();
                Err(Error::new(format!("Kafka ended with {status}; its log ends with:\n{tail}")))
            }
            None => Ok(wire::is_ready(self.port).then_some(())),
        })?;
        *process = Some(broker);
        Ok(())
    }

    /// `host:port`, for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` of the proxy; a client that starts there stays behind it.
    ///
    /// # Panics
    /// Without [`KafkaOptions::proxied`].
    #[must_use]
    pub fn proxied_bootstrap(&self) -> String {
        self.proxy().address()
    }

    /// The proxy between clients of [`Kafka::proxied_bootstrap`] and the broker.
    ///
    /// # Panics
    /// Without [`KafkaOptions::proxied`].
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("KafkaOptions::proxied was not set")
    }

    /// The folder with the partitions' logs.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the broker writes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    /// The broker's process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        self.process().take();
    }

    /// An orderly stop.
    ///
    /// # Errors
    /// When it does not run or has not ended after three minutes.
    pub fn stop(&self) -> Result<()> {
        let process = self.process().take();
        process.ok_or_else(|| Error::new("Kafka does not run"))?.terminate(STOP_LIMIT)?;
        Ok(())
    }

    /// Starts it again on the same port and data; where it runs, it is killed first.
    ///
    /// # Errors
    /// When it does not answer within three minutes.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.run()
    }

    /// Stops it where it stands (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.process().as_ref().ok_or_else(|| Error::new("Kafka does not run"))?.pause()
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.process().as_ref().ok_or_else(|| Error::new("Kafka does not run"))?.resume()
    }

    /// Makes a topic and returns once every partition has a leader; one that exists is left as it is.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create_topic(&self, name: &str, partitions: u32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// The same with settings such as `("max.message.bytes", "1024")`.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        create_topic(self.port, name, partitions, settings)
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        wire::delete_topic(self.port, name)
    }

    /// Deletes what lies below these offsets, of partition 0 and on, as retention does; gives where each partition
    /// begins then.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_records(&self, topic: &str, below: &[i64]) -> Result<Vec<i64>> {
        wire::delete_records(self.port, topic, below)
    }

    /// Deletes a group that has no member, with its offsets.
    ///
    /// # Errors
    /// When the broker refuses, as it does while there are members.
    pub fn delete_group(&self, group: &str) -> Result<()> {
        wire::delete_group(self.port, group)
    }

    /// Sets what a group has committed, as an administrator does.
    ///
    /// # Errors
    /// When the broker refuses, as it does while the group has members.
    pub fn commit_offsets(&self, group: &str, offsets: &[Committed]) -> Result<()> {
        wire::commit_offsets(self.port, group, offsets)
    }

    /// The offset behind the last record of each partition (control records count).
    ///
    /// # Errors
    /// When the broker does not answer, or there is no such topic.
    pub fn end_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        wire::end_offsets(self.port, topic, partitions, false)
    }

    /// The same up to the first record of a transaction that is still open.
    ///
    /// # Errors
    /// As for [`Kafka::end_offsets`].
    pub fn stable_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        wire::end_offsets(self.port, topic, partitions, true)
    }

    /// The offset a group has committed for each partition; -1 where it has none.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn group_offsets(&self, group: &str, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        wire::group_offsets(self.port, group, topic, partitions)
    }

    /// The members of a group and what they own, as the coordinator sees them.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn members(&self, group: &str) -> Result<Vec<Member>> {
        wire::members(self.port, group)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        lock(&self.process)
    }
}

/// Makes a topic on a broker of this rig that another process started.
///
/// # Errors
/// When the broker does not answer or refuses.
pub fn create_topic(
    port: u16,
    name: &str,
    partitions: u32,
    settings: &[(&str, &str)],
) -> Result<()> {
    let partitions = i32::try_from(partitions).doing(|| "count partitions".into())?;
    wire::create_topics(port, &[NewTopic { name, partitions, settings }])?;
    wait_until(&format!("leaders of {name}"), READY_LIMIT, || {
        wire::topics_have_leaders(port, &[name])
    })
}

fn properties(
    data: &Path,
    [port, controller, behind, advertised]: [u16; 4],
    more: &[(String, String)],
) -> String {
    let data = data.display();
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
         PROXIED://127.0.0.1:{behind}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{advertised}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
         PROXIED:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         group.consumer.min.session.timeout.ms=1000\n\
         group.consumer.session.timeout.ms=10000\n\
         group.consumer.min.heartbeat.interval.ms=100\n\
         group.consumer.heartbeat.interval.ms=500\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.num.partitions=4\n"
    );
    for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        text += &format!("{topic}.replication.factor=1\n");
    }
    for topic in ["transaction.state.log", "share.coordinator.state.topic"] {
        text += &format!("{topic}.min.isr=1\n");
    }
    for (name, value) in more {
        text += &format!("{name}={value}\n");
    }
    text
}
