//! How a producer goes through a transaction, request by request, and how that may be torn. Between two requests the
//! process may die, be fenced, or stand still.

use tollbridge::pipeline::{CallId, Reply};
use tollbridge::ports::publisher::{CommitPoint, Committing, Message, Topic};

use crate::faults::{Kind, Stage, Torn};
use crate::holes::Hole;
use crate::kafka::{Committer, Effective};
use crate::plan::{MS, Micros, S};
use crate::plants::Plant;
use crate::process::Life;
use crate::world::{Happening, World};

/// A commit on its way.
#[derive(Debug)]
pub struct Transact {
    pub life: Life,
    pub id: CallId,
    pub who: Committer,
    pub messages: Vec<Message>,
    pub points: Vec<CommitPoint>,
    pub began: Micros,
    pub step: Step,
    /// Where it is torn, and how.
    pub torn: Option<(Step, Torn)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Produce,
    AddOffsets,
    End,
}

/// A request of a producer that has given up waiting for it.
#[derive(Debug)]
pub enum Stray {
    Produce(Vec<Message>),
    AddOffsets(Vec<CommitPoint>),
    End(bool),
}

impl World {
    /// The client begins; who it commits as was taken with the snapshot.
    pub fn begin_commit(
        &mut self,
        life: Life,
        id: CallId,
        snapshot: u64,
        (messages, points): (Vec<Message>, Vec<CommitPoint>),
    ) {
        let torn = self.draw_tear().or_else(|| self.is_too_much(&messages));
        let Some(up) = self.running(life) else { return };
        let (latest, mut generation, member_id) = up.snapshot.clone();
        if self.plan.plant == Some(Plant::RevocationIgnored) {
            generation = up.client.generation;
        }
        let Some(producer_epoch) = up.producer_epoch.filter(|_| latest == snapshot) else {
            return self.commit_ends(life, id, Err("no producer, or an old snapshot".to_owned()));
        };
        let transactional_id = up.transactional_id.clone();
        let as_nobody = self.plan.plant == Some(Plant::UnfencedCommit);
        if (generation < 0 || member_id.is_empty()) && !as_nobody {
            return self.commit_ends(life, id, Err("not joined".to_owned()));
        }
        if let Some(up) = self.running_mut(life) {
            up.saying.clone_from(&points);
        }
        let says_nothing = messages.is_empty();
        if self.plan.plant == Some(Plant::BoundTooLate) && says_nothing {
            let reply = Box::new(Reply::Committing(Committing::Clean));
            self.after(0, Happening::Reply(life, id, "commit", reply));
        }
        let who = Committer { transactional_id, producer_epoch, generation, member_id };
        let (began, step) = (self.now, Step::Produce);
        self.transact(Transact { life, id, who, messages, points, began, step, torn });
    }

    /// Brokers that are slow for good take no more than so much in the time that is left to a transaction.
    fn is_too_much(&mut self, messages: &[Message]) -> Option<(Step, Torn)> {
        let most = self.plan.shape.commit_events_max?;
        let events = messages.iter().filter(|message| message.topic != Topic::Alerts).count();
        if events <= most {
            return None;
        }
        self.oracle.meets(Hole::CommitTooLarge);
        Some((Step::AddOffsets, Torn::NotApplied))
    }

    fn draw_tear(&mut self) -> Option<(Step, Torn)> {
        let i = self.struck(|kind| matches!(kind, Kind::CommitTorn(_)))?;
        let Kind::CommitTorn(torn) = self.plan.faults[i].kind else { return None };
        let step = [Step::Produce, Step::AddOffsets, Step::End][self.dice.usize(..3)];
        Some((if torn == Torn::Applied { Step::End } else { step }, torn))
    }

