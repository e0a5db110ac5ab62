//! What was told on `tx-alerts` before this process began to speak.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Parts;
use crate::adapters::kafka::{AskError, Reader, Settings};
use crate::domain::alerts::Board;
use crate::wire::alert;

/// Reads the topic to its end; `None` where the brokers don't answer, and it has to be done again. Alerts that the
/// topic has deleted are not known any more: what is still wrong is then raised anew.
pub(super) async fn read_back(parts: &Parts) -> Option<Board> {
    let (settings, group) = (Arc::clone(&parts.kafka), parts.speaker.group.clone());
    let read = tokio::task::spawn_blocking(move || read(&settings, &group)).await.ok()?;
    match read {
        Ok(board) => Some(board),
        Err(error) => {
            let topic = &parts.kafka.topics.alerts;
            tracing::warn!(
                "no alerts until {topic} can be read, where the last ones stand: {error}"
            );
            None
        }
    }
}

fn read(settings: &Arc<Settings>, group: &str) -> Result<Board, AskError> {
    let reader = Reader::new(Arc::clone(settings))
        .map_err(|error| AskError::Permanent(error.to_string()))?;
    let mut told = Vec::new();
    reader.read_topic(&settings.topics.alerts, |_, record| {
        // What others put on the topic is none of ours.
        told.extend(record.value.and_then(|value| alert::decode(&value).ok()));
        ControlFlow::Continue(())
    })?;
    Ok(Board::restored(group, told))
}
