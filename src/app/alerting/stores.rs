//! What Redis and the store know: how full Redis is, and how many transactions nobody can say of whether they were
//! charged.

use std::sync::Arc;
use std::time::Duration;

use super::super::store::AnyStore;
use super::Asking;
use crate::adapters::redis::RedisQueue;
use crate::domain::alerts::Rule;
use crate::ports::queue::{Queue, QueueHealth};

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks every few seconds while this process speaks.
pub(super) async fn follow(queue: Arc<RedisQueue>, store: Arc<AnyStore>, mut asking: Asking) {
    while asking.is_wanted().await {
        let is_on = [Rule::RedisMemory, Rule::DoubtsOpen].map(|rule| asking.is_on(rule));
        let health = async { if is_on[0] { queue.health().await.ok() } else { None } };
        let doubts = async { if is_on[1] { store.count_doubts().await.ok() } else { None } };
        let (health, doubts) = tokio::join!(health, doubts);
        asking.set(Rule::RedisMemory, health.map(|health| used(&health)));
        asking.set(Rule::DoubtsOpen, doubts);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Percent; 0 where there is no limit.
fn used(health: &QueueHealth) -> u64 {
    let used = u128::from(health.used_memory_bytes) * 100;
    let percent = used.checked_div(u128::from(health.max_memory_bytes)).unwrap_or_default();
    u64::try_from(percent).unwrap_or(u64::MAX)
}
