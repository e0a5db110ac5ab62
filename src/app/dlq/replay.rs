//! Makes records again from their dead letters. All of them are judged first; then those that may be replayed are
//! read once more, a bounded number at a time, and produced. Cut short, it may be run again: what stands on the source
//! topic by then is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::judge::{Known, Refusal, judge, needs_row};
use super::letter::{Standing, replay_of};
use super::produce::Production;
use super::{Wanted, each, place};
use crate::adapters::kafka::{Reader, Settings};
use crate::app::exit::Exit;
use crate::app::reconcile::{
    Watch, kafka_gone, patiently, reader, settle, store_gone, topic_length,
};
use crate::app::store::AnyStore;
use crate::config::Config;
use crate::domain::balance::Spot;
use crate::domain::id::{Partition, TransactionId};
use crate::domain::outcome::Outcome;
use crate::domain::record::Record;
use crate::ports::store::Store;

/// Ids that the store is asked for at a time.
const ASK_MAX: usize = 1_000;
/// Records, and about as many bytes, that are held while they are produced.
const HELD_MAX: usize = 500;
const HELD_BYTES_MAX: usize = 8 << 20;

/// What is to be replayed, and how.
#[derive(Debug, Clone)]
pub struct Order {
    pub wanted: Wanted,
    /// Judge only.
    pub dry_run: bool,
    /// Records a second.
    pub rate: u32,
    /// The most records.
    pub most: usize,
    pub force: bool,
}

/// What became of one dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its record stands on the source topic again: on this partition, or by its key; how often it was replayed by
    /// now. In a dry run: it would.
    Replayed {
        to: Option<Partition>,
        replays: u32,
    },
    Refused(Refusal),
}

/// A dead letter and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub spot: Spot,
    /// `None` where nothing stands there.
    pub standing: Option<Standing>,
    pub verdict: Verdict,
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Report {
    pub judged: Vec<Judged>,
    /// That might be replayed, and are more than were asked for.
    pub left: usize,
}

impl Report {
    fn refuse(&mut self, spot: Spot, standing: Option<Standing>, why: Refusal) {
        self.judged.push(Judged { spot, standing, verdict: Verdict::Refused(why) });
    }

    /// Replayed for the first time, or once more than `before`.
    pub(super) fn replay(&mut self, standing: Standing, partitions: &[Partition], before: u32) {
        let to = home(&standing, partitions);
        let verdict = Verdict::Replayed { to, replays: before.saturating_add(1) };
        self.judged.push(Judged { spot: standing.spot, standing: Some(standing), verdict });
    }

    /// Those replayed, and those refused.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let refused =
            self.judged.iter().filter(|it| matches!(it.verdict, Verdict::Refused(_))).count();
        (self.judged.len() - refused, refused)
    }
}

/// The partition that the record came from, where it is still there: repeats of an id should meet in one.
pub(super) fn home(standing: &Standing, partitions: &[Partition]) -> Option<Partition> {
    let from = standing.told.as_ref().ok()?.place.partition;
    partitions.contains(&from).then_some(from)
}

/// Replays, and notes in `report` what was done, also where it ends with an error.
///
/// # Errors
/// `Exit::Unavailable` where Kafka or the store does not answer; a record that the source topic does not take.
pub async fn replay(
    config: &Config,
    order: &Order,
    watch: &mut impl Watch,
    report: &mut Report,
) -> anyhow::Result<()> {
    let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
    let (settings, reader) = reader(config)?;
    let done = Replaying { settings, reader, store: &store, order }.run(watch, report).await;
    store.close().await;
    done
}

/// The rows of those letters that can't be judged without.
pub(super) async fn rows<'a>(
    store: &AnyStore,
    letters: impl Iterator<Item = &'a Standing>,
) -> anyhow::Result<BTreeMap<TransactionId, Outcome>> {
    let ids: BTreeSet<TransactionId> = letters.filter_map(needs_row).cloned().collect();
    let ids: Vec<TransactionId> = ids.into_iter().collect();
    let mut rows = BTreeMap::new();
    for ids in ids.chunks(ASK_MAX) {
        let found = store.ask(ids).await.map_err(store_gone)?;
        rows.extend(found.into_iter().map(|row| (row.transaction_id.clone(), row)));
    }
    Ok(rows)
}

/// Dead letters that may be replayed, and how often their records were.
type Plan = BTreeMap<Spot, (Standing, u32)>;

struct Replaying<'a> {
    settings: Arc<Settings>,
    reader: Reader,
    store: &'a AnyStore,
    order: &'a Order,
}

