//! The rules of the group, told on `tx-alerts`. The owner of partition 0 speaks for everyone: it reads back what was
//! told before it, takes readings, and hands what has to be told to the route, which puts it in its next transaction.
//!
//! Nothing here decides about a transaction, and what can't be read says nothing: it neither raises nor clears.

mod brokers;
mod sight;
mod spot_check;
mod stores;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

pub use sight::Sight;

use self::spot_check::SpotCheck;
use super::reload::Current;
use super::store::AnyStore;
use crate::adapters::kafka;
use crate::adapters::redis::RedisQueue;
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::domain::alert::Alert;
use crate::domain::alerts::{Board, Levels, Rule, Share, Speaker};
use crate::domain::id::Partition;
use crate::domain::time::Boot;
use crate::pipeline::Event;
use crate::ports::time::Clock;
use crate::telemetry::meters::RuleMeters;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const READ_BACK_AGAIN: Duration = Duration::from_secs(10);
/// What the rate of approvals is of, and of how many answers at least.
const SHARE_OVER: Duration = Duration::from_mins(5);
const SHARE_LEAST: u64 = 20;

/// By rule; those that are off are absent.
pub(super) type AllLevels = BTreeMap<Rule, Levels>;

/// What the alerting is made of.
pub(super) struct Parts {
    pub speaker: Speaker,
    pub kafka: Arc<kafka::Settings>,
    pub partitions: Vec<Partition>,
    pub queue: Arc<RedisQueue>,
    /// With a connection of its own: no question of ours waits for the route's, or holds one.
    pub store: Arc<AnyStore>,
    /// What the route shows.
    pub sight: watch::Receiver<Sight>,
    /// What is configured, now and later.
    pub current: watch::Receiver<Current>,
    pub meters: RuleMeters,
}

/// Begins to watch, on tasks of its own; what has to be told goes to `route`.
pub(super) fn start(parts: Parts, config: &Config, route: UnboundedSender<Event>) {
    let asking = Asking {
        sight: parts.sight.clone(),
        current: parts.current.clone(),
        readings: Arc::default(),
    };
    let (kafka, partitions) = (Arc::clone(&parts.kafka), parts.partitions.clone());
    tokio::spawn(brokers::follow(kafka, partitions, asking.clone()));
    let (queue, store) = (Arc::clone(&parts.queue), Arc::clone(&parts.store));
    tokio::spawn(stores::follow(queue, store, asking.clone()));
    tokio::spawn(SpotCheck::new(config.clone(), &parts).follow(asking.clone()));
    let (since, mut share) = (BTreeMap::new(), Share::new(SHARE_OVER, SHARE_LEAST));
    // Nothing has been answered yet.
    share.observe((0, 0), SystemClock.now().boot);
    let alerting = Alerting { parts, asking, board: None, since, share };
    tokio::spawn(alerting.run(route));
}

/// What is asked of others now and then, by tasks of their own, so that one that does not answer holds up no rule.
#[derive(Debug, Clone)]
struct Asking {
    sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
    /// By rule; absent where they did not answer.
    readings: Arc<Mutex<BTreeMap<Rule, u64>>>,
}

impl Asking {
    /// Waits until this process speaks; `false`: the route is gone.
    async fn is_wanted(&mut self) -> bool {
        self.sight.wait_for(|sight| sight.speaks).await.is_ok()
    }

    /// The rule is told at all.
    fn is_on(&self, rule: Rule) -> bool {
        self.current.borrow().levels.contains_key(&rule)
    }

    fn set(&self, rule: Rule, reading: Option<u64>) {
        let mut all = self.all();
        match reading {
            Some(reading) => all.insert(rule, reading),
            None => all.remove(&rule),
        };
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Rule, u64>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Alerting {
    parts: Parts,
    asking: Asking,
    /// `None`: another process speaks, or it is not known yet what was told.
    board: Option<Board>,
    /// Since when something has been wrong that is told by how long it is.
    since: BTreeMap<Rule, Boot>,
    share: Share,
}

impl Alerting {
    async fn run(mut self, route: UnboundedSender<Event>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let sight = self.parts.sight.borrow().clone();
            // Also while another one speaks: it is of the last minutes whenever our turn comes.
            let approved = self.share.observe(sight.answered, SystemClock.now().boot);
            if !sight.speaks {
                self.fall_silent();
                continue;
            }
            if self.board.is_none() {
                self.board = told::read_back(&self.parts).await;
                if self.board.is_none() {
                    tokio::time::sleep(READ_BACK_AGAIN).await;
                }
            }
            let readings = self.readings(&sight, approved);
            for alert in self.speak(&readings) {
                if route.send(Event::Alert(Box::new(alert))).is_err() {
                    return;
                }
            }
        }
    }

    fn fall_silent(&mut self) {
        if self.board.take().is_none() {
            return;
        }
        self.since.clear();
        self.asking.all().clear();
        for rule in Rule::ALL {
            self.parts.meters.show(rule, None, false);
        }
    }

    fn readings(&mut self, sight: &Sight, approved: Option<u64>) -> BTreeMap<Rule, u64> {
        let now = SystemClock.now().boot;
        let mut readings = self.asking.all().clone();
        readings.extend(sight.readings());
        let wrong = [(Rule::BreakerOpen, sight.is_open), (Rule::StoreFailing, sight.store_fails)];
        for (rule, is_wrong) in wrong {
            let since = match is_wrong {
                true => *self.since.entry(rule).or_insert(now),
                false => {
                    self.since.remove(&rule);
                    now
                }
            };
            readings.insert(rule, now.since(since).as_secs());
        }
        readings.extend(approved.map(|percent| (Rule::SuccessRate, percent)));
        readings
    }

    fn speak(&mut self, readings: &BTreeMap<Rule, u64>) -> Vec<Alert> {
        let Some(board) = &mut self.board else { return Vec::new() };
        let now = SystemClock.now();
        let current = self.parts.current.borrow();
        let mut told = Vec::new();
        for (rule, of_rule) in &current.levels {
            let reading = readings.get(rule).copied();
            if let Some(reading) = reading {
                told.extend(board.observe(*rule, reading, of_rule, now, &self.parts.speaker));
            }
            self.parts.meters.show(*rule, reading, board.is_raised(*rule));
        }
        told
    }
}
