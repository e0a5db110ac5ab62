//! What only the brokers know of the whole group: how far it is behind, and how much of the topic's retention the
//! oldest unfinished record has used up.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::super::reconcile::span;
use super::Asking;
use crate::adapters::kafka::{Admin, AskError, Reader, Settings};
use crate::adapters::system::SystemClock;
use crate::domain::alerts::Rule;
use crate::domain::id::{Offset, Partition};
use crate::domain::time::Wall;
use crate::ports::source::Committed;
use crate::ports::time::Clock;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks every few seconds while this process speaks.
pub(super) async fn follow(
    settings: Arc<Settings>,
    partitions: Vec<Partition>,
    mut asking: Asking,
) {
    // Connections of their own, once they are needed.
    let mut clients = None;
    while asking.is_wanted().await {
        let mut looked = None;
        if asking.is_on(Rule::ConsumerLag) || asking.is_on(Rule::WatermarkRetention) {
            clients = clients.or_else(|| open(&settings));
            if let Some((reader, admin)) = &clients {
                looked = look(&settings, reader, admin, &partitions).await;
            }
        }
        asking.set(Rule::ConsumerLag, looked.map(|looked| looked.0));
        asking.set(Rule::WatermarkRetention, looked.and_then(|looked| looked.1));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn open(settings: &Arc<Settings>) -> Option<(Reader, Admin)> {
    Some((Reader::new(Arc::clone(settings)).ok()?, Admin::new(settings).ok()?))
}

async fn look(
    settings: &Settings,
    reader: &Reader,
    admin: &Admin,
    partitions: &[Partition],
) -> Option<(u64, Option<u64>)> {
    let topic = settings.topics.transactions.clone();
    let (of, asked, partitions) = (reader.clone(), topic.clone(), partitions.to_vec());
    let committed = tokio::task::spawn_blocking(move || of.committed(&asked, &partitions));
    let committed = committed.await.ok()?.ok()?;
    let lag = committed.iter().map(|c| behind(c).map_or(0, |(from, to)| span(from, to))).sum();
    // Only once the brokers have answered, as in `Reader::topic_hash`. Not everyone may describe the topic.
    let limits = admin.limits(&topic).await;
    let Some(retention) = limits.ok().and_then(|limits| limits.retention_ms) else {
        return Some((lag, None));
    };
    let (reader, now) = (reader.clone(), SystemClock.now().wall);
    let used =
        tokio::task::spawn_blocking(move || used(&reader, &topic, &committed, retention, now));
    Some((lag, Some(used.await.ok()?.ok()?)))
}

/// From the watermark to the end; `None` where there is nothing in between. What was never committed stands at the
/// topic's first record.
fn behind(c: &Committed) -> Option<(Offset, Offset)> {
    let watermark = c.point.as_ref().map_or(c.low, |(watermark, _)| *watermark).max(c.low);
    (watermark < c.high).then_some((watermark, c.high))
}

/// Percent of `retention` milliseconds, of the partition where it is most; 0 where nothing is ever deleted.
fn used(
    reader: &Reader,
    topic: &str,
    committed: &[Committed],
    retention: i64,
    now: Wall,
) -> Result<u64, AskError> {
    let mut oldest: Option<i64> = None;
    for c in committed.iter().filter(|_| retention > 0) {
        let Some(bounds) = behind(c) else { continue };
        let mut first = None;
        reader.read_part(topic, c.partition, bounds, |record| {
            first = record.timestamp_ms;
            ControlFlow::Break(())
        })?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest.map_or(0, |published| percent_of(retention, now.0 / 1_000 - published)))
}

fn percent_of(retention: i64, age: i64) -> u64 {
    u64::try_from(age.saturating_mul(100) / retention.max(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_retention_is_in_whole_percent() {
        assert_eq!(percent_of(1000, 0), 0);
        assert_eq!(percent_of(1000, 499), 49);
        assert_eq!(percent_of(1000, 2000), 200);
        assert_eq!(percent_of(1000, -5), 0, "from a clock that is ahead of ours");
    }

    #[test]
    fn what_was_never_committed_or_is_gone_begins_at_the_first_record() {
        let at = |low, high, watermark: Option<i64>| Committed {
            partition: Partition(0),
            low: Offset(low),
            high: Offset(high),
            point: watermark.map(|offset| (Offset(offset), String::new())),
            topic: None,
        };
        assert_eq!(behind(&at(3, 9, None)), Some((Offset(3), Offset(9))));
        assert_eq!(behind(&at(3, 9, Some(1))), Some((Offset(3), Offset(9))));
        assert_eq!(behind(&at(3, 9, Some(5))), Some((Offset(5), Offset(9))));
        assert_eq!(behind(&at(3, 9, Some(9))), None);
    }
}
