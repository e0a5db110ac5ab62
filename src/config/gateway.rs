//! `[gateway]`: where charges go, how long a call may take, and how long the gateway remembers a key.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use figment::providers::{Format, Toml};

use super::reader::Reader;
use super::secret::{Secret, SecretUrl};
use super::units::Period;
use crate::domain::retry::KeyLife;

#[derive(Debug, Clone)]
pub struct Gateway {
    /// The base; paths of the profile are appended.
    pub url: SecretUrl,
    pub profile: Profile,
    /// What says who asks, where the profile has a place for it.
    pub credential: Option<Secret>,
    /// How long the gateway remembers an idempotency key. No default but what the profile says, which is also the most
    /// that it may be: a guess here could charge twice.
    pub key_ttl: Duration,
    pub connect_timeout: Duration,
    /// The whole call, connecting included.
    pub timeout: Duration,
    /// A connection that was unused for longer is not used again.
    pub idle: Duration,
    /// Calls at the same time, at most.
    pub max_in_flight: usize,
    pub concurrency: Concurrency,
    /// Calls a second of the whole group; `None`: no limit.
    pub rate_limit: Option<u32>,
    /// Repeats that bring no answer, in percent of the first attempts.
    pub retry_budget: u32,
    /// Calls in a row without an answer that open the breaker.
    pub breaker: u32,
    /// A longer answer is cut, which makes it unknown; bytes.
    pub body_max: usize,
    /// Trusted beside the public roots; PEM.
    pub ca_file: Option<PathBuf>,
    /// Sent with every request, for example `authorization`. Names in lower case. Printing masks the values.
    pub headers: BTreeMap<String, Secret>,
}

/// How many of `max_in_flight` calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// Fewer while the gateway is slower than usual.
    Adaptive,
    /// Always all.
    Fixed,
}

/// How the gateway is spoken to. What a description says is checked where it is read, by `wire::gateway`.
#[derive(Debug, Clone, PartialEq)]
pub enum Profile {
    BuiltIn(&'static str),
    /// `key`: where the description stands, a key or a file.
    Described {
        key: String,
        tree: serde_json::Value,
    },
}

/// The names of the built-in profiles.
pub const BUILT_IN: [&str; 3] = ["generic", "stripe", "stripe-charges"];

impl Profile {
    /// For how long the gateway keeps a key, where its profile says so.
    fn key_ttl(&self) -> Option<Period> {
        match self {
            Self::BuiltIn("stripe" | "stripe-charges") => Some(Period(Duration::from_hours(24))),
            Self::BuiltIn(_) => None,
            // What is no duration is told where descriptions are checked.
            Self::Described { tree, .. } => tree.get("key_ttl")?.as_str()?.parse().ok(),
        }
    }
}

/// Headers that the call itself sets.
const OWNED_HEADERS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "transfer-encoding",
    "upgrade",
];

impl Gateway {
    /// How long a key lives, and how close to its end a call may leave.
    #[must_use]
    pub fn key_life(&self) -> KeyLife {
        KeyLife { ttl: self.key_ttl, deadline: self.timeout }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let url = r.secret_url("gateway.url", None);
        match &url {
            None if r.is_set("gateway.url_file") => {}
            None => {
                let example = "Name the gateway, for example \"https://pay.example/v1\".";
                r.must::<SecretUrl>("gateway.url", example);
            }
            Some(url) => {
                let place = "gateway.header_files.authorization";
                r.check_http("gateway.url", url, ("https://host/path", place));
            }
        }
        let given = r.maybe::<Period>(KEY_TTL);
        let profile = profile(r);
        Self {
            url: url.unwrap_or_default(),
            credential: r.secret("gateway.credential"),
            key_ttl: key_ttl(r, given, profile.key_ttl()).0,
            profile,
            connect_timeout: r.period("gateway.connect_timeout", "2s", ["10ms", "1m"]),
            timeout: r.period("gateway.timeout", "10s", ["20ms", "5m"]),
            idle: r.period("gateway.idle", "30s", ["1s", "10m"]),
            max_in_flight: r.within("gateway.max_in_flight", 256, 1..=65_536),
            concurrency: r.choice(
                "gateway.concurrency",
                Concurrency::Adaptive,
                &[("adaptive", Concurrency::Adaptive), ("fixed", Concurrency::Fixed)],
            ),
            rate_limit: r.maybe_within("gateway.rate_limit", 1..=1_000_000),
            retry_budget: r.within("gateway.retry_budget", 10, 1..=100),
            breaker: r.within("gateway.breaker", 8, 1..=10_000),
            body_max: r.size("gateway.body_max", "64KiB", ["1KiB", "16MiB"]),
            ca_file: r.file("gateway.ca_file"),
            headers: headers(r),
        }
    }
}

