//! `rig up` and `rig down`: everything started and left running, to be played with. One process of our own
//! holds it all, so that nothing can be left over: when that ends, the kernel ends the rest.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tollbridge_rig::wait::{wait_for, wait_until};
use tollbridge_rig::{Error, Processor, Result, Signal, Stack, StackOptions, Store};

const UP_LIMIT: Duration = Duration::from_secs(180);
const PROCESSOR_STOP_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);

fn failed(what: &str, e: impl std::fmt::Display) -> Error {
    Error::new(format!("cannot {what}: {e}"))
}

/// Starts everything and prints what can be tried.
pub fn up(folder: &Path, tollbridge: &Path) -> Result<()> {
    if let Some(state) = living(folder) {
        println!("It is up already (pid {}). `make down` ends it.", state["pid"]);
        print_commands(&state, tollbridge);
        return Ok(());
    }
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).map_err(|e| failed("make the folder", e))?;
    let log = folder.join("rig.log");
    let output = fs::File::create(&log).map_err(|e| failed("write rig.log", e))?;
    let errors = output.try_clone().map_err(|e| failed("write rig.log", e))?;
    let rig = std::env::current_exe().map_err(|e| failed("find myself", e))?;
    // A session of its own: it outlives this terminal.
    let mut holder = Command::new("setsid")
        .arg(rig)
        .arg("hold")
        .env("TOLLBRIDGE", tollbridge)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|e| failed("start setsid", e))?;
    let state = wait_for("everything to be up", UP_LIMIT, || match holder.try_wait() {
        Ok(None) => Ok(living(folder)),
        _ => {
            let said = fs::read_to_string(&log).unwrap_or_default();
            Err(Error::new(said.trim_start_matches("rig: ").trim_end()))
        }
    })?;
    println!("Up: Kafka {}, Redis {}.", state["kafka"], state["redis"]);
    print_commands(&state, tollbridge);
    Ok(())
}

/// The process behind `rig up`: starts everything, writes the state, and stays.
pub fn hold(folder: &Path, tollbridge: &Path) -> Result<()> {
    let store = std::env::var("STORE").ok().filter(|store| !store.is_empty());
    let stack = Stack::start(StackOptions {
        store: Store::named(store.as_deref().unwrap_or("sqlite"))?,
        latency: "20ms".into(),
        folder: Some(folder.to_owned()),
        ..StackOptions::new(tollbridge)
    })?;
    let processors = [stack.processor("processor-1")?, stack.processor("processor-2")?];
    for processor in &processors {
        processor.start()?;
    }
    for processor in &processors {
        processor.wait_ready()?;
    }
    let state = folder.join("state.json");
    let text = describe(&stack, &processors).to_string();
    // Renamed into place: whoever sees it sees it whole.
    let fresh = folder.join("state.json.new");
    fs::write(&fresh, text).map_err(|e| failed("write the state", e))?;
    fs::rename(&fresh, &state).map_err(|e| failed("write the state", e))?;
    loop {
        std::thread::park();
    }
}

fn describe(stack: &Stack, processors: &[Processor; 2]) -> Value {
    let services = [
        ("kafka", stack.kafka.pid()),
        ("redis", stack.redis.pid()),
        ("postgres", stack.postgres.as_ref().and_then(|postgres| postgres.pid())),
        ("clickhouse", stack.clickhouse.as_ref().and_then(|clickhouse| clickhouse.pid())),
        ("gateway-sim", stack.simulator_pid()),
    ];
    let services = services.into_iter().filter_map(|(name, pid)| Some(json!([name, mark(pid?)])));
    let processors = processors.iter().map(|processor| {
        json!({
            "name": processor.name, "config": processor.config, "log": processor.log,
            "port": processor.port, "process": processor.pid().map(mark),
        })
    });
    json!({
        "pid": std::process::id(),
        "process": mark(std::process::id()),
        "kafka": stack.kafka.bootstrap(),
        "redis": stack.redis.url(),
        "postgres": stack.postgres.as_ref().map(|postgres| postgres.url()),
        "clickhouse": stack.clickhouse.as_ref().map(|clickhouse| clickhouse.url()),
        "gateway": format!("http://127.0.0.1:{}", stack.simulator_port()),
        "ledger": stack.ledger(),
        "services": services.collect::<Vec<_>>(),
        "processors": processors.collect::<Vec<_>>(),
    })
}

fn print_commands(state: &Value, tollbridge: &Path) {
    let first = &state["processors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (program, config) = (tollbridge.display(), text(&first["config"]));
    println!("Try:");
    println!("  {program} generate --config {config} --count 1000 --rate 200");
    println!("  curl -s http://127.0.0.1:{}/metrics | grep tollbridge_fates", first["port"]);
    println!("  {program} reconcile --config {config} --ledger {}", text(&state["ledger"]));
}

/// Ends everything: the processors in order, then the holder and with it the rest.
pub fn down(folder: &Path) -> Result<()> {
    let Some(state) = living(folder) else {
        println!("Nothing is up.");
        return Ok(());
    };
    let each = |list: &str, field: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        state[list].as_array().into_iter().flatten().map(field).collect()
    };
    let processors = each("processors", &|processor| processor["process"].clone());
    for mark in &processors {
        signal(mark, Signal::TERM);
    }
    let stopped = || processors.iter().all(|mark| !is_alive(mark));
    if let Err(e) = wait_until("the processors to end", PROCESSOR_STOP_LIMIT, stopped) {
        eprintln!("rig: {e}; they are killed");
    }
    signal(&state["process"], Signal::KILL);
    let mut all = each("services", &|service| service[1].clone());
    all.extend(processors);
    all.push(state["process"].clone());
    wait_until("everything to end", STOP_LIMIT, || all.iter().all(|mark| !is_alive(mark)))?;
    fs::remove_file(folder.join("state.json")).map_err(|e| failed("remove the state", e))?;
    println!("Down. Logs, configurations and the ledger stay in {}.", folder.display());
    Ok(())
}

/// The state, where its holder lives.
fn living(folder: &Path) -> Option<Value> {
    let text = fs::read_to_string(folder.join("state.json")).ok()?;
    let state: Value = serde_json::from_str(&text).ok()?;
    is_alive(&state["process"]).then_some(state)
}

/// A process id with the time it began: the number alone may by now be someone else's.
fn mark(pid: u32) -> Value {
    json!([pid, began(u64::from(pid))])
}

fn is_alive(mark: &Value) -> bool {
    let now = mark[0].as_u64().and_then(began);
    now.is_some() && now == mark[1].as_u64()
}

fn signal(mark: &Value, signal: Signal) {
    if is_alive(mark) {
        let pid = mark[0].as_i64().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            tollbridge_rig::process::signal_pid(pid, signal).ok();
        }
    }
}

/// When a living process began, in ticks since boot.
fn began(pid: u64) -> Option<u64> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    if *fields.first()? == "Z" {
        return None;
    }
    fields.get(19)?.parse().ok()
}
