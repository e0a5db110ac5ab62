//! Shows what the pipeline counts: metrics and readiness. Differences of plain numbers, a few times a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::alerting::Sight;
use super::drive::Observer;
use super::idle::LogEnds;
use super::status::{Part, Status};
use crate::domain::classify::RequestKind;
use crate::domain::time::Boot;
use crate::pipeline::Engine;
use crate::pipeline::demand::Pause as Paused;
use crate::pipeline::gauges::Gauges;
use crate::telemetry::label::{Commit, Label, Meaning, Pause, Queue, Stage};
use crate::telemetry::meters::Meters;
use crate::telemetry::text::PartitionView;

const SHOW_EVERY: Duration = Duration::from_millis(250);
/// Trouble that has lasted for so long is told in the log, once.
const TOLD_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Observing {
    meters: Meters,
    status: Arc<Status>,
    ends: LogEnds,
    /// For the rules of the group.
    sight: watch::Sender<Sight>,
    shown: Gauges,
    shown_at: Boot,
    troubles: BTreeMap<&'static str, Lasting>,
}

/// A part that is in trouble.
#[derive(Debug, Clone, Copy)]
struct Lasting {
    since: Boot,
    is_told: bool,
}

impl Observing {
    #[must_use]
    pub fn new(
        meters: Meters,
        status: Arc<Status>,
        ends: LogEnds,
        sight: watch::Sender<Sight>,
    ) -> Self {
        let (shown, shown_at, troubles) = (Gauges::default(), Boot(0), BTreeMap::new());
        Self { meters, status, ends, sight, shown, shown_at, troubles }
    }

