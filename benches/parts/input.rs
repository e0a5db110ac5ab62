//! Transactions on the source topic: made from their number, so that the whole set is known without being kept. All
//! are good ones, in JSON, of the size that `tollbridge generate` makes, spread evenly over the partitions.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tollbridge_rig::stack::{Stack, TRANSACTIONS};
use tollbridge_rig::{Error, Result};

const FLUSH_LIMIT: Duration = Duration::from_secs(60);
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "CHF"];
const PREFIX: &str = "bench-";

/// The id of a transaction.
pub fn id(number: u32) -> String {
    format!("{PREFIX}{number:08}")
}

/// The number of an id; `None` where it is none of ours.
pub fn number(id: &str) -> Option<u32> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

/// Half of them with a description and two pieces of metadata.
fn value(number: u32) -> String {
    // Spreads neighbours over accounts and amounts.
    let mixed = number.wrapping_mul(2_654_435_761);
    let currency = CURRENCIES[usize::from(mixed.to_le_bytes()[3] & 3)];
    let more = match number.is_multiple_of(2) {
        true => {
            r#","description":"Order 4711, two items","metadata":{"channel":"web","shop":"terminal"}"#
        }
        false => "",
    };
    format!(
        r#"{{"transaction_id":"{}","account_id":"acct-{:06}","amount":{},"currency":"{currency}","payment_method":"pm_card_{mixed:016x}","created_at":{}{more}}}"#,
        id(number),
        mixed % 100_000,
        100 + mixed % 1_000_000,
        1_767_225_600_000_000_u64 + u64::from(number) * 1000,
    )
}

/// Produces transactions 0 to `count`, and waits until Kafka has them.
pub fn produce(stack: &Stack, count: u32) -> Result<()> {
    let input = Input::of(stack)?;
    input.send(0..count)?;
    input.end(count)
}

/// Puts transactions on the source topic.
pub struct Input<'a> {
    stack: &'a Stack,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl<'a> Input<'a> {
    pub fn of(stack: &'a Stack) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", stack.kafka.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "100000")
            .create()
            .map_err(|e| failed("a producer", &e))?;
        Ok(Self { stack, producer })
    }

    pub fn send(&self, numbers: Range<u32>) -> Result<()> {
        for number in numbers {
            let (key, value) = (id(number), value(number));
            let partition = (number % self.stack.partitions()).cast_signed();
            let mut record =
                BaseRecord::to(TRANSACTIONS).partition(partition).key(&key).payload(&value);
            while let Err((error, again)) = self.producer.send(record) {
                let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                    return Err(failed("produce", &error));
                };
                std::thread::sleep(Duration::from_millis(5));
                record = again;
            }
        }
        Ok(())
    }

    /// Sends so many a second, a piece every 20 ms, until it is told to stop; returns the first number not sent.
    pub fn pour(&self, from: u32, rate: u32, stop: &AtomicBool) -> Result<u32> {
        let (piece, start) = (rate / 50, Instant::now());
        let mut next = from;
        while !stop.load(Ordering::Relaxed) {
            self.send(next..next + piece)?;
            next += piece;
            let due = Duration::from_secs_f64(f64::from(next - from) / f64::from(rate));
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        self.producer.flush(FLUSH_LIMIT).map_err(|e| failed("flush", &e))?;
        Ok(next)
    }

    /// Waits until Kafka has all of `count`.
    pub fn end(&self, count: u32) -> Result<()> {
        self.producer.flush(FLUSH_LIMIT).map_err(|e| failed("flush", &e))?;
        let ends = self.stack.kafka.end_offsets(TRANSACTIONS, self.stack.partitions())?;
        let there: i64 = ends.iter().sum();
        match there == i64::from(count) {
            true => Ok(()),
            false => Err(Error::new(format!("{there} of {count} transactions are on the topic"))),
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(format!("{what}: {error}"))
}
