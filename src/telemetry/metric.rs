//! The names of all metrics, each with its kind, its unit and what it says. One list, so that a name is written once
//! and documentation, dashboards and alerts can be checked against it.

/// A metric family. Labels and their values are in [`super::label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    RecordsConsumed,
    Admitted,
    GatewayRequests,
    Fates,
    StoreRows,
    StoreBatches,
    PublishTransactions,
    QueueOperations,
    Rebalances,
    QueueDepth,
    QueueOldest,
    InFlight,
    IntakePaused,
    AlertRaised,
    StageSeconds,
    ConsumerLag,
    WatermarkAge,
    Unfinished,
    CutLag,
    BuildInfo,
    ProcessStartTime,
    ProcessResidentMemory,
    ProcessCpu,
    ProcessOpenFiles,
    ProcessMaxFiles,
}

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up; restarts at 0 with the process.
    Counter,
    Gauge,
    Histogram,
}

/// What one number of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
    Bytes,
}

/// Everything that is known of a metric without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// The label's name; `""` where there is none. `gateway_requests` has `kind` beside it.
    pub label: &'static str,
    pub help: &'static str,
}

use Kind::{Counter, Gauge, Histogram};
use Unit::{Bytes, Count, Seconds};

const fn spec(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    label: &'static str,
    help: &'static str,
) -> Spec {
    Spec { name, kind, unit, label, help }
}

