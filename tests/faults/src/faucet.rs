//! The producer's tap: it is closed while more is to be done than can be done in time.

use crate::world::World;
use std::time::{Duration, Instant};
use tollbridge_rig::stack::backlog;
use tollbridge_rig::{Process, Result};

/// What deaths leave no time for must have a fate within the limit after the last of them, also on a machine that has
/// other things to do.
const BACKLOG_MAX: i64 = 6_000;
const BACKLOG_EVERY: Duration = Duration::from_secs(2);

/// Whether the producer is held back.
#[derive(Debug, Default)]
pub(crate) struct Faucet {
    looked_at: Option<Instant>,
    is_closed: bool,
}

impl Faucet {
    /// Looks now and then.
    ///
    /// # Errors
    /// When the producer has ended.
    pub(crate) fn turn(&mut self, world: &World, producer: &Process) -> Result<()> {
        if self.looked_at.is_some_and(|at| at.elapsed() < BACKLOG_EVERY) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        // A broker that does not answer says nothing of it.
        let Ok(partitions) = backlog(&world.stack) else { return Ok(()) };
        let left: i64 = partitions.iter().sum();
        if !self.is_closed && left > BACKLOG_MAX {
            world.say(format!("{left} are to be done; no more are produced for now"));
            self.is_closed = true;
            producer.pause()?;
        } else if self.is_closed && left < BACKLOG_MAX / 2 {
            self.is_closed = false;
            producer.resume()?;
        }
        Ok(())
    }
}
