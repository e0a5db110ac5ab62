//! Calls: an effect leaves its process, arrives, takes effect, and its answer comes back; each of the three may be
//! lost, late, or the moment at which the process dies. What a call does where it arrives is in `services`.

use tollbridge::adapters::memory::gateway::book::Ticket;
use tollbridge::domain::id::{Epoch, Offset, Partition};
use tollbridge::pipeline::{Call, CallId, Reply, Survey};
use tollbridge::ports::gateway::Answer;
use tollbridge::ports::publisher::{Committing, PublishError};
use tollbridge::ports::queue::{Entry, QueueError};
use tollbridge::ports::source::SourceError;
use tollbridge::ports::store::StoreError;

use crate::faults::{Kind, Stage};
use crate::holes::Hole;
use crate::plan::{MS, Micros, S, micros};
use crate::plants::Plant;
use crate::process::Life;
use crate::world::{Happening, World, cut};

/// A call that has left its process and arrives.
#[derive(Debug)]
pub struct Apply {
    pub life: Life,
    pub id: CallId,
    pub call: Call,
    pub issued: Micros,
    /// By then the caller no longer waits.
    pub deadline: Micros,
    /// `false`: nobody will ever hear what came of it.
    pub answered: bool,
    /// For a charge: the place it is for.
    pub place: Option<(Partition, Offset)>,
    /// The version of its caller's bodies.
    pub recipe: u32,
}

/// A charge that the gateway has taken and not decided yet.
#[derive(Debug)]
pub struct Late {
    pub ticket: Ticket,
    pub place: Option<(Partition, Offset)>,
    pub caller: Option<(Life, CallId)>,
}

/// Which room a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Local,
    Kafka,
    Queue,
    Store,
    Gateway,
}

pub fn room(call: &Call) -> Room {
    match call {
        Call::Membership | Call::Commit { .. } => Room::Local,
        Call::Committed(_) | Call::Renew => Room::Kafka,
        Call::Charge(_) | Call::Lookup(_) => Room::Gateway,
        Call::Ask(_) | Call::Store(_) | Call::AddSources(_) | Call::Survey => Room::Store,
        _ => Room::Queue,
    }
}

impl World {
    pub fn issue(&mut self, life: Life, id: CallId, call: Call) {
        let (name, number) = (call.name(), self.effects);
        if let Some(up) = self.running_mut(life) {
            up.numbers.insert(id, number);
            up.committing |= matches!(call, Call::Commit { .. });
        }
        if self.dies_at((life, id), name, Stage::Issue) {
            return;
        }
        self.say(|| format!("{life:?} -> {name} {} {}", id.0, cut(&format!("{call:?}"))));
        let place = self.place_of(life, &call);
        if let Some((partition, epoch)) = epoch_of(&call)
            && let Some(up) = self.running_mut(life)
        {
            up.epochs.insert(partition, epoch);
        }
        if matches!(call, Call::Charge(_) | Call::Lookup(_))
            && self.running(life).is_some_and(|up| up.is_paused)
        {
            self.oracle.fail(format!("{life:?} asks the gateway, and was told to pause"));
        }
        self.check_spared(life, id, &call);
        match &call {
            Call::Charge(charge) => {
                let recipe = self.running(life).map_or(0, |up| up.recipe);
                self.check_store_said(life, &charge.id, place);
                self.oracle.charge_leaves(self.now, charge, (place, recipe));
                self.check_held_by_redis(life, charge, place);
            }
            Call::Store(batch) => {
                self.check_archived(life, batch);
                if self.plan.plant == Some(Plant::RemovedTooEarly) {
                    self.remove_too_early(life, &batch.rows);
                }
            }
            Call::Admit { partition, entries, .. } => {
                let of = |e: &Entry| (e.key.id.as_str().to_owned(), (*partition, e.key.offset));
                let admitting = entries.iter().map(of).collect();
                if let Some(up) = self.running_mut(life) {
                    up.admitting.insert(id, admitting);
                }
            }
            _ => {}
        }
        let call = match call {
            Call::Store(batch) if self.plan.in_steps.is_some() => {
                return self.begin_storing(life, id, batch);
            }
            call => call,
        };
        let patience = self.patience(room(&call));
        let (issued, deadline) = (self.now, self.now + patience);
        let recipe = self.running(life).map_or(0, |up| up.recipe);
        let apply = Apply { life, id, call, issued, deadline, answered: true, place, recipe };
        let delay = self.travel(room(&apply.call));
        if self.loses_request(&apply.call) {
            return self.answer_at(deadline, &apply, timed_out(&apply.call));
        }
        self.after(delay, Happening::Apply(Box::new(apply)));
    }

