//! The task between the consumer and the pipeline, where there is a registry: it asks for schemas that records name,
//! tells them to the pipeline, and hands the records on behind them.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::hold::Holding;
use super::registry;
use crate::adapters::registry::Registry;
use crate::adapters::system::SystemClock;
use crate::app::settings;
use crate::app::status::{Part, Status};
use crate::config::Config;
use crate::domain::schema::{Registered, SchemaRef};
use crate::ports::source::SourceEvent;
use crate::ports::time::Clock;

#[derive(Debug)]
struct Learning {
    registry: Registry,
    status: Arc<Status>,
}

/// The consumer's events as the pipeline gets them: as they come where there is no registry. Within a runtime; ends
/// with the consumer.
///
/// # Errors
/// `Exit::BadConfig` where a setting of the registry can't be.
pub fn learnt(
    config: &Config,
    status: &Arc<Status>,
    events: UnboundedReceiver<SourceEvent>,
) -> anyhow::Result<UnboundedReceiver<SourceEvent>> {
    let (Some(of), Some(registry)) = (&config.schema_registry, registry(config)?) else {
        return Ok(events);
    };
    let (sender, out) = unbounded_channel();
    let held = Holding::new(settings::format(config), of.unknown_after);
    let learning = Learning { registry, status: Arc::clone(status) };
    let url = of.url.to_string();
    tokio::spawn(async move { learning.run(&url, held, events, &sender).await });
    Ok(out)
}

impl Learning {
    async fn run(
        self,
        url: &str,
        mut held: Holding,
        mut events: UnboundedReceiver<SourceEvent>,
        out: &UnboundedSender<SourceEvent>,
    ) {
        let mut asked = FuturesUnordered::new();
        loop {
            let now = SystemClock.now().boot;
            for name in held.ask_for(now) {
                asked.push(self.ask(name));
            }
            let wait = held.wake_at().map(|at| at.since(now));
            let wait = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some((name, answer)) = asked.next(), if !asked.is_empty() => {
                    for event in held.answered(name, answer, SystemClock.now().boot) {
                        drop(out.send(event));
                    }
                    self.tell(url, &held);
                }
                event = events.recv() => {
                    let Some(event) = event else { return };
                    if let Some(event) = held.take(event, now) {
                        drop(out.send(event));
                    }
                }
                () = wait => {}
            }
        }
    }

    async fn ask(&self, name: SchemaRef) -> (SchemaRef, Result<Registered, String>) {
        (name, self.registry.schema(name).await.map_err(|error| error.to_string()))
    }

    fn tell(&self, url: &str, held: &Holding) {
        let problems = self.status.problems();
        let before = problems.get(&Part::SchemaRegistry);
        match held.trouble() {
            None => {
                self.status.fine(Part::SchemaRegistry);
                if before.is_some() {
                    tracing::info!("schema registry {url}: no record waits for it any more");
                }
            }
            Some(why) => {
                if before.is_none_or(|before| before != why) {
                    tracing::warn!("schema registry {url}: {why}; records wait for it");
                }
                self.status.wrong(Part::SchemaRegistry, why);
            }
        }
    }
}
