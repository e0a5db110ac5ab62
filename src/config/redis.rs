//! `[redis]`: where the two queues live and how much they may hold.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::secret::SecretUrl;

#[derive(Debug, Clone)]
pub struct Redis {
    pub url: SecretUrl,
    /// What every key begins with.
    pub prefix: String,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
    /// Trusted for `rediss://` in place of the public roots; PEM.
    pub ca_file: Option<PathBuf>,
    /// Entries that this process keeps in temp queues, waiting duplicates and rejected included. Intake pauses there.
    pub max_temp: usize,
    /// Entries that this process keeps in archive queues. Intake pauses there.
    pub max_archive: usize,
}

impl Redis {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let url = r.secret_url("redis.url", Some("redis://127.0.0.1:6379/0")).unwrap_or_default();
        if !matches!(url.scheme(), "redis" | "rediss") || url.authority().is_empty() {
            let form = "Write redis://host:port/database, or rediss:// for TLS.";
            r.refuse("redis.url", "it is no address of a Redis server", form);
        }
        let prefix = r.or("redis.prefix", "tollbridge".to_owned());
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if prefix.len() > 64 || !prefix.bytes().all(good) {
            let rule = "a prefix has 1 to 64 characters of A-Z a-z 0-9 . _ -";
            r.refuse("redis.prefix", rule, "Choose such a prefix.");
        }
        let instead = "Choose \"single\" and one address.";
        r.later("redis.topology", &["sentinel", "cluster"], instead);
        r.choice("redis.topology", (), &[("single", ())]);
        Self {
            url,
            prefix,
            connect_timeout: r.period("redis.connect_timeout", "2s", ["10ms", "1m"]),
            response_timeout: r.period("redis.response_timeout", "2s", ["10ms", "1m"]),
            ca_file: r.file("redis.ca_file"),
            max_temp: r.within("redis.max_temp", 8_192, 1..=1_000_000),
            max_archive: r.within("redis.max_archive", 65_536, 1..=10_000_000),
        }
    }
}
