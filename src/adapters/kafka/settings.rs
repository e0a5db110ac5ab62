//! What the adapters need to be told, and the librdkafka properties that follow from it. It reads no configuration
//! file and no environment.
//!
//! Properties come in three layers: our defaults, then what the user passes through, then what the promise rests
//! on. The last layer always wins; [`Settings::overridden`] names what it took away.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::ports::publisher::Topic;

/// What a response of the broker may hold, and what a zstd batch may unpack to: a multiple of what a fetch asks for,
/// since a single batch may be larger than that. What bounds the other codecs stands in `unpacking`.
const RECEIVED_BYTES_MAX: u64 = 64 << 20;

/// How members of the group agree on partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `cooperative-sticky`, led by a member; a killed static member is back within a second.
    Classic,
    /// Led by the broker (KIP-848).
    Consumer,
}

/// The names of the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    pub transactions: String,
    pub archived: String,
    pub declined: String,
    pub dead_letter: String,
    pub alerts: String,
}

impl Topics {
    /// The name of an outgoing topic.
    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Archived => &self.archived,
            Topic::Declined => &self.declined,
            Topic::DeadLetter => &self.dead_letter,
            Topic::Alerts => &self.alerts,
        }
    }
}

/// Everything a Kafka client of this process is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    pub group_id: String,
    pub client_id: String,
    /// Becomes `group.instance.id` and, behind the group's id, `transactional.id`. `None`: no static membership.
    pub instance_id: Option<String>,
    /// Names this producer among all of the group's; two processes must never share it.
    pub transactional_id: String,
    pub protocol: Protocol,
    pub topics: Topics,
    /// Only for the classic protocol; the other one has the broker's.
    pub session_timeout: Duration,
    /// Below the session timeout, so that a dead owner's transaction ends before its partitions move.
    pub transaction_timeout: Duration,
    /// How long one request may take. A commit counts as clean only where each call took less than half of it.
    pub request_timeout: Duration,
    /// What the user passes through to librdkafka (TLS, SASL, tuning).
    pub properties: BTreeMap<String, String>,
}

/// A property of the user that safety or another key of the configuration overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    pub property: String,
    pub given: String,
    /// What is used instead; `None`: the property is left out.
    pub used: Option<String>,
}

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The group member that reads the transactions.
    Member,
    /// Reads offsets and topics without joining the group.
    Reader,
    /// The transactional producer.
    Publisher,
    /// A plain idempotent producer, for generated load.
    Feeder,
    Admin,
}

