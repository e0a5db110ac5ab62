//! A real Apache Kafka of its own: one broker, or a cluster of several, each with a JVM, a data folder and loopback
//! ports. It is deliberately no stand-in: aborted records, committed offsets and their metadata, and coordinators that
//! move from broker to broker behave as in production.

mod ask;
mod broker;
mod codec;
mod groups;
mod records;
mod secured;
mod wire;

use self::ask::{ask, ask_each};
pub use self::broker::Broker;
use self::broker::READY_LIMIT;
use self::groups::Coordinates;
pub use self::groups::Member;
pub use self::records::{Committed, Record};
pub use self::secured::{Operation, Resource, Right, Secured};
use self::wire::NewTopic;
use crate::cache::{self, KafkaHome};
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::proxy::Proxy;
use crate::wait::wait_until;
use std::path::PathBuf;
use std::time::Duration;

/// Ports are ours, but a foreign program may still take one at the last moment.
const START_TRIES: u32 = 3;

/// How Kafka is started; the default suits tests.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// How many brokers. Several are controllers too; each record has three copies then, of which two are waited for.
    pub brokers: usize,
    /// Compile fully, as in production: for measurements. Else the JVM compiles quickly only, which
    /// halves the processor time of a start.
    pub full_speed: bool,
    /// Put a [`Proxy`] between each broker and whoever uses [`Kafka::proxied_bootstrap`].
    pub proxied: bool,
    /// Lines for `server.properties`, over those of the rig.
    pub properties: Vec<(String, String)>,
    /// More arguments for the JVM.
    pub jvm: Vec<String>,
    /// Whether a broker that is alone has a listener for these users, too, and asks what they may do.
    pub secured: Option<Secured>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        let (properties, jvm) = (Vec::new(), Vec::new());
        let secured = None;
        Self { brokers: 1, full_speed: false, proxied: false, properties, jvm, secured }
    }
}

