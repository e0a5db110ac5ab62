//! What librdkafka calls back: rebalances, errors, log lines. Each is only written down; the consumer's thread
//! acts on it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, TopicPartitionList};

use super::errors::describe;
use super::group::Group;
use crate::domain::id::Partition;

/// A rebalance that waits for its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    Assigned(Vec<Partition>),
    Revoked { partitions: Vec<Partition>, lost: bool },
}

/// The context of the group member.
pub(super) struct MemberContext {
    group: Arc<Group>,
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// librdkafka's words for the last error.
    reason: Mutex<String>,
    /// Something was called back, so there may be more.
    busy: AtomicBool,
    /// A heartbeat was sent, and its answer was not waited for any longer; it may have told of a new assignment.
    has_missed: AtomicBool,
    /// Nobody is left to ask: rebalances are answered here.
    leaving: AtomicBool,
}

impl MemberContext {
    pub(super) fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            rebalances: Mutex::default(),
            reason: Mutex::default(),
            busy: AtomicBool::new(false),
            has_missed: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        }
    }

    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether anything was called back since the last time it was asked.
    pub(super) fn was_busy(&self) -> bool {
        self.busy.swap(false, Ordering::AcqRel)
    }

    /// Whether the group may have told us something that we did not hear, and that nobody will repeat.
    pub(super) fn has_missed(&self) -> bool {
        self.has_missed.load(Ordering::Acquire)
    }

    /// What was missed is told anew, or was all that there was.
    pub(super) fn has_caught_up(&self) {
        self.has_missed.store(false, Ordering::Release);
    }

    pub(super) fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    fn note(&self, rebalance: Rebalance) {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.busy.store(true, Ordering::Release);
        if is_answer_lost(facility, message) {
            self.has_missed.store(true, Ordering::Release);
        }
        log(level, facility, message);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.busy.store(true, Ordering::Release);
        let text = format!("{}: {reason}", describe(&error));
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl ConsumerContext for MemberContext {
    /// librdkafka stays in its state "waiting for the assign call" after this has returned, until the thread
    /// answers: it goes on sending heartbeats, keeps what is fetched from the application, and takes up no further
    /// rebalance. That state, not this call, is the barrier.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        self.busy.store(true, Ordering::Release);
        // An answer with an assignment carries all of it.
        self.has_caught_up();
        let partitions: Vec<_> =
            list.elements().iter().map(|element| Partition(element.partition())).collect();
        let assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if partitions.is_empty() || self.leaving.load(Ordering::Acquire) {
            answer_alone(consumer, assigned);
        } else if assigned {
            self.group.own(&partitions);
            self.note(Rebalance::Assigned(partitions));
        } else {
            self.group.disown(&partitions);
            self.note(Rebalance::Revoked { partitions, lost: consumer.assignment_lost() });
        }
    }
}

/// Whether a heartbeat of the `consumer` protocol went unanswered that the broker may have got. librdkafka (2.12) sends
/// it again as it was, which does not ask for the assignment, and the broker does not repeat what it believes to be
/// known. A broken connection is another matter: after that librdkafka asks for everything. Only its log tells the two
/// apart.
fn is_answer_lost(facility: &str, message: &str) -> bool {
    facility == "REQTMOUT" && message.contains("ConsumerGroupHeartbeatRequest in flight")
}

/// Answers a rebalance that concerns no partition, or that comes while the consumer closes: then librdkafka reads
/// any answer as "give up everything".
fn answer_alone(consumer: &BaseConsumer<MemberContext>, assigned: bool) {
    let none = TopicPartitionList::new();
    let answered = match assigned {
        true => consumer.incremental_assign(&none),
        false => consumer.incremental_unassign(&none),
    };
    if let Err(error) = answered {
        tracing::warn!(target: "kafka", error = %describe(&error), "rebalance not answered");
    }
}

/// The context of clients that only ask.
#[derive(Debug)]
pub(super) struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn stats_raw(&self, _: &[u8]) {}
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", error = %describe(&error), reason, "client");
    }
}

impl ConsumerContext for QuietContext {}

/// The context of who asks only why the brokers would not listen: whoever they refuse, to him they seem to be away.
#[derive(Debug, Default)]
pub(super) struct AskingContext {
    refusal: Mutex<Option<String>>,
}

impl AskingContext {
    /// The last one.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for AskingContext {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, _: KafkaError, reason: &str) {
        if let Some(why) = refusal(reason) {
            let mut last = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(why.to_owned());
        }
    }
}

impl ProducerContext for AskingContext {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// What a broker has against us, or we against its certificate, without when and where.
fn refusal(message: &str) -> Option<&str> {
    const KINDS: [&str; 2] = ["SASL authentication error: ", "SSL handshake failed: "];
    let begins = KINDS.iter().find_map(|kind| message.find(kind))?;
    message[begins..].split(" (after ").next()
}

/// What became of the messages that a producer was given.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub delivered: u64,
    pub failed: u64,
    /// The first failed delivery, or the first broken connection.
    pub trouble: Option<String>,
}

/// The context of producers: counts delivery reports and disturbances.
#[derive(Debug, Default)]
pub(super) struct ProducingContext {
    tally: Mutex<Tally>,
}

impl ProducingContext {
    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was counted so far.
    pub(super) fn reset(&self) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally::default();
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ClientContext for ProducingContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
    fn stats_raw(&self, _: &[u8]) {}
    fn error(&self, error: KafkaError, reason: &str) {
        let text = format!("{}: {reason}", describe(&error));
        self.count(|tally| {
            tally.trouble.get_or_insert(text);
        });
    }
}

impl ProducerContext for ProducingContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.count(|tally| match result {
            Ok(_) => tally.delivered += 1,
            Err((error, message)) => {
                tally.failed += 1;
                let text = format!("delivery to {}: {}", message.topic(), describe(error));
                tally.trouble.get_or_insert(text);
            }
        });
    }
}

/// librdkafka's log lines, under one target. They carry host names and error texts, never payloads.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        Emerg | Alert | Critical | Error => tracing::error!(target: "kafka", facility, "{message}"),
        Warning => tracing::warn!(target: "kafka", facility, "{message}"),
        Notice | Info => tracing::info!(target: "kafka", facility, "{message}"),
        Debug => tracing::debug!(target: "kafka", facility, "{message}"),
    }
}
