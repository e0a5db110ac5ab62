//! Realistic transactions from a seed. Pure: the same recipe gives the same records, byte for byte, so that a run
//! can be repeated and a second run of the same seed is nothing but duplicates.

use std::collections::VecDeque;

use fastrand::Rng;

use super::mix::{ALL_PARTS, Kind, Mix};
use crate::domain::id::{Partition, TransactionId};
use crate::domain::labels::Labels;
use crate::domain::money::{Amount, Currency};
use crate::domain::record::Header;
use crate::domain::time::Wall;
use crate::domain::transaction::Transaction;
use crate::wire::transaction::{confluent_frame, encode_avro, encode_json};

/// How generated records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Avro,
    AvroConfluent,
}

/// What a stream of records follows from.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub seed: u64,
    pub mix: Mix,
    pub encoding: Encoding,
    /// Partitions of the topic; at least 1.
    pub partitions: u32,
    /// Ids are this and the record's number.
    pub id_prefix: String,
}

/// One record, ready to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub kind: Kind,
    pub partition: Partition,
    pub key: Vec<u8>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
    /// What it asks to be paid; `None` where it is invalid.
    pub money: Option<(Currency, Amount)>,
}

/// An endless stream of samples.
#[derive(Debug)]
pub struct Samples {
    recipe: Recipe,
    rng: Rng,
    number: u64,
    /// Earlier transactions and their partitions, the oldest first: what duplicates repeat.
    earlier: VecDeque<(Transaction, Partition)>,
}

/// How many earlier transactions are kept to be repeated.
const EARLIER_MAX: usize = 1_000;

/// The first record is from the first second of 2026; one follows another by a millisecond.
const BEGAN: Wall = Wall(1_767_225_600_000_000);

/// Codes with their weights: two, no and three digits behind the point.
const CURRENCIES: [(&str, u32); 8] = [
    ("EUR", 40),
    ("USD", 30),
    ("GBP", 10),
    ("JPY", 8),
    ("CHF", 5),
    ("KRW", 3),
    ("KWD", 2),
    ("BHD", 2),
];

const DESCRIPTIONS: [&str; 6] = [
    "Order 4711, two items",
    "Monthly plan",
    "Café Zürich, Tisch 9",
    "Ticket \"A→B\", 2nd class",
    "注文 #20260101",
    "Refill",
];

impl Samples {
    #[must_use]
    pub fn new(recipe: Recipe) -> Self {
        let rng = Rng::with_seed(recipe.seed);
        Self { recipe, rng, number: 0, earlier: VecDeque::new() }
    }

    fn sample(&mut self) -> Sample {
        let kind = match self.recipe.mix.kind_at(self.rng.u32(0..ALL_PARTS)) {
            Kind::Duplicate | Kind::Conflict if self.earlier.is_empty() => Kind::Good,
            kind => kind,
        };
        let sample = match kind {
            Kind::Duplicate | Kind::Conflict => self.repeat(kind),
            Kind::Good | Kind::Declined => self.fresh(kind),
            Kind::Invalid => self.invalid(),
        };
        self.number += 1;
        sample
    }

    fn fresh(&mut self, kind: Kind) -> Sample {
        let tx = self.transaction(kind);
        let partition = self.home(&tx.id);
        if self.earlier.len() == EARLIER_MAX {
            self.earlier.pop_front();
        }
        self.earlier.push_back((tx.clone(), partition));
        self.write(kind, &tx, partition)
    }

    /// An earlier transaction again: in half of the cases on another partition, where there is one.
    fn repeat(&mut self, kind: Kind) -> Sample {
        let index = self.rng.usize(0..self.earlier.len());
        let (mut tx, home) = self.earlier[index].clone();
        if kind == Kind::Conflict {
            let other = tx.amount.minor_units() + 1;
            tx.amount = Amount::new(other).unwrap_or(tx.amount);
        }
        let count = self.recipe.partitions.cast_signed();
        let away = if count > 1 && self.rng.bool() { self.rng.i32(1..count) } else { 0 };
        self.write(kind, &tx, Partition((home.0 + away) % count.max(1)))
    }

    fn write(&self, kind: Kind, tx: &Transaction, partition: Partition) -> Sample {
        let (value, headers) = match self.recipe.encoding {
            Encoding::Json => (encode_json(tx), Vec::new()),
            Encoding::Avro => (encode_avro(tx), vec![avro_header()]),
            Encoding::AvroConfluent => (confluent_frame(1, &encode_avro(tx)), Vec::new()),
        };
        Sample {
            kind,
            partition,
            key: tx.id.as_str().as_bytes().to_vec(),
            value: Some(value),
            headers,
            money: Some((tx.currency, tx.amount)),
        }
    }

