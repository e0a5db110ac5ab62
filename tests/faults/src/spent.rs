//! How much of a processor this process has used, with all that it started and that has ended since. Deliberately
//! read from Linux's own account of a process, like everything here that looks at processes.

use std::fs;

/// The kernel's unit of account, in seconds.
const TICK: f64 = 0.01;

/// Seconds, over all processors; 0 where the kernel does not tell.
#[must_use]
pub fn processor_seconds() -> f64 {
    let told = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&told).map_or(0.0, |ticks| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) * TICK)
}

/// utime, stime, cutime and cstime: fields 14 to 17, the name's brackets being field 2.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{processor_seconds, ticks};

    #[test]
    fn own_work_and_that_of_children_counts() {
        let stat = "7 (a ) name) S 1 2 3 4 5 6 7 8 9 10 100 20 3 1 20 0";
        assert_eq!(ticks(stat), Some(124));
        let before = processor_seconds();
        let busy = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .status();
        assert!(busy.unwrap().success());
        assert!(processor_seconds() > before);
    }
}
