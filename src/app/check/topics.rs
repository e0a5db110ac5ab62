//! The brokers and the five topics.

use super::{Finding, admin, properties};
use crate::adapters::kafka::{Admin, AskError, Right, TopicLimits, batch_bytes_max};
use crate::app::settings;
use crate::config::Config;
use crate::domain::id::Partition;

/// Characters of offset metadata below which a partition's unfinished offsets are listed in small pieces only.
const METADATA_USUAL: usize = 4_096;

/// What a processor goes by.
#[derive(Debug)]
pub struct Brokers {
    pub partitions: Vec<Partition>,
    pub metadata_chars_max: Option<usize>,
    pub dead_letter_bytes_max: Option<usize>,
}

/// Looks at the properties, then at the brokers, then at each topic; stops where going on tells nothing new. `None`
/// where something was not there: it was told.
pub(super) async fn look(config: &Config, each: &mut impl FnMut(Finding)) -> Option<Brokers> {
    let settings = settings::kafka(config);
    let part = format!("kafka {}", config.kafka.brokers);
    properties(&settings).into_iter().for_each(&mut *each);
    let admin = match admin(&settings) {
        Ok(admin) => admin,
        Err(finding) => {
            each(finding);
            return None;
        }
    };
    match admin.brokers() {
        Ok(brokers) => each(Finding::fine(&part, format!("{brokers} brokers"))),
        Err(error) => {
            let remedy = match error {
                AskError::Transient(_) => "Start it, or correct kafka.brokers.",
                AskError::Permanent(_) => {
                    "Correct what [kafka.properties] says of who we are, and whom we trust."
                }
            };
            each(Finding::wrong(part, error, remedy));
            return None;
        }
    }
    let group = &config.kafka.group_id;
    each(of_group(group, admin.may_join(group)));
    let names = names(config);
    // Who may not describe one of them does without its limits.
    let limits = match admin.limits_of(names.map(|(_, topic)| topic)).await {
        Ok(limits) => limits.map(Result::unwrap_or_default),
        Err(_) => std::array::from_fn(|_| TopicLimits::default()),
    };
    let counts = names.map(|(_, topic)| partitions(&admin, topic));
    for (((key, topic), limits), count) in names.iter().zip(&limits).zip(&counts) {
        let received_max = (*key == "transactions").then(|| settings.received_bytes_max());
        each(of_topic(&admin, (key, topic), count, limits, received_max));
    }
    let [source, _, _, letters, _] = &limits;
    letter_room(&config.kafka.topics.dead_letter, source, letters).into_iter().for_each(&mut *each);
    let metadata_chars_max = admin.offset_metadata_max().await.ok().flatten();
    metadata_chars_max.and_then(metadata_room).into_iter().for_each(each);
    let [Ok(Some(count)), ..] = counts else { return None };
    let count = i32::try_from(count).ok()?;
    Some(Brokers {
        partitions: (0..count).map(Partition).collect(),
        metadata_chars_max,
        dead_letter_bytes_max: letters.max_message_bytes,
    })
}

/// `None` where there is no such topic.
fn partitions(admin: &Admin, topic: &str) -> Result<Option<usize>, AskError> {
    Ok(admin.partitions(&[topic])?.remove(topic).flatten())
}

