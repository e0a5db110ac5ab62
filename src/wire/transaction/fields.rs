//! The rules for each field, whatever format it came in: a draft of raw values becomes a transaction, or is rejected.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{Rejection, code};
use crate::domain::id::TransactionId;
use crate::domain::labels::Labels;
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Wall;
use crate::domain::transaction::Transaction;
use crate::wire::plain::is_plain;

const ACCOUNT_CHARS: RangeInclusive<usize> = 1..=128;
const PAYMENT_METHOD_CHARS: RangeInclusive<usize> = 1..=128;
const DESCRIPTION_CHARS: RangeInclusive<usize> = 0..=512;
const METADATA_ENTRIES_MAX: usize = 32;
const METADATA_NAME_CHARS: RangeInclusive<usize> = 1..=64;
const METADATA_VALUE_CHARS: RangeInclusive<usize> = 0..=512;
/// 9999-12-31T23:59:59.999999Z: what every store and every reader can hold.
const CREATED_AT_MAX_MICROS: i64 = 253_402_300_799_999_999;
const CARD_NUMBER_DIGITS: RangeInclusive<usize> = 13..=19;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    TransactionId,
    AccountId,
    Amount,
    Currency,
    PaymentMethod,
    CreatedAt,
    Description,
    Metadata,
}

impl Field {
    pub(super) const ALL: [Self; 8] = [
        Self::TransactionId,
        Self::AccountId,
        Self::Amount,
        Self::Currency,
        Self::PaymentMethod,
        Self::CreatedAt,
        Self::Description,
        Self::Metadata,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TransactionId => "transaction_id",
            Self::AccountId => "account_id",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::PaymentMethod => "payment_method",
            Self::CreatedAt => "created_at",
            Self::Description => "description",
            Self::Metadata => "metadata",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    pub(super) fn is_required(self) -> bool {
        !matches!(self, Self::Description | Self::Metadata)
    }
}

/// A value as a format delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Null,
    Boolean,
    Integer(i64),
    /// An integer that 64 bits can't hold.
    HugeInteger,
    /// Has a fraction, an exponent or a decimal point; its value is not looked at.
    Float,
    Text(String),
    /// `None` where 64 bits can't hold it.
    Decimal {
        unscaled: Option<i64>,
        scale: usize,
    },
    /// An Avro timestamp, in microseconds.
    Time(i64),
    /// Names may repeat; that is found here.
    Map(Vec<(String, Raw)>),
    /// Lists, records, bytes.
    Other,
}

impl Raw {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer(_) | Self::HugeInteger => "an integer",
            Self::Float => "a number with a fraction or an exponent",
            Self::Text(_) => "a string",
            Self::Decimal { .. } => "a decimal",
            Self::Time(_) => "a timestamp",
            Self::Map(_) => "a map",
            Self::Other => "a structure",
        }
    }
}

/// The fields as they were found.
#[derive(Debug, Default)]
pub(super) struct Draft {
    fields: [Option<Raw>; Field::ALL.len()],
    twice: Option<String>,
}

impl Draft {
    pub(super) fn put(&mut self, field: Field, raw: Raw) {
        if self.fields[field as usize].replace(raw).is_some() {
            self.repeated(field.name());
        }
    }

    /// Notes that a name stood twice; the record will be rejected.
    pub(super) fn repeated(&mut self, name: &str) {
        self.twice.get_or_insert_with(|| name.chars().take(64).collect());
    }

    fn take(&mut self, field: Field) -> Option<Raw> {
        self.fields[field as usize].take().filter(|raw| *raw != Raw::Null)
    }

    fn require(&mut self, field: Field) -> Result<Raw, Rejection> {
        self.take(field).ok_or_else(|| {
            Rejection::new(code::MISSING_FIELD, format!("{} is missing", field.name()))
        })
    }

