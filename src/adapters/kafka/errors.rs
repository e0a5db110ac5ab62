//! What the client library's errors mean to the ports. It maps and words; it never retries.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::ports::publisher::PublishError;
use crate::ports::source::SourceError;

/// A client could not be made: a property has a wrong name or value, or a file that it names can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("kafka property {property} = {value:?}: {why}; correct it in [kafka.properties]")]
    Property { property: String, value: String, why: String },
    #[error("kafka client: {0}")]
    Client(String),
    #[error("kafka: no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<KafkaError> for ConnectError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, why, property, value) => {
                // A secret may stand in the value; the name is enough to find it.
                let secret =
                    ["password", "secret", "key", "token"].iter().any(|s| property.contains(s));
                let value = if secret { "…".to_owned() } else { value };
                Self::Property { property, value, why }
            }
            error => Self::Client(describe(&error)),
        }
    }
}

/// A failed question to the brokers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The brokers don't answer; ask again.
    #[error("kafka: {0}")]
    Transient(String),
    /// Asking again won't help: not authorised, the topic is missing.
    #[error("kafka: {0}")]
    Permanent(String),
}

impl AskError {
    pub(super) fn of(what: &str, error: &KafkaError) -> Self {
        let text = format!("{what}: {}", describe(error));
        if error.rdkafka_error_code().is_some_and(is_permanent) {
            Self::Permanent(text)
        } else {
            Self::Transient(text)
        }
    }
}

impl From<AskError> for SourceError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Transient(text) => Self::Transient(text),
            AskError::Permanent(text) => Self::Permanent(text),
        }
    }
}

impl From<AskError> for PublishError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Transient(text) => Self::Transient(text),
            AskError::Permanent(text) => Self::Permanent(text),
        }
    }
}

/// Errors that stay until someone changes something.
pub(super) fn is_permanent(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism
            | Code::InvalidTransactionTimeout
            | Code::InvalidConfig
            | Code::PolicyViolation
    )
}

/// The error in librdkafka's words, without the wrapper's.
pub(super) fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.to_string(),
        error => match error.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => error.to_string(),
        },
    }
}

/// What an error on a partition's queue means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The client goes on by itself.
    GoesOn,
    /// Going on would skip records.
    Stopped,
}

/// Sorts an error of a partition by librdkafka's number. Anything unknown stops the partition: reading on after an
/// error may leave a gap.
pub(super) fn reading(number: i32) -> Reading {
    const GOES_ON: [Code; 9] = [
        Code::BrokerTransportFailure,
        Code::AllBrokersDown,
        Code::OperationTimedOut,
        Code::RequestTimedOut,
        Code::NotLeaderForPartition,
        Code::LeaderNotAvailable,
        Code::TopicAuthorizationFailed,
        Code::NetworkException,
        Code::KafkaStorageError,
    ];
    match GOES_ON.iter().any(|code| *code as i32 == number) {
        true => Reading::GoesOn,
        false => Reading::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_error_stops_the_partition() {
        assert_eq!(reading(Code::BrokerTransportFailure as i32), Reading::GoesOn);
        for code in [Code::OffsetOutOfRange, Code::BadMessage, Code::UnknownTopicOrPartition] {
            assert_eq!(reading(code as i32), Reading::Stopped, "{code:?}");
        }
        assert_eq!(reading(31_000), Reading::Stopped);
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let error = |property: &str| {
            let result = rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID;
            let error =
                KafkaError::ClientConfig(result, "bad".into(), property.into(), "hunter2".into());
            ConnectError::from(error).to_string()
        };
        assert!(!error("sasl.password").contains("hunter2"));
        assert!(error("linger.ms").contains("hunter2"));
    }
}
