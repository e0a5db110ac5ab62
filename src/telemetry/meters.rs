//! The handles that the route counts with. Each is registered once, at the start: counting a transaction is one
//! atomic addition and looks nothing up, and a series that never counted shows as 0 instead of being absent.
//!
//! What belongs to a partition is not here: it comes and goes with the partition ([`super::text`]).

use std::fmt;

use metrics::{
    Counter, Gauge, Histogram, Key, Label as Pair, Level, Metadata, Recorder, Unit as LibraryUnit,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::label::{Commit, Label, Meaning, Pause, Queue, Stage};
use super::metric::{Kind, Metric, Unit};
use crate::domain::alerts::Rule;
use crate::domain::classify::RequestKind;
use crate::domain::outcome::Fate;

/// Upper bounds of the histograms, in seconds: from a step in Redis to an outage of an hour.
pub const BUCKETS: [f64; 18] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 3600.0,
];

/// One handle for each value of a label.
#[derive(Clone)]
pub struct Family<L, H>(Vec<(L, H)>);

impl<L: Label, H> Family<L, H> {
    fn new(register: impl Fn(L) -> H) -> Self {
        Self(L::ALL.iter().map(|label| (*label, register(*label))).collect())
    }

    /// The handle of one value.
    ///
    /// # Panics
    /// Never: every value is registered.
    #[must_use]
    pub fn of(&self, label: L) -> &H {
        let found = self.0.iter().find(|(known, _)| *known == label);
        &found.unwrap_or_else(|| unreachable!("every value of a label is registered")).1
    }
}

impl<L, H> fmt::Debug for Family<L, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family")
    }
}

/// Every metric of the route.
#[derive(Debug)]
pub struct Meters {
    pub records_consumed: Counter,
    pub admitted: Counter,
    pub gateway_requests: Family<RequestKind, Counter>,
    pub gateway_answers: Family<Meaning, Counter>,
    pub fates: Family<Fate, Counter>,
    pub swept: Counter,
    pub parked: Counter,
    pub store_rows: Counter,
    pub store_retries: Counter,
    pub publish_transactions: Family<Commit, Counter>,
    pub producers: Counter,
    pub rebalances: Counter,
    pub reclaims: Counter,
    pub refilled: Counter,
    pub alerts: Counter,
    pub rules: RuleMeters,
    pub queue_depth: Family<Queue, Gauge>,
    pub held: Family<Queue, Gauge>,
    /// Seconds.
    pub queue_oldest: Family<Queue, Gauge>,
    pub in_flight: Gauge,
    pub in_flight_limit: Gauge,
    /// Calls a second.
    pub rate_limit: Gauge,
    /// 1 or 0.
    pub breaker_open: Gauge,
    /// 1 or 0.
    pub intake_paused: Family<Pause, Gauge>,
    /// Seconds.
    pub stage_seconds: Family<Stage, Histogram>,
}

impl Meters {
    /// Registers everything with a recorder of its own. The handle renders what was counted; somebody must call its
    /// `run_upkeep` every few seconds, else the histograms keep every sample until somebody renders.
    #[must_use]
    pub fn new() -> (Self, PrometheusHandle) {
        let buckets = Matcher::Full(Metric::StageSeconds.name().to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(buckets, &BUCKETS);
        // Refused only where there are no buckets.
        let recorder = builder.unwrap_or_default().build_recorder();
        let meters = Self::register(&recorder);
        (meters, recorder.handle())
    }

    fn register(to: &impl Recorder) -> Self {
        for metric in Metric::ALL {
            describe(to, *metric);
        }
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        gauge(to, Metric::BuildInfo, &build).set(1.0);
        let count = |metric| counter(to, metric, &[]);
        Self {
            records_consumed: count(Metric::RecordsConsumed),
            admitted: count(Metric::Admitted),
            gateway_requests: counters(to, Metric::GatewayRequests),
            gateway_answers: counters(to, Metric::GatewayAnswers),
            fates: counters(to, Metric::Fates),
            swept: count(Metric::Swept),
            parked: count(Metric::Parked),
            store_rows: count(Metric::StoreRows),
            store_retries: count(Metric::StoreRetries),
            publish_transactions: counters(to, Metric::PublishTransactions),
            producers: count(Metric::Producers),
            rebalances: count(Metric::Rebalances),
            reclaims: count(Metric::Reclaims),
            refilled: count(Metric::Refilled),
            alerts: count(Metric::Alerts),
            rules: RuleMeters::register(to),
            queue_depth: gauges(to, Metric::QueueDepth),
            held: gauges(to, Metric::Held),
            queue_oldest: gauges(to, Metric::QueueOldest),
            in_flight: gauge(to, Metric::InFlight, &[]),
            in_flight_limit: gauge(to, Metric::InFlightLimit, &[]),
            rate_limit: gauge(to, Metric::RateLimit, &[]),
            breaker_open: gauge(to, Metric::BreakerOpen, &[]),
            intake_paused: gauges(to, Metric::IntakePaused),
            stage_seconds: Family::new(|stage: Stage| {
                let labels = [(Metric::StageSeconds.spec().label, stage.as_str())];
                to.register_histogram(&key(Metric::StageSeconds, &labels), &METADATA)
            }),
        }
    }
}

/// What the rules of the group read, and which are raised.
#[derive(Debug, Clone)]
pub struct RuleMeters {
    reading: Family<Rule, Gauge>,
    raised: Family<Rule, Gauge>,
}

impl RuleMeters {
    fn register(to: &impl Recorder) -> Self {
        let (reading, raised) = (gauges(to, Metric::AlertReading), gauges(to, Metric::AlertRaised));
        let meters = Self { reading, raised };
        for rule in Rule::ALL {
            meters.show(rule, None, false);
        }
        meters
    }

