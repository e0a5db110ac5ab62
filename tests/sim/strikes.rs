//! Faults strike: processes die, stand still and come back, the group loses members, Redis forgets.

use tollbridge::pipeline::{CallId, Event};

use crate::calls::{room, timed_out};
use crate::faults::{Kind, Stage};
use crate::holes::Hole;
use crate::plan::{MS, Micros, S};
use crate::plants::Plant;
use crate::process::Life;
use crate::world::{Happening, World};

impl World {
    pub fn strike(&mut self, i: usize) {
        let fault = self.plan.faults[i].clone();
        self.say(|| format!("=== {:?} for {} ms", fault.kind, fault.lasting / MS));
        if fault.lasting > 0 {
            self.active.insert(i);
        }
        let back = fault.ends().max(self.now + 100 * MS);
        match fault.kind {
            Kind::Crash(process) => self.crash_process(process, back),
            Kind::Upgrade(process) => {
                self.processes[process].recipe += 1;
                self.crash_process(process, back);
            }
            Kind::Outage => {
                for process in 0..self.processes.len() {
                    self.crash_process(process, back);
                }
            }
            Kind::CrashAt(..) | Kind::CrashAtEffect(..) => {
                self.armed.insert(i);
                return;
            }
            Kind::Freeze(process) => self.freeze(process, fault.ends()),
            Kind::Stop(process) => {
                let life = self.processes[process].life;
                if let Some(up) = self.running_mut(life) {
                    up.stopping = true;
                    self.tell(life, Event::Stop);
                }
            }
            Kind::Pause(process) => self.set_pause(process, true),
            Kind::Kick(process) => self.kick(process),
            Kind::ClockJump(process, by) => {
                self.processes[process].jump = by;
                self.oracle.meets(Hole::ClockJumped);
            }
            Kind::ClocksWrong(by) => {
                self.processes.iter_mut().for_each(|process| process.wrong = by);
                self.oracle.meets(Hole::ClockJumped);
            }
            Kind::QueueEvicts(entries) => self.evict(entries),
            Kind::QueueWipe => {
                self.redis_fails();
                self.queue.wipe();
            }
            Kind::QueueForgetsEpoch(partition) => {
                self.redis_fails();
                self.queue.lose_epoch(partition);
            }
            Kind::QueueForgetsNewest(writes) => {
                self.redis_fails();
                if self.queue.lose_newest(writes) > 0 {
                    self.oracle.meets(Hole::TailLost);
                }
            }
            Kind::QueueFull => self.queue.set_full(true),
            Kind::Tampered(..) => return self.with_an_empty_group(Happening::Tamper(i)),
            Kind::OffsetsReset(..) => return self.with_an_empty_group(Happening::Reset(i)),
            Kind::Retention(partition, unfinished) => self.delete_records(partition, unfinished),
            // They strike call by call.
            _ => return,
        }
        self.count(i);
    }

    pub fn strike_ends(&mut self, i: usize) {
        self.active.remove(&i);
        // As a fault of Redis may just have been; it costs little to wait a while after each.
        self.redis_failed_at = self.now;
        self.armed.remove(&i);
        match self.plan.faults[i].kind {
            Kind::ClockJump(process, _) => self.processes[process].jump = 0,
            Kind::ClocksWrong(_) => {
                self.processes.iter_mut().for_each(|process| process.wrong = 0);
            }
            Kind::QueueFull => {
                let full = self.active.iter().any(|i| self.plan.faults[*i].kind == Kind::QueueFull);
                self.queue.set_full(full);
            }
            Kind::Stop(process) => self.after(100 * MS, Happening::Start(process)),
            Kind::Tampered(partition, _) => self.mend(partition),
            Kind::Retention(..) => self.accept_losses(),
            Kind::Pause(process) => self.set_pause(process, false),
            Kind::Kick(process) => {
                let life = self.processes[process].life;
                self.after(0, Happening::Heartbeat(life));
            }
            _ => {}
        }
    }

    /// Its next lives begin so; this one is told.
    fn set_pause(&mut self, process: usize, is_paused: bool) {
        let p = &mut self.processes[process];
        p.is_paused = is_paused;
        let life = p.life;
        self.after(0, Happening::Tune(life));
    }

    pub fn tune(&mut self, life: Life) {
        let tuned = self.settings(life.process).tuned;
        if let Some(up) = self.running_mut(life) {
            up.is_paused = tuned.pause;
            if self.plan.plant == Some(Plant::PauseUnheard) {
                return;
            }
            self.tell(life, Event::Tuned(Box::new(tuned)));
        }
    }

    /// It has lost something.
    fn redis_fails(&mut self) {
        self.redis_failed_at = self.now;
        self.redis_lost_at = self.now;
        self.oracle.forget_kept();
    }

    fn evict(&mut self, entries: usize) {
        self.redis_fails();
        let partitions = self.plan.shape.settings.partitions.clone();
        for _ in 0..entries {
            let partition = partitions[self.dice.usize(..partitions.len())];
            let archived = u64::from(self.dice.bool());
            let found = self.queue.scan(partition, Some(archived)).found;
            if !found.is_empty() {
                let at = self.dice.usize(..found.len());
                self.queue.lose_entry(partition, &found[at].key.id);
            }
        }
    }

    /// A fault has had an effect.
    pub fn count(&mut self, i: usize) {
        self.faults_landed.insert(i);
        *self.landed.entry(self.plan.faults[i].kind.name()).or_default() += 1;
    }

