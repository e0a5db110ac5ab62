//! The binary as a shell sees it: exit codes, what goes to stdout and what to stderr, and how a wrong
//! configuration is told. No service runs here.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MINIMAL: &str = "
[kafka]
brokers = \"127.0.0.1:1\"
[gateway]
url = \"http://127.0.0.1:1\"
key_ttl = \"24h\"
";

fn tollbridge(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TOLLBRIDGE_") {
            command.env_remove(name);
        }
    }
    command.args(args).envs(environment.iter().copied()).output().unwrap()
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("tollbridge.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs `check-config --skip-connections` over a file: exit code, stdout, stderr.
fn check(text: &str, args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), text);
    let fixed = ["check-config", "--skip-connections", "--config", path.to_str().unwrap()];
    let output = tollbridge(&[&fixed, args].concat(), environment);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_good_configuration_is_0_and_quiet_on_stderr() {
    let (code, out, err) = check(MINIMAL, &[], &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "ok    configuration: every key and inequality holds\n");
}

#[test]
fn a_bad_configuration_is_78_and_names_every_finding_on_stderr() {
    let text = MINIMAL.replace("key_ttl = \"24h\"", "key_tll = \"24h\"\ntimeout = \"5\"");
    let (code, out, err) = check(&text, &[], &[]);
    assert_eq!((code, out.as_str()), (78, ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    assert!(lines[0].starts_with("gateway.key_ttl: it has to be set."), "{err}");
    assert!(lines[1].starts_with("gateway.timeout = \"5\" (/"), "{err}");
    assert!(lines[2].ends_with("there is no such key. Did you mean gateway.key_ttl?"), "{err}");
}

#[test]
fn the_environment_and_the_command_line_reach_the_configuration() {
    let environment = [("TOLLBRIDGE_SWEEP__MIN_AGE", "9s")];
    let (code, _, err) = check(MINIMAL, &[], &environment);
    assert_eq!(code, 78);
    assert!(err.contains("gateway.timeout (10s) must be below sweep.min_age (9s)"), "{err}");
    let (code, _, err) = check(MINIMAL, &["--set", "sweep.min_age=11s"], &environment);
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn a_schema_that_describes_no_transaction_is_78() {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("other.avsc");
    std::fs::write(&schema, "{\"type\": \"record\", \"name\": \"other\", \"fields\": []}").unwrap();
    let set = format!("transactions.schema_file={}", schema.display());
    let (code, out, err) = check(MINIMAL, &["--set", &set], &[]);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.starts_with("transactions.schema_file: "), "{err}");
    std::fs::copy("schemas/avro/transaction.avsc", &schema).unwrap();
    assert_eq!(check(MINIMAL, &["--set", &set], &[]).0, 0);
}

#[test]
fn no_file_is_needed_where_the_environment_has_everything() {
    let environment = [
        ("TOLLBRIDGE_KAFKA__BROKERS", "127.0.0.1:1"),
        ("TOLLBRIDGE_GATEWAY__URL", "http://127.0.0.1:1"),
        ("TOLLBRIDGE_GATEWAY__KEY_TTL", "24h"),
    ];
    let output = tollbridge(&["check-config", "--skip-connections"], &environment);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn calls_beyond_the_limit_of_open_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), MINIMAL);
    let script = "ulimit -n 400 && exec \"$0\" check-config --skip-connections --config \"$1\"";
    let run = |args: &[&str]| {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{script} {}", args.join(" "))]);
        command.arg(env!("CARGO_BIN_EXE_tollbridge")).arg(&path).output().unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("gateway.max_in_flight (256) and 256 other files are more than the 400"),
        "{err}"
    );
    assert_eq!(run(&["--set", "gateway.max_in_flight=144"]).status.code(), Some(0));
    let processor = Command::new("bash")
        .args(["-c", "ulimit -n 400 && exec \"$0\" run --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_tollbridge"))
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(processor.status.code(), Some(78), "{processor:?}");
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    for args in [
        &["fly"][..],
        &[],
        &["check-config", "--set", "flush.interval"],
        &["run", "--until-idle", "10"],
        &["resolve", "tx-1", "--by", "me"],
        &["resolve", "tx-1", "--by", "me", "--charged", "ch_1", "--not-charged"],
        &["dlq"],
        &["dlq", "list", "--fate", "archived"],
        &["dlq", "list", "--since", "yesterday"],
        &["dlq", "show", "12"],
        &["dlq", "show", "0/12", "--value", "--json"],
        &["dlq", "replay"],
        &["dlq", "replay", "--dry-run"],
        &["dlq", "replay", "--all", "--code", "bad_amount"],
        &["dlq", "replay", "0/12", "--all"],
        &["dlq", "replay", "--all", "--rate", "0"],
        &["dlq", "purge"],
        &["dlq", "purge", "--until", "yesterday"],
    ] {
        assert_eq!(tollbridge(args, &[]).status.code(), Some(2), "{args:?}");
    }
    for command in [
        "run",
        "check-config",
        "config",
        "migrate",
        "generate",
        "gateway-sim",
        "reconcile",
        "rebuild",
        "resolve",
        "trace",
        "dlq",
        "dlq list",
        "dlq show",
        "dlq replay",
        "dlq purge",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = tollbridge(&words, &[]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(output.stdout.len() > 200, "{command}");
    }
}

#[test]
fn a_configuration_is_checked_before_any_command_does_anything() {
    for command in ["run", "check-config", "migrate", "reconcile", "rebuild"] {
        let output = tollbridge(&[command, "--config", "/nowhere/tollbridge.toml"], &[]);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with("/nowhere/tollbridge.toml: No such file"), "{err}");
    }
}

