//! The world of a run: simulated time, everything that is going to happen, the processes and the services. One seed,
//! one course of events.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash};
use std::rc::Rc;

use tollbridge::adapters::memory::gateway::MemoryGateway;
use tollbridge::adapters::memory::queue::MemoryQueue;
use tollbridge::adapters::memory::store::StoreTables;
use tollbridge::domain::id::Partition;
use tollbridge::domain::schema::{Registered, SchemaRef};
use tollbridge::domain::time::Wall;
use tollbridge::pipeline::{CallId, Event, Reply};
use tollbridge::ports::source::{SourceEvent, Start, Ticket};
use tollbridge::ports::store::StoreError;

use crate::calls::{Apply, Late, Room, room};
use crate::faults::Stage;
use crate::group::Assignment;
use crate::holes::Hole;
use crate::in_steps::{Sent, Told};
use crate::kafka::{Brokers, Committer, Point};
use crate::looks::AllSeen;
use crate::oracle::Oracle;
use crate::plan::{MS, Micros, Plan, S, STORE};
use crate::plants::Plant;
use crate::process::{Life, Process, Running, wall};
use crate::transact::{Stray, Transact};
use crate::workload::Workload;

/// No run takes so many; an ordinary one takes some thousands.
const STEPS_MAX: u64 = 2_000_000;

/// One thing that is going to happen.
#[derive(Debug)]
pub enum Happening {
    Publish(Partition, tollbridge::domain::id::Offset),
    Start(usize),
    Pump(Life),
    Wake(Life, u64),
    Deliver(Life, SourceEvent),
    Reply(Life, CallId, &'static str, Box<Reply>),
    Apply(Box<Apply>),
    /// Of a batch that is stored in steps.
    Statement(Box<Sent>),
    StatementLate(Box<Sent>),
    /// With the number of the statement's effect.
    Told(Life, CallId, u64, Box<Result<Told, StoreError>>),
    RegistryAsked(Life, SchemaRef),
    RegistrySays(Life, SchemaRef, Box<Result<Registered, String>>),
    RegistryDue(Life),
    /// Of a call that was held up.
    Arrive(Box<Apply>),
    Transact(Box<Transact>),
    Stray(Committer, Box<Stray>),
    /// With its effect's number.
    Command(Life, u64, Command),
    Fetch(Life, Partition),
    Join(Life),
    Rejoin(Life),
    Heartbeat(Life),
    Expire(Life),
    RoundEnds(u64),
    Sync(Assignment),
    Strike(usize),
    StrikeEnds(usize),
    Thaw(Life),
    Tune(Life),
    Tamper(usize),
    Mend(Partition),
    Reset(usize),
    EndByItself {
        transactional_id: String,
        number: u64,
    },
    ChargeLate(Box<Late>),
    Look,
    LookIntoDoubts,
}

#[derive(Debug)]
pub enum Command {
    Assign(Ticket, Vec<Start>),
    Release(Ticket),
    Rewind(Start),
    Demand(Partition, tollbridge::domain::id::Version, usize),
}

pub struct World {
    pub plan: Plan,
    pub now: Micros,
    pub heap: BTreeMap<(Micros, u64), Happening>,
    next: u64,
    pub dice: fastrand::Rng,
    pub processes: Vec<Process>,
    pub brokers: Brokers,
    pub queue: MemoryQueue,
    pub store: StoreTables,
    /// The tokens of all blocks that came there.
    pub blocks: BTreeSet<String>,
    pub gateway: MemoryGateway,
    pub workload: Rc<Workload>,
    pub oracle: Oracle,
    /// When Redis last lost or refused something.
    pub redis_failed_at: Micros,
    /// When it last lost something, or a late request may have taken it away.
    pub redis_lost_at: Micros,
    /// To whom the group last gave each partition, and since when.
    pub given: BTreeMap<Partition, (Life, Micros)>,
    /// What stood where others have committed, and when the last of it was brought back.
    pub tampered: BTreeMap<Partition, Point>,
    pub mended_at: Micros,
    /// Until then the operator lets no process start.
    pub held_until: Micros,
    /// Processes are told to go on where records or offsets are gone.
    pub accepts_reset: bool,
    /// Somebody is going to look into what is in doubt.
    pub has_person: bool,
    /// What has been seen of doubts that are looked up.
    pub seen: AllSeen,
    /// Faults whose span is on.
    pub active: BTreeSet<usize>,
    /// Deaths that wait for their call.
    pub armed: BTreeSet<usize>,
    pub landed: BTreeMap<String, u64>,
    pub faults_landed: BTreeSet<usize>,
    pub crashes: u64,
    pub steps: u64,
    /// Calls and other effects: each a moment at which a process may die.
    pub effects: u64,
    /// Each moment at which a process might have died, in the order in which they came.
    pub moments: Vec<(u64, Stage)>,
    pub hash: DefaultHasher,
    pub talks: bool,
    pub settled_at: Option<Micros>,
    pub over: bool,
}

impl World {
    pub fn new(plan: Plan, talks: bool) -> Self {
        let mut dice = fastrand::Rng::with_seed(plan.seed);
        let mut store = StoreTables::new(STORE);
        store.tokens_max = plan.in_steps.unwrap_or(store.tokens_max);
        let frames = plan.framed.map(|_| fastrand::Rng::with_seed(!plan.seed));
        let workload = Rc::new(Workload::draw(&mut dice, &plan.shape, frames));
        let partitions = plan.shape.settings.partitions.clone();
        let processes = (0..plan.shape.processes)
            .map(|process| Process {
                life: Life { process, number: 0 },
                up: None,
                skew: plan.shape.skews[process],
                jump: 0,
                wrong: 0,
                uptime: dice.u64(1..1_000_000) * S,
                measures_by_wall: plan.plant == Some(Plant::WallClockMeasures),
                recipe: 0,
                is_paused: false,
            })
            .collect();
        let mut world = Self {
            now: 0,
            heap: BTreeMap::new(),
            next: 0,
            dice,
            processes,
            brokers: Brokers::new(partitions),
            queue: MemoryQueue::default(),
            store,
            blocks: BTreeSet::new(),
            gateway: MemoryGateway::new(plan.shape.key_ttl),
            oracle: Oracle::new(&plan, &workload),
            workload,
            redis_failed_at: 0,
            redis_lost_at: 0,
            given: BTreeMap::new(),
            tampered: BTreeMap::new(),
            mended_at: 0,
            held_until: 0,
            accepts_reset: false,
            has_person: plan.has_person,
            seen: AllSeen::new(),
            active: BTreeSet::new(),
            armed: BTreeSet::new(),
            landed: BTreeMap::new(),
            faults_landed: BTreeSet::new(),
            crashes: 0,
            steps: 0,
            effects: 0,
            moments: Vec::new(),
            hash: DefaultHasher::new(),
            talks,
            settled_at: None,
            over: false,
            plan,
        };
        world.schedule_all();
        world
    }

