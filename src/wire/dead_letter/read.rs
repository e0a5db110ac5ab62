//! Reading a dead letter back: what it tells of its source record. The record's own bytes are not looked at.

use crate::domain::id::{Offset, Partition, Place, TransactionId};
use crate::domain::outcome::{EventId, Fate};
use crate::domain::record::Header;

/// What the headers of a dead letter say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub place: Place,
    pub event_id: EventId,
    /// `rejected`, `duplicate` or `in_doubt`.
    pub fate: Fate,
    pub code: String,
    /// `None` where the record could not be read.
    pub transaction_id: Option<TransactionId>,
    /// The place that was there before; only a duplicate has one.
    pub duplicate_of: Option<Place>,
}

/// A header of ours that is missing, or that we never write so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {0} is missing or can't be read")]
pub struct BadLetter(pub &'static str);

/// Reads our own headers, which stand behind those of the source: a dead letter that was published again has them
/// twice, and only the last ones are its own.
pub fn read(headers: &[Header]) -> Result<Letter, BadLetter> {
    const FIRST: &str = "tollbridge-fate";
    let first = headers.iter().rposition(|header| header.name == FIRST).ok_or(BadLetter(FIRST))?;
    let own = headers.get(first..).unwrap_or_default();
    let find = |name: &str| {
        let value = own.iter().find(|header| header.name == name)?.value.as_deref()?;
        std::str::from_utf8(value).ok()
    };
    let need = |name: &'static str| find(name).ok_or(BadLetter(name));
    let number = |name| need(name)?.parse::<i64>().map_err(|_| BadLetter(name));
    let fate = Fate::parse(need(FIRST)?).filter(|fate| is_of_dead_letters(*fate));
    let (id, partition) = ("tollbridge-transaction-id", "__connect.errors.partition");
    let transaction_id = find(id).map(TransactionId::parse).transpose();
    Ok(Letter {
        fate: fate.ok_or(BadLetter(FIRST))?,
        code: need("tollbridge-code")?.to_owned(),
        event_id: EventId::from_hex(need("tollbridge-event-id")?)
            .ok_or(BadLetter("tollbridge-event-id"))?,
        transaction_id: transaction_id.map_err(|_| BadLetter(id))?,
        duplicate_of: find("tollbridge-duplicate-of").and_then(place),
        place: Place {
            topic: need("__connect.errors.topic")?.into(),
            partition: Partition(
                i32::try_from(number(partition)?).map_err(|_| BadLetter(partition))?,
            ),
            offset: Offset(number("__connect.errors.offset")?),
        },
    })
}

fn is_of_dead_letters(fate: Fate) -> bool {
    matches!(fate, Fate::Rejected | Fate::Duplicate | Fate::InDoubt)
}

/// The inverse of [`Place`]'s `Display`.
fn place(text: &str) -> Option<Place> {
    let mut parts = text.rsplitn(3, '/');
    let offset = Offset(parts.next()?.parse().ok()?);
    let partition = Partition(parts.next()?.parse().ok()?);
    Some(Place { topic: parts.next()?.into(), partition, offset })
}
