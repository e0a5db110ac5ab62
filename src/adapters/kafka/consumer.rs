//! The consumer's own thread: it polls the group's queue without a pause, reads each partition as far as was
//! demanded, and answers rebalances when it is told to. It decides nothing.
//!
//! A rebalance is answered from here, long after librdkafka's callback has returned. Until then librdkafka waits in
//! a state of its own ("waiting for the assign call"): heartbeats go on, every partition of this member is kept
//! from the application, and a further rebalance, even the loss of the session, is taken up only after the answer.
//! So there is at most one open ticket. While it is open, no partition may be assigned or unassigned for another
//! reason, as librdkafka would take that for the answer; such work waits in `later`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as Raw, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::context::Rebalance;
use super::errors::describe;
use super::fetched::Fetched;
use super::ffi::PartitionQueue;
use super::group::{Group, MemberConsumer};
use super::reader::Reader;
use super::succession::Succession;
use super::trouble::Trouble;
use crate::domain::id::{Partition, Version};
use crate::ports::source::{SourceEvent, Start, Ticket};

/// The longest nap; whatever happens wakes the thread earlier.
const NAP: Duration = Duration::from_millis(20);
/// A seek is answered by a thread of this process.
const SEEK_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) enum Command {
    Assign { ticket: Ticket, starts: Vec<Start> },
    Release { ticket: Ticket },
    Demand { partition: Partition, version: Version, records: usize },
    Rewind(Start),
    Leave(oneshot::Sender<()>),
}

/// A rebalance that waits for its answer.
struct Open {
    ticket: Ticket,
    partitions: Vec<Partition>,
    assigned: bool,
}

pub(super) struct ConsumerThread {
    consumer: Arc<MemberConsumer>,
    group: Arc<Group>,
    topic: String,
    commands: Receiver<Command>,
    events: UnboundedSender<SourceEvent>,
    fetched: BTreeMap<Partition, Fetched>,
    open: Option<Open>,
    tickets: u64,
    /// Partitions to be assigned anew once no rebalance is open, and what is demanded of them by then.
    later: BTreeMap<Partition, (Start, usize)>,
    trouble: Trouble,
    /// The trouble is, or was, that the group may have told us something that we did not hear.
    tells_miss: bool,
    succession: Succession,
}

impl ConsumerThread {
    pub(super) fn new(
        consumer: Arc<MemberConsumer>,
        group: Arc<Group>,
        topic: String,
        commands: Receiver<Command>,
        events: UnboundedSender<SourceEvent>,
        reader: Reader,
    ) -> Self {
        Self {
            succession: Succession::watched(reader.clone(), topic.clone()),
            consumer,
            group,
            topic,
            commands,
            events,
            fetched: BTreeMap::new(),
            open: None,
            tickets: 0,
            later: BTreeMap::new(),
            trouble: Trouble::new(reader),
            tells_miss: false,
        }
    }

    /// Runs until told to leave, or until nobody is there to tell.
    pub(super) fn run(mut self) {
        self.subscribe();
        let done = loop {
            match self.commands.try_recv() {
                Ok(Command::Leave(done)) => break Some(done),
                Ok(command) => {
                    self.obey(command);
                    continue;
                }
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => {}
            }
            let polled = self.poll();
            let delivered = self.deliver();
            self.catch_up();
            if !polled && !delivered {
                self.trouble.serve(&self.events);
                self.listen();
                thread::park_timeout(NAP);
            }
        };
        self.leave();
        // Only now is the last reference gone, and with that the consumer closed.
        drop(self);
        if let Some(Err(())) = done.map(|done| done.send(())) {
            tracing::debug!(target: "kafka", "nobody waits for the consumer any more");
        }
    }

    fn subscribe(&self) {
        if let Err(error) = self.consumer.subscribe(&[&self.topic]) {
            self.emit(SourceEvent::Fatal(format!("subscribe: {}", describe(&error))));
        }
    }

