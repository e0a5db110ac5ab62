//! Kafka: the group member that reads transactions, and the transactional producer that reports them.
//!
//! [`connect`] makes both. Each has an operating-system thread of its own, as librdkafka's calls block. What is
//! committed, and when a producer is thrown away, is decided in the pipeline; here no call is repeated.
//!
//! Non-obvious, each a cause of lost or doubled records elsewhere:
//! - A rebalance is answered long after its callback has returned (`consumer`).
//! - Records are read one by one, not in librdkafka's batches, which skip a record after an end of partition (`ffi`).
//! - There is no commit but in a transaction: a plain one beside it hides the transaction's offsets and keeps its
//!   events (`transactions`).
//! - A transactional commit of a member that has not joined is not fenced by a classic group (`transactions`).
//! - Offsets are read by a client that is no member, so that no question holds up the member (`reader`).

mod consumer;
mod context;
mod detached;
mod errors;
mod feeder;
mod fetched;
mod ffi;
mod group;
mod publisher;
mod reader;
mod settings;
mod source;
mod succession;
mod topics;
mod transactions;
mod trouble;
mod unpacking;

use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

pub use errors::{AskError, ConnectError};
pub use feeder::{Feed, Feeder};
pub use ffi::Right;
pub use publisher::KafkaPublisher;
pub use reader::Reader;
pub use settings::{Overridden, Protocol, Settings, Topics};
pub use source::KafkaSource;
pub use topics::{Admin, NewTopic, TopicLimits};
pub use unpacking::batch_bytes_max;

use crate::ports::source::SourceEvent;
use consumer::ConsumerThread;
use context::{MemberContext, ProducingContext};
use group::{Group, MemberConsumer};
use settings::Role;
use transactions::{TransactionThread, TransactionalProducer};

/// Joins the group and makes ready to publish. Nothing of the brokers is waited for: what comes of it is told by
/// events. The producer itself is made by the first `Publisher::renew`.
///
/// # Errors
/// A property that librdkafka does not accept, or no thread.
pub fn connect(
    settings: Settings,
    events: UnboundedSender<SourceEvent>,
) -> Result<(KafkaSource, KafkaPublisher), ConnectError> {
    let settings = Arc::new(settings);
    let group = Arc::new(Group::default());
    let reader = Reader::new(Arc::clone(&settings))?;
    // A wrong property of the producer should show now, not at the first commit.
    settings.client(Role::Publisher).create_native_config()?;
    let publisher = open_publisher(&settings, &group, events.clone())?;
    let source = open_source(&settings, &group, reader, events)?;
    Ok((source, publisher))
}

/// Makes and ends every kind of client, so that a property that librdkafka refuses only in company shows at once.
/// No group is joined and nothing is written; whether brokers answer is not asked.
///
/// # Errors
/// A property that librdkafka does not accept.
pub fn check(settings: &Settings) -> Result<(), ConnectError> {
    let context = MemberContext::new(Arc::default());
    let _: MemberConsumer = settings.client(Role::Member).create_with_context(context)?;
    let context = ProducingContext::default();
    let _: TransactionalProducer = settings.client(Role::Publisher).create_with_context(context)?;
    Feeder::new(settings)?;
    Admin::new(settings)?;
    Ok(())
}

fn open_source(
    settings: &Settings,
    group: &Arc<Group>,
    reader: Reader,
    events: UnboundedSender<SourceEvent>,
) -> Result<KafkaSource, ConnectError> {
    let context = MemberContext::new(Arc::clone(group));
    let mut consumer: MemberConsumer =
        settings.client(Role::Member).create_with_context(context)?;
    let woken = Arc::new(OnceLock::<Thread>::new());
    let waking = Arc::clone(&woken);
    consumer.set_nonempty_callback(move || {
        // Before the thread runs there is nobody to wake.
        if let Some(thread) = waking.get() {
            thread.unpark();
        }
    });
    let consumer = Arc::new(consumer);
    group.joined_with(Arc::clone(&consumer));
    let topic = settings.topics.transactions.clone();
    let (commands, told) = mpsc::channel();
    let (of_thread, asking, group) = (topic.clone(), reader.clone(), Arc::clone(group));
    let running = thread::Builder::new().name("kafka-consumer".into()).spawn(move || {
        ConsumerThread::new(consumer, group, of_thread, told, events, asking).run();
    })?;
    let thread = running.thread().clone();
    // Set once, here.
    drop(woken.set(thread.clone()));
    Ok(KafkaSource { commands, thread, reader, topic })
}

fn open_publisher(
    settings: &Arc<Settings>,
    group: &Arc<Group>,
    events: UnboundedSender<SourceEvent>,
) -> Result<KafkaPublisher, ConnectError> {
    let (commands, told) = mpsc::channel();
    let transactions = TransactionThread::new(Arc::clone(settings), Arc::clone(group), told);
    thread::Builder::new().name("kafka-publisher".into()).spawn(move || transactions.run())?;
    let patience = settings.transaction_timeout * 2;
    Ok(KafkaPublisher::new(commands, Arc::clone(group), events, patience))
}

/// Measures how long a call to a client took. It never reaches a decision about a transaction.
#[expect(clippy::disallowed_methods, reason = "the stopwatch of this room's own calls")]
fn stopwatch() -> Instant {
    Instant::now()
}
