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
                if !url.authority().is_empty() || url.expose().contains('?') =>
            {
                postgres_parts(r, &url);
            }
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

/// What the driver knows of what may follow the `?`. The rest it would leave out, with a warning that shows the value.
const PARTS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

fn postgres_parts(r: &mut Reader<'_>, url: &SecretUrl) {
    let Some((_, query)) = url.expose().split_once('?') else { return };
    for part in query.split('&') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if !PARTS.contains(&name) {
            // Where a password has a bare `?`, this is a piece of it.
            let why = "what follows the ? has a part that is not known";
            let remedy = format!("Known are {}. In a password write ? as %3F.", PARTS.join(", "));
            r.refuse("store.url", why, &remedy);
        } else if FILES.contains(&name)
            && !value.contains('%')
            && let Err(error) = std::fs::File::open(value)
        {
            let why = format!("{name} names {value}: {error}");
            r.refuse("store.url", why, "Name a file that can be read.");
        }
    }
}
