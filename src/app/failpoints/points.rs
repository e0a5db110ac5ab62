//! Points at which a process dies, or keeps a call waiting: before it leaves, or when its answer has come and the
//! pipeline does not know it yet.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::config::units::Period;

/// The calls, as the pipeline names them.
const CALLS: [&str; 18] = [
    "committed",
    "membership",
    "commit",
    "renew",
    "claim",
    "admit",
    "settle",
    "mark",
    "remove",
    "missing",
    "scan",
    "depths",
    "charge",
    "lookup",
    "ask",
    "store",
    "add_sources",
    "survey",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// `commit:after:3`: dies after the third commit. `commit:before:3:2s`: every third commit waits for two seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) call: &'static str,
    side: Side,
    nth: u64,
    wait: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BadPoint {
    #[error(
        "write CALL:before:N or CALL:after:N to die at the Nth, with a duration behind to wait at every Nth"
    )]
    Form,
    #[error("there is no call {0:?}; there are {calls}", calls = CALLS.join(", "))]
    Call(String),
    #[error("{0:?} is no number from 1")]
    Number(String),
    #[error("{0:?} is no duration: {1}")]
    Wait(String, String),
}

impl FromStr for Point {
    type Err = BadPoint;

    fn from_str(text: &str) -> Result<Self, BadPoint> {
        let parts: Vec<&str> = text.split(':').collect();
        let (call, side, nth, wait) = match parts[..] {
            [call, side, nth] => (call, side, nth, None),
            [call, side, nth, wait] => (call, side, nth, Some(wait)),
            _ => return Err(BadPoint::Form),
        };
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            _ => return Err(BadPoint::Form),
        };
        let known = CALLS.into_iter().find(|known| *known == call);
        let nth =
            nth.parse().ok().filter(|nth| *nth > 0).ok_or(BadPoint::Number(nth.to_owned()))?;
        let period = |text: &str| {
            let period: Result<Period, _> = text.parse();
            period.map(|p| p.0).map_err(|why| BadPoint::Wait(text.to_owned(), why.to_string()))
        };
        Ok(Self {
            call: known.ok_or_else(|| BadPoint::Call(call.to_owned()))?,
            side,
            nth,
            wait: wait.map(period).transpose()?,
        })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(f, "{}:{side}:{}", self.call, self.nth)?;
        self.wait.map_or(Ok(()), |wait| write!(f, ":{}ms", wait.as_millis()))
    }
}

impl Point {
    /// A call of this name is here, the `number`th. What is written is what the kill suite looks for.
    pub(super) async fn reached(&self, side: Side, number: u64) {
        if side != self.side {
            return;
        }
        match self.wait {
            None if number == self.nth => {
                eprintln!("dies at {self}");
                kill_process(getpid(), Signal::KILL).ok();
                // Until the signal has come.
                std::future::pending::<()>().await;
            }
            Some(wait) if number.is_multiple_of(self.nth) => {
                eprintln!("waits at {self}");
                tokio::time::sleep(wait).await;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_told_alike() {
        for text in ["commit:after:3", "charge:before:1", "store:before:12:2500ms"] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_point_is_told_with_the_remedy() {
        for (text, remedy) in [
            ("", "CALL:before:N"),
            ("commit", "CALL:before:N"),
            ("commit:during:1", "CALL:before:N"),
            ("commit:after:1:2s:3", "CALL:before:N"),
            ("flush:after:1", "there are committed, membership, commit"),
            ("commit:after:0", "no number from 1"),
            ("commit:after:-1", "no number from 1"),
            ("commit:after:1:soon", "no duration"),
        ] {
            let why = text.parse::<Point>().unwrap_err().to_string();
            assert!(why.contains(remedy), "{text:?} gave {why}");
        }
    }
}
