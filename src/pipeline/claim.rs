//! Taking a partition over: read what Kafka, the store and Redis say, decide where to begin, claim it with a higher
//! epoch. Nothing of a partition is admitted before its claim is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Pending};
use super::message::{Call, Effect, Level, Survey};
use super::own::names;
use super::owned::{Lane, Owned, Phase};
use super::queues::Work;
use super::take_over::{Taken, new_owned, take};
use crate::domain::id::{Epoch, Partition, Version};
use crate::domain::offsets::{Mark, Told};
use crate::domain::retry::minute_of;
use crate::domain::time::{Boot, Now};
use crate::ports::source::{Committed, SourceError, Start, Ticket};
use crate::ports::store::{SourceStart, StoreError};

#[derive(Debug, Default)]
pub struct Rebalances {
    assigning: BTreeMap<Ticket, Assigning>,
    /// Of the group's tickets, which count upwards, none is as high.
    kept: u64,
    leaving: Vec<(Ticket, Vec<Partition>)>,
    survey: Option<Survey>,
    survey_open: bool,
    sources_open: bool,
    pub(super) ends_open: bool,
    retry_at: Boot,
    tries: u32,
    next_version: u64,
    /// When the wall clock was last found to agree with Redis's and the store's, and what it said. Between such
    /// moments only the boot clock counts, so that a wall clock that jumps can't move a mark.
    anchor: Option<Now>,
}

#[derive(Debug)]
struct Assigning {
    partitions: Vec<Partition>,
    member: Arc<str>,
    /// We have it still, and the group waits for no answer.
    is_kept: bool,
    committed: Option<Vec<Committed>>,
    reading: bool,
    /// When the ends of the topic's partitions were asked for.
    asked_at: Boot,
}

impl Rebalances {
    pub(super) fn leave(&mut self, ticket: Ticket, partitions: Vec<Partition>) {
        // An assignment that was not answered yet and is taken away again needs no answer.
        self.assigning.retain(|_, a| !a.partitions.iter().any(|p| partitions.contains(p)));
        self.leaving.push((ticket, partitions));
    }

    pub(super) fn take_leaving(&mut self) -> Vec<(Ticket, Vec<Partition>)> {
        std::mem::take(&mut self.leaving)
    }

    pub(super) fn wake_at(&self) -> Option<Boot> {
        Some(self.retry_at)
    }

    /// The wall clock as it was last agreed upon, moved on by the boot clock.
    pub(super) fn trusted(&self, now: Now) -> Now {
        self.anchor.map_or(now, |a| Now { boot: now.boot, wall: a.wall + now.boot.since(a.boot) })
    }
}

impl Engine {
    pub(super) fn on_assigned(
        &mut self,
        ticket: Ticket,
        partitions: Vec<Partition>,
        member: String,
    ) {
        self.note(Level::Info, None, format!("partitions assigned: {}", names(&partitions)));
        self.gauges.rebalances += 1;
        self.assign(ticket, partitions, member.into(), false);
    }

    /// The group has forgotten us and taken us in again, and librdkafka said nothing of it: what we kept may have been
    /// another's meanwhile.
    pub(super) fn take_over_kept(&mut self, member: &str) {
        let kept: Vec<Partition> =
            self.owned.values().filter(|p| &*p.member != member).map(|p| p.partition).collect();
        for partition in kept {
            self.take_over_again(partition, member.into(), "kept while the group did not know us");
        }
    }

    /// Drops what we know of a partition that is assigned to us, and takes it over like a new one. One that is being
    /// taken away is not.
    pub(super) fn take_over_again(&mut self, partition: Partition, member: Arc<str>, why: &str) {
        if self.owned.get(&partition).is_some_and(|p| p.leaving) {
            return;
        }
        self.drop_partition(partition);
        self.note(Level::Warn, Some(partition), format!("{why}; taking it over again"));
        self.rebalances.kept += 1;
        let ticket = Ticket(u64::MAX - self.rebalances.kept);
        self.assign(ticket, vec![partition], member, true);
    }

