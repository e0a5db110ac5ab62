//! `[kafka]`: the brokers, the consumer group, the topics, and what goes to librdkafka as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::Reader;
use super::secret::Secret;

#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, with commas between.
    pub brokers: String,
    pub group_id: String,
    /// Gives `group.instance.id` and `transactional.id`; unset: random ones.
    pub instance_id: Option<String>,
    pub protocol: Protocol,
    /// Where a partition begins that the group has never committed.
    pub start: StartAt,
    /// Without a heartbeat for this long a member is out. Classic protocol only; the other leaves it to the broker.
    pub session_timeout: Duration,
    /// The brokers abort a Kafka transaction that is open for longer.
    pub transaction_timeout: Duration,
    /// The longest wait for one answer of a broker.
    pub request_timeout: Duration,
    pub topics: Topics,
    /// Passed to librdkafka. Printing masks every value.
    pub properties: BTreeMap<String, Secret>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    Consumer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    Latest,
}

/// Properties that the promise hangs on or that have a key of their own, and what to do instead.
const OWNED: [(&str, &str); 22] = [
    ("auto.offset.reset", "Use kafka.start."),
    ("bootstrap.servers", "Use kafka.brokers."),
    ("client.rack", "Remove it: rack-aware assignment is not supported in this version."),
    ("enable.auto.commit", "Remove it: offsets are only committed in Kafka transactions."),
    ("enable.auto.offset.store", "Remove it: offsets are only committed in Kafka transactions."),
    ("enable.gapless.guarantee", "Remove it: the producer is transactional."),
    ("enable.idempotence", "Remove it: the producer is always idempotent."),
    ("enable.partition.eof", "Remove it: it is always on."),
    ("group.id", "Use kafka.group_id."),
    ("group.instance.id", "Use kafka.instance_id."),
    ("group.protocol", "Use kafka.protocol."),
    ("group.remote.assignor", "Remove it: the broker's default is used."),
    ("isolation.level", "Remove it: it is always read_committed."),
    ("max.in.flight.requests.per.connection", "Remove it: the producer is idempotent."),
    ("metadata.broker.list", "Use kafka.brokers."),
    ("partition.assignment.strategy", "Remove it: Tollbridge chooses it."),
    ("plugin.library.paths", "Remove it: plug-ins are not loaded."),
    ("acks", "Remove it: it is always all."),
    ("request.required.acks", "Remove it: it is always all."),
    ("session.timeout.ms", "Use kafka.session_timeout."),
    ("transaction.timeout.ms", "Use kafka.transaction_timeout."),
    ("transactional.id", "Use kafka.instance_id."),
];

impl Kafka {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let brokers: Vec<String> =
            r.must("kafka.brokers", "Name the brokers, for example \"kafka-1:9092,kafka-2:9092\".");
        let group_id = r.or("kafka.group_id", "tollbridge".to_owned());
        let instance_id = r.maybe::<String>("kafka.instance_id");
        if instance_id.as_deref().is_some_and(|id| !is_name(id)) {
            r.refuse(
                "kafka.instance_id",
                NAME_RULE,
                "Choose such a name, another for each process.",
            );
        }
        let protocol = r.choice(
            "kafka.protocol",
            Protocol::Classic,
            &[("classic", Protocol::Classic), ("consumer", Protocol::Consumer)],
        );
        let start = r.choice(
            "kafka.start",
            StartAt::Earliest,
            &[("earliest", StartAt::Earliest), ("latest", StartAt::Latest)],
        );
        let session_timeout = r.period("kafka.session_timeout", "10s", ["1s", "5m"]);
        if protocol == Protocol::Consumer && r.is_set("kafka.session_timeout") {
            r.refuse(
                "kafka.session_timeout",
                "with kafka.protocol = \"consumer\" the broker decides it",
                "Remove it, and set group.consumer.session.timeout.ms on the brokers.",
            );
        }
        Self {
            brokers: brokers.join(","),
            group_id,
            instance_id,
            protocol,
            start,
            session_timeout,
            transaction_timeout: r.period("kafka.transaction_timeout", "8s", ["1s", "5m"]),
            request_timeout: r.period("kafka.request_timeout", "5s", ["100ms", "1m"]),
            topics: Topics::read(r),
            properties: properties(r),
        }
    }
}

impl Topics {
    fn read(r: &mut Reader<'_>) -> Self {
        let mut name = |key: &str, default: &str| {
            let key = format!("kafka.topics.{key}");
            let name = r.or(&key, default.to_owned());
            if !is_name(&name) || name == "." || name == ".." {
                r.refuse(&key, NAME_RULE, "Choose such a name.");
            }
            name
        };
        let topics = Self {
            transactions: name("transactions", "transactions"),
            archived: name("archived", "tx-archived"),
            declined: name("declined", "tx-declined"),
            dead_letter: name("dead_letter", "tx-dead-letter"),
            alerts: name("alerts", "tx-alerts"),
        };
        topics.check(r);
        topics
    }

    /// Archived and declined events may share a topic; nothing else may.
    fn check(&self, r: &mut Reader<'_>) {
        let all = [
            ("transactions", &self.transactions),
            ("archived", &self.archived),
            ("declined", &self.declined),
            ("dead_letter", &self.dead_letter),
            ("alerts", &self.alerts),
        ];
        for (i, (key, name)) in all.iter().enumerate() {
            let shared = all[..i].iter().find(|(_, earlier)| earlier == name);
            if let Some((other, _)) =
                shared.filter(|(other, _)| (*other, *key) != ("archived", "declined"))
            {
                let key = format!("kafka.topics.{key}");
                let problem = format!("kafka.topics.{other} names the same topic, {name:?}");
                r.refuse(&key, problem, "Only archived and declined may share a topic.");
            }
        }
    }
}

const NAME_RULE: &str = "a name has 1 to 249 characters of A-Z a-z 0-9 . _ -";

fn is_name(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The plain properties, and those whose values stand in files.
fn properties(r: &mut Reader<'_>) -> BTreeMap<String, Secret> {
    const FILES: &str = "kafka.property_files";
    let mut out = r.map("kafka.properties");
    for (name, path) in r.map(FILES) {
        if out.contains_key(&name) {
            r.refuse(FILES, format!("kafka.properties has {name} too"), "Keep one of the two.");
        }
        if let Some(secret) = r.secret_file(FILES, std::path::Path::new(path.expose())) {
            out.insert(name, secret);
        }
    }
    for (name, instead) in OWNED {
        if out.contains_key(name) {
            r.refuse(&format!("kafka.properties.{name}"), "Tollbridge sets it itself", instead);
        }
    }
    out
}
