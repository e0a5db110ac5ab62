//! From a gateway's description, as it is written in TOML, to a checked [`Profile`]. It reads no file; what docs/
//! gateways.md says of the language is what is read here.

mod answers;
mod checks;
mod section;
mod template;

use std::time::Duration;

use serde_json::Value as Tree;

pub use self::section::Flaw;
use self::section::{Flaws, Section};
use super::profile::{Auth, Endpoints, Fields, Pointer, Profile, Replays, Request};
use super::template::{Encoding, Field, Text, Value};
use super::write::MAPPER_VERSION;
use crate::domain::id::RecipeHash;
use crate::domain::retry::Lookup;

/// Headers that the exchange itself sets.
const OWNED_HEADERS: [&str; 8] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "upgrade",
];

impl Profile {
    /// Reads and checks a description. `duration` reads a text such as `"1h"`.
    ///
    /// # Errors
    /// Every flaw, each with its key.
    pub fn describe(
        tree: &Tree,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Flaws::default();
        let mut top = Section::of("", Some(tree), &mut flaws);
        let profile = profile(&mut top, &duration, &mut flaws);
        top.end(&mut flaws);
        checks::check(&profile, &mut flaws);
        if flaws.0.is_empty() { Ok(profile) } else { Err(flaws.0) }
    }
}

fn profile(
    top: &mut Section<'_>,
    duration: &impl Fn(&str) -> Option<Duration>,
    flaws: &mut Flaws,
) -> Profile {
    let name = top.text("name", flaws).unwrap_or("unnamed").to_owned();
    let words = [("all", Replays::All), ("approvals", Replays::Approvals)];
    let replays = top.choice("replays", &words, flaws);
    if replays.is_none() {
        let remedy = "Say whether a used key brings every first answer back (\"all\") or approvals (\"approvals\").";
        flaws.note("replays", "it has to be set", remedy);
    }
    let key_ttl = key_ttl(top, duration, flaws);
    let auth = auth(top.section("auth", flaws), flaws);
    let recipe = recipe(top.get("charge"));
    let mut charge = top.section("charge", flaws);
    let encoding = encoding(&mut charge, flaws).unwrap_or(Encoding::Json);
    let body = body(&mut charge, flaws).unwrap_or(Value::Object(Vec::new()));
    let mut charge_request = request(&mut charge, "POST", flaws);
    charge_request.content_type = Some(encoding.content_type().to_owned());
    key_header(&mut charge, &mut charge_request, flaws);
    charge.end(flaws);
    let mut answer = top.section("answer", flaws);
    let charge_fields = answers::fields(&mut answer, &of_a_record(), flaws);
    answer.end(flaws);
    let mut lookup = top.section("lookup", flaws);
    let found = lookup_of(&mut lookup, &charge_fields, duration, flaws);
    lookup.end(flaws);
    let replay = replay(top.section("replay", flaws), flaws);
    let rules = answers::rules(top.get("rule"), flaws);
    Profile {
        name,
        endpoints: Endpoints { charge: charge_request, lookup: found.request, replay, auth },
        body,
        encoding,
        recipe,
        charge_fields,
        lookup_fields: found.fields,
        lookup_list: found.list,
        rules,
        lookup: found.lookup,
        replays: replays.unwrap_or(Replays::All),
        key_ttl,
    }
}

fn key_ttl(
    top: &mut Section<'_>,
    duration: &impl Fn(&str) -> Option<Duration>,
    flaws: &mut Flaws,
) -> Option<Duration> {
    let text = top.text("key_ttl", flaws)?;
    let period = duration(text);
    if period.is_none() {
        let problem = format!("{text:?} is no duration");
        flaws.note("key_ttl", problem, "Write for example \"24h\", or leave it out.");
    }
    period
}

/// A decline has to carry the gateway's id, unless the description says otherwise.
fn of_a_record() -> Fields {
    Fields { declined_with_id: true, ..Fields::default() }
}

/// CRC-32 over what makes the requests: whoever changes it sends other requests.
fn recipe(charge: Option<&Tree>) -> RecipeHash {
    let text = charge.map(Tree::to_string).unwrap_or_default();
    RecipeHash(crc32fast::hash(format!("mapper {MAPPER_VERSION}; {text}").as_bytes()))
}

fn auth(mut section: Section<'_>, flaws: &mut Flaws) -> Auth {
    let header = section.text("header", flaws).map(str::to_ascii_lowercase);
    let words = [("none", 0), ("bearer", 1), ("basic", 2), ("header", 3)];
    let scheme = section.choice("scheme", &words, flaws);
    let auth = match (scheme, header) {
        (Some(1), None) => Auth::Bearer,
        (Some(2), None) => Auth::Basic,
        (Some(3), Some(name)) => Auth::Header(name),
        (Some(3), None) => {
            let remedy = "Name the header that carries the credential.";
            flaws.note(&section.name("header"), "it has to be set", remedy);
            Auth::None
        }
        (_, None) => Auth::None,
        (_, Some(_)) => {
            let remedy = "Set auth.scheme = \"header\", or remove it.";
            flaws.note(&section.name("header"), "this scheme has a header of its own", remedy);
            Auth::None
        }
    };
    section.end(flaws);
    auth
}

fn encoding(section: &mut Section<'_>, flaws: &mut Flaws) -> Option<Encoding> {
    section.choice("encoding", &[("json", Encoding::Json), ("form", Encoding::Form)], flaws)
}

