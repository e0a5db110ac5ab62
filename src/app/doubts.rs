//! What became of a doubt: the gateway is asked on a slow schedule, and where it tells, the doubt is resolved as by a
//! person, row and audit first, then the event, then a note that the event stands. Cut short in between, it is found by
//! that note and gone on with. The owner of partition 0 does it for the whole group.
//!
//! On a thread of its own: Kafka is asked by calls that block. It keeps out of the way of what is charged: one lookup
//! a second at most, one in five where the gateway does not answer, none while charging is paused.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::watch;

use super::alerting::Sight;
use super::exit::Exit;
use super::reconcile::Watch;
use super::reload::Current;
use super::resolve::Resolving;
use super::settings;
use super::store::AnyStore;
use crate::adapters::http_gateway::HttpGateway;
use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::doubts::{Seen, Terms, finding};
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Refusal, Resolution};
use crate::ports::gateway::Gateway;
use crate::ports::store::Rows;
use crate::ports::time::Clock;
use crate::wire::gateway::Profile;

/// Who resolves, in the audit.
const BY: &str = "tollbridge";
const ROUND_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Begins to look, where the profile has a lookup and the schedule is not off.
///
/// # Errors
/// No thread; a setting of the gateway or the store that can't be.
pub(super) fn start(
    config: &Config,
    profile: &Profile,
    sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
) -> anyhow::Result<()> {
    if !profile.lookup.is_there() || config.sweep.doubts.is_empty() {
        return Ok(());
    }
    let bad = |error: &dyn fmt::Display| Exit::BadConfig.because(anyhow!("{error}"));
    let looking = Looking {
        store: AnyStore::beside(&config.store).map_err(|error| bad(&error))?,
        gateway: HttpGateway::new(&settings::gateway(config, profile))
            .map_err(|error| bad(&error))?,
        config: config.clone(),
        profile: profile.clone(),
        sight,
        current,
        seen: BTreeMap::new(),
        last: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("doubts".into())
        .spawn(move || runtime.block_on(looking.follow()))?;
    Ok(())
}

struct Looking {
    config: Config,
    store: AnyStore,
    gateway: HttpGateway,
    profile: Profile,
    sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
    /// Each open doubt.
    seen: BTreeMap<TransactionId, Seen>,
    /// The last doubt that was looked up. Those behind it come first: one that is never answered holds up no other.
    last: Option<TransactionId>,
}

impl Looking {
    /// Goes round while this process speaks, until the route is gone.
    async fn follow(mut self) {
        let mut told = None;
        while self.sight.wait_for(|sight| sight.speaks).await.is_ok() {
            let trouble = self.round().await.err().map(|error| format!("{error:#}"));
            if let Some(trouble) = trouble.as_ref().filter(|_| told != trouble) {
                tracing::warn!("doubts can't be looked up now: {trouble}");
            }
            told = trouble;
            tokio::time::sleep(ROUND_EVERY).await;
        }
    }

    async fn round(&mut self) -> anyhow::Result<()> {
        let topic = &self.config.kafka.topics.transactions;
        for resolution in self.store.untold(BY, topic).await? {
            self.resolve(&resolution).await?;
        }
        let (mut due, mut open) = (Vec::new(), BTreeMap::new());
        let now = SystemClock.now();
        let each = |doubt: Outcome| {
            let before = self.seen.get(&doubt.transaction_id).copied();
            let seen = Seen::of(doubt.fate_at(), before, now);
            open.insert(doubt.transaction_id.clone(), seen);
            if seen.is_due(&self.config.sweep.doubts, now) {
                due.push((doubt, seen));
            }
        };
        self.store.rows(Rows::OpenDoubts, topic, each).await?;
        self.seen = open;
        let first =
            due.partition_point(|(doubt, _)| Some(&doubt.transaction_id) <= self.last.as_ref());
        due.rotate_left(first);
        for (doubt, seen) in due {
            if !self.may_ask() || !self.look(doubt, seen).await? {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Looks one up, and ends it where the answer tells; `false`: the gateway is away.
    async fn look(&mut self, doubt: Outcome, mut seen: Seen) -> anyhow::Result<bool> {
        let id = doubt.transaction_id.clone();
        self.last = Some(id.clone());
        let answer = self.gateway.lookup(&id).await;
        let expected = Expected { id: &id, amount: doubt.amount, currency: doubt.currency };
        let verdict = self.profile.verdict(Asked::Lookup, &expected, &answer);
        if is_away(&verdict) {
            return Ok(false);
        }
        let now = SystemClock.now();
        let (schedule, lookup) = (&*self.config.sweep.doubts, self.profile.lookup);
        let keeps_declines = self.profile.keeps_declines();
        let margin = self.config.gateway.key_life().margin();
        let terms = Terms { schedule, lookup, keeps_declines, margin };
        if let Some(finding) = finding(&verdict, &seen, terms, now) {
            let (id, by) = (id.clone(), BY.to_owned());
            self.resolve(&Resolution { id, finding, by, at: now.wall }).await?;
        }
        seen.looked(schedule, now);
        self.seen.insert(id, seen);
        Ok(true)
    }

    /// No request goes past the emergency stop.
    fn may_ask(&self) -> bool {
        self.sight.borrow().speaks && !self.current.borrow().pause
    }

    /// Row and audit, event, note. One that somebody has resolved otherwise meanwhile stays as it is.
    async fn resolve(&self, resolution: &Resolution) -> anyhow::Result<()> {
        let Resolution { id, finding, .. } = resolution;
        let resolving = Resolving::of(&self.config, &self.store).await?;
        match resolving.run(resolution, &mut Unwatched).await {
            Ok(_) => tracing::info!(%id, "a doubt is resolved: {}", finding.as_str()),
            Err(error) if error.is::<Refusal>() => tracing::warn!(%id, "{error}"),
            Err(error) => return Err(error.context(format!("transaction {id}"))),
        }
        self.store.note_told(resolution).await.context("noting that the event is told")
    }
}

/// It says nothing of this one.
fn is_away(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::NotSent { .. }
            | Verdict::NotTaken { .. }
            | Verdict::Unknown { is_outage: true, .. }
    )
}

/// Nobody follows the progress.
struct Unwatched;

impl Watch for Unwatched {
    fn begin(&mut self, _: &'static str, _: u64) {}
    fn add(&mut self, _: u64) {}
}
