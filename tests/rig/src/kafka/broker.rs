//! One broker of a cluster, and controller too: a JVM, a data folder and loopback ports of its own, and the proxy
//! before it. Deliberately it knows nothing of topics and groups.

use super::secured::Listener;
use super::{KafkaOptions, wire};
use crate::cache::{self, KafkaHome};
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::proxy::Proxy;
use crate::temp::TempDir;
use crate::wait::{lock, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

pub(super) const READY_LIMIT: Duration = Duration::from_secs(180);
/// A JVM that writes its class archive at its end is busy for long.
const STOP_LIMIT: Duration = Duration::from_secs(180);
/// How much memory a broker gets; several share a machine.
const HEAP_ALONE: [&str; 2] = ["-Xmx512m", "-Xms128m"];
const HEAP_OF_SEVERAL: [&str; 2] = ["-Xmx256m", "-Xms64m"];
/// The others take over this soon where one is killed; the usual nine seconds are longer than most tests want to wait.
const NOTICED_SOON: &str = "broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n";

/// A broker. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    id: i32,
    folder: TempDir,
    home: KafkaHome,
    options: KafkaOptions,
    port: u16,
    proxy: Option<Proxy>,
    secured: Option<Listener>,
    process: Mutex<Option<Process>>,
}

impl Broker {
    /// The broker of this id, 1 and on, in a cluster with a controller on each of these ports. It is not started yet.
    pub(super) fn new(
        id: usize,
        controllers: &[u16],
        home: KafkaHome,
        options: KafkaOptions,
    ) -> Result<Self> {
        let folder = TempDir::new("kafka")?;
        let data = folder.join("data");
        let secured = match &options.secured {
            Some(secured) => {
                cache::format(folder.path(), home.classpath(), &data, &secured.users)?;
                Some(Listener::new(folder.path())?)
            }
            None => lay_out(&home, &data, id).map(|()| None)?,
        };
        let (port, behind) = (free_port(), free_port());
        let proxy = match options.proxied {
            true => Some(Proxy::start(("127.0.0.1", behind))?),
            false => None,
        };
        let advertised = proxy.as_ref().map_or(behind, Proxy::port);
        let ports = [port, behind, advertised];
        let text = properties(id, &data, controllers, ports, secured.as_ref(), &options.properties);
        let file = folder.join("server.properties");
        fs::write(&file, text).doing(|| format!("write {}", file.display()))?;
        let id = i32::try_from(id).doing(|| "number a broker".into())?;
        Ok(Self { id, folder, home, options, port, proxy, secured, process: Mutex::new(None) })
    }

    /// Starts it; it need not answer yet.
    pub(super) fn launch(&self) -> Result<()> {
        let archive = self.home.archive();
        let heap = if self.options.brokers > 1 { HEAP_OF_SEVERAL } else { HEAP_ALONE };
        let mut launch = Launch::new("java").args(heap).arg("-XX:-UsePerfData");
        if !self.options.full_speed {
            launch = launch.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        }
        // Its log shall be held against those of others.
        launch = launch.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
        launch = launch.arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS");
        if archive.exists() {
            launch = launch.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        let broker = launch
            .args(&self.options.jvm)
            .args(["-cp", self.home.classpath(), "kafka.Kafka"])
            .arg(self.folder.join("server.properties"))
            .log(self.log_path())
            .start()?;
        *self.process() = Some(broker);
        Ok(())
    }

    /// Waits until it answers; one that does not is killed.
    pub(super) fn wait_ready(&self) -> Result<()> {
        let ready = wait_for("Kafka to answer", READY_LIMIT, || {
            let ended = self.process().as_ref().map(|p| (p.exit_status(), p.log_tail()));
            match ended {
                None => Err(Error::new("Kafka does not run")),
                Some((Some(status), tail)) => Err(Error::new(format!(
                    "Kafka ended with {status}; its log ends with:\n{tail}"
                ))),
                Some((None, _)) => Ok(wire::is_ready(self.port).then_some(())),
            }
        });
        if ready.is_err() {
            self.kill();
        }
        ready
    }

    /// Its id: 1 and on.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The proxy between it and clients of [`super::Kafka::proxied_bootstrap`].
    ///
    /// # Panics
    /// Without [`KafkaOptions::proxied`].
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("KafkaOptions::proxied was not set")
    }

    /// The listener that asks who comes.
    ///
    /// # Panics
    /// Without [`KafkaOptions::secured`].
    pub(super) fn secured(&self) -> &Listener {
        self.secured.as_ref().expect("KafkaOptions::secured was not set")
    }