/// One broker or several. Dropping it kills them and removes their data.
#[derive(Debug)]
pub struct Kafka {
    home: KafkaHome,
    brokers: Vec<Broker>,
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
            match Self::try_start(home.clone(), &options) {
                Err(e) if e.to_string().contains("in use") => last = e,
                other => return other,
            }
        }
        Err(last)
    }

    fn try_start(home: KafkaHome, options: &KafkaOptions) -> Result<Self> {
        let controllers: Vec<u16> = (0..options.brokers).map(|_| free_port()).collect();
        let broker = |id| Broker::new(id, &controllers, home.clone(), options.clone());
        let brokers = (1..=options.brokers).map(broker).collect::<Result<Vec<_>>>()?;
        if brokers.is_empty() {
            return Err(Error::new("Kafka needs a broker"));
        }
        let kafka = Self { home, brokers };
        kafka.run()?;
        Ok(kafka)
    }

    /// All at once: none of several answers without another.
    fn run(&self) -> Result<()> {
        self.brokers.iter().try_for_each(Broker::launch)?;
        self.brokers.iter().try_for_each(Broker::wait_ready)?;
        self.wait_in_sync(READY_LIMIT)
    }

    /// The brokers, in the order of their ids.
    #[must_use]
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// `host:port` of each broker, with commas, for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses = self.ports().into_iter().map(|port| format!("127.0.0.1:{port}"));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The same of the proxies; a client that starts there stays behind them.
    ///
    /// # Panics
    /// Without [`KafkaOptions::proxied`].
    #[must_use]
    pub fn proxied_bootstrap(&self) -> String {
        let addresses = self.brokers.iter().map(|broker| broker.proxy().address());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// `host:port` of the listener that asks who comes.
    ///
    /// # Panics
    /// Without [`KafkaOptions::secured`].
    #[must_use]
    pub fn secured_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.brokers[0].secured().port)
    }

    /// The certificate that vouches for that listener, PEM.
    ///
    /// # Panics
    /// Without [`KafkaOptions::secured`].
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.brokers[0].secured().certificate.clone()
    }

    /// Gives a user these rights.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn allow(&self, user: &str, rights: &[Right]) -> Result<()> {
        secured::allow(self.any_port(), user, rights)
    }

    /// Takes these rights from a user who has them.
    ///
    /// # Errors
    /// When the broker refuses, or there is no such right.
    pub fn forbid(&self, user: &str, rights: &[Right]) -> Result<()> {
        secured::forbid(self.any_port(), user, rights)
    }

    /// The port of the first broker.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.brokers[0].port()
    }

    /// The proxy before the first broker, which may be the only one.
    ///
    /// # Panics
    /// Without [`KafkaOptions::proxied`].
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.brokers[0].proxy()
    }

    /// The folder with the first broker's logs of partitions.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.brokers[0].data_path()
    }

    /// The first broker's process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.brokers[0].pid()
    }

    /// SIGKILL to all; returns once they are gone.
    pub fn kill(&self) {
        self.brokers.iter().for_each(Broker::kill);
    }

    /// An orderly stop, one after another.
    ///
    /// # Errors
    /// When one does not run or has not ended after three minutes.
    pub fn stop(&self) -> Result<()> {
        self.brokers.iter().try_for_each(Broker::stop)
    }

    /// Starts all again on the same ports and data; what runs is killed first.
    ///
    /// # Errors
    /// When one does not answer within three minutes.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.run()
    }

    /// Waits until each of several brokers runs and has all that it shall have.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub fn wait_in_sync(&self, limit: Duration) -> Result<()> {
        let brokers = self.brokers.len();
        if brokers == 1 {
            return Ok(());
        }
        let all_say_so = || self.ports().into_iter().all(|port| wire::all_in_sync(port, brokers));
        wait_until("all brokers to be in sync", limit, all_say_so)
    }

    /// The brokers that lead a topic's partitions, from 0 on.
    ///
    /// # Errors
    /// When none answers, or there is no such topic.
    pub fn leaders(&self, topic: &str) -> Result<Vec<i32>> {
        let what = format!("the leaders of {topic}");
        ask(&what, &self.ports(), |port| wire::leaders(port, topic))
    }

    /// The broker that coordinates a group.
    ///
    /// # Errors
    /// When none answers.
    pub fn group_coordinator(&self, group: &str) -> Result<i32> {
        self.coordinator(Coordinates::Group, group)
    }

    /// The broker that coordinates the transactions under this transactional id.
    ///
    /// # Errors
    /// When none answers.
    pub fn transactions_coordinator(&self, transactional_id: &str) -> Result<i32> {
        self.coordinator(Coordinates::Transactions, transactional_id)
    }

    fn coordinator(&self, of: Coordinates, name: &str) -> Result<i32> {
        let what = format!("the coordinator of {name}");
        ask(&what, &self.ports(), |port| groups::coordinator(port, of, name))
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
        create_topic(self.any_port(), name, partitions, settings)
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        wire::delete_topic(self.any_port(), name)
    }

    /// Deletes what lies below these offsets, of partition 0 and on, as retention does; gives where each partition
    /// begins then.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete_records(&self, topic: &str, below: &[i64]) -> Result<Vec<i64>> {
        let what = format!("a deletion of records of {topic}");
        ask_each(&what, &self.ports(), |port| wire::delete_records(port, topic, below))
    }

    /// Deletes a group that has no member, with its offsets.
    ///
    /// # Errors
    /// When the broker refuses, as it does while there are members.
    pub fn delete_group(&self, group: &str) -> Result<()> {
        let what = format!("the deletion of {group}");
        ask(&what, &self.ports(), |port| groups::delete_group(port, group))
    }

    /// Sets what a group has committed, as an administrator does.
    ///
    /// # Errors
    /// When the broker refuses, as it does while the group has members.
    pub fn commit_offsets(&self, group: &str, offsets: &[Committed]) -> Result<()> {
        let what = format!("the offsets of {group}");
        let told =
            ask_each(&what, &self.ports(), |port| groups::commit_offsets(port, group, offsets))?;
        match told.len() == offsets.len() {
            true => Ok(()),
            false => Err(Error::new(format!("the brokers took {} of {}", told.len(), what))),
        }
    }

    /// The offset behind the last record of each partition (control records count).
    ///
    /// # Errors
    /// When the broker does not answer, or there is no such topic.
    pub fn end_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        self.ends(topic, partitions, false)
    }

    /// The same up to the first record of a transaction that is still open.
    ///
    /// # Errors
    /// As for [`Kafka::end_offsets`].
    pub fn stable_offsets(&self, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        self.ends(topic, partitions, true)
    }

    /// The offset a group has committed for each partition; -1 where it has none.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn group_offsets(&self, group: &str, topic: &str, partitions: u32) -> Result<Vec<i64>> {
        let what = format!("the offsets of {group}");
        ask(&what, &self.ports(), |port| groups::group_offsets(port, group, topic, partitions))
    }

    /// The members of a group and what they own, as the coordinator sees them.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn members(&self, group: &str) -> Result<Vec<Member>> {
        let what = format!("the members of {group}");
        ask(&what, &self.ports(), |port| groups::members(port, group))
    }

    fn ends(&self, topic: &str, partitions: u32, stable: bool) -> Result<Vec<i64>> {
        let what = format!("the ends of {topic}");
        ask_each(&what, &self.ports(), |port| wire::end_offsets(port, topic, partitions, stable))
    }

    fn ports(&self) -> Vec<u16> {
        self.brokers.iter().map(Broker::port).collect()
    }

    /// Of a broker that runs, where one does: any can be asked what the controller decides.
    fn any_port(&self) -> u16 {
        let running = self.brokers.iter().find(|broker| broker.pid().is_some());
        running.map_or(self.port(), Broker::port)
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
