//! The life of a process: it starts, takes events in, and has its effects carried out.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use tollbridge::domain::alerts::{Board, Levels, Rule, Speaker};
use tollbridge::domain::id::RecipeHash;
use tollbridge::pipeline::{CallId, Effect, Engine, Event, Formats, Reply, Settings};
use tollbridge::ports::publisher::Committing;
use tollbridge::ports::queue::Admission;
use tollbridge::ports::source::SourceEvent;
use tollbridge::wire::events::{EventCodec, EventsFormat};
use tollbridge::wire::gateway::{Profile, RECIPE, Replays};
use tollbridge::wire::transaction::{Decoder, Format};

use crate::faults::Stage;
use crate::plan::{GROUP, MS};
use crate::plants::Plant;
use crate::process::{Client, Life, Running};
use crate::spared::Spared;
use crate::world::{Command, Happening, World, cut};

/// Low enough to be reached now and then.
const DEPTH: Levels = Levels { raise: 20, clear: 5, lasting: Duration::from_secs(1) };

impl World {
    /// As its configuration says now.
    pub fn settings(&self, process: usize) -> Settings {
        let mut settings = self.plan.shape.settings.clone();
        settings.instance = format!("p{process}");
        settings.accept_offset_reset = self.accepts_reset;
        settings.tuned.pause = self.processes[process].is_paused;
        if let Some(plant) = self.plan.plant {
            plant.settings(&mut settings);
        }
        settings
    }

    pub fn start(&mut self, process: usize) {
        if self.processes[process].up.is_some() {
            return;
        }
        if self.now < self.held_until {
            return self.at(self.held_until, Happening::Start(process));
        }
        let seed = self.dice.u64(..);
        let name = format!("p{process}");
        let settings = self.settings(process);
        let is_paused = self.processes[process].is_paused;
        let transactional_id =
            if self.plan.shape.is_static { name } else { format!("random-{seed}") };
        let framed = self.plan.framed;
        let recipe = self.processes[process].recipe;
        // A version that forgets to say that its bodies are others.
        let says = if self.plan.plant == Some(Plant::RecipeUnchanged) { 0 } else { recipe };
        let formats = self.formats(says);
        let p = &mut self.processes[process];
        p.life.number += 1;
        let life = p.life;
        let engine = Engine::new(settings, formats, seed, p.now(self.now));
        p.up = Some(Box::new(Running {
            engine,
            recipe,
            client: Client { generation: -1, ..Client::default() },
            fetched: BTreeMap::new(),
            transactional_id,
            producer_epoch: None,
            snapshot: (0, -1, String::new()),
            frozen_until: None,
            inbox: Vec::new(),
            pump_at: None,
            wake: 0,
            source_at: 0,
            command_at: 0,
            acknowledged: BTreeMap::new(),
            admitting: BTreeMap::new(),
            numbers: BTreeMap::new(),
            stopping: false,
            is_paused,
            committing: false,
            board: Board::default(),
            storing: BTreeMap::new(),
            is_store_away: false,
            holding: framed.map(|framed| framed.holding()),
            spared: Spared::default(),
            epochs: BTreeMap::new(),
            saying: Vec::new(),
            said: BTreeMap::new(),
            sent_at: BTreeMap::new(),
            runs_since: self.now,
        }));
        self.say(|| format!("{life:?} starts"));
        let delay = self.dice.u64(10 * MS..500 * MS);
        self.after(delay, Happening::Join(life));
        self.after(0, Happening::Pump(life));
    }

    /// Gives an event to an engine; what it leads to comes a moment later, with what else has come meanwhile.
    pub fn tell(&mut self, life: Life, event: Event) {
        let now = self.processes[life.process].now(self.now);
        let delay = if self.dice.bool() { 0 } else { self.dice.u64(..300) };
        let at = self.now + delay;
        let Some(up) = self.running_mut(life) else { return };
        up.engine.handle(now, event);
        if up.pump_at.is_none() {
            up.pump_at = Some(at);
            self.at(at, Happening::Pump(life));
        }
    }

    pub fn pump(&mut self, life: Life) {
        let now = self.processes[life.process].now(self.now);
        let Some(up) = self.running_mut(life) else { return };
        up.pump_at = None;
        let effects = up.engine.pump(now);
        for effect in effects {
            self.effect(life, effect);
            if self.running(life).is_none() {
                return;
            }
        }
        let uptime = self.processes[life.process].booted_before();
        let Some(up) = self.running_mut(life) else { return };
        up.wake += 1;
        let (number, at) = (up.wake, up.engine.wake_at().0.saturating_sub(uptime));
        let at = at.max(self.now + 1);
        self.at(at, Happening::Wake(life, number));
    }

