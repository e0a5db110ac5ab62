//! A stack with a gateway that misbehaves, and the commands and questions that the tests put to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tollbridge::config::{Config, Sources};
use tollbridge_rig::{Stack, StackOptions, Store};

pub const BINARY: &str = env!("CARGO_BIN_EXE_tollbridge");
pub const LIMIT: Duration = Duration::from_secs(60);

/// Besides declines and answers that never come: one transaction that is charged with a wrong answer, and one that is
/// never charged, while nobody can look either up. Both end in doubt.
const FAULTS: &str = r#"
seed = 5
[[fault]]
kind = "wrong-amount"
match = ["charged-"]
[[fault]]
kind = "timeout-before"
attempts = "all"
match = ["open-"]
[[fault]]
kind = "error-before"
on = "lookup"
attempts = "all"
match = ["charged-", "open-"]
[[fault]]
kind = "decline"
rate = 0.05
[[fault]]
kind = "timeout-after"
rate = 0.02
"#;

pub struct Place {
    pub stack: Stack,
    pub config: PathBuf,
}

impl Place {
    pub fn new(store: Store) -> Self {
        let setting =
            |section: &str, key: &str, value: &str| (section.into(), key.into(), value.into());
        let stack = Stack::start(StackOptions {
            store,
            faults: FAULTS.into(),
            settings: vec![
                // Short, so that doubts come soon; the margin bears what a busy machine takes for the store's clock.
                setting("gateway", "timeout", "\"4s\""),
                setting("gateway", "key_ttl", "\"20s\""),
                setting("sweep", "interval", "\"200ms\""),
                setting("sweep", "min_age", "\"4500ms\""),
            ],
            ..StackOptions::new(BINARY)
        })
        .unwrap();
        let config = stack.write_config("reader", "off").unwrap();
        Self { stack, config }
    }

    pub fn run(&self, command: &str, args: &[&str]) -> Output {
        let mut tollbridge = Command::new(BINARY);
        tollbridge.arg(command).arg("--config").arg(&self.config).args(args).output().unwrap()
    }

    /// Runs a command that must end with this code; what it printed.
    #[track_caller]
    pub fn ends(&self, code: i32, command: &str, args: &[&str]) -> String {
        let output = self.run(command, args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{command} {args:?}: {out}\n{err}");
        out + &err
    }

    /// Draws up the balance, which must end with this code; the findings as `flaw place id`.
    #[track_caller]
    pub fn reconcile(&self, code: i32, ledger: &Path) -> (Value, Vec<String>) {
        // A busy machine may be slow to make the coordinator that nobody has asked yet.
        let patience = [
            "--set=kafka.request_timeout=15s",
            "--set=kafka.transaction_timeout=20s",
            "--set=kafka.session_timeout=30s",
        ];
        let args = [&["--json", "--ledger", ledger.to_str().unwrap()], &patience[..]].concat();
        let report = self.ends(code, "reconcile", &args);
        let report: Value = serde_json::from_str(&report).unwrap();
        let name = |finding: &Value| {
            let id = finding["transaction_id"].as_str().unwrap_or("-");
            let (partition, offset) = (&finding["partition"], &finding["offset"]);
            format!("{} {partition}/{offset} {id}", finding["flaw"].as_str().unwrap())
        };
        let findings = report["findings"].as_array().unwrap().iter().map(name).collect();
        (report, findings)
    }

    #[track_caller]
    pub fn balances(&self) -> Value {
        let (report, findings) = self.reconcile(0, &self.stack.ledger());
        assert_eq!((&report["balanced"], findings), (&Value::Bool(true), vec![]));
        report
    }

    /// Exactly this is found, and nothing else.
    #[track_caller]
    pub fn finds(&self, ledger: &Path, expected: &[String]) {
        let (report, findings) = self.reconcile(3, ledger);
        assert_eq!((&report["balanced"], findings.as_slice()), (&Value::Bool(false), expected));
    }

    pub fn sql(&self, sql: &str) -> String {
        if let Some(clickhouse) = &self.stack.clickhouse {
            return clickhouse.query(&in_clickhouse(sql)).unwrap();
        }
        if let Some(postgres) = &self.stack.postgres {
            return postgres.psql(sql).unwrap().trim().to_owned();
        }
        let file = self.stack.file("tollbridge.db");
        let output = Command::new("sqlite3").arg("-separator").arg("|").arg(file).arg(sql).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `partition/offset` and id of a row with this fate.
    pub fn one(&self, fate: &str, prefix: &str) -> (String, String) {
        let row = self.sql(&format!(
            "SELECT source_partition, source_offset, transaction_id FROM transactions
             WHERE fate = '{fate}' AND transaction_id LIKE '{prefix}%' ORDER BY transaction_id LIMIT 1"
        ));
        let fields: Vec<&str> = row.split('|').collect();
        let [partition, offset, id] = fields[..] else { panic!("no {fate} row: {row:?}") };
        (format!("{partition}/{offset}"), id.to_owned())
    }

    pub fn loaded(&self) -> Config {
        Config::from_sources(&Sources::of(Some(&self.config), &[])).unwrap()
    }

    /// The lines of the ledger that charge this id.
    pub fn charges(&self, id: &str) -> Vec<Value> {
        let ledger = std::fs::read_to_string(self.stack.ledger()).unwrap();
        let lines = ledger.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|l| l["transaction_id"] == id && l["outcome"] == "charged").collect()
    }

    pub fn generate(&self, args: &[&str]) {
        self.ends(0, "generate", args);
    }
}

/// What is said to the other stores, as ClickHouse says it: changes are made at once, and rows are those that stand.
fn in_clickhouse(sql: &str) -> String {
    const AT_ONCE: &str = "SETTINGS mutations_sync = 1";
    if let Some((table, rest)) = sql.strip_prefix("UPDATE ").and_then(|s| s.split_once(" SET ")) {
        return format!("ALTER TABLE {table} UPDATE {rest} {AT_ONCE}");
    }
    if let Some((table, rest)) =
        sql.strip_prefix("DELETE FROM ").and_then(|s| s.split_once(" WHERE "))
    {
        return format!("ALTER TABLE {table} DELETE WHERE {rest} {AT_ONCE}");
    }
    let sql = sql.replace(" AS SELECT ", " ENGINE = MergeTree ORDER BY () AS SELECT ");
    if sql.starts_with("INSERT ") { sql } else { format!("{sql} SETTINGS final = 1") }
}

pub fn line<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["lines"].as_array().unwrap();
    all.iter().find(|line| line["line"] == name && line["all_currencies"] == true).unwrap()
}

pub fn count(report: &Value, name: &str) -> u64 {
    line(report, name)["count"].as_u64().unwrap()
}