    /// `None`: it is not known.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
    pub fn show(&self, rule: Rule, reading: Option<u64>, is_raised: bool) {
        self.reading.of(rule).set(reading.map_or(f64::NAN, |reading| reading as f64));
        self.raised.of(rule).set(f64::from(u8::from(is_raised)));
    }
}

type Labels<'a> = [(&'static str, &'static str)];

static METADATA: Metadata<'static> = Metadata::new("tollbridge", Level::INFO, None);

fn key(metric: Metric, labels: &Labels<'_>) -> Key {
    let labels = labels.iter().map(|(name, value)| Pair::from_static_parts(name, value));
    Key::from_parts(metric.name(), labels.collect::<Vec<_>>())
}

fn counter(to: &impl Recorder, metric: Metric, labels: &Labels<'_>) -> Counter {
    to.register_counter(&key(metric, labels), &METADATA)
}

fn gauge(to: &impl Recorder, metric: Metric, labels: &Labels<'_>) -> Gauge {
    to.register_gauge(&key(metric, labels), &METADATA)
}

fn counters<L: Label>(to: &impl Recorder, metric: Metric) -> Family<L, Counter> {
    Family::new(|label: L| counter(to, metric, &[(metric.spec().label, label.as_str())]))
}

fn gauges<L: Label>(to: &impl Recorder, metric: Metric) -> Family<L, Gauge> {
    Family::new(|label: L| gauge(to, metric, &[(metric.spec().label, label.as_str())]))
}

fn describe(to: &impl Recorder, metric: Metric) {
    let spec = metric.spec();
    let unit = match spec.unit {
        Unit::Count => LibraryUnit::Count,
        Unit::Seconds => LibraryUnit::Seconds,
        Unit::Bytes => LibraryUnit::Bytes,
    };
    let (name, help) = (spec.name.into(), spec.help.into());
    match spec.kind {
        Kind::Counter => to.describe_counter(name, Some(unit), help),
        Kind::Gauge => to.describe_gauge(name, Some(unit), help),
        Kind::Histogram => to.describe_histogram(name, Some(unit), help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_before_anything_is_counted() {
        let (_meters, handle) = Meters::new();
        let text = handle.render();
        for line in [
            "tollbridge_records_consumed_total 0",
            "tollbridge_fates_total{fate=\"in_doubt\"} 0",
            "tollbridge_gateway_requests_total{kind=\"lookup\"} 0",
            "tollbridge_gateway_answers_total{outcome=\"never_seen\"} 0",
            "tollbridge_queue_depth{queue=\"archive\"} 0",
            "tollbridge_intake_paused{reason=\"temp_full\"} 0",
            "# TYPE tollbridge_stage_seconds histogram",
            "tollbridge_build_info{version=\"0.1.0\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let (meters, handle) = Meters::new();
        meters.fates.of(Fate::Archived).increment(2);
        meters.gateway_answers.of(Meaning::Unknown).increment(1);
        meters.queue_depth.of(Queue::Temp).set(7.0);
        meters.stage_seconds.of(Stage::Charge).record(0.02);
        // Upkeep moves the samples into buckets; rendering afterwards still has them.
        handle.run_upkeep();
        let text = handle.render();
        for line in [
            "tollbridge_fates_total{fate=\"archived\"} 2",
            "tollbridge_gateway_answers_total{outcome=\"unknown\"} 1",
            "tollbridge_queue_depth{queue=\"temp\"} 7",
            "tollbridge_stage_seconds_bucket{stage=\"charge\",le=\"0.01\"} 0",
            "tollbridge_stage_seconds_bucket{stage=\"charge\",le=\"0.025\"} 1",
            "tollbridge_stage_seconds_count{stage=\"charge\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
