//! Whether the source topic is still the one that was there: one of the same name may have been made anew, with
//! other records at the same offsets, and librdkafka reads on in it without a word. A thread of its own asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::reader::Reader;
use crate::domain::id::TopicHash;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Dropping it ends the asking.
pub(super) struct Succession {
    /// The number of answers, and in the lower half the hash that the last one gave.
    last: Arc<AtomicU64>,
}

/// What the last answer said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen(u64);

impl Seen {
    fn answers(self) -> u64 {
        self.0 >> 32
    }

    /// Whether `topic`, which was known when `since` was seen, is another by now. The answer after `since` may be to
    /// a question from before it, and so about an older topic.
    pub(super) fn is_other(self, topic: TopicHash, since: Self) -> bool {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        self.answers() >= since.answers() + 2
            && TopicHash(u32::from_be_bytes([a, b, c, d])) != topic
    }
}

impl Succession {
    pub(super) fn watched(reader: Reader, topic: String) -> Self {
        let last = Arc::new(AtomicU64::new(0));
        let told = Arc::downgrade(&last);
        let asking = thread::Builder::new()
            .name("kafka-topic".into())
            .spawn(move || ask(&reader, &topic, &told));
        if let Err(error) = asking {
            tracing::warn!(target: "kafka", %error, "nobody looks whether the topic is made anew");
        }
        Self { last }
    }

    pub(super) fn now(&self) -> Seen {
        Seen(self.last.load(Ordering::Acquire))
    }
}

fn ask(reader: &Reader, topic: &str, told: &Weak<AtomicU64>) {
    let mut answers = 0_u64;
    loop {
        // Brokers that don't answer, or don't know the topic at the moment, say nothing about it.
        let hash = reader.topic_hash(topic).ok().flatten();
        let Some(last) = told.upgrade() else { return };
        if let Some(TopicHash(hash)) = hash {
            answers += 1;
            last.store(answers << 32 | u64::from(hash), Ordering::Release);
        }
        drop(last);
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_a_later_question_counts() {
        let seen = |answers: u64, hash: u64| Seen(answers << 32 | hash);
        let (old, new) = (TopicHash(7), TopicHash(8));
        assert!(!seen(4, 8).is_other(old, seen(3, 7)));
        assert!(seen(5, 8).is_other(old, seen(3, 7)));
        assert!(!seen(5, 8).is_other(new, seen(3, 7)));
        assert!(!seen(0, 0).is_other(old, seen(0, 0)));
    }
}