    /// One request reaches its broker.
    pub fn transact(&mut self, mut t: Transact) {
        let before = t.torn.filter(|(step, torn)| *step == t.step && *torn != Torn::Applied);
        if let Some((_, torn)) = before {
            return self.tear(t, torn);
        }
        let number = match t.step {
            Step::Produce => self.brokers.produce(&t.who, std::mem::take(&mut t.messages)),
            Step::AddOffsets => {
                self.plant_before_offsets(&mut t);
                let cap = self.plan.shape.settings.metadata_chars_max;
                let added = self.brokers.add_offsets(&t.who, std::mem::take(&mut t.points), cap);
                self.plant_after_offsets(&t);
                added
            }
            Step::End => return self.end_transaction(&t),
        };
        if self.dies_in(&t) {
            return;
        }
        match number {
            Ok(number) if t.step == Step::Produce => self.time_out_later(&t.who, number),
            Ok(_) => {}
            Err(why) => {
                if t.step == Step::AddOffsets {
                    self.oracle.meets(Hole::CommitRefused);
                }
                drop(self.brokers.end(&t.who, false));
                return self.commit_ends(t.life, t.id, Err(why));
            }
        }
        t.step = if t.step == Step::Produce { Step::AddOffsets } else { Step::End };
        let slow = self.struck(|kind| *kind == Kind::CommitSlow).is_some();
        let delay = self.dice.u64(MS / 2..if slow { 3 * S } else { 10 * MS });
        self.after(delay, Happening::Transact(Box::new(t)));
    }

    /// Planted bugs around the offsets of a transaction.
    fn plant_before_offsets(&mut self, t: &mut Transact) {
        match self.plan.plant {
            Some(Plant::NoBarrier) => {
                if let Some(up) = self.running(t.life) {
                    t.who.generation = up.client.generation;
                    t.who.member_id.clone_from(&up.client.member_id);
                }
            }
            Some(Plant::OffsetsOutside) => {
                let points = std::mem::take(&mut t.points);
                self.commit_plainly(&t.who, points);
            }
            _ => {}
        }
    }

    fn plant_after_offsets(&mut self, t: &Transact) {
        if self.plan.plant == Some(Plant::PlainBesideOpen)
            && let Some(up) = self.running(t.life)
        {
            let said = up.said.values().cloned().collect();
            self.commit_plainly(&t.who, said);
        }
    }

    /// An offset commit outside any transaction, as a consumer makes it; only planted bugs do.
    fn commit_plainly(&mut self, who: &Committer, points: Vec<CommitPoint>) {
        let effective = self.brokers.commit_plainly(who, points);
        self.took_effect(effective);
    }

    /// A process that is to die in its commit does so after any of the requests.
    fn dies_in(&mut self, t: &Transact) -> bool {
        let stage = match t.step {
            Step::Produce => Stage::Produced,
            Step::AddOffsets => Stage::Added,
            Step::End => Stage::Apply,
        };
        self.dies_at((t.life, t.id), "commit", stage)
    }

    fn time_out_later(&mut self, who: &Committer, number: u64) {
        let transactional_id = who.transactional_id.clone();
        let timeout = self.plan.shape.transaction_timeout;
        self.after(timeout, Happening::EndByItself { transactional_id, number });
    }

    fn end_transaction(&mut self, t: &Transact) {
        let result = self.brokers.end(&t.who, true);
        // A call that took long may have been repeated by the client: the adapter does not call that clean.
        let unclear = t.torn.is_some() || self.now > t.began + S;
        let has_effect = matches!(result, Ok(Some(_)));
        let result = result.map(|effective| self.took_effect(effective));
        let dies = self.dies_in(t);
        if has_effect && (unclear || dies) {
            self.oracle.meets(Hole::UnclearTookEffect);
        }
        if dies {
            return;
        }
        let result = if unclear { Err("no answer".to_owned()) } else { result };
        self.commit_ends(t.life, t.id, result);
    }

