//! Reads templates: a body as a tree of TOML, and texts with fields in braces, such as `"{amount:decimal}"` or
//! `"order {transaction_id}"`.

use serde_json::Value as Tree;

use super::section::Flaws;
use crate::wire::gateway::template::{Field, Member, Part, Text, Value};

/// The word for the metadata as a whole.
const METADATA: &str = "metadata";

/// `order`: the names that come first at the top, in this order; the others follow by name.
pub(super) fn body(key: &str, tree: &Tree, order: &[String], flaws: &mut Flaws) -> Value {
    let mut value = value(key, tree, flaws);
    if let Value::Object(members) = &mut value {
        let rank = |member: &Member| order.iter().position(|name| *name == member.name);
        members.sort_by_key(|member| rank(member).unwrap_or(usize::MAX));
    }
    value
}

fn value(key: &str, tree: &Tree, flaws: &mut Flaws) -> Value {
    match tree {
        Tree::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, tree)| Member {
                    name: name.clone(),
                    value: value(&format!("{key}.{name}"), tree, flaws),
                })
                .collect(),
        ),
        Tree::Array(items) => {
            let name = |i: usize| format!("{key}.{}", i + 1);
            let item = |(i, tree)| value(&name(i), tree, flaws);
            Value::Array(items.iter().enumerate().map(item).collect())
        }
        Tree::String(text) => of_text(key, text, flaws),
        Tree::Number(number) if number.is_f64() => {
            let remedy = "Write it as a text, or as a whole number.";
            flaws.note(key, "a number with a fraction has no exact form", remedy);
            Value::Fixed("0".to_owned())
        }
        Tree::Number(number) => Value::Fixed(number.to_string()),
        Tree::Bool(yes) => Value::Fixed(yes.to_string()),
        Tree::Null => Value::Fixed("null".to_owned()),
    }
}

/// A field that is a number and stands alone is written as one; `{amount:text}` is not.
fn of_text(key: &str, source: &str, flaws: &mut Flaws) -> Value {
    match source {
        "{metadata}" => return Value::Metadata,
        "{amount}" => return Value::Number(Field::Amount),
        "{amount:decimal}" => return Value::Number(Field::AmountDecimal),
        "{created_at:seconds}" => return Value::Number(Field::CreatedAtSeconds),
        "{created_at:micros}" => return Value::Number(Field::CreatedAtMicros),
        _ => {}
    }
    Value::Text(text(key, source, flaws))
}

/// A text with fields in braces; a brace of its own is written twice.
pub(super) fn text(key: &str, source: &str, flaws: &mut Flaws) -> Text {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(more) = behind.strip_prefix(brace) {
            literal.push_str(brace);
            rest = more;
            continue;
        }
        let Some((word, more)) = behind.split_once('}').filter(|_| brace == "{") else {
            let remedy = "Write a field as {name}, and a brace of the text's own twice.";
            flaws.note(key, "a brace stands alone", remedy);
            break;
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.extend(field(key, word, flaws).map(Part::Field));
        rest = more;
    }
    literal.push_str(if rest.contains(['{', '}']) { "" } else { rest });
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Text(parts)
}

fn field(key: &str, word: &str, flaws: &mut Flaws) -> Option<Field> {
    // Within a text, and as a text of its own, an amount is its digits.
    let plain = word.strip_suffix(":text").filter(|word| is_number(word)).unwrap_or(word);
    if let Some((_, field)) = Field::WORDS.iter().find(|(known, _)| *known == plain) {
        return Some(field.clone());
    }
    if let Some(name) = word.strip_prefix("metadata.").filter(|name| !name.is_empty()) {
        return Some(Field::Metadata(name.to_owned()));
    }
    let known = Field::WORDS.iter().map(|(known, _)| *known).chain([METADATA]);
    let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(known, word));
    let remedy = match word {
        METADATA => "Write \"{metadata}\" alone, or {metadata.NAME} for one entry.".to_owned(),
        _ => format!("Did you mean {{{}}}?", nearest.unwrap_or_default()),
    };
    flaws.note(key, format!("a transaction has no field {{{word}}}"), remedy);
    None
}

fn is_number(word: &str) -> bool {
    matches!(word, "amount" | "amount:decimal" | "created_at:seconds" | "created_at:micros")
}