/// The commands that a help lists.
fn commands(of: &[&str]) -> Vec<String> {
    let help = tollbridge(&[of, &["--help"]].concat(), &[]).stdout;
    let help = String::from_utf8(help).unwrap();
    let names = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help");
    names.map(|name| [of, &[name]].concat().join(" ")).collect()
}

/// Every command's help ends with examples that can be parsed and with its exit codes.
#[test]
fn every_help_teaches() {
    let top = commands(&[]);
    let within: Vec<Vec<String>> = ["dlq", "config", "gateway"].map(|of| commands(&[of])).into();
    let lengths: Vec<usize> = within.iter().map(Vec::len).collect();
    assert_eq!((top.len(), lengths), (12, vec![4, 1, 2]), "{top:?}");
    for command in top.into_iter().chain(within.concat()) {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = String::from_utf8(tollbridge(&words, &[]).stdout).unwrap();
        let codes = help.split("Exit codes:\n").nth(1).expect(&command);
        for code in ["  0  ", "  2  "] {
            assert!(codes.contains(code), "{command}: {codes}");
        }
        let is_local = ["gateway", "config"].iter().any(|word| command.starts_with(word));
        if !is_local {
            assert!(codes.contains("  69 ") && codes.contains("  78 "), "{command}: {codes}");
        }
        let example = format!("  tollbridge {command} ");
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(help.lines().any(|line| line.starts_with(&example)), "{command}: {help}");
    }
}

