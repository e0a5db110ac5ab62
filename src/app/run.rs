//! Builds the parts in the order of the route and runs the pipeline over them until it is told to stop.
//!
//! What is missing at the start ends the process with 69 and the remedy; what goes missing later is waited for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

use super::alerting::{self, Sight};
use super::check::{self, Brokers, State};
use super::doubts;
use super::drive::{Ended, Ports, drive};
use super::exit::Exit;
use super::http::{Observed, start as serve_http};
use super::idle;
use super::observe::Observing;
use super::pipeline_settings;
use super::reload::{Current, Reloading};
use super::schemas;
use super::settings;
use super::status::{Part, Status};
use super::stop::Signals;
use super::store::AnyStore;
use crate::adapters::http_gateway::HttpGateway;
use crate::adapters::kafka;
use crate::adapters::redis::RedisQueue;
use crate::adapters::system::SystemClock;
use crate::config::{Config, Sources};
use crate::domain::alerts::Speaker;
use crate::domain::lead::Leads;
use crate::domain::time::Now;
use crate::pipeline::{Engine, Formats};
use crate::ports::source::Source;
use crate::ports::store::{Store, StoreIdentity};
use crate::ports::time::Clock;
use crate::telemetry::meters::Meters;
use crate::wire::events::EventCodec;
use crate::wire::gateway::Profile;

/// What the command line adds to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// Begin again where Kafka has lost the group's offsets although the store knows the partition.
    pub accept_offset_reset: bool,
    /// End once every partition of the topic has been worked off for this long.
    pub until_idle: Option<Duration>,
}

/// Runs until a signal, until idle, or until something is beyond repair; reads `sources` again when it is told to. With
/// `until_idle`, `progress` is told now and then how many offsets of the topic the group has left behind since the
/// start, and of how many.
pub fn run(
    config: Config,
    sources: Sources,
    options: RunOptions,
    progress: impl FnMut(u64, u64),
) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        // Before anything else: what follows may take seconds.
        let signals = Signals::listen();
        let reloading = Reloading::listen(sources, &config);
        process(&config, options, (signals, reloading), progress).await
    });
    // A client that still waits for a dead broker must not hold the process.
    runtime.shutdown_background();
    ended
}

/// What was found at the start.
pub(super) struct Found {
    pub store: StoreIdentity,
    pub brokers: Brokers,
}

async fn process(
    config: &Config,
    options: RunOptions,
    (mut signals, reloading): (Signals, Reloading),
    progress: impl FnMut(u64, u64),
) -> anyhow::Result<Exit> {
    #[cfg(feature = "failpoints")]
    let failpoints = super::failpoints::Failpoints::of_environment()
        .map_err(|error| Exit::BadConfig.because(error))?;
    let clock = SystemClock;
    let kafka_settings = Arc::new(settings::kafka(config));
    let queue = RedisQueue::new(&settings::redis(config));
    let queue = Arc::new(queue.map_err(|e| Exit::BadConfig.because(e))?);
    let store = AnyStore::of(&config.store).map_err(|e| Exit::BadConfig.because(e))?;
    let profile = settings::profile(config)?;
    let gateway = HttpGateway::new(&settings::gateway(config, &profile))
        .map_err(|e| Exit::BadConfig.because(e))?;
    let found = tokio::select! {
        biased;
        _ = signals.next() => {
            tracing::info!("told to end before anything was begun");
            return Ok(Exit::Done);
        }
        found = look_around(config, &queue, &store) => found?,
    };
    let (sender, events) = unbounded_channel();
    let (source, publisher) = kafka::connect((*kafka_settings).clone(), sender)
        .map_err(|e| Exit::BadConfig.because(e))?;

    let (meters, metrics) = Meters::new();
    let status = serve(config, metrics, clock.now())?;
    let set = pipeline_settings::of(config, options, &found, &profile, &kafka_settings);
    let partitions = found.brokers.partitions;
    let formats = formats(config, &profile).await?;
    announce(set.leads);
    let speaker = Speaker { group: config.kafka.group_id.clone(), instance: set.instance.clone() };
    let mut engine = Engine::new(set, formats, fastrand::u64(..), clock.now());
    let ends = idle::follow_log_ends(&kafka_settings, partitions.clone());
    let events = schemas::learnt(config, &status, events)?;
    let (shows, sight) = watch::channel(Sight::default());
    let (sets, current) = watch::channel(Current::of(config));
    let (route, told) = unbounded_channel();
    let beside = Arc::new(AnyStore::beside(&config.store).map_err(|e| Exit::BadConfig.because(e))?);
    let parts = alerting::Parts {
        speaker,
        kafka: Arc::clone(&kafka_settings),
        partitions: partitions.clone(),
        queue: Arc::clone(&queue),
        store: Arc::clone(&beside),
        sight: sight.clone(),
        current: current.clone(),
        meters: meters.rules.clone(),
    };
    let mut observer = Observing::new(meters, status, ends, shows);
    let ports = Ports {
        source: Arc::new(source),
        publisher: Arc::new(publisher),
        queue,
        gateway: Arc::new(gateway),
        store: Arc::new(store),
        clock,
        #[cfg(feature = "failpoints")]
        failpoints,
    };
    let idle = idle::until_idle(&kafka_settings, partitions, options.until_idle, progress);
    let stop = signals.first_or(idle);
    doubts::start(config, &profile, sight, current)?;
    alerting::start(parts, config, route.clone());
    tokio::spawn(reloading.run(route, sets));
    let ended = drive(&mut engine, &ports, (events, told), stop, &mut observer).await;
    tokio::time::timeout(config.store.timeout, beside.close()).await.ok();
    finish(config, &ports, ended).await
}

