//! A real Redis server of its own, with a client of a few lines for commands such as FLUSHALL and HLEN.
//! It is deliberately not a client for the product: that one uses the redis crate.

use crate::cache;
use crate::certificate::Tls;
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::process::{Launch, Process, seen_from_outside};
use crate::temp::TempDir;
use crate::wait::lock;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Enough for one database a test.
const DATABASES: u32 = 4096;

/// How a server is started.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The server's program: Valkey's works too.
    pub program: String,
    /// Whether there is an append-only file. Without it a kill loses everything.
    pub appendonly: bool,
    /// When that file is synced: `always`, `everysec` or `no`.
    pub appendfsync: String,
    /// Such as `64mb`; none is no limit.
    pub maxmemory: Option<String>,
    /// What happens at the limit.
    pub maxmemory_policy: String,
    /// The size of a small disk of its own, such as `64m`, lost with the process. Only root can have one.
    pub disk: Option<String>,
    /// Whether it speaks TLS, too, on a port of its own, and to its peers.
    pub tls: Option<Tls>,
    /// More arguments for the server.
    pub args: Vec<String>,
}

impl Tls {
    /// What a configuration says; Redis's and a Sentinel's are alike.
    pub(crate) fn lines(&self, port: u16) -> Vec<(&'static str, String)> {
        let (key, cert) = (self.key.display().to_string(), self.cert.display().to_string());
        vec![
            ("tls-port", port.to_string()),
            ("tls-key-file", key),
            ("tls-cert-file", cert.clone()),
            ("tls-ca-cert-file", cert),
            ("tls-auth-clients", "no".into()),
            ("tls-replication", "yes".into()),
        ]
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            program: "redis-server".into(),
            appendonly: true,
            appendfsync: "everysec".into(),
            maxmemory: None,
            maxmemory_policy: "noeviction".into(),
            disk: None,
            tls: None,
            args: Vec::new(),
        }
    }
}

impl RedisOptions {
    /// Valkey, in place of Redis.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn valkey() -> Result<Self> {
        let program = cache::valkey()?.display().to_string();
        Ok(Self { program, ..Self::default() })
    }
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A word such as OK.
    Status(String),
    /// A number.
    Integer(i64),
    /// A value.
    Bulk(Vec<u8>),
    /// Several.
    Array(Vec<Reply>),
}

impl Reply {
    /// As text; empty for what has none.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::Array(_) => String::new(),
        }
    }

    /// As a number, where it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            other => other.text().parse().ok(),
        }
    }
}

/// A server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    options: RedisOptions,
    port: u16,
    tls_port: Option<u16>,
    next_database: AtomicU32,
    process: Mutex<Option<Process>>,
}

impl Redis {
    /// Starts a server and returns once it answers.
    ///
    /// # Errors
    /// When the program is missing or does not answer.
    pub fn start() -> Result<Self> {
        Self::start_with(RedisOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_with(options: RedisOptions) -> Result<Self> {
        let redis = Self::stopped(options)?;
        redis.run()?;
        Ok(redis)
    }

    /// One that [`Redis::restart`] would start.
    pub(crate) fn stopped(options: RedisOptions) -> Result<Self> {
        Ok(Self {
            folder: TempDir::new("redis")?,
            tls_port: options.tls.as_ref().map(|_| free_port()),
            options,
            port: free_port(),
            next_database: AtomicU32::new(1),
            process: Mutex::new(None),
        })
    }

    fn run(&self) -> Result<()> {
        let mut process = lock(&self.process);
        let options = &self.options;
        let appendonly = if options.appendonly { "yes" } else { "no" };
        let port = self.port.to_string();
        let databases = DATABASES.to_string();
        let mut launch = Launch::new(&options.program)
            .args(["--port", &port, "--bind", "127.0.0.1", "--databases", &databases])
            .args(["--save", "", "--appendonly", appendonly])
            .args(["--appendfsync", &options.appendfsync])
            .args(["--maxmemory-policy", &options.maxmemory_policy, "--dir"])
            .arg(self.folder.path());
        if let Some(limit) = &options.maxmemory {
            launch = launch.args(["--maxmemory", limit]);
        }
        if let (Some(tls), Some(port)) = (&options.tls, self.tls_port) {
            for (name, value) in tls.lines(port) {
                launch = launch.arg(format!("--{name}")).arg(value);
            }
        }
        if let Some(size) = &options.disk {
            launch = launch.disk(self.folder.path(), size);
        }
        let server = launch.args(&options.args).log(self.log_path()).start()?;
        server.wait_ready("Redis", READY_LIMIT, || command(self.port, 0, &["PING"]).is_ok())?;
        *process = Some(server);
        Ok(())
    }

    /// The URL of database 0.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The URL of a database that nobody else was given: one server can serve many tests.
    #[must_use]
    pub fn fresh_url(&self) -> String {
        format!("{}/{}", self.url(), self.next_database.fetch_add(1, Ordering::Relaxed) % DATABASES)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which its peers reach it: that for TLS, where it has one.
    #[must_use]
    pub fn peer_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// What the server writes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("redis.log")
    }

    /// Where its data is, as others see it while it runs on a disk of its own.
    #[must_use]
    pub fn disk_path(&self) -> Option<PathBuf> {
        seen_from_outside(self.pid()?, self.folder.path())
    }

    /// The server's process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::pid)
    }

    /// Runs a command in database 0.
    ///
    /// # Errors
    /// When the server does not answer or answers with an error.
    pub fn command(&self, words: &[&str]) -> Result<Reply> {
        command(self.port, 0, words)
    }

    /// Runs a command in the database of this URL of ours.
    ///
    /// # Errors
    /// When the server does not answer or answers with an error.
    pub fn command_at(&self, url: &str, words: &[&str]) -> Result<Reply> {
        let database = url.rsplit('/').next().and_then(|number| number.parse().ok());
        command(self.port, database.unwrap_or(0), words)
    }

    /// The bytes that it uses, as it counts them.
    ///
    /// # Errors
    /// When the server does not answer, or does not say it.
    pub fn used_memory(&self) -> Result<u64> {
        let info = self.command(&["INFO", "memory"])?.text();
        let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:"));
        let used = used.and_then(|used| used.parse().ok());
        used.ok_or_else(|| Error::new("Redis does not say what it uses"))
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        lock(&self.process).take();
    }

    /// An orderly stop.
    ///
    /// # Errors
    /// When it does not run or has not ended after a minute.
    pub fn stop(&self) -> Result<()> {
        let process = lock(&self.process).take();
        process.ok_or_else(|| Error::new("Redis does not run"))?.terminate(STOP_LIMIT)?;
        Ok(())
    }

    /// Starts it again on the same port and data; where it runs, it is killed first.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.run()
    }

