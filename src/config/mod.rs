//! The configuration: TOML under environment variables under the command line, every value checked, every error
//! named with its key, value, origin and remedy.
//!
//! One file a section; each reads its own keys and checks them. What concerns several sections at once is in
//! [`timing`]. [`Config`] is plain data: `app` and `cli` fill the adapters' settings from it, nothing else reads it.
//! Every key with its default and meaning is in `docs/tollbridge.example.toml`.

use std::collections::BTreeMap;

pub mod alerts;
pub mod changes;
pub mod charge;
pub mod errors;
pub mod gateway;
pub mod kafka;
pub mod layers;
pub mod pace;
pub mod process;
mod reader;
pub mod redis;
pub mod registry;
pub mod secret;
mod setting;
pub mod show;
pub mod store;
pub mod timing;
pub mod transactions;
pub mod units;

pub use errors::{ConfigError, ConfigErrors};
pub use layers::{Override, Sources};
pub use reader::KeySpec;

/// A configuration that holds by itself. Printing it for debugging masks every secret.
#[derive(Debug, Clone)]
pub struct Config {
    pub kafka: kafka::Kafka,
    pub transactions: transactions::Transactions,
    pub events: transactions::Events,
    /// `None`: there is none.
    pub schema_registry: Option<registry::SchemaRegistry>,
    pub redis: redis::Redis,
    pub gateway: gateway::Gateway,
    pub store: store::Store,
    pub charge: charge::Charge,
    pub flush: pace::Flush,
    pub sweep: pace::Sweep,
    pub publish: pace::Publish,
    pub alerts: alerts::Alerts,
    pub http: process::Http,
    pub shutdown: process::Shutdown,
    pub log: process::Log,
}

impl Config {
    /// Reads the file, the environment over it and the overrides over both. All findings are returned, not only the
    /// first.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        Self::with_shown(sources).map(|(config, _)| config)
    }

    /// The configuration, and every key with its value and where that comes from, in the order of the sections.
    pub fn with_shown(sources: &Sources) -> Result<(Self, Vec<show::Shown>), ConfigErrors> {
        let mut errors = Vec::new();
        let layers = layers::Layers::merge(sources, &mut errors);
        let r = &mut reader::Reader::new(&layers);
        let config = checked(r, &mut errors);
        if errors.is_empty() { Ok((config, r.shown())) } else { Err(ConfigErrors(errors)) }
    }
}

/// Every key that this version has, by its dotted name; the variable parts of maps are left out.
#[must_use]
pub fn known_keys() -> BTreeMap<String, KeySpec> {
    read(&Sources::default()).2
}

fn read(sources: &Sources) -> (Config, Vec<ConfigError>, BTreeMap<String, KeySpec>) {
    let mut errors = Vec::new();
    let layers = layers::Layers::merge(sources, &mut errors);
    let r = &mut reader::Reader::new(&layers);
    let config = checked(r, &mut errors);
    (config, errors, r.known().clone())
}

fn checked(r: &mut reader::Reader<'_>, errors: &mut Vec<ConfigError>) -> Config {
    let config = sections(r);
    r.refuse_unknown();
    errors.append(&mut r.errors);
    if errors.is_empty() {
        *errors = timing::check(&config);
    }
    config
}

/// In the order of the documentation.
fn sections(r: &mut reader::Reader<'_>) -> Config {
    let kafka = kafka::Kafka::read(r);
    let transactions = transactions::Transactions::read(r);
    let schema_registry = registry::SchemaRegistry::read(r);
    let events = transactions::Events::read(r, schema_registry.is_some());
    let redis = redis::Redis::read(r);
    let (max_temp, max_archive) = (redis.max_temp, redis.max_archive);
    Config {
        kafka,
        transactions,
        events,
        schema_registry,
        redis,
        gateway: gateway::Gateway::read(r),
        store: store::Store::read(r),
        charge: charge::Charge::read(r),
        flush: pace::Flush::read(r),
        sweep: pace::Sweep::read(r),
        publish: pace::Publish::read(r),
        alerts: alerts::Alerts::read(r, max_temp, max_archive),
        http: process::Http::read(r),
        shutdown: process::Shutdown::read(r),
        log: process::Log::read(r),
    }
}

#[cfg(test)]
mod tests;
