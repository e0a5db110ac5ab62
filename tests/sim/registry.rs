//! A schema registry: records name the schema that they were written with, and wait in each process until the registry
//! has told it, as the real process holds them. It may be away; one schema is registered only later, one never.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tollbridge::app::schemas::Holding;
use tollbridge::domain::schema::{Registered, SchemaRef};
use tollbridge::domain::transaction::Transaction;
use tollbridge::pipeline::Event;
use tollbridge::ports::source::SourceEvent;
use tollbridge::wire::transaction::{Format, TRANSACTION_AVSC, confluent_frame, encode_avro};

use crate::faults::{Fault, Kind};
use crate::holes::Hole;
use crate::plan::{MS, Micros, S, Shape, micros};
use crate::plants::Plant;
use crate::process::Life;
use crate::world::{Happening, World};

/// Our own schema, one of a writer that has a field more, one that is not there at first, one that never is.
const OURS: u32 = 1;
const RICHER: u32 = 2;
const LATE: u32 = 3;
const NOWHERE: u32 = 4;

const PATIENCE: Micros = 5 * S;

/// Where records are framed: how long a schema is asked for, and when the late one is there.
#[derive(Debug, Clone, Copy)]
pub struct Framed {
    pub unknown_after: Duration,
    late_at: Micros,
}

/// What a run with a registry draws.
pub fn draw(dice: &mut fastrand::Rng, shape: &Shape) -> (Framed, Vec<Fault>) {
    let unknown_after = dice.u64(10..=60) * S;
    // Whoever sees it named has not given it up by then.
    let late_at = dice.u64(..unknown_after);
    let mut faults = Vec::new();
    for _ in 0..dice.u8(0..3) {
        let (at, lasting) = (dice.u64(..shape.load_ends), dice.u64(S..=90 * S));
        let kind = if dice.bool() { Kind::RegistryDown } else { Kind::RegistryRepliesLost };
        faults.push(Fault { at, lasting, chance: [50, 100][dice.usize(..2)], kind });
    }
    (Framed { unknown_after: Duration::from_micros(unknown_after), late_at }, faults)
}

impl Framed {
    pub fn holding(&self) -> Holding {
        Holding::new(Format::Auto, self.unknown_after)
    }

    /// Until a schema that is nowhere is given up, beyond what else is waited for.
    pub fn patience(&self) -> Micros {
        micros(self.unknown_after) + 10 * S
    }
}

/// A record as its producer writes it, and whether anybody will ever be able to read it.
pub fn frame(dice: &mut fastrand::Rng, tx: &Transaction) -> (Bytes, bool) {
    let id = [OURS, OURS, OURS, RICHER, RICHER, LATE, LATE, NOWHERE][dice.usize(..8)];
    let mut datum = encode_avro(tx);
    if id == RICHER {
        // Its field is the last one: a string, behind twice its length.
        datum.extend_from_slice(b"\x0ctill 7");
    }
    (Bytes::from(confluent_frame(id, &datum)), id != NOWHERE)
}

/// Ours, with a field more.
static RICHER_AVSC: LazyLock<String> = LazyLock::new(|| {
    let mut schema: serde_json::Value = serde_json::from_str(TRANSACTION_AVSC).expect("our schema");
    let fields = schema["fields"].as_array_mut().expect("its fields");
    fields.push(json!({ "name": "till", "type": "string" }));
    schema.to_string()
});

impl World {
    /// What may go on to the pipeline now.
    pub fn held(&mut self, life: Life, event: SourceEvent) -> Option<SourceEvent> {
        let now = self.processes[life.process].now(self.now).boot;
        let overtakes = self.plan.plant == Some(Plant::EndOvertakes);
        let Some(holding) = self.running_mut(life).and_then(|up| up.holding.as_mut()) else {
            return Some(event);
        };
        if overtakes && matches!(event, SourceEvent::End { .. }) {
            return Some(event);
        }
        let may_go_on = holding.take(event, now);
        if may_go_on.is_none() {
            self.oracle.meets(Hole::SchemaAwaited);
        }
        self.ask_registry(life);
        may_go_on
    }

    /// Asks for what is due.
    fn ask_registry(&mut self, life: Life) {
        let now = self.processes[life.process].now(self.now).boot;
        let Some(holding) = self.running_mut(life).and_then(|up| up.holding.as_mut()) else {
            return;
        };
        for name in holding.ask_for(now) {
            let delay = self.dice.u64(MS..20 * MS);
            self.after(delay, Happening::RegistryAsked(life, name));
        }
    }

    /// The same, and comes back when more is: what was asked for in vain is asked for again.
    pub fn registry_due(&mut self, life: Life) {
        self.ask_registry(life);
        let uptime = self.processes[life.process].booted_before();
        let holding = self.running(life).and_then(|up| up.holding.as_ref());
        if let Some(at) = holding.and_then(Holding::wake_at) {
            self.at(at.0.saturating_sub(uptime), Happening::RegistryDue(life));
        }
    }

    pub fn registry_asked(&mut self, life: Life, name: SchemaRef) {
        if self.is_down(&Kind::RegistryDown) {
            return self.registry_says(life, name, MS, Err("down".to_owned()));
        }
        let said = self.registered(name);
        if self.struck(|kind| *kind == Kind::RegistryRepliesLost).is_some() {
            return self.registry_says(life, name, PATIENCE, Err("timeout".to_owned()));
        }
        let delay = self.dice.u64(MS..20 * MS);
        self.registry_says(life, name, delay, Ok(said));
    }

    fn registered(&self, name: SchemaRef) -> Registered {
        let late_at = self.plan.framed.map_or(0, |framed| framed.late_at);
        let schema = match name {
            SchemaRef::Id(OURS) => TRANSACTION_AVSC.to_owned(),
            SchemaRef::Id(RICHER) => RICHER_AVSC.clone(),
            SchemaRef::Id(LATE) if self.now >= late_at => TRANSACTION_AVSC.to_owned(),
            _ => return Registered::Nothing,
        };
        Registered::Avro { schema, references: Vec::new() }
    }

    fn registry_says(
        &mut self,
        life: Life,
        name: SchemaRef,
        delay: Micros,
        answer: Result<Registered, String>,
    ) {
        let answer = match (self.plan.plant, answer) {
            // A planted bug.
            (Some(Plant::OutageIsUnknown), Err(_)) => Ok(Registered::Nothing),
            (_, answer) => answer,
        };
        self.after(delay, Happening::RegistrySays(life, name, Box::new(answer)));
    }

    pub fn registry_heard(
        &mut self,
        life: Life,
        name: SchemaRef,
        answer: Result<Registered, String>,
    ) {
        let now = self.processes[life.process].now(self.now).boot;
        self.say(|| format!("{life:?} <- registry {name} {}", brief(&answer)));
        let Some(holding) = self.running_mut(life).and_then(|up| up.holding.as_mut()) else {
            return;
        };
        for event in holding.answered(name, answer, now) {
            if matches!(event, SourceEvent::Schema { said: Registered::Nothing, .. }) {
                self.oracle.meets(Hole::SchemaNowhere);
            }
            self.tell(life, Event::Source(event));
        }
        self.registry_due(life);
    }
}

fn brief(answer: &Result<Registered, String>) -> String {
    match answer {
        Ok(Registered::Avro { .. }) => "a schema".to_owned(),
        answer => format!("{answer:?}"),
    }
}
