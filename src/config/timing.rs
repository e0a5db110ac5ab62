//! The inequalities between keys that must hold before the first record is read. Each was learned from an incident:
//! its reason stands in the message. Pure; one finding for each that fails, in numbers.
//!
//! Deliberately not here: a call may outlive the session. Whoever takes a partition over waits `sweep.min_age`, which
//! is longer than any call, before it asks again for what may be on the way, and asks with the same key.

use std::time::Duration;

use super::Config;
use super::errors::ConfigError;
use super::kafka::Protocol;
use super::units::Period;

/// Open files kept free for brokers, Redis, the store, health and logs.
pub const FILES_RESERVED: u64 = 256;

/// One side of an inequality: how it is written, and its value.
type Side = (String, Duration);

fn key(name: &str, value: Duration) -> Side {
    (format!("{name} ({})", Period(value)), value)
}

/// Every violation, in the order of the file.
#[must_use]
pub fn check(config: &Config) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let mut below = |name: &str, low: &Side, high: &Side, why: &str| {
        if low.1 >= high.1 {
            let problem = format!("{} must be below {}: {why}", low.0, high.0);
            found.push(ConfigError::general(name, &problem, "Change one of the two."));
        }
    };
    let session = key("kafka.session_timeout", config.kafka.session_timeout);
    let transaction = key("kafka.transaction_timeout", config.kafka.transaction_timeout);
    let call = key("gateway.timeout", config.gateway.timeout);
    let connect = key("gateway.connect_timeout", config.gateway.connect_timeout);
    let age = key("sweep.min_age", config.sweep.min_age);
    let store = key("store.timeout", config.store.timeout);
    let stop = key("shutdown.timeout", config.shutdown.timeout);
    if config.kafka.protocol == Protocol::Classic {
        let why = "a frozen process would hold its transaction open after another took over";
        below("kafka.transaction_timeout", &transaction, &session, why);
    }
    let why = "connecting is part of the call";
    below("gateway.connect_timeout", &connect, &call, why);
    let why = "the sweep would ask again for what is still on its way";
    below("sweep.min_age", &call, &age, why);
    below("gateway.key_ttl", &second_attempt(config), &usable_life(config), WHY_KEY_LIFE);
    let why = "answers on their way at the stop could be neither awaited nor stored";
    let last = (format!("{} + {}", call.0, store.0), call.1 + store.1);
    below("shutdown.timeout", &last, &stop, why);
    let request = key("kafka.request_timeout", config.kafka.request_timeout);
    if request.1 > transaction.1 {
        let problem = format!(
            "{} must not be above {}: a request would be waited for whose transaction the brokers have aborted",
            request.0, transaction.0
        );
        found.push(ConfigError::general(
            "kafka.request_timeout",
            &problem,
            "Change one of the two.",
        ));
    }
    found.extend(counts(config));
    found
}

const WHY_KEY_LIFE: &str = "a timeout could never be asked again before the gateway forgets the key, so that each \
                            would end in doubt";

/// When a swept transaction has had its second answer, counted from the first attempt, at the latest.
fn second_attempt(config: &Config) -> Side {
    let parts = [
        key("sweep.min_age", config.sweep.min_age),
        key("sweep.interval", config.sweep.interval),
        key("gateway.timeout", config.gateway.timeout),
    ];
    (
        parts.each_ref().map(|part| part.0.as_str()).join(" + "),
        parts.iter().map(|part| part.1).sum(),
    )
}

/// The key's life less the margin.
fn usable_life(config: &Config) -> Side {
    let life = config.gateway.key_life();
    let ttl = key("gateway.key_ttl", life.ttl);
    let margin = Period(life.margin());
    let text = format!("{} less its margin ({margin}: a tenth, at least two calls)", ttl.0);
    (text, life.usable())
}

/// The inequalities between numbers of things.
fn counts(config: &Config) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let (temp, calls) = (config.redis.max_temp, config.gateway.max_in_flight);
    if temp < calls {
        let problem = format!(
            "redis.max_temp ({temp}) must not be below gateway.max_in_flight ({calls}): the calls would never fill"
        );
        found.push(ConfigError::general("redis.max_temp", &problem, "Change one of the two."));
    }
    let (archive, rows) = (config.redis.max_archive, config.flush.max_rows);
    if archive < rows {
        let problem = format!(
            "redis.max_archive ({archive}) must not be below flush.max_rows ({rows}): no batch would fill"
        );
        found.push(ConfigError::general("redis.max_archive", &problem, "Change one of the two."));
    }
    found
}

/// Whether the calls fit in the files that this process may open (`None`: without limit).
#[must_use]
pub fn check_open_files(max_in_flight: usize, open_files: Option<u64>) -> Option<ConfigError> {
    let limit = open_files?;
    let calls = max_in_flight as u64;
    if calls + FILES_RESERVED <= limit {
        return None;
    }
    let problem = format!(
        "gateway.max_in_flight ({calls}) and {FILES_RESERVED} other files are more than the {limit} that this \
         process may open"
    );
    let remedy = "Lower it, or raise the limit (ulimit -n, LimitNOFILE).";
    Some(ConfigError::general("gateway.max_in_flight", &problem, remedy))
}
