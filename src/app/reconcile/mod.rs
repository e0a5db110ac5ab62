//! Reads everything that a balance is made from, in the order in which nothing that happens meanwhile looks like a
//! fault: committed offsets, the ledger, rows, source records, events, and what has to be looked at once more. What
//! is right and wrong is decided in `domain::balance`; how it is shown, in `cli`.

mod events;
mod ledger;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::exit::Exit;
use super::schemas::SourceDecoder;
use super::settings;
use super::store::AnyStore;
use crate::adapters::kafka::{AskError, Reader, Settings};
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::domain::balance::{Balance, Content, Flaw, Horizon, Money, Report, Source, Spot};
use crate::domain::hex::hex;
use crate::domain::id::{Offset, Partition, Place, StoreId};
use crate::domain::offsets::Told;
use crate::domain::outcome::EventId;
use crate::domain::record::Record;
use crate::domain::transaction::PayloadHash;
use crate::ports::source::Committed;
use crate::ports::store::{Rows, SourceStart, Store, StoreError};
use crate::ports::time::Clock;
use crate::wire::metadata::Metadata;

pub use events::{Told as ToldEvent, each as each_event, length as topic_length, settle, tell};
pub use ledger::{Columns, Ledger};

/// Findings that are kept in full; more are only counted.
const FINDINGS_MAX: usize = 100_000;
/// Ids that the store is asked for at a time.
const ASK_MAX: usize = 1_000;

/// Who looks on while much is read.
pub trait Watch {
    /// Something of about so many items begins.
    fn begin(&mut self, verb: &'static str, total: u64);
    fn add(&mut self, items: u64);
}

/// Draws up the balance.
///
/// # Errors
/// `Exit::Unavailable` where Kafka or the store does not answer; `Exit::BadConfig` where the store is not the one
/// that the group works with; a ledger that can't be read.
pub async fn draw_up(
    config: &Config,
    ledger: Option<&Ledger>,
    watch: &mut impl Watch,
) -> anyhow::Result<Report> {
    let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
    let (settings, reader) = reader(config)?;
    let decoder = SourceDecoder::of(config)?;
    let report = Books { settings, reader, decoder, store: &store }.draw_up(ledger, watch).await;
    store.close().await;
    report
}

/// A reader of the group's topics, and what it was made from.
pub(super) fn reader(config: &Config) -> anyhow::Result<(Arc<Settings>, Reader)> {
    let settings = Arc::new(settings::kafka(config));
    let reader =
        Reader::new(Arc::clone(&settings)).map_err(|error| Exit::BadConfig.because(error))?;
    Ok((settings, reader))
}

/// Where everything is read from.
struct Books<'a> {
    settings: Arc<Settings>,
    reader: Reader,
    decoder: SourceDecoder,
    store: &'a AnyStore,
}

impl Books<'_> {
    fn topic(&self) -> &str {
        &self.settings.topics.transactions
    }

    async fn draw_up(
        &self,
        ledger: Option<&Ledger>,
        watch: &mut impl Watch,
    ) -> anyhow::Result<Report> {
        let partitions = patiently(&self.settings, || self.reader.partitions(self.topic()))?;
        let committed = self.committed(&partitions)?;
        let records = committed.iter().map(|c| span(c.low, c.high)).sum();
        let id = self.store.identity().await.map_err(store_gone)?.id;
        let sources = self.store.sources(&self.settings.group_id, self.topic()).await;
        let sources = sources.map_err(store_gone)?;
        let (horizons, unreadable) = horizons(&committed, &sources, id)?;
        let mut balance = Balance::new(horizons, ledger.is_some(), FINDINGS_MAX);
        for why in unreadable {
            balance.unreadable(Flaw::BadMetadata, why);
        }
        if let Some(ledger) = ledger {
            watch.begin("reading the ledger", records);
            ledger.read(|line| {
                watch.add(1);
                ledger::enter(&mut balance, line);
            })?;
        }
        watch.begin("reading rows", records);
        let rows = self.store.rows(Rows::All, self.topic(), |row| {
            watch.add(1);
            balance.row(&row);
        });
        rows.await.map_err(store_gone)?;
        self.read_sources(&mut balance, records, watch)?;
        events::read(&self.reader, &self.settings, &mut balance, watch)?;
        if balance.is_ahead() {
            balance.look_again(&told(&self.committed(&partitions)?));
        }
        for ids in balance.resolved_ids().chunks(ASK_MAX) {
            let rows = self.store.ask(ids).await.map_err(store_gone)?;
            rows.iter().for_each(|row| balance.row_again(row));
        }
        Ok(balance.judge())
    }

    fn committed(&self, partitions: &[Partition]) -> anyhow::Result<Vec<Committed>> {
        patiently(&self.settings, || self.reader.committed(self.topic(), partitions))
    }

    fn read_sources(
        &self,
        balance: &mut Balance,
        records: u64,
        watch: &mut impl Watch,
    ) -> anyhow::Result<()> {
        watch.begin("reading transactions", records);
        let topic: Arc<str> = self.topic().into();
        let read = self.reader.read_topic(self.topic(), |partition, record| {
            watch.add(1);
            balance.source(source(&self.decoder, Arc::clone(&topic), partition, &record));
            ControlFlow::Continue(())
        });
        read.map_err(kafka_gone)?;
        self.decoder.check()
    }
}

