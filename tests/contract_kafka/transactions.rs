//! Transactions, request by request, on the real broker and on the simulation's: random ones, with fenced producers,
//! members that are none, plain commits beside open transactions, and the same answers from both. How the adapter
//! goes through a transaction is not looked at here.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, Offset as Raw, TopicPartitionList};
use tollbridge::adapters::kafka::Protocol;
use tollbridge::domain::id::Partition;
use tollbridge::ports::publisher::Topic;

use crate::kafka::{Brokers, Committer, Effective};
use crate::process::Life;
use crate::stage::{PATIENCE, Stage, message, point, values};

/// As brokers have it unless they are told otherwise.
const METADATA_CHARS_MAX: usize = 4096;
const PARTITIONS: i32 = 2;
/// Transactional ids; each may have an older producer that does not know yet that it is fenced.
const IDS: usize = 2;
/// A test ends after so many operations, or after so long once the fewest are done.
const OPERATIONS: [usize; 2] = [60, 240];
const TIME: Duration = Duration::from_secs(8);
/// Longer than a read takes that has nothing to wait for.
const UNSTABLE: Duration = Duration::from_millis(400);

/// As whom offsets are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Member,
    /// The same member, of a generation that is past.
    Earlier,
    /// A member that has left.
    Gone,
    /// Never joined: without a name and a generation.
    Nobody,
}

const WHOM: [Whom; 4] = [Whom::Member, Whom::Earlier, Whom::Gone, Whom::Nobody];

/// Which producer: its transactional id, and whether the one before the latest.
type Which = (usize, bool);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Renew(usize),
    Produce(Which),
    Offsets(Which, Whom, i32, usize),
    End(Which, bool),
    Plain(Whom, i32),
    Committed,
}

/// An event that takes effect, and a producer that is fenced: whatever the dice say, both are compared.
const FIRST: [Operation; 5] = [
    Operation::Renew(0),
    Operation::Produce((0, false)),
    Operation::End((0, false), true),
    Operation::Renew(0),
    Operation::Produce((0, true)),
];

fn draw(dice: &mut fastrand::Rng) -> Operation {
    let which = (dice.usize(..IDS), dice.u8(..6) == 0);
    let partition = dice.i32(0..PARTITIONS);
    let whom = if dice.u8(..4) == 0 { WHOM[dice.usize(..WHOM.len())] } else { Whom::Member };
    let chars = if dice.u8(..12) == 0 { METADATA_CHARS_MAX + 1 } else { dice.usize(..9) };
    match dice.u8(..20) {
        0 | 1 => Operation::Renew(which.0),
        2..7 => Operation::Produce(which),
        7..12 => Operation::Offsets(which, whom, partition, chars),
        12..16 => Operation::End(which, dice.u8(..4) != 0),
        16 => Operation::Plain(whom, partition),
        _ => Operation::Committed,
    }
}

/// Notes whether what was sent has arrived.
#[derive(Debug, Default)]
struct Deliveries(Mutex<Vec<bool>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.lock().unwrap().push(result.is_ok());
    }
}

/// A producer in both worlds.
struct Both {
    real: BaseProducer<Deliveries>,
    transactional_id: String,
    epoch: u32,
    began: bool,
}

/// The real group's members as commits name them.
struct Group {
    member: BaseConsumer,
    nobody: BaseConsumer,
    earlier: ConsumerGroupMetadata,
    gone: ConsumerGroupMetadata,
    /// The same in the simulation: generation and name.
    simulated: [(i32, String); WHOM.len()],
}

struct Worlds {
    stage: Stage,
    brokers: Brokers,
    group: Group,
    /// The latest, and the one before it.
    producers: [[Option<Both>; 2]; IDS],
    /// What the simulation's `read_committed` readers see.
    told: Vec<String>,
    number: i64,
}

fn client(stage: &Stage) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &stage.settings.brokers);
    config
}

fn consumer(stage: &Stage) -> BaseConsumer {
    let mut config = client(stage);
    config.set("group.id", &stage.settings.group_id).set("session.timeout.ms", "45000");
    config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    config.create().unwrap()
}

/// Polls all until each has so many partitions.
fn settle(members: &[&BaseConsumer], share: i32) {
    let begun = Instant::now();
    let has = |member: &&BaseConsumer| i32::try_from(member.assignment().unwrap().count()).unwrap();
    while members.iter().any(|member| has(member) != share) {
        assert!(begun.elapsed() < PATIENCE, "the group does not settle");
        for member in members {
            drop(member.poll(Duration::from_millis(20)));
        }
    }
}

