//! What a call does where it arrives: the memory twins of Redis, store and gateway, and the brokers.

use std::collections::BTreeSet;

use tollbridge::adapters::memory::gateway::replies::declined_ahead;
use tollbridge::adapters::memory::gateway::{Applied, Whim, book::Ticket};
use tollbridge::domain::id::{Epoch, Offset, Partition, TransactionId};
use tollbridge::domain::outcome::{Fate, Outcome};
use tollbridge::pipeline::{Call, Reply, Survey};
use tollbridge::ports::gateway::{Answer, Response};
use tollbridge::ports::publisher::Membership;
use tollbridge::ports::queue::QueueError;
use tollbridge::ports::source::Committed;
use tollbridge::ports::store::{Batch, StoreError};

use crate::calls::{Apply, Late, Room, refused, room, timed_out};
use crate::faults::{Fault, Kind, Mood};
use crate::holes::Hole;
use crate::plan::{GROUP, MS, Micros, S, Shape, TOPIC, micros};
use crate::plants::{OURS, Plant};
use crate::process::{Life, wall};
use crate::world::{Happening, World};

/// The code of a gateway that checks a limit before anything else; nothing of it is kept.
const LIMIT: &str = "limit_exceeded";

/// The store goes while many wait for their first request, about which it was asked before.
pub fn store_away_amid_a_backlog(dice: &mut fastrand::Rng, shape: &mut Shape) -> Vec<Fault> {
    shape.settings.tuned.gate.rate_limit = Some(dice.u32(2..=8));
    let (at, lasting) = (dice.u64(..shape.load_ends), dice.u64(S..=10 * S));
    vec![Fault { at, lasting, chance: 100, kind: Kind::StoreDown }]
}

impl World {
    pub fn carry_out(&mut self, apply: &Apply) -> Option<Reply> {
        let down = match room(&apply.call) {
            Room::Queue => self.is_down(&Kind::QueueDown),
            Room::Store => self.is_down(&Kind::StoreDown),
            Room::Gateway => self.is_down(&Kind::GatewayDown),
            Room::Kafka => self.is_down(&Kind::BrokerDown),
            Room::Local => false,
        };
        if down {
            return Some(refused(&apply.call));
        }
        match room(&apply.call) {
            Room::Queue => {
                let reply = self.carry_out_queue(apply);
                self.met_in_redis(&reply);
                Some(reply)
            }
            Room::Store => {
                let reply = self.carry_out_store(&apply.call);
                self.met_in_store(&apply.call, &reply);
                Some(reply)
            }
            Room::Gateway => {
                let reply = self.carry_out_gateway(apply);
                self.met_at_gateway(apply, reply.as_ref());
                reply
            }
            Room::Kafka | Room::Local => self.carry_out_kafka(apply),
        }
    }

    fn carry_out_kafka(&mut self, apply: &Apply) -> Option<Reply> {
        match &apply.call {
            Call::Membership => {
                let all = self.plan.shape.settings.partitions.iter().copied();
                let all: BTreeSet<Partition> = all.collect();
                let ignored = self.plan.plant == Some(Plant::RevocationIgnored);
                let as_nobody = self.plan.plant == Some(Plant::UnfencedCommit);
                if self.running(apply.life)?.client.generation < 0 {
                    self.oracle.meets(Hole::NothingJoined);
                }
                let up = self.running_mut(apply.life)?;
                let client = &up.client;
                let number = up.snapshot.0 + 1;
                up.snapshot = (number, client.generation, client.member_id.clone());
                let mut membership = Membership {
                    snapshot: number,
                    generation: client.generation,
                    member_id: client.member_id.clone(),
                    owned: if ignored { all.clone() } else { client.owned.clone() },
                };
                if self.plan.plant == Some(Plant::KeptBelieved) && membership.generation >= 0 {
                    membership.member_id = OURS.to_owned();
                }
                if as_nobody && membership.generation < 0 {
                    let member_id = "nobody".to_owned();
                    membership = Membership { generation: 0, member_id, owned: all, ..membership };
                }
                Some(Reply::Membership(Ok(membership)))
            }
            Call::Renew => {
                let up = self.running(apply.life)?;
                if self.plan.plant == Some(Plant::NoNewProducer) && up.producer_epoch.is_some() {
                    return Some(Reply::Renewed(Ok(())));
                }
                let transactional_id = up.transactional_id.clone();
                let (epoch, effective) = self.brokers.renew(&transactional_id);
                if effective.is_some() {
                    self.oracle.meets(Hole::UnclearTookEffect);
                }
                self.took_effect(effective);
                self.running_mut(apply.life)?.producer_epoch = Some(epoch);
                Some(Reply::Renewed(Ok(())))
            }
            Call::Committed(partitions) if self.believes(apply.life, partitions) => {
                self.believed(apply.life, partitions)
            }
            Call::Committed(partitions) => match self.committed_offsets(partitions) {
                Some(committed) => Some(Reply::Committed(Ok(committed))),
                // The client asks again until it is stable.
                None if self.now + 50 * MS < apply.deadline => {
                    self.oracle.meets(Hole::ReadWaited);
                    let again = Apply { call: apply.call.clone(), ..*apply };
                    self.after(50 * MS, Happening::Arrive(Box::new(again)));
                    None
                }
                None => Some(refused(&apply.call)),
            },
            _ => None,
        }
    }