fn names(config: &Config) -> [(&'static str, &str); 5] {
    let topics = &config.kafka.topics;
    [
        ("transactions", &topics.transactions),
        ("archived", &topics.archived),
        ("declined", &topics.declined),
        ("dead_letter", &topics.dead_letter),
        ("alerts", &topics.alerts),
    ]
}

/// A member that may not join says nothing and waits. A coordinator may be long in coming, as with the first group of a
/// cluster; a process that runs waits for it.
fn of_group(group: &str, may_join: Result<bool, AskError>) -> Finding {
    let part = format!("group {group} (kafka.group_id)");
    match may_join {
        Ok(true) => Finding::fine(part, "may be joined"),
        Ok(false) => {
            Finding::wrong(part, "this user may not join it", &grant(Right::Read, "group"))
        }
        Err(error @ AskError::Transient(_)) => {
            let remark = format!(
                "it has no coordinator yet, so whether this user may join is not known: {error}"
            );
            Finding::remark(
                part,
                remark,
                "It is waited for. If it does not come: are the brokers well?",
            )
        }
        Err(error) => denied(part, &error),
    }
}

/// What an administrator has to do about a right that is lacking.
fn grant(right: Right, what: &str) -> String {
    format!("Grant {} on the {what}; docs/operating.md has all rights.", right.as_str())
}

/// `received_max`: of a topic that is read, what a response may hold.
fn of_topic(
    admin: &Admin,
    (key, topic): (&str, &str),
    count: &Result<Option<usize>, AskError>,
    limits: &TopicLimits,
    received_max: Option<u64>,
) -> Finding {
    let part = format!("topic {topic} (kafka.topics.{key})");
    let needed = match key {
        "transactions" => &[Right::Read][..],
        // What was raised before us is read back.
        "alerts" => &[Right::Write, Right::Read],
        _ => &[Right::Write],
    };
    let lacks = admin.lacks(topic, &[needed, &[Right::DescribeConfigs]].concat());
    let lacking = lacks.iter().flatten().find(|right| needed.contains(right)).copied();
    if let Some(right) = lacking {
        let why = format!("this user lacks the right to {} it", right.as_str().to_lowercase());
        return Finding::wrong(part, why, &grant(right, "topic"));
    }
    let count = match count {
        Ok(Some(count)) => count,
        Ok(None) => {
            let remedy = "Create it, correct the name, or grant Describe on it.";
            return Finding::wrong(part, "there is no such topic", remedy);
        }
        Err(error) => return denied(part, error),
    };
    match lacks {
        Err(error) => return denied(part, &error),
        Ok(lacks) if !lacks.is_empty() => {
            let remark = "its settings can't be looked at: what would not fit stays unnoticed";
            return Finding::remark(part, remark, &grant(lacks[0], "topic"));
        }
        Ok(_) => {}
    }
    if let Some((why, remedy)) = received_max.and_then(|received| unpacks_to(limits, received)) {
        return Finding::wrong(part, why, &remedy);
    }
    if limits.cleanup_policy.as_ref().is_some_and(|policy| policy.contains("compact")) {
        let why = "cleanup.policy is compact: it would drop all but the last record of a key";
        return Finding::wrong(part, why, "Set cleanup.policy to delete.");
    }
    Finding::fine(part, format!("{count} partitions"))
}

/// `most`: what the brokers keep of an offset's metadata, in characters.
fn metadata_room(most: usize) -> Option<Finding> {
    (most < METADATA_USUAL).then(|| {
        let remark = format!(
            "offset.metadata.max.bytes is {most}: fewer finished records can be reported ahead of a slow one"
        );
        Finding::remark("kafka", remark, "Set it to 4096 on the brokers.")
    })
}

/// What is wrong with the size of the batches that the topic accepts, and the remedy: one that a reader can't hold
/// would end it again and again.
fn unpacks_to(limits: &TopicLimits, received_max: u64) -> Option<(String, String)> {
    let accepted = limits.max_message_bytes?;
    let compression = limits.compression_type.as_deref().unwrap_or("producer");
    let most = batch_bytes_max(compression, received_max);
    (accepted as u64 > most).then(|| {
        let why = format!(
            "max.message.bytes is {accepted} with compression.type {compression}: one batch could unpack to more than \
             a process can hold"
        );
        let remedy = format!(
            "Set max.message.bytes to at most {most}{}.",
            if batch_bytes_max("zstd", received_max) > most { ", or compression.type to zstd" } else { "" }
        );
        (why, remedy)
    })
}

/// A dead letter is the source record and more headers: where its topic takes less, long ones are cut.
fn letter_room(topic: &str, source: &TopicLimits, letters: &TopicLimits) -> Option<Finding> {
    let (from, to) = (source.max_message_bytes?, letters.max_message_bytes?);
    (to < from).then(|| {
        let remark = format!(
            "max.message.bytes is {to}, that of the source topic {from}: longer records would be cut"
        );
        let remedy = format!("Set it to {from} and some KiB for headers to keep them whole.");
        Finding::remark(format!("topic {topic} (kafka.topics.dead_letter)"), remark, &remedy)
    })
}

fn denied(part: String, error: &AskError) -> Finding {
    match error {
        AskError::Transient(_) => Finding::wrong(part, error, "Are the brokers well?"),
        AskError::Permanent(_) => {
            Finding::wrong(part, error, "Check the topic and our permissions.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_coordinator_that_is_long_in_coming_ends_no_start() {
        let wrong = |answer| matches!(of_group("g", answer).state, State::Wrong(..));
        assert!(!wrong(Ok(true)));
        assert!(!wrong(Err(AskError::Transient("timed out".to_owned()))));
        assert!(wrong(Ok(false)));
        assert!(wrong(Err(AskError::Permanent("not authorised".to_owned()))));
    }

    #[test]
    fn a_dead_letter_topic_takes_what_the_source_takes() {
        let of = |max| TopicLimits { max_message_bytes: max, ..TopicLimits::default() };
        let room = |from, to| letter_room("t", &of(from), &of(to)).is_none();
        assert!(!room(Some(10_000), Some(9_999)));
        assert!(room(Some(10_000), Some(10_000)));
        assert!(room(None, Some(1)) && room(Some(1), None));
    }

    #[test]
    fn a_source_topic_takes_no_batch_that_could_unpack_to_too_much() {
        let look = |max, compression: Option<&str>| {
            let compression_type = compression.map(str::to_owned);
            let limits =
                TopicLimits { max_message_bytes: max, compression_type, ..TopicLimits::default() };
            unpacks_to(&limits, 64 << 20).map(|(_, remedy)| remedy)
        };
        assert_eq!(look(Some(1_048_588), Some("producer")), None, "as topics are by default");
        assert_eq!(look(Some(2 << 20), None), None);
        let remedy = look(Some((2 << 20) + 1), None).unwrap();
        assert!(remedy.contains("at most 2097152, or compression.type to zstd."), "{remedy}");
        assert_eq!(look(Some(8 << 20), Some("zstd")), None);
        let remedy = look(Some(64 << 20), Some("zstd")).unwrap();
        assert!(remedy.ends_with("at most 67107840."), "{remedy}");
        assert_eq!(look(None, Some("gzip")), None, "not told");
    }
}
