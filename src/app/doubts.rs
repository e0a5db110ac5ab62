//! What became of a doubt: the gateway is asked on a slow schedule, and where it tells, the doubt is resolved as by a
//! person, row and audit first, then the event, then a note that the event stands. Cut short in between, it is found by
//! that note and gone on with. The owner of partition 0 does it for the whole group.
//!
//! On a thread of its own: Kafka is asked by calls that block. It keeps out of the way of what is charged: one lookup
//! a second at most, one in five where the gateway does not answer, none while charging is paused.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::Context;
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
use crate::domain::doubts::{finding, looks_due};
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::domain::resolution::{Refusal, Resolution};
use crate::domain::time::Wall;
use crate::ports::gateway::Gateway;
use crate::ports::time::Clock;
use crate::wire::gateway::Profile;

/// Who resolves, in the audit.
pub(super) const BY: &str = "tollbridge";
const ROUND_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Begins to look, where the profile has a lookup and the schedule is not off.
///
/// # Errors
/// No thread.
pub(super) fn start(
    config: &Config,
    profile: &Profile,
    sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
) -> anyhow::Result<()> {
    if !profile.lookup.is_there() || config.sweep.doubts.is_empty() {
        return Ok(());
    }
    let config = config.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || runtime.block_on(follow(&config, sight, current));
    thread::Builder::new().name("doubts".into()).spawn(run)?;
    Ok(())
}

/// Goes round while this process speaks, until the route is gone.
async fn follow(
    config: &Config,
    mut sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
) {
    let mut looks = Looks::default();
    let mut told = None;
    while sight.wait_for(|sight| sight.speaks).await.is_ok() {
        let looking = Looking { config, sight: sight.clone(), current: current.clone() };
        let trouble = looking.round(&mut looks).await.err().map(|error| format!("{error:#}"));
        if let Some(trouble) = trouble.as_ref().filter(|_| told != trouble) {
            tracing::warn!("doubts can't be looked up now: {trouble}");
        }
        told = trouble;
        tokio::time::sleep(ROUND_EVERY).await;
    }
}

#[derive(Debug, Default)]
struct Looks {
    /// How many there have been at each open doubt.
    made: BTreeMap<TransactionId, u128>,
    /// The last one. Those behind it come first: one that is never answered holds up no other.
    last: Option<TransactionId>,
}

struct Looking<'a> {
    config: &'a Config,
    sight: watch::Receiver<Sight>,
    current: watch::Receiver<Current>,
}

impl Looking<'_> {
    async fn round(&self, looks: &mut Looks) -> anyhow::Result<()> {
        let store = AnyStore::beside(&self.config.store)?;
        let topic = &self.config.kafka.topics.transactions;
        let mut due = Vec::new();
        let mut open = BTreeMap::new();
        let mut after: Option<TransactionId> = None;
        loop {
            let page = store.doubts(topic, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.transaction_id.clone());
            for doubt in page {
                let made = looks.made.get(&doubt.transaction_id).copied().unwrap_or_default();
                open.insert(doubt.transaction_id.clone(), made);
                if looks_due(age(&doubt), &self.config.sweep.doubts) > made {
                    due.push(doubt);
                }
            }
        }
        looks.made = open;
        let first = due.partition_point(|doubt| Some(&doubt.transaction_id) <= looks.last.as_ref());
        due.rotate_left(first);
        let untold = store.untold(BY, topic).await?;
        if !(due.is_empty() && untold.is_empty()) {
            self.work_off(&store, untold, due, looks).await?;
        }
        store.close().await;
        Ok(())
    }

    async fn work_off(
        &self,
        store: &AnyStore,
        untold: Vec<Resolution>,
        due: Vec<Outcome>,
        looks: &mut Looks,
    ) -> anyhow::Result<()> {
        let resolving = Resolving::of(self.config, store).await?;
        for resolution in untold {
            resolve(&resolving, store, &resolution).await?;
        }
        let profile = settings::profile(self.config)?;
        let gateway = HttpGateway::new(&settings::gateway(self.config, &profile))
            .map_err(|error| Exit::BadConfig.because(error))?;
        for doubt in due {
            if !self.may_ask() {
                return Ok(());
            }
            looks.last = Some(doubt.transaction_id.clone());
            let answer = gateway.lookup(&doubt.transaction_id).await;
            let expected = Expected {
                id: &doubt.transaction_id,
                amount: doubt.amount,
                currency: doubt.currency,
            };
            let verdict = profile.verdict(Asked::Lookup, &expected, &answer);
            if is_away(&verdict) {
                return Ok(());
            }
            let (age, schedule) = (age(&doubt), &self.config.sweep.doubts);
            if let Some(finding) = finding(&verdict, age, schedule, profile.lookup) {
                let (id, by) = (doubt.transaction_id.clone(), BY.to_owned());
                let resolution = Resolution { id, finding, by, at: now() };
                resolve(&resolving, store, &resolution).await?;
            }
            looks.made.insert(doubt.transaction_id, looks_due(age, schedule));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// No request goes past the emergency stop.
    fn may_ask(&self) -> bool {
        self.sight.borrow().speaks && !self.current.borrow().pause
    }
}

/// Row and audit, event, note. One that somebody has resolved otherwise meanwhile stays as it is.
async fn resolve(
    resolving: &Resolving<'_>,
    store: &AnyStore,
    resolution: &Resolution,
) -> anyhow::Result<()> {
    let Resolution { id, finding, .. } = resolution;
    match resolving.run(resolution, &mut Unwatched).await {
        Ok(_) => tracing::info!(%id, "a doubt is resolved: {}", finding.as_str()),
        Err(error) if error.is::<Refusal>() => tracing::warn!(%id, "{error}"),
        Err(error) => return Err(error.context(format!("transaction {id}"))),
    }
    store.note_told(resolution).await.context("noting that the event is told")?;
    Ok(())
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

fn now() -> Wall {
    SystemClock.now().wall
}

/// Since it was given up.
fn age(doubt: &Outcome) -> Duration {
    let since = doubt.decided_at.unwrap_or(doubt.admitted_at);
    Duration::from_micros(u64::try_from(now().0 - since.0).unwrap_or_default())
}

/// Nobody follows the progress.
struct Unwatched;

impl Watch for Unwatched {
    fn begin(&mut self, _: &'static str, _: u64) {}
    fn add(&mut self, _: u64) {}
}