    /// The place whose entry this life has last had acknowledged under the charge's id.
    fn place_of(&self, life: Life, call: &Call) -> Option<(Partition, Offset)> {
        let Call::Charge(charge) = call else { return None };
        self.running(life)?.acknowledged.get(charge.id.as_str()).copied()
    }

    /// How long a caller waits for an answer.
    pub fn patience(&self, room: Room) -> Micros {
        match room {
            Room::Gateway => micros(self.plan.shape.deadline),
            Room::Queue => 2 * S,
            Room::Store | Room::Kafka | Room::Local => 5 * S,
        }
    }

    pub fn travel(&mut self, room: Room) -> Micros {
        match room {
            Room::Local => self.dice.u64(..200),
            Room::Queue => self.dice.u64(100..3 * MS),
            Room::Store => self.dice.u64(MS / 2..15 * MS),
            Room::Kafka => self.dice.u64(MS..30 * MS),
            Room::Gateway => self.dice.u64(2 * MS..150 * MS),
        }
    }

    fn loses_request(&mut self, call: &Call) -> bool {
        let lost = match room(call) {
            Room::Queue => Kind::QueueRequestsLost,
            Room::Store => Kind::StoreRequestsLost,
            Room::Gateway => Kind::GatewayRequestsLost,
            Room::Kafka | Room::Local => return false,
        };
        self.struck(|kind| *kind == lost).is_some()
    }

    fn loses_reply(&mut self, call: &Call) -> bool {
        let lost = match room(call) {
            Room::Queue => Kind::QueueRepliesLost,
            Room::Store => Kind::StoreRepliesLost,
            Room::Gateway => Kind::GatewayRepliesLost,
            Room::Kafka | Room::Local => return false,
        };
        self.struck(|kind| *kind == lost).is_some()
    }

    pub fn answer_at(&mut self, at: Micros, apply: &Apply, reply: Reply) {
        if apply.answered {
            let (life, id, name) = (apply.life, apply.id, apply.call.name());
            self.at(at, Happening::Reply(life, id, name, Box::new(reply)));
        }
    }

    /// The call arrives.
    pub fn apply(&mut self, mut apply: Apply) {
        if self.comes_later(&mut apply) {
            return;
        }
        // It stands or falls with its process, which goes through it step by step.
        if let Call::Commit { snapshot, messages, points } = apply.call {
            let what = (messages, points);
            return self.begin_commit(apply.life, apply.id, snapshot, what);
        }
        let dies = self.dies_at((apply.life, apply.id), apply.call.name(), Stage::Apply);
        let charges_before = self.oracle.charges();
        let reply = self.carry_out(&apply);
        let charged = self.oracle.charges() > charges_before;
        if charged && (dies || self.running(apply.life).is_none()) {
            self.oracle.meets(Hole::ChargedUnheard);
        }
        let Some(reply) = reply.filter(|_| !dies) else { return };
        let back = self.now + self.travel(room(&apply.call));
        if back > apply.deadline || self.loses_reply(&apply.call) {
            if charged {
                self.oracle.meets(Hole::ChargedUnheard);
            }
            let at = apply.deadline;
            return self.answer_at(at, &apply, timed_out(&apply.call));
        }
        self.answer_at(back, &apply, reply);
    }

