//! The one unsafe module: the few calls of librdkafka that the client library does not wrap, behind safe types.
//!
//! - [`GroupMetadata`]: generation and member id are not readable otherwise, and a commit must not go out without
//!   them being looked at.
//! - [`flush`]: the wrapped one asks without waiting, and has mostly taken it back before anyone saw that it asked.
//! - [`asks`]: what brokers tell of topics and groups.
//! - [`PartitionQueue`]: the wrapped queues lose the offset of an end-of-partition event.
//!
//! Messages are taken one by one on purpose: `rd_kafka_consume_batch_queue` of librdkafka 2.12 counts an
//! end-of-partition item as if it were a record, moves its position one too far, and the first record after the
//! next rebalance would be skipped. Nothing is decided here.

#![allow(unsafe_code, reason = "accessors of librdkafka that rdkafka does not wrap")]

mod asks;

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread::Thread;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka_sys as sys;

pub use self::asks::Right;
pub(super) use self::asks::{group_rights, topic_id, topic_rights};
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

/// Has everything sent at once that waits for more to go with it, and waits for the answers, for so long at most.
/// Deliveries are not served meanwhile.
pub(super) fn flush<C: ProducerContext>(producer: &BaseProducer<C>, timeout_ms: i32) {
    // SAFETY: the client outlives the call. The answer only says whether something is left.
    unsafe { sys::rd_kafka_flush(producer.client().native_ptr(), timeout_ms) };
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
