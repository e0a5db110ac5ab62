//! A real Apache Kafka broker of its own: one JVM, one data folder, one loopback port. It is deliberately
//! no stand-in: aborted records, committed offsets and their metadata behave as in production.

use crate::cache::{self, KafkaHome};
use crate::error::{Doing, Error, Result};
use crate::kafka_wire::{self, NewTopic};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::proxy::Proxy;
use crate::temp::TempDir;
use crate::wait::{lock, wait_for, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
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
    /// When Kafka is not there and cannot be fetched, or the broker does not answer within a minute.
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
            None => Ok(kafka_wire::is_ready(self.port).then_some(())),
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
    /// When it does not run or has not ended after half a minute.
    pub fn stop(&self) -> Result<()> {
        let process = self.process().take();
        process.ok_or_else(|| Error::new("Kafka does not run"))?.terminate(STOP_LIMIT)?;
        Ok(())
    }

    /// Starts it again on the same port and data; where it runs, it is killed first.
    ///
    /// # Errors
    /// When it does not answer within a minute.
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
        kafka_wire::delete_topic(self.port, name)
    }

    /// The records of a topic, in order of partition and offset, as `read_committed` consumers see them
    /// (read by Kafka's own client, in about a second).
    ///
    /// # Errors
    /// When the reader fails.
    pub fn read_committed(&self, topic: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for line in self.reader("records", topic)? {
            records.push(Record::of(&line)?);
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// What a group has committed, in order of topic and partition.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn committed(&self, group: &str) -> Result<Vec<Committed>> {
        let mut all = Vec::new();
        for line in self.reader("offsets", group)? {
            all.push(Committed {
                topic: line["topic"].as_str().unwrap_or_default().to_owned(),
                partition: whole(&line, "partition")?,
                offset: whole(&line, "offset")?,
                metadata: line["metadata"].as_str().unwrap_or_default().to_owned(),
            });
        }
        all.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(all)
    }

    fn reader(&self, what: &str, of: &str) -> Result<Vec<serde_json::Value>> {
        let output = TempDir::new("reader")?;
        let stdout = output.join("stdout");
        Launch::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"])
            .arg(format!("-XX:SharedArchiveFile={}", self.home.archive().display()))
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-cp")
            .arg(format!("{}:{}", self.home.classpath(), self.home.classes().display()))
            .args(["Reader", &self.bootstrap(), what, of])
            .stdout(&stdout)
            .run(READY_LIMIT)?;
        let text = fs::read_to_string(&stdout).doing(|| "read the reader's output".into())?;
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<std::result::Result<_, _>>().doing(|| "understand the reader".into())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        lock(&self.process)
    }
}

/// A record as a `read_committed` consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, where it has one.
    pub key: Option<Vec<u8>>,
    /// The value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers in their order; a name may stand more than once.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(line: &serde_json::Value) -> Result<Self> {
        let headers = line["headers"].as_array().into_iter().flatten();
        let header = |pair: &serde_json::Value| {
            Ok((pair[0].as_str().unwrap_or_default().to_owned(), bytes(&pair[1])?))
        };
        Ok(Self {
            partition: whole(line, "partition")?,
            offset: whole(line, "offset")?,
            timestamp: whole(line, "timestamp")?,
            key: bytes(&line["key"])?,
            value: bytes(&line["value"])?,
            headers: headers.map(header).collect::<Result<_>>()?,
        })
    }

    /// The value of the first header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset at which the group goes on.
    pub offset: i64,
    /// The text beside it.
    pub metadata: String,
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
    kafka_wire::create_topics(port, &[NewTopic { name, partitions, settings }])?;
    wait_until(&format!("leaders of {name}"), READY_LIMIT, || {
        kafka_wire::topics_have_leaders(port, &[name])
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

fn whole<T: TryFrom<i64>>(line: &serde_json::Value, field: &str) -> Result<T> {
    let number = line[field].as_i64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::new(format!("the reader's line has no {field}: {line}")))
}

fn bytes(value: &serde_json::Value) -> Result<Option<Vec<u8>>> {
    value.as_str().map(base64).transpose()
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for symbol in text.bytes().filter(|symbol| *symbol != b'=') {
        let six = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => return Err(Error::new(format!("{other} is no symbol of base64"))),
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap_or(0));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        assert_eq!(base64("").unwrap(), b"");
        assert_eq!(base64("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!(base64("dG9sbA==").unwrap(), b"toll");
        assert_eq!(base64("YnJpZGdl").unwrap(), b"bridge");
        assert!(base64("d*==").is_err());
    }
}
