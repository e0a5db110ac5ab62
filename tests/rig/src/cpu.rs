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

/// The first of utime, stime, cutime and cstime: fields 14 to 17, field 2 being a name in brackets, which may contain
/// anything.
fn ticks(stat: &str, fields: usize) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').skip(11).take(fields).map(|field| field.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{cpu_time, ticks};

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
}
