//! A plain idempotent producer for what people have written by a command, and for tests. Nothing of the route uses it.

use std::time::Duration;

use rdkafka::message::{Header as Named, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::context::ProducingContext;
use super::errors::{AskError, ConnectError, describe};
use super::settings::{Role, Settings};
use super::stopwatch;
use crate::domain::id::Partition;
use crate::domain::record::Header;

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    pub topic: &'a str,
    /// `None`: by the key, as Java producers place it.
    pub partition: Option<Partition>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header],
    /// Milliseconds since 1970; `None`: the broker's or the client's clock.
    pub timestamp_ms: Option<i64>,
}

/// Writes records in batches. Each call blocks at most for the request timeout.
pub struct Feeder {
    producer: BaseProducer<ProducingContext>,
    timeout: Duration,
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Feeder {
    /// Makes the producer; nothing is sent yet.
    ///
    /// # Errors
    /// A property that librdkafka does not accept.
    pub fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let client = settings.client(Role::Feeder);
        let producer = client.create_with_context(ProducingContext::default())?;
        Ok(Self { producer, timeout: settings.request_timeout })
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Errors
    /// The record can't be queued, the queue stays full, or an earlier record was not delivered.
    pub fn send(&self, feed: &Feed<'_>) -> Result<(), AskError> {
        let mut record = BaseRecord::to(feed.topic);
        record.partition = feed.partition.map(|partition| partition.0);
        record.key = feed.key;
        record.payload = feed.value;
        record.timestamp = feed.timestamp_ms;
        if !feed.headers.is_empty() {
            record.headers = Some(feed.headers.iter().fold(OwnedHeaders::new(), |all, header| {
                all.insert(Named { key: &header.name, value: header.value.as_deref() })
            }));
        }
        let start = stopwatch();
        while let Err((error, again)) = self.producer.send(record) {
            let full = error.rdkafka_error_code() == Some(Code::QueueFull);
            if !full || start.elapsed() > self.timeout {
                return Err(AskError::of(&format!("producing to {}", feed.topic), &error));
            }
            self.producer.poll(Duration::from_millis(10));
            record = again;
        }
        self.producer.poll(Duration::ZERO);
        self.delivered()
    }

    /// Waits until every queued record is delivered.
    ///
    /// # Errors
    /// A record was not delivered, or the brokers don't answer in time.
    pub fn flush(&self) -> Result<(), AskError> {
        let flushed = self.producer.flush(self.timeout);
        flushed.map_err(|e| AskError::Transient(format!("producing: {}", describe(&e))))?;
        self.delivered()
    }

    /// Broken connections are no failure here: the producer is idempotent and repeats by itself.
    fn delivered(&self) -> Result<(), AskError> {
        let tally = self.producer.context().tally();
        match tally.failed {
            0 => Ok(()),
            failed => {
                let why = tally.trouble.unwrap_or_default();
                Err(AskError::Permanent(format!("{failed} records were not delivered: {why}")))
            }
        }
    }
}
