//! Every key with the value that holds and where that comes from, for people who ask which of the layers won. Secrets
//! are masked before they get here; nothing of them can be printed.

use figment::value::Value;
use serde_json::Value as Json;

use super::layers::Layers;
use super::reader::KeySpec;
use super::secret::SecretUrl;
use super::setting::Setting;

/// What stands for a secret.
const MASK: &str = "***";

/// A key, its value, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// In which section of the file it stands, as `kafka.topics`.
    pub section: String,
    /// Within the section; of a map it may have dots.
    pub name: String,
    /// As the file would have it; `Null` where it is not set and has no default.
    pub value: Json,
    pub origin: String,
}

/// What a key holds, and how it may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// A URL, or a text that is secret as a whole.
    Secret,
    /// A table with names of the user's own.
    Map {
        is_secret: bool,
    },
}

const DEFAULT: &str = "default";
const UNSET: &str = "not set";

/// One key, or the entries of a map.
pub(super) fn show(layers: &Layers, key: &str, spec: &KeySpec, kind: Kind) -> Vec<Shown> {
    if let Kind::Map { is_secret } = kind {
        return entries(layers, key, is_secret);
    }
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let shown = |value, origin: String| {
        vec![Shown { section: section.to_owned(), name: name.to_owned(), value, origin }]
    };
    let file = format!("{key}_file");
    match (layers.find(key), layers.find(&file), &spec.default) {
        (Some(value), ..) => {
            let origin = layers.origin(key, value);
            let value = match (kind, value) {
                (Kind::Secret, Value::String(_, url)) if spec.values == SecretUrl::FORM => {
                    masked(url)
                }
                (Kind::Secret, _) => MASK.into(),
                (_, Value::String(_, text)) => typed(text, &spec.values),
                (_, value) => json(value),
            };
            shown(value, origin)
        }
        (None, Some(_), _) => shown(MASK.into(), format!("the file of {file}")),
        (None, None, Some(text)) if kind == Kind::Secret => shown(masked(text), DEFAULT.to_owned()),
        (None, None, Some(text)) => shown(typed(text, &spec.values), DEFAULT.to_owned()),
        (None, None, None) => shown(Json::Null, UNSET.to_owned()),
    }
}

fn masked(url: &str) -> Json {
    SecretUrl::new(url.to_owned()).to_string().into()
}

/// The entries of a map in the order of their names; where it has none, the map itself.
fn entries(layers: &Layers, key: &str, is_secret: bool) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut rest: Vec<(String, &Value)> = Vec::new();
    rest.extend(layers.find(key).map(|value| (String::new(), value)));
    while let Some((name, value)) = rest.pop() {
        if let Value::Dict(_, dict) = value {
            let dot = if name.is_empty() { "" } else { "." };
            rest.extend(dict.iter().map(|(part, value)| (format!("{name}{dot}{part}"), value)));
            continue;
        }
        let origin = layers.origin(&format!("{key}.{name}"), value);
        let value = if is_secret { MASK.into() } else { json(value) };
        all.push(Shown { section: key.to_owned(), name, value, origin });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    if all.is_empty() {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let (section, name, origin) = (section.to_owned(), name.to_owned(), UNSET.to_owned());
        all.push(Shown { section, name, value: Json::Null, origin });
    }
    all
}

/// A text of the environment, of the command line or of a default, as a file would write it.
fn typed(text: &str, form: &str) -> Json {
    let is_bare = form.starts_with(u64::FORM) || form == bool::FORM;
    let bare = is_bare.then(|| serde_json::from_str(text).ok()).flatten();
    bare.unwrap_or_else(|| text.into())
}

fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// As a file, with the origin behind each value.
#[must_use]
pub fn as_toml(all: &[Shown]) -> Vec<String> {
    let mut sections: Vec<&str> = Vec::new();
    for shown in all {
        if !sections.contains(&shown.section.as_str()) {
            sections.push(&shown.section);
        }
    }
    let mut lines = Vec::new();
    for section in sections {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("[{section}]"));
        lines.extend(all.iter().filter(|shown| shown.section == section).map(line));
    }
    lines
}

fn line(shown: &Shown) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if shown.name.chars().all(is_bare) {
        shown.name.clone()
    } else {
        Json::from(shown.name.as_str()).to_string()
    };
    // A path may have a line break; a comment must not.
    let origin = shown.origin.replace(char::is_control, " ");
    match &shown.value {
        Json::Null => format!("# {name}  # {origin}"),
        value => format!("{name} = {}  # {origin}", inline(value)),
    }
}

/// A value as TOML has it: like JSON, but for tables within a list.
fn inline(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(fields) => {
            let pair = |(name, value): (&String, &Json)| {
                format!("{} = {}", Json::from(name.as_str()), inline(value))
            };
            let pairs: Vec<String> = fields.iter().map(pair).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
