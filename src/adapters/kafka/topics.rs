//! What `check-config` and start-up ask of the brokers, making topics for tests and demonstrations, and deleting
//! records, which `dlq purge` alone does. Nothing else changes what exists.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic as Wanted, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Raw, TopicPartitionList};

use super::context::{AskingContext, QuietContext};
use super::detached::Detached;
use super::errors::{AskError, ConnectError, describe, is_permanent};
use super::ffi::{self, Right};
use super::settings::{Role, Settings};
use crate::domain::id::{Offset, Partition};

/// How long it is waited for a refusal, and how often and for how long it is then looked for among what was told.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
const REFUSAL_POLLS_MAX: u32 = 10;
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);
/// A group's coordinator that is not there yet is asked again so often, and after this pause.
const ASKED_OF_GROUPS_MAX: u32 = 10;
const COORDINATOR_PAUSE: Duration = Duration::from_millis(200);

/// Asks brokers about themselves and their topics.
pub struct Admin {
    client: Detached<AdminClient<QuietContext>>,
    settings: ClientConfig,
    options: AdminOptions,
    timeout: Duration,
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
        let config = settings.client(Role::Admin);
        let client = Detached::new(config.create_with_context(QuietContext)?);
        let timeout = settings.request_timeout;
        let options =
            AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
        Ok(Self { client, settings: config, options, timeout })
    }

    /// How many brokers the cluster names. Blocks, for at most the request timeout.
    ///
    /// # Errors
    /// No broker answers in time; permanent where one refuses us, or we it.
    pub fn brokers(&self) -> Result<usize, AskError> {
        match self.client.inner().fetch_metadata(None, self.timeout) {
            Ok(metadata) => Ok(metadata.brokers().len()),
            Err(error) => Err(match self.refusal() {
                Some(why) => AskError::Permanent(why),
                None => AskError::of("brokers", &error),
            }),
        }
    }

    /// Why the brokers would not listen, which librdkafka tells only those who poll; this kind of client can't.
    fn refusal(&self) -> Option<String> {
        let client: BaseProducer<AskingContext> =
            self.settings.create_with_context(AskingContext::default()).ok()?;
        drop(client.client().fetch_metadata(None, REFUSED_WITHIN.min(self.timeout)));
        let mut polls = 0..REFUSAL_POLLS_MAX;
        while client.context().refusal().is_none() && polls.next().is_some() {
            client.poll(REFUSAL_PAUSE);
        }
        client.context().refusal()
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
                    let error = KafkaError::MetadataFetch(code);
                    return Err(AskError::of(&format!("topic {topic}"), &error));
                }
            };
            found.insert(topic.to_owned(), count);
        }
        Ok(found)
    }

    /// Which of these rights this user lacks; none where the brokers don't tell, and the first where they don't even
    /// tell that there is a topic. Blocks, as [`Admin::brokers`].
    ///
    /// # Errors
    /// As for [`Admin::brokers`].
    pub fn lacks(&self, topic: &str, wanted: &[Right]) -> Result<Vec<Right>, AskError> {
        let rights = match ffi::topic_rights(self.client.inner(), topic, self.timeout) {
            // Who may do neither this nor anything else is not even told what there is.
            Err(KafkaError::MetadataFetch(Code::TopicAuthorizationFailed)) => {
                return Ok(wanted.iter().take(1).copied().collect());
            }
            rights => rights.map_err(|e| AskError::of(&format!("topic {topic}"), &e))?,
        };
        Ok(wanted.iter().copied().filter(|right| rights.lack(*right)).collect())
    }

    /// Whether this user may be a member of the group; where the brokers don't tell, it may. Blocks, as
    /// [`Admin::brokers`].
    ///
    /// # Errors
    /// As for [`Admin::brokers`]; transient, too, while the group has no coordinator.
    pub fn may_join(&self, group: &str) -> Result<bool, AskError> {
        let mut asked = 0;
        loop {
            asked += 1;
            match ffi::group_rights(self.client.inner(), group, self.timeout) {
                Ok(rights) => return Ok(!rights.lack(Right::Read)),
                Err(KafkaError::MetadataFetch(Code::GroupAuthorizationFailed)) => return Ok(false),
                // It is about to be made, or to move.
                Err(KafkaError::MetadataFetch(
                    Code::NotCoordinator
                    | Code::CoordinatorNotAvailable
                    | Code::CoordinatorLoadInProgress,
                )) if asked < ASKED_OF_GROUPS_MAX => std::thread::sleep(COORDINATOR_PAUSE),
                Err(error) => return Err(AskError::of(&format!("group {group}"), &error)),
            }
        }
    }

    /// The topic's limits.
    ///
    /// # Errors
    /// As for [`Admin::brokers`]; permanent where we may not describe the topic, or there is none.
    pub async fn limits(&self, topic: &str) -> Result<TopicLimits, AskError> {
        let [limits] = self.limits_of([topic]).await?;
        limits
    }

    /// The same of several topics at once, in the order asked.
    ///
    /// # Errors
    /// As for [`Admin::brokers`]; of each topic those of [`Admin::limits`].
    pub async fn limits_of<const N: usize>(
        &self,
        topics: [&str; N],
    ) -> Result<[Result<TopicLimits, AskError>; N], AskError> {
        let configs = self.describe(topics.map(ResourceSpecifier::Topic)).await?;
        Ok(configs.map(|config| Ok(TopicLimits::of(&config?))))
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
            let [config] = self.describe([ResourceSpecifier::Broker(broker.id())]).await?;
            let config = match config {
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

    /// Deletes what stands before these offsets, for ever. Returns where each log begins then.
    ///
    /// # Errors
    /// The brokers don't answer in time, or refuse one of the partitions; others may be done by then. Running it again
    /// does what is missing.
    pub async fn delete_before(
        &self,
        topic: &str,
        offsets: &BTreeMap<Partition, Offset>,
    ) -> Result<BTreeMap<Partition, Offset>, AskError> {
        let what = |partition: i32| format!("deleting records of {topic}/{partition}");
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            let added = list.add_partition_offset(topic, partition.0, Raw::Offset(offset.0));
            added.map_err(|e| AskError::of(&what(partition.0), &e))?;
        }
        let answer = self.client.delete_records(&list, &self.options).await;
        let answer =
            answer.map_err(|e| AskError::of(&format!("deleting records of {topic}"), &e))?;
        let begins = |element: TopicPartitionListElem<'_>| {
            let partition = element.partition();
            element.error().map_err(|e| AskError::of(&what(partition), &e))?;
            let begins = element.offset().to_raw().unwrap_or_default();
            Ok((Partition(partition), Offset(begins)))
        };
        answer.elements().into_iter().map(begins).collect()
    }

    /// In the order asked, as librdkafka gives them.
    async fn describe<const N: usize>(
        &self,
        what: [ResourceSpecifier<'_>; N],
    ) -> Result<[Result<ConfigResource, AskError>; N], AskError> {
        let answers = self.client.describe_configs(&what, &self.options).await;
        let answers = answers.map_err(|e| AskError::of("configurations", &e))?;
        let mut answers = answers.into_iter();
        Ok(what.map(|what| {
            let name = format!("configuration of {what:?}");
            match answers.next() {
                // So it reads where there is no such topic, or none that we may see.
                Some(Ok(config)) if config.entries.is_empty() => {
                    Err(AskError::Permanent(format!("{name}: not told")))
                }
                Some(Ok(config)) => Ok(config),
                Some(Err(code)) => Err(refused(&name, code)),
                None => Err(AskError::Transient(format!("{name}: no answer"))),
            }
        }))
    }
}

impl TopicLimits {
    fn of(config: &ConfigResource) -> Self {
        let text = |name: &str| config.get(name).and_then(|entry| entry.value.clone());
        Self {
            max_message_bytes: text("max.message.bytes").and_then(|v| v.parse().ok()),
            compression_type: text("compression.type"),
            retention_ms: text("retention.ms").and_then(|v| v.parse().ok()),
            cleanup_policy: text("cleanup.policy"),
            timestamp_type: text("message.timestamp.type"),
            min_insync_replicas: text("min.insync.replicas").and_then(|v| v.parse().ok()),
        }
    }
}

fn wanted(topic: &NewTopic) -> Wanted<'_> {
    let replication = TopicReplication::Fixed(topic.replication);
    let wanted = Wanted::new(&topic.name, topic.partitions, replication);
    topic.config.iter().fold(wanted, |wanted, (key, value)| wanted.set(key, value))
}

fn refused(what: &str, code: Code) -> AskError {
    let text = format!("{what}: {}", describe(&KafkaError::AdminOp(code)));
    if is_permanent(code) { AskError::Permanent(text) } else { AskError::Transient(text) }
}