    /// The folder with the partitions' logs.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it writes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    /// Its process id, where it runs.
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
        self.launch()?;
        self.wait_ready()
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

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        lock(&self.process)
    }
}

/// A data folder as it is formatted for the broker of this id. The template is that of broker 1; what differs for
/// another one is its number and the name of its folder, which no two of a cluster may share.
fn lay_out(home: &KafkaHome, data: &Path, id: usize) -> Result<()> {
    fs::create_dir(data).doing(|| format!("make {}", data.display()))?;
    for file in fs::read_dir(home.template()).doing(|| "list the template".into())?.flatten() {
        let copy = fs::copy(file.path(), data.join(file.file_name()));
        copy.doing(|| format!("copy {}", file.path().display()))?;
    }
    if id == 1 {
        return Ok(());
    }
    let meta = data.join("meta.properties");
    let text = fs::read_to_string(&meta).doing(|| "read the template".into())?;
    fs::write(&meta, meta_of(&text, id)).doing(|| format!("write {}", meta.display()))
}

fn meta_of(template: &str, id: usize) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some(("node.id", _)) => format!("node.id={id}\n"),
        // Its last symbol ends in four bits that stand for nothing, so it is a front one that differs.
        Some(("directory.id", name)) if name.len() > 4 => {
            format!("directory.id={}{id:04}{}\n", &name[..1], &name[5..])
        }
        _ => format!("{line}\n"),
    };
    template.lines().map(line).collect()
}

fn properties(
    id: usize,
    data: &Path,
    controllers: &[u16],
    [port, behind, advertised]: [u16; 3],
    secured: Option<&Listener>,
    more: &[(String, String)],
) -> String {
    let (data, controller) = (data.display(), controllers[id - 1]);
    let voters = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
    let voters = voters.collect::<Vec<_>>().join(",");
    let listener = |listener: &Listener| format!(",SECURED://127.0.0.1:{}", listener.port);
    let asking = secured.map(listener).unwrap_or_default();
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id={id}\n\
         controller.quorum.voters={voters}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
         PROXIED://127.0.0.1:{behind}{asking}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{advertised}{asking}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
         PROXIED:PLAINTEXT,SECURED:SASL_SSL\n\
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
    // Of three copies two must have a record before it counts.
    let (copies, in_sync) = (controllers.len().min(3), controllers.len().min(2));
    text += &format!("default.replication.factor={copies}\nmin.insync.replicas={in_sync}\n");
    for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        text += &format!("{topic}.replication.factor={copies}\n");
    }
    for topic in ["transaction.state.log", "share.coordinator.state.topic"] {
        text += &format!("{topic}.min.isr={in_sync}\n");
    }
    if controllers.len() > 1 {
        text += NOTICED_SOON;
    }
    text += &secured.map(Listener::properties).unwrap_or_default();
    for (name, value) in more {
        text += &format!("{name}={value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{meta_of, properties};
    use std::path::Path;

    #[test]
    fn another_broker_has_another_number_and_another_folder() {
        let template = "#\nnode.id=1\ndirectory.id=PaiIekyt_XunnK0sDGyTjw\nversion=1\n";
        let third = "#\nnode.id=3\ndirectory.id=P0003kyt_XunnK0sDGyTjw\nversion=1\n";
        assert_eq!(meta_of(template, 3), third);
    }

    #[test]
    fn of_three_brokers_each_record_has_three_copies_and_needs_two() {
        let text = |id, controllers: &[u16]| {
            properties(id, Path::new("/data"), controllers, [1, 2, 3], None, &[])
        };
        let alone = text(1, &[9]);
        assert!(alone.contains("quorum.voters=1@127.0.0.1:9\n"), "{alone}");
        assert!(alone.contains("default.replication.factor=1\nmin.insync.replicas=1\n"), "{alone}");
        assert!(!alone.contains("session.timeout.ms=3000"), "{alone}");
        let second = text(2, &[7, 8, 9]);
        assert!(second.contains("node.id=2\n"), "{second}");
        let voters = "quorum.voters=1@127.0.0.1:7,2@127.0.0.1:8,3@127.0.0.1:9\n";
        assert!(second.contains(voters), "{second}");
        assert!(second.contains("CONTROLLER://127.0.0.1:8,"), "{second}");
        assert!(second.contains("default.replication.factor=3\nmin.insync.replicas=2\n"));
        assert!(second.contains("transaction.state.log.min.isr=2\n"), "{second}");
    }
}
