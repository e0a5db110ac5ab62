//! Makes rows again that a store has lost, from the events that tell of them: reads all events, folds those of an id
//! into what its row must say (`history`), asks the store, and adds what it lacks by its ordinary calls. No row that
//! says something else is changed, nothing is published, and no offset is committed.

mod begun;
mod doubt;
mod history;
mod report;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use anyhow::bail;

use self::doubt::{Content, Doubt};
use self::history::{History, Step, Verdict};
pub use self::report::{Finding, Flaw, Gone, Planned, Report};
use super::exit::Exit;
use super::reconcile::{ToldEvent, Watch, each_event, patiently, reader, settle, store_gone, tell};
use super::schemas::SourceDecoder;
use super::store::AnyStore;
use crate::adapters::kafka::{Reader, Settings};
use crate::config::Config;
use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::offsets::Told;
use crate::domain::outcome::{Fate, Outcome};
use crate::domain::record::Record;
use crate::ports::store::{SourceStart, Store};

/// Ids that the store is asked for at a time.
const ASK_MAX: usize = 1_000;

/// Rebuilds; a dry run writes nothing.
///
/// # Errors
/// `Exit::Unavailable` where Kafka or the store does not answer; `Exit::BadConfig` where the store is not the one that
/// the group works with; a group that has committed nothing.
pub async fn rebuild(
    config: &Config,
    dry_run: bool,
    watch: &mut impl Watch,
) -> anyhow::Result<Report> {
    let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
    let (settings, reader) = reader(config)?;
    let site = Site {
        topic: settings.topics.transactions.as_str().into(),
        settings,
        reader,
        decoder: SourceDecoder::of(config)?,
        store: &store,
        rows_max: config.flush.max_rows,
    };
    let report = site.rebuild(dry_run, watch).await;
    store.close().await;
    report
}

/// What is read and written.
struct Site<'a> {
    topic: Arc<str>,
    settings: Arc<Settings>,
    reader: Reader,
    decoder: SourceDecoder,
    store: &'a AnyStore,
    rows_max: usize,
}

/// What the events tell.
#[derive(Default)]
struct Read {
    histories: BTreeMap<TransactionId, History>,
    /// The first offset of each partition that an event tells of.
    firsts: BTreeMap<Partition, Offset>,
}

/// What an id lacks, in order.
type Lacking = BTreeMap<TransactionId, VecDeque<Step>>;