    fn committed_offsets(&self, partitions: &[Partition]) -> Option<Vec<Committed>> {
        match self.plan.plant {
            Some(Plant::ReadUnstable) => Some(self.brokers.committed(partitions)),
            _ => self.brokers.committed_stably(partitions),
        }
    }

    fn carry_out_store(&mut self, call: &Call) -> Reply {
        match call {
            Call::Ask(ids) => Reply::Asked(Ok(self.store.ask(ids))),
            Call::Store(batch) => {
                let rule = self.check_rule(batch.rows.iter().map(AsRef::as_ref));
                let mut store = |batch: &Batch| self.store.store(batch);
                Reply::Stored(rule.and_then(|()| match self.plan.plant {
                    Some(plant) => plant.store(batch, store),
                    None => store(batch),
                }))
            }
            Call::AddSources(starts) => {
                self.store.add_sources(starts);
                Reply::SourcesAdded(Ok(()))
            }
            _ => {
                let queue_down = self.is_down(&Kind::QueueDown);
                let queue = match queue_down {
                    true => Err(QueueError::Transient("down".to_owned())),
                    false => Ok(self.queue.health()),
                };
                Reply::Survey(Box::new(Survey {
                    store: Ok(self.store.identity()),
                    sources: Ok(self.store.sources(GROUP, TOPIC)),
                    queue,
                }))
            }
        }
    }

