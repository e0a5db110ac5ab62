//! The rig's command line. It deliberately leaves building to `make`, and decides nothing that a test would
//! want too: that is in the library.

mod demo;
mod up;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use tollbridge_rig::{Error, Result, cache, gateways};

const USAGE: &str = "\
usage: rig install [PART …] finds or installs what is missing; PART is kafka, valkey, clickhouse, promtool, registry
                            or gateways; without one, all but the gateways
       rig up | down        starts everything and leaves it running; ends it
       rig demo             STORE=sqlite|postgres|clickhouse SEED=number
       rig soak-demo RUNS   the demo RUNS times";
/// What `sysexits.h` calls EX_USAGE and EX_UNAVAILABLE.
const WRONG_USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const UP: &str = ".rig/up";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["install", parts @ ..] if parts.iter().all(|part| is_part(part)) => {
            return install(parts);
        }
        ["up"] => tollbridge().and_then(|tollbridge| up::up(Path::new(UP), &tollbridge)),
        ["hold"] => tollbridge().and_then(|tollbridge| up::hold(Path::new(UP), &tollbridge)),
        ["down"] => up::down(Path::new(UP)),
        ["demo"] => tollbridge()
            .and_then(demo::DemoOptions::from_environment)
            .and_then(|options| demo::run(&options)),
        ["soak-demo", runs] => soak(runs),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rig: {e}");
            ExitCode::FAILURE
        }
    }
}

fn soak(runs: &str) -> Result<()> {
    let runs = runs.parse().map_err(|e| Error::new(format!("RUNS must be a whole number: {e}")))?;
    match demo::soak(runs, Path::new(".rig/soak"))? {
        true => Ok(()),
        false => Err(Error::new("not every run balanced")),
    }
}

type Part = (&'static str, fn() -> Result<()>);
/// They come from four registries, and only `make foreign` needs them.
const GATEWAYS: &str = "gateways";
const PARTS: [Part; 6] = [
    ("kafka", || cache::kafka().map(drop)),
    ("valkey", || cache::valkey().map(drop)),
    ("clickhouse", || cache::clickhouse().map(drop)),
    ("promtool", || cache::promtool().map(drop)),
    ("registry", || cache::registry().map(drop)),
    (GATEWAYS, gateways::install),
];

fn is_part(word: &str) -> bool {
    PARTS.iter().any(|(name, _)| *name == word)
}

/// The system's packages by the script that also runs before anything is built, then the parts that are wanted: all,
/// but the gateways of others, where none is named.
fn install(wanted: &[&str]) -> ExitCode {
    const SCRIPT: &str = include_str!("../install.sh");
    let packages = Command::new("sh").args(["-c", SCRIPT]).stdin(Stdio::null()).status();
    if !packages.is_ok_and(|status| status.success()) {
        return ExitCode::from(UNAVAILABLE);
    }
    let is_wanted = |name: &str| match wanted {
        [] => name != GATEWAYS,
        wanted => wanted.contains(&name),
    };
    let mut parts = PARTS.iter().filter(|(name, _)| is_wanted(name));
    match parts.try_for_each(|(_, part)| part()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rig: {e}");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

/// The product's release binary: `TOLLBRIDGE`, else where cargo puts it.
fn tollbridge() -> Result<PathBuf> {
    let named = std::env::var_os("TOLLBRIDGE").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| "target/release/tollbridge".into());
    match binary.exists() {
        true => Ok(binary),
        false => {
            let place = binary.display();
            Err(Error::new(format!("{place} is not there; `cargo build --release` makes it")))
        }
    }
}