impl Replaying<'_> {
    async fn run(&self, watch: &mut impl Watch, report: &mut Report) -> anyhow::Result<()> {
        let topics = &self.settings.topics;
        // What an open transaction hides may be what was replayed last.
        settle(&self.reader, &self.settings, [&topics.dead_letter, &topics.transactions])?;
        let mut found = BTreeMap::new();
        each(&self.reader, &self.settings, &self.order.wanted, watch, |standing| {
            found.insert(standing.spot, standing);
        })?;
        if let Wanted::At(spots) = &self.order.wanted {
            for spot in spots.iter().filter(|spot| !found.contains_key(spot)) {
                report.refuse(*spot, None, Refusal::Gone);
            }
        }
        let rows = rows(self.store, found.values()).await?;
        // The source topic is read only where it may still make a difference.
        let nothing = BTreeMap::new();
        let candidates = found.values().filter(|it| self.judged(it, &rows, &nothing).is_ok());
        let candidates: BTreeSet<String> =
            candidates.map(|it| place(&self.settings, it.spot).to_string()).collect();
        let again = self.again(&candidates, watch)?;
        let mut plan = Plan::new();
        for (spot, standing) in found {
            match self.judged(&standing, &rows, &again) {
                Err(why) => report.refuse(spot, Some(standing), why),
                Ok(_) if plan.len() >= self.order.most => report.left += 1,
                Ok(replays) => drop(plan.insert(spot, (standing, replays))),
            }
        }
        self.carry_out(plan, watch, report)
    }

    fn judged(
        &self,
        standing: &Standing,
        rows: &BTreeMap<TransactionId, Outcome>,
        again: &BTreeMap<String, String>,
    ) -> Result<u32, Refusal> {
        let row = needs_row(standing).and_then(|id| rows.get(id));
        let stands = again.get(&place(&self.settings, standing.spot).to_string());
        let known = Known {
            topic: &self.settings.topics.transactions,
            row,
            again: stands.map(String::as_str),
            force: self.order.force,
        };
        judge(standing, &known)
    }

    /// Which of these dead letters have their record on the source topic again, and where. With force nobody asks.
    fn again(
        &self,
        candidates: &BTreeSet<String>,
        watch: &mut impl Watch,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let mut again = BTreeMap::new();
        if candidates.is_empty() || self.order.force {
            return Ok(again);
        }
        let topic = &self.settings.topics.transactions;
        watch.begin("reading transactions", topic_length(&self.reader, topic)?);
        let read = self.reader.read_topic(topic, |partition, record| {
            watch.add(1);
            if let Some(of) = replay_of(&record.headers).filter(|of| candidates.contains(*of)) {
                again.insert(of.to_owned(), format!("{topic}/{partition}/{}", record.offset));
            }
            ControlFlow::Continue(())
        });
        read.map_err(kafka_gone)?;
        Ok(again)
    }

    fn carry_out(
        &self,
        mut plan: Plan,
        watch: &mut impl Watch,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let topic = &self.settings.topics.transactions;
        let partitions = patiently(&self.settings, || self.reader.partitions(topic))?;
        if self.order.dry_run {
            for (_, (standing, replays)) in plan {
                report.replay(standing, &partitions, replays);
            }
            return Ok(());
        }
        let mut production = Production::new(&self.settings, &partitions, self.order.rate)?;
        watch.begin("replaying", plan.len() as u64);
        while let Some(first) = plan.keys().next().copied() {
            let (mut held, end) = self.hold(first, &plan)?;
            let later = plan.split_off(&end);
            for (spot, (standing, replays)) in std::mem::replace(&mut plan, later) {
                watch.add(1);
                let Some(record) = held.remove(&spot) else {
                    report.refuse(spot, Some(standing), Refusal::Gone);
                    continue;
                };
                production.send((standing, replays), &record, report)?;
            }
            production.confirm(report)?;
        }
        Ok(())
    }

    /// Reads the planned dead letters of one partition from the first on, as many as may be held; and which of the
    /// plan comes next.
    fn hold(&self, first: Spot, plan: &Plan) -> anyhow::Result<(BTreeMap<Spot, Record>, Spot)> {
        let partition = first.partition;
        let there = plan.keys().take_while(|spot| spot.partition == partition);
        let to = there.last().unwrap_or(&first).offset.next();
        let (mut held, mut bytes) = (BTreeMap::new(), 0);
        let mut end = to;
        let topic = &self.settings.topics.dead_letter;
        let read = self.reader.read_part(topic, partition, (first.offset, to), |record| {
            let spot = Spot { partition, offset: record.offset };
            if plan.contains_key(&spot) {
                let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
                bytes += length(&record.key) + length(&record.value);
                held.insert(spot, record);
            }
            if held.len() < HELD_MAX && bytes < HELD_BYTES_MAX {
                return ControlFlow::Continue(());
            }
            end = spot.offset.next();
            ControlFlow::Break(())
        });
        read.map_err(kafka_gone)?;
        Ok((held, Spot { partition, offset: end }))
    }
}
