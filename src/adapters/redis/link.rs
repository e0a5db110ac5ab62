//! The one connection, shared by all calls: made when first needed, thrown away when it breaks or falls silent,
//! made anew by the next call. It never sends a command again: only the caller knows whether to. Of a cluster it is all
//! connections together; its client asks again where a slot is moving or has a new master, and keeps connections that
//! answer nothing, so they are made anew here too.
//!
//! The client's own connection manager isn't used because it keeps a connection that answers nothing (a firewall
//! that forgot it, a host that went away), so that every call would wait for its time-out, for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::time::Instant;

use super::client::Way;
use super::connection::Connection;
use super::errors::spoils_connection;

/// After a failed attempt to connect, calls fail at once for so long; doubled with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The connections to a cluster are kept for so long at least: where one node is gone, the others' go on working.
const CLUSTER_KEPT_MIN: Duration = Duration::from_secs(1);

pub(super) struct Link {
    way: Way,
    config: AsyncConnectionConfig,
    slot: Mutex<Slot>,
    /// Held by the one call that connects; the others wait for it instead of connecting too.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    /// Counts connections, so that a late failure of an old one doesn't end the new one.
    generation: u64,
    connection: Option<Connection>,
    made: Option<Instant>,
    refused: Option<Refused>,
}

struct Refused {
    until: Instant,
    pause: Duration,
    error: RedisError,
}

/// A connection, and which one it is.
pub(super) struct Held {
    pub connection: Connection,
    generation: u64,
}

impl Link {
    pub(super) fn new(way: Way, connect: Duration, response: Duration) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(Some(response));
        Self { way, config, slot: Mutex::default(), connecting: tokio::sync::Mutex::default() }
    }

    pub(super) fn is_to_cluster(&self) -> bool {
        self.way.is_cluster()
    }

    /// The connection, or a new one. One attempt; within the pause after a failed one, its error again.
    pub(super) async fn hold(&self) -> RedisResult<Held> {
        if let Some(held) = self.slot().held() {
            return Ok(held);
        }
        let _one_at_a_time = self.connecting.lock().await;
        {
            let slot = self.slot();
            if let Some(held) = slot.held() {
                return Ok(held);
            }
            if let Some(refused) = &slot.refused
                && Instant::now() < refused.until
            {
                return Err(refused.error.clone());
            }
        }
        let made = self.way.connect(&self.config).await;
        self.slot().keep(made)
    }

    /// Tells the link how a call ended.
    pub(super) fn ended<T>(&self, held: &Held, answer: &RedisResult<T>) {
        if answer.as_ref().is_err_and(spoils_connection) {
            let kept_min = if self.way.is_cluster() { CLUSTER_KEPT_MIN } else { Duration::ZERO };
            let mut slot = self.slot();
            let is_old = slot.made.is_none_or(|made| made.elapsed() >= kept_min);
            if slot.generation == held.generation && is_old {
                slot.connection = None;
            }
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn held(&self) -> Option<Held> {
        let connection = self.connection.clone()?;
        Some(Held { connection, generation: self.generation })
    }

    fn keep(&mut self, made: RedisResult<Connection>) -> RedisResult<Held> {
        match made {
            Ok(connection) => {
                self.generation += 1;
                self.connection = Some(connection.clone());
                self.made = Some(Instant::now());
                self.refused = None;
                Ok(Held { connection, generation: self.generation })
            }
            Err(error) => {
                let before = self.refused.as_ref().map_or(PAUSE_MIN / 2, |r| r.pause);
                let pause = (before * 2).min(PAUSE_MAX);
                let until = Instant::now() + pause;
                self.refused = Some(Refused { until, pause, error: error.clone() });
                Err(error)
            }
        }
    }
}
