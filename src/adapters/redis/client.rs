//! From the settings to a way to Redis that nobody has gone yet: what is wrong with an address shows here.

use std::path::Path;

use redis::cluster::ClusterClient;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, RedisResult, TlsCertificates};

use super::sentinel::Sentinels;
use super::{Settings, Topology};
use crate::ports::queue::QueueError;

/// The client of a cluster asks again by itself where a slot is moving or its master is: so often, with a pause of so
/// many milliseconds.
const CLUSTER_RETRIES: u32 = 5;
const CLUSTER_PAUSE_MS: [u64; 2] = [10, 200];

/// Whom to connect to.
pub(super) enum Way {
    Server(Client),
    Sentinels(Sentinels),
    Cluster(ClusterClient),
}

/// Public roots are trusted, or the certificates of the file in place of them.
pub(super) fn open(settings: &Settings) -> Result<Way, QueueError> {
    let roots = Roots::read(&settings.url, settings.ca_file.as_deref())?;
    let bad = |error: RedisError| bad_url(&error);
    match &settings.topology {
        Topology::Single => {
            let server = settings.url.as_str().into_connection_info().map_err(bad)?;
            Ok(Way::Server(roots.client(server).map_err(bad)?))
        }
        Topology::Sentinel { master, user, password } => {
            let servers = each_host(&settings.url).map_err(bad)?;
            let login = (user.as_deref(), password.as_deref());
            let sentinels = Sentinels::new(servers, master.clone(), login, roots);
            Ok(Way::Sentinels(sentinels.map_err(bad)?))
        }
        Topology::Cluster => {
            let nodes = each_host(&settings.url).map_err(bad)?;
            Ok(Way::Cluster(cluster(nodes, settings, roots).map_err(bad)?))
        }
    }
}

fn cluster(
    nodes: Vec<ConnectionInfo>,
    settings: &Settings,
    roots: Roots,
) -> RedisResult<ClusterClient> {
    let [least, most] = CLUSTER_PAUSE_MS;
    let builder = ClusterClient::builder(nodes)
        .retries(CLUSTER_RETRIES)
        .retry_wait_formula(least, 2)
        .min_retry_wait(least)
        .max_retry_wait(most)
        .connection_timeout(settings.connect_timeout)
        .response_timeout(settings.response_timeout);
    match roots.certificates() {
        Some(certificates) => builder.certs(certificates).build(),
        None => builder.build(),
    }
}

/// Each host of a list like `redis://user:password@one:6379,two:6379/0`.
fn each_host(url: &str) -> RedisResult<Vec<ConnectionInfo>> {
    let Some((scheme, rest)) = url.split_once("//") else {
        return Ok(vec![url.into_connection_info()?]);
    };
    let start = rest.rfind('@').map_or(0, |at| at + 1);
    let end = rest[start..].find(['/', '?', '#']).map_or(rest.len(), |length| start + length);
    let (user, path) = (&rest[..start], &rest[end..]);
    let hosts = rest[start..end].split(',');
    hosts.map(|host| format!("{scheme}//{user}{host}{path}").into_connection_info()).collect()
}

/// Who is trusted in place of the public roots; PEM.
pub(super) struct Roots(Option<Vec<u8>>);

impl Roots {
    fn read(url: &str, ca_file: Option<&Path>) -> Result<Self, QueueError> {
        let Some(path) = ca_file else { return Ok(Self(None)) };
        if !url.starts_with("rediss://") {
            return Err(QueueError::Permanent(
                "redis.ca_file is for TLS, which redis.url doesn't ask for; write rediss://, or remove \
                 redis.ca_file"
                    .into(),
            ));
        }
        let bad_file = |why: &str| {
            let path = path.display();
            let remedy = "give certificates in PEM";
            QueueError::Permanent(format!("redis.ca_file {path} can't be used ({why}); {remedy}"))
        };
        let pem = std::fs::read(path).map_err(|e| bad_file(&e.to_string()))?;
        // None at all would not be an error to the client: it would trust nobody.
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(bad_file("it holds no certificate"));
        }
        let roots = Self(Some(pem));
        let anyone =
            roots.client("rediss://localhost".into_connection_info().map_err(|e| bad_url(&e))?);
        anyone.map_err(|e| bad_file(&e.to_string()))?;
        Ok(roots)
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        Some(TlsCertificates { client_tls: None, root_cert: Some(self.0.clone()?) })
    }

    /// A client of this server.
    pub(super) fn client(&self, server: ConnectionInfo) -> RedisResult<Client> {
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(server, certificates),
            None => Client::open(server),
        }
    }
}

/// The client's words may repeat the address, password included: their kind alone is told.
fn bad_url(error: &RedisError) -> QueueError {
    QueueError::Permanent(format!(
        "redis.url can't be read ({}); write redis://host:port/db, or rediss:// for TLS",
        error.category()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_hosts_shares_user_and_database() {
        let hosts = each_host("redis://me:a%2Cb@one:1,two:2,[::1]:3/4").unwrap();
        let shown: Vec<String> = hosts.iter().map(|host| host.addr().to_string()).collect();
        assert_eq!(shown, ["one:1", "two:2", "::1:3"]);
        for host in hosts {
            let login = host.redis_settings();
            assert_eq!((login.username(), login.password()), (Some("me"), Some("a,b")));
            assert_eq!(login.db(), 4);
        }
        assert!(each_host("redis://one:1,,two:2").is_err());
        assert!(each_host("").is_err());
    }
}
