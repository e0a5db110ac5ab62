//! One of several brokers goes, in turn the one that coordinates the group, the one that coordinates a processor's
//! transactions, and one that leads a partition of the source; killed and stopped in order, in turn. The others take
//! over what it did. Deliberately never two at a time: of three copies of a record two must be there.

use super::{FATES, Fault, KAFKA_TROUBLE, Seen};
use crate::dice::Dice;
use crate::world::{RESIDENTS, World, holds_within};
use std::fmt;
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{GROUP, TRANSACTIONS};
use tollbridge_rig::{Error, Kafka, Result};

/// A broker that was killed reads its logs through, and fetches what it missed, on a busy machine.
const IN_SYNC_LIMIT: Duration = Duration::from_secs(120);
/// Above the brokers' session, and an election of the controller, on a busy machine.
const TAKEN_OVER_LIMIT: Duration = Duration::from_secs(60);
const EFFECT_LIMIT: Duration = Duration::from_secs(15);

/// A broker goes, is away until another does what it did and for 1 to 8 seconds more, and comes back.
pub const ONE_GOES: Fault = Fault { name: "one-broker-goes", strike: one_goes };

/// What one broker does, and another one in its place when it is gone.
enum Role {
    Group,
    /// Of this transactional id.
    Transactions(String),
    /// Of this partition of the source.
    Source(usize),
}

impl Role {
    fn of(turn: usize, world: &World, dice: &mut Dice) -> Self {
        let partitions = usize::try_from(world.stack.partitions()).unwrap_or(0);
        match turn % 3 {
            0 => Self::Group,
            1 => {
                let processor = &world.processors[dice.below(RESIDENTS)].name;
                Self::Transactions(format!("{GROUP}-{processor}"))
            }
            _ => Self::Source(dice.below(partitions)),
        }
    }

    /// The broker that has it.
    fn holder(&self, kafka: &Kafka) -> Result<i32> {
        match self {
            Self::Group => kafka.group_coordinator(GROUP),
            Self::Transactions(id) => kafka.transactions_coordinator(id),
            Self::Source(partition) => {
                let leader = kafka.leaders(TRANSACTIONS)?.get(*partition).copied();
                leader.ok_or_else(|| Error::new(format!("nobody leads partition {partition}")))
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group => f.write_str("coordinator of the group"),
            Self::Transactions(id) => write!(f, "coordinator of the transactions of {id}"),
            Self::Source(partition) => write!(f, "leader of partition {partition} of the source"),
        }
    }
}

fn one_goes(world: &World, dice: &mut Dice) -> Result<Seen> {
    let kafka = &world.stack.kafka;
    // Three roles and two ends: six strikes are all of them. Which is first differs from seed to seed.
    let turn = world.turn() + usize::try_from(world.seed % 6).unwrap_or(0);
    let role = Role::of(turn, world, dice);
    let in_order = turn % 2 == 1;
    let id = role.holder(kafka)?;
    let broker = kafka.brokers().iter().find(|broker| broker.id() == id);
    let broker = broker.ok_or_else(|| Error::new(format!("there is no broker {id}")))?;

    let (before, ended) = (world.counts(KAFKA_TROUBLE), world.watched().ended.len());
    if in_order {
        broker.stop()?;
    } else {
        broker.kill();
    }
    let (began, told) = (Instant::now(), world.counts(FATES));
    // A broker of 4.3 that was killed and started again before others led takes itself for the leader that it was,
    // until it hears of its successor. Meanwhile its coordinator reads decisions to commit that no other broker has,
    // carries them out where it gets to, and forgets them; the successor aborts the rest of the transaction, which is
    // torn then: offsets and some events are there, other events are not, whatever clients do. So it is missed first.
    let heir = || role.holder(kafka).is_ok_and(|holder| holder != id);
    if !holds_within(TAKEN_OVER_LIMIT, heir) {
        return Err(Error::new(format!("broker {id} is away, and nobody else is {role}")));
    }
    dice.pause(1_000, 8_000);
    let (away, told) = (began.elapsed().as_secs_f64(), world.growth(&told));
    broker.restart()?;
    kafka.wait_in_sync(IN_SYNC_LIMIT)?;

    let heir = role.holder(kafka)?;
    // A call of the client that never comes back ends a processor, and with it what that had counted.
    let ended = || world.watched().ended.len() - ended;
    let hit = || ended() > 0 || world.growth(&before) > 0.0;
    let limit = if told > 0.0 { Duration::ZERO } else { EFFECT_LIMIT };
    let landed = holds_within(limit, hit) || told > 0.0;
    let end = if in_order { "stopped in order" } else { "killed" };
    let seen = format!(
        "broker {id}, {role}, was {end} and away for {away:.1} s; broker {heir} took over; {told} fates were told \
         meanwhile; {} unclear transactions, new producers and rebalances, {} ends of processors",
        world.growth(&before),
        ended()
    );
    // Another leads, and either work went on under it or what was under way was hit.
    Ok(landed.then_some(seen))
}
