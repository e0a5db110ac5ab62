//! The types that a key can have, and how each is read from a value. A file has typed values; those of the
//! environment and the command line are texts, which stand for whatever the key wants.

use std::path::PathBuf;

use figment::value::Value;

use super::secret::{Secret, SecretUrl};
use super::units::{BadUnit, Period, Periods, Size};

/// A type that a key can have.
pub(super) trait Setting: Sized {
    /// Whether a wrong value must not be repeated in the error.
    const SECRET: bool = false;
    /// What it is, in the words of the documentation.
    const FORM: &str;
    /// Reads a value; `typed` is false where it is a text from the environment or the command line. The error says
    /// what is expected.
    fn read(value: &Value, typed: bool) -> Result<Self, String>;
}

impl Setting for String {
    const FORM: &str = "text";

    fn read(value: &Value, _: bool) -> Result<Self, String> {
        match value {
            Value::String(_, text) if text.trim().is_empty() => Err("it is empty".to_owned()),
            Value::String(_, text) => Ok(text.clone()),
            _ => Err("a text is expected, in quotes".to_owned()),
        }
    }
}

impl Setting for Vec<String> {
    const FORM: &str = "list of texts, or one text with commas";

    /// A list of texts, or one text with commas.
    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        let expected = || "a list of texts is expected, or one text with commas".to_owned();
        let parts: Self = match value {
            Value::String(_, text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Value::Array(_, list) => {
                let texts: Result<Self, _> = list.iter().map(|v| String::read(v, typed)).collect();
                texts.map_err(|_| expected())?
            }
            _ => return Err(expected()),
        };
        match parts.iter().any(String::is_empty) || parts.is_empty() {
            true => Err("an entry is empty".to_owned()),
            false => Ok(parts),
        }
    }
}

impl Setting for Secret {
    const SECRET: bool = true;
    const FORM: &str = "text";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        String::read(value, typed).map(Self::new)
    }
}

impl Setting for SecretUrl {
    const SECRET: bool = true;
    const FORM: &str = "URL";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        String::read(value, typed).map(Self::new)
    }
}

impl Setting for PathBuf {
    const FORM: &str = "path of a file";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        String::read(value, typed).map(Self::from)
    }
}

impl Setting for bool {
    const FORM: &str = "true or false";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        match value {
            Value::Bool(_, yes) => Ok(*yes),
            Value::String(_, text) if !typed && text == "true" => Ok(true),
            Value::String(_, text) if !typed && text == "false" => Ok(false),
            _ => Err("true or false is expected".to_owned()),
        }
    }
}

/// A whole number from 0 up.
fn number<T: TryFrom<u128>>(value: &Value, typed: bool) -> Result<T, String> {
    let number = match value {
        Value::Num(..) => value.to_i128().and_then(|n| u128::try_from(n).ok()).or(value.to_u128()),
        Value::String(_, text) if !typed => text.parse().ok(),
        _ => None,
    };
    let expected = || "a whole number is expected, without quotes, not below 0".to_owned();
    number.and_then(|n| T::try_from(n).ok()).ok_or_else(expected)
}

impl Setting for u32 {
    const FORM: &str = "whole number";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        number(value, typed)
    }
}

impl Setting for u64 {
    const FORM: &str = "whole number";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        number(value, typed)
    }
}

impl Setting for usize {
    const FORM: &str = "whole number";

    fn read(value: &Value, typed: bool) -> Result<Self, String> {
        number(value, typed)
    }
}

impl Setting for Period {
    const FORM: &str = "duration";

    fn read(value: &Value, _: bool) -> Result<Self, String> {
        match value {
            Value::String(_, text) => text.parse().map_err(|bad: BadUnit| bad.to_string()),
            _ => Err("a duration in quotes is expected: \"250ms\", \"5s\", \"24h\"".to_owned()),
        }
    }
}

impl Setting for Periods {
    const FORM: &str = "durations with commas between them, or \"off\"";

    fn read(value: &Value, _: bool) -> Result<Self, String> {
        match value {
            Value::String(_, text) => text.parse().map_err(|bad: BadUnit| bad.to_string()),
            _ => Err("durations in quotes are expected: \"5m, 1h, 1d\"".to_owned()),
        }
    }
}

impl Setting for Size {
    const FORM: &str = "size";

    fn read(value: &Value, _: bool) -> Result<Self, String> {
        match value {
            Value::String(_, text) => text.parse().map_err(|bad: BadUnit| bad.to_string()),
            _ => Err("a size in quotes is expected: \"64KiB\"".to_owned()),
        }
    }
}
