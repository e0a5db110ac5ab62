//! The names of all metrics, each with its kind, its unit and what it says. One list, so that a name is written once
//! and documentation, dashboards and alerts can be checked against it. The same list for readers is
//! `docs/metrics.md`.

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
    /// The label's name; `""` where there is none.
    pub label: &'static str,
    pub help: &'static str,
}

macro_rules! metrics {
    ($($variant:ident: $name:literal $kind:ident $unit:ident $label:literal $help:literal;)+) => {
        /// A metric family. Labels and their values are in [`super::label`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $($variant),+ }

        impl Metric {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn spec(self) -> Spec {
                match self {
                    $(Self::$variant => Spec {
                        name: $name,
                        kind: Kind::$kind,
                        unit: Unit::$unit,
                        label: $label,
                        help: $help,
                    }),+
                }
            }
        }
    };
}

metrics! {
    RecordsConsumed: "tollbridge_records_consumed_total" Counter Count ""
        "Records read from the source topic; those read again count again.";
    Admitted: "tollbridge_admitted_total" Counter Count ""
        "Transactions put into the temp queue.";
    GatewayRequests: "tollbridge_gateway_requests_total" Counter Count "kind"
        "Requests to the gateway.";
    GatewayAnswers: "tollbridge_gateway_answers_total" Counter Count "outcome"
        "Answers of the gateway, by what they meant.";
    Fates: "tollbridge_fates_total" Counter Count "fate"
        "Source records whose fate has been committed to Kafka.";
    Swept: "tollbridge_swept_total" Counter Count ""
        "Transactions that were asked for again because they had grown old without an answer.";
    Parked: "tollbridge_parked_total" Counter Count ""
        "Transactions given up as in doubt.";
    StoreRows: "tollbridge_store_rows_total" Counter Count ""
        "Rows that the store has taken.";
    StoreRetries: "tollbridge_store_retries_total" Counter Count ""
        "Batches that the store did not take and that were tried again.";
    PublishTransactions: "tollbridge_publish_transactions_total" Counter Count "result"
        "Kafka transactions, by how they ended.";
    Producers: "tollbridge_producers_total" Counter Count ""
        "Transactional producers that were made: one at the start, one after each unclear commit.";
    Rebalances: "tollbridge_rebalances_total" Counter Count ""
        "Times that the group gave or took partitions.";
    Reclaims: "tollbridge_reclaims_total" Counter Count ""
        "Times that Redis had lost a partition's epoch and the partition was claimed anew.";
    Refilled: "tollbridge_refilled_total" Counter Count ""
        "Entries that Redis had lost and that were put back.";
    Alerts: "tollbridge_alerts_total" Counter Count ""
        "Alerts raised or cleared.";
    AlertReading: "tollbridge_alert_reading" Gauge Count "rule"
        "What a rule of the alerts reads, in its unit; NaN where another process speaks, or it is not known.";
    AlertRaised: "tollbridge_alert_raised" Gauge Count "rule"
        "1 while the rule is raised, in the process that speaks for the group.";
    QueueDepth: "tollbridge_queue_depth" Gauge Count "queue"
        "Entries in Redis: of the owned partitions, or of the whole group where partition 0 is among them.";
    Held: "tollbridge_held" Gauge Count "queue"
        "Transactions of this process before their approval (temp) and from there to the commit (archive).";
    QueueOldest: "tollbridge_queue_oldest_seconds" Gauge Seconds "queue"
        "Age of the oldest entry of this process in a queue.";
    InFlight: "tollbridge_in_flight" Gauge Count ""
        "Requests to the gateway that are on their way.";
    InFlightLimit: "tollbridge_in_flight_limit" Gauge Count ""
        "How many of them there may be now: fewer than configured while the gateway is slower than usual.";
    RateLimit: "tollbridge_rate_limit" Gauge Count ""
        "Requests a second that are this process's share of the limit; +Inf without one.";
    BreakerOpen: "tollbridge_breaker_open" Gauge Count ""
        "1 while the gateway is away and only single requests try it.";
    IntakePaused: "tollbridge_intake_paused" Gauge Count "reason"
        "1 while records are not asked for, for this reason.";
    StageSeconds: "tollbridge_stage_seconds" Histogram Seconds "stage"
        "How long a call took, failures included; end_to_end: from reading a record to the commit of its fate.";
    ConsumerLag: "tollbridge_consumer_lag" Gauge Count "partition"
        "Records between the watermark and the end of an owned partition.";
    WatermarkAge: "tollbridge_watermark_age_seconds" Gauge Seconds "partition"
        "How long ago the record at the watermark was read.";
    Unfinished: "tollbridge_unfinished_offsets" Gauge Count "partition"
        "Records that were read and whose fate is not committed yet.";
    CutLag: "tollbridge_cut_lag" Gauge Count "partition"
        "Offsets between the watermark and the cut.";
    BuildInfo: "tollbridge_build_info" Gauge Count "version"
        "1, with the version that runs.";
    ProcessStartTime: "process_start_time_seconds" Gauge Seconds ""
        "When the process started, since 1970.";
    ProcessResidentMemory: "process_resident_memory_bytes" Gauge Bytes ""
        "Resident memory.";
    ProcessCpu: "process_cpu_seconds_total" Counter Seconds ""
        "Processor time used, of the user and the system.";
    ProcessOpenFiles: "process_open_fds" Gauge Count ""
        "Open files.";
    ProcessMaxFiles: "process_max_fds" Gauge Count ""
        "How many files may be open.";
}

impl Metric {
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
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
        for Spec { name, kind, unit, help, .. } in Metric::ALL.iter().map(|m| m.spec()) {
            assert!(name.starts_with("tollbridge_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_seconds"), unit == Unit::Seconds, "{name}");
            assert_eq!(base.ends_with("_bytes"), unit == Unit::Bytes, "{name}");
            assert!(help.ends_with('.') && help.len() > 5, "{name}");
        }
    }

    /// Rows of `docs/metrics.md`: name, kind, label, help.
    #[test]
    fn the_documentation_has_this_list() {
        let rows = Metric::ALL.iter().map(|metric| {
            let Spec { name, kind, label, help, .. } = metric.spec();
            let label = if label.is_empty() { String::new() } else { format!("`{label}`") };
            let kind = format!("{kind:?}").to_lowercase();
            format!("| `{name}` | {kind} | {label} | {help} |")
        });
        let documented: Vec<&str> = include_str!("../../docs/metrics.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        assert_eq!(documented, rows.collect::<Vec<_>>());
    }
}
