//! Strict JSON from outside: a document in which a name stands twice is refused, and a number that is no integer
//! is kept apart from those that are, as its digits. Not a general JSON library: it keeps what an answer is read for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Text(Cow<'a, str>),
    Integer(i64),
    /// A number that was written with a fraction or an exponent, in plain digits. Up to fifteen of them are exact.
    Fraction(String),
    /// Sorted by name, each name once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    Array(Vec<Json<'a>>),
    /// Integers beyond 64 bits: nothing that is asked for.
    Other,
}

impl<'a> Json<'a> {
    /// Reads one whole document.
    ///
    /// # Errors
    /// Says why it is none, without quoting it.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => "JSON in which a name stands twice".to_owned(),
            serde_json::error::Category::Eof => "truncated JSON".to_owned(),
            _ => "not JSON".to_owned(),
        })
    }

    /// The value behind these names, or indices where there are arrays; `None` where there is none, or a null.
    pub(super) fn at(&self, names: &[String]) -> Option<&Self> {
        let value = names.iter().try_fold(self, |value, name| match value {
            // One after another: nearly all differ in their length already.
            Self::Object(fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
            }
            Self::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })?;
        (*value != Self::Null).then_some(value)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Json::Other, Json::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Json::Fraction(number.to_string()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Json<'de>>()? {
            fields.push((name, value));
        }
        fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom("a name stands twice"));
        }
        Ok(Json::Object(fields))
    }
}

/// A name, borrowed where it has no escapes (serde's own `Cow` would always own it).
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Json::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a name is no text")),
        }
    }
}
