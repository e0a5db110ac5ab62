//! What is different between two readings of the configuration, and what of it takes effect without a restart. Values
//! of secrets are masked before they get here: that one has changed can't be told.

use super::show::Shown;

/// Keys, and beginnings of keys, that take effect at once.
pub const AT_ONCE: [&str; 8] = [
    "alerts.",
    "charge.pause",
    "gateway.breaker",
    "gateway.concurrency",
    "gateway.max_in_flight",
    "gateway.rate_limit",
    "gateway.retry_budget",
    "log.level",
];

/// A key with another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    /// As a file would have it; `not set` where it was not.
    pub before: String,
    pub after: String,
    pub needs_restart: bool,
}

/// In the order of the sections; what is gone comes last.
#[must_use]
pub fn changes(before: &[Shown], after: &[Shown]) -> Vec<Change> {
    let value_in = |all: &[Shown], key: &str| {
        let shown = all.iter().find(|shown| key_of(shown) == key);
        shown.filter(|shown| !shown.value.is_null()).map(|shown| shown.value.to_string())
    };
    let gone = before.iter().filter(|was| value_in(after, &key_of(was)).is_none());
    let mut all = Vec::new();
    for key in after.iter().chain(gone).map(key_of) {
        let (was, is) = (value_in(before, &key), value_in(after, &key));
        if was == is || all.iter().any(|change: &Change| change.key == key) {
            continue;
        }
        let told = |value: Option<String>| value.unwrap_or_else(|| "not set".to_owned());
        all.push(Change {
            needs_restart: !AT_ONCE.iter().any(|at_once| is_of(&key, at_once)),
            before: told(was),
            after: told(is),
            key,
        });
    }
    all
}

fn key_of(shown: &Shown) -> String {
    format!("{}.{}", shown.section, shown.name)
}

fn is_of(key: &str, at_once: &str) -> bool {
    key == at_once || (at_once.ends_with('.') && key.starts_with(at_once))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str, value: serde_json::Value) -> Shown {
        let (section, name) = key.rsplit_once('.').unwrap();
        let (section, name) = (section.to_owned(), name.to_owned());
        Shown { section, name, value, origin: "file".to_owned() }
    }

    #[test]
    fn what_differs_is_told_with_both_values_and_whether_it_takes_effect() {
        let before = [
            shown("gateway.rate_limit", serde_json::Value::Null),
            shown("gateway.timeout", "10s".into()),
            shown("alerts.temp_depth.raise", 75.into()),
            shown("gateway.headers.x-merchant", "a".into()),
            shown("log.level", "info".into()),
        ];
        let after = [
            shown("gateway.rate_limit", 100.into()),
            shown("gateway.timeout", "9s".into()),
            shown("alerts.temp_depth.raise", 80.into()),
            shown("log.level", "info".into()),
        ];
        let told: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|c| format!("{}: {} to {}, {}", c.key, c.before, c.after, c.needs_restart))
            .collect();
        assert_eq!(
            told,
            [
                "gateway.rate_limit: not set to 100, false",
                "gateway.timeout: \"10s\" to \"9s\", true",
                "alerts.temp_depth.raise: 75 to 80, false",
                "gateway.headers.x-merchant: \"a\" to not set, true",
            ]
        );
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn what_takes_effect_at_once_is_there() {
        let known = super::super::known_keys();
        for at_once in AT_ONCE {
            assert!(known.keys().any(|key| is_of(key, at_once)), "{at_once}");
        }
    }
}