fn announce(leads: Leads) {
    tracing::info!(
        records = leads.most,
        "first attempts are announced at most so many records of each partition ahead: what is in doubt without having \
         been sent, after an outage that outlives gateway.key_ttl, is no more than that"
    );
}

/// Metrics and health, for whoever asks.
fn serve(config: &Config, metrics: PrometheusHandle, now: Now) -> anyhow::Result<Arc<Status>> {
    let status = Arc::new(Status::new(now.boot));
    let observed = Observed { status: Arc::clone(&status), metrics, started: now.wall };
    let listening = serve_http(config.http.listen, observed).map_err(|error| {
        let listen = config.http.listen.map(|address| address.to_string()).unwrap_or_default();
        let remedy = "choose another address, or \"off\"";
        Exit::Unavailable.because(anyhow!("http.listen {listen}: {error}; {remedy}"))
    })?;
    if let Some(address) = listening {
        tracing::info!(%address, "metrics and health are served");
    }
    for part in [Part::Kafka, Part::Redis, Part::Store, Part::Gateway, Part::SchemaRegistry] {
        status.fine(part);
    }
    Ok(status)
}

async fn finish<P, Q, G, C>(
    config: &Config,
    ports: &Ports<kafka::KafkaSource, P, Q, G, AnyStore, C>,
    ended: Ended,
) -> anyhow::Result<Exit> {
    match ended {
        Ended::Drained => {
            tokio::time::timeout(config.shutdown.timeout, ports.source.leave()).await.ok();
            tokio::time::timeout(config.store.timeout, ports.store.close()).await.ok();
            tracing::info!("ended in order");
            Ok(Exit::Done)
        }
        Ended::Fatal(why) => Err(anyhow!("{why}; start the process again, nothing is lost")),
    }
}

async fn formats(config: &Config, profile: &Profile) -> anyhow::Result<Formats> {
    let decoder = settings::decoder(config)?;
    let events = EventCodec::new(schemas::events_format(config).await?, &config.kafka.group_id);
    let (profile, recipe) = (profile.clone(), profile.recipe);
    Ok(Formats { decoder, events, profile, recipe })
}

/// Everything that is needed must be there; what isn't is named with its remedy, all of it at once.
async fn look_around(
    config: &Config,
    queue: &RedisQueue,
    store: &AnyStore,
) -> anyhow::Result<Found> {
    let mut wrong = Vec::new();
    let mut exit = Exit::Unavailable;
    let brokers = check::before_running(config, queue, store, |finding| match &finding.state {
        State::Fine(_) => {}
        State::Remark(..) => tracing::warn!("{}", finding.told()),
        State::Wrong(..) => wrong.push(finding.told()),
        State::BadKey(..) => {
            exit = Exit::BadConfig;
            wrong.push(finding.told());
        }
    })
    .await;
    if !wrong.is_empty() {
        return Err(exit.because(anyhow!(wrong.join("\n"))));
    }
    let gone = |what: anyhow::Error| Exit::Unavailable.because(what);
    let identity = store.identity().await.map_err(|e| gone(anyhow!("store.url: {e}")))?;
    let brokers = brokers.ok_or_else(|| gone(anyhow!("kafka: no answer")))?;
    Ok(Found { store: identity, brokers })
}
