//! Hands out what stands in a description, key by key, and notes every flaw with the key's whole name instead of
//! stopping at the first. What nobody has asked for in the end is an unknown key.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// With dots; rules are counted from 1, as `rule.3.http`.
    pub key: String,
    pub problem: String,
    pub remedy: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.key, self.problem, self.remedy)
    }
}

/// Every flaw that was found.
#[derive(Debug, Default)]
pub(super) struct Flaws(pub Vec<Flaw>);

impl Flaws {
    /// The first one of a key stands.
    pub fn note(&mut self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        if self.0.iter().any(|flaw| flaw.key == key) {
            return;
        }
        self.0.push(Flaw { key: key.to_owned(), problem: problem.into(), remedy: remedy.into() });
    }
}

/// One table of a description. `None` where it is not there: then every key has its default.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub key: String,
    fields: Option<&'a Map<String, Value>>,
    known: BTreeSet<&'static str>,
}

impl<'a> Section<'a> {
    pub fn of(key: &str, value: Option<&'a Value>, flaws: &mut Flaws) -> Self {
        let fields = match value {
            None => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(_) => {
                flaws.note(key, "a table is expected", format!("Write its keys under [{key}]."));
                None
            }
        };
        Self { key: key.to_owned(), fields, known: BTreeSet::new() }
    }

    pub fn is_there(&self) -> bool {
        self.fields.is_some()
    }

    /// The whole name of one of its keys.
    pub fn name(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.fields?.get(key)
    }

    pub fn section(&mut self, key: &'static str, flaws: &mut Flaws) -> Self {
        let name = self.name(key);
        Section::of(&name, self.get(key), flaws)
    }

    pub fn text(&mut self, key: &'static str, flaws: &mut Flaws) -> Option<&'a str> {
        match self.get(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => {
                flaws.note(&self.name(key), "a text is expected", "Write it in quotes.");
                None
            }
        }
    }

    pub fn yes(&mut self, key: &'static str, default: bool, flaws: &mut Flaws) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Bool(yes)) => *yes,
            Some(_) => {
                flaws.note(&self.name(key), "true or false is expected", "Write one of the two.");
                default
            }
        }
    }

    /// One of several words.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        flaws: &mut Flaws,
    ) -> Option<T> {
        let text = self.text(key, flaws)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let remedy = format!("Choose one of {}.", names.join(", "));
            flaws.note(&self.name(key), format!("there is no such choice as {text:?}"), remedy);
        }
        found.map(|(_, choice)| *choice)
    }

    /// Texts; a single one may stand without brackets. Numbers, `true` and `false` count as their text.
    pub fn texts(&mut self, key: &'static str, flaws: &mut Flaws) -> Option<Vec<String>> {
        let value = self.get(key)?;
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let text = |item: &Value| match item {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            _ => None,
        };
        let found: Option<Vec<String>> = items.iter().map(text).collect();
        if found.as_ref().is_none_or(Vec::is_empty) {
            let remedy = "Write a text, or several in brackets.";
            flaws.note(&self.name(key), "texts are expected", remedy);
            return None;
        }
        found
    }

    /// Notes every key that nobody asked for, with the known one that is most like it.
    pub fn end(self, flaws: &mut Flaws) {
        let Some(fields) = self.fields else { return };
        for key in fields.keys().filter(|key| !self.known.contains(key.as_str())) {
            let like = |known: &&&str| strsim::damerau_levenshtein(known, key);
            let nearest = self.known.iter().min_by_key(like).copied().unwrap_or_default();
            let remedy = format!("Did you mean {}?", self.name(nearest));
            flaws.note(&self.name(key), "there is no such key", remedy);
        }
    }
}
