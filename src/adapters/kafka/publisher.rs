//! The port `Publisher`: hands each call to the publisher's thread, with a watchdog, because some of librdkafka's
//! transaction calls can hang although they were given a timeout. It decides nothing about what a commit means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::group::Group;
use super::transactions::Command;
use crate::ports::publisher::{
    CommitPoint, Committing, Membership, Message, PublishError, Publisher,
};
use crate::ports::source::SourceEvent;

/// The transactional producer's handle. Dropping it ends the producer's thread.
pub struct KafkaPublisher {
    commands: Sender<Command>,
    group: Arc<Group>,
    events: UnboundedSender<SourceEvent>,
    /// The longest that a call may take.
    patience: Duration,
    hung: AtomicBool,
}

impl std::fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaPublisher").field("hung", &self.hung()).finish_non_exhaustive()
    }
}

impl KafkaPublisher {
    pub(super) fn new(
        commands: Sender<Command>,
        group: Arc<Group>,
        events: UnboundedSender<SourceEvent>,
        patience: Duration,
    ) -> Self {
        Self { commands, group, events, patience, hung: AtomicBool::new(false) }
    }

    /// Whether a call has not come back in time. It was also told as [`SourceEvent::Fatal`]: the process must end.
    #[must_use]
    pub fn hung(&self) -> bool {
        self.hung.load(Ordering::Acquire)
    }

    /// Waits for the thread's answer, for as long as the watchdog allows.
    async fn answer<T>(
        &self,
        what: &str,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, String> {
        if self.hung() {
            return Err(format!("{what}: an earlier call hangs"));
        }
        let (reply, answer) = oneshot::channel();
        let gone = |()| format!("{what}: the publisher's thread has ended");
        self.commands.send(command(reply)).map_err(|_| gone(()))?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|_| gone(())),
            Err(_) => {
                self.hung.store(true, Ordering::Release);
                let why = format!("{what}: no return within {:?}", self.patience);
                drop(self.events.send(SourceEvent::Fatal(why.clone())));
                Err(why)
            }
        }
    }
}

impl Publisher for KafkaPublisher {
    async fn membership(&self) -> Result<Membership, PublishError> {
        let group = Arc::clone(&self.group);
        match tokio::task::spawn_blocking(move || group.snapshot()).await {
            Ok(Some(membership)) => Ok(membership),
            Ok(None) => Err(PublishError::Transient("the consumer is not in the group".into())),
            Err(gone) => Err(PublishError::Transient(format!("membership: {gone}"))),
        }
    }

    async fn commit(
        &self,
        snapshot: u64,
        messages: Vec<Message>,
        points: Vec<CommitPoint>,
    ) -> Committing {
        let command = |reply| Command::Commit { snapshot, messages, points, reply };
        self.answer("commit", command).await.unwrap_or_else(Committing::Unclear)
    }

    async fn renew(&self) -> Result<(), PublishError> {
        match self.answer("renew", |reply| Command::Renew { reply }).await {
            Ok(renewed) => renewed.map_err(PublishError::from),
            Err(why) => Err(PublishError::Transient(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_does_not_come_back_is_told_once() {
        let (commands, _nobody_answers) = std::sync::mpsc::channel();
        let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
        let patience = Duration::from_millis(50);
        let publisher = KafkaPublisher::new(commands, Arc::default(), events, patience);
        for what in ["no return", "hangs"] {
            match publisher.commit(1, vec![], vec![]).await {
                Committing::Unclear(why) => assert!(why.contains(what), "{why}"),
                Committing::Clean => panic!("it can't have been clean"),
            }
        }
        assert!(publisher.hung());
        assert!(publisher.renew().await.is_err());
        assert!(matches!(told.recv().await, Some(SourceEvent::Fatal(_))));
        assert!(told.try_recv().is_err());
    }
}