    fn schedule_all(&mut self) {
        let published: Vec<_> =
            self.workload.all.iter().map(|(place, what)| (what.at, *place)).collect();
        for (at, (partition, offset)) in published {
            self.at(at, Happening::Publish(partition, offset));
        }
        for process in 0..self.processes.len() {
            let at = self.dice.u64(..2 * S);
            self.at(at, Happening::Start(process));
        }
        for (i, fault) in self.plan.faults.clone().iter().enumerate() {
            self.at(fault.at, Happening::Strike(i));
            if fault.lasting > 0 {
                self.at(fault.ends(), Happening::StrikeEnds(i));
            }
        }
        self.at(S, Happening::Look);
        if self.plan.has_looks {
            self.at(S, Happening::LookIntoDoubts);
        }
    }

    pub fn at(&mut self, at: Micros, what: Happening) {
        self.next += 1;
        self.heap.insert((at.max(self.now), self.next), what);
    }

    pub fn after(&mut self, delay: Micros, what: Happening) {
        self.at(self.now + delay, what);
    }

    /// Runs to the end, or to the first violation.
    pub fn run(&mut self) {
        while let Some(((at, _), what)) = self.heap.pop_first() {
            self.now = at;
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.oracle.fail(format!("no end after {} steps", self.steps));
            }
            let shown = Wall(wall(at).0 + self.processes[0].wrong);
            self.queue.set_now(shown);
            self.store.now = shown;
            self.happen(what);
            if self.over || !self.oracle.violations.is_empty() {
                return;
            }
        }
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.talks {
            println!("{:>12.6} {}", self.now as f64 / 1e6, text());
        }
    }