    /// Whether a fault that is on strikes this call; which one.
    pub fn struck(&mut self, is: impl Fn(&Kind) -> bool) -> Option<usize> {
        let on: Vec<usize> = self.active.iter().copied().collect();
        for i in on {
            let fault = &self.plan.faults[i];
            if is(&fault.kind) && self.dice.u8(0..100) < fault.chance {
                self.count(i);
                return Some(i);
            }
        }
        None
    }

    pub fn is_down(&mut self, kind: &Kind) -> bool {
        let on = self.active.iter().copied().find(|i| self.plan.faults[*i].kind == *kind);
        if let Some(i) = on {
            self.count(i);
        }
        on.is_some()
    }

    /// Whether the process dies now, because a fault waits for this call.
    pub fn dies_at(
        &mut self,
        (life, id): (Life, CallId),
        name: &'static str,
        stage: Stage,
    ) -> bool {
        let Some(up) = self.running(life) else { return false };
        let number = up.numbers.get(&id).copied().unwrap_or_default();
        self.dies_in_effect((life, number), name, stage)
    }

    /// The same for an effect that is no call.
    pub fn dies_in_effect(
        &mut self,
        (life, effect): (Life, u64),
        name: &'static str,
        stage: Stage,
    ) -> bool {
        if self.running(life).is_none() {
            return false;
        }
        // Later than the last fault there is none that could still strike.
        if self.plan.faults.is_empty() || self.now < self.plan.faults_end() {
            self.moments.push((effect, stage));
        }
        let waits = |i: &usize| match self.plan.faults[*i].kind {
            Kind::CrashAt(process, at, on) => process == life.process && at == name && on == stage,
            Kind::CrashAtEffect(number, on) => number == effect && on == stage,
            _ => false,
        };
        let Some(i) = self.armed.iter().copied().find(waits) else { return false };
        self.armed.remove(&i);
        self.count(i);
        self.say(|| format!("=== {life:?} dies at {name}, {stage:?}"));
        let back = self.now + self.dice.u64(100 * MS..3 * S);
        self.crash_process(life.process, back);
        true
    }

    pub fn crash_process(&mut self, process: usize, back: Micros) {
        let life = self.processes[process].life;
        self.at(back, Happening::Start(process));
        if self.running(life).is_none() {
            return;
        }
        self.crashes += 1;
        self.say(|| format!("{life:?} dies"));
        self.end_process(life);
        let session = self.plan.shape.session;
        self.after(session, Happening::Expire(life));
    }

    pub fn end_process(&mut self, life: Life) {
        let process = &mut self.processes[life.process];
        let stopping = process.up.take().is_some_and(|up| up.stopping);
        if stopping {
            self.after(500 * MS, Happening::Start(life.process));
        }
    }

    /// It stands still. What it has handed to its sockets is on its way; half of what it was about to send is not.
    fn freeze(&mut self, process: usize, until: Micros) {
        let (life, now) = (self.processes[process].life, self.now);
        let Some(up) = self.running_mut(life) else { return };
        up.frozen_until = Some(up.frozen_until.unwrap_or(0).max(until));
        up.spared.begin_anew(up.client.owned.len(), now);
        let held = self.hold_back(life);
        self.say(|| format!("{life:?} stands still with {held} calls"));
        self.at(until, Happening::Thaw(life));
        let session = self.plan.shape.session;
        self.after(session, Happening::Expire(life));
    }

    /// Moves half of the calls that are about to arrive behind the moment at which the process wakes.
    fn hold_back(&mut self, life: Life) -> usize {
        let leaving: Vec<(Micros, u64)> = self
            .heap
            .iter()
            .filter(|(_, what)| match what {
                Happening::Apply(a) => a.life == life,
                Happening::Statement(sent) => sent.life == life,
                _ => false,
            })
            .map(|(key, _)| *key)
            .collect();
        let mut held = 0;
        for key in leaving {
            if self.dice.bool()
                && let Some(what) = self.heap.remove(&key)
                && let Some(up) = self.running_mut(life)
            {
                up.inbox.push(what);
                held += 1;
            }
        }
        held
    }

    /// It goes on. What it has missed comes in the order in which it would have come.
    pub fn thaw(&mut self, life: Life) {
        let now = self.now;
        let held_max = self.plan.held_max().min(self.plan.shape.margin() / 2);
        let Some(up) = self.running_mut(life) else { return };
        if up.frozen_until.is_none_or(|until| until > now) {
            return;
        }
        up.frozen_until = None;
        up.runs_since = now;
        up.spared.begin_anew(up.client.owned.len(), now);
        let missed = std::mem::take(&mut up.inbox);
        self.say(|| format!("{life:?} goes on"));
        for what in missed {
            match what {
                // The caller's own timer has come first.
                Happening::Apply(a) if a.issued + held_max < now => {
                    let reply = timed_out(&a.call);
                    self.answer_at(now, &a, reply);
                }
                Happening::Apply(a) if a.deadline < now => {
                    let (reply, mut a) = (timed_out(&a.call), a);
                    let is_local = room(&a.call) == crate::calls::Room::Local;
                    self.answer_at(now, &a, reply);
                    if !is_local {
                        a.answered = false;
                        self.at(now, Happening::Apply(a));
                    }
                }
                Happening::Statement(sent) => self.statement_thaws(*sent, held_max),
                what => self.at(now, what),
            }
        }
        let beat = self.dice.u64(..self.plan.shape.heartbeat);
        self.after(beat, Happening::Heartbeat(life));
        self.after(0, Happening::Pump(life));
    }

    /// The group drops a member that does not know of it yet.
    fn kick(&mut self, process: usize) {
        let life = self.processes[process].life;
        let Some(id) = self.brokers.group.member_of(life).map(str::to_owned) else { return };
        if self.brokers.group.remove(&id) {
            self.regroup();
        }
    }
}
