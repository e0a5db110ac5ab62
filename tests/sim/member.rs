//! A group member: what its client library does between the coordinator and the engine. One rebalance is open at a
//! time, and the next one is taken up only after the engine has answered.

use std::collections::BTreeSet;

use tollbridge::domain::id::{Offset, Partition};
use tollbridge::ports::source::{SourceEvent, Ticket};

use crate::group::{Assignment, Joined};
use crate::holes::Hole;
use crate::plan::{MS, S};
use crate::plants::{OURS, Plant};
use crate::process::{Fetched, Life, Open, Rebalance};
use crate::world::{Command, Happening, World};

impl World {
    pub fn join(&mut self, life: Life) {
        let instance = self.plan.shape.is_static.then(|| format!("p{}", life.process));
        match self.brokers.group.join(life, instance) {
            Joined::New(id) => {
                if let Some(up) = self.running_mut(life) {
                    up.client.member_id = id;
                }
                self.regroup();
            }
            Joined::AsBefore(id, assignment) => {
                if let Some(up) = self.running_mut(life) {
                    up.client.member_id = id;
                }
                self.sync(assignment);
                if self.brokers.group.is_incomplete() {
                    self.regroup();
                }
                let is_joining = self.brokers.group.joining.is_some();
                if is_joining {
                    self.after(MS, Happening::Rejoin(life));
                }
            }
        }
    }

    /// The members have changed.
    pub fn regroup(&mut self) {
        if !self.plan.shape.is_incremental {
            self.begin_round();
            return self.complete_if_joined();
        }
        for assignment in self.brokers.group.reconcile() {
            self.tell_assignment(assignment);
        }
    }

    fn tell_assignment(&mut self, assignment: Assignment) {
        self.say(|| format!("group: {assignment:?}"));
        let delay = self.dice.u64(MS..60 * MS);
        self.after(delay, Happening::Sync(assignment));
    }

    pub fn begin_round(&mut self) {
        let Some(round) = self.brokers.group.begin_round() else { return };
        let lives: Vec<Life> = self.brokers.group.members.values().map(|m| m.life).collect();
        for life in lives {
            let delay = self.dice.u64(..self.plan.shape.heartbeat);
            self.after(delay, Happening::Rejoin(life));
        }
        let patience = self.plan.shape.session * 6;
        self.after(patience, Happening::RoundEnds(round));
    }

    pub fn rejoin(&mut self, life: Life) {
        let Some(up) = self.running_mut(life) else { return };
        if up.client.open.is_some() || !up.client.queue.is_empty() {
            up.client.rejoin_wanted = true;
            return;
        }
        // Who has joined a round hears its end before it joins the next one.
        let (id, heard) = (up.client.member_id.clone(), up.client.generation);
        if self.brokers.group.epoch_of(&id) > heard {
            return self.after(MS, Happening::Rejoin(life));
        }
        let Some(up) = self.running_mut(life) else { return };
        up.client.rejoin_wanted = false;
        let owned = up.client.owned.clone();
        if self.brokers.group.joining.is_none() {
            // The round has ended, perhaps without it.
            return self.heartbeat(life);
        }
        if self.brokers.group.rejoin(&id, owned) {
            self.complete_if_joined();
        } else {
            self.heartbeat(life);
        }
    }

    pub fn complete_if_joined(&mut self) {
        if !self.brokers.group.all_joined() {
            return;
        }
        for assignment in self.brokers.group.complete() {
            self.tell_assignment(assignment);
        }
    }

    pub fn round_ends(&mut self, round: u64) {
        if self.brokers.group.joining == Some(round) {
            self.brokers.group.drop_absent();
            self.complete_if_joined();
        }
    }

    pub fn sync(&mut self, assignment: Assignment) {
        let (is_incremental, now) = (self.plan.shape.is_incremental, self.now);
        let Assignment { life, generation, partitions } = assignment;
        let Some(up) = self.running_mut(life) else { return };
        let id = up.client.member_id.clone();
        let is_current = generation == self.brokers.group.epoch_of(&id);
        if !is_current || !self.brokers.group.members.contains_key(&id) {
            return self.after(MS, Happening::Heartbeat(life));
        }
        for partition in &partitions {
            let (owner, since) = self.given.entry(*partition).or_insert((life, self.now));
            if *owner != life {
                (*owner, *since) = (life, self.now);
            }
        }
        let Some(up) = self.running_mut(life) else { return };
        let client = &mut up.client;
        if client.generation == -1 {
            client.known_since = now;
        }
        client.generation = generation;
        if is_incremental {
            // The latest word counts, not one that still waits for its turn.
            client.queue.clear();
        }
        let revoked: BTreeSet<Partition> = client.owned.difference(&partitions).copied().collect();
        let added: BTreeSet<Partition> = partitions.difference(&client.owned).copied().collect();
        let gives_up = !revoked.is_empty();
        if gives_up {
            client.queue.push_back(Rebalance::Revoked { partitions: revoked, lost: false });
        }
        if !added.is_empty() {
            client.queue.push_back(Rebalance::Assigned(added));
        }
        // In the `consumer` protocol every word of the coordinator is answered, also one that overtook another.
        if gives_up || is_incremental {
            client.queue.push_back(Rebalance::Rejoin);
        }
        self.next_rebalance(life);
    }

