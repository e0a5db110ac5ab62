//! What processes cost, as the kernel counts it: CPU time to a hundredth of a second, and memory. Nothing is sampled.

use std::fs;
use std::time::Duration;

use tollbridge_rig::cpu::{TICK, cpu_time, threads_time};
use tollbridge_rig::{Error, Result};

/// Processes, by name; a process stands for its children too. New ones come at the end.
#[derive(Debug, Clone)]
pub struct Watched(pub Vec<(&'static str, u32)>);

/// CPU time spent so far.
#[derive(Debug, Clone)]
pub struct Spent {
    pub each: Vec<(&'static str, Duration)>,
    /// By the threads of Java's that compile, a part of the above: none in a process that has run for long.
    pub compilers: Duration,
    /// By everything on this machine.
    pub machine: Duration,
}

impl Watched {
    pub fn spent(&self) -> Result<Spent> {
        let mut each = Vec::new();
        for (name, pid) in &self.0 {
            each.push((*name, tree(*pid)?));
        }
        let compilers = self.0.iter().map(|(_, pid)| compilers(*pid)).sum();
        Ok(Spent { each, compilers, machine: machine()? })
    }
}

impl Spent {
    /// What was spent since; of processes that were not watched then, all of it.
    pub fn since(&self, before: &Self) -> Self {
        let earlier =
            before.each.iter().map(|(_, spent)| *spent).chain(std::iter::repeat(Duration::ZERO));
        let each = self
            .each
            .iter()
            .zip(earlier)
            .map(|((name, spent), earlier)| (*name, spent.saturating_sub(earlier)));
        Self {
            each: each.collect(),
            compilers: self.compilers.saturating_sub(before.compilers),
            machine: self.machine.saturating_sub(before.machine),
        }
    }

    /// Of all processes of this name.
    pub fn of(&self, name: &str) -> Duration {
        self.each.iter().filter(|(n, _)| *n == name).map(|(_, spent)| *spent).sum()
    }

    /// Each one's share of what all cores spent, in percent.
    pub fn in_words(&self) -> String {
        let of =
            |spent: Duration| 100.0 * spent.as_secs_f64() / self.machine.as_secs_f64().max(0.01);
        let each = self.each.iter().map(|(name, spent)| format!("{name} {:.0} %", of(*spent)));
        format!(
            "of the CPU time: {}, others {:.0} %",
            each.collect::<Vec<_>>().join(", "),
            of(self.others())
        )
    }

    /// By processes that are none of ours; the bench's own waiting is in it.
    pub fn others(&self) -> Duration {
        self.machine.saturating_sub(self.each.iter().map(|(_, spent)| *spent).sum())
    }
}

/// Microseconds of each of so many.
pub fn us_of_each(spent: Duration, count: u32) -> f64 {
    spent.as_secs_f64() * 1e6 / f64::from(count)
}

/// The highest resident memory of a process so far, in bytes.
pub fn memory_peak(pid: u32) -> Result<u64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Error::new(format!("no VmHWM of process {pid}")))
}

/// The resident memory of a process now, in bytes.
pub fn memory_now(pid: u32) -> Result<u64> {
    let statm = read(&format!("/proc/{pid}/statm"))?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.map(|pages| pages * 4_096).ok_or_else(|| Error::new(format!("no memory of {pid}")))
}

/// Of a process, its children, and its children that have ended.
fn tree(pid: u32) -> Result<Duration> {
    let mut all = cpu_time(pid, true)?;
    for child in children(pid) {
        // One that has ended meanwhile is counted by its parent.
        all += cpu_time(child, false).unwrap_or_default();
    }
    Ok(all)
}

/// Of the threads that a Java process names so; with two processors it keeps one of each as long as it lives.
fn compilers(pid: u32) -> Duration {
    threads_time(pid, |name| name.starts_with("C1 Comp") || name.starts_with("C2 Comp"))
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Time that any processor was busy: all fields but idle and waiting for a disk.
fn machine() -> Result<Duration> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let numbers = line.split_whitespace().skip(1).map(|n| n.parse::<u32>().unwrap_or(0));
    let busy = numbers.take(8).enumerate().filter(|(i, _)| ![3, 4].contains(i)).map(|(_, n)| n);
    Ok(TICK * busy.sum::<u32>())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::new(format!("{path}: {e}")))
}

/// Processors and memory, in words.
pub fn machine_in_words() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores, {} GiB, load {load} before", kib >> 20)
}
