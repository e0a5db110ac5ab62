//! The ends of the source's partitions: for the lag that is shown, and for ending once everything is worked off,
//! whoever owns it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::adapters::kafka::{Reader, Settings};
use crate::adapters::system::SystemClock;
use crate::domain::id::{Offset, Partition};
use crate::ports::source::Committed;
use crate::ports::time::Clock;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const IDLE_LOOK_EVERY: Duration = Duration::from_millis(200);

/// The end of each partition's log, as last seen.
#[derive(Debug, Clone, Default)]
pub struct LogEnds(Arc<Mutex<BTreeMap<Partition, Offset>>>);

impl LogEnds {
    #[must_use]
    pub fn of(&self, partition: Partition) -> Option<Offset> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied()
    }

    fn set(&self, ends: BTreeMap<Partition, Offset>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }
}

/// Looks at the ends every few seconds, on a task of its own; what can't be read stays as it was.
pub(super) fn follow_log_ends(settings: &Arc<Settings>, partitions: Vec<Partition>) -> LogEnds {
    let ends = LogEnds::default();
    let (seen, settings) = (ends.clone(), Arc::clone(settings));
    tokio::spawn(async move {
        let Ok(reader) = Reader::new(Arc::clone(&settings)) else { return };
        loop {
            let (reader, of) = (reader.clone(), partitions.clone());
            let topic = settings.topics.transactions.clone();
            let look = tokio::task::spawn_blocking(move || {
                of.iter()
                    .map(|p| Some((*p, reader.watermarks(&topic, *p).ok()?.1)))
                    .collect::<Option<BTreeMap<_, _>>>()
            });
            if let Ok(Some(found)) = look.await {
                seen.set(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    ends
}

/// Resolves once every partition's committed watermark has stood at its end for this long; never where no duration
/// is given. `progress` is told what is done since the first look, and what there is to do, in offsets.
pub(super) async fn until_idle(
    settings: &Arc<Settings>,
    partitions: Vec<Partition>,
    lasting: Option<Duration>,
    mut progress: impl FnMut(u64, u64),
) {
    let (Some(lasting), Ok(reader)) = (lasting, Reader::new(Arc::clone(settings))) else {
        return std::future::pending().await;
    };
    let mut since = None;
    let mut first = None;
    loop {
        tokio::time::sleep(IDLE_LOOK_EVERY).await;
        let (reader, of) = (reader.clone(), partitions.clone());
        let topic = settings.topics.transactions.clone();
        let look = tokio::task::spawn_blocking(move || reader.committed(&topic, &of).ok());
        let Ok(Some(committed)) = look.await else {
            since = None;
            continue;
        };
        let (done, end) = reached(&committed);
        let from = *first.get_or_insert(done);
        progress(done.saturating_sub(from), end.saturating_sub(from));
        if !is_worked_off(&committed) {
            since = None;
            continue;
        }
        let now = SystemClock.now().boot;
        if now.since(*since.get_or_insert(now)) >= lasting {
            return;
        }
    }
}

fn is_worked_off(committed: &[Committed]) -> bool {
    committed.iter().all(|c| matches!(&c.point, Some((watermark, _)) if *watermark >= c.high))
}

/// The sums of all watermarks and of all ends; what was never committed stands at the topic's first record.
fn reached(committed: &[Committed]) -> (u64, u64) {
    let watermark = |c: &Committed| c.point.as_ref().map_or(c.low, |(watermark, _)| *watermark);
    let sum = |offset: &dyn Fn(&Committed) -> Offset| {
        committed.iter().map(|c| u64::try_from(offset(c).0).unwrap_or_default()).sum()
    };
    (sum(&watermark), sum(&|c| c.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(low: i64, high: i64, watermark: Option<i64>) -> Committed {
        let point = watermark.map(|offset| (Offset(offset), String::new()));
        Committed {
            partition: Partition(0),
            low: Offset(low),
            high: Offset(high),
            point,
            topic: None,
        }
    }

    #[test]
    fn worked_off_is_every_watermark_at_its_end() {
        assert!(is_worked_off(&[partition(0, 5, Some(5)), partition(2, 2, Some(2))]));
        assert!(!is_worked_off(&[partition(0, 5, Some(5)), partition(0, 5, Some(4))]));
        assert!(!is_worked_off(&[partition(0, 0, None)]), "nobody has claimed it yet");
    }

    #[test]
    fn progress_counts_from_the_first_record_where_nothing_is_committed() {
        assert_eq!(reached(&[partition(10, 50, None), partition(0, 7, Some(3))]), (13, 57));
    }
}
