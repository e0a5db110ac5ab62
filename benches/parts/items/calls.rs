//! What the processor asks of the kernel and of Redis, counted from outside in a run of its own: `strace` and `MONITOR`
//! slow it down, so that it has no rate.

use std::fs;
use std::time::Duration;

use tollbridge_rig::{Error, Launch, Result};

use super::Size;
use crate::parts::findings::{Finding, Report, Target};
use crate::parts::route::{Route, Setup};

const STOP_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn c4(size: Size) -> Result<Report> {
    let setup = Setup::at_once(size.count(100_000));
    let count = f64::from(setup.transactions);
    let route = Route::ready(&setup)?;
    let (summary, said) = (route.stack.file("strace.txt"), route.stack.file("monitor.txt"));
    let url = route.stack.redis.url();
    let monitor = Launch::new("redis-cli")
        .args(["-u", url.as_str(), "MONITOR"])
        .stdout(said.clone())
        .start()?;
    let pid = *route.start()?.first().ok_or_else(|| Error::new("the processor does not run"))?;
    let strace = Launch::new("strace")
        .args(["-f", "-c", "-o"])
        .arg(&summary)
        .args(["-p", &pid.to_string()])
        .start()?;
    route.wait_committed(setup.transactions)?;
    strace.terminate(STOP_LIMIT)?;
    monitor.terminate(STOP_LIMIT)?;
    route.end(setup.transactions)?;
    let text = fs::read_to_string(&summary).map_err(|e| Error::new(format!("strace: {e}")))?;
    let calls = system_calls(&text).ok_or_else(|| Error::new(format!("strace said:\n{text}")))?;
    let text = fs::read_to_string(&said).map_err(|e| Error::new(format!("MONITOR: {e}")))?;
    let asked = text.lines().filter(|line| is_asked(line)).count();
    let asked = f64::from(u32::try_from(asked).unwrap_or(u32::MAX));
    Ok(Report {
        findings: vec![
            Finding::one("system calls (c4)", calls / count, "/tx", Target::AtMost(3.0, 4.5))?,
            Finding::one("Redis calls (c3)", asked / count, "/tx", Target::AtMost(0.1, 0.25))?,
        ],
        notes: vec![format!(
            "{count} transactions; strace -c and MONITOR beside them, from the start"
        )],
    })
}

/// A client's command; those of scripts are told with `lua` in the place of an address.
fn is_asked(line: &str) -> bool {
    line.contains('[') && !line.contains(" lua]")
}

/// The fourth column of the last line: `100.00 1.234567 1 456789 12 total`.
fn system_calls(summary: &str) -> Option<f64> {
    let total = summary.lines().rev().find(|line| line.trim_end().ends_with("total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}