impl Group {
    fn form(stage: &Stage, brokers: &mut Brokers) -> Self {
        let [member, other, nobody] = [(); 3].map(|()| consumer(stage));
        member.subscribe(&[stage.topic()]).unwrap();
        settle(&[&member], PARTITIONS);
        let earlier = member.group_metadata().unwrap();
        other.subscribe(&[stage.topic()]).unwrap();
        settle(&[&member, &other], PARTITIONS / 2);
        let gone = other.group_metadata().unwrap();
        other.unsubscribe();
        drop(other);
        settle(&[&member], PARTITIONS);

        let group = &mut brokers.group;
        let mut join = |process| {
            group.join(Life { process, number: 0 }, None);
            group.complete();
            let name = group.member_of(Life { process, number: 0 }).unwrap().to_owned();
            (group.epoch_of(&name), name)
        };
        let earlier_there = join(0);
        let gone_there = join(1);
        group.remove(&gone_there.1);
        group.complete();
        let name = earlier_there.1.clone();
        let simulated =
            [(group.epoch_of(&name), name), earlier_there, gone_there, (-1, String::new())];
        Self { member, nobody, earlier, gone, simulated }
    }

    fn simulated(&self, whom: Whom) -> (i32, String) {
        self.simulated[WHOM.iter().position(|one| *one == whom).unwrap()].clone()
    }
}

impl Worlds {
    fn new() -> Self {
        let stage = Stage::new(Protocol::Classic, PARTITIONS.unsigned_abs());
        let mut brokers = Brokers::new((0..PARTITIONS).map(Partition).collect());
        let group = Group::form(&stage, &mut brokers);
        let producers = [const { [const { None }; 2] }; IDS];
        Self { stage, brokers, group, producers, told: Vec::new(), number: 0 }
    }

    /// Carries it out in both; `None` where there is no such producer, or nothing to end. The answers are what the
    /// pipeline could tell apart.
    fn carry_out(&mut self, operation: Operation) -> Option<[String; 2]> {
        match operation {
            Operation::Renew(id) => Some(self.renew(id)),
            Operation::Produce(which) => self.with(which, |worlds, both| {
                worlds.number += 1;
                let value = worlds.number.to_string();
                let messages = vec![message(Topic::Archived, value.clone())];
                let simulated =
                    worlds.brokers.produce(&worlds.committer(both, Whom::Nobody), messages);
                let real = both.produce(&worlds.stage.settings.topics.archived, &value);
                [real, simulated.is_ok()]
            }),
            Operation::Offsets(which, whom, partition, chars) => {
                self.with(which, |worlds, both| {
                    worlds.number += 1;
                    let (watermark, metadata) = (worlds.number, "字".repeat(chars));
                    let points = vec![point(partition, watermark, &metadata)];
                    let who = worlds.committer(both, whom);
                    let simulated = worlds.brokers.add_offsets(&who, points, METADATA_CHARS_MAX);
                    let list = worlds.list(partition, watermark, &metadata);
                    [both.offsets(&list, &worlds.group, whom), simulated.is_ok()]
                })
            }
            Operation::End((id, old), commit) => {
                let mut both = self.producers[id][usize::from(old)].take_if(|both| both.began)?;
                let simulated = self.brokers.end(&self.committer(&both, Whom::Nobody), commit);
                let real = match commit {
                    true => both.real.commit_transaction(PATIENCE),
                    false => both.real.abort_transaction(PATIENCE),
                };
                let answers = [real.is_ok(), simulated.is_ok()];
                self.told(simulated.ok().flatten());
                both.began = false;
                if answers[0] {
                    self.producers[id][usize::from(old)] = Some(both);
                }
                Some(answers.map(|ok| ok.to_string()))
            }
            Operation::Plain(whom, partition) => {
                let consumer = match whom {
                    Whom::Member => &self.group.member,
                    Whom::Nobody => &self.group.nobody,
                    Whom::Earlier | Whom::Gone => return None,
                };
                self.number += 1;
                let list = self.list(partition, self.number, "plain");
                let real = consumer.commit(&list, CommitMode::Sync).is_ok();
                let (generation, member_id) = self.group.simulated(whom);
                let who = Committer {
                    transactional_id: String::new(),
                    producer_epoch: 0,
                    generation,
                    member_id,
                };
                let points = vec![point(partition, self.number, "plain")];
                let simulated = self.brokers.commit_plainly(&who, points);
                Some([real, simulated.is_some()].map(|ok| ok.to_string()))
            }
            Operation::Committed => Some(self.committed()),
        }
    }

    /// A producer that was refused something is thrown away, in both.
    fn with(
        &mut self,
        (id, old): Which,
        act: impl FnOnce(&mut Self, &mut Both) -> [bool; 2],
    ) -> Option<[String; 2]> {
        let mut both = self.producers[id][usize::from(old)].take()?;
        let answers = act(self, &mut both);
        if answers[0] {
            self.producers[id][usize::from(old)] = Some(both);
        } else {
            drop(both.real.abort_transaction(PATIENCE));
            drop(self.brokers.end(&self.committer(&both, Whom::Nobody), false));
        }
        Some(answers.map(|ok| ok.to_string()))
    }