    fn commit_ends(&mut self, life: Life, id: CallId, result: Result<(), String>) {
        let is_answered = self.running(life).is_none_or(|up| !up.numbers.contains_key(&id));
        if is_answered && self.plan.plant == Some(Plant::BoundTooLate) {
            return;
        }
        let committing = match result {
            Ok(()) => Committing::Clean,
            Err(why) => {
                self.oracle.meets(Hole::CommitUnclear);
                Committing::Unclear(why)
            }
        };
        let delay = self.dice.u64(MS / 2..10 * MS);
        let reply = Box::new(Reply::Committing(committing));
        self.after(delay, Happening::Reply(life, id, "commit", reply));
    }

    fn tear(&mut self, t: Transact, torn: Torn) {
        let timeout = self.plan.shape.transaction_timeout;
        let later = self.dice.u64(MS..2 * timeout);
        let why = format!("{torn:?} at {:?}", t.step);
        match torn {
            Torn::Applied | Torn::NotApplied => drop(self.brokers.end(&t.who, false)),
            Torn::Open => {}
            Torn::Prepared => self.prepare(&t, later.min(timeout)),
            Torn::Delayed => {
                let aborts = self.dice.bool();
                let stray = match t.step {
                    Step::Produce => Stray::Produce(t.messages.clone()),
                    Step::AddOffsets => Stray::AddOffsets(t.points.clone()),
                    Step::End => Stray::End(true),
                };
                self.after(later, Happening::Stray(t.who.clone(), Box::new(stray)));
                if aborts {
                    drop(self.brokers.end(&t.who, false));
                }
            }
        }
        self.commit_ends(t.life, t.id, Err(why));
    }

    /// Whatever was still missing arrives, and the end is decided; it is carried out only later.
    fn prepare(&mut self, t: &Transact, later: Micros) {
        let cap = self.plan.shape.settings.metadata_chars_max;
        let done = match t.step {
            Step::Produce => self.brokers.produce(&t.who, t.messages.clone()).map(drop),
            Step::AddOffsets | Step::End => Ok(()),
        };
        let done = done.and_then(|()| match t.step {
            Step::Produce | Step::AddOffsets => {
                self.brokers.add_offsets(&t.who, t.points.clone(), cap).map(drop)
            }
            Step::End => Ok(()),
        });
        if let Ok(number) = done.and_then(|()| self.brokers.prepare(&t.who)) {
            let transactional_id = t.who.transactional_id.clone();
            self.after(later, Happening::EndByItself { transactional_id, number });
        }
    }

    /// A late request arrives. Where its producer was fenced it comes to nothing.
    pub fn stray(&mut self, who: &Committer, stray: Stray) {
        let cap = self.plan.shape.settings.metadata_chars_max;
        let result = match stray {
            Stray::Produce(messages) => self.brokers.produce(who, messages).map(Some),
            Stray::AddOffsets(points) => self.brokers.add_offsets(who, points, cap).map(Some),
            Stray::End(commit) => self.brokers.end(who, commit).map(|effective| {
                self.took_effect(effective);
                None
            }),
        };
        self.say(|| format!("a stray request of {who:?}: {result:?}"));
        if result.is_err() {
            self.oracle.meets(Hole::LateRequestFenced);
        }
        if let Ok(Some(number)) = result {
            self.time_out_later(who, number);
        }
    }

    /// The broker ends a transaction whose producer has not.
    pub fn end_by_itself(&mut self, transactional_id: &str, number: u64) {
        if self.brokers.is_open(transactional_id, number) {
            self.oracle.meets(Hole::LeftOpen);
        }
        let effective = self.brokers.end_by_itself(transactional_id, number);
        if effective.is_some() {
            self.oracle.meets(Hole::UnclearTookEffect);
        }
        self.took_effect(effective);
    }

    pub fn took_effect(&mut self, effective: Option<Effective>) {
        let Some(effective) = effective else { return };
        self.say(|| format!("took effect: {}", crate::verdict::brief(&effective)));
        self.oracle.took_effect(self.now, &effective, &self.brokers);
    }
}