    /// A slow network or a late arrival: what happens only after its caller has given up.
    fn comes_later(&mut self, apply: &mut Apply) -> bool {
        if !apply.answered {
            return false;
        }
        let late = match room(&apply.call) {
            Room::Queue => Kind::QueueSlow,
            Room::Store => Kind::StoreSlow,
            Room::Gateway => Kind::GatewayArrivalsLate,
            Room::Kafka | Room::Local => return false,
        };
        let Some(at) = self.held_until(&late, apply.issued, apply.deadline) else { return false };
        if at > apply.deadline {
            let deadline = apply.deadline;
            self.answer_at(deadline, apply, timed_out(&apply.call));
            apply.answered = false;
        }
        let late = Apply { call: apply.call.clone(), ..*apply };
        // Once delayed is enough.
        self.at(at, Happening::Arrive(Box::new(late)));
        true
    }

    /// When what this fault strikes arrives; half of it only after its caller has given up.
    pub fn held_until(&mut self, late: &Kind, issued: Micros, deadline: Micros) -> Option<Micros> {
        self.struck(|kind| kind == late)?;
        let longest = (2 * (deadline - issued)).min(self.plan.held_max());
        Some(issued + self.dice.u64(..longest))
    }

    /// After a delay that was drawn before.
    pub fn arrive(&mut self, apply: Apply) {
        if !apply.answered && matches!(apply.call, Call::Charge(_)) {
            self.oracle.meets(Hole::ArrivedUnheard);
        }
        let reply = self.carry_out(&apply);
        if let Some(reply) = reply {
            let back =
                (self.now + self.travel(room(&apply.call))).min(apply.deadline.max(self.now));
            self.answer_at(back, &apply, reply);
        }
    }
}

/// Of a call that changes a queue.
pub fn epoch_of(call: &Call) -> Option<(Partition, Epoch)> {
    match call {
        Call::Claim { partition, epoch }
        | Call::Admit { partition, epoch, .. }
        | Call::Settle { partition, epoch, .. }
        | Call::Mark { partition, epoch, .. }
        | Call::Remove { partition, epoch, .. } => Some((*partition, *epoch)),
        _ => None,
    }
}

/// What a caller is told that has waited for too long.
pub fn timed_out(call: &Call) -> Reply {
    match call {
        Call::Commit { .. } => Reply::Committing(Committing::Unclear("timeout".to_owned())),
        Call::Store(_) => Reply::Stored(Err(StoreError::Unknown("timeout".to_owned()))),
        Call::AddSources(_) => Reply::SourcesAdded(Err(StoreError::Unknown("timeout".to_owned()))),
        Call::Charge(_) | Call::Lookup(_) => Reply::Answer(Answer::Lost("timeout".to_owned())),
        call => refused(call),
    }
}

/// What a caller is told where nobody listens: surely not done, or not known to be.
pub fn refused(call: &Call) -> Reply {
    let why = || "down".to_owned();
    let store = || StoreError::Transient(why());
    match call {
        Call::Committed(_) => Reply::Committed(Err(SourceError::Transient(why()))),
        Call::Membership => Reply::Membership(Err(PublishError::Transient(why()))),
        Call::Commit { .. } => Reply::Committing(Committing::Unclear(why())),
        Call::Renew => Reply::Renewed(Err(PublishError::Transient(why()))),
        Call::Charge(_) | Call::Lookup(_) => Reply::Answer(Answer::NotSent(why())),
        Call::Ask(_) => Reply::Asked(Err(store())),
        Call::Store(_) => Reply::Stored(Err(store())),
        Call::AddSources(_) => Reply::SourcesAdded(Err(store())),
        Call::Survey => Reply::Survey(Box::new(Survey {
            store: Err(store()),
            sources: Err(store()),
            queue: Err(QueueError::Transient(why())),
        })),
        call => failed_in_redis(call, QueueError::Transient(why())),
    }
}

/// What a caller is told of a call to Redis that failed.
pub fn failed_in_redis(call: &Call, error: QueueError) -> Reply {
    match call {
        Call::Admit { .. } => Reply::Admitted(Err(error)),
        Call::Settle { .. } | Call::Mark { .. } => Reply::Moved(Err(error)),
        Call::Missing { .. } => Reply::Missing(Err(error)),
        Call::Scan { .. } => Reply::Page(Err(error)),
        Call::Depths(_) => Reply::Depths(Err(error)),
        _ => Reply::QueueDone(Err(error)),
    }
}
