//! What brokers tell of a topic or a group: a topic's id, which tells it from another of the same name, and what this
//! client may do. Each question waits for its answer.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka_sys as sys;

use sys::rd_kafka_AclOperation_t as Operation;
use sys::rd_kafka_admin_op_t as Question;
use sys::rd_kafka_resp_err_t as Code;

/// What may be done with a topic or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
    DescribeConfigs,
}

impl Right {
    /// As Kafka's own tools write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::DescribeConfigs => "DescribeConfigs",
        }
    }
}

/// What this client may do; `None` where the brokers don't tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Rights(Option<Vec<Right>>);

impl Rights {
    /// Whether it is known that this is not allowed.
    pub(in super::super) fn lack(&self, right: Right) -> bool {
        self.0.as_ref().is_some_and(|rights| !rights.contains(&right))
    }

    /// # Safety
    /// `all` is null, or begins `count` operations.
    unsafe fn of(all: *const Operation, count: usize) -> Self {
        if all.is_null() || count == 0 {
            return Self(None);
        }
        // SAFETY: by the contract above.
        let all = unsafe { std::slice::from_raw_parts(all, count) };
        let right = |operation: &Operation| match *operation {
            Operation::RD_KAFKA_ACL_OPERATION_READ => Some(Right::Read),
            Operation::RD_KAFKA_ACL_OPERATION_WRITE => Some(Right::Write),
            Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS => Some(Right::DescribeConfigs),
            _ => None,
        };
        Self(Some(all.iter().filter_map(right).collect()))
    }
}

/// The id that the brokers gave a topic; `None` where they are too old to give any.
pub(in super::super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Option<[u8; 16]>> {
    let read = |topic| {
        // SAFETY: `topic` is what librdkafka described and lives through the call.
        let (most, least) = unsafe {
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let most = sys::rd_kafka_Uuid_most_significant_bits(id);
            (most.to_be_bytes(), sys::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes())
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&most);
        bytes[8..].copy_from_slice(&least);
        (bytes != [0; 16]).then_some(bytes)
    };
    describe_topic(client, topic, timeout, false, read)
}

/// What this client may do with a topic.
pub(in super::super) fn topic_rights<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Rights> {
    let read = |topic| {
        let mut count = 0;
        // SAFETY: `topic` is what librdkafka described and lives through the call, and its operations with it.
        unsafe {
            let all = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
            Rights::of(all, count)
        }
    };
    describe_topic(client, topic, timeout, true, read)
}

/// `read` sees the description and keeps nothing of it.
fn describe_topic<C: ClientContext, T>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
    with_rights: bool,
    read: impl FnOnce(*const sys::rd_kafka_TopicDescription_t) -> T,
) -> KafkaResult<T> {
    let question = Question::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    ask(client, topic, timeout, (question, with_rights), |event| {
        // SAFETY: the event is the answer to this question; all that is read belongs to it.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event);
            let mut count = 0;
            let all = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            if all.is_null() || count == 0 {
                return Err(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
            }
            let error = sys::rd_kafka_TopicDescription_error(*all);
            fine(sys::rd_kafka_error_code(error))?;
            Ok(read(*all))
        }
    })
}

/// What this client may do with a group, which need not exist yet.
pub(in super::super) fn group_rights<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> KafkaResult<Rights> {
    let question = Question::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    ask(client, group, timeout, (question, true), |event| {
        // SAFETY: as in `describe_topic`.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event);
            let mut count = 0;
            let all = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
            if all.is_null() || count == 0 {
                return Ok(Rights(None));
            }
            let error = sys::rd_kafka_ConsumerGroupDescription_error(*all);
            match sys::rd_kafka_error_code(error) {
                Code::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND => return Ok(Rights(None)),
                code => fine(code)?,
            }
            let group = *all;
            let mut count = 0;
            let all =
                sys::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count);
            Ok(Rights::of(all, count))
        }
    })
}

/// Puts a question about one name, and reads its answer, which is no failure.
fn ask<C: ClientContext, T>(
    client: &Client<C>,
    name: &str,
    timeout: Duration,
    (question, with_rights): (Question, bool),
    read: impl FnOnce(*mut sys::rd_kafka_event_t) -> Result<T, Code>,
) -> KafkaResult<T> {
    let bad = |code: Code| KafkaError::MetadataFetch(code.into());
    let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let name = CString::new(name).map_err(|_| bad(Code::RD_KAFKA_RESP_ERR__INVALID_ARG))?;
    let client = client.native_ptr();
    // SAFETY: the client outlives the call. What is made here is destroyed here, once, after its last use: the result
    // belongs to the event, which waits in a queue of its own until then. A queue that is destroyed before its event
    // has come drops it.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(client, question);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, ms, ptr::null_mut(), 0);
        let rights = i32::from(with_rights);
        let refused = sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, rights);
        if !refused.is_null() {
            sys::rd_kafka_error_destroy(refused);
        }
        let queue = sys::rd_kafka_queue_new(client);
        put(client, question, &name, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, ms);
        let answer = match event.is_null() {
            true => Err(Code::RD_KAFKA_RESP_ERR__TIMED_OUT),
            false => fine(sys::rd_kafka_event_error(event)).and_then(|()| read(event)),
        };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        answer.map_err(bad)
    }
}

/// # Safety
/// The three pointers are alive; librdkafka keeps a reference to the queue by itself.
unsafe fn put(
    client: *mut sys::rd_kafka_t,
    question: Question,
    name: &CString,
    options: *const sys::rd_kafka_AdminOptions_t,
    queue: *mut sys::rd_kafka_queue_t,
) {
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    // SAFETY: by the contract above; names are copied by both calls.
    unsafe {
        if question == Question::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS {
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
            sys::rd_kafka_DescribeTopics(client, topics, options, queue);
            sys::rd_kafka_TopicCollection_destroy(topics);
        } else {
            sys::rd_kafka_DescribeConsumerGroups(client, names.as_mut_ptr(), 1, options, queue);
        }
    }
}

fn fine(code: Code) -> Result<(), Code> {
    if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(code) }
}