    /// Joins the group anew where an answer of it was lost, once brokers answer again. What it told may have been to
    /// give a partition up, for which the broker waits for minutes, or that one is ours, which nobody would ever work
    /// on.
    fn listen(&mut self) {
        if !self.consumer.context().has_missed() {
            self.tells_miss = false;
            return;
        }
        if self.trouble.is_raised() || self.open.is_some() || !self.later.is_empty() {
            return;
        }
        if !self.tells_miss {
            self.tells_miss = true;
            return self.trouble.raise("a heartbeat was not answered".into(), &self.events);
        }
        self.tells_miss = false;
        self.consumer.context().has_caught_up();
        tracing::warn!(target: "kafka", "an answer of the group was lost; joining it anew");
        self.consumer.unsubscribe();
        self.subscribe();
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Assign { ticket, starts } => self.assign(ticket, starts),
            Command::Release { ticket } => self.release(ticket),
            Command::Demand { partition, version, records } => {
                self.demand(partition, version, records);
            }
            Command::Rewind(start) => self.rewind(start),
            // Taken by the loop itself.
            Command::Leave(_) => {}
        }
    }

    fn demand(&mut self, partition: Partition, version: Version, records: usize) {
        if let Some((start, demand)) = self.later.get_mut(&partition) {
            if start.version == version {
                *demand = records;
            }
        } else if let Some(fetched) = self.fetched.get_mut(&partition)
            && fetched.version == version
        {
            fetched.demand = records;
        }
    }

    /// Serves the group's queue; returns whether there may be more.
    fn poll(&mut self) -> bool {
        if let Some(Err(error)) = self.consumer.poll(Duration::ZERO) {
            self.note(&error);
        }
        while let Some(rebalance) = self.consumer.context().next_rebalance() {
            self.open_ticket(rebalance);
        }
        self.consumer.context().was_busy()
    }

    fn note(&mut self, error: &KafkaError) {
        let reason = self.consumer.context().reason();
        match error {
            KafkaError::MessageConsumptionFatal(_) => self.emit(SourceEvent::Fatal(reason)),
            error => self.trouble.note(error, reason, &self.events),
        }
    }

    fn open_ticket(&mut self, rebalance: Rebalance) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let (partitions, assigned) = match rebalance {
            Rebalance::Assigned(partitions) => {
                let member = self.group.member_id();
                let partitions_too = partitions.clone();
                self.emit(SourceEvent::Assigned { ticket, partitions: partitions_too, member });
                (partitions, true)
            }
            Rebalance::Revoked { partitions, lost } => {
                for partition in &partitions {
                    self.later.remove(partition);
                    if let Some(fetched) = self.fetched.get_mut(partition) {
                        fetched.closed = true;
                    }
                }
                self.emit(SourceEvent::Revoked { ticket, partitions: partitions.clone(), lost });
                (partitions, false)
            }
        };
        self.open = Some(Open { ticket, partitions, assigned });
    }

    fn assign(&mut self, ticket: Ticket, starts: Vec<Start>) {
        let Some(open) = self.open.take_if(|open| open.ticket == ticket && open.assigned) else {
            return;
        };
        let ours = |start: &Start| open.partitions.contains(&start.partition);
        let starts: Vec<_> = starts.into_iter().filter(ours).collect();
        self.fetch(&starts);
    }

    fn release(&mut self, ticket: Ticket) {
        let Some(open) = self.open.take_if(|open| open.ticket == ticket && !open.assigned) else {
            return;
        };
        self.unfetch(&open.partitions);
    }

    /// Starts fetching. Where an open assignment is answered with it, this is the answer, also when it is empty.
    fn fetch(&mut self, starts: &[Start]) {
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for start in starts {
            // Before the assignment, so that no message reaches the group's queue.
            let wake = thread::current();
            let queue = PartitionQueue::take(&self.consumer, &self.topic, start.partition.0, wake);
            let offset = Raw::Offset(start.offset.0);
            let added = list.add_partition_offset(&self.topic, start.partition.0, offset);
            let (Some(queue), Ok(())) = (queue, added) else {
                self.stopped(start, format!("offset {} can't be fetched from", start.offset));
                continue;
            };
            self.fetched.insert(start.partition, Fetched::new(queue, start, self.succession.now()));
        }
        if let Err(error) = self.consumer.incremental_assign(&list) {
            // An open rebalance would never end now.
            self.emit(SourceEvent::Fatal(format!("partitions not assigned: {}", describe(&error))));
        }
    }

    /// Stops fetching. librdkafka refuses the whole list where one partition is not assigned to it.
    fn unfetch(&mut self, partitions: &[Partition]) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            if self.fetched.remove(partition).is_some() {
                list.add_partition(&self.topic, partition.0);
            }
        }
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            let why = format!("partitions not given back: {}", describe(&error));
            self.emit(SourceEvent::Fatal(why));
        }
    }

    fn rewind(&mut self, start: Start) {
        if !self.group.owns(start.partition) {
            return;
        }
        let Some(fetched) = self.fetched.get_mut(&start.partition) else {
            // Assigned, but left out of the answer: it begins now.
            self.later.insert(start.partition, (start, 0));
            return;
        };
        fetched.version = start.version;
        fetched.topic = start.topic;
        fetched.since = self.succession.now();
        fetched.position = start.offset;
        fetched.demand = 0;
        fetched.closed = false;
        let offset = Raw::Offset(start.offset.0);
        // A rewind of before it, which may still be waiting.
        self.later.remove(&start.partition);
        let sought = self.consumer.seek(&self.topic, start.partition.0, offset, SEEK_TIMEOUT);
        if sought.is_err() {
            // After an error its fetcher has ended, and only an assignment starts a new one.
            fetched.closed = true;
            self.later.insert(start.partition, (start, 0));
        }
    }

    /// Assigns anew what had to wait.
    fn catch_up(&mut self) {
        if self.open.is_some() || self.later.is_empty() {
            return;
        }
        let later = std::mem::take(&mut self.later);
        let again: Vec<_> = later
            .keys()
            .copied()
            .filter(|partition| self.fetched.contains_key(partition))
            .collect();
        if !again.is_empty() {
            self.unfetch(&again);
        }
        let starts: Vec<_> = later.values().map(|(start, _)| *start).collect();
        self.fetch(&starts);
        for (start, demand) in later.into_values() {
            self.demand(start.partition, start.version, demand);
        }
    }

    /// Delivers what is there and demanded; returns whether there was anything.
    fn deliver(&mut self) -> bool {
        let mut delivered = false;
        let now = self.succession.now();
        for (&partition, fetched) in &mut self.fetched {
            if let Some(event) = fetched.succeeded(partition, now) {
                drop(self.events.send(event));
            }
            if !fetched.closed && fetched.demand > 0 {
                delivered |= fetched.deliver(partition, &self.events, &mut self.trouble);
            }
        }
        delivered
    }

    fn stopped(&self, start: &Start, why: String) {
        let Start { partition, version, .. } = *start;
        self.emit(SourceEvent::Stopped { partition, version, why });
    }

    fn emit(&self, event: SourceEvent) {
        // Nobody listens any more: the process is ending.
        drop(self.events.send(event));
    }

    /// Leaves the group. Closing makes librdkafka revoke everything, which the context answers by itself from now
    /// on; a ticket that is still open is answered here.
    fn leave(&mut self) {
        self.consumer.context().leave();
        self.group.left();
        if let Some(open) = self.open.take() {
            match open.assigned {
                true => self.fetch(&[]),
                false => self.unfetch(&open.partitions),
            }
        }
        self.fetched.clear();
    }
}

impl Drop for ConsumerThread {
    /// However the thread ends, the listener learns it, and the publisher lets go of the consumer.
    fn drop(&mut self) {
        self.group.left();
        if thread::panicking() {
            self.emit(SourceEvent::Fatal("the consumer's thread broke down".into()));
        }
    }
}