type Properties = Vec<(&'static str, String)>;

impl Settings {
    /// The user's properties that don't take effect as given, in the order of their names.
    #[must_use]
    pub fn overridden(&self) -> Vec<Overridden> {
        let mut found = BTreeMap::new();
        for role in [Role::Member, Role::Publisher] {
            let pinned: BTreeMap<_, _> = self.pinned(role).into_iter().collect();
            for (property, given) in &self.properties {
                let used = pinned.get(property.as_str());
                let refused = used.is_none() && self.refused(property);
                if refused || used.is_some_and(|used| used != given) {
                    found.insert(property.clone(), (given.clone(), used.cloned()));
                }
            }
        }
        let overridden = |(property, (given, used))| Overridden { property, given, used };
        found.into_iter().map(overridden).collect()
    }

    /// `receive.message.max.bytes` of those who read.
    #[must_use]
    pub fn received_bytes_max(&self) -> u64 {
        let given = self.properties.get("receive.message.max.bytes");
        given.and_then(|text| text.parse().ok()).unwrap_or(RECEIVED_BYTES_MAX)
    }

    pub(super) fn client(&self, role: Role) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (property, value) in self.defaults(role) {
            client.set(property, value);
        }
        for (property, value) in self.properties.iter().filter(|(p, _)| self.applies(role, p)) {
            client.set(property, value);
        }
        for (property, value) in self.pinned(role) {
            client.set(property, value);
        }
        client.set_log_level(RDKafkaLogLevel::Info);
        client
    }

    /// What the user may change.
    fn defaults(&self, role: Role) -> Properties {
        let mut all = vec![("socket.timeout.ms", ms(self.request_timeout))];
        match role {
            // Each partition prefetches for itself, so these bounds are per partition.
            Role::Member | Role::Reader => all.extend([
                ("queued.max.messages.kbytes", "4096".into()),
                ("queued.min.messages", "2000".into()),
                ("fetch.max.bytes", (16 << 20).to_string()),
                ("fetch.message.max.bytes", (1 << 20).to_string()),
                ("receive.message.max.bytes", RECEIVED_BYTES_MAX.to_string()),
                // The default of one second would let a drained queue stay empty for as long.
                ("fetch.queue.backoff.ms", "10".into()),
                // What trickles in is fetched ten milliseconds' worth at a time: a request for every few records costs
                // broker and client more than the records do. A backlog, which fills the answer, is not waited for.
                ("fetch.wait.max.ms", "10".into()),
                ("fetch.min.bytes", (64 << 10).to_string()),
                ("reconnect.backoff.max.ms", "1000".into()),
            ]),
            Role::Publisher | Role::Feeder => all.extend([
                // The publisher flushes what it has produced: until then nothing shall leave, since each request costs
                // a broker about as much as its bytes.
                ("linger.ms", if role == Role::Publisher { "50" } else { "2" }.into()),
                // Costs the least CPU of the codecs that are always built in; events compress well with any.
                ("compression.type", "lz4".into()),
                // As Java producers place keys, so that events meet other topics of the same keys.
                ("partitioner", "murmur2_random".into()),
                ("message.max.bytes", "1048588".into()),
                ("reconnect.backoff.max.ms", "1000".into()),
            ]),
            Role::Admin => {}
        }
        all
    }

    /// What the promise rests on, or what another key of the configuration says.
    fn pinned(&self, role: Role) -> Properties {
        let mut all = vec![
            ("bootstrap.servers", self.brokers.clone()),
            ("client.id", self.client_id.clone()),
            ("allow.auto.create.topics", "false".into()),
        ];
        match role {
            Role::Member => self.pin_member(&mut all),
            Role::Reader => {
                all.push(("group.id", self.group_id.clone()));
                pin_reading(&mut all);
            }
            Role::Publisher => {
                all.extend([
                    ("transactional.id", self.transactional_id.clone()),
                    ("transaction.timeout.ms", ms(self.transaction_timeout)),
                    ("enable.idempotence", "true".into()),
                    ("acks", "all".into()),
                    // The default of 100 ms is slept out in most commits, right after the previous one.
                    ("retry.backoff.ms", "10".into()),
                    ("retry.backoff.max.ms", "20".into()),
                ]);
            }
            Role::Feeder => {
                all.extend([("enable.idempotence", "true".into()), ("acks", "all".into())]);
            }
            Role::Admin => {}
        }
        all
    }

    fn pin_member(&self, all: &mut Properties) {
        all.push(("group.id", self.group_id.clone()));
        if let Some(id) = &self.instance_id {
            all.push(("group.instance.id", id.clone()));
        }
        match self.protocol {
            Protocol::Classic => all.extend([
                ("group.protocol", "classic".into()),
                ("partition.assignment.strategy", "cooperative-sticky".into()),
                ("session.timeout.ms", ms(self.session_timeout)),
                // With the default of 3 s a rebalance takes 6 s instead of one.
                ("heartbeat.interval.ms", "500".into()),
            ]),
            Protocol::Consumer => all.push(("group.protocol", "consumer".into())),
        }
        pin_reading(all);
    }

    /// Whether a property of the user is handed to a client of this role.
    fn applies(&self, role: Role, property: &str) -> bool {
        match role {
            Role::Member | Role::Publisher => !self.refused(property),
            // These join no group and open no transaction.
            Role::Reader | Role::Feeder | Role::Admin => {
                !OF_MEMBERSHIP.contains(&property) && property != "transactional.id"
            }
        }
    }

    /// What librdkafka rejects beside the protocol, and what would give this process another's identity.
    fn refused(&self, property: &str) -> bool {
        let broker_led = self.protocol == Protocol::Consumer;
        (broker_led && OF_CLASSIC_MEMBERS.contains(&property))
            || (property == "group.instance.id" && self.instance_id.is_none())
    }
}

/// The broker's business under the `consumer` protocol.
const OF_CLASSIC_MEMBERS: [&str; 4] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.protocol.type",
];

const OF_MEMBERSHIP: [&str; 8] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    // librdkafka holds it against the session timeout, which is its own default where nobody joins.
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "group.protocol.type",
    "group.protocol",
    "group.remote.assignor",
    "group.instance.id",
];

fn pin_reading(all: &mut Properties) {
    all.extend([
        // The only commit path is the transactional producer.
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // Also makes reading the committed offsets wait for pending transactions.
        ("isolation.level", "read_committed".into()),
        // A lost offset stops the partition; it never jumps.
        ("auto.offset.reset", "error".into()),
        ("enable.partition.eof", "true".into()),
        ("check.crcs", "true".into()),
    ]);
}

fn ms(time: Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
