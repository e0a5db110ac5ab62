//! The consumer group: the coordinator's side of the classic protocol with cooperative rebalancing, and of the
//! `consumer` protocol, which gives and takes member by member. The member's side is in `member`. Times are not known
//! here: the world tells when what happens.

use std::collections::{BTreeMap, BTreeSet};

use tollbridge::domain::id::Partition;

use crate::process::Life;

#[derive(Debug, Default)]
pub struct Coordinator {
    pub generation: i32,
    pub members: BTreeMap<String, Member>,
    /// Set while a rebalance waits for members to join again: the round's number.
    pub joining: Option<u64>,
    partitions: Vec<Partition>,
    made: u64,
    rounds: u64,
}

#[derive(Debug)]
pub struct Member {
    pub life: Life,
    instance: Option<String>,
    pub assigned: BTreeSet<Partition>,
    joined: bool,
    declared: BTreeSet<Partition>,
    /// The generation in which it was last told something.
    epoch: i32,
    /// What it was told to have then.
    told: BTreeSet<Partition>,
}

/// What a member is told at the end of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub life: Life,
    pub generation: i32,
    pub partitions: BTreeSet<Partition>,
}

/// What became of a request to join.
#[derive(Debug)]
pub enum Joined {
    /// A static member is back: it has what it had, without a rebalance.
    AsBefore(String, Assignment),
    New(String),
}

impl Coordinator {
    pub fn new(partitions: Vec<Partition>) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// As a real broker checks a transactional commit of a classic group: one with no generation and no member is
    /// let pass, and nobody asks who owns the partitions.
    pub fn check(&self, generation: i32, member_id: &str) -> Result<(), String> {
        if generation < 0 && member_id.is_empty() {
            return Ok(());
        }
        match self.members.contains_key(member_id) {
            false => Err("unknown member".to_owned()),
            true if generation != self.epoch_of(member_id) => Err("illegal generation".to_owned()),
            true => Ok(()),
        }
    }

    /// The generation that a member has to name.
    pub fn epoch_of(&self, member_id: &str) -> i32 {
        self.members.get(member_id).map_or(-1, |member| member.epoch)
    }

    /// The `consumer` protocol: what each member whose share has changed is told now. One that has to give up
    /// something is told so first; what is free is given at once.
    pub fn reconcile(&mut self) -> Vec<Assignment> {
        for member in self.members.values_mut() {
            member.declared = member.assigned.clone();
        }
        let targets = self.assign();
        let mut told = Vec::new();
        for (member, target) in self.members.values_mut().zip(targets) {
            let keeps: BTreeSet<Partition> =
                member.assigned.intersection(&target).copied().collect();
            let gives_up = keeps.len() < member.assigned.len();
            let partitions = if gives_up { keeps } else { target };
            if partitions == member.assigned && member.epoch >= 0 {
                continue;
            }
            self.generation += 1;
            member.epoch = self.generation;
            member.told.clone_from(&partitions);
            // What it is to give up stays its own until it says that it has.
            if !gives_up {
                member.assigned.clone_from(&partitions);
            }
            told.push(Assignment { life: member.life, generation: member.epoch, partitions });
        }
        told
    }

    /// A member says what it has after it has given something up.
    pub fn acknowledge(&mut self, id: &str, owned: &BTreeSet<Partition>) {
        if let Some(member) = self.members.get_mut(id) {
            // What it was told of and has not taken up yet is its own all the same.
            member.assigned.retain(|p| owned.contains(p) || member.told.contains(p));
        }
    }

    pub fn join(&mut self, life: Life, instance: Option<String>) -> Joined {
        self.made += 1;
        let id = format!("member-{}", self.made);
        let before = instance.is_some().then(|| {
            self.members.iter().find(|(_, m)| m.instance == instance).map(|(id, _)| id.clone())
        });
        if let Some(old) = before.flatten()
            && let Some(member) = self.members.remove(&old)
        {
            let partitions = member.assigned.clone();
            // Whether it was waited for or not, it has to declare what it has before a round can end.
            self.members.insert(id.clone(), Member { life, joined: false, ..member });
            let generation = self.members[&id].epoch;
            let assignment = Assignment { life, generation, partitions };
            return Joined::AsBefore(id, assignment);
        }
        let member = Member {
            life,
            instance,
            assigned: BTreeSet::new(),
            joined: true,
            declared: BTreeSet::new(),
            epoch: -1,
            told: BTreeSet::new(),
        };
        self.members.insert(id.clone(), member);
        Joined::New(id)
    }

