//! A real schema registry, Apicurio, one process of its own, with its schemas in memory: what it held is gone once it
//! is killed. It speaks the API of Confluent's registry.

use crate::cache;
use crate::error::{Error, Result};
use crate::http;
use crate::ports::free_port;
use crate::process::{Launch, Process};
use crate::temp::TempDir;
use crate::wait::lock;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

const JAR: &str = "apicurio-registry-app-2.6.13.Final-runner.jar";
const READY_LIMIT: Duration = Duration::from_secs(120);
const ASK_LIMIT: Duration = Duration::from_secs(30);
/// Confluent's API, in its path.
const API: &str = "/apis/ccompat/v7";

/// A registry. Dropping it kills it.
#[derive(Debug)]
pub struct Registry {
    folder: TempDir,
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Registry {
    /// Starts one and returns once it answers (three seconds, on an idle machine).
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn start() -> Result<Self> {
        let folder = TempDir::new("registry")?;
        let registry = Self { folder, port: free_port(), process: Mutex::new(None) };
        registry.start_again()?;
        Ok(registry)
    }

    /// Starts it on its port (again), without a schema.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_again(&self) -> Result<()> {
        let mut process = lock(&self.process);
        process.take();
        let home = cache::registry()?;
        let java = Launch::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={}", self.port))
            .arg("-jar")
            .arg(home.join(JAR))
            .folder(self.folder.path())
            .log(self.folder.join("registry.log"))
            .start()?;
        java.wait_ready("the registry", READY_LIMIT, || {
            let answer = http::get(self.port, &format!("{API}/schemas/types"));
            answer.is_ok_and(|(status, _)| status == 200)
        })?;
        *process = Some(java);
        drop(process);
        // What is done for the first time takes a busy machine seconds.
        self.register("warm", "\"long\"").map(drop)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        lock(&self.process).take();
    }

    /// Stops it where it stands; what it holds stays.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<()> {
        lock(&self.process).as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<()> {
        lock(&self.process).as_ref().map_or(Ok(()), Process::resume)
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// Registers an Avro schema under a subject; its id.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        self.register_with(subject, &json!({ "schema": schema }))
    }

    /// The same with all that the API lets one say: `schemaType`, `references`.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn register_with(&self, subject: &str, request: &Value) -> Result<u32> {
        let path = format!("{API}/subjects/{subject}/versions");
        let (status, body) = http::post_json(self.port, &path, &request.to_string(), ASK_LIMIT)?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| Error::new(format!("registering {subject}: {status} {body}")))
    }
}
