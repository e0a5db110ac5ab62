//! Produces what may be replayed, at a rate. A few records are under way at a time; each is reported only when all of
//! them stand on the source topic.

use anyhow::Context;

use super::letter::{Standing, headers_again};
use super::place;
use super::replay::{Report, home};
use crate::adapters::kafka::{AskError, Feed, Feeder, Settings};
use crate::app::exit::Exit;
use crate::app::pace::Pace;
use crate::app::reconcile::kafka_gone;
use crate::domain::id::Partition;
use crate::domain::record::Record;

/// The most records that are under way; fewer where the rate is low, so that none waits for long to be confirmed.
const TOGETHER_MAX: u32 = 100;

/// A producer, and what it has sent and not confirmed.
pub(super) struct Production<'a> {
    settings: &'a Settings,
    /// Of the source topic.
    partitions: &'a [Partition],
    feeder: Feeder,
    pace: Pace,
    together: usize,
    /// With how often its record had been replayed before.
    sent: Vec<(Standing, u32)>,
}

impl<'a> Production<'a> {
    /// `rate` records a second.
    pub(super) fn new(
        settings: &'a Settings,
        partitions: &'a [Partition],
        rate: u32,
    ) -> anyhow::Result<Self> {
        let feeder = Feeder::new(settings).map_err(|error| Exit::BadConfig.because(error))?;
        let together = (rate / 10).clamp(1, TOGETHER_MAX) as usize;
        let pace = Pace::new(Some(rate));
        Ok(Self { settings, partitions, feeder, pace, together, sent: Vec::new() })
    }

    /// Waits for its turn, and produces the record of a dead letter.
    pub(super) fn send(
        &mut self,
        (standing, replays): (Standing, u32),
        record: &Record,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        self.pace.wait();
        let of = place(self.settings, standing.spot);
        let headers = headers_again(&record.headers, replays, &of);
        let to = home(&standing, self.partitions);
        self.sent.push((standing, replays));
        let sent = self.feeder.send(&Feed {
            topic: &self.settings.topics.transactions,
            partition: to,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp_ms: None,
        });
        self.known(sent)?;
        if self.sent.len() < self.together { Ok(()) } else { self.confirm(report) }
    }

    /// Waits until all that was sent stands on the source topic, and reports it.
    pub(super) fn confirm(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.known(self.feeder.flush())?;
        for (standing, replays) in self.sent.drain(..) {
            report.replay(standing, self.partitions, replays);
        }
        Ok(())
    }

    fn known(&self, answer: Result<(), AskError>) -> anyhow::Result<()> {
        answer.map_err(kafka_gone).with_context(|| {
            let places = self.sent.iter().map(|(it, _)| place(self.settings, it.spot).to_string());
            format!(
                "it is not known which of these were replayed: {}; run the same once more, without --force",
                places.collect::<Vec<_>>().join(", ")
            )
        })
    }
}
