//! Reads the topics of events, and understands one event of any of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::anyhow;

use super::{PAUSE, Watch, kafka_gone, patiently, span};
use crate::adapters::kafka::{Reader, Settings, Topics};
use crate::adapters::system::SystemClock;
use crate::app::exit::Exit;
use crate::domain::balance::{Balance, Event, Flaw, Other, Resolving, Spot};
use crate::domain::id::{Partition, Place, TransactionId};
use crate::domain::outcome::{EXPIRED, EventId, Fate, Outcome};
use crate::domain::record::{Header, Record};
use crate::ports::time::Clock;
use crate::wire::dead_letter::{self, Letter};
use crate::wire::events::RESOLVES;
use crate::wire::outcome;
use crate::wire::transaction::code;

/// Codes of rejections that held when they were made: what was too old, or had a schema that the registry did not know.
const OF_ITS_TIME: [&str; 2] = [EXPIRED, code::UNKNOWN_SCHEMA];

/// What an event tells.
#[derive(Debug, Clone)]
pub enum Told {
    Outcome(Box<Outcome>),
    /// The outcome, and the id of the event that it resolves.
    Resolution(Box<Outcome>, EventId),
    Letter(Letter),
}

impl Told {
    /// Of the source record.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Outcome(outcome) | Self::Resolution(outcome, _) => &outcome.source,
            Self::Letter(letter) => &letter.place,
        }
    }

    /// `None` for a record that could not be read.
    #[must_use]
    pub fn id(&self) -> Option<&TransactionId> {
        match self {
            Self::Outcome(outcome) | Self::Resolution(outcome, _) => Some(&outcome.transaction_id),
            Self::Letter(letter) => letter.transaction_id.as_ref(),
        }
    }
}

/// Understands an event by its headers and value, whichever topic it stands on.
///
/// # Errors
/// What is missing or can't be read.
pub fn tell(record: &Record) -> Result<Told, String> {
    let header = |name: &str| record.headers.iter().rfind(|header: &&Header| header.name == name);
    if header("tollbridge-fate").is_some() {
        return dead_letter::read(&record.headers).map(Told::Letter).map_err(|e| e.to_string());
    }
    let value = record.value.as_deref().unwrap_or_default();
    let outcome = Box::new(outcome::decode(value).map_err(|e| e.to_string())?);
    let Some(resolves) = header(RESOLVES) else { return Ok(Told::Outcome(outcome)) };
    let id = resolves.value.as_deref().and_then(|id| std::str::from_utf8(id).ok());
    match id.and_then(EventId::from_hex) {
        Some(id) => Ok(Told::Resolution(outcome, id)),
        None => Err(format!("header {RESOLVES} is no event id")),
    }
}

/// Reads all events into the balance: those of every record that was finished before this call.
pub(super) fn read(
    reader: &Reader,
    settings: &Settings,
    balance: &mut Balance,
    watch: &mut impl Watch,
) -> anyhow::Result<()> {
    let topics = &settings.topics;
    settle(reader, settings, names(topics))?;
    each(reader, topics, watch, |topic, partition, record| match tell(&record) {
        Ok(told) => enter(balance, topics, topic, told),
        Err(why) => {
            let detail = format!("{topic}/{partition}/{}: {why}", record.offset);
            balance.unreadable(Flaw::UnreadableEvent, detail);
        }
    })
}

/// Hands every event of the three topics, which may be fewer, to `each`.
///
/// # Errors
/// `Exit::Unavailable` where Kafka does not answer.
pub fn each(
    reader: &Reader,
    topics: &Topics,
    watch: &mut impl Watch,
    mut each: impl FnMut(&String, Partition, Record),
) -> anyhow::Result<()> {
    let names = names(topics);
    let mut events = 0;
    for topic in &names {
        events += length(reader, topic)?;
    }
    watch.begin("reading events", events);
    for topic in names {
        let read = reader.read_topic(topic, |partition, record| {
            watch.add(1);
            each(topic, partition, record);
            ControlFlow::Continue(())
        });
        read.map_err(kafka_gone)?;
    }
    Ok(())
}

fn names(topics: &Topics) -> BTreeSet<&String> {
    BTreeSet::from([&topics.archived, &topics.declined, &topics.dead_letter])
}

/// Waits until everything that stands on these topics now can be read. A processor that was killed leaves a transaction
/// open, and until the brokers abort it, `read_committed` readers see nothing behind its first event: also not what
/// others have committed since.
///
/// # Errors
/// `Exit::Unavailable` where Kafka does not answer, or a transaction stays open for longer than it may.
pub fn settle<'a>(
    reader: &Reader,
    settings: &Settings,
    topics: impl IntoIterator<Item = &'a String>,
) -> anyhow::Result<()> {
    // The brokers look for overdue transactions every ten seconds, by default.
    let patience = settings.transaction_timeout + Duration::from_secs(30);
    let began = SystemClock.now().boot;
    for topic in topics {
        for (partition, end) in patiently(settings, || reader.log_ends(topic))? {
            while reader.watermarks(topic, partition).map_err(kafka_gone)?.1 < end {
                if SystemClock.now().boot.since(began) > patience {
                    let why = anyhow!(
                        "{topic}/{partition}: a transaction has been open for more than {} s and hides what \
                         follows; find its producer with kafka-transactions.sh, or try again later",
                        patience.as_secs()
                    );
                    return Err(Exit::Unavailable.because(why));
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
    Ok(())
}

/// About how many records a topic holds: its offsets.
///
/// # Errors
/// As for [`each`].
pub fn length(reader: &Reader, topic: &str) -> anyhow::Result<u64> {
    let mut records = 0;
    for partition in reader.partitions(topic).map_err(kafka_gone)? {
        let (low, high) = reader.watermarks(topic, partition).map_err(kafka_gone)?;
        records += span(low, high);
    }
    Ok(records)
}

/// Events of other source topics may share ours; they belong to another balance.
fn enter(balance: &mut Balance, topics: &Topics, topic: &String, told: Told) {
    let Place { topic: source, partition, offset } = told.place();
    if **source != *topics.transactions {
        return;
    }
    let spot = Spot { partition: *partition, offset: *offset };
    let is_misplaced = |fate| match fate {
        Fate::Archived => *topic != topics.archived,
        Fate::Declined => *topic != topics.declined,
        Fate::Duplicate | Fate::Rejected | Fate::InDoubt => *topic != topics.dead_letter,
    };
    match told {
        Told::Resolution(outcome, resolves) => {
            balance.resolution(Resolving::new(&outcome, resolves));
        }
        Told::Outcome(outcome) => balance.event(&Event {
            spot,
            event_id: outcome.event_id,
            fate: outcome.fate,
            particulars: Some((&*outcome).into()),
            id: Some(outcome.transaction_id),
            duplicate_of: Other::Nothing,
            is_of_its_time: false,
            is_misplaced: is_misplaced(outcome.fate),
        }),
        Told::Letter(letter) => balance.event(&Event {
            spot,
            event_id: letter.event_id,
            fate: letter.fate,
            id: letter.transaction_id,
            particulars: None,
            is_of_its_time: letter.fate == Fate::Rejected
                && OF_ITS_TIME.contains(&letter.code.as_str()),
            duplicate_of: letter.duplicate_of.map_or(Other::Nothing, |of| other(topics, &of)),
            is_misplaced: is_misplaced(letter.fate),
        }),
    }
}

fn other(topics: &Topics, of: &Place) -> Other {
    if *of.topic == *topics.transactions {
        Other::Spot(Spot { partition: of.partition, offset: of.offset })
    } else {
        Other::OtherTopic
    }
}
