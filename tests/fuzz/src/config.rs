//! The configuration: a file, with lines for the environment and the command line. Any text is safe to read, gives the
//! same each time, and keeps what is secret to itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tollbridge::config::{Config, ConfigError, Override, Sources, known_keys};

/// Before `NAME=value` of the environment; to TOML a comment.
const VARIABLE: &str = "#$ ";
/// Before `key=value` of the command line.
const SET: &str = "#> ";
/// A secret that inputs have in places where one may stand, rightly or by mistake.
const SECRET: &str = "hunter2-secret";
/// One that is set over every input.
const OWN_SECRET: &str = "correct-horse";

static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| known_keys().into_keys().collect());

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A file that is named is read, whatever it is; what stands on this machine is not for a fuzzer.
    if text.contains("_file") {
        return;
    }
    let file = File::holding(&text);
    let mut sources = sources(&text, &file.0);
    let read = Config::from_sources(&sources);
    match (&read, Config::from_sources(&sources)) {
        (Ok(config), Ok(again)) => assert_eq!(format!("{config:?}"), format!("{again:?}")),
        (Err(errors), Err(again)) => {
            assert_eq!(*errors, again);
            errors.0.iter().for_each(keeps_secrets);
        }
        _ => panic!("read twice, it is not the same"),
    }
    if !text.contains(OWN_SECRET) {
        sources.overrides.extend(secrets());
        let told = match Config::from_sources(&sources) {
            Ok(config) => format!("{config:?}"),
            Err(errors) => errors.to_string(),
        };
        assert!(!told.contains(OWN_SECRET), "{told}");
    }
}

fn sources(text: &str, file: &Path) -> Sources {
    let lines = |mark| text.lines().filter_map(move |line| line.strip_prefix(mark));
    let environment = lines(VARIABLE)
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()));
    let overrides = lines(SET).filter_map(|line| line.parse().ok());
    Sources {
        file: Some(file.to_owned()),
        environment: environment.collect(),
        overrides: overrides.collect(),
    }
}

/// A file that goes with the run. In memory where there is such a folder: a fuzzer writes thousands a second.
struct File(PathBuf);

impl File {
    fn holding(text: &str) -> Self {
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let thread: Vec<char> = format!("{:?}", std::thread::current().id()).chars().collect();
        let thread: String = thread.into_iter().filter(char::is_ascii_digit).collect();
        let path = folder.join(format!("tollbridge-fuzz-{}-{thread}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It lies in memory or among what is temporary: one that stays is no harm.
        drop(std::fs::remove_file(&self.0));
    }
}

fn secrets() -> Vec<Override> {
    let set = |key: &str, value: String| Override { key: key.to_owned(), value };
    vec![
        set("redis.url", format!("redis://user:{OWN_SECRET}@127.0.0.1:6379/0")),
        set("store.url", format!("postgres://user:{OWN_SECRET}@127.0.0.1/db")),
        set("kafka.properties.sasl.password", OWN_SECRET.to_owned()),
        set("gateway.headers.authorization", format!("Bearer {OWN_SECRET}")),
    ]
}

/// What is said of a key that nobody knows, or of the whole file, repeats no value; of a URL, no password.
fn keeps_secrets(error: &ConfigError) {
    let said = [error.value.as_deref(), Some(error.problem.as_str())];
    let repeats = |secret: &str| said.iter().flatten().any(|text| text.contains(secret));
    if KNOWN.contains(&error.key) {
        assert!(!error.key.ends_with("url") || !repeats(&format!(":{SECRET}@")), "{error}");
    } else {
        assert!(!repeats(SECRET), "{error}");
    }
}
