//! Fills a template in: the same bytes for the same transaction on every attempt and in every process. Nothing goes in
//! that is not part of the transaction or of the template.

use std::borrow::Cow;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::template::{Encoding, Field, Part, Text, Value};
use crate::domain::id::TransactionId;
use crate::domain::transaction::Transaction;
use crate::wire::percent;

/// Counts the ways in which templates were ever filled in. Whoever changes a byte of what is written raises it, so that
/// what was sent under the old recipe is never sent again under the new one.
pub(super) const MAPPER_VERSION: u32 = 1;

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub enum Fill<'a> {
    Transaction(&'a Transaction),
    /// All that a lookup knows.
    Id(&'a TransactionId),
}

impl<'a> Fill<'a> {
    fn id(self) -> &'a TransactionId {
        match self {
            Self::Transaction(tx) => &tx.id,
            Self::Id(id) => id,
        }
    }

    fn transaction(self) -> Option<&'a Transaction> {
        match self {
            Self::Transaction(tx) => Some(tx),
            Self::Id(_) => None,
        }
    }

    /// `None` where the transaction lacks it, or where there is only an id.
    fn get(self, field: &Field) -> Option<Cow<'a, str>> {
        let micros = |tx: &Transaction| tx.created_at.0;
        Some(match field {
            Field::TransactionId => self.id().as_str().into(),
            Field::TransactionUuid => uuid(self.id()).into(),
            Field::AccountId => self.transaction()?.account_id.as_str().into(),
            Field::Amount => self.transaction()?.amount.minor_units().to_string().into(),
            Field::AmountDecimal => decimal(self.transaction()?).into(),
            Field::Currency => self.transaction()?.currency.as_str().to_owned().into(),
            Field::CurrencyLower => {
                self.transaction()?.currency.as_str().to_ascii_lowercase().into()
            }
            Field::PaymentMethod => self.transaction()?.payment_method.as_str().into(),
            Field::Description => self.transaction()?.description.as_deref()?.into(),
            Field::Metadata(name) => self.transaction()?.metadata.get(name)?.into(),
            Field::CreatedAtSeconds => {
                micros(self.transaction()?).div_euclid(1_000_000).to_string().into()
            }
            Field::CreatedAtMicros => micros(self.transaction()?).to_string().into(),
        })
    }
}

/// In the currency's main unit, with all its decimals.
fn decimal(tx: &Transaction) -> String {
    let places = usize::from(tx.currency.exponent().unwrap_or(0));
    let digits = format!("{:0>1$}", tx.amount.minor_units(), places + 1);
    let (whole, rest) = digits.split_at(digits.len() - places);
    if places == 0 { whole.to_owned() } else { format!("{whole}.{rest}") }
}

/// A UUID of version 8 (RFC 9562): the first bits of the id's SHA-256.
fn uuid(id: &TransactionId) -> String {
    let hash = Sha256::digest(id.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut out = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

impl Text {
    /// `None` where a field is absent.
    #[must_use]
    pub fn fill<'a>(&'a self, fill: Fill<'a>) -> Option<Cow<'a, str>> {
        match &self.0[..] {
            [Part::Literal(text)] => Some(text.as_str().into()),
            [Part::Field(field)] => fill.get(field),
            parts => {
                let mut out = String::new();
                for part in parts {
                    match part {
                        Part::Literal(text) => out.push_str(text),
                        Part::Field(field) => out.push_str(&fill.get(field)?),
                    }
                }
                Some(out.into())
            }
        }
    }

    /// As part of a URL: what is filled in is percent-encoded.
    #[must_use]
    pub fn fill_url(&self, id: &TransactionId) -> String {
        let mut out = String::with_capacity(96);
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Field(field) => {
                    percent::encode(&mut out, &Fill::Id(id).get(field).unwrap_or_default());
                }
            }
        }
        out
    }
}

impl Value {
    /// The whole body.
    #[must_use]
    pub fn write(&self, encoding: Encoding, fill: Fill<'_>) -> Bytes {
        let mut out = Vec::with_capacity(256);
        match encoding {
            Encoding::Json => self.json(&mut out, fill),
            Encoding::Form => self.form(&mut out, "", fill),
        }
        out.into()
    }

