//! The one unsafe module: the few calls of librdkafka that the client library does not wrap, behind safe types.
//!
//! - [`GroupMetadata`]: generation and member id are not readable otherwise, and a commit must not go out without
//!   them being looked at.
//! - [`topic_id`]: what tells a topic from another of the same name.
//! - [`PartitionQueue`]: the wrapped queues lose the offset of an end-of-partition event.
//!
//! Messages are taken one by one on purpose: `rd_kafka_consume_batch_queue` of librdkafka 2.12 counts an
//! end-of-partition item as if it were a record, moves its position one too far, and the first record after the
//! next rebalance would be skipped. Nothing is decided here.

#![allow(unsafe_code, reason = "accessors of librdkafka that rdkafka does not wrap")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka_sys as sys;

use crate::domain::id::Offset;
use crate::domain::record::{Header, Record};

/// Who a consumer is in its group at one moment: what a transactional offset commit is fenced by.
#[derive(Debug)]
pub(super) struct GroupMetadata {
    native: NonNull<sys::rd_kafka_consumer_group_metadata_t>,
}

// SAFETY: librdkafka never changes the object after it has made it and keeps no reference to it.
unsafe impl Send for GroupMetadata {}
// SAFETY: as above; all access is by reading.
unsafe impl Sync for GroupMetadata {}

impl GroupMetadata {
    /// Asks the consumer's own thread; microseconds. `None` for a consumer without a group.
    pub(super) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client outlives the call; the returned object is ours to destroy.
        let native =
            unsafe { sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
        NonNull::new(native).map(|native| Self { native })
    }

    /// Below zero where the consumer has not joined.
    pub(super) fn generation(&self) -> i32 {
        // SAFETY: the object lives as long as `self`.
        unsafe { sys::rd_kafka_consumer_group_metadata_generation_id(self.native.as_ptr()) }
    }

    /// Empty where the consumer has not joined.
    pub(super) fn member_id(&self) -> String {
        // SAFETY: the object lives as long as `self`; the text belongs to it and is copied.
        unsafe { text(sys::rd_kafka_consumer_group_metadata_member_id(self.native.as_ptr())) }
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: made by librdkafka, destroyed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.native.as_ptr()) }
    }
}

/// Adds offsets to the open transaction, as the member that `group` names. The error is librdkafka's text.
pub(super) fn send_offsets<C: ProducerContext>(
    producer: &BaseProducer<C>,
    offsets: &TopicPartitionList,
    group: &GroupMetadata,
    timeout_ms: i32,
) -> Result<(), String> {
    // SAFETY: all three live through the call and none is kept; a returned error is ours to destroy.
    unsafe {
        let error = sys::rd_kafka_send_offsets_to_transaction(
            producer.client().native_ptr(),
            offsets.ptr(),
            group.native.as_ptr(),
            timeout_ms,
        );
        if error.is_null() {
            return Ok(());
        }
        let why = text(sys::rd_kafka_error_string(error));
        sys::rd_kafka_error_destroy(error);
        Err(why)
    }
}

/// The id that the brokers gave a topic; `None` where they are too old to give any.
pub(super) fn topic_id<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Option<[u8; 16]>> {
    let bad = |code: sys::rd_kafka_resp_err_t| KafkaError::MetadataFetch(code.into());
    let ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let invalid = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG;
    let name = CString::new(topic).map_err(|_| bad(invalid))?;
    let client = consumer.client().native_ptr();
    // SAFETY: the client outlives the call. What is made here is destroyed here, once, after its last use: the result
    // belongs to the event, which waits in a queue of its own until then. A queue that is destroyed before its event
    // has come drops it.
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, op);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, ms, ptr::null_mut(), 0);
        let queue = sys::rd_kafka_queue_new(client);
        sys::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, ms);
        let found = described(event);
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
        found.map_err(bad)
    }
}