    fn count(&self, now: &Gauges) {
        let (m, was) = (&self.meters, &self.shown);
        for (counter, now, was) in [
            (&m.records_consumed, now.records_consumed, was.records_consumed),
            (&m.admitted, now.admitted, was.admitted),
            (m.gateway_requests.of(RequestKind::Charge), now.charges, was.charges),
            (m.gateway_requests.of(RequestKind::Lookup), now.lookups, was.lookups),
            (&m.swept, now.swept, was.swept),
            (&m.parked, now.parked, was.parked),
            (&m.store_rows, now.rows_stored, was.rows_stored),
            (&m.store_retries, now.batches_retried, was.batches_retried),
            (m.publish_transactions.of(Commit::Clean), now.commits, was.commits),
            (m.publish_transactions.of(Commit::Unclear), now.unclear_commits, was.unclear_commits),
            (&m.producers, now.producers, was.producers),
            (&m.rebalances, now.rebalances, was.rebalances),
            (&m.reclaims, now.reclaims, was.reclaims),
            (&m.refilled, now.refilled, was.refilled),
            (&m.alerts, now.alerts, was.alerts),
        ] {
            counter.increment(now - was);
        }
        let answers = now.answers.all().into_iter().zip(was.answers.all());
        for ((name, n), (_, before)) in answers {
            if let Some(meaning) = Meaning::parse(name) {
                m.gateway_answers.of(meaning).increment(n - before);
            }
        }
        for (fate, n) in &now.fates {
            let before = was.fates.get(fate).copied().unwrap_or_default();
            m.fates.of(*fate).increment(n - before);
        }
        for took in &now.finished_after {
            m.stage_seconds.of(Stage::EndToEnd).record(took.as_secs_f64());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
    fn set(&self, now: &Gauges) {
        let m = &self.meters;
        m.in_flight.set(now.gate.in_flight as f64);
        m.in_flight_limit.set(now.gate.limit as f64);
        m.rate_limit.set(now.gate.rate.unwrap_or(f64::INFINITY));
        m.breaker_open.set(f64::from(u8::from(now.gate.is_open)));
        m.queue_depth.of(Queue::Temp).set(now.depth.temp as f64);
        m.queue_depth.of(Queue::Archive).set(now.depth.archive as f64);
        m.held.of(Queue::Temp).set(now.held_temp as f64);
        m.held.of(Queue::Archive).set(now.held_archive as f64);
        m.queue_oldest.of(Queue::Temp).set(now.temp_age.as_secs_f64());
        m.queue_oldest.of(Queue::Archive).set(now.archive_age.as_secs_f64());
        for pause in Paused::ALL {
            if let Some(reason) = Pause::parse(pause.as_str()) {
                let paused = now.pauses.contains(&pause);
                m.intake_paused.of(reason).set(f64::from(u8::from(paused)));
            }
        }
    }

    fn tell(&mut self, now: &Gauges, boot: Boot) {
        self.status.beat(boot);
        let parts = [
            (Part::Kafka, &now.trouble.kafka),
            (Part::Redis, &now.trouble.redis),
            (Part::Store, &now.trouble.store),
            (Part::Gateway, &now.trouble.gateway),
        ];
        for (part, trouble) in parts {
            self.log(part.as_str(), trouble.as_deref(), boot);
            match trouble {
                None => self.status.fine(part),
                Some(why) => self.status.wrong(part, why.clone()),
            }
        }
        let sick = now.partitions.iter().find(|(_, p)| !p.is_healthy);
        match sick {
            None => self.status.fine(Part::Partitions),
            Some((partition, p)) => {
                self.status.wrong(Part::Partitions, format!("partition {partition}: {}", p.phase));
            }
        }
        let view = |(partition, p): (&_, &crate::pipeline::gauges::PartitionGauges)| {
            let end = self.ends.of(*partition).unwrap_or(p.position);
            let view = PartitionView {
                lag: u64::try_from(end.0 - p.watermark.0).unwrap_or_default(),
                watermark_age_us: u64::try_from(p.watermark_age.as_micros()).unwrap_or(u64::MAX),
                unfinished: p.unfinished as u64,
                cut_lag: u64::try_from(p.cut.0 - p.watermark.0).unwrap_or_default(),
            };
            (*partition, view)
        };
        self.status.set_partitions(now.partitions.iter().map(view).collect());
    }

    /// Says that a part is in trouble once that has lasted, and that it is well again.
    fn log(&mut self, part: &'static str, trouble: Option<&str>, now: Boot) {
        let Some(why) = trouble else {
            if self.troubles.remove(part).is_some_and(|lasting| lasting.is_told) {
                tracing::info!("{part}: well again");
            }
            return;
        };
        let lasting = self.troubles.entry(part).or_insert(Lasting { since: now, is_told: false });
        if !lasting.is_told && now.since(lasting.since) >= TOLD_AFTER {
            lasting.is_told = true;
            tracing::warn!("{part}: {why}");
        }
    }
}

impl Observer for Observing {
    fn observe(&mut self, engine: &mut Engine, now: Boot) {
        if now.since(self.shown_at) < SHOW_EVERY {
            return;
        }
        self.shown_at = now;
        let live = engine.gauges();
        let gauges = live.clone();
        live.finished_after.clear();
        self.count(&gauges);
        self.set(&gauges);
        self.tell(&gauges, now);
        self.sight.send_replace(Sight::of(&gauges));
        self.shown = gauges;
    }

    fn called(&mut self, call: &'static str, took: Duration) {
        let stage = match call {
            "admit" => Stage::Admit,
            "ask" => Stage::Ask,
            "charge" => Stage::Charge,
            "lookup" => Stage::Lookup,
            "settle" => Stage::Settle,
            "mark" => Stage::Mark,
            "remove" => Stage::Remove,
            "store" => Stage::Flush,
            "commit" => Stage::Publish,
            _ => return,
        };
        self.meters.stage_seconds.of(stage).record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::gauges::Answers;

    /// The pipeline and the metrics have the same words, else something would be counted nowhere.
    #[test]
    fn every_word_of_the_pipeline_is_a_label() {
        let answers: Vec<&str> = Answers::default().all().map(|(name, _)| name).to_vec();
        let meanings: Vec<&str> = Meaning::ALL.iter().map(|meaning| meaning.as_str()).collect();
        assert_eq!(answers, meanings);
        let pauses: Vec<&str> = Paused::ALL.iter().map(|pause| pause.as_str()).collect();
        let reasons: Vec<&str> = Pause::ALL.iter().map(|pause| pause.as_str()).collect();
        assert_eq!(pauses, reasons);
    }
}