    pub(super) fn finish(mut self) -> Result<Transaction, Rejection> {
        if let Some(name) = &self.twice {
            let message = format!("the field {name:?} stands twice");
            return Err(Rejection::new(code::DUPLICATE_FIELD, message));
        }
        let id = transaction_id(self.require(Field::TransactionId)?)?;
        let account_id = self.require(Field::AccountId)?;
        let account_id = line(Field::AccountId.name(), account_id, ACCOUNT_CHARS)?;
        let currency = currency(self.require(Field::Currency)?)?;
        let amount = amount(self.require(Field::Amount)?, currency)?;
        let payment_method = payment_method(self.require(Field::PaymentMethod)?)?;
        let created_at = created_at(self.require(Field::CreatedAt)?)?;
        let description = self.take(Field::Description);
        let description = description
            .map(|raw| prose(Field::Description.name(), raw, DESCRIPTION_CHARS))
            .transpose()?;
        let metadata = self.take(Field::Metadata).map(metadata).transpose()?.unwrap_or_default();
        Ok(Transaction {
            id,
            account_id,
            amount,
            currency,
            payment_method,
            created_at,
            description,
            metadata,
        })
    }
}

fn transaction_id(raw: Raw) -> Result<TransactionId, Rejection> {
    let name = Field::TransactionId.name();
    let text = string(name, raw).map_err(|r| Rejection { code: code::BAD_ID, ..r })?;
    TransactionId::parse(&text)
        .map_err(|why| Rejection::new(code::BAD_ID, format!("{name}: {why}")))
}

fn currency(raw: Raw) -> Result<Currency, Rejection> {
    let name = Field::Currency.name();
    let text = string(name, raw)?;
    Currency::parse(&text).ok_or_else(|| {
        // What is longer than a code is not repeated: it may be anything.
        let message = match text.chars().count() {
            0..=3 => format!("{name} {text:?} is no ISO 4217 code in upper case"),
            chars => format!("{name} has {chars} characters, an ISO 4217 code has 3"),
        };
        Rejection::new(code::UNKNOWN_CURRENCY, message)
    })
}

fn amount(raw: Raw, currency: Currency) -> Result<Amount, Rejection> {
    let name = Field::Amount.name();
    let bad = |message: String| Rejection::new(code::BAD_AMOUNT, message);
    let minor_units = match raw {
        Raw::Integer(minor_units) => minor_units,
        Raw::HugeInteger | Raw::Decimal { unscaled: None, .. } => {
            return Err(bad(format!("{name} is far too large for minor units")));
        }
        Raw::Decimal { unscaled: Some(minor_units), scale } => {
            let exponent = currency.exponent().map(usize::from);
            if exponent != Some(scale) {
                let exponent = exponent.map_or("none".to_owned(), |exponent| exponent.to_string());
                return Err(bad(format!(
                    "{name} is a decimal of scale {scale}, the exponent of {currency} is {exponent}"
                )));
            }
            minor_units
        }
        other => {
            return Err(bad(format!(
                "{name} is {}, it must be an integer of minor units",
                other.kind()
            )));
        }
    };
    Amount::new(minor_units).map_err(|why| bad(why.to_string()))
}

fn payment_method(raw: Raw) -> Result<String, Rejection> {
    let name = Field::PaymentMethod.name();
    let text = line(name, raw, PAYMENT_METHOD_CHARS)?;
    if looks_like_a_card_number(&text) {
        let message = format!("{name} looks like a card number, it must be a token of the gateway");
        return Err(Rejection::new(code::CARD_NUMBER, message));
    }
    Ok(text)
}