/// # Safety
/// `event` is null or an event that is not destroyed yet.
unsafe fn described(
    event: *mut sys::rd_kafka_event_t,
) -> Result<Option<[u8; 16]>, sys::rd_kafka_resp_err_t> {
    use sys::rd_kafka_resp_err_t as Code;
    if event.is_null() {
        return Err(Code::RD_KAFKA_RESP_ERR__TIMED_OUT);
    }
    // SAFETY: by the contract above; all that is read belongs to the event.
    unsafe {
        let code = sys::rd_kafka_event_error(event);
        if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code);
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let all = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if all.is_null() || count == 0 {
            return Err(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        }
        let topic = *all;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let code = sys::rd_kafka_error_code(error);
        if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code);
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let most = sys::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes();
        let least = sys::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&most);
        bytes[8..].copy_from_slice(&least);
        Ok((bytes != [0; 16]).then_some(bytes))
    }
}

/// What stands next in a partition's queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(Record),
    /// The reader stands here, and there is no more for now.
    End(Offset),
    /// librdkafka's error number and text.
    Failed(i32, String),
}

/// The queue of one partition, taken off the consumer's main queue. It keeps the consumer alive.
pub(super) struct PartitionQueue<C: ConsumerContext> {
    native: NonNull<sys::rd_kafka_queue_t>,
    /// Where the wake-up callback points to; shared, so that it stays where it is.
    wake: Arc<Thread>,
    _consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> PartitionQueue<C> {
    /// Takes the queue. To be called before the partition is assigned, so that nothing of it can reach the main
    /// queue. `wake` is unparked when the queue gets its first item. `None`: no such topic can be named.
    pub(super) fn take(
        consumer: &Arc<BaseConsumer<C>>,
        topic: &str,
        partition: i32,
        wake: Thread,
    ) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        let wake = Arc::new(wake);
        // SAFETY: the client outlives the queue, as the queue holds the consumer. The name is copied. Forwarding to
        // null makes the queue stand alone. The callback's target stays where it is and is owned by the queue, which
        // takes the callback away in `drop`, before it lets go of the target.
        unsafe {
            let native = sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            );
            let native = NonNull::new(native)?;
            sys::rd_kafka_queue_forward(native.as_ptr(), ptr::null_mut());
            let target = Arc::as_ptr(&wake).cast_mut().cast::<c_void>();
            sys::rd_kafka_queue_cb_event_enable(native.as_ptr(), Some(unpark), target);
            Some(Self { native, wake, _consumer: Arc::clone(consumer) })
        }
    }

    /// The next item, without waiting. Items of before a seek are never returned.
    pub(super) fn next(&self) -> Option<Item> {
        // SAFETY: the queue lives as long as `self`; the message is ours until it is destroyed, and everything that
        // is read from it is copied before that.
        unsafe {
            let message = sys::rd_kafka_consume_queue(self.native.as_ptr(), 0);
            if message.is_null() {
                return None;
            }
            let item = item(message);
            sys::rd_kafka_message_destroy(message);
            Some(item)
        }
    }
}

impl<C: ConsumerContext> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: librdkafka takes the queue's lock to change the callback and holds it while it calls back, so no
        // call runs once this has returned. Only then is the reference to the queue given back, once, and only
        // after this function is the callback's target freed.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.native.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.native.as_ptr());
        }
    }
}

impl<C: ConsumerContext> std::fmt::Debug for PartitionQueue<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionQueue").field("wake", &self.wake.name()).finish_non_exhaustive()
    }
}

/// Called by librdkafka with the queue locked: it may do no more than this.
unsafe extern "C" fn unpark(_: *mut sys::rd_kafka_t, target: *mut c_void) {
    // SAFETY: the target is the thread handle of a queue that is not dropped yet.
    unsafe { &*target.cast::<Thread>() }.unpark();
}

