//! The configuration as a user meets it: layers, findings, inequalities, and the example file.

use super::redis::Topology;
use super::*;
use crate::domain::alerts::Rule;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

pub(super) const MINIMAL: &str = "
[kafka]
brokers = \"k:9092\"
[gateway]
url = \"https://pay.example/v1\"
key_ttl = \"24h\"
";

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

pub(super) fn load(
    text: &str,
    environment: &[(&str, &str)],
    overrides: &[&str],
) -> Result<Config, ConfigErrors> {
    let file = file(text);
    Config::from_sources(&Sources {
        file: Some(file.path().to_owned()),
        environment: environment
            .iter()
            .map(|(n, v)| (OsString::from(n), OsString::from(v)))
            .collect(),
        overrides: overrides.iter().map(|text| text.parse().unwrap()).collect(),
    })
}

/// The findings for the minimal file with more lines; asserts that there is one and that it holds these texts.
#[track_caller]
fn refused(more: &str, texts: &[&str]) {
    let errors = load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    let message = errors.to_string();
    for text in texts {
        assert!(message.contains(text), "{message:?} lacks {text:?}");
    }
}

#[test]
fn a_minimal_file_is_enough() {
    let config = load(MINIMAL, &[], &[]).unwrap();
    assert_eq!(config.kafka.brokers, "k:9092");
    assert_eq!(config.gateway.key_ttl, Duration::from_hours(24));
    assert_eq!(config.store.url.expose(), "sqlite:tollbridge.db");
    assert_eq!(config.http.listen.unwrap().port(), 9464);
    assert_eq!(config.alerts.levels.len(), Rule::ALL.len());
    assert_eq!(config.alerts.levels[&Rule::TempDepth].raise, 6144);
}

#[test]
fn the_command_line_is_over_the_environment_over_the_file_over_the_default() {
    let text = format!("{MINIMAL}[flush]\nmax_rows = 10\nworkers = 3\n[sweep]\nmin_age = \"40s\"");
    let environment = [("TOLLBRIDGE_FLUSH__WORKERS", "4"), ("TOLLBRIDGE_FLUSH__INTERVAL", "60ms")];
    let config = load(&text, &environment, &["flush.interval=70ms"]).unwrap();
    assert_eq!(config.flush.max_rows, 10);
    assert_eq!(config.flush.workers, 4);
    assert_eq!(config.flush.interval, Duration::from_millis(70));
    assert_eq!(config.sweep.min_age, Duration::from_secs(40));
    assert_eq!(config.sweep.interval, Duration::from_secs(5));
}

#[test]
fn texts_of_the_environment_stay_texts() {
    let environment = [
        ("TOLLBRIDGE_KAFKA__INSTANCE_ID", "007"),
        ("TOLLBRIDGE_STORE__ALLOW_LOSSY", "true"),
        ("TOLLBRIDGE_KAFKA__PROPERTIES__SASL_USERNAME", "1"),
        ("TOLLBRIDGE_LOG", "debug"),
        ("TOLLBRIDGE_SERVICE_HOST", "10.0.0.1"),
        ("TOLLBRIDGE_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
    ];
    let config = load(MINIMAL, &environment, &["kafka.properties.sasl.password=pw"]).unwrap();
    assert_eq!(config.kafka.instance_id.as_deref(), Some("007"));
    assert!(config.store.allow_lossy);
    assert_eq!(config.kafka.properties["sasl.username"].expose(), "1");
    assert_eq!(config.kafka.properties["sasl.password"].expose(), "pw");
    assert_eq!(config.log.level, "debug");
}

#[test]
fn unknown_keys_name_their_origin_and_the_nearest_known_key() {
    let text = format!("{MINIMAL}[flush]\nmax_row = 10\n[flsh]\nworkers = 1");
    let environment =
        [("TOLLBRIDGE_GATEWAY__KEY_TTLS", "1h"), ("TOLLBRIDGE_GATEWAY_TIMEOUT", "1s")];
    let errors = load(&text, &environment, &["sweep.minage=5s"]).unwrap_err().to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 5, "{errors}");
    assert!(lines[0].starts_with("flsh = a table (/"), "{errors}");
    assert!(lines[1].starts_with("flush.max_row = 10 (/"), "{errors}");
    assert!(lines[1].ends_with("there is no such key. Did you mean flush.max_rows?"), "{errors}");
    assert_eq!(
        lines[2],
        "gateway.key_ttls = \"1h\" (environment variable TOLLBRIDGE_GATEWAY__KEY_TTLS): there is no such \
         key. Did you mean gateway.key_ttl?"
    );
    assert_eq!(
        lines[3],
        "sweep.minage = \"5s\" (command line (--set)): there is no such key. Did you mean sweep.min_age?"
    );
    assert!(lines[4].ends_with("Name it TOLLBRIDGE_GATEWAY__TIMEOUT."), "{errors}");
}

