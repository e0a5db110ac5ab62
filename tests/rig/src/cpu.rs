//! What processes have used of the CPUs, from Linux's own account of them.

use std::fs;
use std::time::Duration;

use crate::error::{Error, Result};

/// The kernel's unit of account.
pub const TICK: Duration = Duration::from_millis(10);

/// Of one process so far; `with_ended`: and of its children that have ended.
///
/// # Errors
/// There is no such process.
pub fn cpu_time(pid: u32, with_ended: bool) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|e| Error::new(format!("{path}: {e}")))?;
    let ticks = ticks(&stat, if with_ended { 4 } else { 2 });
    ticks.map(|ticks| TICK * ticks).ok_or_else(|| Error::new(format!("{path}: {stat:?}")))
}

/// Of the threads of a process that have such a name, as far as they live.
#[must_use]
pub fn threads_time(pid: u32, is_one: impl Fn(&str) -> bool) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let of = |stat: String| {
        let (_, name) = stat.rsplit_once(") ")?.0.split_once('(')?;
        if is_one(name) { ticks(&stat, 2) } else { None }
    };
    TICK * stats.filter_map(of).sum::<u32>()
}

/// The first of utime, stime, cutime and cstime: fields 14 to 17, field 2 being a name in brackets, which may contain
/// anything.
fn ticks(stat: &str, fields: usize) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').skip(11).take(fields).map(|field| field.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{cpu_time, threads_time, ticks};
    use std::time::{Duration, Instant};

    #[test]
    fn own_work_and_that_of_children_counts() {
        let stat = "7 (a ) name) S 1 2 3 4 5 6 7 8 9 10 100 20 3 1 20 0";
        assert_eq!(ticks(stat, 4), Some(124));
        assert_eq!(ticks(stat, 2), Some(120));
        let seconds = || cpu_time(std::process::id(), true).unwrap();
        let before = seconds();
        let busy = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .status();
        assert!(busy.unwrap().success());
        assert!(seconds() > before);
    }

    #[test]
    fn threads_are_told_apart_by_their_names() {
        let own = |name: &'static str| threads_time(std::process::id(), move |other| other == name);
        let begun = Instant::now();
        let is_counted = move || {
            while own("spins").is_zero() && begun.elapsed() < Duration::from_secs(10) {}
            !own("spins").is_zero()
        };
        let spins = std::thread::Builder::new().name("spins".into()).spawn(is_counted).unwrap();
        assert!(spins.join().unwrap(), "a thread that works has a time");
        assert!(own("nobody").is_zero());
    }
}