/// # Safety
/// `message` points to a message of a consumer's queue that is not destroyed yet.
unsafe fn item(message: *mut sys::rd_kafka_message_t) -> Item {
    // SAFETY: by the contract above. The error is read as the integer that it is in C, because a broker may send
    // one that the bound enum does not know.
    unsafe {
        let error = (&raw const (*message).err).cast::<i32>().read();
        let offset = Offset((&raw const (*message).offset).read());
        const END: i32 = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32;
        match error {
            0 => Item::Record(record(message, offset)),
            END => Item::End(offset),
            error => Item::Failed(error, text(sys::rd_kafka_message_errstr(message))),
        }
    }
}

/// Copies a message into one allocation that key, value and headers share.
///
/// # Safety
/// As for [`item`], and the message carries no error.
unsafe fn record(message: *mut sys::rd_kafka_message_t, offset: Offset) -> Record {
    // SAFETY: by the contract above: pointers and lengths of one message belong together.
    unsafe {
        let key = span((&raw const (*message).key).read(), (&raw const (*message).key_len).read());
        let value =
            span((&raw const (*message).payload).read(), (&raw const (*message).len).read());
        let mut names = Vec::new();
        let mut spans = vec![key, value];
        let mut headers = ptr::null_mut();
        let found = sys::rd_kafka_message_headers(message, &raw mut headers);
        let count = match found {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                sys::rd_kafka_header_cnt(headers)
            }
            _ => 0,
        };
        for at in 0..count {
            let (mut name, mut start, mut length) = (ptr::null(), ptr::null(), 0);
            let got = sys::rd_kafka_header_get_all(
                headers,
                at,
                &raw mut name,
                &raw mut start,
                &raw mut length,
            );
            if got == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                names.push(text(name));
                spans.push(span(start, length));
            }
        }
        let mut copies = copy(&spans).into_iter();
        let key = copies.next().flatten();
        let value = copies.next().flatten();
        let headers = names.into_iter().zip(copies);
        let headers = headers.map(|(name, value)| Header { name: name.into(), value }).collect();
        Record { offset, key, value, headers, timestamp_ms: timestamp(message) }
    }
}

/// # Safety
/// As for [`item`].
unsafe fn timestamp(message: *mut sys::rd_kafka_message_t) -> Option<i64> {
    // SAFETY: by the contract above; the kind of the timestamp is not asked for.
    let ms = unsafe { sys::rd_kafka_message_timestamp(message, ptr::null_mut()) };
    (ms >= 0).then_some(ms)
}

/// # Safety
/// `start` is null or points to `length` bytes that outlive the returned slice.
unsafe fn span<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the contract above.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// # Safety
/// `start` is null or a text that ends with a zero byte.
unsafe fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: by the contract above.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

/// All spans in one allocation, each as a slice of it.
fn copy(spans: &[Option<&[u8]>]) -> Vec<Option<Bytes>> {
    let mut all = Vec::with_capacity(spans.iter().flatten().map(|s| s.len()).sum());
    for span in spans.iter().flatten() {
        all.extend_from_slice(span);
    }
    let mut rest = Bytes::from(all);
    spans.iter().map(|span| span.map(|s| rest.split_to(s.len()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_share_one_allocation_and_keep_none_apart_from_empty() {
        let copies = copy(&[Some(b"key"), None, Some(b""), Some(b"value")]);
        assert_eq!(copies[0].as_deref(), Some(&b"key"[..]));
        assert_eq!(copies[1], None);
        assert_eq!(copies[2].as_deref(), Some(&b""[..]));
        assert_eq!(copies[3].as_deref(), Some(&b"value"[..]));
        let (first, last) = (copies[0].as_ref().unwrap(), copies[3].as_ref().unwrap());
        assert_eq!(first.as_ptr() as usize + 3, last.as_ptr() as usize);
    }

    #[test]
    fn null_is_no_text_and_no_span() {
        // SAFETY: null is allowed by both.
        unsafe {
            assert_eq!(text(ptr::null()), "");
            assert_eq!(span(ptr::null(), 5), None);
        }
    }
}