/// What a broken file or a key that nobody knows holds may be a password.
#[test]
fn findings_about_a_file_and_unknown_keys_repeat_nothing_of_it() {
    let cut = format!("{MINIMAL}[redis]\nurl = \"redis://:hunter2@h");
    let errors = load(&cut, &[], &[]).unwrap_err().to_string();
    let of_file = errors.lines().next().unwrap();
    assert!(of_file.contains(": TOML parse error at line "), "{errors}");
    let unknown = format!("{MINIMAL}[redis]\npassword = \"hunter2\"");
    let no_url = format!("{MINIMAL}[redis]\nurl = \"redis:/u:hunter2@h\"");
    let misspelt = format!("{MINIMAL}[redis]\nulr = \"redis://:hunter2@h\"");
    for text in [&cut, &unknown, &no_url, &misspelt] {
        let errors = load(text, &[], &[]).unwrap_err().to_string();
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn all_findings_are_reported_at_once() {
    let text = "[flush]\ninterval = \"5x\"\nworkers = \"two\"\n[http]\nlisten = 9464\nredis = 5";
    let errors = load(text, &[], &[]).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(|error| error.key.as_str()).collect();
    let expected = [
        "kafka.brokers",
        "gateway.url",
        "gateway.key_ttl",
        "flush.interval",
        "flush.workers",
        "http.listen",
        "http.redis",
    ];
    assert_eq!(keys, expected, "{errors}");
}

#[test]
fn values_of_a_wrong_type_or_range_are_refused() {
    refused("[flush]\ninterval = 50", &["flush.interval = 50 (", "a duration in quotes"]);
    refused("[flush]\ninterval = \"50\"", &["flush.interval = \"50\" (", "ms, s, m, h, d"]);
    refused("[flush]\nmax_rows = \"10\"", &["a whole number is expected, without quotes"]);
    refused("[flush]\nmax_rows = -1", &["flush.max_rows = -1", "not below 0"]);
    refused("[flush]\nmax_rows = 1.5", &["flush.max_rows = 1.5"]);
    refused("[flush]\ninterval = \"0s\"", &["it must be from 1ms to 1m"]);
    refused("[flush]\nworkers = 0", &["it must be from 1 to 64"]);
    refused("[publish]\ninterval = \"1h\"", &["from 1ms to 10s"]);
    refused("[transactions]\nmax_bytes = \"64KB\"", &["64KiB"]);
    refused("[http]\nlisten = \"localhost\"", &["http.listen = \"localhost\"", "0.0.0.0:9464"]);
    refused("[store]\nurl = \"sqlite::memory:\"", &["outlive"]);
    refused("[log]\nlevel = \"inof\"", &["log.level = \"inof\"", "no level"]);
    refused("[store]\nallow_lossy = 1", &["true or false"]);
    refused(
        "[kafka.topics]\narchived = \"transactions\"",
        &["kafka.topics.archived", "same topic"],
    );
    refused(
        "[kafka.properties]\n\"group.id\" = \"x\"",
        &["kafka.properties.group.id", "Use kafka.group_id."],
    );
    refused("[gateway.headers]\nHost = \"x\"", &["host: Tollbridge sets it itself"]);
    refused(
        "[alerts.temp_depth]\nraise = 10\nclear = 10",
        &["alerts.temp_depth.clear = 10", "10 is not below"],
    );
    refused("[alerts.success_rate]\nclear = 40", &["alerts.success_rate.clear = 40", "not above"]);
    refused("[alerts.doubts_open]\nraise = 0", &["nothing to tell"]);
    refused("[alerts]\noff = [\"lag\"]", &["alerts.off", "no rule lag", "consumer_lag"]);
}

#[test]
fn a_rule_may_be_off_and_an_age_is_a_duration() {
    let text = "[alerts]\noff = [\"consumer_lag\"]\n[alerts.temp_age]\nraise = \"10m\"";
    let levels = load(&format!("{MINIMAL}{text}"), &[], &[]).unwrap().alerts.levels;
    assert_eq!(levels.get(&Rule::ConsumerLag), None);
    assert_eq!((levels[&Rule::TempAge].raise, levels[&Rule::TempAge].clear), (600, 60));
}

#[test]
fn a_registry_changes_how_events_are_written() {
    let format = |more: &str| load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap().events.format;
    assert_eq!(format(""), transactions::EventFormat::Json);
    let registry = "[schema_registry]\nurl = \"https://registry.example/api\"\n";
    assert_eq!(format(registry), transactions::EventFormat::AvroConfluent);
    assert_eq!(
        format(&format!("{registry}[events]\nformat = \"json\"")),
        transactions::EventFormat::Json
    );
    let registry = "[schema_registry]\nurl = ";
    refused("[events]\nformat = \"avro-confluent\"", &["events.format", "needs a schema registry"]);
    refused(&format!("{registry}\"registry:8081\""), &["schema_registry.url", "no http or https"]);
    refused(&format!("{registry}\"http://u:p@r\""), &["schema_registry.url", "credential_file"]);
}

#[test]
fn a_topology_and_its_addresses_fit_each_other() {
    let redis = |text: &str| load(&format!("{MINIMAL}[redis]\n{text}"), &[], &[]).unwrap().redis;
    let several = "url = \"redis://u:pw@a:1,b:2\"";
    assert_eq!(redis(&format!("{several}\ntopology = \"cluster\"")).topology, Topology::Cluster);
    let sentinel = format!("{several}\ntopology = \"sentinel\"\nsentinel_master = \"m\"");
    assert_eq!(redis(&sentinel).sentinel_master, "m");
    let with_password = format!("{sentinel}\nsentinel_password = \"hunter2\"");
    assert_eq!(redis(&with_password).sentinel_password.unwrap().expose(), "hunter2");
    for (more, parts) in [
        (several, ["redis.url = \"redis://u:***@a:1,b:2\"", "redis.topology is \"single\""]),
        ("topology = \"sentinel\"", ["redis.sentinel_master", "it has to be set"]),
        ("sentinel_master = \"m\"", ["redis.sentinel_master = \"m\"", "set redis.topology"]),
        ("topology = \"clustr\"", ["redis.topology = \"clustr\"", "\"cluster\""]),
        (
            "topology = \"cluster\"\nurl = \"redis://a:1/3\"",
            ["redis.url = \"redis://a:1/3\"", "only database 0"],
        ),
    ] {
        refused(&format!("[redis]\n{more}"), &parts);
    }
}

#[test]
fn secrets_are_never_printed() {
    let password = file("hunter2\n");
    let more = format!(
        "headers = {{ authorization = \"hunter2\" }}
         [redis]\nurl = \"redis://u:hunter2@h\"\n[store]\nurl = \"postgres://u:hunter2@h/db\"
         [kafka.property_files]\n\"sasl.password\" = {:?}",
        password.path()
    );
    let config = load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap();
    assert_eq!(config.kafka.properties["sasl.password"].expose(), "hunter2");
    assert_eq!(config.gateway.headers["authorization"].expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let more = "headers = { host = \"hunter2\" }
        [redis]\nurl = \"http://u:hunter2@h\"\n[store]\nurl = \"my://u:hunter2@h/db\"
        [kafka.properties]\n\"group.id\" = \"hunter2\"";
    let errors = load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap_err();
    assert_eq!(errors.0.len(), 4, "{errors}");
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
}

#[test]
fn what_postgres_would_leave_out_of_its_address_is_refused() {
    for (parts, problem) in [
        ("sslmod=verify-full", "not known"),
        ("sslmode=require&sslpassword=hunter2", "not known"),
        ("sslrootcert=/nowhere/ca.pem", "sslrootcert names /nowhere/ca.pem: No such file"),
    ] {
        let more = format!("[store]\nurl = \"postgres://u:hunter2@h/db?{parts}\"");
        let errors = load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap_err().to_string();
        assert!(errors.contains("store.url") && errors.contains(problem), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let url = file("redis://u:pw@h:1/0\n");
    let more = format!("[redis]\nurl_file = {:?}", url.path());
    let config = load(&format!("{MINIMAL}{more}"), &[], &[]).unwrap();
    assert_eq!(config.redis.url.expose(), "redis://u:pw@h:1/0");
    refused("[redis]\nurl_file = \"/nowhere\"", &["redis.url_file = \"/nowhere\"", "No such file"]);
}

#[test]
fn inequalities_are_reported_in_numbers() {
    let all = "timeout = \"40s\"\nconnect_timeout = \"50s\"\nmax_in_flight = 100
        [kafka]\nbrokers = \"k\"\ntransaction_timeout = \"10s\"
        [redis]\nmax_temp = 99\nmax_archive = 99";
    let text = format!("[gateway]\nurl = \"https://h\"\nkey_ttl = \"2m\"\n{all}");
    let errors = load(&text, &[], &[]).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(|error| error.key.as_str()).collect();
    let expected = [
        "kafka.transaction_timeout",
        "gateway.connect_timeout",
        "sweep.min_age",
        "gateway.key_ttl",
        "shutdown.timeout",
        "redis.max_temp",
        "redis.max_archive",
    ];
    assert_eq!(keys, expected, "{errors}");
    assert_eq!(
        errors.0[2].problem,
        "gateway.timeout (40s) must be below sweep.min_age (30s): the sweep would ask again for what is still \
         on its way"
    );
    let margin = "gateway.key_ttl (2m) less its margin (80s: a tenth, at least two calls)";
    assert!(errors.0[3].problem.contains(margin), "{errors}");
}

/// Each inequality holds at its bound and fails one step beyond it.
#[test]
fn inequalities_are_exact() {
    let fails = |set: &[&str]| load(MINIMAL, &[], set).map_err(|e| e.0.len()).err().unwrap_or(0);
    assert_eq!(fails(&["kafka.transaction_timeout=9999ms"]), 0);
    assert_eq!(fails(&["kafka.transaction_timeout=10s"]), 1);
    assert_eq!(fails(&["kafka.transaction_timeout=10s", "kafka.protocol=consumer"]), 0);
    assert_eq!(fails(&["kafka.request_timeout=8s"]), 0);
    assert_eq!(fails(&["kafka.request_timeout=8001ms"]), 1);
    assert_eq!(fails(&["gateway.connect_timeout=9999ms"]), 0);
    assert_eq!(fails(&["gateway.connect_timeout=10s"]), 1);
    assert_eq!(fails(&["sweep.min_age=10001ms"]), 0);
    assert_eq!(fails(&["sweep.min_age=10s"]), 1);
    // 30 s + 5 s + 10 s, and a margin of 20 s.
    assert_eq!(fails(&["gateway.key_ttl=65001ms"]), 0);
    assert_eq!(fails(&["gateway.key_ttl=65s"]), 1);
    assert_eq!(fails(&["shutdown.timeout=15001ms"]), 0);
    assert_eq!(fails(&["shutdown.timeout=15s"]), 1);
    assert_eq!(fails(&["redis.max_temp=256"]), 0);
    assert_eq!(fails(&["redis.max_temp=255"]), 1);
    assert_eq!(fails(&["redis.max_archive=1000"]), 0);
    assert_eq!(fails(&["redis.max_archive=999"]), 1);
    assert!(timing::check_open_files(256, Some(512)).is_none());
    assert!(timing::check_open_files(257, Some(512)).is_some());
    assert!(timing::check_open_files(usize::MAX >> 1, None).is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_one_finding_among_the_others() {
    let sources = Sources { file: Some("/nowhere.toml".into()), ..Sources::default() };
    let errors = Config::from_sources(&sources).unwrap_err();
    assert!(errors.to_string().starts_with("/nowhere.toml: No such file"), "{errors}");
    let errors = load("[kafka\n", &[], &[]).unwrap_err();
    assert!(errors.to_string().contains("line 1"), "{errors}");
}

const EXAMPLE: &str = include_str!("../../docs/tollbridge.example.toml");

/// What the example shows as a default (a line that begins with `#` and a name) is the default.
#[test]
fn the_example_shows_the_defaults() {
    let shown: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let shown = load(&shown.join("\n"), &[], &[]).unwrap();
    let defaults = load(EXAMPLE, &[], &[]).unwrap();
    assert_eq!(format!("{shown:?}"), format!("{defaults:?}"));
}

#[test]
fn the_example_names_every_key() {
    let mut named = BTreeSet::new();
    let mut section = String::new();
    for line in EXAMPLE.lines().map(|line| line.trim_start_matches(['#', ' '])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            named.insert(section.clone());
        }
        if let Some((name, _)) = line.split_once(" = ").or_else(|| line.split_once(": ")) {
            named.insert(format!("{section}.{name}"));
        }
    }
    let missing: Vec<String> =
        known_keys().into_keys().filter(|key| !named.contains(key)).collect();
    assert!(missing.is_empty(), "docs/tollbridge.example.toml lacks {missing:?}");
}

/// Rows of `docs/configuration.md`: key, default, what it can be, meaning. The first three follow from the code.
#[test]
fn the_reference_has_every_key_with_its_default_and_unit() {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let page = include_str!("../../docs/configuration.md");
    let rows: Vec<Vec<String>> = page[page.find("## Every key").unwrap()..]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .collect();
    let documented: BTreeMap<&str, String> =
        rows.iter().map(|row| (row[0].trim_matches('`'), row[1..3].join(" | "))).collect();
    assert_eq!(rows.len(), documented.len(), "a key stands there twice");
    let keys = known_keys();
    let expected: BTreeMap<&str, String> = keys
        .iter()
        .map(|(key, spec)| {
            let default = match &spec.default {
                Some(default) => format!("`{default}`"),
                None if spec.is_mandatory => "**mandatory**".to_owned(),
                None => "none".to_owned(),
            };
            (key.as_str(), format!("{default} | {}", spec.values))
        })
        .collect();
    assert_eq!(documented, expected);
    assert!(rows.iter().all(|row| row.len() == 4 && row[3].ends_with('.')), "{rows:?}");
}