    /// Everyone has to join again. Returns the round's number where it is a new one.
    pub fn begin_round(&mut self) -> Option<u64> {
        if self.joining.is_some() || self.members.is_empty() {
            return None;
        }
        self.rounds += 1;
        self.joining = Some(self.rounds);
        Some(self.rounds)
    }

    /// A member joins the round, with what it has. `false`: the group does not know it.
    pub fn rejoin(&mut self, id: &str, declared: BTreeSet<Partition>) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        member.joined = true;
        member.declared = declared;
        true
    }

    /// `true` where there was such a member.
    pub fn remove(&mut self, id: &str) -> bool {
        self.members.remove(id).is_some()
    }

    pub fn member_of(&self, life: Life) -> Option<&str> {
        self.members.iter().find(|(_, m)| m.life == life).map(|(id, _)| id.as_str())
    }

    /// Who owns a partition as far as the coordinator has told.
    pub fn owner(&self, partition: Partition) -> Option<Life> {
        self.members.values().find(|m| m.assigned.contains(&partition)).map(|m| m.life)
    }

    /// Nobody has it, and nobody is going to ask for it: a static member that died between two rounds has left it so.
    pub fn is_incomplete(&self) -> bool {
        self.partitions.iter().any(|partition| self.owner(*partition).is_none())
    }

    pub fn all_joined(&self) -> bool {
        self.joining.is_some() && self.members.values().all(|member| member.joined)
    }

    pub fn drop_absent(&mut self) {
        self.members.retain(|_, member| member.joined);
    }

    /// The round ends: a new generation, and what each member has in it.
    pub fn complete(&mut self) -> Vec<Assignment> {
        self.joining = None;
        self.generation += 1;
        let assigned = self.assign();
        let generation = self.generation;
        let mut told = Vec::new();
        for (member, partitions) in self.members.values_mut().zip(assigned) {
            member.joined = false;
            member.epoch = generation;
            member.assigned.clone_from(&partitions);
            told.push(Assignment { life: member.life, generation, partitions });
        }
        told
    }

    /// Cooperative and sticky: everyone keeps what it has, up to its share; what another still has is given only
    /// once that one has let go of it.
    fn assign(&self) -> Vec<BTreeSet<Partition>> {
        let members: Vec<&Member> = self.members.values().collect();
        let Some(share) = self.partitions.len().checked_div(members.len()) else {
            return Vec::new();
        };
        let mut extra = self.partitions.len() % members.len();
        let mut by_held: Vec<usize> = (0..members.len()).collect();
        by_held.sort_by_key(|i| std::cmp::Reverse(members[*i].declared.len()));
        let mut given: Vec<BTreeSet<Partition>> = vec![BTreeSet::new(); members.len()];
        let mut quota = vec![share; members.len()];
        let mut taken: BTreeSet<Partition> = BTreeSet::new();
        for i in &by_held {
            if extra > 0 {
                quota[*i] += 1;
                extra -= 1;
            }
            for partition in &members[*i].declared {
                if given[*i].len() < quota[*i] && taken.insert(*partition) {
                    given[*i].insert(*partition);
                }
            }
        }
        let held: BTreeSet<Partition> =
            members.iter().flat_map(|m| m.declared.iter().copied()).collect();
        // What is held and was not kept is being given up first; it stands against the quota of who will get it.
        let free = self.partitions.iter().filter(|p| !taken.contains(p) && !held.contains(p));
        for partition in free {
            if let Some(i) = (0..members.len()).find(|i| given[*i].len() < quota[*i]) {
                given[i].insert(*partition);
            }
        }
        given
    }
}
