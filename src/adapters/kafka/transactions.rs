//! The publisher's own thread: it holds the one transactional producer, and makes one transaction from each
//! commit. It repeats nothing. After anything but a clean commit the producer is gone, and every commit is unclear
//! until it has been renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::message::{Header as Named, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Raw, TopicPartitionList};
use tokio::sync::oneshot;

use super::context::ProducingContext;
use super::errors::{AskError, describe};
use super::ffi::{GroupMetadata, flush, send_offsets};
use super::group::Group;
use super::settings::{Role, Settings};
use super::stopwatch;
use crate::domain::record::Header;
use crate::ports::publisher::{CommitPoint, Committing, Message};

pub(super) type TransactionalProducer = BaseProducer<ProducingContext>;

#[derive(Debug)]
pub(super) enum Command {
    Commit {
        snapshot: u64,
        messages: Vec<Message>,
        points: Vec<CommitPoint>,
        reply: oneshot::Sender<Committing>,
    },
    Renew {
        reply: oneshot::Sender<Result<(), AskError>>,
    },
}

/// Between two looks at a resting producer's log lines.
const REST: Duration = Duration::from_millis(250);
/// Between two looks at deliveries, milliseconds. Not polled: a poll of rdkafka's lasts as long as it may, and spends
/// the last millisecond of that spinning.
const NAP_MS: i32 = 1;
/// Old producers that may be ending at a time.
const ENDING_MAX: usize = 4;

/// The most callbacks that are taken at a time.
const SERVED_MAX: usize = 8;

pub(super) struct TransactionThread {
    settings: Arc<Settings>,
    group: Arc<Group>,
    commands: Receiver<Command>,
    producer: Option<TransactionalProducer>,
    /// Old producers whose end is awaited on threads of their own.
    ending: Arc<AtomicUsize>,
}

impl TransactionThread {
    pub(super) fn new(
        settings: Arc<Settings>,
        group: Arc<Group>,
        commands: Receiver<Command>,
    ) -> Self {
        Self { settings, group, commands, producer: None, ending: Arc::default() }
    }

