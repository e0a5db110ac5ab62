//! The loop that keeps the pipeline going: events in, effects out, one port call an effect. It decides nothing.
//!
//! Events that have come meanwhile are taken in together before the pipeline is asked what is due: so the work of a
//! busy moment becomes one batch, and an idle one costs nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

#[cfg(not(feature = "failpoints"))]
use self::begin as carry_out;
#[cfg(feature = "failpoints")]
use super::failpoints::begin as carry_out;
use crate::domain::time::Boot;
use crate::pipeline::{Call, CallId, Effect, Engine, Event, Level, Note, Reply, Survey};
use crate::ports::gateway::Gateway;
use crate::ports::publisher::Publisher;
use crate::ports::queue::Queue;
use crate::ports::source::{Source, SourceEvent};
use crate::ports::store::Store;
use crate::ports::time::Clock;

/// The most events taken in before the pipeline acts on them.
const EVENTS_MAX: usize = 4096;

/// The outside world.
#[derive(Debug)]
pub struct Ports<S, P, Q, G, D, C> {
    pub source: Arc<S>,
    pub publisher: Arc<P>,
    pub queue: Arc<Q>,
    pub gateway: Arc<G>,
    pub store: Arc<D>,
    pub clock: C,
    /// What goes wrong between the loop and all these, in a build for tests.
    #[cfg(feature = "failpoints")]
    pub failpoints: super::failpoints::Failpoints,
}

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that could be finished is.
    Drained,
    Fatal(String),
}

/// What looks at the pipeline from time to time, for metrics and readiness.
pub trait Observer {
    /// Called after each turn of the loop; cheap unless something is due.
    fn observe(&mut self, engine: &mut Engine, now: Boot);
    /// How long a port call took, by name.
    fn called(&mut self, call: &'static str, took: Duration);
}

type Calls<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send + 'a>>>;

pub(super) struct Done {
    pub(super) id: CallId,
    pub(super) reply: Reply,
    pub(super) name: &'static str,
    pub(super) began: Boot,
}

/// Runs until the pipeline says that it has finished. Events come from the source, and beside it from whoever has
/// something to tell the pipeline. `stop` resolves when it shall finish what is in flight.
pub async fn drive<S, P, Q, G, D, C>(
    engine: &mut Engine,
    ports: &Ports<S, P, Q, G, D, C>,
    (mut events, mut told): (UnboundedReceiver<SourceEvent>, UnboundedReceiver<Event>),
    stop: impl Future<Output = ()>,
    observer: &mut impl Observer,
) -> Ended
where
    S: Source + Send + Sync,
    P: Publisher + Send + Sync,
    Q: Queue + Send + Sync,
    G: Gateway + Send + Sync,
    D: Store + Send + Sync,
    C: Clock + Sync,
{
    let mut calls: Calls<'_> = FuturesUnordered::new();
    let (context, topic) = engine.source_names();
    let survey = SurveyOf { group: context, topic };
    let mut stop = std::pin::pin!(stop);
    let mut stopped = false;
    loop {
        let now = ports.clock.now();
        for effect in engine.pump(now) {
            match effect {
                Effect::Call(id, call) => calls.push(carry_out(ports, &survey, id, call, now.boot)),
                Effect::Assign { ticket, starts } => ports.source.assign(ticket, starts),
                Effect::Release { ticket } => ports.source.release(ticket),
                Effect::Rewind(start) => ports.source.rewind(start),
                Effect::Demand { partition, version, records } => {
                    ports.source.demand(partition, version, records);
                }
                Effect::Note(note) => log(&note),
                Effect::Finished => return Ended::Drained,
                Effect::Fatal(why) => return Ended::Fatal(why),
            }
        }
        observer.observe(engine, now.boot);
        let wait = engine.wake_at().since(ports.clock.now().boot);
        tokio::select! {
            biased;
            () = &mut stop, if !stopped => {
                stopped = true;
                engine.handle(ports.clock.now(), Event::Stop);
            }
            Some(event) = events.recv() => hear(engine, ports, event),
            Some(event) = told.recv() => engine.handle(ports.clock.now(), event),
            Some(done) = calls.next(), if !calls.is_empty() => take(engine, ports, observer, done),
            () = tokio::time::sleep(wait) => {}
        }
        take_what_is_there(engine, ports, observer, &mut events, &mut calls).await;
    }
}

/// Takes in, without waiting, what else has come.
async fn take_what_is_there<S: Source, P, Q, G, D, C: Clock>(
    engine: &mut Engine,
    ports: &Ports<S, P, Q, G, D, C>,
    observer: &mut impl Observer,
    events: &mut UnboundedReceiver<SourceEvent>,
    calls: &mut Calls<'_>,
) {
    let mut taken = 0;
    loop {
        // Looks at the sockets, so that what has come is in before we do.
        tokio::task::yield_now().await;
        let before = taken;
        while taken < EVENTS_MAX
            && let Ok(event) = events.try_recv()
        {
            hear(engine, ports, event);
            taken += 1;
        }
        while taken < EVENTS_MAX && !calls.is_empty() {
            let next = futures_util::future::poll_immediate(calls.next()).await;
            let Some(Some(done)) = next else { break };
            take(engine, ports, observer, done);
            taken += 1;
        }
        // The set of calls ends a look early where calls wake themselves, so it is looked at until nothing comes.
        if taken == before || taken == EVENTS_MAX {
            return;
        }
    }
}

fn hear<S: Source, P, Q, G, D, C: Clock>(
    engine: &mut Engine,
    ports: &Ports<S, P, Q, G, D, C>,
    event: SourceEvent,
) {
    #[cfg(feature = "failpoints")]
    ports.failpoints.hear(&event, &*ports.source);
    engine.handle(ports.clock.now(), Event::Source(event));
}

fn take<S, P, Q, G, D, C: Clock>(
    engine: &mut Engine,
    ports: &Ports<S, P, Q, G, D, C>,
    observer: &mut impl Observer,
    done: Done,
) {
    let now = ports.clock.now();
    observer.called(done.name, now.boot.since(done.began));
    engine.handle(now, Event::Reply(done.id, done.reply));
}

#[derive(Clone)]
pub(super) struct SurveyOf {
    group: Arc<str>,
    topic: Arc<str>,
}

/// One port call for one effect.
pub(super) fn begin<'a, S, P, Q, G, D, C>(
    ports: &'a Ports<S, P, Q, G, D, C>,
    survey: &SurveyOf,
    id: CallId,
    call: Call,
    began: Boot,
) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>
where
    S: Source + Send + Sync,
    P: Publisher + Send + Sync,
    Q: Queue + Send + Sync,
    G: Gateway + Send + Sync,
    D: Store + Send + Sync,
    C: Sync,
{
    let name = call.name();
    // Nearly all calls are charges; theirs is a future of its own because it is much smaller than that for all calls.
    if let Call::Charge(charge) = call {
        return Box::pin(async move {
            let reply = Reply::Answer(ports.gateway.charge(&charge).await);
            Done { id, reply, name, began }
        });
    }
    let (group, topic) = (Arc::clone(&survey.group), Arc::clone(&survey.topic));
    Box::pin(async move {
        let reply = match call {
            Call::Committed(partitions) => {
                Reply::Committed(ports.source.committed(partitions).await)
            }
            Call::Membership => Reply::Membership(ports.publisher.membership().await),
            Call::Commit { snapshot, messages, points } => {
                Reply::Committing(ports.publisher.commit(snapshot, messages, points).await)
            }
            Call::Renew => Reply::Renewed(ports.publisher.renew().await),
            Call::Lookup(id) => Reply::Answer(ports.gateway.lookup(&id).await),
            Call::Ask(ids) => Reply::Asked(ports.store.ask(&ids).await),
            Call::Store(batch) => Reply::Stored(ports.store.store(&batch).await),
            Call::AddSources(starts) => Reply::SourcesAdded(ports.store.add_sources(&starts).await),
            Call::Survey => Reply::Survey(Box::new(Survey {
                store: ports.store.identity().await,
                sources: ports.store.sources(&group, &topic).await,
                queue: ports.queue.health().await,
            })),
            call => queue_call(&*ports.queue, call).await,
        };
        Done { id, reply, name, began }
    })
}