    fn invalid(&mut self) -> Sample {
        let tx = self.transaction(Kind::Good);
        let partition = self.home(&tx.id);
        let whole = self.write(Kind::Invalid, &tx, partition);
        let mut value = whole.value.clone().unwrap_or_default();
        let text = || String::from_utf8_lossy(&value).into_owned();
        // What JSON can say wrongly, Avro can't say at all.
        let ways = if self.recipe.encoding == Encoding::Json { 7 } else { 3 };
        let wrong = match self.rng.u32(0..ways) {
            0 => None,
            1 => {
                value.pop();
                Some(value)
            }
            2 => {
                let card = Transaction { payment_method: "4111111111111111".to_owned(), ..tx };
                self.write(Kind::Invalid, &card, partition).value
            }
            3 => Some(text().replacen("\"account_id\"", "\"account\"", 1).into_bytes()),
            4 => Some(text().replacen(&format!("\"{}\"", tx.currency), "\"XQX\"", 1).into_bytes()),
            5 => {
                let amount = format!("\"amount\":{}", tx.amount.minor_units());
                Some(text().replacen(&amount, "\"amount\":0", 1).into_bytes())
            }
            _ => Some(
                text().replacen("\"transaction_id\":\"", "\"transaction_id\":\" ", 1).into_bytes(),
            ),
        };
        Sample { value: wrong, money: None, ..whole }
    }

    fn transaction(&mut self, kind: Kind) -> Transaction {
        let currency = self.currency();
        let token = self.rng.u64(..);
        let method = if kind == Kind::Declined { "pm_declined" } else { "pm_card" };
        let described = self.rng.u32(0..3) > 0;
        Transaction {
            id: self.id(),
            account_id: format!("acct-{:06}", self.skewed(20)),
            amount: self.amount(currency),
            currency,
            payment_method: format!("{method}_{token:016x}"),
            created_at: BEGAN + std::time::Duration::from_millis(self.number),
            description: described
                .then(|| DESCRIPTIONS[self.rng.usize(0..DESCRIPTIONS.len())].to_owned()),
            metadata: self.metadata(),
        }
    }

    /// The prefix is checked where it is read; a wrong one gives a number alone.
    fn id(&self) -> TransactionId {
        let text = format!("{}{}", self.recipe.id_prefix, self.number);
        TransactionId::parse(&text)
            .or_else(|_| TransactionId::parse(&self.number.to_string()))
            .unwrap_or_else(|_| unreachable!("a number is an id"))
    }

    fn currency(&mut self) -> Currency {
        let total: u32 = CURRENCIES.iter().map(|(_, weight)| weight).sum();
        let mut point = self.rng.u32(0..total);
        let code = CURRENCIES.iter().find(|(_, weight)| {
            let here = point < *weight;
            point = point.saturating_sub(*weight);
            here
        });
        let code = code.map_or("EUR", |(code, _)| code);
        Currency::parse(code).unwrap_or_else(|| unreachable!("{code} is a currency"))
    }

    /// Mostly small, seldom large: 1 to some thousands of whole units, a hundred times that without minor ones.
    fn amount(&mut self, currency: Currency) -> Amount {
        let minor = 10_i64.pow(u32::from(currency.exponent().unwrap_or(0)));
        let whole = 1 + i64::from(self.skewed(12)) * if minor == 1 { 100 } else { 1 };
        let amount = Amount::new(whole * minor + self.rng.i64(0..minor));
        amount.unwrap_or_else(|_| unreachable!("it is far below the bound"))
    }

    /// A number below 2^`bits` of which each half as large is about as frequent as all above: few accounts make
    /// most of the payments.
    fn skewed(&mut self, bits: u32) -> u32 {
        let below = 1_u32 << self.rng.u32(0..=bits);
        self.rng.u32(0..below)
    }

    fn metadata(&mut self) -> Labels {
        const NAMES: [&str; 4] = ["channel", "campaign", "order", "shop"];
        const VALUES: [&str; 4] = ["web", "app", "terminal", "phone"];
        let count = self.rng.usize(0..=3);
        (0..count)
            .map(|_| (*self.pick(&NAMES), *self.pick(&VALUES)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.rng.usize(0..from.len())]
    }

    /// The partition of an id: FNV-1a of its text.
    fn home(&self, id: &TransactionId) -> Partition {
        let hash = id
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Partition((hash % self.recipe.partitions.max(1)).cast_signed())
    }
}

impl Iterator for Samples {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        Some(self.sample())
    }
}

fn avro_header() -> Header {
    let value = bytes::Bytes::from_static(b"avro/binary");
    Header { name: "content-type".into(), value: Some(value) }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
