//! Reads where things stand in an answer, and the rules that say what an answer means.

use std::ops::RangeInclusive;

use serde_json::Value as Tree;

use super::section::{Flaws, Section};
use crate::domain::answer::Means;
use crate::domain::classify::RequestKind;
use crate::wire::gateway::profile::{AmountForm, Echoes, Fields, Pointer, Rule, Says, Values};

const MEANS: [(&str, Says); 8] = [
    ("approved", Says::Approved),
    ("declined", Says::Declined),
    ("duplicate", Says::Duplicate),
    ("running", Says::Running),
    ("unknown", Says::Unknown),
    ("not_taken", Says::Error(Means::NotTaken)),
    ("key_reused", Says::Error(Means::KeyReused)),
    ("never_seen", Says::Error(Means::NeverSeen)),
];

/// Where things stand; what the section does not name is as in `default`.
pub(super) fn fields(section: &mut Section<'_>, default: &Fields, flaws: &mut Flaws) -> Fields {
    let mut places = |key: &'static str, default: &[Pointer]| match section.texts(key, flaws) {
        None => default.to_vec(),
        Some(texts) => {
            let name = section.name(key);
            texts.iter().filter_map(|text| pointer(&name, text, flaws)).collect()
        }
    };
    let mut found = Fields {
        gateway_id: places("id", &default.gateway_id),
        status: places("status", &default.status),
        error: places("error", &default.error),
        transaction_id: places("transaction_id", &default.transaction_id),
        amount: places("amount", &default.amount),
        currency: places("currency", &default.currency),
        code: places("code", &default.code),
        ..default.clone()
    };
    let forms = [
        ("minor", AmountForm::Minor),
        ("minor_text", AmountForm::MinorText),
        ("decimal", AmountForm::Decimal),
    ];
    let form = section.choice("amount_form", &forms, flaws);
    found.amount_form = form.unwrap_or(default.amount_form);
    found.declined_with_id = section.yes("id_on_decline", default.declined_with_id, flaws);
    found
}

/// A JSON Pointer (RFC 6901).
pub(super) fn pointer(key: &str, text: &str, flaws: &mut Flaws) -> Option<Pointer> {
    let Some(path) = text.strip_prefix('/').filter(|path| !path.is_empty()) else {
        let remedy = "Write it as /name, or /outer/inner.";
        flaws.note(key, format!("{text:?} is no place in a JSON document"), remedy);
        return None;
    };
    Some(Pointer(path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()))
}

/// The rules, in their order.
pub(super) fn rules(value: Option<&Tree>, flaws: &mut Flaws) -> Vec<Rule> {
    let Some(Tree::Array(items)) = value else {
        let remedy = "Write one [[rule]] for each kind of answer.";
        flaws.note("rule", "without rules no answer says anything", remedy);
        return Vec::new();
    };
    items.iter().enumerate().filter_map(|(i, item)| rule(i + 1, item, flaws)).collect()
}

fn rule(number: usize, item: &Tree, flaws: &mut Flaws) -> Option<Rule> {
    let mut section = Section::of(&format!("rule.{number}"), Some(item), flaws);
    let says = section.choice("means", &MEANS, flaws);
    if says.is_none() {
        let remedy = "Write what the answer means, for example means = \"approved\".";
        flaws.note(&section.name("means"), "it has to be set", remedy);
    }
    let kinds = [
        ("charge", Some(RequestKind::Charge)),
        ("lookup", Some(RequestKind::Lookup)),
        ("both", None),
    ];
    let to = section.choice("to", &kinds, flaws).unwrap_or_else(|| says.and_then(natural_kind));
    let http = http(&mut section, flaws);
    let status = values(&mut section, "status", Values::Nothing, flaws);
    let error = values(&mut section, "error", Values::Nothing, flaws);
    let code = values(&mut section, "code", Values::Anything, flaws);
    let record = section.text("record", flaws);
    let record = record.and_then(|text| pointer(&section.name("record"), text, flaws));
    let echoes = echoes(&mut section, flaws);
    section.end(flaws);
    let is_record = record.is_some() || status != Values::Nothing;
    let says = match says? {
        Says::Running if !is_record => Says::Error(Means::StillRunning),
        says => says,
    };
    Some(Rule { to, http, status, error, code, record, echoes, says })
}

/// To what such an answer can be one, where the description does not say.
fn natural_kind(says: Says) -> Option<RequestKind> {
    match says {
        Says::Error(Means::NotTaken | Means::KeyReused) => Some(RequestKind::Charge),
        Says::Error(Means::NeverSeen) => Some(RequestKind::Lookup),
        _ => None,
    }
}

/// HTTP statuses: numbers, or hundreds as `2xx`.
fn http(section: &mut Section<'_>, flaws: &mut Flaws) -> Vec<RangeInclusive<u16>> {
    let name = section.name("http");
    let Some(texts) = section.texts("http", flaws) else {
        flaws.note(&name, "it has to be set", "Name the HTTP statuses, for example http = [200].");
        return Vec::new();
    };
    let range = |text: &String| {
        let hundreds = text.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok());
        let range = match hundreds {
            Some(digit) => digit.checked_mul(100).map(|low| low..=low.saturating_add(99)),
            None => text.parse::<u16>().ok().map(|status| status..=status),
        };
        range.filter(|range| (100..=599).contains(range.start()))
    };
    let found: Option<Vec<_>> = texts.iter().map(range).collect();
    found.unwrap_or_else(|| {
        flaws.note(&name, "HTTP statuses are expected", "Write them as 200 or \"2xx\".");
        Vec::new()
    })
}

fn values(
    section: &mut Section<'_>,
    key: &'static str,
    default: Values,
    flaws: &mut Flaws,
) -> Values {
    match section.texts(key, flaws) {
        None => default,
        Some(words) if words == ["*"] => Values::Something,
        Some(words) => Values::OneOf(words),
    }
}

/// What such an answer repeats; by default all that the profile has a place for.
fn echoes(section: &mut Section<'_>, flaws: &mut Flaws) -> Echoes {
    const ALL: [&str; 3] = ["transaction_id", "amount", "currency"];
    let name = section.name("echoes");
    let words = match section.get("echoes") {
        Some(Tree::Array(items)) if items.is_empty() => Vec::new(),
        Some(_) => section.texts("echoes", flaws).unwrap_or_default(),
        None => ALL.map(str::to_owned).to_vec(),
    };
    if let Some(word) = words.iter().find(|word| !ALL.contains(&word.as_str())) {
        let remedy = format!("Name some of {}, or none as [].", ALL.join(", "));
        flaws.note(&name, format!("an answer can't be held against {word:?}"), remedy);
    }
    let has = |word: &str| words.iter().any(|it| it == word);
    Echoes {
        transaction_id: has("transaction_id"),
        amount: has("amount"),
        currency: has("currency"),
    }
}