    fn happen(&mut self, what: Happening) {
        (self.now, std::mem::discriminant(&what)).hash(&mut self.hash);
        let Some(what) = self.unless_frozen(what) else { return };
        match what {
            Happening::Publish(partition, offset) => self.publish(partition, offset),
            Happening::Start(process) => self.start(process),
            Happening::Pump(life) => self.pump(life),
            Happening::Wake(life, number) => {
                if self.running(life).is_some_and(|up| up.wake == number) {
                    self.tell(life, Event::Tick);
                }
            }
            Happening::Deliver(life, event) => {
                self.say(|| format!("{life:?} <- {}", brief(&event)));
                if let Some(event) = self.held(life, event) {
                    self.tell(life, Event::Source(event));
                }
            }
            Happening::Reply(life, id, name, reply) => self.reply(life, id, name, *reply),
            Happening::Apply(apply) => self.apply(*apply),
            Happening::Statement(sent) => self.statement(*sent),
            Happening::StatementLate(sent) => self.statement_late(&sent),
            Happening::Told(life, id, number, answer) => self.told(life, id, number, *answer),
            Happening::RegistryAsked(life, name) => self.registry_asked(life, name),
            Happening::RegistrySays(life, name, said) => self.registry_heard(life, name, *said),
            Happening::RegistryDue(life) => self.registry_due(life),
            Happening::Command(life, number, command) => {
                if !self.dies_in_effect((life, number), "command", Stage::Apply) {
                    self.command(life, command);
                }
            }
            Happening::Fetch(life, partition) => self.fetch(life, partition),
            Happening::Join(life) => self.join(life),
            Happening::Rejoin(life) => self.rejoin(life),
            Happening::Heartbeat(life) => self.heartbeat(life),
            Happening::Expire(life) => self.expire(life),
            Happening::RoundEnds(round) => self.round_ends(round),
            Happening::Sync(assignment) => self.sync(assignment),
            Happening::Strike(i) => self.strike(i),
            Happening::StrikeEnds(i) => self.strike_ends(i),
            Happening::Thaw(life) => self.thaw(life),
            Happening::Tune(life) => self.tune(life),
            Happening::Tamper(i) => self.tamper(i),
            Happening::Mend(partition) => self.mend(partition),
            Happening::Reset(i) => self.reset_offset(i),
            Happening::Arrive(apply) => self.arrive(*apply),
            Happening::Transact(transact) => self.transact(*transact),
            Happening::Stray(who, stray) => self.stray(&who, *stray),
            Happening::EndByItself { transactional_id, number } => {
                self.end_by_itself(&transactional_id, number);
            }
            Happening::ChargeLate(late) => self.charge_late(*late),
            Happening::Look => self.look(),
            Happening::LookIntoDoubts => self.look_into_doubts(),
        }
    }

    /// What concerns a process that stands still waits for it.
    fn unless_frozen(&mut self, what: Happening) -> Option<Happening> {
        let life = match &what {
            Happening::Pump(life)
            | Happening::Wake(life, _)
            | Happening::Deliver(life, _)
            | Happening::Reply(life, ..)
            | Happening::Told(life, ..)
            | Happening::RegistrySays(life, ..)
            | Happening::RegistryDue(life)
            | Happening::Command(life, ..)
            | Happening::Fetch(life, _)
            | Happening::Join(life)
            | Happening::Rejoin(life)
            | Happening::Tune(life)
            | Happening::Heartbeat(life) => *life,
            Happening::Sync(assignment) => assignment.life,
            Happening::Transact(transact) => transact.life,
            Happening::Apply(apply) if room(&apply.call) == Room::Local => apply.life,
            _ => return Some(what),
        };
        match self.running_mut(life) {
            Some(up) if up.frozen_until.is_some() => {
                up.inbox.push(what);
                None
            }
            Some(_) => Some(what),
            None => None,
        }
    }

    pub fn running(&self, life: Life) -> Option<&Running> {
        let process = &self.processes[life.process];
        process.up.as_deref().filter(|_| process.life == life)
    }

    pub fn running_mut(&mut self, life: Life) -> Option<&mut Running> {
        let process = &mut self.processes[life.process];
        if process.life == life { process.up.as_deref_mut() } else { None }
    }

    fn publish(&mut self, partition: Partition, offset: tollbridge::domain::id::Offset) {
        let record = self.workload.all[&(partition, offset)].record.clone();
        if self.brokers.logs.get(&partition).map_or(0, |log| log.end) < offset.0 {
            self.oracle.meets(Hole::GapPassed);
        }
        self.brokers.append(partition, record);
        let lives: Vec<Life> = self.lives();
        for life in lives {
            self.after(MS, Happening::Fetch(life, partition));
        }
    }

    pub fn lives(&self) -> Vec<Life> {
        self.processes.iter().filter(|p| p.up.is_some()).map(|p| p.life).collect()
    }
}

fn brief(event: &SourceEvent) -> String {
    match event {
        SourceEvent::Records { partition, records, .. } => {
            let offsets: Vec<_> = records.iter().map(|record| record.offset.0).collect();
            format!("records of {partition}: {offsets:?}")
        }
        event => format!("{event:?}"),
    }
}

pub fn cut(text: &str) -> String {
    text.chars().take(240).collect()
}