    /// The member finds out what the coordinator thinks of it.
    pub fn heartbeat(&mut self, life: Life) {
        let Some(up) = self.running(life) else { return };
        if up.client.member_id.is_empty() {
            return;
        }
        let id = up.client.member_id.clone();
        if self.brokers.group.members.contains_key(&id) {
            if self.brokers.group.joining.is_some() {
                self.after(MS, Happening::Rejoin(life));
            }
            return;
        }
        self.say(|| format!("{life:?} learns that the group does not know it"));
        // Where a member of a classic group learns it by the answer to a join, it joins anew and says nothing: what it
        // had is its own again, or taken away as if nobody else had had it since.
        let keeps = !self.plan.shape.is_incremental && self.dice.bool();
        if keeps && self.running(life).is_some_and(|up| !up.client.owned.is_empty()) {
            self.oracle.meets(Hole::KeptUnknown);
        }
        let Some(up) = self.running_mut(life) else { return };
        let client = &mut up.client;
        client.member_id.clear();
        client.generation = -1;
        client.queue.clear();
        let partitions = client.owned.clone();
        if !partitions.is_empty() && !keeps {
            client.queue.push_back(Rebalance::Revoked { partitions, lost: true });
        }
        client.queue.push_back(Rebalance::Join);
        self.next_rebalance(life);
    }

    pub fn next_rebalance(&mut self, life: Life) {
        let plant = self.plan.plant;
        let is_incremental = self.plan.shape.is_incremental;
        let Some(up) = self.running_mut(life) else { return };
        let client = &mut up.client;
        if client.open.is_some() {
            return;
        }
        let Some(next) = client.queue.pop_front() else {
            if client.rejoin_wanted {
                self.rejoin(life);
            }
            return;
        };
        client.tickets += 1;
        let ticket = Ticket(client.tickets);
        match next {
            Rebalance::Assigned(partitions) => {
                client.owned.extend(&partitions);
                let list = partitions.iter().copied().collect();
                client.open = Some(Open { ticket, assigned: true, partitions });
                let member = match plant {
                    Some(Plant::KeptBelieved) => OURS.to_owned(),
                    _ => client.member_id.clone(),
                };
                self.emit(life, SourceEvent::Assigned { ticket, partitions: list, member });
            }
            Rebalance::Revoked { partitions, lost } => {
                let is_untold = match plant {
                    Some(Plant::RevocationIgnored) => !lost,
                    Some(Plant::UnfencedCommit) => lost,
                    _ => false,
                };
                if up.committing {
                    self.oracle.meets(Hole::RevokedInCommit);
                }
                let Some(up) = self.running_mut(life) else { return };
                up.spared.forget_transactions();
                up.client.owned.retain(|p| !partitions.contains(p));
                for (partition, fetched) in &mut up.fetched {
                    fetched.closed |= partitions.contains(partition);
                }
                let list: Vec<_> = partitions.iter().copied().collect();
                up.client.open = Some(Open { ticket, assigned: false, partitions });
                up.said.retain(|partition, _| !list.contains(partition));
                if is_untold {
                    return self.command(life, Command::Release(ticket));
                }
                if plant == Some(Plant::NoBarrier) && !lost {
                    self.emit(life, SourceEvent::Revoked { ticket, partitions: list, lost });
                    return self.command(life, Command::Release(ticket));
                }
                self.emit(life, SourceEvent::Revoked { ticket, partitions: list, lost });
            }
            Rebalance::Rejoin if is_incremental => {
                let (id, owned) = (client.member_id.clone(), client.owned.clone());
                self.brokers.group.acknowledge(&id, &owned);
                self.regroup();
                self.next_rebalance(life);
            }
            Rebalance::Rejoin => {
                client.rejoin_wanted = true;
                self.begin_round();
                self.next_rebalance(life);
            }
            Rebalance::Join => {
                let delay = self.dice.u64(..S);
                self.after(delay, Happening::Join(life));
                self.next_rebalance(life);
            }
        }
    }