fn body(section: &mut Section<'_>, flaws: &mut Flaws) -> Option<Value> {
    let order = section.texts("order", flaws).unwrap_or_default();
    let name = section.name("body");
    let tree = section.get("body")?;
    if !tree.is_object() {
        flaws.note(&name, "a table is expected", format!("Write its fields under [{name}]."));
        return None;
    }
    Some(template::body(&name, tree, &order, flaws))
}

fn request(section: &mut Section<'_>, default_method: &str, flaws: &mut Flaws) -> Request {
    let method = section.text("method", flaws).unwrap_or(default_method).to_owned();
    let path = section.name("path");
    let text = section.text("path", flaws).unwrap_or_else(|| {
        flaws.note(
            &path,
            "it has to be set",
            "Write what follows the base URL, for example \"/charges\".",
        );
        "/"
    });
    if !text.starts_with('/') {
        flaws.note(&path, format!("{text:?} begins without a slash"), "Begin it with one.");
    }
    Request {
        method,
        path: template::text(&path, text, flaws),
        headers: headers(section, flaws),
        content_type: None,
        lookup_body: None,
    }
}

fn headers(section: &mut Section<'_>, flaws: &mut Flaws) -> Vec<(String, Text)> {
    let key = section.name("headers");
    let Some(Tree::Object(all)) = section.get("headers") else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in all {
        let key = format!("{key}.{name}");
        match value.as_str() {
            Some(text) => {
                let text = template::text(&key, text, flaws);
                found.push((header_name(&key, name, flaws), text));
            }
            None => flaws.note(&key, "a text is expected", "Write it in quotes."),
        }
    }
    found
}

fn header_name(key: &str, name: &str, flaws: &mut Flaws) -> String {
    let name = name.to_ascii_lowercase();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(fits) {
        flaws.note(key, format!("{name:?} is no name of a header"), "Correct it.");
    } else if OWNED_HEADERS.contains(&name.as_str()) {
        flaws.note(key, format!("{name} is set by Tollbridge itself"), "Remove it.");
    }
    name
}

/// The header that carries the idempotency key.
fn key_header(section: &mut Section<'_>, request: &mut Request, flaws: &mut Flaws) {
    let key = section.name("key_header");
    let value = section.name("key");
    let text = section.text("key", flaws);
    let Some(name) = section.text("key_header", flaws) else {
        if text.is_some() {
            let remedy = "Name the header that carries it.";
            flaws.note(&key, "it has to be set beside a key", remedy);
        }
        return;
    };
    let name = header_name(&key, name, flaws);
    let text = template::text(&value, text.unwrap_or("{transaction_id}"), flaws);
    if text.fields().next().is_none() {
        let remedy = "Write \"{transaction_id}\" or \"{transaction_id:uuid}\".";
        flaws.note(&value, "every transaction would have the same key", remedy);
    }
    request.headers.push((name, text));
}

fn replay(mut section: Section<'_>, flaws: &mut Flaws) -> Option<(String, String)> {
    let is_there = section.is_there();
    let name = section.text("header", flaws);
    let value = section.text("value", flaws).unwrap_or("true").to_owned();
    let key = section.name("header");
    section.end(flaws);
    match name {
        Some(name) => Some((header_name(&key, name, flaws), value)),
        None if is_there => {
            let remedy = "Name the response header that marks a replay, or remove the section.";
            flaws.note(&key, "it has to be set", remedy);
            None
        }
        None => None,
    }
}

/// What a description says of lookups.
struct FoundLookup {
    request: Option<Request>,
    fields: Fields,
    list: Option<Pointer>,
    lookup: Lookup,
}

fn lookup_of(
    section: &mut Section<'_>,
    charge_fields: &Fields,
    duration: &impl Fn(&str) -> Option<Duration>,
    flaws: &mut Flaws,
) -> FoundLookup {
    if !section.is_there() {
        let fields = charge_fields.clone();
        return FoundLookup { request: None, fields, list: None, lookup: Lookup::None };
    }
    let mut answer = section.section("answer", flaws);
    let fields = answers::fields(&mut answer, charge_fields, flaws);
    answer.end(flaws);
    let name = section.name("list");
    let list = section.text("list", flaws).and_then(|it| answers::pointer(&name, it, flaws));
    let encoding = encoding(section, flaws).unwrap_or(Encoding::Json);
    let body = body(section, flaws);
    let mut request = request(section, if body.is_some() { "POST" } else { "GET" }, flaws);
    request.content_type = body.is_some().then(|| encoding.content_type().to_owned());
    request.lookup_body = body.map(|body| (encoding, body));
    let lookup = consistent(section, duration, flaws);
    FoundLookup { request: Some(request), fields, list, lookup }
}

/// How soon after a request a lookup surely shows it.
fn consistent(
    section: &mut Section<'_>,
    duration: &impl Fn(&str) -> Option<Duration>,
    flaws: &mut Flaws,
) -> Lookup {
    let name = section.name("consistent");
    let remedy = "Write \"at_once\", \"never\", or how long after a request a lookup surely shows it, such as \"1h\".";
    match section.text("consistent", flaws) {
        Some("at_once") => Lookup::Settles(Duration::ZERO),
        Some("never") => Lookup::NeverSettles,
        Some(text) => duration(text).map_or_else(
            || {
                flaws.note(&name, format!("{text:?} is no duration"), remedy);
                Lookup::NeverSettles
            },
            Lookup::Settles,
        ),
        None => {
            flaws.note(&name, "it has to be set", remedy);
            Lookup::NeverSettles
        }
    }
}

/// Fields that stand where only the transaction's id is known.
fn foreign<'a>(fields: impl Iterator<Item = &'a Field>) -> bool {
    fields.into_iter().any(|field| !field.is_of_id())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
