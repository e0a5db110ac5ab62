//! A configuration that changes while the process runs: at SIGHUP, and where its file has changed. What can take effect
//! does, what can't is named, and one that is wrong changes nothing.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::alerting::AllLevels;
use super::pipeline_settings;
use crate::config::changes::{Change, changes};
use crate::config::show::Shown;
use crate::config::{Config, Sources};
use crate::pipeline::{Event, Tuned};
use crate::telemetry::log;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads the configuration again when it is told to, or sees that the file has changed.
#[derive(Debug)]
pub(super) struct Reloading {
    sources: Sources,
    hangup: Option<Signal>,
    stamp: Option<Stamp>,
    shown: Vec<Shown>,
    /// More calls than the process was started with have no sockets kept for them.
    in_flight_max: usize,
}

/// What takes effect beside the pipeline.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub levels: AllLevels,
    /// The emergency stop.
    pub pause: bool,
}

impl Current {
    pub fn of(config: &Config) -> Self {
        Self { levels: config.alerts.levels.clone(), pause: config.charge.pause }
    }
}

/// A file as it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

impl Reloading {
    /// SIGHUP no longer ends the process from now on. Within a runtime.
    pub fn listen(sources: Sources, config: &Config) -> Self {
        let shown = Config::with_shown(&sources).map(|(_, shown)| shown).unwrap_or_default();
        Self {
            hangup: signal(SignalKind::hangup()).ok(),
            stamp: stamp(sources.file.as_deref()),
            shown,
            sources,
            in_flight_max: config.gateway.max_in_flight,
        }
    }

    /// Sends what takes effect to the pipeline and to the alerting, for as long as they run.
    pub async fn run(mut self, route: UnboundedSender<Event>, current: watch::Sender<Current>) {
        loop {
            let why = self.next().await;
            let Some((tuned, changed)) = self.read(why) else { continue };
            current.send_replace(changed);
            if route.send(Event::Tuned(Box::new(tuned))).is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> &'static str {
        loop {
            let hung_up = async {
                match &mut self.hangup {
                    Some(signal) => _ = signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = hung_up => {
                    self.stamp = stamp(self.sources.file.as_deref());
                    return "SIGHUP";
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let seen = stamp(self.sources.file.as_deref());
            // One that is gone for a moment is being replaced.
            if seen.is_some() && seen != self.stamp {
                self.stamp = seen;
                return "the file has changed";
            }
        }
    }

    fn read(&mut self, why: &str) -> Option<(Tuned, Current)> {
        let (config, shown) = match Config::with_shown(&self.sources) {
            Ok(read) => read,
            Err(errors) => {
                for error in errors.0 {
                    tracing::error!("{why}; nothing is changed: {error}");
                }
                return None;
            }
        };
        let found = changes(&self.shown, &shown);
        if found.is_empty() {
            tracing::info!("{why}; the configuration is as it was");
            return None;
        }
        for Change { key, before, after, needs_restart } in &found {
            match needs_restart {
                false => tracing::info!("{why}; {key} is {after}, it was {before}"),
                true => tracing::warn!("{why}; {key} is {after}, it was {before}: needs a restart"),
            }
        }
        if let Err(error) = log::set_level(&config.log.level) {
            tracing::error!("{error}");
        }
        self.shown = shown;
        let mut tuned = pipeline_settings::tuned(&config);
        let most = self.in_flight_max;
        if tuned.gate.in_flight_max > most {
            tracing::warn!("gateway.max_in_flight: more than {most} needs a restart; it is {most}");
            tuned.gate.in_flight_max = most;
        }
        Some((tuned, Current::of(&config)))
    }
}

fn stamp(file: Option<&Path>) -> Option<Stamp> {
    let found = std::fs::metadata(file?).ok()?;
    Some(Stamp { modified: found.modified().ok()?, bytes: found.len() })
}
