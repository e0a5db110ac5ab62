//! `[alerts]`: for each rule the value that raises it, the lower one that clears it, and how long it must last.

use std::time::Duration;

use super::reader::Reader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alerts {
    pub temp_depth: Rule,
    pub archive_depth: Rule,
}

/// Raised when the value has been at or above `raise` for `lasting`; cleared when it is at or below `clear`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub raise: u64,
    pub clear: u64,
    /// The key is `for`.
    pub lasting: Duration,
}

impl Alerts {
    /// Depths are counted over the whole group, so that a level may well be above the limits of one process; unset, a
    /// rule is raised at three quarters of this process's limit and cleared at a quarter.
    pub(super) fn read(r: &mut Reader<'_>, max_temp: usize, max_archive: usize) -> Self {
        Self {
            temp_depth: rule(r, "temp_depth", max_temp),
            archive_depth: rule(r, "archive_depth", max_archive),
        }
    }
}

fn rule(r: &mut Reader<'_>, name: &str, limit: usize) -> Rule {
    let key = |part: &str| format!("alerts.{name}.{part}");
    let raise = r.or(&key("raise"), (limit as u64 * 3 / 4).max(1));
    let clear = r.or(&key("clear"), raise / 3);
    if raise == 0 {
        let problem = "it would be raised with nothing to tell";
        r.refuse(&key("raise"), problem, "Choose a value above 0.");
    }
    if clear >= raise && raise > 0 {
        let problem = format!("{clear} is not below {} ({raise})", key("raise"));
        r.refuse(&key("clear"), problem, "Choose a lower value.");
    }
    Rule { raise, clear, lasting: r.period(&key("for"), "10s", ["0s", "1d"]) }
}
