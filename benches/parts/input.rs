//! Transactions on the source topic: made from their number, so that the whole set is known without being kept. All
//! are good ones, of the size that `tollbridge generate` makes, in JSON or Avro, spread evenly over the partitions.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tollbridge_rig::stack::{Stack, TRANSACTIONS};
use tollbridge_rig::{Error, Result};

use super::stub::now_us;

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

/// What producers write with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    /// Framed as with a schema registry; the schema is that of the product.
    Avro,
}

/// Half of them have a description and two pieces of metadata.
struct Transaction {
    number: u32,
    id: String,
    account: String,
    amount: u32,
    currency: &'static str,
    method: String,
    created_us: u64,
    is_long: bool,
}

const DESCRIPTION: &str = "Order 4711, two items";
const METADATA: [(&str, &str); 2] = [("channel", "web"), ("shop", "terminal")];

impl Transaction {
    fn of(number: u32) -> Self {
        // Spreads neighbours over accounts and amounts.
        let mixed = number.wrapping_mul(2_654_435_761);
        Self {
            number,
            id: id(number),
            account: format!("acct-{:06}", mixed % 100_000),
            amount: 100 + mixed % 1_000_000,
            currency: CURRENCIES[usize::from(mixed.to_le_bytes()[3] & 3)],
            method: format!("pm_card_{mixed:016x}"),
            created_us: 1_767_225_600_000_000 + u64::from(number) * 1000,
            is_long: number.is_multiple_of(2),
        }
    }

    /// The members that gateways are told, too.
    fn members(&self) -> String {
        let Self { id, account, amount, currency, method, .. } = self;
        let [(channel, web), (shop, terminal)] = METADATA;
        let more = match self.is_long {
            true => format!(
                r#","description":"{DESCRIPTION}","metadata":{{"{channel}":"{web}","{shop}":"{terminal}"}}"#
            ),
            false => String::new(),
        };
        let who = format!(r#""transaction_id":"{id}","account_id":"{account}""#);
        format!(
            r#"{who},"amount":{amount},"currency":"{currency}","payment_method":"{method}"{more}"#
        )
    }

    fn json(&self) -> Vec<u8> {
        format!(r#"{{{},"created_at":{}}}"#, self.members(), self.created_us).into_bytes()
    }

    /// By hand, as the schema in schemas/avro/transaction.avsc says, behind a frame with schema id 1.
    fn avro(&self) -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0, 1];
        [&self.id, &self.account].into_iter().for_each(|text| avro_text(text, &mut out));
        avro_long(i64::from(self.amount), &mut out);
        [self.currency, &self.method].into_iter().for_each(|text| avro_text(text, &mut out));
        avro_long(self.created_us.cast_signed(), &mut out);
        if self.is_long {
            avro_long(1, &mut out);
            avro_text(DESCRIPTION, &mut out);
            avro_long(2, &mut out);
            METADATA.iter().flat_map(|(k, v)| [k, v]).for_each(|text| avro_text(text, &mut out));
        } else {
            avro_long(0, &mut out);
        }
        avro_long(0, &mut out);
        out
    }
}

fn avro_text(text: &str, out: &mut Vec<u8>) {
    avro_long(i64::try_from(text.len()).unwrap_or(0), out);
    out.extend_from_slice(text.as_bytes());
}

/// Zigzag, then seven bits a byte.
fn avro_long(value: i64, out: &mut Vec<u8>) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left > 0x7f {
        out.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    out.push(left.to_le_bytes()[0]);
}

/// The body of its charge, of the size that the product sends.
pub fn charge(number: u32) -> Vec<u8> {
    format!("{{{}}}", Transaction::of(number).members()).into_bytes()
}

/// Produces transactions of these numbers, and waits until Kafka has them and all below. How many bytes their values
/// have.
pub fn produce(stack: &Stack, format: Format, numbers: Range<u32>) -> Result<u64> {
    let input = Input { format, ..Input::of(stack)? };
    let bytes = input.send(numbers.clone())?;
    input.end(numbers.end)?;
    Ok(bytes)
}

/// Puts transactions on the source topic.
pub struct Input<'a> {
    stack: &'a Stack,
    producer: ThreadedProducer<DefaultProducerContext>,
    format: Format,
}

/// What was sent by the clock.
#[derive(Debug, Clone, Copy)]
pub struct Poured {
    /// When the first was meant to be sent, microseconds since 1970.
    start_us: u64,
    rate: u32,
    pub first: u32,
    pub count: u32,
    pub bytes: u64,
}

impl Poured {
    /// When it was meant to be sent, microseconds since 1970.
    pub fn meant_us(&self, number: u32) -> u64 {
        self.start_us + u64::from(number - self.first) * 1_000_000 / u64::from(self.rate)
    }
}

impl<'a> Input<'a> {
    pub fn of(stack: &'a Stack) -> Result<Self> {
        Self::lingering(stack, "20")
    }

    /// A producer that waits for company as long as Kafka's own client does unless it is told otherwise.
    pub fn prompt(stack: &'a Stack) -> Result<Self> {
        Self::lingering(stack, "5")
    }

    fn lingering(stack: &'a Stack, linger_ms: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", stack.kafka.bootstrap())
            .set("enable.idempotence", "true")
            .set("linger.ms", linger_ms)
            .set("queue.buffering.max.messages", "100000")
            .create()
            .map_err(|e| failed("a producer", &e))?;
        Ok(Self { stack, producer, format: Format::Json })
    }

    /// How many bytes their values have.
    pub fn send(&self, numbers: Range<u32>) -> Result<u64> {
        let mut bytes = 0;
        for number in numbers {
            bytes += self.send_at(number, None)?;
        }
        Ok(bytes)
    }

    /// The moment is that for which it was meant, in milliseconds since 1970; none: now.
    fn send_at(&self, number: u32, meant_ms: Option<i64>) -> Result<u64> {
        let transaction = Transaction::of(number);
        let value = match self.format {
            Format::Json => transaction.json(),
            Format::Avro => transaction.avro(),
        };
        let partition = (transaction.number % self.stack.partitions()).cast_signed();
        let mut record = BaseRecord::to(TRANSACTIONS)
            .partition(partition)
            .key(&transaction.account)
            .payload(&value);
        if let Some(meant_ms) = meant_ms {
            record = record.timestamp(meant_ms);
        }
        while let Err((error, again)) = self.producer.send(record) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                return Err(failed("produce", &error));
            };
            std::thread::sleep(Duration::from_millis(5));
            record = again;
        }
        Ok(value.len() as u64)
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

    /// Sends so many transactions from a number on, each at its moment or as soon after it as may be; its moment is its
    /// timestamp.
    pub fn pour_by_clock(&self, rate: u32, first: u32, count: u32) -> Result<Poured> {
        let mut poured = Poured { start_us: now_us(), rate, first, count, bytes: 0 };
        for number in first..first + count {
            let meant_us = poured.meant_us(number);
            let early = Duration::from_micros(meant_us.saturating_sub(now_us()));
            if !early.is_zero() {
                // Waking up a thousand times a second is enough; those of one millisecond go together.
                std::thread::sleep(early.max(Duration::from_millis(1)));
            }
            let meant_ms = i64::try_from(meant_us / 1_000).unwrap_or(i64::MAX);
            poured.bytes += self.send_at(number, Some(meant_ms))?;
        }
        self.end(first + count)?;
        Ok(poured)
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