    /// Runs until the handle is dropped.
    pub(super) fn run(mut self) {
        loop {
            match self.commands.recv_timeout(REST) {
                Ok(Command::Commit { snapshot, messages, points, reply }) => {
                    // Whoever asked may have stopped waiting.
                    drop(reply.send(self.commit(snapshot, &messages, &points)));
                }
                Ok(Command::Renew { reply }) => drop(reply.send(self.renew())),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(producer) = &self.producer {
                        producer.poll(Duration::ZERO);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return self.discard(),
            }
        }
    }

    fn commit(
        &mut self,
        snapshot: u64,
        messages: &[Message],
        points: &[CommitPoint],
    ) -> Committing {
        let Some(metadata) = self.group.metadata(snapshot) else {
            return Committing::Unclear(format!("snapshot {snapshot} is not the latest"));
        };
        if !points.is_empty() && (metadata.generation() < 0 || metadata.member_id().is_empty()) {
            // A classic group would accept it from anyone.
            return Committing::Unclear("the consumer has not joined the group".into());
        }
        let Some(producer) = &self.producer else {
            return Committing::Unclear("there is no producer: it must be renewed first".into());
        };
        let transaction = Transaction { producer, settings: &self.settings };
        match transaction.run(messages, points, &metadata) {
            Ok(()) => Committing::Clean,
            Err(why) => {
                transaction.abort();
                self.discard();
                Committing::Unclear(why)
            }
        }
    }

    /// A new producer under the same id: `init_transactions` fences the old one and ends what it left open.
    fn renew(&mut self) -> Result<(), AskError> {
        self.discard();
        if self.ending.load(Ordering::Acquire) > ENDING_MAX {
            return Err(AskError::Transient("old producers have not ended yet".into()));
        }
        let client = self.settings.client(Role::Publisher);
        let producer: TransactionalProducer = client
            .create_with_context(ProducingContext::default())
            .map_err(|e| AskError::Permanent(format!("producer: {}", describe(&e))))?;
        let initialised = producer.init_transactions(self.settings.transaction_timeout);
        // A producer that failed here is kept all the same, only to be discarded by the next renewal.
        self.producer = Some(producer);
        if let Err(error) = initialised {
            self.discard();
            return Err(AskError::of("init_transactions", &error));
        }
        Ok(())
    }

    /// Lets the producer end on a thread of its own: destroying one can wait for brokers that don't answer.
    fn discard(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        producer.purge(PurgeConfig::default().queue().inflight());
        let ending = Arc::clone(&self.ending);
        ending.fetch_add(1, Ordering::AcqRel);
        let dropped = thread::Builder::new().name("kafka-ends".into()).spawn(move || {
            drop(producer);
            ending.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = dropped {
            tracing::error!(target: "kafka", %error, "no thread to end a producer on");
        }
    }
}

struct Transaction<'a> {
    producer: &'a TransactionalProducer,
    settings: &'a Settings,
}

impl Transaction<'_> {
    /// The error names the call that failed and why.
    fn run(
        &self,
        messages: &[Message],
        points: &[CommitPoint],
        metadata: &GroupMetadata,
    ) -> Result<(), String> {
        if messages.is_empty() && points.is_empty() {
            return Ok(());
        }
        // What broke while nothing was open is no disturbance of this transaction.
        self.serve();
        self.producer.context().reset();
        self.call("begin_transaction", || {
            self.producer.begin_transaction().map_err(|e| describe(&e))
        })?;
        self.call("produce", || self.produce(messages))?;
        if !points.is_empty() {
            let list = self.offsets(points)?;
            let timeout = i32::try_from(self.half().as_millis()).unwrap_or(i32::MAX);
            self.call("send_offsets_to_transaction", || {
                send_offsets(self.producer, &list, metadata, timeout)
            })?;
        }
        self.call("commit_transaction", || {
            self.producer.commit_transaction(self.half()).map_err(|e| describe(&e))
        })?;
        self.undisturbed(messages.len())
    }

    /// One call, and whether it came back within half the request timeout: one that took longer may have been
    /// repeated by the client, and a repeated request may still be on its way when the next transaction is open.
    fn call(&self, name: &str, call: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let start = stopwatch();
        call().map_err(|why| format!("{name}: {why}"))?;
        let took = start.elapsed();
        if took < self.half() { Ok(()) } else { Err(format!("{name}: took {took:?}")) }
    }

    fn half(&self) -> Duration {
        self.settings.request_timeout / 2
    }

    /// Produces everything and waits until every delivery is reported.
    fn produce(&self, messages: &[Message]) -> Result<(), String> {
        let start = stopwatch();
        for message in messages {
            self.enqueue(message, start)?;
        }
        while self.producer.in_flight_count() > 0 {
            if start.elapsed() >= self.half() {
                return Err(format!("{} are not delivered", self.producer.in_flight_count()));
            }
            self.nap();
        }
        Ok(())
    }

    fn enqueue(&self, message: &Message, start: Instant) -> Result<(), String> {
        let topic = self.settings.topics.name(message.topic);
        let mut record = BaseRecord::to(topic).headers(headers(&message.headers));
        record.key = message.key.as_deref();
        record.payload = message.value.as_deref();
        while let Err((error, again)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(Code::QueueFull) {
                return Err(format!("to {topic}: {}", describe(&error)));
            }
            if start.elapsed() >= self.half() {
                return Err(format!("to {topic}: the queue stays full"));
            }
            self.nap();
            record = again;
        }
        Ok(())
    }

    fn offsets(&self, points: &[CommitPoint]) -> Result<TopicPartitionList, String> {
        let topic = &self.settings.topics.transactions;
        let mut list = TopicPartitionList::with_capacity(points.len());
        for point in points {
            let mut element = list.add_partition(topic, point.partition.0);
            element.set_metadata(&point.metadata);
            let set = element.set_offset(Raw::Offset(point.watermark.0));
            set.map_err(|e| format!("offset of partition {}: {}", point.partition, describe(&e)))?;
        }
        Ok(list)
    }

    /// Every message was reported as delivered, none as failed, and no connection broke meanwhile.
    fn undisturbed(&self, messages: usize) -> Result<(), String> {
        self.serve();
        let tally = self.producer.context().tally();
        match tally.trouble {
            Some(why) => Err(why),
            None if tally.failed == 0 && tally.delivered == messages as u64 => Ok(()),
            None => Err(format!("{} of {messages} messages were delivered", tally.delivered)),
        }
    }

    /// Nothing more comes in this transaction, or there is no room for more: what is there leaves now.
    fn nap(&self) {
        flush(self.producer, NAP_MS);
        self.serve();
    }

    /// Takes the callbacks that are there; one a call.
    fn serve(&self) {
        for _ in 0..SERVED_MAX {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Tries to end the transaction, so that readers need not wait for its timeout. Aborting waits for messages
    /// whose delivery was not reported yet, so those are purged first.
    fn abort(&self) {
        let start = stopwatch();
        self.producer.purge(PurgeConfig::default().queue().inflight());
        while self.producer.in_flight_count() > 0 && start.elapsed() < self.half() {
            self.nap();
        }
        if let Err(error) = self.producer.abort_transaction(self.half()) {
            tracing::debug!(target: "kafka", error = %describe(&error), "transaction not aborted");
        }
    }
}

fn headers(headers: &[Header]) -> OwnedHeaders {
    let none = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(none, |all, header| {
        all.insert(Named { key: &header.name, value: header.value.as_deref() })
    })
}
