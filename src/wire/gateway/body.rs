//! The body of a charge request in the generic profile: canonical JSON, the same bytes for the same transaction on
//! every attempt and in every process. Nothing goes in that is not part of the transaction.

use bytes::Bytes;

use crate::domain::id::RecipeHash;
use crate::domain::transaction::Transaction;

/// What the bytes are, in words. Whoever changes the bytes raises the number at the end, so that what was sent
/// under the old recipe is never sent again under the new one.
#[cfg(test)]
pub(super) const RECIPE_TEXT: &str = "json: transaction_id, account_id, amount, currency, payment_method, \
    description if any, metadata if any by name; no space; escapes \\\" \\\\ \\b \\f \\n \\r \\t \\u00xx; version 1";

/// CRC-32 of the recipe's text.
pub const RECIPE: RecipeHash = RecipeHash(0x25bd_867b);

/// The body of every charge request for `tx`.
#[must_use]
pub fn charge_body(tx: &Transaction) -> Bytes {
    let metadata: usize =
        tx.metadata.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let description = tx.description.as_deref().unwrap_or_default();
    let texts = tx.account_id.len() + tx.payment_method.len() + description.len();
    let mut out = Vec::with_capacity(192 + texts + metadata);
    out.extend_from_slice(b"{\"transaction_id\":");
    text(&mut out, tx.id.as_str());
    out.extend_from_slice(b",\"account_id\":");
    text(&mut out, &tx.account_id);
    out.extend_from_slice(b",\"amount\":");
    out.extend_from_slice(tx.amount.minor_units().to_string().as_bytes());
    out.extend_from_slice(b",\"currency\":");
    text(&mut out, tx.currency.as_str());
    out.extend_from_slice(b",\"payment_method\":");
    text(&mut out, &tx.payment_method);
    if let Some(description) = &tx.description {
        out.extend_from_slice(b",\"description\":");
        text(&mut out, description);
    }
    if !tx.metadata.is_empty() {
        let mut lead: &[u8] = b",\"metadata\":{";
        for (name, value) in &tx.metadata {
            out.extend_from_slice(lead);
            text(&mut out, name);
            out.push(b':');
            text(&mut out, value);
            lead = b",";
        }
        out.push(b'}');
    }
    out.push(b'}');
    out.into()
}

/// A JSON string. What needs no escape is copied in runs.
fn text(out: &mut Vec<u8>, text: &str) {
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
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::TransactionId;
    use crate::domain::money::{Amount, Currency};
    use crate::domain::time::Wall;

    fn example() -> Transaction {
        Transaction {
            id: TransactionId::parse("tx-1:a").unwrap(),
            account_id: "acc \"7\"\\".into(),
            amount: Amount::new(1250).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            payment_method: "pm_1".into(),
            created_at: Wall(1),
            description: Some("näher\n\u{1}\u{7f}/".into()),
            metadata: [("b".into(), "2".into()), ("a".into(), String::new())].into(),
        }
    }

    #[test]
    fn the_bytes_are_pinned_and_so_is_the_recipe() {
        let body = charge_body(&example());
        let expected = "{\"transaction_id\":\"tx-1:a\",\"account_id\":\"acc \\\"7\\\"\\\\\",\"amount\":1250,\
            \"currency\":\"EUR\",\"payment_method\":\"pm_1\",\"description\":\"näher\\n\\u0001\u{7f}/\",\
            \"metadata\":{\"a\":\"\",\"b\":\"2\"}}";
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
        assert_eq!(RECIPE, RecipeHash(crc32fast::hash(RECIPE_TEXT.as_bytes())), "{RECIPE_TEXT}");
    }

    #[test]
    fn what_is_absent_leaves_no_field() {
        let tx = Transaction { description: None, metadata: [].into(), ..example() };
        let value: Value = serde_json::from_slice(&charge_body(&tx)).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 5);
    }

    #[test]
    fn the_creation_time_is_no_part_of_it() {
        let later = Transaction { created_at: Wall(2), ..example() };
        assert_eq!(charge_body(&example()), charge_body(&later));
    }

    proptest! {
        #[test]
        fn bodies_are_repeatable_and_read_back_equal(
            account in ".{1,128}", method in ".{1,128}", description in proptest::option::of(".{0,64}"),
            metadata in proptest::collection::btree_map(".{0,16}", "\\PC{0,16}|[\\x00-\\x2f]{0,9}", 0..6),
            amount in 1..=crate::domain::money::AMOUNT_MAX,
        ) {
            let tx = Transaction {
                account_id: account.clone(),
                payment_method: method.clone(),
                description: description.clone(),
                metadata: metadata.clone(),
                amount: Amount::new(amount).unwrap(),
                ..example()
            };
            let body = charge_body(&tx);
            prop_assert_eq!(&body, &charge_body(&tx.clone()));
            let mut expected = json!({
                "transaction_id": "tx-1:a", "account_id": account, "amount": amount, "currency": "EUR",
                "payment_method": method,
            });
            if let Some(description) = description {
                expected["description"] = json!(description);
            }
            if !metadata.is_empty() {
                expected["metadata"] = json!(metadata);
            }
            prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        }
    }
}
