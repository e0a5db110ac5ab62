//! The schema registry: what producers wrote with is asked for before the pipeline sees their records, and under which
//! ids our own schemas stand is asked for at the start. Its answers are remembered for as long as the process runs.

mod hold;
mod learn;
mod offline;

use anyhow::anyhow;
use serde_json::Value;

pub use self::hold::Holding;
pub use self::learn::learnt;
pub use self::offline::SourceDecoder;

use super::exit::Exit;
use crate::adapters::registry::{AskError, Credential, Registry, Settings};
use crate::config::Config;
use crate::config::registry::{Auth, SchemaRegistry, Subjects};
use crate::config::transactions::EventFormat;
use crate::wire::alert::ALERT_AVSC;
use crate::wire::events::EventsFormat;
use crate::wire::outcome::OUTCOME_AVSC;

/// The client of the configured registry; `None` where there is none.
///
/// # Errors
/// `Exit::BadConfig` where a setting can't be.
pub fn registry(config: &Config) -> anyhow::Result<Option<Registry>> {
    let Some(of) = &config.schema_registry else { return Ok(None) };
    let credential = of.credential.as_ref().map(|it| it.expose().to_owned());
    let settings = Settings {
        url: of.url.expose().to_owned(),
        credential: credential.map(match of.auth {
            Auth::Basic => Credential::Basic,
            Auth::Bearer => Credential::Bearer,
        }),
        ca_file: of.ca_file.clone(),
        timeout: of.timeout,
    };
    Registry::new(&settings).map(Some).map_err(|error| Exit::BadConfig.because(anyhow!(error)))
}

/// A schema of ours, under a subject that it has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    pub subject: String,
    /// Below `schemas/avro`.
    pub file: &'static str,
    schema: &'static str,
}

/// All that have to be registered, outcomes first; none where events need none.
#[must_use]
pub fn ours(config: &Config) -> Vec<Ours> {
    let Some(of) = &config.schema_registry else { return Vec::new() };
    if config.events.format != EventFormat::AvroConfluent {
        return Vec::new();
    }
    let topics = &config.kafka.topics;
    let named = |topic: &str, file, schema| {
        let subject = subject(of.subjects, topic, &full_name(schema));
        Ours { subject, file, schema }
    };
    let mut all = vec![
        named(&topics.archived, OUTCOME, OUTCOME_AVSC),
        named(&topics.declined, OUTCOME, OUTCOME_AVSC),
        named(&topics.alerts, "alert.avsc", ALERT_AVSC),
    ];
    all.dedup();
    all
}

const OUTCOME: &str = "outcome.avsc";

impl Ours {
    /// Its id; `None` where it is not registered.
    ///
    /// # Errors
    /// The registry does not tell.
    pub async fn id(&self, registry: &Registry) -> Result<Option<u32>, AskError> {
        registry.id_of(&self.subject, self.schema).await
    }

    /// What to do where it is not.
    #[must_use]
    pub fn missing(&self) -> String {
        let Self { subject, file, .. } = self;
        format!("schemas/avro/{file} is not registered as {subject}")
    }
}

/// How events are written; asks the registry for the ids of their schemas, and registers them where it may.
///
/// # Errors
/// `Exit::Unavailable` where the registry does not answer, or does not know them and may not be told.
pub async fn events_format(config: &Config) -> anyhow::Result<EventsFormat> {
    let (registry, of) = match (config.events.format, registry(config)?, &config.schema_registry) {
        (EventFormat::AvroConfluent, Some(registry), Some(of)) => (registry, of),
        (EventFormat::Avro, ..) => return Ok(EventsFormat::Avro),
        _ => return Ok(EventsFormat::Json),
    };
    let (mut outcome, mut alert) = (None, None);
    for ours in ours(config) {
        let id = id(&registry, of, &ours).await;
        let id = id.map_err(|error| Exit::Unavailable.because(error))?;
        let place = if ours.file == OUTCOME { &mut outcome } else { &mut alert };
        // The same schema has one id, whatever it is called.
        place.get_or_insert(id);
    }
    let (outcome, alert) =
        outcome.zip(alert).ok_or_else(|| anyhow!("a schema of ours has no subject"))?;
    Ok(EventsFormat::AvroConfluent { outcome, alert })
}

async fn id(registry: &Registry, of: &SchemaRegistry, ours: &Ours) -> anyhow::Result<u32> {
    let found = ours.id(registry).await.map_err(|error| gone(of, &error))?;
    if let Some(id) = found {
        return Ok(id);
    }
    if !of.auto_register {
        let remedy = "Register it, or set schema_registry.auto_register = true";
        return Err(anyhow!("schema registry {}: {}. {remedy}", of.url, ours.missing()));
    }
    let id = registry.register(&ours.subject, ours.schema).await;
    let id = id.map_err(|error| gone(of, &error))?;
    tracing::info!("schemas/avro/{} is registered as {}, id {id}", ours.file, ours.subject);
    Ok(id)
}

fn gone(of: &SchemaRegistry, error: &AskError) -> anyhow::Error {
    anyhow!("schema registry {}: {error}. {}", of.url, remedy(error))
}

/// What to do about a registry that does not do what it is asked.
#[must_use]
pub fn remedy(error: &AskError) -> &'static str {
    match error {
        AskError::Away(_) => "Start it, or correct schema_registry.url.",
        AskError::Refused(_) => {
            "Correct schema_registry.credential, or what the registry allows this user."
        }
    }
}

fn subject(strategy: Subjects, topic: &str, record: &str) -> String {
    match strategy {
        Subjects::Topic => format!("{topic}-value"),
        Subjects::Record => record.to_owned(),
        Subjects::TopicRecord => format!("{topic}-{record}"),
    }
}

/// Namespace and name of a record of ours.
fn full_name(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let part = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
    format!("{}.{}", part("namespace"), part("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_the_usual_strategies() {
        let outcome = full_name(OUTCOME_AVSC);
        let named = |strategy| subject(strategy, "tx-archived", &outcome);
        assert_eq!(named(Subjects::Topic), "tx-archived-value");
        assert_eq!(named(Subjects::Record), outcome);
        assert_eq!(named(Subjects::TopicRecord), format!("tx-archived-{outcome}"));
        assert!(outcome.contains('.') && !outcome.starts_with('.'), "{outcome}");
    }
}
