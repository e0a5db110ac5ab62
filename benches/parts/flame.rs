//! Where the processor spends its time, for a picture: a run of a route with `perf` beside it, which slows it down, so
//! that it has no figures. What `perf` says of each sample goes to a file that `make flame` draws.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tollbridge_rig::{Error, Launch, Result};

use super::delay::Delay;
use super::route::{Route, Setup};

/// Samples a second. Each holds so many bytes of the stack: the released binary keeps no frame pointers.
const SAMPLES: &str = "199";
const STACK: &str = "dwarf,16384";
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Unwinding takes some milliseconds a sample.
const UNWIND_LIMIT: Duration = Duration::from_secs(900);

/// Runs an item's route once; the file of samples.
pub fn sample(item: &str) -> Result<PathBuf> {
    let setup = match item {
        "a1" => Setup { delay: Delay::Always(50), ..Setup::at_once(60_000) },
        "a2" => Setup::at_once(300_000),
        _ => return Err(Error::new(format!("ITEM is {item:?}: a1 and a2 have a picture"))),
    };
    let folder = PathBuf::from(".rig/flame");
    fs::create_dir_all(&folder).map_err(|e| Error::new(format!("{}: {e}", folder.display())))?;
    let (samples, told) = (folder.join(format!("{item}.data")), folder.join(format!("{item}.txt")));
    let route = Route::ready(&setup)?;
    let pid = *route.start()?.first().ok_or_else(|| Error::new("the processor does not run"))?;
    route.wait_owned()?;
    let perf = Launch::new("perf")
        .args(["record", "-q", "-F", SAMPLES, "--call-graph", STACK, "-p", &pid.to_string(), "-o"])
        .arg(&samples)
        .start()?;
    route.wait_committed(setup.transactions)?;
    perf.terminate(STOP_LIMIT)?;
    route.end(setup.transactions)?;
    let unwind = Launch::new("perf")
        .args(["script", "--no-inline", "-i"])
        .arg(&samples)
        .stdout(told.clone())
        .start()?;
    let ended = unwind.wait(UNWIND_LIMIT)?;
    if !ended.success() {
        return Err(Error::new(format!("perf script: {ended}\n{}", unwind.log_tail())));
    }
    Ok(told)
}
