//! A Redis, two replicas of it, and three Sentinels that make one of these the master when it dies. It deliberately
//! decides nothing of that itself.

use crate::certificate::Tls;
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::redis::command;
use crate::temp::TempDir;
use crate::wait::wait_for;
use crate::{Redis, RedisOptions, Reply};
use std::fs;
use std::time::Duration;

/// The name under which the Sentinels know the master.
pub const MASTER: &str = "main";
const READY_LIMIT: Duration = Duration::from_secs(90);
/// From the death of a master until another is one and the Sentinels say so, on a busy machine.
const FAILOVER_LIMIT: Duration = Duration::from_secs(90);
/// So many Sentinels must miss a master.
const QUORUM: usize = 2;
/// A master is missed after so many milliseconds, and another attempt is made after so many.
const DOWN_AFTER: u32 = 1_000;
const FAILOVER_TIMEOUT: u32 = 6_000;

/// The servers and their Sentinels. Dropping it kills them all.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
    _folder: TempDir,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    /// The one that a URL names.
    url_port: u16,
    _process: Process,
}

impl Sentinels {
    /// Starts them, and returns once each Sentinel knows all others and both replicas.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(RedisOptions::default())
    }

    /// Over servers like this one; none of them keeps anything on disk.
    ///
    /// # Errors
    /// As for [`Sentinels::start`].
    pub fn start_with(options: RedisOptions) -> Result<Self> {
        let options = RedisOptions { appendonly: false, ..options };
        let quick = ["--repl-diskless-sync-delay", "0"].map(str::to_owned);
        let master = Redis::start_with(RedisOptions { args: quick.to_vec(), ..options.clone() })?;
        let port = master.peer_port().to_string();
        let of = ["--replicaof", "127.0.0.1", &port].map(str::to_owned);
        let args = [&quick[..], &of[..]].concat();
        let replica = RedisOptions { args, ..options.clone() };
        let servers =
            vec![master, Redis::start_with(replica.clone())?, Redis::start_with(replica)?];
        let folder = TempDir::new("sentinels")?;
        let sentinel = |number| sentinel(&folder, &servers[0], number, options.tls.as_ref());
        let sentinels = (0..3).map(sentinel).collect::<Result<Vec<_>>>()?;
        let group = Self { servers, sentinels, _folder: folder };
        group.wait_known()?;
        Ok(group)
    }

    fn wait_known(&self) -> Result<()> {
        for Sentinel { port, .. } in &self.sentinels {
            wait_for("Sentinels to know each other", READY_LIMIT, || {
                let told = command(*port, 0, &["SENTINEL", "MASTER", MASTER]).ok();
                let field = |name| told.as_ref().and_then(|told| field(told, name));
                let is = |name, count: usize| field(name) == Some(count.to_string());
                let all = is("num-other-sentinels", self.sentinels.len() - 1);
                Ok((all && is("num-slaves", self.servers.len() - 1)).then_some(()))
            })?;
        }
        Ok(())
    }

    /// The URL that names the Sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.url_port));
        format!("redis://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The server that the first Sentinel takes for the master.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn master(&self) -> Result<&Redis> {
        let first = self.sentinels.first().ok_or_else(|| Error::new("there is no Sentinel"))?;
        let told = command(first.port, 0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])?;
        let Reply::Array(address) = &told else {
            return Err(Error::new(format!("a Sentinel names no master but {told:?}")));
        };
        let port = address.get(1).and_then(Reply::integer);
        let found = self.servers.iter().find(|server| Some(i64::from(server.peer_port())) == port);
        found.ok_or_else(|| Error::new("the Sentinels name a master that is none of ours"))
    }

    /// Waits until another server than this one is the master, and says so itself; gives it.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_other_master(&self, than: &Redis) -> Result<&Redis> {
        wait_for("another master", FAILOVER_LIMIT, || {
            let master = self.master().ok().filter(|master| master.port() != than.port());
            Ok(master.filter(|master| is_master(master)))
        })
    }

    /// Waits until all servers run and follow the master.
    ///
    /// # Errors
    /// When one does not in time.
    pub fn wait_whole(&self) -> Result<()> {
        wait_for("all replicas to follow", FAILOVER_LIMIT, || {
            let Ok(master) = self.master() else { return Ok(None) };
            let replicas = self.servers.iter().filter(|server| server.port() != master.port());
            let mut follow = replicas.map(|server| follows(server, master));
            Ok((is_master(master) && follow.all(|follows| follows)).then_some(()))
        })
    }
}

fn sentinel(
    folder: &TempDir,
    master: &Redis,
    number: usize,
    tls: Option<&Tls>,
) -> Result<Sentinel> {
    let (port, tls_port) = (free_port(), tls.map(|_| free_port()));
    let own = folder.join(number.to_string());
    fs::create_dir_all(&own).doing(|| format!("make {}", own.display()))?;
    let config = own.join("sentinel.conf");
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {} {QUORUM}\n\
         sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}\n\
         sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT}\n",
        own.display(),
        master.peer_port()
    );
    if let (Some(tls), Some(port)) = (tls, tls_port) {
        text.extend(tls.lines(port).into_iter().map(|(name, value)| format!("{name} {value}\n")));
    }
    fs::write(&config, text).doing(|| format!("write {}", config.display()))?;
    let log = own.join("sentinel.log");
    let process = Launch::new("redis-server").arg(config).arg("--sentinel").log(log).start()?;
    Ok(Sentinel { port, url_port: tls_port.unwrap_or(port), _process: process })
}

/// The value behind a name, in a list of both in turn.
fn field(told: &Reply, name: &str) -> Option<String> {
    let Reply::Array(told) = told else { return None };
    let pairs = told.chunks_exact(2);
    pairs.into_iter().find(|pair| pair[0].text() == name).map(|pair| pair[1].text())
}

/// Whether it says so of itself.
pub(crate) fn is_master(server: &Redis) -> bool {
    let role = server.command(&["ROLE"]);
    role.is_ok_and(|role| matches!(role, Reply::Array(told) if told[0].text() == "master"))
}

/// Whether it is a replica of this one, and has all that it had.
#[must_use]
pub fn follows(server: &Redis, master: &Redis) -> bool {
    let Ok(Reply::Array(told)) = server.command(&["ROLE"]) else { return false };
    told.len() >= 4
        && told[0].text() == "slave"
        && told[2].integer() == Some(i64::from(master.peer_port()))
        && told[3].text() == "connected"
}
