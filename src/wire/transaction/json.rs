//! JSON, strictly: a name that stands twice is noticed, numbers are told apart by how they are written, and nothing
//! of the text gets into an error. Unknown fields are passed over.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{Draft, Field, Raw};
use super::{Rejection, code};

/// Reads one object and nothing behind it.
pub(super) fn read(value: &[u8]) -> Result<Draft, Rejection> {
    let undecodable = |message: String| Rejection::new(code::UNDECODABLE, message);
    let text = std::str::from_utf8(value).map_err(|why| {
        undecodable(format!("the value is not UTF-8 from byte {} on", why.valid_up_to() + 1))
    })?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(undecodable("the value is no JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let draft = json.deserialize_map(DraftVisitor).and_then(|draft| json.end().map(|()| draft));
    draft.map_err(|why| {
        // The library's own message may quote the text.
        undecodable(format!(
            "the JSON is malformed at line {}, column {}",
            why.line(),
            why.column()
        ))
    })
}

struct DraftVisitor;

impl<'de> Visitor<'de> for DraftVisitor {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let mut draft = Draft::default();
        let mut unknown = BTreeSet::new();
        while let Some(name) = map.next_key()? {
            match name {
                Name::Known(field) => draft.put(field, map.next_value()?),
                Name::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    if unknown.contains(&name) {
                        draft.repeated(&name);
                    }
                    unknown.insert(name);
                }
            }
        }
        Ok(draft)
    }
}

/// A field's name.
enum Name {
    Known(Field),
    Unknown(String),
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(Field::parse(name).map_or_else(|| Name::Unknown(name.to_owned()), Name::Known))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(i64::try_from(number).map_or(Raw::HugeInteger, Raw::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Float)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