    fn effect(&mut self, life: Life, effect: Effect) {
        self.effects += 1;
        let number = self.effects;
        let effect = match effect {
            Effect::Call(id, mut call) => {
                if let Some(plant) = self.plan.plant {
                    let recipe = self.running(life).map_or(0, |up| up.recipe);
                    plant.call(&mut call, number, recipe);
                }
                return self.issue(life, id, call);
            }
            effect => effect,
        };
        if self.dies_in_effect((life, number), "effect", Stage::Issue) {
            return;
        }
        match effect {
            Effect::Call(..) => {}
            Effect::Assign { ticket, starts } => {
                self.order(life, Command::Assign(ticket, starts));
            }
            Effect::Release { ticket } => self.order(life, Command::Release(ticket)),
            Effect::Rewind(start) => self.order(life, Command::Rewind(start)),
            Effect::Demand { partition, version, records } => {
                self.order(life, Command::Demand(partition, version, records));
            }
            Effect::Note(note) => {
                self.say(|| {
                    format!("{life:?} notes {:?} {:?} {}", note.level, note.partition, note.text)
                });
                let owner = note.partition.and_then(|p| self.brokers.group.owner(p));
                self.oracle.noted(&note, owner == Some(life));
            }
            Effect::Finished => self.leave(life),
            Effect::Fatal(why) => self.oracle.fail(format!("{life:?} is beyond repair: {why}")),
        }
    }

    /// Commands to the consumer's thread keep their order.
    fn order(&mut self, life: Life, command: Command) {
        let number = self.effects;
        let delay = self.dice.u64(..2 * MS);
        let now = self.now;
        let Some(up) = self.running_mut(life) else { return };
        up.command_at = up.command_at.max(now + delay);
        let at = up.command_at;
        self.at(at, Happening::Command(life, number, command));
    }

    /// Events from the consumer's thread keep their order.
    pub fn emit(&mut self, life: Life, event: SourceEvent) {
        let delay = self.dice.u64(..2 * MS);
        let now = self.now;
        let Some(up) = self.running_mut(life) else { return };
        up.source_at = up.source_at.max(now + delay);
        let at = up.source_at;
        self.at(at, Happening::Deliver(life, event));
    }

    pub fn reply(&mut self, life: Life, id: CallId, name: &'static str, mut reply: Reply) {
        self.spared_hears(life, id, &reply);
        self.store_heard(life, &reply);
        if let Some(plant) = self.plan.plant {
            self.plant_in_reply(plant, (life, id), &mut reply);
        }
        if self.dies_at((life, id), name, Stage::Reply) {
            return;
        }
        self.say(|| format!("{life:?} <- {name} {} {}", id.0, cut(&format!("{reply:?}"))));
        self.acknowledge(life, id, &reply);
        if let Some(up) = self.running_mut(life) {
            up.numbers.remove(&id);
            if let Reply::Committing(committing) = &reply {
                up.committing = false;
                let saying = std::mem::take(&mut up.saying);
                if *committing == Committing::Clean {
                    up.said.extend(saying.into_iter().map(|point| (point.partition, point)));
                }
            }
        }
        let counted = matches!(reply, Reply::Depths(_));
        self.tell(life, Event::Reply(id, reply));
        if counted {
            self.speak(life);
        }
    }

    /// Alerts of the group's rules go with the transactions, as in the real process.
    fn speak(&mut self, life: Life) {
        let now = self.processes[life.process].now(self.now);
        let Some(up) = self.running_mut(life) else { return };
        let Some(depth) = up.engine.gauges().group_depth else { return };
        let speaker = Speaker { group: String::new(), instance: String::new() };
        let told = up.board.observe(Rule::TempDepth, depth.temp, &DEPTH, now, &speaker);
        if let Some(alert) = told {
            self.tell(life, Event::Alert(Box::new(alert)));
        }
    }

    fn plant_in_reply(&self, plant: Plant, (life, id): (Life, CallId), reply: &mut Reply) {
        let wall = self.processes[life.process].now(self.now).wall;
        let admitting = self.running(life).and_then(|up| up.admitting.get(&id));
        plant.reply(reply, wall, admitting.map_or(0, Vec::len));
    }

    /// Remembers for which entries this life has an acknowledgement.
    fn acknowledge(&mut self, life: Life, id: CallId, reply: &Reply) {
        let Some(up) = self.running_mut(life) else { return };
        let Some(admitting) = up.admitting.remove(&id) else { return };
        let Reply::Admitted(Ok(found)) = reply else { return };
        for ((id, place), admission) in admitting.into_iter().zip(found) {
            if !matches!(admission, Admission::OtherPlace { .. }) {
                up.acknowledged.insert(id, place);
            }
        }
    }
}

impl World {
    /// As a process has them whose bodies are of this version.
    fn formats(&self, version: u32) -> Formats {
        let keeps_declines = self.plan.says_it_keeps_declines();
        let replays = if keeps_declines { Replays::All } else { Replays::Approvals };
        let decoder = match self.plan.framed {
            Some(_) => decoder(Format::Auto).with_registry(),
            None => decoder(Format::Json),
        };
        Formats {
            decoder,
            events: EventCodec::new(EventsFormat::Json, GROUP),
            profile: Profile { replays, ..GENERIC.clone() },
            recipe: RecipeHash(RECIPE.0 + version),
        }
    }
}

fn decoder(format: Format) -> Decoder {
    Decoder::new(format, None, 64 * 1024).expect("the decoder")
}

pub static GENERIC: LazyLock<Profile> = LazyLock::new(Profile::generic);
