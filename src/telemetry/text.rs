//! Metrics that are looked at when somebody asks, written in Prometheus's text form: those of a partition, which must
//! vanish with it, and those of the process, which the kernel counts.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::metric::{Kind, Metric};
use crate::domain::id::Partition;
use crate::domain::time::Wall;

/// What is known of an owned partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionView {
    /// Records from the committed watermark to the end of the log.
    pub lag: u64,
    /// How long the record at the watermark has been unfinished, in microseconds; 0 with nothing unfinished.
    pub watermark_age_us: u64,
    /// Offsets that were read and have no committed fate.
    pub unfinished: u64,
    /// Offsets from the watermark to the cut.
    pub cut_lag: u64,
}

/// The gauges of the owned partitions.
pub fn partitions(out: &mut String, views: &BTreeMap<Partition, PartitionView>) {
    let mut family = |metric: Metric, value: &dyn Fn(&PartitionView) -> f64| {
        head(out, metric);
        for (partition, view) in views {
            line(out, metric, &format!("{{partition=\"{partition}\"}}"), value(view));
        }
    };
    family(Metric::ConsumerLag, &|view| float(view.lag));
    family(Metric::WatermarkAge, &|view| float(view.watermark_age_us) / 1e6);
    family(Metric::Unfinished, &|view| float(view.unfinished));
    family(Metric::CutLag, &|view| float(view.cut_lag));
}

/// The numbers of this process; what the system does not tell is left out.
pub fn process(out: &mut String, started: Wall, max_files: Option<u64>) {
    let mut one = |metric: Metric, value: Option<f64>| {
        if let Some(value) = value {
            head(out, metric);
            line(out, metric, "", value);
        }
    };
    let started = u64::try_from(started.0).ok();
    one(Metric::ProcessStartTime, started.map(|micros| float(micros) / 1e6));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    one(Metric::ProcessResidentMemory, resident_bytes(&status));
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    one(Metric::ProcessCpu, cpu_seconds(&stat));
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|files| float(files.count() as u64));
    one(Metric::ProcessOpenFiles, open);
    one(Metric::ProcessMaxFiles, max_files.map(float));
}

fn head(out: &mut String, metric: Metric) {
    let spec = metric.spec();
    let kind = match spec.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    write!(out, "# HELP {0} {1}\n# TYPE {0} {kind}\n", spec.name, spec.help).ok();
}

fn line(out: &mut String, metric: Metric, labels: &str, value: f64) {
    writeln!(out, "{}{labels} {value}", metric.name()).ok();
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn float(n: u64) -> f64 {
    n as f64
}

/// `VmRSS:   12345 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(float(kib * 1024))
}

/// The 14th and 15th field of `/proc/self/stat`, in hundredths of a second. The name in the second field may hold
/// spaces and parentheses, so fields are counted from its last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let ticks: u64 = times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?;
    Some(float(ticks) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_come_and_go() {
        let view = PartitionView { lag: 5, watermark_age_us: 1_500_000, unfinished: 3, cut_lag: 2 };
        let mut text = String::new();
        partitions(&mut text, &BTreeMap::from([(Partition(4), view)]));
        for line in [
            "# TYPE tollbridge_consumer_lag gauge",
            "tollbridge_consumer_lag{partition=\"4\"} 5",
            "tollbridge_watermark_age_seconds{partition=\"4\"} 1.5",
            "tollbridge_unfinished_offsets{partition=\"4\"} 3",
            "tollbridge_cut_lag{partition=\"4\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        let mut text = String::new();
        partitions(&mut text, &BTreeMap::new());
        assert!(!text.contains("partition="), "{text}");
    }

    #[test]
    fn the_kernel_is_read_right() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        let mut text = String::new();
        process(&mut text, Wall(1_500_000), Some(1024));
        for name in ["process_start_time_seconds 1.5", "process_max_fds 1024"] {
            assert!(text.lines().any(|l| l == name), "{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains("process_cpu_seconds_total "), "{text}");
        assert!(text.contains("process_open_fds "), "{text}");
    }
}