const KEY_TTL: &str = "gateway.key_ttl";

/// As the configuration says, or else the profile; one of them has to.
fn key_ttl(r: &mut Reader<'_>, given: Option<Period>, kept: Option<Period>) -> Period {
    match (given, kept) {
        (Some(given), Some(kept)) if given > kept => {
            let problem = format!("the profile says that keys are kept for {kept}");
            r.refuse(KEY_TTL, problem, "Lower it, or remove it: then it is what the profile says.");
            given
        }
        (_, Some(kept)) => r.or(KEY_TTL, kept),
        (_, None) => r.must(
            KEY_TTL,
            "Ask its operators how long the gateway remembers a key; write for example \"24h\".",
        ),
    }
}

/// A built-in profile by its name, or a description: as a table of this file, or as a file of its own.
fn profile(r: &mut Reader<'_>) -> Profile {
    const KEY: &str = "gateway.profile";
    const FILE: &str = "gateway.profile_file";
    let file = r.maybe::<PathBuf>(FILE);
    if let Some(tree) = r.tree(KEY) {
        if file.is_some() {
            r.refuse(FILE, format!("{KEY} is a description too"), "Keep one of the two.");
        }
        return Profile::Described { key: KEY.to_owned(), tree };
    }
    let choices = BUILT_IN.map(|name| (name, name));
    let name = r.choice(KEY, BUILT_IN[0], &choices);
    let Some(path) = file else { return Profile::BuiltIn(name) };
    if r.is_set(KEY) {
        r.refuse(FILE, format!("{KEY} names another"), "Keep one of the two.");
    }
    match described(&path) {
        Ok(tree) => Profile::Described { key: path.display().to_string(), tree },
        Err(why) => {
            r.refuse(FILE, why, "Name a file with a description in TOML.");
            Profile::BuiltIn(name)
        }
    }
}

fn described(path: &std::path::Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Toml::from_str(&text).map_err(|error| error.message().to_owned())
}

/// The plain headers, and those whose values stand in files.
fn headers(r: &mut Reader<'_>) -> BTreeMap<String, Secret> {
    const PLAIN: &str = "gateway.headers";
    const FILES: &str = "gateway.header_files";
    let mut out = BTreeMap::new();
    for (name, value) in r.map(PLAIN) {
        out.insert(name.to_ascii_lowercase(), value);
    }
    for (name, path) in r.map(FILES) {
        let value = r.secret_file(FILES, std::path::Path::new(path.expose()));
        if value.and_then(|value| out.insert(name.to_ascii_lowercase(), value)).is_some() {
            r.refuse(FILES, format!("{PLAIN} has {name} too"), "Keep one of the two.");
        }
    }
    for (name, value) in &out {
        let problem = if !is_header_name(name) {
            "that is no name of a header"
        } else if OWNED_HEADERS.contains(&name.as_str()) {
            "Tollbridge sets it itself"
        } else if !value.expose().bytes().all(|b| matches!(b, b' '..=b'~')) {
            "its value has characters that no header can carry"
        } else {
            continue;
        };
        r.refuse(PLAIN, format!("{name}: {problem}"), "Correct or remove it.");
    }
    out
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MINIMAL, load};

    #[test]
    fn a_keys_life_is_the_profiles_where_that_says_it_and_never_longer() {
        let bare = MINIMAL.replace("key_ttl = \"24h\"\n", "");
        assert_ne!(bare, MINIMAL);
        let described = format!("{bare}profile = {{ name = \"acme\", key_ttl = \"2h\" }}\n");
        let hours = |text: &str, set: &[&str]| {
            load(text, &[], set).map(|c| c.gateway.key_ttl.as_secs() / 3_600)
        };
        assert_eq!(hours(&bare, &["gateway.profile=stripe"]).unwrap(), 24);
        assert_eq!(hours(&bare, &["gateway.profile=stripe", "gateway.key_ttl=23h"]).unwrap(), 23);
        assert_eq!(hours(&described, &[]).unwrap(), 2);
        for (text, set) in [
            (&bare, &["gateway.profile=stripe", "gateway.key_ttl=25h"][..]),
            (&described, &["gateway.key_ttl=3h"]),
        ] {
            let errors = hours(text, set).unwrap_err().to_string();
            assert!(errors.contains("gateway.key_ttl"), "{errors}");
            assert!(errors.contains("the profile says that keys are kept for"), "{errors}");
        }
        for none in [&bare, &described.replace("2h", "soon")] {
            let errors = hours(none, &[]).unwrap_err().to_string();
            assert!(errors.contains("gateway.key_ttl: it has to be set"), "{errors}");
        }
    }
}