impl Metric {
    pub const ALL: [Self; 25] = [
        Self::RecordsConsumed,
        Self::Admitted,
        Self::GatewayRequests,
        Self::Fates,
        Self::StoreRows,
        Self::StoreBatches,
        Self::PublishTransactions,
        Self::QueueOperations,
        Self::Rebalances,
        Self::QueueDepth,
        Self::QueueOldest,
        Self::InFlight,
        Self::IntakePaused,
        Self::AlertRaised,
        Self::StageSeconds,
        Self::ConsumerLag,
        Self::WatermarkAge,
        Self::Unfinished,
        Self::CutLag,
        Self::BuildInfo,
        Self::ProcessStartTime,
        Self::ProcessResidentMemory,
        Self::ProcessCpu,
        Self::ProcessOpenFiles,
        Self::ProcessMaxFiles,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    #[must_use]
    pub const fn spec(self) -> Spec {
        match self {
            Self::RecordsConsumed
            | Self::Admitted
            | Self::GatewayRequests
            | Self::Fates
            | Self::StoreRows
            | Self::StoreBatches
            | Self::PublishTransactions
            | Self::QueueOperations
            | Self::Rebalances => self.counter(),
            Self::QueueDepth
            | Self::QueueOldest
            | Self::InFlight
            | Self::IntakePaused
            | Self::AlertRaised
            | Self::StageSeconds => self.stage(),
            Self::ConsumerLag | Self::WatermarkAge | Self::Unfinished | Self::CutLag => {
                self.partition()
            }
            _ => self.process(),
        }
    }

    const fn counter(self) -> Spec {
        match self {
            Self::RecordsConsumed => spec(
                "tollbridge_records_consumed_total",
                Counter,
                Count,
                "",
                "Records read from the source topic.",
            ),
            Self::Admitted => spec(
                "tollbridge_admitted_total",
                Counter,
                Count,
                "",
                "Transactions put into the temp queue.",
            ),
            Self::GatewayRequests => spec(
                "tollbridge_gateway_requests_total",
                Counter,
                Count,
                "outcome",
                "Requests to the gateway, by kind and by what the answer meant.",
            ),
            Self::Fates => spec(
                "tollbridge_fates_total",
                Counter,
                Count,
                "fate",
                "Source records whose fate has been committed to Kafka.",
            ),
            Self::StoreRows => spec(
                "tollbridge_store_rows_total",
                Counter,
                Count,
                "result",
                "Rows sent to the store, by what it did with them.",
            ),
            Self::StoreBatches => spec(
                "tollbridge_store_batches_total",
                Counter,
                Count,
                "result",
                "Batches sent to the store, by how they ended.",
            ),
            Self::PublishTransactions => spec(
                "tollbridge_publish_transactions_total",
                Counter,
                Count,
                "result",
                "Kafka transactions, by how they ended.",
            ),
            Self::QueueOperations => spec(
                "tollbridge_queue_operations_total",
                Counter,
                Count,
                "result",
                "Scripts run in Redis, by how they ended.",
            ),
            _ => spec(
                "tollbridge_rebalances_total",
                Counter,
                Count,
                "event",
                "Times that the group gave or took partitions.",
            ),
        }
    }

    const fn stage(self) -> Spec {
        match self {
            Self::QueueDepth => spec(
                "tollbridge_queue_depth",
                Gauge,
                Count,
                "queue",
                "Entries of this process in a queue that are not stored yet.",
            ),
            Self::QueueOldest => spec(
                "tollbridge_queue_oldest_seconds",
                Gauge,
                Seconds,
                "queue",
                "Age of the oldest entry of this process in a queue.",
            ),
            Self::InFlight => spec(
                "tollbridge_in_flight",
                Gauge,
                Count,
                "",
                "Requests to the gateway that are on their way.",
            ),
            Self::IntakePaused => spec(
                "tollbridge_intake_paused",
                Gauge,
                Count,
                "reason",
                "1 while nothing is read from Kafka for this reason.",
            ),
            Self::AlertRaised => spec(
                "tollbridge_alert_raised",
                Gauge,
                Count,
                "rule",
                "1 while this alert is raised.",
            ),
            _ => spec(
                "tollbridge_stage_seconds",
                Histogram,
                Seconds,
                "stage",
                "How long a stage took, failures included; end_to_end is from admission to the commit.",
            ),
        }
    }

    const fn partition(self) -> Spec {
        match self {
            Self::ConsumerLag => spec(
                "tollbridge_consumer_lag",
                Gauge,
                Count,
                "partition",
                "Records between the committed watermark and the end of an owned partition.",
            ),
            Self::WatermarkAge => spec(
                "tollbridge_watermark_age_seconds",
                Gauge,
                Seconds,
                "partition",
                "How long the record at the watermark has been unfinished.",
            ),
            Self::Unfinished => spec(
                "tollbridge_unfinished_offsets",
                Gauge,
                Count,
                "partition",
                "Records that were read and whose fate is not committed yet.",
            ),
            _ => spec(
                "tollbridge_cut_lag",
                Gauge,
                Count,
                "partition",
                "Records between the watermark and the cut.",
            ),
        }
    }

    const fn process(self) -> Spec {
        match self {
            Self::BuildInfo => spec(
                "tollbridge_build_info",
                Gauge,
                Count,
                "version",
                "1, with the version that runs.",
            ),
            Self::ProcessStartTime => spec(
                "process_start_time_seconds",
                Gauge,
                Seconds,
                "",
                "When the process started, since 1970.",
            ),
            Self::ProcessResidentMemory => {
                spec("process_resident_memory_bytes", Gauge, Bytes, "", "Resident memory.")
            }
            Self::ProcessCpu => spec(
                "process_cpu_seconds_total",
                Counter,
                Seconds,
                "",
                "Processor time used, of the user and the system.",
            ),
            Self::ProcessOpenFiles => spec("process_open_fds", Gauge, Count, "", "Open files."),
            _ => spec("process_max_fds", Gauge, Count, "", "How many files may be open."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The conventions of Prometheus: base units and `_total` in the name, a prefix, a sentence of help.
    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for Spec { name, kind, unit, help, .. } in Metric::ALL.map(Metric::spec) {
            assert!(name.starts_with("tollbridge_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_seconds"), unit == Seconds, "{name}");
            assert_eq!(base.ends_with("_bytes"), unit == Bytes, "{name}");
            assert!(help.ends_with('.') && help.len() > 5, "{name}");
        }
    }
}