    /// Whether it is left out of what it stands in.
    fn is_absent(&self, fill: Fill<'_>) -> bool {
        match self {
            Self::Text(text) => text.fields().any(|it| it.is_optional() && fill.get(it).is_none()),
            Self::Metadata => fill.transaction().is_none_or(|tx| tx.metadata.is_empty()),
            Self::Number(_) | Self::Fixed(_) | Self::Object(_) | Self::Array(_) => false,
        }
    }

    fn json(&self, out: &mut Vec<u8>, fill: Fill<'_>) {
        match self {
            Self::Text(text) => quoted(out, &text.fill(fill).unwrap_or_default()),
            Self::Number(field) => {
                out.extend_from_slice(fill.get(field).unwrap_or_default().as_bytes());
            }
            Self::Fixed(text) => out.extend_from_slice(text.as_bytes()),
            Self::Metadata => {
                let all = fill.transaction().into_iter().flat_map(|tx| &tx.metadata);
                listed(out, b"{}", all, |out, (name, value)| {
                    quoted(out, name);
                    out.push(b':');
                    quoted(out, value);
                });
            }
            Self::Object(members) => {
                let there = members.iter().filter(|it| !it.value.is_absent(fill));
                listed(out, b"{}", there, |out, member| {
                    quoted(out, &member.name);
                    out.push(b':');
                    member.value.json(out, fill);
                });
            }
            Self::Array(items) => {
                let there = items.iter().filter(|it| !it.is_absent(fill));
                listed(out, b"[]", there, |out, item| item.json(out, fill));
            }
        }
    }

    /// `name` is that of the value, as it is written.
    fn form(&self, out: &mut Vec<u8>, name: &str, fill: Fill<'_>) {
        match self {
            Self::Text(text) => pair(out, name, &text.fill(fill).unwrap_or_default()),
            Self::Number(field) => pair(out, name, &fill.get(field).unwrap_or_default()),
            Self::Fixed(text) => pair(out, name, text),
            Self::Metadata => {
                let all = fill.transaction().into_iter().flat_map(|tx| &tx.metadata);
                all.for_each(|(inner, value)| pair(out, &within(name, inner), value));
            }
            Self::Object(members) => {
                let there = members.iter().filter(|it| !it.value.is_absent(fill));
                there.for_each(|it| it.value.form(out, &within(name, &it.name), fill));
            }
            Self::Array(items) => {
                let there = items.iter().filter(|it| !it.is_absent(fill));
                for (i, item) in there.enumerate() {
                    item.form(out, &within(name, &i.to_string()), fill);
                }
            }
        }
    }
}

fn listed<T>(
    out: &mut Vec<u8>,
    ends: &[u8; 2],
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    out.push(ends[0]);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(ends[1]);
}

/// The name of what stands in `outer`; brackets are no part of a name, and are encoded like the rest of it.
fn within(outer: &str, inner: &str) -> String {
    let mut name = outer.to_owned();
    let is_top = outer.is_empty();
    if !is_top {
        name.push('[');
    }
    percent::encode(&mut name, inner);
    if !is_top {
        name.push(']');
    }
    name
}

fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b'&');
    }
    let mut text = String::with_capacity(name.len() + value.len() + 1);
    text.push_str(name);
    text.push('=');
    percent::encode(&mut text, value);
    out.extend_from_slice(text.as_bytes());
}

/// A JSON string. What needs no escape is copied in runs.
fn quoted(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let needs_escape = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Hardly any text has one; to look at all bytes is quicker than to look for the first.
    let has_escapes = rest.iter().fold(false, |found, b| found | needs_escape(*b));
    while has_escapes && let Some(at) = rest.iter().position(|b| needs_escape(*b)) {
        out.extend_from_slice(&rest[..at]);
        let short = match rest[at] {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => b'u',
        };
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let (high, low) = (HEX[usize::from(rest[at] >> 4)], HEX[usize::from(rest[at] & 15)]);
            out.extend_from_slice(&[b'0', b'0', high, low]);
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