/// Each of these must be found before anything is connected to: code 78, and the key, the value, where it came from
/// and what to do.
#[test]
fn mistakes_are_told_with_key_value_origin_and_remedy() {
    for (set, words) in [
        ("gateway.key_tll=24h", &["gateway.key_tll = \"24h\"", "mean gateway.key_ttl?"][..]),
        ("flush.workers=two", &["flush.workers = \"two\"", "a whole number is expected"]),
        ("flush.interval=5x", &["flush.interval = \"5x\"", "one of ms, s, m, h, d"]),
        ("transactions.max_bytes=64KB", &["transactions.max_bytes = \"64KB\"", "\"64KiB\""]),
        ("kafka.start=first", &["kafka.start = \"first\"", "\"earliest\", \"latest\""]),
        ("flush.workers=65", &["flush.workers = \"65\"", "from 1 to 64"]),
        (
            "events.format=avro-confluent",
            &["events.format = \"avro-confluent\"", "a schema registry"],
        ),
    ] {
        let (code, out, err) = check(MINIMAL, &["--set", set], &[]);
        assert_eq!((code, out.as_str()), (78, ""), "{set}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        for word in words.iter().chain(&["(command line (--set))"]) {
            assert!(err.contains(word), "{set}: {err} lacks {word}");
        }
    }
    let (code, _, err) = check(&MINIMAL.replace("key_ttl = \"24h\"", ""), &[], &[]);
    assert_eq!(code, 78);
    assert!(err.starts_with("gateway.key_ttl: it has to be set. "), "{err}");
    assert!(err.contains("TOLLBRIDGE_GATEWAY__KEY_TTL"), "{err}");
    let (code, _, err) = check(MINIMAL, &["--set", "sweep.min_age=10s"], &[]);
    assert_eq!(code, 78);
    assert!(err.contains("gateway.timeout (10s) must be below sweep.min_age (10s)"), "{err}");
}

const CANARIES: &str = "
[redis]
url = \"redis://me:canary-1@127.0.0.1:1/0\"
[store]
url = \"postgres://me:canary-2@127.0.0.1:1/db?password=canary-3\"
[kafka.properties]
\"sasl.password\" = \"canary-4\"
[gateway.headers]
x-api-key = \"canary-5\"
";

#[test]
fn each_value_is_shown_with_where_it_comes_from_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "canary-6").unwrap();
    let path = file(folder.path(), &format!("{MINIMAL}{CANARIES}"));
    let path = path.to_str().unwrap();
    let token = format!("gateway.header_files.authorization={}", secret.display());
    let args = ["config", "show", "--config", path, "--set", "flush.max_rows=7", "--set", &token];
    let environment = [
        ("TOLLBRIDGE_SWEEP__MIN_AGE", "31s"),
        ("TOLLBRIDGE_KAFKA__PROPERTIES__SSL_KEY_PASSWORD", "canary-7"),
    ];
    let output = tollbridge(&args, &environment);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{out}");
    assert!(!out.contains("canary"), "{out}");
    for line in [
        &format!("brokers = \"127.0.0.1:1\"  # {path}"),
        "min_age = \"31s\"  # environment variable TOLLBRIDGE_SWEEP__MIN_AGE",
        "max_rows = 7  # command line (--set)",
        "interval = \"50ms\"  # default",
        "# instance_id  # not set",
        &format!("url = \"redis://me:***@127.0.0.1:1/0\"  # {path}"),
        &format!("\"sasl.password\" = \"***\"  # {path}"),
        "\"ssl.key.password\" = \"***\"  # environment variable TOLLBRIDGE_KAFKA__PROPERTIES__SSL_KEY_PASSWORD",
        &format!("x-api-key = \"***\"  # {path}"),
        &format!("authorization = {:?}  # command line (--set)", secret.to_str().unwrap()),
        "allow_lossy = false  # default",
    ] {
        assert!(out.lines().any(|shown| shown == line), "{line:?} is not in {out}");
    }

    let output = tollbridge(&[&args[..], &["--json"]].concat(), &environment);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!out.contains("canary"), "{out}");
    let keys: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    let find = |name: &str| keys.iter().find(|key| key["key"] == name).unwrap();
    assert_eq!(
        (&find("flush.max_rows")["value"], &keys[0]["key"]),
        (&7.into(), &"kafka.brokers".into())
    );
    assert_eq!(find("kafka.instance_id")["value"], serde_json::Value::Null);
}

#[test]
fn a_bad_configuration_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &MINIMAL.replace("24h", "24"));
    let args = ["config", "show", "--config", path.to_str().unwrap()];
    let output = tollbridge(&args, &[]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(78), &b""[..]));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("gateway.key_ttl = "));
    assert_eq!(tollbridge(&["config"], &[]).status.code(), Some(2));
}
