//! A processor of the consumer group, as a process: started, killed, frozen, asked for its metrics. It
//! deliberately knows nothing of what the process does.

use crate::error::{Error, Result};
use crate::http::{self, Metrics};
use crate::process::{Launch, Process};
use crate::wait::{lock, wait_for};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);

/// A processor of the group.
#[derive(Debug)]
pub struct Processor {
    /// Its name, which is its `kafka.instance_id`.
    pub name: String,
    /// Its configuration.
    pub config: PathBuf,
    /// What it writes, over all its lives.
    pub log: PathBuf,
    /// Its HTTP port.
    pub port: u16,
    tollbridge: PathBuf,
    envs: Vec<(String, String)>,
    process: Mutex<Option<Process>>,
}

impl Processor {
    pub(crate) fn new(
        name: &str,
        config: PathBuf,
        log: PathBuf,
        port: u16,
        tollbridge: &Path,
    ) -> Self {
        let (name, tollbridge) = (name.to_owned(), tollbridge.to_owned());
        Self { name, config, log, port, tollbridge, envs: Vec::new(), process: Mutex::new(None) }
    }

    /// With one more environment variable, in all its lives.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.envs.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it (again); it need not be ready yet.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self) -> Result<()> {
        self.launch(&self.tollbridge, &[], &[])
    }

    /// The same with more environment variables, in this life alone.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_with(&self, envs: &[(&str, &str)]) -> Result<()> {
        self.launch(&self.tollbridge, &[], envs)
    }

    /// The same with more arguments, in this life alone.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_told(&self, args: &[&str]) -> Result<()> {
        self.launch(&self.tollbridge, args, &[])
    }

    /// The same with another binary of the product.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_as(&self, tollbridge: &Path) -> Result<()> {
        self.launch(tollbridge, &[], &[])
    }

    fn launch(&self, tollbridge: &Path, args: &[&str], envs: &[(&str, &str)]) -> Result<()> {
        let launch = Launch::new(tollbridge).args(["run", "--config"]).arg(&self.config).args(args);
        let launch = self.envs.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let launch = envs.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let process = launch.log(&self.log).start()?;
        *lock(&self.process) = Some(process);
        Ok(())
    }

    /// Waits until it answers 200 on `/readyz`.
    ///
    /// # Errors
    /// When it ends or is not ready within a minute.
    pub fn wait_ready(&self) -> Result<()> {
        let process = lock(&self.process);
        let process = process.as_ref().ok_or_else(|| self.down())?;
        answers(process, self.port, "/readyz")
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        lock(&self.process).take();
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// When it does not run or does not end in time.
    pub fn terminate(&self, limit: Duration) -> Result<ExitStatus> {
        lock(&self.process).take().ok_or_else(|| self.down())?.terminate(limit)
    }

    /// The process itself, which this then no longer knows: to be signalled by hand.
    pub fn take(&self) -> Option<Process> {
        lock(&self.process).take()
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        lock(&self.process).as_ref().ok_or_else(|| self.down())?.pause()
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        lock(&self.process).as_ref().ok_or_else(|| self.down())?.resume()
    }

    /// Fails where it has ended by itself.
    ///
    /// # Errors
    /// With the end of its log.
    pub fn check(&self) -> Result<()> {
        match lock(&self.process).as_ref().map(|p| (p.exit_status(), p.log_tail())) {
            Some((Some(status), tail)) => {
                Err(Error::new(format!("{} ended with {status}:\n{tail}", self.name)))
            }
            _ => Ok(()),
        }
    }

    /// Its process id, where it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Process::pid)
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::of(self.port)
    }

    /// Requests it has on their way to the gateway, by its own account; 0 where it does not answer.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let metrics = self.metrics().unwrap_or_default();
        format!("{:.0}", metrics.sum("tollbridge_in_flight", "")).parse().unwrap_or(0)
    }

    fn down(&self) -> Error {
        Error::new(format!("{} does not run", self.name))
    }
}

/// Waits until a process answers 200 on this path.
pub(crate) fn answers(process: &Process, port: u16, path: &str) -> Result<()> {
    let what = format!("{path} of port {port}");
    let answered = wait_for(&what, READY_LIMIT, || match process.exit_status() {
        Some(status) => Err(Error::new(format!("the process ended with {status}"))),
        None => Ok(http::get(port, path).is_ok_and(|(code, _)| code == 200).then_some(())),
    });
    answered.map_err(|e| Error::new(format!("{e}; its log ends with:\n{}", process.log_tail())))
}