    fn assign(
        &mut self,
        ticket: Ticket,
        partitions: Vec<Partition>,
        member: Arc<str>,
        is_kept: bool,
    ) {
        // Clocks and identities are compared for every claim.
        self.rebalances.survey = None;
        self.rebalances.assigning.insert(
            ticket,
            Assigning {
                partitions,
                member,
                is_kept,
                committed: None,
                reading: false,
                asked_at: self.now.boot,
            },
        );
    }

    pub(super) fn pump_ownership(&mut self) {
        self.release_leaving();
        if self.rebalances.retry_at > self.now.boot {
            return;
        }
        self.read_for_assignments();
        self.take_over_what_is_known();
        self.enter_claimed();
    }

    fn read_for_assignments(&mut self) {
        let now = self.now.boot;
        let mut reads = Vec::new();
        for (ticket, assigning) in &mut self.rebalances.assigning {
            if assigning.committed.is_none() && !assigning.reading {
                assigning.reading = true;
                assigning.asked_at = now;
                reads.push((*ticket, assigning.partitions.clone()));
            }
        }
        for (ticket, partitions) in reads {
            self.call(Pending::Assigning(ticket, partitions.clone()), Call::Committed(partitions));
        }
        let needs_survey = !self.rebalances.assigning.is_empty()
            && self.rebalances.survey.is_none()
            && !self.rebalances.survey_open;
        if needs_survey {
            self.rebalances.survey_open = true;
            self.call(Pending::Survey, Call::Survey);
        }
    }

    pub(super) fn on_committed(
        &mut self,
        ticket: Ticket,
        partitions: &[Partition],
        result: Result<Vec<Committed>, SourceError>,
    ) {
        let Some(assigning) = self.rebalances.assigning.get_mut(&ticket) else { return };
        assigning.reading = false;
        match result {
            Ok(committed) => {
                assigning.committed = Some(committed);
                self.rebalances.tries = 0;
            }
            Err(error) => {
                let text = format!("committed offsets of {}: {error}", names(partitions));
                self.retry_ownership(text.clone());
                self.gauges.trouble.kafka = Some(text);
            }
        }
    }

    pub(super) fn on_survey(&mut self, survey: Survey) {
        self.rebalances.survey_open = false;
        match self.check_survey(&survey) {
            Ok(()) => {
                self.rebalances.anchor = Some(self.now);
                self.rebalances.survey = Some(survey);
                self.rebalances.tries = 0;
            }
            Err(why) => self.retry_ownership(why),
        }
    }

    fn retry_ownership(&mut self, why: String) {
        self.rebalances.tries += 1;
        let tries = self.rebalances.tries;
        self.rebalances.retry_at = self.backoff(tries);
        self.note(Level::Warn, None, format!("can't take over partitions yet: {why}"));
    }

    /// The others must answer, and their clocks must agree with ours.
    fn check_survey(&mut self, survey: &Survey) -> Result<(), String> {
        let apart_max = self.set.key_life.apart_max();
        let wall = self.now_untrusted.wall;
        let store = survey.store.as_ref().map_err(ToString::to_string);
        self.gauges.trouble.store = store.as_ref().err().cloned();
        let queue = survey.queue.as_ref().map_err(ToString::to_string);
        self.gauges.trouble.redis = queue.as_ref().err().cloned();
        let (store, queue) = (store?, queue?);
        survey.sources.as_ref().map_err(ToString::to_string)?;
        if queue.eviction_policy != "noeviction" {
            return Err(format!(
                "redis has maxmemory-policy {}: it would drop entries; set noeviction",
                queue.eviction_policy
            ));
        }
        for (whose, theirs) in [("the store", store.now), ("redis", queue.now)] {
            let apart = Duration::from_micros(wall.0.abs_diff(theirs.0));
            if apart > apart_max {
                return Err(format!(
                    "this host's clock and that of {whose} are {apart:?} apart, at most {apart_max:?} is safe; \
                     synchronise them"
                ));
            }
        }
        Ok(())
    }

