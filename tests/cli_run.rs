//! `run` as its operators see it, on real services: what it logs, shows on a terminal and serves; that the rights
//! which the runbook grants are enough; and that everything it lacks at the start is named at once.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tollbridge_rig::cpu::cpu_time;
use tollbridge_rig::stack::wait_worked_off;
use tollbridge_rig::{Launch, Stack, StackOptions, Store, free_port, http, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tollbridge");
const LIMIT: Duration = Duration::from_secs(120);
const SETTINGS: [(&str, &str, &str); 2] =
    [("kafka", "instance_id", "\"one\""), ("log", "format", "\"auto\"")];

fn stack() -> Stack {
    let settings = SETTINGS.map(|(section, key, value)| (section.into(), key.into(), value.into()));
    Stack::start(StackOptions {
        store: Store::Postgres,
        settings: settings.into(),
        ..StackOptions::new(BINARY)
    })
    .unwrap()
}

fn runbook() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md"))
        .unwrap()
}

/// The first block of this language in the runbook.
fn block(language: &str) -> String {
    let page = runbook();
    let start = page.split(&format!("```{language}\n")).nth(1).unwrap();
    start.split("```").next().unwrap().to_owned()
}

/// A user of Redis and a role of PostgreSQL with the rights of the runbook: their URLs.
fn granted(stack: &Stack) -> [(&'static str, String); 2] {
    let acl = block("redis");
    let words: Vec<&str> = acl.split_whitespace().collect();
    stack.redis.command(&words).unwrap();
    let redis = stack.redis.url().replace("redis://", "redis://tollbridge:CHANGE-ME@");
    let postgres = stack.postgres.as_ref().unwrap();
    let (server, database) = (postgres.url(), "postgres");
    assert!(server.ends_with(&format!("/{database}")), "{server}");
    let grants = block("sql");
    assert_eq!(grants.matches("GRANT ").count(), 3);
    postgres.psql("CREATE ROLE tollbridge LOGIN PASSWORD 'pw'").unwrap();
    postgres.psql(&grants).unwrap();
    let address = server.rsplit_once('@').unwrap().1;
    let store = format!("postgres://tollbridge:pw@{address}");
    [("TOLLBRIDGE_REDIS__URL", redis), ("TOLLBRIDGE_STORE__URL", store)]
}

fn generate(stack: &Stack, config: &Path, count: u32, seed: u32) {
    let (count, seed) = (count.to_string(), seed.to_string());
    let args = ["--count", &count, "--seed", &seed, "--mix", "declined=5%,invalid=2%,duplicate=2%"];
    stack.command("generate", config).args(args).run(LIMIT).unwrap();
}

#[test]
fn an_operators_view() {
    let stack = stack();
    let config = stack.write_config("one", "off").unwrap();
    let rights = granted(&stack);
    refused(&stack, &config);
    in_a_pipe(&stack, &config, &rights);
    on_a_terminal(&stack, &config);
    served(&stack);
    without_brokers(&stack);
}

/// What is there and not as it has to be ends it with 69 and a line that names it.
fn refused(stack: &Stack, config: &Path) {
    let redis = |policy: &str| {
        stack.redis.command(&["CONFIG", "SET", "maxmemory-policy", policy]).unwrap();
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let run = |set: &str| {
        let mut command = Command::new(BINARY);
        let output = command.args(["run", "--config"]).arg(config).args(["--set", set]).output();
        let Output { status, stderr, .. } = output.unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    for (set, policy, words) in [
        (
            "kafka.topics.alerts=nowhere",
            "noeviction",
            "topic nowhere (kafka.topics.alerts): there is no such topic. Create it",
        ),
        ("log.level=info", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
        (&format!("http.listen={taken}"), "noeviction", "Address already in use"),
    ] {
        redis(policy);
        let (code, said) = run(set);
        assert_eq!(code, Some(69), "{set}: {said}");
        assert!(said.contains(words), "{set}: {said}");
    }
    redis("noeviction");
}

/// JSON, a line for what concerns the process and none for a transaction; and the rights are enough.
fn in_a_pipe(stack: &Stack, config: &Path, rights: &[(&'static str, String)]) {
    generate(stack, config, 300, 1);
    let mut run = stack.command("run", config).args(["--until-idle", "1s"]);
    for (name, value) in rights {
        run = run.env(name, value);
    }
    let log = run.run(LIMIT).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!((3..60).contains(&lines.len()), "{log}");
    assert!(!log.contains("tx-1-") && !log.contains("pm_"), "{log}");
    assert!(lines.iter().all(|line| line["level"].is_string()), "{log}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string()), "{log}");
    let rows = stack.postgres.as_ref().unwrap().psql("SELECT count(*) FROM transactions").unwrap();
    assert!((280..300).contains(&rows.trim().parse::<u32>().unwrap()), "{rows}");
}

/// A command as on a terminal: what it wrote to it.
fn on_terminal(folder: &Path, command: &str) -> String {
    let launch = Launch::new("script").args(["-qec", command, "/dev/null"]).folder(folder);
    launch.run(LIMIT).unwrap()
}

/// Text, and how far it is.
fn on_a_terminal(stack: &Stack, config: &Path) {
    let (folder, config) = (config.parent().unwrap(), config.display());
    let produced = on_terminal(
        folder,
        &format!("{BINARY} generate --config {config} --count 400 --rate 400 --seed 2"),
    );
    assert!(produced.contains("producing") && produced.contains("/400"), "{produced:?}");
    let ran = on_terminal(folder, &format!("{BINARY} run --config {config} --until-idle 1s"));
    assert!(ran.contains("working off") && ran.contains("left"), "{ran:?}");
    assert!(ran.contains("INFO") && ran.contains("ended in order"), "{ran:?}");
    assert!(!ran.contains("\"level\""), "{ran:?}");
    wait_worked_off(stack, LIMIT).unwrap();
}

/// Health with a body for each part, and every kind of number that the runbook speaks of.
fn served(stack: &Stack) {
    let processor = stack.processor("served").unwrap();
    processor.start().unwrap();
    processor.wait_ready().unwrap();
    generate(stack, &processor.config, 200, 3);
    wait_worked_off(stack, LIMIT).unwrap();

    let (code, body) = http::get(processor.port, "/healthz").unwrap();
    assert_eq!((code, body.as_str()), (200, "{\"alive\":true}"));
    // On a busy machine a call may have failed that was repeated since; what is shown is a moment old.
    processor.wait_ready().unwrap();
    let (code, body) = http::get(processor.port, "/readyz").unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &body["ready"]), (200, &Value::Bool(true)), "{body}");
    for part in ["kafka", "redis", "store", "gateway", "partitions"] {
        assert_eq!(body["parts"][part]["ok"], true, "{body}");
    }
    assert_eq!(body["owned"].as_array().unwrap().len(), 4, "{body}");

    // Shown a few times a second; the removal from Redis comes after the commit.
    let count = |name: &str, label: &str| processor.metrics().unwrap().sum(name, label);
    wait_until("all fates to be counted", LIMIT, || {
        count("tollbridge_fates_total", "") >= 200.0
            && count("tollbridge_stage_seconds_count", "stage=\"remove\"") > 0.0
    })
    .unwrap();
    let metrics = processor.metrics().unwrap();
    let page = http::get(processor.port, "/metrics").unwrap().1;
    for stage in
        ["admit", "ask", "charge", "settle", "mark", "flush", "publish", "remove", "end_to_end"]
    {
        let label = format!("stage=\"{stage}\"");
        assert!(metrics.sum("tollbridge_stage_seconds_count", &label) > 0.0, "{stage}\n{page}");
    }
    for fate in ["archived", "declined", "duplicate", "rejected"] {
        let label = format!("fate=\"{fate}\"");
        assert!(metrics.sum("tollbridge_fates_total", &label) > 0.0, "{fate}\n{page}");
    }
    assert!(metrics.sum("tollbridge_gateway_answers_total", "outcome=\"approved\"") > 0.0);
    for series in [
        "tollbridge_consumer_lag{partition=\"3\"}",
        "tollbridge_watermark_age_seconds{partition=\"3\"}",
        "tollbridge_cut_lag{partition=\"3\"}",
        "tollbridge_unfinished_offsets{partition=\"3\"}",
        "tollbridge_queue_depth{queue=\"temp\"}",
        "tollbridge_queue_depth{queue=\"archive\"}",
        "tollbridge_queue_oldest_seconds{queue=\"temp\"}",
        "tollbridge_queue_oldest_seconds{queue=\"archive\"}",
        "tollbridge_intake_paused{reason=\"temp_full\"} 0",
        "tollbridge_fates_total{fate=\"in_doubt\"} 0",
    ] {
        assert!(page.lines().any(|line| line.starts_with(series)), "{series}\n{page}");
    }
    assert!(processor.terminate(LIMIT).unwrap().success());
}

/// Without brokers nothing is to be done but to wait for them.
fn without_brokers(stack: &Stack) {
    const LONG: Duration = Duration::from_secs(12);
    let processor = stack.processor("left").unwrap();
    processor.start().unwrap();
    processor.wait_ready().unwrap();
    // Whoever speaks for the group asks the brokers about it every few seconds.
    std::thread::sleep(LONG / 2);
    stack.kafka.kill();
    let pid = processor.pid().unwrap();
    let before = cpu_time(pid, false).unwrap();
    std::thread::sleep(LONG);
    let spent = cpu_time(pid, false).unwrap() - before;
    processor.kill();
    assert!(spent < LONG / 8, "{spent:?} of {LONG:?}");
}

/// Runs `run` over a configuration in which nothing is there: code and stderr.
fn run_alone(folder: &Path, set: &[&str]) -> (i32, String) {
    let config: PathBuf = folder.join("tollbridge.toml");
    let port = free_port();
    let text = format!(
        "[kafka]\nbrokers = \"127.0.0.1:{port}\"\nrequest_timeout = \"2s\"
         [redis]\nurl = \"redis://u:secret@127.0.0.1:{port}\"
         [gateway]\nurl = \"http://127.0.0.1:{port}\"\nkey_ttl = \"24h\"
         [store]\nurl = \"sqlite:{}\"",
        folder.join("rows.db").display()
    );
    std::fs::write(&config, text).unwrap();
    let set = set.iter().flat_map(|set| ["--set", set]);
    let Output { status, stderr, .. } =
        Command::new(BINARY).args(["run", "--config"]).arg(&config).args(set).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

/// What, where, and what to do; one line each, and no secret.
#[test]
fn everything_that_is_missing_at_the_start_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run_alone(folder.path(), &[]);
    assert_eq!(code, 69, "{said}");
    // The Kafka client may log besides.
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(lines.len(), 3, "{said}");
    for (line, words) in lines.iter().zip([
        ["redis redis://u:***@127.0.0.1:", "Connection refused", "Start it, or correct redis.url."],
        ["store sqlite:", "there is no file", "run `tollbridge migrate"],
        ["kafka 127.0.0.1:", "brokers: ", "Start it, or correct kafka.brokers."],
    ]) {
        for word in words {
            assert!(line.contains(word), "{line} lacks {word}");
        }
    }
    assert!(!said.contains("secret"), "{said}");
    let (code, said) = run_alone(folder.path(), &["gateway.timeout=30s"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("gateway.timeout (30s) must be below sweep.min_age (30s)"), "{said}");
}
