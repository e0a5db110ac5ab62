//! Where values come from: the file, the environment over it, the command line over both. Keeps for every value
//! the place it was read from. Knows no key by name; [`super::reader`] asks for them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::errors::ConfigError;

/// What environment variables of ours begin with.
pub const ENVIRONMENT_PREFIX: &str = "TOLLBRIDGE_";

/// One `key=value` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    pub key: String,
    pub value: String,
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("write key=value, for example flush.interval=100ms".to_owned()),
        }
    }
}

/// Everything that a configuration is made of. The environment is passed in, so that tests need none.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
    pub overrides: Vec<Override>,
}

impl Sources {
    /// A file, the environment as it is, and the overrides of the command line.
    #[must_use]
    pub fn of(file: Option<&Path>, overrides: &[Override]) -> Self {
        Self {
            file: file.map(Path::to_owned),
            environment: std::env::vars_os().collect(),
            overrides: overrides.to_vec(),
        }
    }
}

/// The merged tree, which still knows where each value comes from.
pub(super) struct Layers {
    figment: Figment,
    root: Value,
    /// Key to the environment variable that set it.
    variables: BTreeMap<String, String>,
    /// Our variables without a double underscore: other software may have set them (Kubernetes does).
    undecided: Vec<String>,
}

const ENVIRONMENT: &str = "environment";
const COMMAND_LINE: &str = "command line (--set)";

/// One source as figment sees it.
struct Layer {
    name: String,
    tree: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.tree.clone())]))
    }
}

impl Layers {
    /// Merges the sources; a file that can't be read or is no TOML, or a variable that is no UTF-8, is an error.
    pub(super) fn merge(sources: &Sources, errors: &mut Vec<ConfigError>) -> Self {
        let mut figment = Figment::new();
        if let Some(path) = &sources.file {
            match file(path) {
                Ok(layer) => figment = figment.merge(layer),
                Err(error) => errors.push(error),
            }
        }
        let mut variables = BTreeMap::new();
        let mut undecided = Vec::new();
        let mut tree = Dict::new();
        for (name, value) in &sources.environment {
            let Some(name) = name.to_str().filter(|n| n.starts_with(ENVIRONMENT_PREFIX)) else {
                continue;
            };
            let Some(key) = key_of_variable(name) else {
                undecided.push(name.to_owned());
                continue;
            };
            match value.to_str() {
                Some(value) => insert(&mut tree, &key, value),
                None => errors.push(ConfigError::general(
                    name,
                    "its value is no UTF-8",
                    "Set it again.",
                )),
            }
            variables.insert(key, name.to_owned());
        }
        figment = figment.merge(Layer { name: ENVIRONMENT.to_owned(), tree });
        let mut tree = Dict::new();
        for Override { key, value } in &sources.overrides {
            insert(&mut tree, key, value);
        }
        figment = figment.merge(Layer { name: COMMAND_LINE.to_owned(), tree });
        let root = figment.find_value("").unwrap_or_else(|_| Value::from(Dict::new()));
        Self { figment, root, variables, undecided }
    }

    pub(super) fn find(&self, key: &str) -> Option<&Value> {
        self.root.find_ref(key)
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    pub(super) fn undecided(&self) -> &[String] {
        &self.undecided
    }

    fn layer(&self, tag: Tag) -> &str {
        self.figment.get_metadata(tag).map_or("default", |metadata| &metadata.name)
    }

    /// Whether a value was typed by a file. All others are texts, which stand for whatever the key wants.
    pub(super) fn is_typed(&self, value: &Value) -> bool {
        !matches!(self.layer(value.tag()), ENVIRONMENT | COMMAND_LINE)
    }

    /// For people: the file's path, the variable's name, or the command line.
    pub(super) fn origin(&self, key: &str, value: &Value) -> String {
        match self.layer(value.tag()) {
            ENVIRONMENT => match self.variables.get(key) {
                Some(name) => format!("environment variable {name}"),
                None => ENVIRONMENT.to_owned(),
            },
            other => other.to_owned(),
        }
    }
}

fn file(path: &Path) -> Result<Layer, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::general(&name, &error.to_string(), "Name a file that can be read.")
    })?;
    let data = Toml::string(&text).data().map_err(|error| {
        let problem = without_source(&error.to_string());
        ConfigError::general(&name, &problem, "Correct it: https://toml.io.")
    })?;
    let tree = data.into_values().next().unwrap_or_default();
    Ok(Layer { name, tree })
}

/// The parser's message in one line, less the lines of the file that it quotes behind a bar: they may hold a secret.
fn without_source(message: &str) -> String {
    let is_quoted = |line: &&str| {
        let number = |c: char| c == ' ' || c.is_ascii_digit();
        line.trim_start_matches(number).starts_with('|')
    };
    message.lines().filter(|line| !is_quoted(line)).collect::<Vec<_>>().join(": ")
}

/// `TOLLBRIDGE_GATEWAY__KEY_TTL` is `gateway.key_ttl`. Names that have dots or hyphens of their own are written
/// with underscores: `TOLLBRIDGE_KAFKA__PROPERTIES__SASL_USERNAME`, `TOLLBRIDGE_GATEWAY__HEADERS__X_API_KEY`.
/// `None` where no double underscore parts a section from a key, except for the short form `TOLLBRIDGE_LOG`.
fn key_of_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase();
    if rest == "log" {
        return Some("log.level".to_owned());
    }
    let parts: Vec<&str> = rest.split("__").collect();
    match parts.as_slice() {
        [_] => None,
        ["kafka", map @ ("properties" | "property_files"), key] => {
            Some(format!("kafka.{map}.{}", key.replace('_', ".")))
        }
        ["gateway", map @ ("headers" | "header_files"), key] => {
            Some(format!("gateway.{map}.{}", key.replace('_', "-")))
        }
        parts => Some(parts.join(".")),
    }
}

/// The variable that sets a key.
pub(super) fn variable_of_key(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Puts a text at a dotted key; what stands in its way is replaced.
fn insert(tree: &mut Dict, key: &str, text: &str) {
    match key.split_once('.') {
        None => {
            tree.insert(key.to_owned(), Value::from(text));
        }
        Some((head, rest)) => {
            let slot = tree.entry(head.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if !matches!(slot, Value::Dict(..)) {
                *slot = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = slot {
                insert(inner, rest, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys() {
        for (name, key) in [
            ("TOLLBRIDGE_GATEWAY__KEY_TTL", Some("gateway.key_ttl")),
            ("TOLLBRIDGE_KAFKA__TOPICS__DEAD_LETTER", Some("kafka.topics.dead_letter")),
            ("TOLLBRIDGE_KAFKA__PROPERTIES__SASL_USERNAME", Some("kafka.properties.sasl.username")),
            ("TOLLBRIDGE_GATEWAY__HEADERS__X_API_KEY", Some("gateway.headers.x-api-key")),
            ("TOLLBRIDGE_LOG", Some("log.level")),
            ("TOLLBRIDGE_SERVICE_HOST", None),
        ] {
            assert_eq!(key_of_variable(name).as_deref(), key, "{name}");
        }
        assert_eq!(variable_of_key("gateway.key_ttl"), "TOLLBRIDGE_GATEWAY__KEY_TTL");
    }

    #[test]
    fn overrides_are_key_and_value() {
        let good: Override = "gateway.url=http://h?a=b".parse().unwrap();
        assert_eq!((good.key.as_str(), good.value.as_str()), ("gateway.url", "http://h?a=b"));
        for bad in ["", "gateway.url", "=x"] {
            assert!(bad.parse::<Override>().is_err(), "{bad}");
        }
    }
}