    fn take_over_what_is_known(&mut self) {
        let Some(survey) = self.rebalances.survey.take() else { return };
        let known: Vec<Ticket> = self
            .rebalances
            .assigning
            .iter()
            .filter(|(_, a)| a.committed.is_some())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in known {
            let Some(assigning) = self.rebalances.assigning.remove(&ticket) else { continue };
            let committed = assigning.committed.unwrap_or_default();
            let ago = self.now.boot.since(assigning.asked_at);
            let minute = minute_of(self.now.wall - ago);
            let take = |c| self.take_over(c, &survey, minute, &assigning.member);
            let starts: Vec<Start> = committed.iter().map(take).collect();
            match assigning.is_kept {
                true => self.out.extend(starts.into_iter().map(Effect::Rewind)),
                false => self.out.push(Effect::Assign { ticket, starts }),
            }
        }
        if !self.rebalances.assigning.is_empty() {
            self.rebalances.survey = Some(survey);
        }
    }

    /// `minute`: in which, or after which, the topic ended where it is said to end.
    fn take_over(
        &mut self,
        committed: &Committed,
        survey: &Survey,
        minute: u32,
        member: &Arc<str>,
    ) -> Start {
        self.rebalances.next_version += 1;
        let version = Version(self.rebalances.next_version);
        let partition = committed.partition;
        let sources = survey.sources.as_deref().unwrap_or_default();
        let taken = take(committed, sources, &self.set);
        let (told, refused) = match taken {
            Ok(taken) => (taken, None),
            Err(why) => {
                let at = committed.point.as_ref().map_or(committed.high, |(offset, _)| *offset);
                let nothing = Taken {
                    told: Told::nothing(at),
                    epoch: Epoch(0),
                    recipe: None,
                    source_known: true,
                    topic: None,
                };
                (nothing, Some(why))
            }
        };
        let (offset, topic) = (told.told.watermark, told.topic);
        let recipe = self.formats.recipe;
        let mut owned = new_owned(partition, version, told, recipe, self.now.boot);
        owned.member = Arc::clone(member);
        owned.tracker.ended_at(Mark { from: committed.high, minute });
        self.owned.insert(partition, owned);
        if let Some(why) = refused {
            self.refuse(partition, why);
        }
        Start { partition, version, offset, topic }
    }

    /// After the claim: the epoch to Redis, the first offset to the store.
    fn enter_claimed(&mut self) {
        let due = self.now.boot;
        let entering: Vec<(Partition, Epoch)> = self
            .owned
            .values()
            .filter(|p| p.phase == Phase::Entering && !p.leaving && !p.epoch_written)
            .filter(|p| !p.busy.contains(&Lane::Enter) && p.queue_retry_at <= due)
            .map(|p| (p.partition, p.epoch))
            .collect();
        for (partition, epoch) in entering {
            self.queue_call(partition, Work::Enter, Call::Claim { partition, epoch });
        }
        if self.rebalances.sources_open {
            return;
        }
        let unknown: Vec<&Owned> = self
            .owned
            .values()
            .filter(|p| p.phase == Phase::Entering && !p.leaving && !p.source_known)
            .collect();
        if unknown.is_empty() {
            return;
        }
        let of = unknown.iter().map(|p| (p.partition, p.version)).collect();
        let starts = unknown.iter().map(|p| self.source_start(p)).collect();
        self.rebalances.sources_open = true;
        self.call(Pending::Sources(of), Call::AddSources(starts));
    }

    fn source_start(&self, p: &Owned) -> SourceStart {
        SourceStart {
            group: self.set.group.to_string(),
            topic: self.set.topic.to_string(),
            partition: p.partition,
            start: p.tracker.told().watermark,
        }
    }

    pub(super) fn on_sources(
        &mut self,
        of: &[(Partition, Version)],
        result: Result<(), StoreError>,
    ) {
        self.rebalances.sources_open = false;
        if let Err(error) = result {
            self.gauges.trouble.store = Some(error.to_string());
            return self
                .retry_ownership(format!("the store did not take the first offsets: {error}"));
        }
        for (partition, version) in of {
            if let Some(p) = self.owned.get_mut(partition).filter(|p| p.version == *version) {
                p.source_known = true;
                self.run_if_entered(*partition);
            }
        }
    }
}
