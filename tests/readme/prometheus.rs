//! `docker/prometheus/`: promtool checks the rules and runs their tests; here it is seen that nothing was forgotten
//! and that the program has what the rules name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tollbridge::config::units::Period;
use tollbridge::config::{Config, Sources};
use tollbridge::domain::alerts::{Levels, Rule, Side};
use tollbridge::domain::classify::RequestKind;
use tollbridge::domain::outcome::Fate;
use tollbridge::telemetry::label::{Commit, Label, Meaning, Pause, Queue};
use tollbridge_rig::{Launch, cache};

use crate::{page, root};

const RULES: &str = "docker/prometheus/tollbridge.rules.yml";
const TESTS: &str = "docker/prometheus/tests";
const LIMIT: Duration = Duration::from_secs(120);

fn yaml(path: &str) -> Value {
    let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&page(path)).unwrap();
    yaml.apply_merge().unwrap();
    serde_json::to_value(yaml).unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn rules() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].clone();
    list(&groups).flat_map(|group| list(&group["rules"])).cloned().collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// Paths from the root, sorted.
fn test_files() -> Vec<String> {
    let files = std::fs::read_dir(root().join(TESTS)).unwrap().flatten();
    let mut paths: Vec<String> =
        files.map(|file| format!("{TESTS}/{}", file.file_name().to_string_lossy())).collect();
    paths.sort();
    paths
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    let promtool = || Launch::new(cache::promtool().unwrap()).folder(root());
    let check = ["check", "rules", "--lint=all", "--lint-fatal", RULES];
    let said = promtool().args(check).run(LIMIT).unwrap();
    assert!(said.contains(&format!("SUCCESS: {} rules found", rules().len())), "{said}");
    let files = test_files();
    let said = promtool().args(["test", "rules"]).args(&files).run(LIMIT).unwrap();
    assert_eq!(said.matches("SUCCESS").count(), files.len(), "{said}");
}

/// promtool says nothing of a rule that no test names.
#[test]
fn every_rule_is_raised_by_a_test_and_not_by_another() {
    let mut seen: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for file in test_files() {
        let file = yaml(&file);
        for case in list(&file["tests"]).flat_map(|test| list(&test["alert_rule_test"])) {
            let is_raised = list(&case["exp_alerts"]).next().is_some();
            seen.entry(text(case, "alertname").to_owned()).or_default().insert(is_raised);
        }
    }
    let both = BTreeSet::from([false, true]);
    let alerts = alerts();
    assert!(alerts.len() >= 34);
    for alert in &alerts {
        let name = text(alert, "alert");
        assert_eq!(seen.remove(name), Some(both.clone()), "{name}: not raised, and raised");
    }
    assert!(seen.is_empty(), "no rule is called {seen:?}");
}

#[test]
fn every_rule_has_a_row_that_it_links_to_and_every_row_a_rule() {
    let page = page("docs/operating.md");
    let (_, section) = page.split_once("\n## Alerts for Prometheus\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| <a id=\""));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let head = |alert: &Value| {
        let name = text(alert, "alert");
        assert_eq!(alert["labels"]["service"], "tollbridge", "{name}");
        for annotation in ["summary", "description"] {
            assert!(!text(&alert["annotations"], annotation).is_empty(), "{name}");
        }
        let runbook = text(&alert["annotations"], "runbook");
        let anchor = runbook.strip_prefix("docs/operating.md#").unwrap();
        let severity = text(&alert["labels"], "severity").to_owned();
        assert!(["warning", "critical"].contains(&severity.as_str()), "{name}: {severity}");
        assert_eq!(anchor, format!("alert-{name}"));
        [format!("{anchor}\"></a>`{name}`"), severity]
    };
    let heads: Vec<_> = alerts().iter().map(head).collect();
    let of_rows: Vec<_> = rows.iter().map(|row| [row[0].to_owned(), row[1].to_owned()]).collect();
    assert_eq!(of_rows, heads);
    assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| cell.len() > 4)));
}

/// What an operator of the defaults is told on `tx-alerts` is told here, by the same name and at the same levels.
#[test]
fn every_rule_of_the_alerts_is_one_for_prometheus_with_the_levels_of_the_configuration() {
    let set = ["kafka.brokers=k:1", "gateway.url=http://g", "gateway.key_ttl=24h"];
    let overrides = set.iter().map(|text| text.parse().unwrap()).collect();
    let sources = Sources { overrides, ..Sources::default() };
    let defaults = Config::from_sources(&sources).unwrap().alerts.levels;
    let alerts = alerts();
    for rule in Rule::ALL {
        let name = rule.name();
        let alert = alerts.iter().find(|alert| alert["alert"] == name);
        let alert = alert.unwrap_or_else(|| panic!("no rule {name}"));
        let expr: Vec<&str> = text(alert, "expr").split_whitespace().collect();
        let Levels { raise, clear, lasting } = defaults[&rule];
        assert_eq!(text(&alert["labels"], "severity"), rule.severity().as_str(), "{name}");
        let (wanted, lasting) = match (number(rule), rule) {
            // Of every process, not only of the one that speaks.
            (Ok(age), Rule::TempAge | Rule::ArchiveAge) => (format!("{age} > {raise}"), lasting),
            (Ok(open), Rule::BreakerOpen) => (format!("{open} > 0"), Duration::from_secs(raise)),
            (Ok(number), _) => (levels(name, &number, [">=", ">"], [raise, clear]), lasting),
            (Err(number), _) => (levels(name, &number, ["<=", "<"], [raise, clear]), lasting),
        };
        assert_eq!(expr.join(" "), wanted, "{name}");
        let told = alert["for"].as_str().unwrap_or("0s");
        assert_eq!(told.parse::<Period>().unwrap().0, lasting, "{name}");
    }
}

