//! Where a new owner begins, from what Kafka and the store say of a partition, or why it must not. Pure: it asks
//! nobody and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::owned::{Owned, Phase};
use super::settings::{Begin, Settings};
use crate::domain::hex::hex;
use crate::domain::id::{Epoch, Offset, Partition, RecipeHash, TopicHash, Version};
use crate::domain::offsets::{Told, Tracker};
use crate::domain::time::Boot;
use crate::domain::window::{Offsets, Window};
use crate::ports::source::Committed;
use crate::ports::store::SourceStart;
use crate::wire::metadata::Metadata;

/// How a partition is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) told: Told,
    /// Ours: above that of the owner before us.
    pub(super) epoch: Epoch,
    /// Of the owner before us; `None` where there was none.
    pub(super) recipe: Option<RecipeHash>,
    pub(super) source_known: bool,
    pub(super) topic: Option<TopicHash>,
}

/// Where to begin, or why not to.
pub(super) fn take(
    committed: &Committed,
    sources: &[SourceStart],
    set: &Settings,
) -> Result<Taken, String> {
    let source_known = sources.iter().any(|s| s.partition == committed.partition);
    let told = committed.point.as_ref().filter(|(_, metadata)| !metadata.is_empty());
    let Some((watermark, text)) = told else {
        let start = begin(committed, sources, set)?;
        return Ok(Taken {
            told: if source_known { Told::forgotten(start) } else { Told::nothing(start) },
            epoch: Epoch(1),
            recipe: None,
            source_known,
            topic: committed.topic,
        });
    };
    let metadata = Metadata::decode(*watermark, text).map_err(|why| {
        format!("the metadata committed with offset {watermark} can't be read: {why}")
    })?;
    if metadata.store != set.store {
        return Err(format!(
            "it was processed with store {} and this store is {}: point store.url at the old store, or use \
             another kafka.group_id",
            hex(&metadata.store.0),
            hex(&set.store.0),
        ));
    }
    if *watermark < committed.low && !set.accept_offset_reset {
        return Err(format!(
            "offset {watermark} is not finished and the topic begins at {}: records were deleted before they were \
             processed; run with --accept-offset-reset to go on at {}",
            committed.low, committed.low
        ));
    }
    if is_other_topic(metadata.topic, committed.topic) && !set.accept_offset_reset {
        return Err(format!(
            "offset {watermark} is committed for another topic of this name, which was deleted and made anew; run \
             with --accept-offset-reset to begin again at {}",
            committed.low
        ));
    }
    if *watermark > committed.high && !set.accept_offset_reset {
        return Err(format!(
            "offset {watermark} is committed and the topic ends at {}: it was made anew or lost records; run with \
             --accept-offset-reset to begin again at {}",
            committed.high, committed.low
        ));
    }
    let Some(epoch) = metadata.epoch.next() else {
        return Err(format!(
            "it was committed in epoch {}, and there is none above it",
            metadata.epoch.0
        ));
    };
    let recipe = Some(metadata.recipe);
    let topic = committed.topic.or(metadata.topic);
    if is_of_before(&metadata, *watermark, committed) {
        let told = Told::forgotten(committed.low);
        return Ok(Taken { told, epoch, recipe, source_known, topic });
    }
    let mut told = metadata.told(*watermark);
    if told.watermark < committed.low {
        told.unfinished.retain(|o| *o >= committed.low);
        told.watermark = told.unfinished.first().copied().unwrap_or(told.cut.max(committed.low));
        told.cut = told.cut.max(told.watermark);
    }
    Ok(Taken { told, epoch, recipe, source_known, topic })
}

/// Whether what is committed can't be of the topic that there is.
pub(super) fn is_of_before(metadata: &Metadata, watermark: Offset, committed: &Committed) -> bool {
    watermark > committed.high || is_other_topic(metadata.topic, committed.topic)
}

/// Whether it is known of both, and they are not the same.
pub(super) fn is_other_topic(one: Option<TopicHash>, other: Option<TopicHash>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

/// The first offset of a partition of which Kafka holds nothing.
fn begin(committed: &Committed, sources: &[SourceStart], set: &Settings) -> Result<Offset, String> {
    let known = sources.iter().find(|s| s.partition == committed.partition);
    match (known, &committed.point) {
        (Some(known), point) if !set.accept_offset_reset => Err(format!(
            "the group {} began it at offset {} and Kafka now has {} for it: offsets were reset or have expired; \
             run with --accept-offset-reset to begin again",
            set.group,
            known.start,
            if point.is_some() { "an offset without metadata" } else { "no committed offset" },
        )),
        (Some(_), Some((offset, _))) => Ok(*offset),
        // A partition that was added to a topic we know: all of it is new.
        (None, _) if !sources.is_empty() => Ok(committed.low),
        _ => Ok(match set.begin {
            Begin::Earliest => committed.low,
            Begin::Latest => committed.high,
        }),
    }
}

pub(super) fn new_owned(
    partition: Partition,
    version: Version,
    taken: Taken,
    recipe: RecipeHash,
    now: Boot,
) -> Owned {
    Owned {
        partition,
        version,
        phase: Phase::Claiming,
        leaving: false,
        stopped: None,
        tracker: Tracker::inherit(taken.told),
        epoch: taken.epoch,
        topic: taken.topic,
        member: Arc::from(""),
        same_recipe: taken.recipe.is_none_or(|theirs| theirs == recipe),
        entries: Window::default(),
        lines: BTreeMap::new(),
        fresh: Offsets::default(),
        short_of_bound: None,
        ready: Offsets::default(),
        held_back: 0,
        to_admit: Offsets::default(),
        to_settle: Offsets::default(),
        to_mark: Offsets::default(),
        to_remove: Vec::new(),
        blocked: Vec::new(),
        to_audit: Vec::new(),
        scan: None,
        has_leftovers: false,
        busy: BTreeSet::new(),
        queue_retry_at: Boot(0),
        queue_tries: 0,
        demanded: 0,
        taken_over: now,
        alone_at: None,
        source_known: taken.source_known,
        epoch_written: false,
        stale: true,
        told_at: now,
    }
}
