//! The port `Source`: commands to the consumer's thread, and questions that need no member. It waits for nothing.

use std::sync::mpsc::Sender;
use std::thread::Thread;

use tokio::sync::oneshot;

use super::consumer::Command;
use super::reader::Reader;
use crate::domain::id::{Partition, Version};
use crate::ports::source::{Committed, Source, SourceError, Start, Ticket};

/// The group member's handle. Dropping it makes the member leave, as [`Source::leave`] does.
#[derive(Debug)]
pub struct KafkaSource {
    pub(super) commands: Sender<Command>,
    pub(super) thread: Thread,
    pub(super) reader: Reader,
    pub(super) topic: String,
}

impl KafkaSource {
    fn tell(&self, command: Command) {
        // A thread that has ended said so by `SourceEvent::Fatal`, or was told to.
        if self.commands.send(command).is_ok() {
            self.thread.unpark();
        }
    }
}

impl Source for KafkaSource {
    fn assign(&self, ticket: Ticket, starts: Vec<Start>) {
        self.tell(Command::Assign { ticket, starts });
    }

    fn release(&self, ticket: Ticket) {
        self.tell(Command::Release { ticket });
    }

    fn demand(&self, partition: Partition, version: Version, records: usize) {
        self.tell(Command::Demand { partition, version, records });
    }

    fn rewind(&self, start: Start) {
        self.tell(Command::Rewind(start));
    }

    async fn committed(&self, partitions: Vec<Partition>) -> Result<Vec<Committed>, SourceError> {
        let (reader, topic) = (self.reader.clone(), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || reader.committed(&topic, &partitions));
        match asked.await {
            Ok(answer) => answer.map_err(SourceError::from),
            Err(gone) => Err(SourceError::Transient(format!("reading offsets: {gone}"))),
        }
    }

    async fn leave(&self) {
        let (done, left) = oneshot::channel();
        self.tell(Command::Leave(done));
        // An error means that the thread has ended already.
        drop(left.await);
    }
}
