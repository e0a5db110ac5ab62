//! `[schema_registry]`: where schemas are kept that producers write with, and ours. Without a `url` there is none.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::secret::{Secret, SecretUrl};

#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    pub url: SecretUrl,
    /// `user:password` or a token, as `auth` says.
    pub credential: Option<Secret>,
    pub auth: Auth,
    pub ca_file: Option<PathBuf>,
    /// Of one request.
    pub timeout: Duration,
    /// Under which names our own schemas stand.
    pub subjects: Subjects,
    /// Register them where they are missing.
    pub auto_register: bool,
    /// A schema that the registry does not know for this long is taken for one that there is not.
    pub unknown_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Basic,
    Bearer,
}

/// The usual strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subjects {
    /// `tx-archived-value`
    Topic,
    /// `dev.tollbridge.Outcome`
    Record,
    /// `tx-archived-dev.tollbridge.Outcome`
    TopicRecord,
}

impl SchemaRegistry {
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let url = r.secret_url("schema_registry.url", None);
        if let Some(url) = &url {
            let place = "schema_registry.credential_file";
            r.check_http("schema_registry.url", url, ("https://host:port", place));
        }
        let read = Self {
            url: url.clone().unwrap_or_default(),
            credential: r.secret("schema_registry.credential"),
            auth: r.choice(
                "schema_registry.auth",
                Auth::Basic,
                &[("basic", Auth::Basic), ("bearer", Auth::Bearer)],
            ),
            ca_file: r.file("schema_registry.ca_file"),
            timeout: r.period("schema_registry.timeout", "5s", ["100ms", "1m"]),
            subjects: r.choice(
                "schema_registry.subjects",
                Subjects::Topic,
                &[
                    ("topic", Subjects::Topic),
                    ("record", Subjects::Record),
                    ("topic-record", Subjects::TopicRecord),
                ],
            ),
            auto_register: r.or("schema_registry.auto_register", false),
            unknown_after: r.period("schema_registry.unknown_after", "1m", ["0s", "1d"]),
        };
        url.map(|_| read)
    }
}
