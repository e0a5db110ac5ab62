//! What needs no service.

use super::*;
use crate::config::Sources;

fn config(url: &str) -> Config {
    let set = ["kafka.brokers=k", "gateway.key_ttl=24h", &format!("gateway.url={url}")];
    let overrides = set.iter().map(|text| text.parse().unwrap()).collect();
    Config::from_sources(&Sources { overrides, ..Sources::default() }).unwrap()
}

#[test]
fn an_open_wire_to_another_host_is_remarked() {
    for url in
        ["https://pay.example", "http://127.0.0.1:9400", "http://localhost/v1", "http://[::1]"]
    {
        assert_eq!(plaintext(&config(url)), None, "{url}");
    }
    let finding = plaintext(&config("http://pay.example/v1")).unwrap();
    assert!(finding.to_string().starts_with("note  gateway http://pay.example/v1: "), "{finding}");
}

#[test]
fn addresses_have_the_usual_port() {
    assert_eq!(address("https", "pay.example"), Some(("pay.example", 443)));
    assert_eq!(address("http", "pay.example"), Some(("pay.example", 80)));
    assert_eq!(address("http", "127.0.0.1:9400"), Some(("127.0.0.1", 9400)));
    assert_eq!(address("https", "[::1]"), Some(("::1", 443)));
    assert_eq!(address("https", "[::1]:8443"), Some(("::1", 8443)));
    assert_eq!(address("https", "host:port"), None);
    assert_eq!(address("https", ""), None);
}

/// Redis's version, eviction and clock; the bound of the clock is a quarter of the margin of 2.4 hours.
#[test]
fn redis_must_be_new_enough_and_keep_its_entries() {
    let config = config("https://pay.example");
    let now = SystemClock.now().wall;
    let look = |version: &str, eviction: &str, off_s: u64| {
        let health = QueueHealth {
            version: version.to_owned(),
            eviction_policy: eviction.to_owned(),
            used_memory_bytes: 0,
            max_memory_bytes: 0,
            now: now + Duration::from_secs(off_s),
        };
        of_redis(&config, "redis".to_owned(), now, &health).to_string()
    };
    assert!(look("7.0.15", "noeviction", 0).starts_with("ok "));
    assert!(look("8.1.0", "noeviction", 2_000).starts_with("ok "));
    assert!(look("6.2.14", "noeviction", 0).contains("at least 7.0"));
    assert!(look("new", "noeviction", 0).contains("at least 7.0"));
    assert!(look("7.0.15", "volatile-lru", 0).contains("volatile-lru"));
    assert!(look("7.0.15", "noeviction", 2_200).contains("Synchronise the clocks"));
}

/// A server that takes its time may have read its clock at any moment of it.
#[test]
fn a_slow_answer_is_no_wrong_clock() {
    let second = |s: i64| Wall(s * 1_000_000);
    let apart_s = |theirs| apart(second(100), second(107), second(theirs)).as_secs();
    assert_eq!([100, 104, 107].map(apart_s), [0; 3]);
    assert_eq!([97, 112].map(apart_s), [3, 5]);
}

#[test]
fn a_finding_is_one_line() {
    assert_eq!(Finding::fine("redis", "7.0").to_string(), "ok    redis: 7.0");
    let wrong = Finding::wrong("redis", "gone.", "Start it.");
    assert_eq!(wrong.to_string(), "wrong redis: gone. Start it.");
}