async fn queue_call<Q: Queue>(queue: &Q, call: Call) -> Reply {
    match call {
        Call::Claim { partition, epoch } => Reply::QueueDone(queue.claim(partition, epoch).await),
        Call::Admit { partition, epoch, entries } => {
            Reply::Admitted(queue.admit(partition, epoch, &entries).await)
        }
        Call::Settle { partition, epoch, entries } => {
            Reply::Moved(queue.settle(partition, epoch, &entries).await)
        }
        Call::Mark { partition, epoch, entries } => {
            Reply::Moved(queue.mark(partition, epoch, &entries).await)
        }
        Call::Remove { partition, epoch, keys } => {
            Reply::QueueDone(queue.remove(partition, epoch, &keys).await)
        }
        Call::Missing { partition, epoch, keys } => {
            Reply::Missing(queue.missing(partition, epoch, &keys).await)
        }
        Call::Scan { partition, cursor } => Reply::Page(queue.scan(partition, cursor).await),
        Call::Depths(partitions) => Reply::Depths(queue.depths(&partitions).await),
        Call::Committed(_)
        | Call::Membership
        | Call::Commit { .. }
        | Call::Renew
        | Call::Charge(_)
        | Call::Lookup(_)
        | Call::Ask(_)
        | Call::Store(_)
        | Call::AddSources(_)
        | Call::Survey => unreachable!("carried out by the caller"),
    }
}

fn log(note: &Note) {
    let partition = note.partition.map(|p| p.0);
    match note.level {
        Level::Info => tracing::info!(partition, "{}", note.text),
        Level::Warn => tracing::warn!(partition, "{}", note.text),
        Level::Error => tracing::error!(partition, "{}", note.text),
    }
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&mut self, _: &mut Engine, _: Boot) {}
    fn called(&mut self, _: &'static str, _: Duration) {}
}
