//! What `check-config` and start-up ask of the brokers, and making topics for tests and demonstrations. It changes
//! nothing that exists.

use std::collections::BTreeMap;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic as Wanted, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::context::QuietContext;
use super::errors::{AskError, ConnectError, describe, is_permanent};
use super::settings::{Role, Settings};

/// Asks brokers about themselves and their topics.
pub struct Admin {
    client: AdminClient<QuietContext>,
    options: AdminOptions,
    timeout: std::time::Duration,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A topic to be made.
#[derive(Debug, Clone)]
pub struct NewTopic {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    /// Topic configuration, as in `retention.ms`.
    pub config: BTreeMap<String, String>,
}

/// A topic's configuration as far as it matters here; a field is `None` where it is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicLimits {
    /// The largest batch that the topic accepts, in bytes.
    pub max_message_bytes: Option<usize>,
    /// A codec that the brokers pack every batch with, `uncompressed`, or `producer`: as it was sent.
    pub compression_type: Option<String>,
    /// Below zero: for ever.
    pub retention_ms: Option<i64>,
    /// `delete`, `compact` or both.
    pub cleanup_policy: Option<String>,
    /// `CreateTime` or `LogAppendTime`.
    pub timestamp_type: Option<String>,
    pub min_insync_replicas: Option<i32>,
}

impl Admin {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// A property that librdkafka does not accept.
    pub fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let client = settings.client(Role::Admin).create_with_context(QuietContext)?;
        let timeout = settings.request_timeout;
        let options =
            AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
        Ok(Self { client, options, timeout })
    }

    /// How many brokers the cluster names. Blocks, for at most the request timeout.
    ///
    /// # Errors
    /// No broker answers in time, or it refuses us.
    pub fn brokers(&self) -> Result<usize, AskError> {
        let metadata = self.client.inner().fetch_metadata(None, self.timeout);
        Ok(metadata.map_err(|e| AskError::of("brokers", &e))?.brokers().len())
    }

    /// How many partitions each topic has; `None` where it does not exist. Blocks, as [`Admin::brokers`].
    ///
    /// # Errors
    /// As for [`Admin::brokers`].
    pub fn partitions(&self, topics: &[&str]) -> Result<BTreeMap<String, Option<usize>>, AskError> {
        let mut found = BTreeMap::new();
        for &topic in topics {
            let metadata = self.client.inner().fetch_metadata(Some(topic), self.timeout);
            let metadata = metadata.map_err(|e| AskError::of(&format!("topic {topic}"), &e))?;
            let known = metadata.topics().iter().find(|t| t.name() == topic);
            let count = match known.map(|t| (t.error().map(Code::from), t.partitions().len())) {
                Some((None, count)) => Some(count),
                None | Some((Some(Code::UnknownTopicOrPartition | Code::UnknownTopic), _)) => None,
                Some((Some(code), _)) => {
                    let error = rdkafka::error::KafkaError::MetadataFetch(code);
                    return Err(AskError::of(&format!("topic {topic}"), &error));
                }
            };
            found.insert(topic.to_owned(), count);
        }
        Ok(found)
    }

    /// The topic's limits.
    ///
    /// # Errors
    /// As for [`Admin::brokers`]; permanent where we may not describe the topic, or there is none.
    pub async fn limits(&self, topic: &str) -> Result<TopicLimits, AskError> {
        let config = self.describe(ResourceSpecifier::Topic(topic)).await?;
        let text = |name: &str| config.get(name).and_then(|entry| entry.value.clone());
        Ok(TopicLimits {
            max_message_bytes: text("max.message.bytes").and_then(|v| v.parse().ok()),
            compression_type: text("compression.type"),
            retention_ms: text("retention.ms").and_then(|v| v.parse().ok()),
            cleanup_policy: text("cleanup.policy"),
            timestamp_type: text("message.timestamp.type"),
            min_insync_replicas: text("min.insync.replicas").and_then(|v| v.parse().ok()),
        })
    }

    /// The most characters that the metadata of a committed offset may have; `None` where we are not told.
    ///
    /// # Errors
    /// No broker answers in time.
    pub async fn offset_metadata_max(&self) -> Result<Option<usize>, AskError> {
        let metadata = self.client.inner().fetch_metadata(None, self.timeout);
        let metadata = metadata.map_err(|e| AskError::of("brokers", &e))?;
        let mut smallest: Option<usize> = None;
        for broker in metadata.brokers() {
            let config = match self.describe(ResourceSpecifier::Broker(broker.id())).await {
                Ok(config) => config,
                Err(AskError::Permanent(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let value = config.get("offset.metadata.max.bytes").and_then(|e| e.value.as_deref());
            let Some(chars) = value.and_then(|v| v.parse().ok()) else { return Ok(None) };
            smallest = Some(smallest.map_or(chars, |s| s.min(chars)));
        }
        Ok(smallest)
    }

    /// Makes the topics that don't exist yet; those that do are left as they are. Returns the names of those made.
    ///
    /// # Errors
    /// The brokers don't answer in time, or refuse a topic.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Vec<String>, AskError> {
        let wanted: Vec<_> = topics.iter().map(wanted).collect();
        let answers = self.client.create_topics(&wanted, &self.options).await;
        let mut made = Vec::new();
        for answer in answers.map_err(|e| AskError::of("creating topics", &e))? {
            match answer {
                Ok(name) => made.push(name),
                Err((_, Code::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(refused(&format!("creating topic {name}"), code)),
            }
        }
        Ok(made)
    }

    async fn describe(&self, what: ResourceSpecifier<'_>) -> Result<ConfigResource, AskError> {
        let name = format!("configuration of {what:?}");
        let answers = self.client.describe_configs([&what], &self.options).await;
        let answers = answers.map_err(|e| AskError::of(&name, &e))?;
        match answers.into_iter().next() {
            // So it reads where there is no such topic, or none that we may see.
            Some(Ok(config)) if config.entries.is_empty() => {
                Err(AskError::Permanent(format!("{name}: not told")))
            }
            Some(Ok(config)) => Ok(config),
            Some(Err(code)) => Err(refused(&name, code)),
            None => Err(AskError::Transient(format!("{name}: no answer"))),
        }
    }
}

fn wanted(topic: &NewTopic) -> Wanted<'_> {
    let replication = TopicReplication::Fixed(topic.replication);
    let wanted = Wanted::new(&topic.name, topic.partitions, replication);
    topic.config.iter().fold(wanted, |wanted, (key, value)| wanted.set(key, value))
}

fn refused(what: &str, code: Code) -> AskError {
    let text = format!("{what}: {}", describe(&rdkafka::error::KafkaError::AdminOp(code)));
    if is_permanent(code) { AskError::Permanent(text) } else { AskError::Transient(text) }
}
