//! The ends of the source's partitions: for the lag that is shown, and for ending once everything is worked off,
//! whoever owns it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::adapters::kafka::{Reader, Settings};
use crate::adapters::system::SystemClock;
use crate::domain::id::{Offset, Partition};
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
/// is given.
pub(super) async fn until_idle(
    settings: &Arc<Settings>,
    partitions: Vec<Partition>,
    lasting: Option<Duration>,
) {
    let (Some(lasting), Ok(reader)) = (lasting, Reader::new(Arc::clone(settings))) else {
        return std::future::pending().await;
    };
    let mut since = None;
    loop {
        tokio::time::sleep(IDLE_LOOK_EVERY).await;
        let (reader, of) = (reader.clone(), partitions.clone());
        let topic = settings.topics.transactions.clone();
        let look = tokio::task::spawn_blocking(move || {
            let committed = reader.committed(&topic, &of).ok()?;
            Some(committed.iter().all(|c| match &c.point {
                Some((watermark, _)) => *watermark >= c.high,
                None => false,
            }))
        });
        let now = SystemClock.now().boot;
        match look.await {
            Ok(Some(true)) => {
                let since = *since.get_or_insert(now);
                if now.since(since) >= lasting {
                    return;
                }
            }
            _ => since = None,
        }
    }
}