fn created_at(raw: Raw) -> Result<Wall, Rejection> {
    let name = Field::CreatedAt.name();
    let micros = match raw {
        Raw::Integer(micros) | Raw::Time(micros) => micros,
        Raw::HugeInteger => i64::MAX,
        Raw::Text(text) => chrono::DateTime::parse_from_rfc3339(&text)
            .map_err(|_| bad_field(format!("{name} is a string, but no RFC 3339 time")))?
            .timestamp_micros(),
        other => {
            return Err(bad_field(format!(
                "{name} is {}, it must be integer microseconds since 1970",
                other.kind()
            )));
        }
    };
    if !(0..=CREATED_AT_MAX_MICROS).contains(&micros) {
        return Err(bad_field(format!("{name} lies outside the years 1970 to 9999")));
    }
    Ok(Wall(micros))
}

fn metadata(raw: Raw) -> Result<Labels, Rejection> {
    let name = Field::Metadata.name();
    let Raw::Map(entries) = raw else {
        let message = format!("{name} is {}, it must be a map of strings", raw.kind());
        return Err(bad_field(message));
    };
    if entries.len() > METADATA_ENTRIES_MAX {
        let message = format!(
            "{name} has {} entries, at most {METADATA_ENTRIES_MAX} are allowed",
            entries.len()
        );
        return Err(bad_field(message));
    }
    let mut metadata: Vec<(String, String)> = Vec::with_capacity(entries.len());
    for (number, (key, value)) in (1..).zip(entries) {
        let key = line(
            format_args!("the name of {name} entry {number}"),
            Raw::Text(key),
            METADATA_NAME_CHARS,
        )?;
        let value = prose(format_args!("{name} entry {number}"), value, METADATA_VALUE_CHARS)?;
        if metadata.iter().any(|(earlier, _)| *earlier == key) {
            let message = format!("the name of {name} entry {number} stands twice");
            return Err(Rejection::new(code::DUPLICATE_FIELD, message));
        }
        metadata.push((key, value));
    }
    Ok(metadata.into_iter().collect())
}

/// A string of one line: no control characters at all.
fn line(name: impl Display, raw: Raw, chars: RangeInclusive<usize>) -> Result<String, Rejection> {
    checked(name, raw, chars, |_| false)
}

/// A string that may have tabs and line ends.
fn prose(name: impl Display, raw: Raw, chars: RangeInclusive<usize>) -> Result<String, Rejection> {
    checked(name, raw, chars, |c| matches!(c, '\t' | '\n' | '\r'))
}

fn checked(
    name: impl Display,
    raw: Raw,
    allowed_chars: RangeInclusive<usize>,
    allowed_control: impl Fn(char) -> bool,
) -> Result<String, Rejection> {
    let text = string(&name, raw)?;
    let is_plain = is_plain(&text);
    let chars = if is_plain { text.len() } else { text.chars().count() };
    if !allowed_chars.contains(&chars) {
        let (min, max) = allowed_chars.into_inner();
        return Err(bad_field(format!(
            "{name} has {chars} characters, it must have {min} to {max}"
        )));
    }
    let is_bad = |c: char| c.is_control() && !allowed_control(c);
    let bad = if is_plain { None } else { text.chars().position(is_bad) };
    match bad {
        Some(at) => {
            let message = format!("{name} has a control character at position {}", at + 1);
            Err(bad_field(message))
        }
        None => Ok(text),
    }
}

fn string(name: impl Display, raw: Raw) -> Result<String, Rejection> {
    match raw {
        Raw::Text(text) => Ok(text),
        other => Err(bad_field(format!("{name} is {}, it must be a string", other.kind()))),
    }
}

fn bad_field(message: String) -> Rejection {
    Rejection::new(code::BAD_FIELD, message)
}

/// 13 to 19 digits, spaces and dashes between them allowed, with a right check digit (Luhn).
fn looks_like_a_card_number(text: &str) -> bool {
    let mut digits = Vec::with_capacity(*CARD_NUMBER_DIGITS.end());
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        match c.to_digit(10) {
            Some(digit) => digits.push(digit),
            None => return false,
        }
    }
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    CARD_NUMBER_DIGITS.contains(&digits.len()) && sum.is_multiple_of(10)
}
