//! What the gateway stub itself costs: `wrk` asks it for charges as fast as it can. The route's figures are worth
//! something only while this is small.
#![allow(clippy::disallowed_methods, reason = "a bench has its own clock")]

mod parts;

use std::process::ExitCode;
use std::time::Duration;

use parts::cost::Watched;
use parts::stub::{Stub, is_asked_for};
use tollbridge_rig::{Error, Launch, Result, TempDir};

const MOST_US: f64 = 8.0;

/// Requests as the processor makes them, each with an id of its own.
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

fn main() -> ExitCode {
    if let Some(ended) = is_asked_for() {
        return ended;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stub: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let folder = TempDir::new("wrk")?;
    let script = folder.join("charge.lua");
    std::fs::write(&script, SCRIPT).map_err(|e| Error::new(format!("write the script: {e}")))?;
    let stub = Stub::start(Duration::ZERO)?;
    let watched = Watched(vec![("stub", stub.pid())]);
    let before = watched.spent()?;
    let said = Launch::new("wrk")
        .args(["-t1", "-c256", "-d8s", "-s"])
        .arg(&script)
        .arg(format!("http://127.0.0.1:{}/charges", stub.port))
        .run(Duration::from_secs(30))?;
    let spent = watched.spent()?.since(&before).of("stub");
    let requests = stub.totals()?.requests;
    if requests == 0 || said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(Error::new(format!("wrk is not content:\n{said}")));
    }
    let count = f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
    let each = spent.as_secs_f64() * 1e6 / count;
    println!("stub: {requests} requests, {each:.2} µs of CPU each (at most {MOST_US})");
    if each <= MOST_US { Ok(()) } else { Err(Error::new("the stub costs too much")) }
}