    /// Stops it where it stands (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        lock(&self.process).as_ref().ok_or_else(|| Error::new("Redis does not run"))?.pause()
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        lock(&self.process).as_ref().ok_or_else(|| Error::new("Redis does not run"))?.resume()
    }
}

/// Runs one command in a database of a server on this loopback port.
///
/// # Errors
/// When the server does not answer within half a minute or answers with an error.
pub fn command(port: u16, database: u32, words: &[&str]) -> Result<Reply> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let doing = || format!("run {} on Redis", words.first().unwrap_or(&"nothing"));
    let stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).doing(doing)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).doing(doing)?;
    let mut stream = BufReader::new(stream);
    if database != 0 {
        ask(&mut stream, &["SELECT", &database.to_string()])?;
    }
    ask(&mut stream, words)
}

fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<Reply> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.get_mut().write_all(request.as_bytes()).doing(|| "write to Redis".into())?;
    read_reply(stream)
}

fn read_reply(stream: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).doing(|| "read from Redis".into())?;
    let line = line.trim_end();
    let rest = line.get(1..).unwrap_or_default();
    let number = || rest.parse::<i64>().doing(|| format!("understand {line:?} from Redis"));
    match line.as_bytes().first() {
        Some(b'+') => Ok(Reply::Status(rest.to_owned())),
        Some(b'-') => Err(Error::new(format!("Redis says: {rest}"))),
        Some(b':') => Ok(Reply::Integer(number()?)),
        Some(b'$') => {
            let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).doing(|| "read from Redis".into())?;
            bytes.truncate(length);
            Ok(Reply::Bulk(bytes))
        }
        Some(b'*') => {
            let Ok(length) = usize::try_from(number()?) else { return Ok(Reply::Nil) };
            Ok(Reply::Array((0..length).map(|_| read_reply(stream)).collect::<Result<_>>()?))
        }
        _ => Err(Error::new("Redis closed the connection")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Reply, read_reply};

    #[test]
    fn replies_of_every_shape_are_read() {
        let read = |bytes: &[u8]| read_reply(&mut { bytes });
        assert_eq!(read(b"+OK\r\n").unwrap(), Reply::Status("OK".into()));
        assert_eq!(read(b":-7\r\n").unwrap().integer(), Some(-7));
        assert_eq!(read(b"$-1\r\n").unwrap(), Reply::Nil);
        assert_eq!(read(b"$4\r\na\r\nb\r\n").unwrap(), Reply::Bulk(b"a\r\nb".to_vec()));
        let nested = read(b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n").unwrap();
        let inner = Reply::Array(vec![Reply::Bulk(b"x".to_vec())]);
        assert_eq!(nested, Reply::Array(vec![Reply::Integer(1), inner]));
        assert!(read(b"-OOM no more\r\n").unwrap_err().to_string().contains("OOM no more"));
        assert!(read(b"").is_err());
    }
}
