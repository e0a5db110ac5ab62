//! Ends an `in_doubt` by a person's word: the row and the audit in one step, then the event. Cut short in between, it
//! is run again and only adds what is missing. Whether a row may be resolved is decided in `domain::resolution`.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::exit::Exit;
use super::reconcile::{
    ToldEvent, Watch, is_same_store, kafka_gone, patiently, reader, settle, store_gone, tell,
    topic_length,
};
use super::schemas;
use super::store::AnyStore;
use crate::adapters::kafka::{Feed, Feeder, Reader, Settings};
use crate::config::Config;
use crate::domain::id::Place;
use crate::domain::outcome::{EventId, Fate, NOT_CHARGED, Outcome};
use crate::domain::resolution::{Finding, Refusal, Resolution, Resolved};
use crate::ports::store::{ResolveError, Store, StoreError};
use crate::wire::events::EventCodec;
use crate::wire::metadata::Metadata;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub resolved: Resolved,
    /// The topic of the event.
    pub topic: String,
    /// `false` where the event stood there already.
    pub is_published: bool,
}

/// Resolves, and reports it.
///
/// # Errors
/// `Exit::Unavailable` where Kafka or the store does not answer; a refusal, with what stands there now.
pub async fn resolve(
    config: &Config,
    resolution: &Resolution,
    watch: &mut impl Watch,
) -> anyhow::Result<Done> {
    let store = AnyStore::of(&config.store).map_err(|error| Exit::BadConfig.because(error))?;
    let done = Resolving::of(config, &store).await?.run(resolution, watch).await;
    store.close().await;
    done
}

/// What it takes to resolve. Kafka is asked by calls that block.
pub(super) struct Resolving<'a> {
    settings: Arc<Settings>,
    reader: Reader,
    codec: EventCodec,
    store: &'a AnyStore,
}

impl<'a> Resolving<'a> {
    /// # Errors
    /// `Exit::BadConfig`, or no schema registry.
    pub(super) async fn of(config: &Config, store: &'a AnyStore) -> anyhow::Result<Self> {
        let (settings, reader) = reader(config)?;
        let codec = EventCodec::new(schemas::events_format(config).await?, &config.kafka.group_id);
        Ok(Self { settings, reader, codec, store })
    }

    /// Row and audit, then the event.
    ///
    /// # Errors
    /// As for [`resolve`].
    pub(super) async fn run(
        &self,
        resolution: &Resolution,
        watch: &mut impl Watch,
    ) -> anyhow::Result<Done> {
        let row = self.store.ask(std::slice::from_ref(&resolution.id)).await.map_err(store_gone)?;
        let Some(row) = row.first() else {
            bail!(Refusal::Missing(resolution.id.clone()));
        };
        self.check_reported(&row.source).await?;
        let resolved = self.store.resolve(resolution).await.map_err(|error| match error {
            ResolveError::Refused(refusal) => refusal.into(),
            ResolveError::Store(error @ StoreError::Unknown(_)) => Exit::Unavailable.because(
                anyhow!("{error}; it is not known whether the row was changed: run it again"),
            ),
            ResolveError::Store(error) => store_gone(error),
        })?;
        let event = event_of(&resolved);
        let topics = &self.settings.topics;
        let topic = match resolution.finding {
            Finding::Charged { .. } => &topics.archived,
            Finding::NotCharged => &topics.declined,
        };
        let stands = resolved.repeated && self.is_published(topic, event.event_id, watch)?;
        if !stands {
            self.publish(topic, &event, resolved.before.event_id)
                .context("the row is resolved, and the event is missing: run the same again")?;
        }
        Ok(Done { resolved, topic: topic.clone(), is_published: !stands })
    }

    /// The doubt itself must be on Kafka, or a processor that is about to report the place would read the resolved
    /// row as its own outcome.
    async fn check_reported(&self, place: &Place) -> anyhow::Result<()> {
        let ours = &self.settings.topics.transactions;
        if *place.topic != **ours {
            bail!("its row is of {place}, and kafka.topics.transactions is {ours:?}");
        }
        let identity = self.store.identity().await.map_err(store_gone)?;
        let committed =
            patiently(&self.settings, || self.reader.committed(ours, &[place.partition]))?;
        let Some((watermark, text)) = committed.into_iter().next().and_then(|c| c.point) else {
            bail!("the group has committed nothing for {place}; is kafka.group_id right?");
        };
        let metadata = Metadata::decode(watermark, &text)
            .with_context(|| format!("partition {}, offset {watermark}", place.partition))?;
        is_same_store(metadata.store, identity.id)?;
        if !metadata.told(watermark).is_finished(place.offset) {
            bail!("{place} is not reported yet: wait until a processor has, then run it again");
        }
        Ok(())
    }

    /// Whether the event stands on its topic, from an earlier run.
    fn is_published(
        &self,
        topic: &String,
        event_id: EventId,
        watch: &mut impl Watch,
    ) -> anyhow::Result<bool> {
        settle(&self.reader, &self.settings, [topic])?;
        watch.begin("looking for the event", topic_length(&self.reader, topic)?);
        let mut found = false;
        let read = self.reader.read_topic(topic, |_, record| {
            watch.add(1);
            found = matches!(
                tell(&record),
                Ok(ToldEvent::Resolution(event, _)) if event.event_id == event_id
            );
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map_err(kafka_gone)?;
        Ok(found)
    }

    fn publish(&self, topic: &str, event: &Outcome, resolves: EventId) -> anyhow::Result<()> {
        let Place { topic: source, partition, offset } = &event.source;
        let record = self.reader.record(source, *partition, *offset).map_err(kafka_gone)?;
        let event = self.codec.resolution(event, resolves, record.as_ref());
        let feeder = Feeder::new(&self.settings).map_err(|error| Exit::BadConfig.because(error))?;
        let feed = Feed {
            topic,
            partition: None,
            key: event.key.as_deref(),
            value: event.value.as_deref(),
            headers: &event.headers,
            timestamp_ms: None,
        };
        feeder.send(&feed).map_err(kafka_gone)?;
        feeder.flush().map_err(kafka_gone)
    }
}

/// The event tells what the row now says; on `tx-declined` its fate is that of the topic.
fn event_of(resolved: &Resolved) -> Outcome {
    let after = &resolved.after;
    let fate = if after.fate == Fate::Archived { Fate::Archived } else { Fate::Declined };
    debug_assert!(fate == Fate::Archived || after.code.as_deref() == Some(NOT_CHARGED));
    let event_id = EventId::of_resolution(&after.source, &after.payload_hash);
    Outcome { event_id, fate, ..after.clone() }
}
