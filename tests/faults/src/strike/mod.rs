//! The faults. Each strikes, waits, heals what it broke, and says what was seen of it. It has landed only where
//! something was: injecting it proves nothing. They deliberately pick their moments blindly, except where the
//! moment is the fault.

pub mod brokers;
pub mod clocks;
pub mod crossings;
pub mod damaged;
pub mod disks;
pub mod endings;
pub mod failpoints;
pub mod gateway;
pub mod gone;
pub mod kafka;
pub mod links;
pub mod processors;
pub mod publishing;
pub mod redis;
pub mod refusals;
pub mod store;
pub mod together;

use crate::dice::Dice;
use crate::world::World;
use std::time::Duration;
use tollbridge_rig::{Direction, Proxy, Result};

/// What was seen of a fault; nothing where it hit nothing.
pub type Seen = Option<String>;

/// A fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Such as `kill-processor`.
    pub name: &'static str,
    /// Strikes once and heals; an error is the suite's own, never the product's.
    pub strike: fn(&World, &mut Dice) -> Result<Seen>,
}

/// So long something to hold is waited for.
const HELD_LIMIT: Duration = Duration::from_secs(5);

/// Holds back what goes in this direction; whether anything came.
fn hold_some(link: &Proxy, direction: Direction) -> bool {
    link.hold(direction);
    link.wait_held(direction, HELD_LIMIT).is_ok()
}

/// Requests are carried out, and their answers are lost with their connections; none is served for a while, or at once
/// again. How many bytes of answers it were; nothing where none came. `pause_max`: milliseconds.
fn lose_answers(link: &Proxy, dice: &mut Dice, pause_max: u64) -> Option<u64> {
    let came = hold_some(link, Direction::ToClient);
    dice.pause(0, pause_max);
    let lost = link.held_bytes(Direction::ToClient);
    if dice.once_in(2) {
        link.cut();
        dice.pause(100, 3_000);
    } else {
        link.sever();
    }
    link.pass();
    came.then_some(lost)
}

/// A series of metrics: a name, and what its labels contain.
type Series = &'static [(&'static str, &'static str)];

/// Partitions changed hands.
const REBALANCES: Series = &[("tollbridge_rebalances_total", "")];
/// A Kafka transaction ended unclear, a producer was made anew, or partitions changed hands.
const KAFKA_TROUBLE: Series = &[
    ("tollbridge_publish_transactions_total", "result=\"unclear\""),
    ("tollbridge_producers_total", ""),
    ("tollbridge_rebalances_total", ""),
];
/// What Redis had lost was put back, or claimed anew.
const REDIS_LOSSES: Series =
    &[("tollbridge_refilled_total", ""), ("tollbridge_reclaims_total", "")];
/// Intake stands still because Redis takes nothing.
const FULL_PAUSE: Series = &[("tollbridge_intake_paused", "reason=\"redis_full\"")];
/// A batch was tried again.
const STORE_RETRIES: Series = &[("tollbridge_store_retries_total", "")];
/// Requests to the gateway, lookups too.
const REQUESTS: Series = &[("tollbridge_gateway_requests_total", "")];
/// Fates that Kafka has been told.
const FATES: Series = &[("tollbridge_fates_total", "")];
/// Ids that were published again.
const DUPLICATES: Series = &[("tollbridge_fates_total", "fate=\"duplicate\"")];
/// A call that nobody knows the end of, or that could not be made.
const UNCLEAR_CALLS: Series = &[
    ("tollbridge_gateway_answers_total", "outcome=\"unknown\""),
    ("tollbridge_gateway_answers_total", "outcome=\"not_sent\""),
];
