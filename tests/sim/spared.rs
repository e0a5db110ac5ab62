//! What the gateway is spared, seen from where calls leave a process and answers reach it: calls at once, calls a
//! second, more than single calls while nothing comes back, and whatever it has asked to be left alone with.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tollbridge::domain::gate::Bounds;
use tollbridge::domain::id::TransactionId;
use tollbridge::pipeline::{Call, CallId, Reply};
use tollbridge::ports::gateway::Answer;

use crate::holes::Hole;
use crate::plan::{MS, Micros, S, micros};
use crate::process::Life;
use crate::world::World;

/// A share of the rate counts for so long after the partitions are gone: that they are reaches a process late.
const SHARE_LASTS: Micros = 5 * S;
/// What may be saved up while nothing leaves: one call, and the calls of this time.
const SAVED_UP: Micros = 100 * MS;

/// What one life of a process has asked, as far as the gateway's load goes. Who stood still begins anew.
#[derive(Debug, Default)]
pub struct Spared {
    under_way: BTreeMap<CallId, (Micros, TransactionId)>,
    /// Until when nothing may be asked about a transaction.
    left_alone: BTreeMap<TransactionId, Micros>,
    saved: Option<Saved>,
    /// How many partitions it had since when.
    owned: VecDeque<(Micros, usize)>,
    /// Calls in a row to which no word came, of those that left after the last word did.
    unanswered: u32,
    heard_at: Option<Micros>,
    left_at: Option<Micros>,
}

/// Millionths of a partition's share of a call.
#[derive(Debug)]
struct Saved {
    calls: u64,
    at: Micros,
}

impl Spared {
    /// It stood still. What has happened to its partitions meanwhile reaches it later.
    pub fn begin_anew(&mut self, owned: usize, now: Micros) {
        let owned = self.owned_lately().max(owned);
        *self = Self { owned: [(now, owned)].into(), ..Self::default() };
    }

    fn owned_lately(&self) -> usize {
        self.owned.iter().map(|(_, owned)| *owned).max().unwrap_or(0)
    }

    /// Its partitions, or some of them, are somebody else's now, or its own anew.
    pub fn forget_transactions(&mut self) {
        self.left_alone.clear();
    }

    /// A call leaves; says what is wrong with that. `all`: partitions that there are.
    fn leaves(
        &mut self,
        (id, about): (CallId, &TransactionId),
        bounds: &Bounds,
        all: usize,
        now: Micros,
    ) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if self.under_way.len() >= bounds.in_flight_max {
            wrong.push("more calls at once than there may be");
        }
        if bounds.rate_limit.is_some_and(|limit| !self.is_within(limit, all, now)) {
            wrong.push("more calls a second than its share");
        }
        let is_away = self.unanswered >= bounds.failures_max;
        if is_away && self.left_at.is_some_and(|at| now < at + S) {
            wrong.push("more than one call in a second, and nothing has come back for long");
        }
        if self.left_alone.get(about).is_some_and(|until| now < *until) {
            wrong.push("about a transaction before the gateway wants to be asked again");
        }
        self.left_at = Some(now);
        self.under_way.insert(id, (now, about.clone()));
        wrong
    }

    /// It owns as many partitions now. Looked at whenever it calls anyone: what it has between two calls of the
    /// gateway counts, too.
    fn owns(&mut self, owned: usize, now: Micros) {
        if self.owned.back().is_none_or(|(_, before)| *before != owned) {
            self.owned.push_back((now, owned));
        }
        // The one before the first that counts says what it had until then.
        while self.owned.get(1).is_some_and(|(since, _)| since + SHARE_LASTS < now) {
            self.owned.pop_front();
        }
    }

    fn is_within(&mut self, limit: u32, all: usize, now: Micros) -> bool {
        let call = all as u64 * S;
        let owned = self.owned_lately() as u64;
        let earned = |time: Micros| u64::from(limit) * owned * time;
        let most = call + earned(SAVED_UP);
        let saved = self.saved.get_or_insert(Saved { calls: most, at: now });
        saved.calls = saved.calls.saturating_add(earned(now - saved.at)).min(most);
        saved.at = now;
        let is_within = saved.calls >= call;
        saved.calls = saved.calls.saturating_sub(call);
        is_within
    }

    /// An answer is about to reach it, or that there will be none.
    fn hears(
        &mut self,
        id: CallId,
        answer: &Answer,
        is_alone: impl FnOnce(&TransactionId) -> bool,
        now: Micros,
    ) {
        let Some((left_at, about)) = self.under_way.remove(&id) else { return };
        match answer {
            Answer::NotSent(_) | Answer::Lost(_) => {
                let is_news = self.heard_at.is_none_or(|heard| heard < left_at);
                self.unanswered += u32::from(is_news);
            }
            Answer::Response(response) => {
                (self.unanswered, self.heard_at) = (0, Some(now));
                if let Some(after) = response.retry_after.filter(|_| is_alone(&about)) {
                    self.left_alone.insert(about, now + micros(after));
                }
            }
        }
    }
}

impl World {
    /// A process calls somebody; of what the gateway is spared where it is the gateway.
    pub fn check_spared(&mut self, life: Life, id: CallId, call: &Call) {
        let now = self.now;
        if let Some(up) = self.running_mut(life) {
            up.spared.owns(up.client.owned.len(), now);
        }
        let about = match call {
            Call::Charge(charge) => &charge.id,
            Call::Lookup(id) => id,
            // What it takes over it looks at anew, though it had it before.
            Call::Claim { .. } => {
                if let Some(up) = self.running_mut(life) {
                    up.spared.forget_transactions();
                }
                return;
            }
            _ => return,
        };
        let bounds = self.plan.shape.settings.tuned.gate;
        let all = self.plan.shape.settings.partitions.len();
        let Some(up) = self.running_mut(life) else { return };
        for what in up.spared.leaves((id, about), &bounds, all, now) {
            self.oracle.fail(format!("{life:?} asks the gateway, {what}: {about}"));
        }
    }

    pub fn spared_hears(&mut self, life: Life, id: CallId, reply: &Reply) {
        let Reply::Answer(answer) = reply else { return };
        let (bounds, now) = (self.plan.shape.settings.tuned.gate, self.now);
        let workload = Rc::clone(&self.workload);
        let Some(up) = self.running_mut(life) else { return };
        let before = up.spared.unanswered;
        // Each place of an id is asked about for itself.
        let is_alone = |id: &TransactionId| workload.places.get(id).is_some_and(|p| p.len() == 1);
        up.spared.hears(id, answer, is_alone, now);
        let is_away = before < bounds.failures_max && up.spared.unanswered >= bounds.failures_max;
        if is_away {
            self.oracle.meets(Hole::GatewayAway);
        }
        if matches!(answer, Answer::Response(r) if r.retry_after.is_some()) {
            self.oracle.meets(Hole::LeftAlone);
        }
    }
}