    pub fn command(&mut self, life: Life, command: Command) {
        let Some(up) = self.running_mut(life) else { return };
        match command {
            Command::Demand(partition, version, records) => {
                if let Some(f) = up.fetched.get_mut(&partition).filter(|f| f.version == version) {
                    f.demand = records;
                    let delay = self.dice.u64(..3 * MS);
                    self.after(delay, Happening::Fetch(life, partition));
                }
                return;
            }
            Command::Assign(ticket, starts) => {
                let answers = |open: &mut Open| open.ticket == ticket && open.assigned;
                let Some(open) = up.client.open.take_if(answers) else { return };
                for start in starts.iter().filter(|s| open.partitions.contains(&s.partition)) {
                    up.fetched.insert(start.partition, Fetched::from(start));
                }
            }
            Command::Rewind(start) => {
                if up.client.owned.contains(&start.partition) {
                    up.fetched.insert(start.partition, Fetched::from(&start));
                }
            }
            Command::Release(ticket) => {
                let answers = |open: &mut Open| open.ticket == ticket && !open.assigned;
                let Some(open) = up.client.open.take_if(answers) else { return };
                up.fetched.retain(|partition, _| !open.partitions.contains(partition));
            }
        }
        let fetched: Vec<Partition> = up.fetched.keys().copied().collect();
        for partition in fetched {
            self.after(MS, Happening::Fetch(life, partition));
        }
        self.next_rebalance(life);
    }

    /// Delivers what is there and demanded; nothing while a rebalance is open.
    pub fn fetch(&mut self, life: Life, partition: Partition) {
        if self.is_down(&crate::faults::Kind::BrokerDown) {
            return self.after(20 * MS, Happening::Fetch(life, partition));
        }
        let chunk = self.dice.usize(1..=12);
        let plant = self.plan.plant;
        let process = &mut self.processes[life.process];
        let Some(up) = process.up.as_deref_mut().filter(|_| process.life == life) else { return };
        let is_open = up.client.open.is_some();
        let Some(f) = up.fetched.get_mut(&partition) else { return };
        if is_open || f.closed || f.demand == 0 {
            return;
        }
        let Some(log) = self.brokers.logs.get(&partition) else { return };
        if f.position.0 < log.low && plant == Some(Plant::ReadsOnAtTheStart) {
            f.position = Offset(log.low);
        }
        if f.position.0 < log.low {
            f.closed = true;
            let (version, why) = (f.version, "offset out of range".to_owned());
            return self.emit(life, SourceEvent::Stopped { partition, version, why });
        }
        let (version, from, most) = (f.version, f.position, f.demand.min(chunk));
        let (records, position) = log.fetch(from, most);
        let at_end = position.0 == log.end;
        let Some(up) = self.running_mut(life) else { return };
        let Some(f) = up.fetched.get_mut(&partition) else { return };
        f.position = position;
        f.demand -= records.len();
        let tells_end = at_end && f.told_end != Some(position);
        if tells_end {
            f.told_end = Some(position);
        }
        let more = f.demand > 0 && !at_end;
        if !records.is_empty() {
            self.emit(life, SourceEvent::Records { partition, version, records });
        }
        if tells_end {
            self.emit(life, SourceEvent::End { partition, version, position });
        }
        if more {
            self.after(MS, Happening::Fetch(life, partition));
        }
    }

    /// Drops a member whose session has run out.
    pub fn expire(&mut self, life: Life) {
        let stands_still = self.running(life).is_none_or(|up| up.frozen_until.is_some());
        let Some(id) = self.brokers.group.member_of(life).map(str::to_owned) else { return };
        if stands_still && self.brokers.group.remove(&id) {
            self.say(|| format!("the session of {life:?} has run out"));
            self.regroup();
        }
    }

    /// A graceful end.
    pub fn leave(&mut self, life: Life) {
        if !self.plan.shape.is_static
            && let Some(id) = self.brokers.group.member_of(life).map(str::to_owned)
        {
            self.brokers.group.remove(&id);
            self.regroup();
        }
        // A static member stays in the group until its session ends, unless it is back by then.
        let session = self.plan.shape.session;
        self.after(session, Happening::Expire(life));
        self.say(|| format!("{life:?} has finished"));
        self.end_process(life);
    }
}