fn source(
    decoder: &SourceDecoder,
    topic: Arc<str>,
    partition: Partition,
    record: &Record,
) -> Source {
    let place = Place { topic, partition, offset: record.offset };
    let (hash, content) = match decoder.decode(record) {
        Ok(tx) => {
            let hash = PayloadHash::of(&tx);
            let money = Money { minor_units: tx.amount.minor_units(), currency: tx.currency };
            (hash, Some(Content { id: tx.id, money }))
        }
        Err(_) => (PayloadHash::of_bytes(record.value.as_deref()), None),
    };
    let spot = Spot { partition, offset: record.offset };
    Source { spot, event_id: EventId::of(&place, &hash), content }
}

type Horizons = BTreeMap<Partition, Horizon>;

/// What is finished, and from where on; and of which partitions it can't be told, a sentence each.
fn horizons(
    committed: &[Committed],
    sources: &[SourceStart],
    store: StoreId,
) -> anyhow::Result<(Horizons, Vec<String>)> {
    let (mut horizons, mut unreadable) = (BTreeMap::new(), Vec::new());
    for partition in committed {
        let begun = sources.iter().find(|begun| begun.partition == partition.partition);
        let start = begun.map_or(partition.low, |begun| begun.start.max(partition.low));
        let told = match &partition.point {
            // An offset that was set before the group first ran: nothing is finished yet.
            Some((_, text)) if text.is_empty() && begun.is_none() => Some(Told::nothing(start)),
            None => Some(Told::nothing(start)),
            Some((watermark, text)) => match Metadata::decode(*watermark, text) {
                Ok(metadata) => {
                    is_same_store(metadata.store, store)?;
                    Some(metadata.told(*watermark))
                }
                Err(why) => {
                    let partition = partition.partition;
                    unreadable.push(format!("partition {partition}, offset {watermark}: {why}"));
                    None
                }
            },
        };
        horizons.insert(partition.partition, Horizon { start, told });
    }
    Ok((horizons, unreadable))
}

/// What was told with another store says nothing of this one.
pub(super) fn is_same_store(told: StoreId, ours: StoreId) -> anyhow::Result<()> {
    if told == ours {
        return Ok(());
    }
    Err(Exit::BadConfig.because(anyhow!(
        "the group works with store {}, and store.url names store {}: point it at the group's own",
        hex(&told.0),
        hex(&ours.0)
    )))
}

fn told(committed: &[Committed]) -> BTreeMap<Partition, Told> {
    let told = |partition: &Committed| {
        let (watermark, text) = partition.point.as_ref()?;
        let metadata = Metadata::decode(*watermark, text).ok()?;
        Some((partition.partition, metadata.told(*watermark)))
    };
    committed.iter().filter_map(told).collect()
}

/// Offsets between two places of a log.
pub(super) fn span(low: Offset, high: Offset) -> u64 {
    u64::try_from(high.0 - low.0).unwrap_or_default()
}

/// How long is waited before the brokers are asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks the brokers, and again where they are only in between (a coordinator that moves or has just started), for no
/// longer than three requests may take.
pub(super) fn patiently<T>(
    settings: &Settings,
    mut ask: impl FnMut() -> Result<T, AskError>,
) -> anyhow::Result<T> {
    let began = SystemClock.now().boot;
    loop {
        match ask() {
            Err(AskError::Transient(_))
                if SystemClock.now().boot.since(began) < settings.request_timeout * 2 =>
            {
                std::thread::sleep(PAUSE);
            }
            answer => return answer.map_err(kafka_gone),
        }
    }
}

pub(super) fn kafka_gone(error: AskError) -> anyhow::Error {
    Exit::Unavailable.because(error)
}

pub(super) fn store_gone(error: StoreError) -> anyhow::Error {
    Exit::Unavailable.because(anyhow!("store.url: {error}"))
}