    /// A rule of somebody's on the table.
    pub fn check_rule<'a>(
        &mut self,
        mut rows: impl Iterator<Item = &'a Outcome>,
    ) -> Result<(), StoreError> {
        let breaks_it = |row: &Outcome| row.fate != Fate::InDoubt && row.account_id == "acct-3";
        if !(rows.any(breaks_it) && self.is_down(&Kind::StoreRefuses)) {
            return Ok(());
        }
        self.oracle.meets(Hole::RowRefused);
        Err(StoreError::Poison("a rule of somebody's".to_owned()))
    }

    pub fn store_heard(&mut self, life: Life, reply: &Reply) {
        let is_away = match reply {
            Reply::Asked(result) => result.is_err(),
            Reply::Stored(Err(StoreError::Poison(_))) => return,
            Reply::Stored(result) => result.is_err(),
            _ => return,
        };
        if let Some(up) = self.running_mut(life) {
            up.is_store_away = is_away;
        }
    }

    /// Where the store has to be asked, nothing is charged for the first time while it can't answer. What an owner
    /// inherits may have been asked for.
    pub fn check_store_said(
        &mut self,
        life: Life,
        id: &TransactionId,
        place: Option<(Partition, Offset)>,
    ) {
        let Some((up, (partition, _))) = self.running(life).zip(place) else { return };
        let is_first_owner = up.epochs.get(&partition) == Some(&Epoch(1))
            && !self.oracle.meddling.reset.contains(&partition);
        let is_first = is_first_owner && !self.oracle.asked_for.contains(id);
        if is_first && up.is_store_away && self.oracle.asks_always {
            self.oracle
                .fail(format!("{life:?} asks for {id} for the first time without the store"));
        }
    }

    fn carry_out_gateway(&mut self, apply: &Apply) -> Option<Reply> {
        let charge = match &apply.call {
            Call::Lookup(id) => {
                return Some(Reply::Answer(Answer::Response(self.look_up(id))));
            }
            Call::Charge(charge) => charge,
            call => unreachable!("no call to the gateway: {call:?}"),
        };
        let mood = self.mood();
        if mood == Some(Mood::DeclineAhead) {
            if self.oracle.is_charged(&charge.id) {
                self.oracle.meets(Hole::DeclinedAfterCharge);
            }
            return Some(Reply::Answer(Answer::Response(declined_ahead(&charge.body, LIMIT))));
        }
        let whim = match self.plan.plant {
            Some(Plant::KeyPerAttempt) => Whim::ForgetKey,
            _ => mood.map_or(Whim::Honest, |mood| self.whim(mood)),
        };
        self.say(|| format!("the gateway gets {} in the mood {whim:?}", charge.id));
        let by = apply.place.map(|place| (place, apply.recipe));
        self.oracle.charge_arrives((apply.issued, apply.life), charge, by);
        match self.gateway.apply(wall(self.now), charge, &whim) {
            Applied::Answered(response) => {
                self.oracle.look_at_ledger(self.gateway.ledger(), apply.place);
                let response = match self.plan.plant {
                    Some(plant) => plant.answer(response, || declined_ahead(&charge.body, LIMIT)),
                    None => response,
                };
                Some(Reply::Answer(Answer::Response(response)))
            }
            Applied::Late(ticket) => {
                self.decide_late(apply, ticket);
                None
            }
        }
    }

    pub fn look_up(&mut self, id: &TransactionId) -> Response {
        let now = self.gateway.lookup(id);
        let as_of = wall(self.now.saturating_sub(self.plan.shape.shown_after));
        let shown = self.gateway.lookup_as_of(id, as_of);
        if shown != now {
            self.oracle.meets(Hole::NotShownYet);
        }
        shown
    }

    fn mood(&mut self) -> Option<Mood> {
        let i = self.struck(|kind| matches!(kind, Kind::Gateway(_)))?;
        let Kind::Gateway(mood) = self.plan.faults[i].kind else { return None };
        Some(mood)
    }

    fn whim(&mut self, mood: Mood) -> Whim {
        match mood {
            Mood::DeclineAhead => Whim::Honest,
            Mood::DeclineUnkept => Whim::DeclineUnkept { code: "insufficient_funds" },
            Mood::Decline => Whim::Decline { code: "insufficient_funds" },
            Mood::Late => Whim::Late,
            Mood::Error500Untaken => Whim::RefuseUntaken { status: 500 },
            Mood::Error500Taken => Whim::ErrorAfter { status: 500 },
            Mood::Throttle => {
                let retry_after = std::time::Duration::from_millis(self.dice.u64(..8_000));
                Whim::Throttle { retry_after }
            }
            Mood::DuplicateCode => Whim::DuplicateCode,
            Mood::WrongId => Whim::WrongId,
            Mood::WrongAmount => Whim::WrongAmount,
            Mood::Garbage => Whim::Garbage,
            Mood::Html => Whim::Html,
        }
    }

    fn shown_in_time(&self, apply: &Apply) -> Micros {
        self.now.max(apply.issued + micros(self.plan.shape.settings.sweep_min_age))
    }

    fn decide_late(&mut self, apply: &Apply, ticket: Ticket) {
        let patience = micros(self.plan.shape.deadline);
        let at = self.now + self.dice.u64(..4 * patience);
        // How soon after its request a lookup shows it the profile says, and this gateway decides anew after a decline.
        let at = if self.plan.forgets_declines() { at.min(self.shown_in_time(apply)) } else { at };
        let heard = apply.answered && at < apply.deadline;
        if !heard {
            self.answer_at(apply.deadline, apply, timed_out(&apply.call));
        }
        let caller = heard.then_some((apply.life, apply.id));
        self.at(at, Happening::ChargeLate(Box::new(Late { ticket, place: apply.place, caller })));
    }

    pub fn charge_late(&mut self, late: Late) {
        if late.caller.is_none() {
            self.oracle.meets(Hole::ChargedLate);
        }
        let response = self.gateway.complete(wall(self.now), late.ticket);
        self.oracle.look_at_ledger(self.gateway.ledger(), late.place);
        if let Some((life, id)) = late.caller {
            let reply = Reply::Answer(Answer::Response(response));
            self.after(MS, Happening::Reply(life, id, "charge", Box::new(reply)));
        }
    }
}