impl Site<'_> {
    async fn rebuild(&self, dry_run: bool, watch: &mut impl Watch) -> anyhow::Result<Report> {
        let ours: &str = &self.topic;
        let partitions = patiently(&self.settings, || self.reader.partitions(ours))?;
        // Before the events: what is finished by now has its event among those that are read.
        let committed = patiently(&self.settings, || self.reader.committed(ours, &partitions))?;
        let store = self.store.identity().await.map_err(store_gone)?.id;
        let told = begun::told(&committed, store)?;
        if told.is_empty() {
            bail!(
                "the group {} has committed nothing for {ours}, so nothing tells that this is its store; are \
                 kafka.group_id and kafka.topics.transactions right?",
                self.settings.group_id
            );
        }
        let mut report = Report { dry_run, gone: self.gone()?, ..Report::default() };
        let mut read = self.read(&mut report, watch)?;
        self.decoder.check()?;
        let lacking = self.judge(&mut read.histories, &told, &mut report, watch).await?;
        report.starts = self.missing_starts(&told, &read.firsts).await?;
        if dry_run {
            lacking.into_iter().for_each(|(id, steps)| plan(&mut report, &id, steps));
            return Ok(report);
        }
        if !report.starts.is_empty() {
            self.store.add_sources(&report.starts).await.map_err(write::cut_short)?;
        }
        self.make(lacking, &mut report, watch).await?;
        Ok(report)
    }

    /// Logs of events that have lost their beginning.
    fn gone(&self) -> anyhow::Result<Vec<Gone>> {
        let topics = &self.settings.topics;
        let mut names = vec![&topics.archived, &topics.declined, &topics.dead_letter];
        names.sort_unstable();
        names.dedup();
        settle(&self.reader, &self.settings, names.iter().copied())?;
        let mut gone = Vec::new();
        for topic in names {
            for partition in patiently(&self.settings, || self.reader.partitions(topic))? {
                let (begins_at, _) =
                    patiently(&self.settings, || self.reader.watermarks(topic, partition))?;
                if begins_at.0 > 0 {
                    gone.push(Gone { topic: topic.clone(), partition, begins_at });
                }
            }
        }
        Ok(gone)
    }

    fn read(&self, report: &mut Report, watch: &mut impl Watch) -> anyhow::Result<Read> {
        let mut read = Read::default();
        let topics = &self.settings.topics;
        each_event(&self.reader, topics, watch, |topic, partition, record| {
            let told = tell(&record).and_then(|told| self.enter(&mut read, told, &record));
            match told {
                Ok(is_ours) => report.events += u64::from(is_ours),
                Err(why) => {
                    let detail = format!("{topic}/{partition}/{}: {why}", record.offset);
                    report.find(Flaw::UnreadableEvent, None, detail);
                }
            }
        })?;
        Ok(read)
    }

    /// Whether it is of our source topic; others may share the topics of events.
    fn enter(&self, read: &mut Read, told: ToldEvent, record: &Record) -> Result<bool, String> {
        let Place { topic, partition, offset } = told.place();
        if **topic != *self.topic {
            return Ok(false);
        }
        let first = read.firsts.entry(*partition).or_insert(*offset);
        *first = (*first).min(*offset);
        match told {
            ToldEvent::Outcome(outcome) => {
                let outcome = Box::new(self.of_our_topic(*outcome));
                let id = outcome.transaction_id.clone();
                read.histories.entry(id).or_default().outcome(outcome);
            }
            ToldEvent::Resolution(event, resolves) => {
                let event = self.of_our_topic(*event);
                let id = event.transaction_id.clone();
                read.histories.entry(id).or_default().resolution(event, resolves);
            }
            ToldEvent::Letter(letter) if letter.fate == Fate::InDoubt => {
                let doubt = Doubt::read(letter, record, &self.decoder)?;
                read.histories.entry(doubt.id.clone()).or_default().doubt(doubt);
            }
            // Duplicates and rejected records leave no row.
            ToldEvent::Letter(_) => {}
        }
        Ok(true)
    }

    /// One name for all places instead of one for each.
    fn of_our_topic(&self, mut outcome: Outcome) -> Outcome {
        outcome.source.topic = Arc::clone(&self.topic);
        outcome
    }

    /// What each id lacks; what stands in the way is noted.
    async fn judge(
        &self,
        histories: &mut BTreeMap<TransactionId, History>,
        told: &BTreeMap<Partition, Told>,
        report: &mut Report,
        watch: &mut impl Watch,
    ) -> anyhow::Result<Lacking> {
        let is_ahead = |place: &Place| {
            place.topic == self.topic
                && told.get(&place.partition).is_none_or(|told| !told.is_finished(place.offset))
        };
        watch.begin("asking the store", histories.len() as u64);
        let mut lacking = Lacking::new();
        let ids: Vec<TransactionId> = histories.keys().cloned().collect();
        for ids in ids.chunks(ASK_MAX) {
            let rows = self.store.ask(ids).await.map_err(store_gone)?;
            let rows: BTreeMap<&TransactionId, &Outcome> =
                rows.iter().map(|row| (&row.transaction_id, row)).collect();
            for id in ids {
                watch.add(1);
                // What needs nothing more is forgotten.
                let Some(mut history) = histories.remove(id) else { continue };
                let row = rows.get(id).copied();
                let mut verdict = history.judge(row, is_ahead);
                if let Verdict::NeedsRecord(place) = &verdict
                    && let Some(content) = self.content(&history, place)?
                {
                    history.fill(place, content);
                    verdict = history.judge(row, is_ahead);
                }
                self.note(id, verdict, report, &mut lacking);
            }
        }
        Ok(lacking)
    }

    fn note(&self, id: &TransactionId, is: Verdict, report: &mut Report, lacking: &mut Lacking) {
        let id = id.clone();
        match is {
            Verdict::Stands => report.standing += 1,
            Verdict::Ahead => report.ahead += 1,
            Verdict::Lacks(steps) => {
                lacking.insert(id, steps.into());
            }
            Verdict::NeedsRecord(place) => {
                let detail = format!("in doubt at {place}; its dead letter lacks the record");
                report.find(Flaw::NoRecord, Some(id), detail);
            }
            Verdict::OtherEvents(why) => report.find(Flaw::OtherEvents, Some(id), why),
            Verdict::OtherRow(why) => report.find(Flaw::OtherRow, Some(id), why),
        }
    }

    /// What the source record of a doubt tells, where the topic still has it.
    fn content(&self, history: &History, place: &Place) -> anyhow::Result<Option<Content>> {
        let Place { topic, partition, offset } = place;
        let record = patiently(&self.settings, || self.reader.record(topic, *partition, *offset))?;
        let Some((record, doubt)) = record.zip(history.letter(place)) else { return Ok(None) };
        let content = doubt.content_of(&record, &self.decoder);
        self.decoder.check()?;
        Ok(content)
    }

    async fn missing_starts(
        &self,
        told: &BTreeMap<Partition, Told>,
        firsts: &BTreeMap<Partition, Offset>,
    ) -> anyhow::Result<Vec<SourceStart>> {
        let group = &self.settings.group_id;
        let known = self.store.sources(group, &self.topic).await.map_err(store_gone)?;
        let start = |(partition, start)| SourceStart {
            group: group.clone(),
            topic: self.topic.to_string(),
            partition,
            start,
        };
        Ok(begun::missing(told, &known, firsts).into_iter().map(start).collect())
    }
}

fn plan(report: &mut Report, id: &TransactionId, steps: VecDeque<Step>) {
    for step in steps {
        match step {
            Step::Store(row) => {
                *report.rows.entry(row.fate).or_default() += 1;
                report.plan(Planned { fate: Some(row.fate), id: id.clone() });
            }
            Step::Resolve(_) => {
                report.resolutions += 1;
                report.plan(Planned { fate: None, id: id.clone() });
            }
        }
    }
}
