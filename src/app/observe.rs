//! Shows what the pipeline counts: metrics and readiness. Differences of plain numbers, a few times a second.

use std::sync::Arc;
use std::time::Duration;

use super::drive::Observer;
use super::idle::LogEnds;
use super::status::{Part, Status};
use crate::domain::classify::RequestKind;
use crate::domain::time::Boot;
use crate::pipeline::Engine;
use crate::pipeline::demand::Pause as Paused;
use crate::pipeline::gauges::Gauges;
use crate::telemetry::label::{Commit, Label, Meaning, Pause, Queue, Rebalance, Row, Stage};
use crate::telemetry::meters::Meters;
use crate::telemetry::text::PartitionView;

const SHOW_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Observing {
    meters: Meters,
    status: Arc<Status>,
    ends: LogEnds,
    shown: Gauges,
    shown_at: Boot,
}

impl Observing {
    #[must_use]
    pub fn new(meters: Meters, status: Arc<Status>, ends: LogEnds) -> Self {
        Self { meters, status, ends, shown: Gauges::default(), shown_at: Boot(0) }
    }

    fn count(&self, now: &Gauges) {
        let (m, was) = (&self.meters, &self.shown);
        m.records_consumed.increment(now.records_consumed - was.records_consumed);
        m.admitted.increment(now.admitted - was.admitted);
        let outcomes = now.answers.all().into_iter().zip(was.answers.all());
        for ((name, n), (_, before)) in outcomes {
            let label = Meaning::ALL.iter().find(|label| label.as_str() == name);
            let kind = RequestKind::Charge;
            if let Some(label) = label {
                m.gateway_requests.of(kind).of(*label).increment(n - before);
            }
        }
        for (fate, n) in &now.fates {
            let before = was.fates.get(fate).copied().unwrap_or_default();
            m.fates.of(*fate).increment(n - before);
        }
        m.store_rows.of(Row::New).increment(now.rows_stored - was.rows_stored);
        m.publish_transactions.of(Commit::Clean).increment(now.commits - was.commits);
        m.publish_transactions
            .of(Commit::Unclear)
            .increment(now.unclear_commits - was.unclear_commits);
        m.rebalances.of(Rebalance::Assigned).increment(now.rebalances - was.rebalances);
        for took in &now.finished_after {
            m.stage_seconds.of(Stage::EndToEnd).record(took.as_secs_f64());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
    fn set(&self, now: &Gauges) {
        let m = &self.meters;
        m.in_flight.set(now.in_flight as f64);
        m.queue_depth.of(Queue::Temp).set(now.depth.temp as f64);
        m.queue_depth.of(Queue::Archive).set(now.depth.archive as f64);
        m.queue_oldest.of(Queue::Temp).set(now.temp_age.as_secs_f64());
        m.queue_oldest.of(Queue::Archive).set(now.archive_age.as_secs_f64());
        let paused = |pause: Pause| match pause {
            Pause::TempFull => now.pauses.contains(&Paused::TempFull),
            Pause::ArchiveFull => now.pauses.contains(&Paused::ArchiveFull),
            Pause::Redis => now.redis_full || now.trouble.redis.is_some(),
            Pause::Store => now.trouble.store.is_some(),
            Pause::Gateway => now.trouble.gateway.is_some(),
            Pause::Publish => now.pauses.contains(&Paused::Claiming),
        };
        for pause in Pause::ALL {
            m.intake_paused.of(*pause).set(f64::from(u8::from(paused(*pause))));
        }
    }

    fn tell(&self, now: &Gauges, boot: Boot) {
        self.status.beat(boot);
        let parts = [
            (Part::Kafka, &now.trouble.kafka),
            (Part::Redis, &now.trouble.redis),
            (Part::Store, &now.trouble.store),
            (Part::Gateway, &now.trouble.gateway),
        ];
        for (part, trouble) in parts {
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
}

impl Observer for Observing {
    fn observe(&mut self, engine: &mut Engine, now: Boot) {
        if now.since(self.shown_at) < SHOW_EVERY {
            return;
        }
        self.shown_at = now;
        let gauges = engine.gauges().clone();
        engine.gauges().finished_after.clear();
        self.count(&gauges);
        self.set(&gauges);
        self.tell(&gauges, now);
        self.shown = gauges;
    }

    fn called(&mut self, call: &'static str, took: Duration) {
        let stage = match call {
            "admit" => Stage::Admit,
            "charge" => Stage::Charge,
            "settle" => Stage::Settle,
            "store" => Stage::Flush,
            "commit" => Stage::Publish,
            _ => return,
        };
        self.meters.stage_seconds.of(stage).record(took.as_secs_f64());
    }
}
