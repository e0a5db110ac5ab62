//! Hands out values by dotted key, checked and typed, and notes every finding instead of stopping at the first. A
//! section reads all of its keys through it; what nobody has asked for in the end is an unknown key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use figment::value::Value;

use super::errors::ConfigError;
use super::layers::{Layers, variable_of_key};
use super::secret::{Secret, SecretUrl};
use super::setting::Setting;
use super::show::{self, Kind, Shown};
use super::units::{Period, Size};

/// What the documentation has to say of a key. Filled in while the key is read, so that it can't differ from the code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySpec {
    /// As it would be written, without quotes; `None` where there is none.
    pub default: Option<String>,
    /// Without it the program does not start.
    pub is_mandatory: bool,
    /// The type, and the range or the choices.
    pub values: String,
}

pub(super) struct Reader<'a> {
    layers: &'a Layers,
    pub(super) errors: Vec<ConfigError>,
    known: BTreeMap<String, KeySpec>,
    /// The same keys as they were asked for: in the order of the sections.
    order: Vec<String>,
    /// Keys under which every name is allowed.
    maps: BTreeSet<String>,
    /// Keys whose values are never repeated.
    secrets: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers) -> Self {
        Self {
            layers,
            errors: Vec::new(),
            known: BTreeMap::new(),
            order: Vec::new(),
            maps: BTreeSet::new(),
            secrets: BTreeSet::new(),
        }
    }

    /// The value of a key; `None` where it is not set, or is wrong and noted.
    pub(super) fn maybe<T: Setting>(&mut self, key: &str) -> Option<T> {
        self.spec(key, T::FORM);
        if T::SECRET {
            self.secrets.insert(key.to_owned());
        }
        let value = self.layers.find(key)?;
        match T::read(value, self.layers.is_typed(value)) {
            Ok(setting) => Some(setting),
            Err(expected) => {
                let shown = (!T::SECRET).then(|| show(value));
                self.note(key, shown, expected, format!("Set {key} to such a value."));
                None
            }
        }
    }

    pub(super) fn or<T: Setting + Display>(&mut self, key: &str, default: T) -> T {
        self.spec(key, T::FORM).default = Some(default.to_string());
        self.maybe(key).unwrap_or(default)
    }

    /// What is noted of a key; the first note of its values stands.
    fn spec(&mut self, key: &str, values: &str) -> &mut KeySpec {
        let order = &mut self.order;
        self.known.entry(key.to_owned()).or_insert_with(|| {
            order.push(key.to_owned());
            KeySpec { values: values.to_owned(), ..KeySpec::default() }
        })
    }

    /// A key without a default; `why` says what it is for and how it looks.
    pub(super) fn must<T: Setting + Default>(&mut self, key: &str, why: &str) -> T {
        self.spec(key, T::FORM).is_mandatory = true;
        if self.layers.find(key).is_none() {
            let remedy = format!("{why} In the environment it is {}.", variable_of_key(key));
            self.errors.push(ConfigError::general(key, "it has to be set", &remedy));
        }
        self.maybe(key).unwrap_or_default()
    }

    pub(super) fn within<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Setting + PartialOrd + Display,
    {
        let value = self.maybe_within(key, range);
        self.spec(key, T::FORM).default = Some(default.to_string());
        value.unwrap_or(default)
    }

    /// Likewise, where it is set.
    pub(super) fn maybe_within<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Setting + PartialOrd + Display,
    {
        let (low, high) = (range.start(), range.end());
        self.spec(key, &format!("{}, {low} to {high}", T::FORM));
        let value = self.maybe(key)?;
        if !range.contains(&value) {
            let problem = format!("it must be from {low} to {high}");
            self.refuse(key, problem, "Choose a value in that range.");
        }
        Some(value)
    }

    /// A duration in a range; all three in their written form.
    pub(super) fn period(&mut self, key: &str, default: &str, range: [&str; 2]) -> Duration {
        let [low, high] = range.map(constant::<Period>);
        self.within(key, constant::<Period>(default), low..=high).0
    }

    /// Likewise, where it is set.
    pub(super) fn maybe_period(&mut self, key: &str, range: [&str; 2]) -> Option<Duration> {
        let [low, high] = range.map(constant::<Period>);
        self.maybe_within(key, low..=high).map(|period| period.0)
    }

    /// A number of bytes in a range; all three in their written form.
    pub(super) fn size(&mut self, key: &str, default: &str, range: [&str; 2]) -> usize {
        let [low, high] = range.map(constant::<Size>);
        let size = self.within(key, constant::<Size>(default), low..=high);
        usize::try_from(size.0).unwrap_or(usize::MAX)
    }

    /// One of several words.
    pub(super) fn choice<T>(&mut self, key: &str, default: T, words: &[(&str, T)]) -> T
    where
        T: Copy + PartialEq,
    {
        let names =
            words.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let word = words.iter().find(|(_, choice)| *choice == default);
        self.spec(key, &names).default = word.map(|(name, _)| (*name).to_owned());
        let Some(word) = self.maybe::<String>(key) else { return default };
        if let Some((_, choice)) = words.iter().find(|(name, _)| *name == word) {
            return *choice;
        }
        self.refuse(key, "there is no such choice", &format!("Choose one of {names}."));
        default
    }

    /// A secret, given under its key or, as the path of a file that holds it, under `<key>_file`.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        let plain = self.maybe::<Secret>(key);
        let file_key = format!("{key}_file");
        let Some(path) = self.maybe::<PathBuf>(&file_key) else { return plain };
        if plain.is_some() {
            self.refuse(&file_key, format!("{key} is set too"), "Keep one of the two.");
        }
        self.secret_file(&file_key, &path)
    }

    /// A URL that may hold a password: like [`Self::secret`]. Without a default it may be `None`.
    pub(super) fn secret_url(&mut self, key: &str, default: Option<&str>) -> Option<SecretUrl> {
        self.spec(key, SecretUrl::FORM).default = default.map(str::to_owned);
        let found = if self.is_set(&format!("{key}_file")) {
            self.secret(key).map(|text| SecretUrl::new(text.expose().to_owned()))
        } else {
            self.spec(&format!("{key}_file"), PathBuf::FORM);
            self.maybe(key)
        };
        found.or_else(|| default.map(|url| SecretUrl::new(url.to_owned())))
    }

    /// A base address over HTTP: `form` is how it looks, `place` the key that credentials belong to.
    pub(super) fn check_http(&mut self, key: &str, url: &SecretUrl, (form, place): (&str, &str)) {
        let text = url.expose();
        let form = format!("Write {form}.");
        if !matches!(url.scheme(), "http" | "https") || url.authority().is_empty() {
            self.refuse(key, "it is no http or https address", &form);
        } else if text.contains(['?', '#', ' ']) {
            self.refuse(key, "a base address has no query and no fragment", &form);
        } else if text.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
            let remedy = format!("Write the credentials as {place}.");
            self.refuse(key, "it holds credentials, which are not sent from there", &remedy);
        }
    }

    /// The whole text of a file without white space around it.
    pub(super) fn secret_file(&mut self, key: &str, path: &std::path::Path) -> Option<Secret> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(Secret::new(text.trim().to_owned())),
            Err(error) => {
                self.refuse(key, error.to_string(), "Name a file that can be read.");
                None
            }
        }
    }

    /// The path of a file, which must be readable.
    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.maybe::<PathBuf>(key)?;
        if let Err(error) = std::fs::File::open(&path) {
            self.refuse(key, error.to_string(), "Name a file that can be read.");
        }
        Some(path)
    }

    /// A table with names of the user's own. Tables within it count as names with dots.
    pub(super) fn map(&mut self, key: &str) -> BTreeMap<String, Secret> {
        self.spec(key, "table: names of your own, each with a text");
        self.maps.insert(key.to_owned());
        let mut out = BTreeMap::new();
        let Some(value) = self.layers.find(key) else { return out };
        let mut rest = vec![(String::new(), value)];
        while let Some((name, value)) = rest.pop() {
            match value {
                Value::Dict(_, dict) => rest.extend(dict.iter().map(|(part, value)| {
                    let dot = if name.is_empty() { "" } else { "." };
                    (format!("{name}{dot}{part}"), value)
                })),
                _ if name.is_empty() => {
                    self.refuse(key, "a table is expected", &format!("Write it under [{key}]."));
                }
                _ => match scalar(value) {
                    Some(text) => {
                        out.insert(name, Secret::new(text));
                    }
                    None => self.refuse(
                        key,
                        format!("{name} must be a text, a number or true or false"),
                        "Write it in quotes.",
                    ),
                },
            }
        }
        out
    }

    /// A table that is read elsewhere; `None` where the key holds something else.
    pub(super) fn tree(&mut self, key: &str) -> Option<serde_json::Value> {
        let value = self.layers.find(key)?;
        if !matches!(value, Value::Dict(..)) {
            return None;
        }
        self.maps.insert(key.to_owned());
        self.spec(key, "table");
        serde_json::to_value(value).ok()
    }

    /// Notes a finding about a key's value, unless there is one already.
    pub(super) fn refuse(&mut self, key: &str, problem: impl Into<String>, remedy: &str) {
        let value = self.layers.find(key).and_then(|value| match value {
            Value::String(_, url) if key.ends_with(".url") => {
                Some(format!("{:?}", SecretUrl::new(url.clone()).to_string()))
            }
            _ => (!is_secret(key)).then(|| show(value)),
        });
        self.note(key, value, problem.into(), remedy.to_owned());
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.layers.find(key).is_some()
    }

    fn note(&mut self, key: &str, value: Option<String>, problem: String, remedy: String) {
        if self.errors.iter().any(|error| error.key == key) {
            return;
        }
        let origin = self.layers.find(key).map(|value| self.layers.origin(key, value));
        self.errors.push(ConfigError { key: key.to_owned(), value, origin, problem, remedy });
    }

    /// All keys that were asked for so far, maps included.
    pub(super) fn known(&self) -> &BTreeMap<String, KeySpec> {
        &self.known
    }

    /// Every key that was asked for, with its value and where that comes from.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let kind = |key: &str| match (self.maps.contains(key), self.secrets.contains(key)) {
            (true, _) => Kind::Map { is_secret: is_secret(key) },
            (false, true) => Kind::Secret,
            (false, false) => Kind::Plain,
        };
        let specs = self.order.iter().filter_map(|key| Some((key, self.known.get(key)?)));
        specs.flat_map(|(key, spec)| show::show(self.layers, key, spec, kind(key))).collect()
    }

    /// Notes every key that is set and that nobody asked for.
    pub(super) fn refuse_unknown(&mut self) {
        let mut rest = vec![(String::new(), self.layers.root())];
        let mut unknown = Vec::new();
        while let Some((key, value)) = rest.pop() {
            if self.maps.contains(&key) {
                continue;
            }
            let is_section = key.is_empty() || self.known.keys().any(|k| within(k, &key));
            match value {
                Value::Dict(_, dict) if is_section => rest.extend(dict.iter().map(|(name, v)| {
                    let dot = if key.is_empty() { "" } else { "." };
                    (format!("{key}{dot}{name}"), v)
                })),
                _ if self.known.contains_key(&key) => {}
                _ => unknown.push((key, is_section, value)),
            }
        }
        unknown.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        for (key, is_section, value) in unknown {
            let (slips, nearest) = self.nearest(&key);
            let (problem, remedy) = if is_section {
                ("it is a section", format!("Write its keys under [{key}]."))
            } else {
                ("there is no such key", format!("Did you mean {nearest}?"))
            };
            // Under a name that nobody expects there may be a password: only a slip of the pen in the name of a key
            // that has none, or what is no text, is repeated.
            let is_harmless = slips <= SLIPS_MAX && !self.secrets.contains(&nearest);
            let is_text = !matches!(value, Value::Dict(..) | Value::Array(..));
            let shown = (is_harmless && !is_section || !is_text).then(|| show(value));
            self.note(&key, shown, problem.to_owned(), remedy);
        }
        for variable in self.layers.undecided() {
            let meant = self.known.keys().map(|key| variable_of_key(key));
            let meant = meant.into_iter().find(|name| name.replace("__", "_") == *variable);
            if let Some(meant) = meant {
                let problem = "a section and its key are parted by two underscores";
                let remedy = format!("Name it {meant}.");
                self.errors.push(ConfigError::general(variable, problem, &remedy));
            }
        }
    }

    /// The known key that is most like an unknown one, and by how many letters it differs; keys of the same section
    /// come first.
    fn nearest(&self, key: &str) -> (usize, String) {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let siblings: Vec<&String> = self.known.keys().filter(|k| within(k, section)).collect();
        let all: Vec<&String> = self.known.keys().collect();
        let among = if siblings.is_empty() || section.is_empty() { all } else { siblings };
        let mut scored: Vec<(usize, &String)> =
            among.into_iter().map(|k| (strsim::damerau_levenshtein(k, key), k)).collect();
        scored.sort();
        scored.first().map(|(slips, k)| (*slips, (*k).clone())).unwrap_or_default()
    }
}

/// A name that differs from another by this many letters is taken for the same.
const SLIPS_MAX: usize = 2;

/// Whether a dotted key lies in a section, at any depth.
fn within(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// Keys whose values are never repeated.
fn is_secret(key: &str) -> bool {
    key.starts_with("kafka.properties") || key.starts_with("gateway.headers")
}

/// A value that stands in this program's own text.
fn constant<T: FromStr + Default>(text: &str) -> T {
    let value = text.parse();
    debug_assert!(value.is_ok(), "{text} is no {}", std::any::type_name::<T>());
    value.unwrap_or_default()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, yes) => Some(yes.to_string()),
        Value::Num(..) => value
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| value.to_u128().map(|n| n.to_string()))
            .or_else(|| value.to_f64().map(|n| n.to_string())),
        _ => None,
    }
}

/// At most 80 characters.
fn show(value: &Value) -> String {
    let text = match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        other => scalar(other).unwrap_or_else(|| "an empty value".to_owned()),
    };
    if text.chars().count() <= 80 { text } else { text.chars().take(80).chain(['…']).collect() }
}
