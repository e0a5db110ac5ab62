//! The table of scenarios: a name that says what is done, a sentence, and which faults strike. Faults of one lane
//! strike one after another, lanes side by side.

use super::{Doubts, Group, Scenario, Setup, USUAL, points, profile, together};
use crate::strike::{
    brokers, clocks, crossings, damaged, disks, endings, gateway, gone, kafka, links, processors,
    redis, refusals, store,
};
use std::time::Duration;
use tollbridge_rig::Store;

/// Whatever the simulator can do wrong that a gateway may do without breaking its own word. On attempts after the
/// first it behaves.
const EVERY_KIND: &str = concat!(include_str!("every_kind.toml"), include_str!("with_lookup.toml"));

/// Each id is published once, so that ids can be told apart where places can't.
const VANISHING: Setup = Setup {
    landings: 5,
    limit: Duration::from_secs(600),
    mix: "duplicate=0%",
    bursts: true,
    ..USUAL
};

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "kill-with-calls-in-flight",
        "processors are killed (SIGKILL) at any instant",
        Store::Sqlite,
        &[&[processors::KILL]],
    ),
    Scenario::new(
        "frozen-past-session-timeout",
        "a processor is frozen (SIGSTOP) until another has taken over, then goes on",
        Store::Postgres,
        &[&[processors::FREEZE]],
    ),
    Scenario::new(
        "broker-killed",
        "the broker is killed and started again",
        Store::Sqlite,
        &[&[kafka::KILL]],
    ),
    Scenario::new(
        "broker-cut-or-silent",
        "the way to the broker is cut, or silent in one direction, some times for longer than the session",
        Store::Postgres,
        &[&[kafka::CUT, kafka::SILENCE]],
    ),
    Scenario::new("redis-wiped", "FLUSHALL", Store::Sqlite, &[&[redis::WIPE]]),
    Scenario::new(
        "redis-killed",
        "a Redis that keeps nothing on disk is killed and started again",
        Store::Postgres,
        &[&[redis::KILL]],
    ),
    Scenario::new(
        "redis-cut-mid-script",
        "scripts are carried out and their answers lost",
        Store::Sqlite,
        &[&[redis::CUT]],
    ),
    Scenario::new(
        "postgres-killed-in-commit",
        "PostgreSQL is killed with answers on their way, and started again",
        Store::Postgres,
        &[&[store::KILL]],
    ),
    Scenario::new(
        "clickhouse-killed-or-cut",
        "ClickHouse is killed with answers on their way and started again, or cut off from them",
        Store::Clickhouse,
        &[&[store::KILL_CLICKHOUSE, store::CUT]],
    ),
    Scenario::new(
        "store-cut-with-unknown-commits",
        "PostgreSQL commits, and the answers are lost",
        Store::Postgres,
        &[&[store::CUT]],
    ),
    Scenario::new(
        "store-frozen-or-read-only",
        "PostgreSQL stands still for longer than is waited for, or takes no rows",
        Store::Postgres,
        &[&[store::FREEZE, store::READ_ONLY]],
    ),
    Scenario::new(
        "redis-full-or-frozen",
        "Redis has no room, or stands still for longer than is waited for",
        Store::Sqlite,
        &[&[redis::FULL, redis::FREEZE]],
    ),
    Scenario::new(
        "gateway-killed",
        "the gateway is killed and started again on its ledger",
        Store::Sqlite,
        &[&[gateway::KILL]],
    ),
    Scenario::new(
        "gateway-silent-or-late",
        "the gateway's answers are lost, or requests reach it after their callers gave up",
        Store::Postgres,
        &[&[gateway::SILENCE, gateway::LATE]],
    ),
    Scenario::new(
        "rebalance-storm-classic",
        "processors join and leave, some killed, in a classic group",
        Store::Sqlite,
        &[&[processors::JOIN_AND_LEAVE], &[processors::JOIN_AND_LEAVE]],
    )
    .storm(Group::Nameless),
    Scenario::new(
        "rebalance-storm-consumer",
        "the same in a group of the newer protocol",
        Store::Postgres,
        &[&[processors::JOIN_AND_LEAVE], &[processors::JOIN_AND_LEAVE]],
    )
    .storm(Group::Consumer),
    Scenario::new(
        "upgraded-and-back",
        "processors end in order and go on as the version of an earlier commit, or as the present one",
        Store::Sqlite,
        &[&[processors::CHANGE_VERSION]],
    ),
    Scenario::new(
        "killed-at-every-crossing",
        "all processors die at once while a request or an answer is on its way to or from each part in turn",
        Store::Postgres,
        &[&[crossings::KILL_ALL]],
    )
    .on(Setup { landings: 20, ..USUAL }),
    Scenario::new(
        "frozen-at-a-crossing",
        "the same, with one frozen past session and poll interval until another has taken over",
        Store::Postgres,
        &[&[crossings::FREEZE]],
    )
    .on(Setup {
        landings: 5,
        settings: &[("kafka.properties", "\"max.poll.interval.ms\"", "\"6000\"")],
        ..USUAL
    }),
    Scenario::new(
        "fenced-by-a-twin",
        "another process comes and goes under the name of one that runs",
        Store::Sqlite,
        &[&[endings::TWIN]],
    )
    .on(Setup { landings: 5, twin: true, ..USUAL }),
    Scenario::new(
        "rebalanced-while-paused",
        "processors join and leave while intake stands still because Redis is full",
        Store::Sqlite,
        &[&[redis::FULL], &[processors::JOIN_AND_LEAVE]],
    )
    .storm(Group::Nameless),
    Scenario::new(
        "broker-restarted-or-overtaken",
        "the broker is stopped in order and started, or requests on old connections arrive after those on new ones",
        Store::Postgres,
        &[&[kafka::RESTART, kafka::OVERTAKE]],
    )
    .on(Setup { landings: 5, ..USUAL }),
    Scenario::new(
        "one-of-three-brokers-dies",
        "the coordinator of the group or of transactions, or a leader of the source, is killed or stopped, and others \
         take over",
        Store::Postgres,
        &[&[brokers::ONE_GOES]],
    )
    .on(Setup { limit: Duration::from_secs(420), brokers: 3, rate: 40, ..USUAL }),
    Scenario::new(
        "redis-or-store-silent",
        "the way to Redis or to PostgreSQL is silent in one direction or both; what was held is lost or comes late",
        Store::Postgres,
        &[&[links::REDIS_SILENT, links::STORE_SILENT]],
    ),
    Scenario::new(
        "redis-refuses",
        "a Redis that is read-only, busy with a script, without our scripts, evicts all, or loads its old state",
        Store::Sqlite,
        &[&[
            refusals::READ_ONLY,
            refusals::BUSY,
            refusals::NO_SCRIPTS,
            refusals::EVICT,
            refusals::LOADING,
        ]],
    )
    .on(Setup { landings: 8, redis_keeps: true, ..USUAL }),
    Scenario::new(
        "gateway-misbehaves",
        "every kind of wrong, late, torn or missing answer that the simulator knows, with kills",
        Store::Postgres,
        &[&[gateway::KILL, processors::KILL]],
    )
    .on(Setup { landings: 5, gateway: EVERY_KIND, ..USUAL }),
    Scenario::new(
        "gateway-without-lookup",
        "the same from a gateway that can't be asked what became of a transaction",
        Store::Sqlite,
        &[&[gateway::KILL, processors::KILL]],
    )
    .on(Setup {
        landings: 5,
        gateway: include_str!("every_kind.toml"),
        settings: profile::WITHOUT_LOOKUP,
        ..USUAL
    }),
    Scenario::new(
        "gateway-down",
        "the gateway is away, once for most of a minute: how much is asked of it meanwhile, how soon work goes on",
        Store::Sqlite,
        &[&[gateway::DOWN]],
    )
    .on(Setup { landings: 5, ..USUAL }),
    Scenario::new(
        "gateway-down-for-ten-minutes",
        "the same, once for ten minutes",
        Store::Postgres,
        &[&[gateway::DOWN_LONG]],
    )
    // Slowly: what piles up meanwhile is to have its fate as soon as everywhere.
    .on(Setup { landings: 5, limit: Duration::from_secs(1_200), rate: 40, piles_up: true, ..USUAL }),
    Scenario::new(
        "outage-outlives-keys",
        "the gateway's answers are lost, or nobody runs, for longer than keys of 75 seconds live; kills in between",
        Store::Postgres,
        &[&[gateway::OUTLIVE, gateway::OUTLIVE, processors::KILL, processors::KILL]],
    )
    .on(Setup {
        landings: 5,
        limit: Duration::from_secs(600),
        // An id that is published again elsewhere while its first place is in doubt is not promised anything.
        mix: "invalid=0.3%",
        // Above a minute: what an owner takes over counts from the beginning of the minute in which it may have been
        // attempted, and with shorter keys it would all be in doubt.
        settings: &[("gateway", "key_ttl", "\"75s\"")],
        key_life: Some(Duration::from_secs(75)),
        doubts: Doubts::KeyRanOut,
        ..USUAL
    }),
    Scenario::new(
        "metadata-at-its-cap",
        "half of all calls are not answered for long, so that what is unfinished does not fit beside an offset; kills",
        Store::Sqlite,
        &[&[processors::KILL]],
    )
    .on(Setup {
        landings: 6,
        // Only the first attempts: of repeats that bring nothing a budget lets few through, and this never ends.
        gateway: "[[fault]]\nkind = \"timeout-before\"\nrate = 0.5\nattempts = [1]\n",
        rate: 150,
        metadata_max: 128,
        ..USUAL
    }),
    Scenario::new(
        "store-slow-locked-or-restarted",
        "PostgreSQL answers slowly, its table is locked, or it is stopped in order and started",
        Store::Postgres,
        &[&[store::SLOW, store::LOCK, store::RESTART]],
    ),
    Scenario::new(
        "disks-full",
        "the disk of Redis or of PostgreSQL is full, then has room again (only root can give them small ones)",
        Store::Postgres,
        &[&[disks::REDIS_FULL, disks::STORE_FULL]],
    )
    .on(Setup { small_disks: true, ..USUAL }),
    Scenario::new(
        "ids-repeated",
        "every fourth id is published again, on the same partition and on others, with the same payload and with \
         another; kills, and a wiped Redis",
        Store::Postgres,
        &[&[processors::KILL, redis::WIPE]],
    )
    .on(Setup {
        mix: "declined=3%,invalid=5%,duplicate=15%,conflict=10%",
        doubts: Doubts::OtherPayload,
        ..USUAL
    }),
    Scenario::new(
        "clocks-jump",
        "the wall clock of a processor jumps by seconds to a day, also while it starts, or drifts by 5 %; some are killed",
        Store::Sqlite,
        &[&[clocks::JUMP, clocks::SET_BACK, clocks::DRIFT, clocks::JUMP]],
    )
    .on(Setup { clocks: true, ..USUAL }),
    Scenario::new(
        "host-suspended",
        "a processor stands still until another has taken over; its monotonic clock misses that time, the others do not",
        Store::Postgres,
        &[&[clocks::SUSPEND]],
    )
    .on(Setup { landings: 5, clocks: true, ..USUAL }),
    Scenario::new(
        "metadata-damaged",
        "what stands beside a committed offset is damaged, another program's, a newer version's, another offset's or \
         gone; an operator puts it back",
        Store::Postgres,
        &[&[damaged::DAMAGE]],
    )
    .nameless()
    .on(Setup { landings: 5, limit: Duration::from_secs(420), rate: 60, ..USUAL }),
    Scenario::new(
        "topic-made-anew",
        "the source topic is deleted and made anew under a running group; an operator deletes the group's offsets and \
         accepts the reset",
        Store::Sqlite,
        &[&[gone::REMADE]],
    )
    .nameless()
    .on(VANISHING),
    Scenario::new(
        "topic-made-anew-longer",
        "the same, where the new topic soon has more records than the old one, and processors are restarted meanwhile",
        Store::Postgres,
        &[&[gone::REMADE_LONGER]],
    )
    .nameless()
    .on(VANISHING),
    Scenario::new(
        "retention-passes-watermark",
        "records that are not finished are deleted, while processors hold them in memory or are down; the reset is \
         accepted",
        Store::Postgres,
        &[&[gone::OUTRUN]],
    )
    .nameless()
    .on(VANISHING),
    Scenario::new(
        "told-to-end-under-load",
        "SIGTERM under load: each ends in order and in time, or at once after a second one",
        Store::Postgres,
        &[&[endings::TERMINATE]],
    )
    .on(Setup { landings: 8, ..USUAL }),
    together::SENTINELS,
    together::CLUSTER,
    together::SLOTS,
    points::KILLED,
    points::HELD,
    points::HEARS_LATE,
    points::PUBLISHED_AGAIN,
    Scenario::new(
        "everything-at-once",
        "all of it side by side: processors, broker, Redis, PostgreSQL and the gateway",
        Store::Postgres,
        &[
            &[processors::KILL, processors::FREEZE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FREEZE],
            &[store::KILL, store::CUT, store::FREEZE, store::READ_ONLY],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    ),
    Scenario::new(
        "everything-at-once-sqlite",
        "the same with rows in one SQLite file",
        Store::Sqlite,
        &[
            &[processors::KILL, processors::FREEZE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FULL],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    ),
    Scenario::new(
        "everything-at-once-consumer",
        "the same in a group of the newer protocol, with guests that come and go",
        Store::Postgres,
        &[
            &[processors::KILL, processors::FREEZE],
            &[processors::JOIN_AND_LEAVE],
            &[kafka::KILL, kafka::CUT, kafka::SILENCE],
            &[redis::WIPE, redis::KILL, redis::CUT, redis::FULL],
            &[store::KILL, store::CUT, store::FREEZE, store::READ_ONLY],
            &[gateway::KILL, gateway::SILENCE, gateway::LATE],
        ],
    )
    .storm(Group::Consumer),
];