/// At one level, and while it fires up to the other one.
fn levels(name: &str, number: &str, signs: [&str; 2], levels: [u64; 2]) -> String {
    let firing = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}");
    let ([at, beyond], [raise, clear]) = (signs, levels);
    format!("{number} {at} {raise} or {number} {beyond} {clear} and on (job) {firing}")
}

/// What the rule reads; `Err` where less of it is worse.
fn number(rule: Rule) -> Result<String, String> {
    let reading = |worst: &str| {
        let name = rule.name();
        format!("{worst} by (job) (tollbridge_alert_reading{{rule=\"{name}\"}})")
    };
    let oldest = |queue: &str| {
        format!("max by (job) (tollbridge_queue_oldest_seconds{{queue=\"{queue}\"}})")
    };
    let depth = |queue: &str| format!("job_queue:tollbridge_queue_depth:max{{queue=\"{queue}\"}}");
    match rule {
        Rule::TempDepth => Ok(depth("temp")),
        Rule::ArchiveDepth => Ok(depth("archive")),
        Rule::TempAge => Ok(oldest("temp")),
        Rule::ArchiveAge => Ok(oldest("archive")),
        Rule::BreakerOpen => Ok("max by (job, instance) (tollbridge_breaker_open)".to_owned()),
        _ if rule.side() == Side::Below => Err(reading("min")),
        _ => Ok(reading("max")),
    }
}

/// A metric's name and what stands behind it in braces.
type Selector<'a> = (&'a str, &'a str);

/// The metrics of an expression. Knows the words and the few forms that the rules are written in.
fn selectors(expr: &str) -> Vec<Selector<'_>> {
    const WORDS: [&str; 7] = ["and", "or", "unless", "sum", "max", "min", "count"];
    let mut found: Vec<Selector<'_>> = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(len.max(first.len_utf8()));
        rest = after;
        let is_call = after.trim_start().starts_with('(');
        if first == '{' {
            let (matchers, after) = rest.split_once('}').unwrap();
            found.last_mut().unwrap().1 = matchers;
            rest = after;
        } else if ["by", "on"].contains(&word) {
            rest = after.split_once(')').unwrap().1;
        } else if is_word(first) && !first.is_ascii_digit() && !is_call && !WORDS.contains(&word) {
            found.push((word, ""));
        }
    }
    found
}

#[test]
fn selectors_are_found() {
    let expr = "sum by (job) (rate(a_total{x=~\"b|c\", y=\"d\"}[5m])) / 2 > 0.5 and on (job) a:b";
    assert_eq!(selectors(expr), [("a_total", "x=~\"b|c\", y=\"d\""), ("a:b", "")]);
}

fn is_value(label: &str, value: &str) -> bool {
    match label {
        "kind" => RequestKind::parse(value).is_some(),
        "outcome" => Meaning::parse(value).is_some(),
        "fate" => Fate::parse(value).is_some(),
        "result" => Commit::parse(value).is_some(),
        "queue" => Queue::parse(value).is_some(),
        "rule" => Rule::parse(value).is_some(),
        "reason" => Pause::parse(value).is_some(),
        "partition" => value.parse::<u32>().is_ok(),
        other => panic!("{other}: its values are not known here"),
    }
}

/// The label of each metric, as `docs/metrics.md` has it, which a test of the program holds against the program.
fn documented() -> BTreeMap<String, String> {
    let page = page("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| -> Vec<String> {
        row.split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).map(|cells| (cells[1].clone(), cells[3].clone())).collect()
}

/// A series that nobody makes raises nothing, and nobody would notice.
#[test]
fn every_series_of_the_rules_and_of_their_tests_is_one_of_the_program() {
    let mut metrics = documented();
    let rules = rules();
    for recorded in rules.iter().filter_map(|rule| rule["record"].as_str()) {
        metrics.insert(recorded.to_owned(), "queue".to_owned());
    }
    let mut used = BTreeSet::new();
    let mut check = |expr: &str, given: &[&str]| {
        let all = selectors(expr);
        assert!(!all.is_empty(), "{expr}");
        for (name, matchers) in all.into_iter().filter(|(name, _)| *name != "ALERTS") {
            let label = metrics.get(name).unwrap_or_else(|| panic!("no metric {name}: {expr}"));
            used.insert(name.to_owned());
            for matcher in matchers.split(',').filter(|matcher| !matcher.is_empty()) {
                let (key, value) = matcher.split_once(['=', '!']).unwrap();
                let value = value.split('"').nth(1).unwrap();
                if given.contains(&key.trim()) {
                    continue;
                }
                assert_eq!(key.trim(), label, "{name}{{{matchers}}}");
                let all_known = value.split('|').all(|value| is_value(label, value));
                assert!(all_known, "{name}{{{matchers}}}");
            }
        }
    };
    for rule in &rules {
        check(text(rule, "expr"), &[]);
    }
    for file in test_files() {
        for test in list(&yaml(&file)["tests"]) {
            for series in list(&test["input_series"]) {
                check(text(series, "series"), &["job", "instance", "version"]);
            }
        }
    }
    assert!(used.len() > 15, "{used:?}");
}
