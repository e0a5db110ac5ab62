//! The witness from outside: `wrk` asks the stub for charges as fast as it can, with requests as the processor makes
//! them.

use std::time::Duration;

use tollbridge_rig::{Error, Launch, Result, TempDir};

use super::cost::{Watched, us_of_each};
use super::delay::Delay;
use super::stub::Stub;

/// Each with an id of its own.
const SCRIPT: &str = r#"
local n = 0
function request()
  n = n + 1
  local id = string.format("bench-%08d", n)
  local body = '{"transaction_id":"' .. id .. '","account_id":"acct-001234","amount":1250,"currency":"EUR",' ..
    '"payment_method":"pm_card_0123456789abcdef","description":"Order 4711, two items"}'
  return wrk.format("POST", "/charges", {["content-type"]="application/json", ["idempotency-key"]=id}, body)
end
"#;

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Wrk {
    /// A second.
    pub rate: f64,
    /// CPU time of the stub, microseconds a request.
    pub stub_us: f64,
}

pub fn run(connections: u32, seconds: u64) -> Result<Wrk> {
    let folder = TempDir::new("wrk")?;
    let script = folder.join("charge.lua");
    std::fs::write(&script, SCRIPT).map_err(|e| Error::new(format!("write the script: {e}")))?;
    let stub = Stub::start(Delay::None)?;
    let watched = Watched(vec![("stub", stub.pid())]);
    let before = watched.spent()?;
    let said = Launch::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("http://127.0.0.1:{}/charges", stub.port))
        .run(Duration::from_secs(seconds + 20))?;
    let spent = watched.spent()?.since(&before).of("stub");
    let requests = u32::try_from(stub.totals()?.requests).unwrap_or(u32::MAX);
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|rate| rate.trim().parse().ok());
    match rate {
        Some(rate)
            if requests > 0 && !said.contains("Non-2xx") && !said.contains("Socket errors") =>
        {
            Ok(Wrk { rate, stub_us: us_of_each(spent, requests) })
        }
        _ => Err(Error::new(format!("wrk is not content:\n{said}"))),
    }
}
