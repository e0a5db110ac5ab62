//! `[redis]`: where the two queues live and how much they may hold.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::secret::{Secret, SecretUrl};

/// How the servers that `redis.url` names belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    Single,
    Sentinel,
    Cluster,
}

#[derive(Debug, Clone)]
pub struct Redis {
    pub url: SecretUrl,
    pub topology: Topology,
    /// The name under which Sentinels know the master; empty without them.
    pub sentinel_master: String,
    /// The log-in of the Sentinels themselves; that of the servers stands in the URL.
    pub sentinel_user: Option<String>,
    pub sentinel_password: Option<Secret>,
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
        let choices = [
            ("single", Topology::Single),
            ("sentinel", Topology::Sentinel),
            ("cluster", Topology::Cluster),
        ];
        let topology = r.choice("redis.topology", Topology::Single, &choices);
        fits(r, &url, topology);
        let sentinel_master = r.maybe("redis.sentinel_master");
        let sentinel_user = r.maybe("redis.sentinel_user");
        let sentinel_password = r.secret("redis.sentinel_password");
        if topology == Topology::Sentinel && sentinel_master.is_none() {
            let why = "with redis.topology = \"sentinel\" it has to be set";
            let remedy = "Give the name under which the Sentinels know the master, as in their `sentinel monitor`.";
            r.refuse("redis.sentinel_master", why, remedy);
        }
        if topology != Topology::Sentinel {
            for key in SENTINELS_OWN {
                if r.is_set(key) {
                    let why = "it is for redis.topology = \"sentinel\" alone";
                    r.refuse(key, why, "Remove it, or set redis.topology.");
                }
            }
        }
        Self {
            url,
            topology,
            sentinel_master: sentinel_master.unwrap_or_default(),
            sentinel_user,
            sentinel_password,
            prefix,
            connect_timeout: r.period("redis.connect_timeout", "2s", ["10ms", "1m"]),
            response_timeout: r.period("redis.response_timeout", "2s", ["10ms", "1m"]),
            ca_file: r.file("redis.ca_file"),
            max_temp: r.within("redis.max_temp", 8_192, 1..=1_000_000),
            max_archive: r.within("redis.max_archive", 65_536, 1..=10_000_000),
        }
    }
}

const SENTINELS_OWN: [&str; 4] = [
    "redis.sentinel_master",
    "redis.sentinel_user",
    "redis.sentinel_password",
    "redis.sentinel_password_file",
];

/// Whether that many servers, and that database, are what the topology wants.
fn fits(r: &mut Reader<'_>, url: &SecretUrl, topology: Topology) {
    if topology == Topology::Single && url.authority().contains(',') {
        let why = "it names several servers, and redis.topology is \"single\"";
        r.refuse(
            "redis.url",
            why,
            "Name one, or set redis.topology to \"sentinel\" or \"cluster\".",
        );
    }
    let path = url.expose().rsplit_once(url.authority()).map_or("", |(_, path)| path);
    let database = path.split('?').next().unwrap_or_default();
    if topology == Topology::Cluster && !matches!(database, "" | "/" | "/0") {
        let why = "it names a database, and a cluster has only database 0";
        r.refuse("redis.url", why, "Remove what follows the last port.");
    }
}