    fn renew(&mut self, id: usize) -> [String; 2] {
        let transactional_id = format!("{}-{id}", self.stage.settings.transactional_id);
        let mut config = client(&self.stage);
        config.set("transactional.id", &transactional_id).set("transaction.timeout.ms", "90000");
        let real: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).unwrap();
        let renewed = real.init_transactions(PATIENCE).is_ok();
        let (epoch, effective) = self.brokers.renew(&transactional_id);
        self.told(effective);
        let [latest, older] = &mut self.producers[id];
        *older = latest.replace(Both { real, transactional_id, epoch, began: false });
        [renewed.to_string(), true.to_string()]
    }

    fn committer(&self, both: &Both, whom: Whom) -> Committer {
        let (generation, member_id) = self.group.simulated(whom);
        Committer {
            transactional_id: both.transactional_id.clone(),
            producer_epoch: both.epoch,
            generation,
            member_id,
        }
    }

    fn list(&self, partition: i32, watermark: i64, metadata: &str) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(self.stage.topic(), partition);
        element.set_offset(Raw::Offset(watermark)).unwrap();
        element.set_metadata(metadata);
        list
    }

    fn told(&mut self, effective: Option<Effective>) {
        let messages = effective.into_iter().flat_map(|effective| effective.messages);
        self.told.extend(messages.map(|m| String::from_utf8(m.value.unwrap().to_vec()).unwrap()));
    }

    /// A stable read. Where it should have to wait, it is not given long; where not, as long as it takes.
    fn committed(&self) -> [String; 2] {
        let partitions: Vec<Partition> = (0..PARTITIONS).map(Partition).collect();
        let simulated = self.brokers.committed_stably(&partitions);
        let mut list = TopicPartitionList::new();
        list.add_partition_range(self.stage.topic(), 0, PARTITIONS - 1);
        let patience = if simulated.is_some() { PATIENCE } else { UNSTABLE };
        let real = self.group.nobody.committed_offsets(list, patience);
        let real = real.ok().map(|list| {
            let one = |partition| {
                let element = list.find_partition(self.stage.topic(), partition).unwrap();
                match element.offset() {
                    Raw::Offset(offset) => Some((offset, element.metadata().to_owned())),
                    _ => None,
                }
            };
            (0..PARTITIONS).map(one).collect::<Vec<_>>()
        });
        let simulated = simulated.map(|all| {
            let plain = all.into_iter().map(|c| c.point.map(|(offset, text)| (offset.0, text)));
            plain.collect::<Vec<_>>()
        });
        [format!("{real:?}"), format!("{simulated:?}")]
    }
}

impl Both {
    fn begin(&mut self) {
        if !self.began {
            self.real.begin_transaction().unwrap();
            self.began = true;
        }
    }

    fn produce(&mut self, topic: &str, value: &str) -> bool {
        self.begin();
        let record = BaseRecord::<(), str>::to(topic).payload(value);
        let sent = self.real.send(record).is_ok();
        let flushed = self.real.flush(PATIENCE).is_ok();
        sent && flushed && self.real.context().0.lock().unwrap().drain(..).all(|arrived| arrived)
    }

    fn offsets(&mut self, list: &TopicPartitionList, group: &Group, whom: Whom) -> bool {
        self.begin();
        let now = match whom {
            Whom::Member => group.member.group_metadata(),
            Whom::Nobody => group.nobody.group_metadata(),
            Whom::Earlier | Whom::Gone => None,
        };
        let metadata = match whom {
            Whom::Earlier => &group.earlier,
            Whom::Gone => &group.gone,
            Whom::Member | Whom::Nobody => now.as_ref().unwrap(),
        };
        self.real.send_offsets_to_transaction(list, metadata, PATIENCE).is_ok()
    }
}

#[test]
fn random_transactions_have_the_same_answers_as_in_the_simulation() {
    let seed = tollbridge_rig::seed();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut worlds = Worlds::new();
    let mut done = Vec::new();
    let begun = Instant::now();
    let [least, most] = OPERATIONS;
    let mut first = FIRST.into_iter();
    while done.len() < most && (done.len() < least || begun.elapsed() < TIME) {
        let operation = first.next().unwrap_or_else(|| draw(&mut dice));
        drop(worlds.group.member.poll(Duration::ZERO));
        let Some([real, simulated]) = worlds.carry_out(operation) else { continue };
        done.push(format!("{operation:?}: {real}"));
        assert_eq!(real, simulated, "SEED={seed}, after\n{}", done.join("\n"));
    }
    // Ends what is open, so that readers see all that took effect.
    for id in 0..IDS {
        worlds.carry_out(Operation::Renew(id));
    }
    let [real, simulated] = worlds.committed();
    assert_eq!(real, simulated, "SEED={seed}, in the end, after\n{}", done.join("\n"));
    let mut seen = values(&worlds.stage, &worlds.stage.settings.topics.archived);
    seen.sort();
    worlds.told.sort();
    assert_eq!(seen, worlds.told, "SEED={seed}, after\n{}", done.join("\n"));
    let refused = done.iter().filter(|one| one.ends_with(": false")).count();
    println!("SEED={seed}: {} operations, {refused} refused, {} events", done.len(), seen.len());
    assert!(refused > 0 && !seen.is_empty(), "SEED={seed}: nothing was compared");
}
