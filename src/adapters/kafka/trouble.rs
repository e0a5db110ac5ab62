//! Passing trouble with the brokers: raised once, and called over as soon as a broker answers again. librdkafka
//! says when the last connection breaks but not when one is back, so a thread of its own asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::sync::mpsc::UnboundedSender;

use super::reader::Reader;
use crate::ports::source::SourceEvent;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Trouble {
    reader: Reader,
    /// Set by the asking thread once a broker answered; `None`: no trouble.
    over: Option<Arc<AtomicBool>>,
}

impl Trouble {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, over: None }
    }

    /// Notes an error of the group's queue. One broken connection is no trouble: brokers close idle ones.
    pub(super) fn note(
        &mut self,
        error: &KafkaError,
        reason: String,
        events: &UnboundedSender<SourceEvent>,
    ) {
        let single = [Code::BrokerTransportFailure, Code::Resolve, Code::OperationTimedOut];
        if error.rdkafka_error_code().is_some_and(|code| single.contains(&code)) {
            tracing::debug!(target: "kafka", reason, "connection");
        } else {
            self.raise(reason, events);
        }
    }

    /// Says so, unless it was said already.
    pub(super) fn raise(&mut self, why: String, events: &UnboundedSender<SourceEvent>) {
        if self.over.is_some() {
            return;
        }
        drop(events.send(SourceEvent::Trouble(Some(why))));
        let over = Arc::new(AtomicBool::new(false));
        self.over = Some(Arc::clone(&over));
        let (reader, consumer) = (self.reader.clone(), thread::current());
        let asking = thread::Builder::new().name("kafka-asks".into()).spawn(move || {
            loop {
                thread::sleep(PAUSE);
                // The consumer's thread holds the other reference: alone, nobody waits for the answer.
                if Arc::strong_count(&over) == 1 {
                    return;
                }
                if reader.answers(TIMEOUT) {
                    over.store(true, Ordering::Release);
                    return consumer.unpark();
                }
            }
        });
        if asking.is_err() {
            // Without a thread to ask, the next error raises it again.
            self.over = None;
        }
    }

    /// Whether it was raised and is not over.
    pub(super) fn is_raised(&self) -> bool {
        self.over.is_some()
    }

    /// Says that it is over, once it is.
    pub(super) fn serve(&mut self, events: &UnboundedSender<SourceEvent>) {
        self.reader.serve();
        if self.over.as_ref().is_some_and(|over| over.load(Ordering::Acquire)) {
            self.over = None;
            drop(events.send(SourceEvent::Trouble(None)));
        }
    }
}
