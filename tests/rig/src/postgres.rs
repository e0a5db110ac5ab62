//! A real PostgreSQL cluster of its own, made by `initdb`, with its syncs on. It deliberately has no
//! client beyond `psql`: tests that need one have sqlx.

use crate::certificate::Tls;
use crate::error::{Doing, Error, Result};
use crate::ports::free_port;
use crate::process::{Launch, Process, on_path, seen_from_outside};
use crate::temp::TempDir;
use crate::wait::{lock, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const SQL_LIMIT: Duration = Duration::from_secs(60);
/// Where Debian's packages put the programs, one folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who may come in where TLS is demanded; without a line for it, who comes in the clear is refused.
const TLS_ALONE: &str = "hostssl all all 127.0.0.1/32 trust\n";

/// A cluster. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    disk: Option<String>,
    next_database: AtomicU32,
    process: Mutex<Option<Process>>,
}

impl Postgres {
    /// Makes a cluster, starts it, and returns once it answers (about a second). Where we are root it
    /// runs as the user `postgres`, since PostgreSQL refuses root.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not answer.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings, such as `("max_connections", "20")`.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(None, settings)
    }

    /// The same with all but the write-ahead log on a small disk of its own, of a size such as `256m`, which is
    /// lost with the process. Only root can.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_on(disk: Option<&str>, settings: &[(&str, &str)]) -> Result<Self> {
        let postgres = Self::make(disk)?;
        postgres.configure(settings)?;
        postgres.run()?;
        Ok(postgres)
    }

    /// One that lets in only who comes by TLS, and shows this certificate.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn start_with_tls(tls: &Tls) -> Result<Self> {
        let postgres = Self::make(None)?;
        let [key, cert] = postgres.shown().map(|file| file.display().to_string());
        let settings = [("ssl", "on"), ("ssl_key_file", &key), ("ssl_cert_file", &cert)];
        postgres.configure(&settings)?;
        let rules = postgres.data().join("pg_hba.conf");
        fs::write(&rules, TLS_ALONE).doing(|| format!("write {}", rules.display()))?;
        postgres.show(tls)?;
        postgres.run()?;
        Ok(postgres)
    }

    /// Shows another certificate; returns once whoever comes finds it.
    ///
    /// # Errors
    /// When it can't be written or the server does not answer.
    pub fn show_from_now_on(&self, tls: &Tls) -> Result<()> {
        self.show(tls)?;
        // Each session has it from the server, which begins no other one in the middle of a reload.
        let loaded = || self.psql("SELECT pg_conf_load_time()");
        let before = loaded()?;
        self.psql("SELECT pg_reload_conf()")?;
        wait_until("the reload", SQL_LIMIT, || loaded().is_ok_and(|time| time != before))
    }

    /// Copies, since PostgreSQL reads a key only where it is its own and nobody else's.
    fn show(&self, tls: &Tls) -> Result<()> {
        for (from, to) in [&tls.key, &tls.cert].into_iter().zip(self.shown()) {
            let copied = fs::copy(from, &to).and_then(|_| {
                fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
                self.user.map_or(Ok(()), |(user, group)| chown(&to, Some(user), Some(group)))
            });
            copied.doing(|| format!("give {} to postgres", to.display()))?;
        }
        Ok(())
    }

    /// The files of the key and of the certificate.
    fn shown(&self) -> [PathBuf; 2] {
        ["key.pem", "cert.pem"].map(|name| self.folder.join(name))
    }

    /// Its folder and its data, not configured yet.
    fn make(disk: Option<&str>) -> Result<Self> {
        let postgres = Self {
            folder: TempDir::new("postgres")?,
            programs: programs()?,
            user: user()?,
            port: free_port(),
            disk: disk.map(str::to_owned),
            next_database: AtomicU32::new(1),
            process: Mutex::new(None),
        };
        let data = postgres.data();
        fs::create_dir(&data).doing(|| format!("make {}", data.display()))?;
        if let Some((user, group)) = postgres.user {
            for folder in [postgres.folder.path(), &data] {
                let chowned = chown(folder, Some(user), Some(group));
                chowned.doing(|| format!("give {} to postgres", folder.display()))?;
            }
        }
        let mut initdb = postgres.launch("initdb");
        if disk.is_some() {
            initdb = initdb.arg("--waldir").arg(postgres.folder.join("wal"));
        }
        initdb
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data)
            .run(READY_LIMIT)?;
        Ok(postgres)
    }

    fn configure(&self, settings: &[(&str, &str)]) -> Result<()> {
        let file = self.data().join("postgresql.auto.conf");
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             max_connections = 200\nfsync = on\n",
            self.port,
            self.folder.path().display()
        );
        for (name, value) in settings {
            text += &format!("{name} = '{value}'\n");
        }
        fs::write(&file, text).doing(|| format!("write {}", file.display()))
    }

    fn run(&self) -> Result<()> {
        let mut process = lock(&self.process);
        let mut server = self.launch("postgres").arg("-D").arg(self.data()).log(self.log_path());
        if let Some(size) = &self.disk {
            server = server.disk(self.data(), size);
        }
        let server = server.start()?;
        server.wait_ready("PostgreSQL", READY_LIMIT, || self.is_ready())?;
        *process = Some(server);
        Ok(())
    }

    /// Where its data is, as others see it while it runs on a disk of its own.
    #[must_use]
    pub fn disk_path(&self) -> Option<PathBuf> {
        let pid = lock(&self.process).as_ref().map(Process::pid)?;
        seen_from_outside(pid, &self.data())
    }

    fn is_ready(&self) -> bool {
        let ask = Launch::new(self.programs.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).run(SQL_LIMIT).is_ok()
    }

    fn launch(&self, program: &str) -> Launch {
        let launch = Launch::new(self.programs.join(program)).folder(self.folder.path());
        match self.user {
            Some(user) => launch.user(user),
            None => launch,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The URL of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of a database of this name.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its URL: one cluster can serve many tests.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn fresh_url(&self) -> Result<String> {
        let name = format!("test_{}", self.next_database.fetch_add(1, Ordering::Relaxed));
        self.psql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs SQL in the database `postgres`; gives the rows, one a line, columns parted by `|`.
    ///
    /// # Errors
    /// When the cluster does not answer or refuses.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.psql_at(&self.url(), sql)
    }

    /// The same in the database of this URL.
    ///
    /// # Errors
    /// When the cluster does not answer or refuses.
    pub fn psql_at(&self, url: &str, sql: &str) -> Result<String> {
        self.answer(url, sql, SQL_LIMIT)
    }

    /// The same, with a limit for the answer, where it is about very many rows.
    ///
    /// # Errors
    /// When the cluster does not answer within the limit, or refuses.
    pub fn psql_within(&self, sql: &str, limit: Duration) -> Result<String> {
        self.answer(&self.url(), sql, limit)
    }

    fn answer(&self, url: &str, sql: &str, limit: Duration) -> Result<String> {
        let output = TempDir::new("psql")?;
        let stdout = output.join("stdout");
        Launch::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
            .stdout(&stdout)
            .run(limit)?;
        let text = fs::read_to_string(&stdout).doing(|| "read the output of psql".into())?;
        Ok(text.trim_end().to_owned())
    }

    /// Starts SQL in the database of this URL that takes a while, such as a lock held by a sleep. The server goes on
    /// with it when the process ends: it has to be terminated there.
    ///
    /// # Errors
    /// When psql cannot be started.
    pub fn session_at(&self, url: &str, sql: &str) -> Result<Process> {
        Launch::new(self.programs.join("psql")).args(["-X", "-q", "-d", url, "-c", sql]).start()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server writes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// The server's process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::pid)
    }

    /// SIGKILL to the server and all its backends, as a power cut would; returns once they are gone.
    pub fn kill(&self) {
        let Some(server) = lock(&self.process).take() else { return };
        // A backend that is being forked now is missed, and ends by itself once it sees us gone.
        let backends = children_of(server.pid());
        drop(server);
        for backend in backends.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            kill_process(backend, Signal::KILL).ok();
        }
        let gone = || backends.iter().all(|pid| parent_of(*pid).is_none());
        // One that does not go makes the restart fail with PostgreSQL's own words.
        wait_until("the backends' end", STOP_LIMIT, gone).ok();
    }

    /// An orderly stop that ends open sessions.
    ///
    /// # Errors
    /// When it does not run or has not ended after a minute.
    pub fn stop(&self) -> Result<()> {
        let server = lock(&self.process).take();
        let server = server.ok_or_else(|| Error::new("PostgreSQL does not run"))?;
        server.signal(Signal::INT)?;
        server.wait(STOP_LIMIT)?;
        Ok(())
    }

    /// Starts it again on the same port and data; where it runs, it is killed first.
    ///
    /// # Errors
    /// When it does not answer, or had a disk of its own, which went with it.
    pub fn restart(&self) -> Result<()> {
        if self.disk.is_some() {
            return Err(Error::new("what PostgreSQL had on its small disk went with it"));
        }
        self.kill();
        self.run()
    }

    /// Stops the server and every session where they stand (SIGSTOP).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        // The server first, so that it forks no session that we miss.
        self.signal_all(Signal::STOP)
    }

    /// Lets them go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        let server = lock(&self.process);
        let server = server.as_ref().ok_or_else(|| Error::new("PostgreSQL does not run"))?;
        server.signal(signal)?;
        for backend in children_of(server.pid()).into_iter().filter_map(Pid::from_raw) {
            // One that ended meanwhile needs no signal.
            kill_process(backend, signal).ok();
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The folder of PostgreSQL's programs: the newest of Debian's, else where `initdb` on `PATH` really is.
fn programs() -> Result<PathBuf> {
    let version = |folder: &PathBuf| {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let installed = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let debian = installed.max_by_key(version).map(|newest| newest.join("bin"));
    let initdb = on_path("initdb").and_then(|link| link.canonicalize().ok());
    let elsewhere = initdb.and_then(|initdb| initdb.parent().map(Path::to_owned));
    debian.filter(|folder| folder.join("initdb").exists()).or(elsewhere).ok_or_else(|| {
        Error::new(format!("PostgreSQL is neither in {DEBIAN} nor on PATH; `make install` helps"))
    })
}

/// Whether PostgreSQL's programs are there.
#[must_use]
pub fn is_installed() -> bool {
    programs().is_ok()
}

/// Whom to run as: `postgres` where we are root, else ourselves.
fn user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::getuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").doing(|| "read /etc/passwd".into())?;
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut fields = line.into_iter().flat_map(|line| line.split(':')).skip(1);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    match (number(), number()) {
        (Some(user), Some(group)) => Ok(Some((user, group))),
        _ => Err(Error::new("PostgreSQL refuses to run as root, and there is no user postgres")),
    }
}

fn children_of(parent: u32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// The parent of a living process; none for one that is gone or waits to be reaped.
fn parent_of(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may contain anything, brackets too.
    let mut fields = stat.rsplit(") ").next()?.split(' ');
    (fields.next()? != "Z").then(|| fields.next()?.parse().ok()).flatten()
}
