//! `[store]`: the database that rows go to.

use std::time::Duration;

use super::reader::Reader;
use super::secret::SecretUrl;

#[derive(Debug, Clone)]
pub struct Store {
    /// `sqlite:file`, `postgres://…` or `clickhouse://…`.
    pub url: SecretUrl,
    /// The longest wait for a connection or for one statement.
    pub timeout: Duration,
    pub max_connections: u32,
    /// Go on with a database that may lose what it acknowledged (no synchronous commit, no fsync). Gives up the
    /// promise.
    pub allow_lossy: bool,
}

impl Store {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let url = r.secret_url("store.url", Some("sqlite:tollbridge.db")).unwrap_or_default();
        let file = url.expose().strip_prefix("sqlite:").map(|path| path.trim_start_matches('/'));
        match url.scheme() {
            "sqlite"
                if file.is_some_and(|path| path.is_empty() || path.starts_with(":memory:")) =>
            {
                let remedy = "Write sqlite:path/of/a/file.";
                r.refuse(
                    "store.url",
                    "rows have to outlive the process, so it must name a file",
                    remedy,
                );
            }
            "sqlite" => {}
            "postgres" | "postgresql"
                if !url.authority().is_empty() || url.expose().contains('?') => {}
            "clickhouse" if !url.authority().is_empty() => {}
            _ => r.refuse(
                "store.url",
                "it is no address of a store",
                "Write sqlite:file, postgres://user:password@host/database or clickhouse://…, with the same parts.",
            ),
        }
        Self {
            url,
            timeout: r.period("store.timeout", "5s", ["100ms", "5m"]),
            max_connections: r.within("store.max_connections", 8, 1..=1_000),
            allow_lossy: r.or("store.allow_lossy", false),
        }
    }
}
