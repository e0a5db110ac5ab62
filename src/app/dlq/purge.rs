//! Deletes dead letters that nobody needs any more. Kafka deletes from a log's beginning only: whatever has to stay
//! keeps all that stand behind it.

use std::collections::BTreeMap;

use super::judge::needs_row;
use super::letter::Standing;
use super::replay::rows;
use super::{Filter, Wanted, each};
use crate::adapters::kafka::{Admin, Reader, Settings};
use crate::app::exit::Exit;
use crate::app::reconcile::{Watch, kafka_gone, patiently, reader, settle};
use crate::app::store::AnyStore;
use crate::config::Config;
use crate::domain::balance::Spot;
use crate::domain::id::{Offset, Partition, TransactionId};
use crate::domain::outcome::{Fate, Outcome};

/// What is to be deleted.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Written before, in milliseconds since 1970.
    pub until_ms: i64,
    /// Look only.
    pub dry_run: bool,
    /// Also where `reconcile` will miss them.
    pub force: bool,
}

/// Why a dead letter stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    #[error("{0} is in doubt: look it up at the gateway, then run tollbridge resolve")]
    InDoubt(TransactionId),
    #[error("it tells of a doubt and names no id")]
    Nameless,
    #[error(
        "its record still stands on the source topic, so reconcile would miss its event; wait until retention has \
         deleted it, or --force"
    )]
    HasSource,
}

/// What became of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    pub partition: Partition,
    /// Those deleted; in a dry run: that would be.
    pub letters: u64,
    /// The log begins here then.
    pub begins: Offset,
    /// The first one that was meant and stays, with all behind it.
    pub stays: Option<(Spot, Stays)>,
}

/// Purges; partitions of which nothing was meant are left out.
///
/// # Errors
/// `Exit::Unavailable` where Kafka or the store does not answer. What was deleted by then stays so.
pub async fn purge(
    config: &Config,
    purge: &Purge,
    watch: &mut impl Watch,
) -> anyhow::Result<Vec<Purged>> {
    let (settings, reader) = reader(config)?;
    let topic = &settings.topics.dead_letter;
    settle(&reader, &settings, [topic])?;
    let lows = lows(&reader, &settings)?;
    let mut meant: BTreeMap<Partition, Vec<Standing>> = BTreeMap::new();
    // What is behind one that is too young can't be deleted before it, whatever its time says.
    let mut youngest: BTreeMap<Partition, Offset> = BTreeMap::new();
    each(&reader, &settings, &Wanted::Like(Filter::default()), watch, |standing| {
        let Spot { partition, offset } = standing.spot;
        if standing.at_ms.is_none_or(|at| at >= purge.until_ms) {
            youngest.entry(partition).or_insert(offset);
        } else if !youngest.contains_key(&partition) {
            meant.entry(partition).or_default().push(standing);
        }
    })?;
    let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
    let rows = rows(&store, meant.values().flatten()).await;
    store.close().await;
    let rows = rows?;
    let judged = meant.into_iter().map(|(partition, letters)| {
        let stays =
            |standing: &Standing| Some((standing.spot, stays(standing, &rows, &lows, purge)?));
        judge(partition, &letters, stays)
    });
    let mut all: Vec<Purged> = judged.collect();
    if !purge.dry_run {
        let ends = all.iter().filter(|it| it.letters > 0).map(|it| (it.partition, it.begins));
        let ends: BTreeMap<Partition, Offset> = ends.collect();
        if !ends.is_empty() {
            let begins = Admin::new(&settings)?.delete_before(topic, &ends).await;
            let begins = begins.map_err(kafka_gone)?;
            for it in &mut all {
                it.begins = begins.get(&it.partition).copied().unwrap_or(it.begins);
            }
        }
    }
    Ok(all)
}

/// Letters of one partition that are meant, in their order: those before the first that stays.
fn judge(
    partition: Partition,
    letters: &[Standing],
    stays: impl Fn(&Standing) -> Option<(Spot, Stays)>,
) -> Purged {
    let mut purged = Purged { partition, letters: 0, begins: Offset(0), stays: None };
    for standing in letters {
        purged.stays = stays(standing);
        if purged.stays.is_some() {
            purged.begins = standing.spot.offset;
            return purged;
        }
        purged.letters += 1;
        purged.begins = standing.spot.offset.next();
    }
    purged
}

/// What is no dead letter of ours keeps nobody.
fn stays(
    standing: &Standing,
    rows: &BTreeMap<TransactionId, Outcome>,
    lows: &BTreeMap<Partition, Offset>,
    purge: &Purge,
) -> Option<Stays> {
    let letter = standing.told.as_ref().ok()?;
    if letter.fate == Fate::InDoubt {
        let Some(id) = needs_row(standing) else { return Some(Stays::Nameless) };
        let is_open = |row: &Outcome| row.fate == Fate::InDoubt && !row.is_resolved_not_charged();
        // Without a row nobody has resolved it either.
        if rows.get(id).is_none_or(is_open) {
            return Some(Stays::InDoubt(id.clone()));
        }
    }
    let low = lows.get(&letter.place.partition);
    let has_source = low.is_some_and(|low| letter.place.offset >= *low);
    (has_source && !purge.force).then_some(Stays::HasSource)
}

/// Where the logs of the source topic begin.
fn lows(reader: &Reader, settings: &Settings) -> anyhow::Result<BTreeMap<Partition, Offset>> {
    let topic = &settings.topics.transactions;
    let mut lows = BTreeMap::new();
    for partition in patiently(settings, || reader.partitions(topic))? {
        let (low, _) = patiently(settings, || reader.watermarks(topic, partition))?;
        lows.insert(partition, low);
    }
    Ok(lows)
}
