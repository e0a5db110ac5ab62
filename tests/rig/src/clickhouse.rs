//! The real engine of ClickHouse, one process of its own, with its data on disk: `chdb-core` behind the few lines of
//! HTTP in `clickhouse/shim.py`. What a server has around the engine (users, rights, limits of time, replication) it
//! does not have. Its client here is for tests that look at tables: the product has another.

use crate::cache;
use crate::error::{Doing, Error, Result};
use crate::http;
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::temp::TempDir;
use crate::wait::lock;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SHIM: &str = include_str!("../clickhouse/shim.py");
const READY_LIMIT: Duration = Duration::from_secs(60);
const SQL_LIMIT: Duration = Duration::from_secs(120);

/// An engine. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Clickhouse {
    folder: TempDir,
    python: PathBuf,
    port: u16,
    next_database: AtomicU32,
    process: Mutex<Option<Process>>,
}

impl Clickhouse {
    /// Starts one and returns once it answers (about a second).
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn start() -> Result<Self> {
        let folder = TempDir::new("clickhouse")?;
        fs::write(folder.join("shim.py"), SHIM).doing(|| "write shim.py".into())?;
        let clickhouse = Self {
            folder,
            python: cache::clickhouse()?,
            port: free_port(),
            next_database: AtomicU32::new(1),
            process: Mutex::new(None),
        };
        clickhouse.run()?;
        Ok(clickhouse)
    }

    fn run(&self) -> Result<()> {
        let mut process = lock(&self.process);
        let shim = Launch::new(&self.python)
            .arg(self.folder.join("shim.py"))
            .arg(self.port.to_string())
            .arg(self.folder.join("data"))
            .folder(self.folder.path())
            .log(self.log_path())
            .start()?;
        shim.wait_ready("ClickHouse", READY_LIMIT, || http::get(self.port, "/ping").is_ok())?;
        *process = Some(shim);
        Ok(())
    }

    /// The URL of the database `default`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("default")
    }

    /// The URL of a database of this name.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("clickhouse://127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its URL: one engine can serve many tests.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn fresh_url(&self) -> Result<String> {
        let name = format!("test_{}", self.next_database.fetch_add(1, Ordering::Relaxed));
        self.query(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs a statement in the database `default`; gives the rows, one a line, columns parted by `|`.
    ///
    /// # Errors
    /// When it does not answer or refuses.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.query_at(&self.url(), sql)
    }

    /// The same in the database of this URL.
    ///
    /// # Errors
    /// When it does not answer or refuses.
    pub fn query_at(&self, url: &str, sql: &str) -> Result<String> {
        let path = url.rsplit('/').next().unwrap_or_default();
        let database = path.split('?').next().unwrap_or_default();
        let path = format!("/?database={database}");
        match http::post(self.port, &path, sql, SQL_LIMIT)? {
            (200, rows) => Ok(rows.trim_end().replace('\t', "|")),
            (_, refusal) => Err(Error::new(refusal)),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it writes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("clickhouse.log")
    }

    /// Its process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::pid)
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        lock(&self.process).take();
    }

    /// Starts it again on the same port and data; where it runs, it is killed first.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.run()
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.running(Process::pause)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running(Process::resume)
    }

    fn running(&self, what: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        let process = lock(&self.process);
        what(process.as_ref().ok_or_else(|| Error::new("ClickHouse does not run"))?)
    }
}
